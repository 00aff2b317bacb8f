//! One request under way, between its client and its upstream: what either side sends goes into the host, what the
//! host gives out goes to the other side.
//!
//! A state machine that is polled by the task that serves the client, whatever protocol that speaks; it has no task
//! and no channel of its own. Nothing is read faster than the other side takes it. Dropping it means that the client
//! went away.

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
use crate::gateway::way::{Next, Way, is_idempotent};
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

/// What goes to the upstream, kept as long as it may have to be sent once more.
#[derive(Debug, Default)]
struct Outgoing {
    parts: Vec<Part>,
    next: usize,
    bytes: usize,
    /// Nothing has been forgotten.
    whole: bool,
    /// The end is among the parts.
    complete: bool,
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
            if !moved || self.lane.client_bytes() >= bound {
                return self.poll_gone(cx, client, bound);
            }
        }
    }

    /// The next piece for the client.
    pub(super) fn next_part(&mut self) -> Option<Part> {
        let part = self.lane.pop_to_client()?;
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

    /// When the upstream has taken too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
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
        self.fail(Fault::TimedOut);
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

    /// A node is asked.
    fn asks(&mut self, address: SocketAddr) {
        self.lane.asks(Some(address));
        self.tries.push(Try { address, status: None, time: Duration::ZERO });
    }

    /// What became of the last try.
    fn note_try(&mut self, status: u16) {
        let time = self.now.duration_since(self.try_began);
        if let Some(last) = self.tries.last_mut()
            && last.status.is_none()
        {
            (last.status, last.time) = (Some(status), time);
        }
    }

    fn unsent(&self) -> usize {
        match &self.link {
            Link::Open(link, _) => link.waiting(),
            Link::Idle | Link::Connecting(..) | Link::Over => 0,
        }
    }

    /// The upstream's side.
    fn poll_link(&mut self, cx: &mut Context<'_>, bound: usize) -> bool {
        match &mut self.link {
            Link::Over => {
                while self.lane.pop_to_upstream().is_some() {}
                false
            }
            Link::Idle => {
                if !self.take_outgoing() {
                    return false;
                }
                self.goes_out();
                true
            }
            Link::Connecting(connecting, _) => {
                let Poll::Ready(connected) = connecting.as_mut().poll(cx) else { return false };
                self.since = self.now;
                match connected {
                    Ok((io, peer)) => {
                        self.asks(peer);
                        self.begin(Idle { wire: Wire::new(io), peer, served: 0 });
                    }
                    Err(_) => self.fail(Fault::Refused),
                }
                true
            }
            Link::Open(..) => {
                let sent = self.poll_send(cx, bound);
                self.poll_receive(cx, bound) || sent
            }
        }
    }

    /// Moves what the host gives out for the upstream to where it is kept; says whether there is any.
    fn take_outgoing(&mut self) -> bool {
        let Some(part) = self.lane.pop_to_upstream() else { return false };
        if part == Part::Reset {
            self.link = Link::Over;
            return false;
        }
        if let Part::Headers { headers, .. } = &part {
            self.upstream_host = headers.get(b":authority").cloned().unwrap_or_default();
        }
        self.out.take(part, self.worker.settings().bounds.waiting_bytes);
        true
    }

    /// Chooses the node that is asked; says whether there is one.
    fn choose(&mut self) -> bool {
        let node = self.way.next(&mut self.worker.balancer.borrow_mut(), &self.lane.asker.facts());
        let some = node.is_some();
        if let Some(node) = node {
            self.ask(node);
        }
        some
    }

    fn ask(&mut self, node: Node) {
        self.since = self.now;
        self.try_began = self.since;
        let address = (node.host, node.port);
        match self.worker.pool.take(&address) {
            Some(idle) => {
                self.asks(idle.peer);
                self.link = Link::Open(Box::new(self.http1(idle)), address);
            }
            None => {
                // Only lines about it need to know; a name is looked up while it connects.
                let known = self.worker.settings().resolve.known(&address.0, address.1);
                self.lane.asks(known);
                self.link = Link::Connecting(upstream::connect(&address, &self.worker.settings().resolve), address);
            }
        }
    }

    /// The plugins have let the request pass: it goes to a node, or the gateway answers.
    fn goes_out(&mut self) {
        if let Some(refusal) = self.way.refusal() {
            self.link = Link::Over;
            if let Some(line) = refusal.log {
                self.feed(|host, exchange| host.world_mut().log_about(Some(exchange), LogLevel::Error, line));
            }
            self.gateway_answers(refusal.status, refusal.body.unwrap_or_default());
        } else {
            self.first_asked = self.now;
            if !self.choose() {
                self.give_up(Fault::Refused);
            }
        }
    }

    fn gateway_answers(&mut self, status: u16, body: &'static str) {
        let mut headers = Headers::new();
        self.way.comes_in(&mut headers, self.tries.iter().filter_map(|tried| tried.status));
        let body = Bytes::from_static(body.as_bytes());
        self.feed(|host, exchange| host.reply(exchange, u32::from(status), headers, body));
    }

    fn begin(&mut self, idle: Idle) {
        let http1 = self.http1(idle);
        if let Link::Connecting(_, address) = std::mem::replace(&mut self.link, Link::Over) {
            self.link = Link::Open(Box::new(http1), address);
        }
    }

    fn http1(&self, idle: Idle) -> Http1 {
        Http1::new(idle, self.lane.asker.asked.method == "HEAD", self.live.generation.profile.last_chunk_ends)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bound: usize) -> bool {
        let mut moved = false;
        loop {
            let Link::Open(link, _) = &mut self.link else { return moved };
            while link.waiting() < bound
                && let Some(part) = self.out.next()
            {
                let forwarded = match part {
                    Part::Headers { headers, end_of_stream } => self
                        .way
                        .forwarded(headers, &self.lane.asker.facts())
                        .map(|headers| Part::Headers { headers, end_of_stream: *end_of_stream }),
                    Part::Data { .. } | Part::Trailers(_) | Part::Metadata(_) | Part::Reset => None,
                };
                if let Some(Part::Headers { headers, .. }) = &forwarded {
                    self.upstream_host = headers.get(b":authority").cloned().unwrap_or_default();
                }
                link.send(forwarded.as_ref().unwrap_or(part));
                self.since = self.now;
                moved = true;
            }
            let before = link.waiting();
            let flushed = link.poll_flush(cx);
            if link.waiting() != before {
                self.since = self.now;
                moved = true;
            }
            if flushed.is_pending() || !self.take_outgoing() {
                return moved;
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, bound: usize) -> bool {
        let mut moved = false;
        while self.lane.client_bytes() < bound {
            let Link::Open(link, _) = &mut self.link else { return moved };
            if link.is_done() {
                break;
            }
            let Poll::Ready(part) = link.poll_part(cx) else { break };
            moved = true;
            self.since = self.now;
            match part {
                Ok(mut part) => {
                    if let Part::Headers { headers, .. } = &mut part {
                        self.upstream_status = status_of(headers);
                        self.note_try(self.upstream_status.unwrap_or(502));
                        self.way.comes_in(headers, self.tries.iter().filter_map(|tried| tried.status));
                        // Nothing is tried again from here on.
                        self.out.forget();
                    }
                    self.feed(|host, exchange| host.from_upstream(exchange, part));
                }
                Err(fault) => self.fail(fault),
            }
        }
        if let Link::Open(link, _) = &self.link
            && link.is_done()
            && (link.is_sent() || self.lane.is_closed())
        {
            self.let_go();
        }
        moved
    }

    /// The upstream is needed no more: its connection is kept for the next request, if it can serve one.
    fn let_go(&mut self) {
        self.lane.asks(None);
        if let Link::Open(link, address) = std::mem::replace(&mut self.link, Link::Over)
            && let Some(idle) = link.into_idle()
        {
            self.worker.pool.keep(address, idle, &self.way.keepalive(), self.since);
        }
    }

    /// The upstream did wrong: perhaps it is asked once more.
    fn fail(&mut self, mut fault: Fault) {
        let phase = self.phase();
        let link = std::mem::replace(&mut self.link, Link::Over);
        // A node that took no connection was asked, too. Of one that is only a name nobody knows where it is.
        if let Link::Connecting(_, (host, port)) = &link
            && let Some(known) = self.worker.settings().resolve.known(host, *port)
        {
            self.asks(known);
        }
        self.note_try(fault.status());
        let stale = matches!(&link, Link::Open(link, _) if link.is_reused()) && fault == Fault::Reset;
        if !stale && !self.lane.is_closed() {
            self.live.say(self.exchange, LogLevel::Error, errors::words(fault, phase));
        }
        self.lane.asks(None);
        if self.upstream_status.is_none() && self.out.whole && !self.lane.is_closed() {
            match link {
                // It was closed while it waited for us: a new connection is no second try.
                Link::Open(link, address)
                    if link.is_reused()
                        && fault == Fault::Reset
                        && (link.is_untouched() || is_idempotent(&self.lane.asker.asked.method)) =>
                {
                    self.out.again();
                    self.since = self.now;
                    self.link = Link::Connecting(upstream::connect(&address, &self.worker.settings().resolve), address);
                    return;
                }
                Link::Open(..) | Link::Connecting(..) => match self.try_next(fault, matches!(link, Link::Open(..))) {
                    None => return,
                    Some(counts) => fault = counts,
                },
                Link::Idle | Link::Over => {}
            }
        }
        self.give_up(fault);
    }

    /// How far it has come with the upstream that is asked now.
    fn phase(&self) -> Phase {
        match &self.link {
            Link::Idle | Link::Connecting(..) => Phase::Connecting,
            _ if self.upstream_status.is_some() => Phase::Body,
            Link::Open(link, _) if !link.is_sent() => Phase::Sending,
            Link::Open(..) | Link::Over => Phase::Head,
        }
    }

    /// Another node is asked, or this is what counts as the fault.
    fn try_next(&mut self, fault: Fault, connected: bool) -> Option<Fault> {
        let (since, facts) = (self.now.duration_since(self.first_asked), self.lane.asker.facts());
        let next = self.way.after((fault, connected), since, &mut self.worker.balancer.borrow_mut(), &facts);
        match next {
            Next::Ask(node) => {
                self.out.again();
                self.ask(node);
                None
            }
            Next::GiveUp(fault, line) => {
                if let Some(line) = line {
                    self.feed(|host, exchange| host.world_mut().log_about(Some(exchange), LogLevel::Error, line));
                }
                Some(fault)
            }
        }
    }

    fn give_up(&mut self, fault: Fault) {
        self.link = Link::Over;
        let begun = self.upstream_status.is_some();
        if self.way.has_gateway() && !begun {
            self.gateway_answers(fault.status(), "");
            return;
        }
        self.feed(|host, exchange| match fault {
            Fault::TimedOut => host.upstream_timed_out(exchange),
            Fault::Refused => host.upstream_refused(exchange),
            Fault::Reset | Fault::Garbage if begun => host.from_upstream(exchange, Part::Reset),
            Fault::Reset => host.upstream_reset(exchange),
            Fault::Garbage => host.upstream_garbage(exchange),
        });
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

impl Outgoing {
    fn take(&mut self, part: Part, bound: usize) {
        self.complete |= matches!(
            part,
            Part::Headers { end_of_stream: true, .. } | Part::Data { end_of_stream: true, .. } | Part::Trailers(_)
        );
        if let Part::Data { bytes, .. } = &part {
            self.bytes = self.bytes.saturating_add(bytes.len());
        }
        if self.bytes > bound {
            self.forget();
        }
        self.parts.push(part);
    }

    /// The next part that has not been sent.
    fn next(&mut self) -> Option<&Part> {
        if !self.whole && self.next > 0 {
            self.parts.drain(..self.next);
            self.next = 0;
        }
        let part = self.parts.get(self.next)?;
        self.next += 1;
        Some(part)
    }

    /// It won't be sent again.
    fn forget(&mut self) {
        self.whole = false;
    }

    /// Everything once more.
    fn again(&mut self) {
        self.next = 0;
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
