//! One request under way, between its client and its upstream: what either side sends goes into the host, what the
//! host gives out goes to the other side.
//!
//! A state machine that is polled by the task that serves the client, whatever protocol that speaks; it has no task
//! and no channel of its own. Nothing is read faster than the other side takes it. Dropping it means that the client
//! went away.

mod link;
mod outgoing;

use self::outgoing::Outgoing;
use super::errors::{self, Phase};
use super::http1::Refusal;
use super::lane::{Asker, Lane};
use super::live::Live;
use super::observer::{Access, Try};
use super::pool::{Address, Idle};
use super::upstream::{self, Connecting, Fault, Http1};
use super::wire::Wire;
use super::worker::Worker;
use crate::abi::{ExchangeId, LogLevel};
use crate::gateway::model::Node;
use crate::gateway::way::{NO_NODE, Next, Way, is_idempotent};
use crate::host::Host;
use crate::message::{Headers, Part};
use bytes::Bytes;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The client's side of a request.
pub(super) trait Client {
    /// The next piece of the request's body.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, ClientFault>>;

    /// Ready when the client has gone away. Asked while nothing is read from it.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// How a client fails to send its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientFault {
    /// It went away.
    Gone,
    /// What it sends can't be read.
    Refused(Refusal),
}

/// A request under way.
pub(super) struct Flight {
    worker: Rc<Worker>,
    live: Rc<Live>,
    exchange: ExchangeId,
    lane: Rc<Lane>,
    /// All of the request has come from the client.
    received: bool,
    received_bytes: u64,
    out: Outgoing,
    link: Link,
    way: Way,
    /// When this turn began: what happens in it happens then, and the clock is read once.
    now: Instant,
    /// The last time that the upstream did anything, or was asked to.
    since: Instant,
    /// The last time that anything happened.
    moved: Instant,
    tries: Vec<Try>,
    /// When the last of them began.
    try_began: Instant,
    /// When the first of them did.
    first_asked: Instant,
    upstream_host: Bytes,
    upstream_status: Option<u16>,
    responded: bool,
    sent_status: Option<u16>,
    sent_bytes: u64,
    aborted: bool,
}

/// Where the request stands with its upstream.
enum Link {
    /// Nothing has to be sent yet.
    Idle,
    Connecting(Connecting, Address),
    Open(Box<Http1>, Address),
    /// Nothing more will come.
    Over,
}

impl Flight {
    /// A request that has just come, with its head. Gives back who asks where nobody serves any more.
    pub(super) fn open(
        worker: &Rc<Worker>,
        asker: Asker,
        headers: Headers,
        end_of_stream: bool,
    ) -> Result<Self, Box<Asker>> {
        let Some(live) = worker.live() else { return Err(Box::new(asker)) };
        let began = asker.began;
        let (exchange, lane, way) = live.open(asker);
        let mut flight = Self {
            worker: worker.clone(),
            live,
            exchange,
            lane,
            received: end_of_stream,
            received_bytes: 0,
            out: Outgoing { whole: true, ..Outgoing::default() },
            link: Link::Idle,
            way,
            now: began,
            since: began,
            moved: began,
            try_began: began,
            first_asked: began,
            tries: Vec::new(),
            upstream_host: Bytes::new(),
            upstream_status: None,
            responded: false,
            sent_status: None,
            sent_bytes: 0,
            aborted: false,
        };
        flight.feed(|host, exchange| host.from_client(exchange, Part::Headers { headers, end_of_stream }));
        Ok(flight)
    }

    /// Does what can be done. Whatever came of it for the client is in [`Flight::next_part`].
    pub(super) fn advance(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        client: &mut dyn Client,
    ) -> Result<(), ClientFault> {
        self.lane.wake_me(cx.waker());
        self.lane.attend(true);
        self.now = self.now.max(now);
        let advanced = self.advance_both(cx, client);
        self.lane.attend(false);
        advanced?;
        if self.lane.is_closed() {
            self.let_go();
        }
        Ok(())
    }

    fn advance_both(&mut self, cx: &mut Context<'_>, client: &mut dyn Client) -> Result<(), ClientFault> {
        let bound = self.worker.settings().bounds.waiting_bytes;
        loop {
            let mut moved = self.poll_client(cx, client, bound)?;
            moved |= self.poll_link(cx, bound);
            if self.lane.is_closed() {
                return Ok(());
            }
            if moved {
                self.moved = self.now;
            }
            if !moved || self.lane.client_bytes() >= bound {
                return self.poll_gone(cx, client, bound);
            }
        }
    }

    /// The next piece for the client.
    pub(super) fn next_part(&mut self) -> Option<Part> {
        let part = self.lane.pop_to_client()?;
        self.moved = self.now;
        match &part {
            Part::Headers { headers, .. } => {
                self.responded = true;
                self.sent_status = status_of(headers);
            }
            Part::Data { bytes, .. } => self.sent_bytes += bytes.len() as u64,
            Part::Trailers(_) | Part::Metadata(_) | Part::Reset => {}
        }
        Some(part)
    }

    /// The last bytes of a body show its end, on hosts that do so.
    pub(super) fn last_chunk_ends(&self) -> bool {
        self.live.generation.profile.last_chunk_ends
    }

    /// A response has begun, or is about to.
    pub(super) fn is_answered(&self) -> bool {
        self.lane.is_answered()
    }

    /// The host is done with the request, and everything has been handed out.
    pub(super) fn is_over(&self) -> bool {
        self.lane.is_closed() && self.lane.nothing_for_client()
    }

    /// The body is being waited for.
    pub(super) fn wants_body(&self) -> bool {
        !self.received
            && !self.lane.is_closed()
            && self.lane.upstream_bytes() < self.worker.settings().bounds.waiting_bytes
    }

    /// When the upstream, or a plugin, has taken too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.upstream_deadline().or_else(|| self.held_deadline())
    }

    /// When a plugin has held the request for too long.
    fn held_deadline(&self) -> Option<Instant> {
        let in_turn = self.live.generation.profile.plugins_run_in_turn;
        let held = self.received && !in_turn && !self.lane.is_closed();
        held.then(|| self.moved + self.worker.settings().timeouts.stream)
    }

    fn upstream_deadline(&self) -> Option<Instant> {
        let timeout = self.way.timeout();
        let ms = match &self.link {
            Link::Connecting(..) => timeout.connect_ms,
            Link::Open(link, _) if link.waiting() > 0 => timeout.send_ms,
            // A slow client is not the upstream's fault.
            Link::Open(link, _)
                if link.is_sent() && self.lane.client_bytes() < self.worker.settings().bounds.waiting_bytes =>
            {
                timeout.read_ms
            }
            Link::Open(..) | Link::Idle | Link::Over => return None,
        };
        Some(self.since + Duration::from_millis(ms.min(1 << 40)))
    }

    /// That moment has come.
    pub(super) fn too_late(&mut self) {
        self.now = Instant::now();
        match self.upstream_deadline() {
            Some(_) => self.fail(Fault::TimedOut),
            None => {
                self.moved = self.now;
                self.feed(Host::stream_timed_out);
            }
        }
    }

    /// The client went away, or is sent away: nothing more goes to it.
    pub(super) fn abort(&mut self) {
        if !self.lane.is_closed() {
            self.aborted = true;
            if !self.worker.is_broken() {
                self.feed(Host::abort);
            }
        }
        self.let_go();
    }

    /// What went to the client without the host.
    pub(super) fn note_answer(&mut self, status: u16) {
        self.sent_status = Some(status);
    }

    fn feed(&mut self, act: impl FnOnce(&mut Host, ExchangeId)) {
        let exchange = self.exchange;
        self.live.run(|host| act(host, exchange));
        if !self.live.generation.serves.plugins().is_empty() {
            // They may have taken their time.
            self.now = Instant::now();
        }
    }

    /// The time, as of the last turn.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    fn poll_client(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut dyn Client,
        bound: usize,
    ) -> Result<bool, ClientFault> {
        if self.lane.is_closed() {
            return Ok(false);
        }
        if !self.reads_client(bound) {
            return Ok(false);
        }
        let Poll::Ready(part) = client.poll_part(cx)? else { return Ok(false) };
        match &part {
            Part::Data { bytes, end_of_stream } => {
                self.received_bytes += bytes.len() as u64;
                self.received = *end_of_stream;
            }
            Part::Headers { .. } | Part::Trailers(_) => self.received = true,
            Part::Metadata(_) | Part::Reset => {}
        }
        self.feed(|host, exchange| host.from_client(exchange, part));
        Ok(true)
    }

    fn reads_client(&self, bound: usize) -> bool {
        !self.received && self.lane.upstream_bytes() + self.unsent() < bound
    }

    /// While nothing is read from the client, it may go away.
    fn poll_gone(&mut self, cx: &mut Context<'_>, client: &mut dyn Client, bound: usize) -> Result<(), ClientFault> {
        match self.reads_client(bound) || client.poll_gone(cx).is_pending() {
            true => Ok(()),
            false => Err(ClientFault::Gone),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.abort();
        self.live.end_if_idle();
        self.worker.settings().observer.access(&Access {
            host: self.live.number,
            exchange: self.exchange,
            status: self.sent_status,
            sent: self.sent_bytes,
            received: self.received_bytes,
            tries: &self.tries,
            upstream_host: &self.upstream_host,
            aborted: self.aborted,
            ..self.lane.asker.access(self.worker.index)
        });
    }
}

/// The number in `:status`.
pub(super) fn status_of(headers: &Headers) -> Option<u16> {
    match headers.get(b":status").map(|status| &status[..])? {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}
