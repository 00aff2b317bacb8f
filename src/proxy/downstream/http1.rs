//! A client's connection in HTTP/1.1: one request after the other, until one side has enough.
//!
//! One future that is polled; requests that came together wait in the buffer until it is their turn. What is not a
//! request is answered and ends the connection, for nobody knows where the next one begins.

mod serving;

use self::serving::{Continue, Served, Serving};
use super::answer;
use super::http2::{self, Parties};
use super::{DISCARDED, LINGER};
use crate::abi::ExchangeId;
use crate::gateway::facts;
use crate::host::store::HostId;
use crate::message::{Headers, Part};
use crate::proxy::alarm::Alarm;
use crate::proxy::date;
use crate::proxy::flight::{Client, ClientFault, Flight, status_of};
use crate::proxy::http1::body::{Body, Piece};
use crate::proxy::http1::head::Scan;
use crate::proxy::http1::request::{self, RequestHead};
use crate::proxy::http1::write::{self, Asked, Writing, Written};
use crate::proxy::http1::{HeadBounds, Refusal};
use crate::proxy::lane::Asker;
use crate::proxy::observer::Access;
use crate::proxy::wire::Wire;
use crate::proxy::worker::{Place, Worker};
use bytes::Bytes;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What a client that speaks HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a new connection is listened to while the server stops.
const LAST: Duration = Duration::from_millis(100);

/// A connection of a client.
pub(in crate::proxy) struct Connection {
    worker: Rc<Worker>,
    place: Place,
    wire: Wire,
    client: SocketAddr,
    server: SocketAddr,
    state: State,
    alarm: Alarm,
    /// When it was polled last.
    now: Instant,
    /// Until when the state may last.
    deadline: Instant,
    registered: bool,
}

enum State {
    /// The first bytes decide.
    Fresh,
    /// A request is to come, or has come in part.
    Head {
        scan: Scan,
        begun: bool,
    },
    Serving(Box<Serving>),
    /// What is left of a request's body is read for nothing.
    Discarding {
        body: Body,
        left: u64,
    },
    /// What waits is written, and then nothing more.
    Closing,
    /// The client reads what was written, and what it still sends is thrown away: a reset would take the answer away.
    Lingering,
    Ended,
}

/// How far one poll got.
enum Step {
    /// Something changed: look again.
    Again,
    /// Nothing to do until somebody wakes the task.
    Wait,
}

impl Connection {
    /// A connection that has just been accepted.
    pub(in crate::proxy) fn new(worker: &Rc<Worker>, io: TcpStream, client: SocketAddr, server: SocketAddr) -> Self {
        let now = Instant::now();
        let deadline = now + worker.settings().timeouts.head;
        let place = Place::new(worker);
        let state = State::Fresh;
        let (wire, alarm) = (Wire::new(io), Alarm::default());
        Self { worker: worker.clone(), place, wire, client, server, state, alarm, now, deadline, registered: false }
    }

    fn head_bounds(&self) -> HeadBounds {
        let bounds = &self.worker.settings().bounds;
        HeadBounds { bytes: bounds.head_bytes, target: bounds.target_bytes, lines: bounds.header_lines }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        match &mut self.state {
            State::Fresh => self.fresh(cx),
            State::Head { .. } => self.head(cx),
            State::Serving(_) => self.serve(cx),
            State::Discarding { .. } => self.discard(cx),
            State::Closing => match self.wire.poll_flush(cx) {
                Poll::Pending => Step::Wait,
                Poll::Ready(Err(_)) => self.turn(State::Ended),
                Poll::Ready(Ok(())) => match self.wire.poll_shutdown(cx) {
                    Poll::Pending => Step::Wait,
                    Poll::Ready(Err(_)) => self.turn(State::Ended),
                    Poll::Ready(Ok(())) => {
                        self.within(LINGER);
                        self.turn(State::Lingering)
                    }
                },
            },
            State::Lingering => {
                self.wire.input.clear();
                match self.wire.poll_fill(cx) {
                    Poll::Pending => Step::Wait,
                    Poll::Ready(Ok(1..)) => Step::Again,
                    Poll::Ready(Ok(0) | Err(_)) => self.turn(State::Ended),
                }
            }
            State::Ended => Step::Wait,
        }
    }

    fn turn(&mut self, state: State) -> Step {
        self.state = state;
        Step::Again
    }

    fn within(&mut self, time: Duration) {
        self.deadline = self.now + time;
    }

    fn fresh(&mut self, cx: &mut Context<'_>) -> Step {
        let input = &self.wire.input;
        if input.is_empty() && self.worker.is_stopping() {
            // Who connected before may have asked already.
            self.deadline = self.deadline.min(Instant::now() + LAST);
        }
        if !input.is_empty() {
            let known = input.len().min(PREFACE.len());
            if input[..known] != PREFACE[..known] {
                return self.turn(State::Head { scan: Scan::default(), begun: true });
            }
            if known == PREFACE.len() {
                return Step::Wait;
            }
        }
        self.fill(cx)
    }

    /// HTTP/2 has been spoken: the connection is somebody else's.
    fn speaks_http2(&self) -> bool {
        matches!(self.state, State::Fresh) && self.wire.input.starts_with(PREFACE)
    }

    /// Serves the connection to its end, in whichever protocol.
    pub(in crate::proxy) async fn serve_all(mut self) {
        (&mut self).await;
        if self.speaks_http2() {
            let (io, read) = self.wire.into_parts();
            let parties = Parties {
                worker: self.worker,
                connection: self.place.number,
                client: self.client,
                server: self.server,
            };
            http2::serve(parties, io, read.freeze(), self.place).await;
        }
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Step {
        match self.wire.poll_fill(cx) {
            Poll::Pending => Step::Wait,
            Poll::Ready(Ok(1..)) => Step::Again,
            Poll::Ready(Ok(0) | Err(_)) => self.turn(State::Ended),
        }
    }

    fn head(&mut self, cx: &mut Context<'_>) -> Step {
        let bounds = self.head_bounds();
        // A client that sends request after request and does not read the answers.
        if self.wire.out.len() >= self.worker.settings().bounds.waiting_bytes {
            match self.wire.poll_flush(cx) {
                Poll::Ready(Err(_)) => return self.turn(State::Ended),
                Poll::Pending => return Step::Wait,
                Poll::Ready(Ok(())) => {}
            }
        }
        let State::Head { scan, begun } = &mut self.state else { return Step::Again };
        if self.wire.input.is_empty() {
            if self.worker.is_stopping() {
                return self.turn(State::Closing);
            }
        } else {
            if !std::mem::replace(begun, true) {
                self.deadline = self.now + self.worker.settings().timeouts.head;
            }
            match request::parse(&mut self.wire.input, scan, &bounds) {
                Ok(Some(head)) => return self.open(head),
                Ok(None) => {}
                Err(refusal) => return self.refuse_head(refusal),
            }
        }
        // What answers earlier requests goes out before anything is waited for.
        match self.wire.poll_flush(cx) {
            Poll::Ready(Err(_)) => return self.turn(State::Ended),
            // A client that sends and does not read is not read from.
            Poll::Pending => return Step::Wait,
            Poll::Ready(Ok(())) => {}
        }
        self.fill(cx)
    }

    /// Refuses what has not become a request, so that nobody else tells of it.
    fn refuse_head(&mut self, refusal: Refusal) -> Step {
        if let State::Head { scan, .. } = &self.state {
            let line = scan.first_line(&self.wire.input);
            let (headers, body) = (Headers::new(), answer::message(refusal).1);
            let settings = self.worker.settings();
            let left = self.deadline.saturating_duration_since(self.now);
            settings.observer.access(&Access {
                worker: self.worker.index,
                host: HostId(0),
                exchange: ExchangeId(0),
                client: self.client,
                server: self.server,
                method: b"",
                target: &line,
                protocol: "",
                authority: b"",
                headers: &headers,
                status: Some(refusal.status),
                sent: body.len() as u64,
                received: 0,
                took: settings.timeouts.head.saturating_sub(left),
                tries: &[],
                upstream_host: b"",
                aborted: false,
            });
        }
        self.refuse(refusal, false)
    }

    fn refuse(&mut self, refusal: Refusal, head_only: bool) -> Step {
        answer::refuse(&mut self.wire.out, refusal, head_only);
        self.within(self.worker.settings().timeouts.send);
        self.turn(State::Closing)
    }

    fn open(&mut self, head: RequestHead) -> Step {
        let head_only = head.method == "HEAD";
        let refused = refused_upgrade(&head);
        let now = self.now;
        let asked = facts::Asked {
            method: head.method,
            target: head.target,
            authority: head.authority,
            scheme: Bytes::from_static(b"http"),
            headers: head.headers.clone(),
            client: self.client,
            server: self.server,
            protocol: head.version.text(),
        };
        let asker = Asker { connection: self.place.number, asked, began: now };
        if let Some(refusal) = refused {
            answer::note(&self.worker, &asker, refusal);
            return self.refuse(refusal, head_only);
        }
        let keep_alive = head.keep_alive && !self.worker.is_stopping();
        let body = Body::new(head.framing);
        let flight = match Flight::open(&self.worker, asker, head.headers, body.is_done()) {
            Ok(flight) => flight,
            Err(asker) => {
                answer::note(&self.worker, &asker, answer::STOPS);
                return self.refuse(answer::STOPS, head_only);
            }
        };
        self.turn(State::Serving(Box::new(Serving {
            flight,
            body,
            continues: if head.expects_continue { Continue::Owed } else { Continue::NotAsked },
            asked: Asked { version: head.version, head_only, keep_alive, date: None },
            writing: Writing::None,
            head_out: false,
            keep_alive,
            since: now,
            half_closed: None,
        })))
    }

    fn serve(&mut self, cx: &mut Context<'_>) -> Step {
        let bounds = self.head_bounds();
        let State::Serving(serving) = &mut self.state else { return Step::Again };
        let served = serving.poll(cx, self.now, &mut self.wire, &bounds, &self.worker);
        self.now = serving.flight.now();
        match served {
            Served::NotYet => {
                let timeouts = &self.worker.settings().timeouts;
                let own = match (self.wire.out.is_empty(), serving.flight.wants_body()) {
                    (false, _) => Some(serving.since + timeouts.send),
                    (true, true) => Some(serving.since + timeouts.body),
                    // It has gone away, or only says nothing more.
                    (true, false) => serving.half_closed.map(|at| at.max(serving.since) + timeouts.half_closed),
                };
                let never = serving.since + Duration::from_secs(1 << 30);
                self.deadline = [own, serving.flight.deadline()].into_iter().flatten().min().unwrap_or(never);
                Step::Wait
            }
            Served::Whole => {
                let State::Serving(serving) = std::mem::replace(&mut self.state, State::Ended) else {
                    return Step::Again;
                };
                let Serving { body, keep_alive, continues, flight, .. } = *serving;
                drop(flight);
                if !keep_alive {
                    self.within(self.worker.settings().timeouts.send);
                    return self.turn(State::Closing);
                }
                if body.is_done() {
                    return self.next_request();
                }
                if continues == Continue::Owed {
                    // It may send the body or not: what comes next can't be told.
                    self.within(self.worker.settings().timeouts.send);
                    return self.turn(State::Closing);
                }
                self.within(LINGER);
                self.turn(State::Discarding { body, left: DISCARDED })
            }
            Served::Gone => self.turn(State::Ended),
            Served::CutOff => {
                self.within(self.worker.settings().timeouts.send);
                self.turn(State::Closing)
            }
            Served::Refused(refusal) => {
                let (begun, head_only) = (serving.head_out, serving.asked.head_only);
                serving.flight.abort();
                if begun {
                    return self.turn(State::Ended);
                }
                serving.flight.note_answer(refusal.status);
                self.refuse(refusal, head_only)
            }
        }
    }

    fn next_request(&mut self) -> Step {
        self.within(self.worker.settings().timeouts.idle);
        self.turn(State::Head { scan: Scan::default(), begun: false })
    }

    fn discard(&mut self, cx: &mut Context<'_>) -> Step {
        let bounds = self.head_bounds();
        if let Poll::Ready(Err(_)) = self.wire.poll_flush(cx) {
            return self.turn(State::Ended);
        }
        let State::Discarding { body, left } = &mut self.state else { return Step::Again };
        loop {
            match body.next(&mut self.wire.input, &bounds) {
                Ok(Some(Piece::Data(bytes))) => match left.checked_sub(bytes.len() as u64) {
                    Some(less) => *left = less,
                    None => return self.turn(State::Closing),
                },
                Ok(Some(Piece::End | Piece::Trailers(_))) => return self.next_request(),
                Ok(None) => break,
                Err(_) => return self.turn(State::Closing),
            }
        }
        self.fill(cx)
    }

    /// The state has lasted too long.
    fn too_late(&mut self) -> Step {
        let late = |reason| Refusal { status: 408, reason };
        match &mut self.state {
            State::Head { begun: true, .. } => self.refuse_head(late("the head of the request did not come in time")),
            State::Fresh | State::Head { begun: false, .. } | State::Closing | State::Lingering | State::Ended => {
                self.turn(State::Ended)
            }
            State::Discarding { .. } => {
                self.within(LINGER);
                self.turn(State::Closing)
            }
            State::Serving(serving) => {
                let now = self.now;
                if serving.flight.deadline().is_some_and(|at| at <= now) {
                    serving.flight.too_late();
                    return Step::Again;
                }
                // It does not read, or has gone away.
                if !self.wire.out.is_empty() || serving.head_out || serving.half_closed.is_some() {
                    return self.turn(State::Ended);
                }
                let head_only = serving.asked.head_only;
                serving.flight.abort();
                serving.flight.note_answer(408);
                self.refuse(late("the body of the request did not come in time"), head_only)
            }
        }
    }
}

/// Another protocol on this connection. `h2c` may be ignored (RFC 9113 3.1), and clients that offer it count on
/// that; whoever asks for another one can't go on without it, so that an answer is clearer than silence.
fn refused_upgrade(head: &RequestHead) -> Option<Refusal> {
    let protocol = head.upgrade.as_ref()?;
    if protocol.eq_ignore_ascii_case(b"h2c") {
        return None;
    }
    Some(Refusal { status: 501, reason: "`Upgrade` is not served: no WebSockets, no tunnels" })
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.registered, true) {
            this.place.tell(cx.waker());
        }
        this.now = Instant::now();
        loop {
            while let Step::Again = this.step(cx) {}
            if matches!(this.state, State::Ended) {
                return Poll::Ready(());
            }
            if this.speaks_http2() {
                return Poll::Ready(());
            }
            match this.alarm.poll(cx, this.deadline) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => {
                    this.now = Instant::now();
                    this.too_late();
                }
            }
        }
    }
}
