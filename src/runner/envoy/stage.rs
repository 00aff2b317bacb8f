//! What client, origin and the servers of calls share while a case is played: who is on, what was sighted, and
//! when a call may be answered.
//!
//! Every sighting carries the length of Envoy's log at that moment, so that wire and log can be put in one order.

use super::barrier::Barrier;
use super::http1::{Reader, Rest};
use super::log;
use super::server_grpc::Arrived;
use super::wire::Wire;
use crate::abi::{CallId, ExchangeId};
use crate::message::{Headers, Part};
use crate::scenario::{Protocol, Reply, Request, Upstream};
use crate::trace::{Event, HttpCall, Peer};
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// What a server does with a message that it has all of.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It answers; a response to HEAD has no body.
    Reply(Box<Reply>, bool),
    /// It breaks off.
    Reset,
    /// It answers with something that is not HTTP.
    Garbage,
    /// It says nothing, until the other end goes away.
    Silence,
}

/// Which of our servers it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The origin.
    Origin,
    /// The upstream of this name, which plugins call.
    Upstream(String),
}

/// A message that one of our servers is getting.
#[derive(Debug)]
pub struct Ticket {
    scene: usize,
    of: Of,
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Exchange(ExchangeId),
    Call(usize),
    Nobody,
}

/// A request of the case that is on.
#[derive(Debug)]
pub struct Flight {
    /// Its exchange.
    pub exchange: ExchangeId,
    /// What is asked, and what the origin answers.
    pub request: Rc<Request>,
    /// How often it reached the origin.
    pub arrivals: usize,
    /// The client has the whole answer, or was cut off.
    pub ended: bool,
}

/// A call that reached one of our servers.
#[derive(Debug)]
pub struct Call {
    /// What arrived.
    pub call: HttpCall,
    /// The whole of it is there.
    pub complete: bool,
    /// It was given a plan, or found to have none.
    pub planned: bool,
    /// Envoy gave it up.
    pub gone: bool,
    answer: Option<oneshot::Sender<Answer>>,
    waiting: Option<oneshot::Receiver<Answer>>,
}

/// The case that is on.
#[derive(Debug)]
pub struct Scene {
    number: usize,
    /// What was sighted, with the length of the log then.
    pub sightings: Vec<(u64, Event)>,
    /// The requests so far.
    pub flights: Vec<Flight>,
    /// The TCP connections so far.
    pub wires: Vec<Wire>,
    /// The calls so far.
    pub calls: Vec<Call>,
    /// The gRPC calls and streams so far.
    pub services: Vec<Arrived>,
    /// How the two ends speak.
    pub protocol: Protocol,
}

/// One Envoy's surroundings.
#[derive(Debug)]
pub struct Stage {
    log: PathBuf,
    /// The worker's barrier.
    pub barrier: Barrier,
    /// The case that is on.
    pub scene: RefCell<Scene>,
    /// Something was sighted.
    pub moved: Notify,
    /// Who still waits for a rest of a message gives up: Envoy has nothing more to send.
    pub hurry: Notify,
}

impl Stage {
    /// An empty stage.
    pub fn new(log: PathBuf, barrier: Barrier) -> Rc<Self> {
        let scene = Scene::new(0, Protocol::Http1);
        Rc::new(Self { log, barrier, scene: RefCell::new(scene), moved: Notify::new(), hurry: Notify::new() })
    }

    /// The next case begins; what still arrives for the one before is nobody's.
    pub fn clear(&self, protocol: Protocol) {
        let mut scene = self.scene.borrow_mut();
        *scene = Scene::new(scene.number + 1, protocol);
    }

    /// Something was sighted.
    pub fn sight(&self, event: Event) {
        let at = log::length(&self.log);
        self.scene.borrow_mut().sightings.push((at, event));
        self.moved.notify_waiters();
    }

    /// A sighting by somebody who may belong to a case that is over.
    pub fn sight_for(&self, scene: usize, event: Event) {
        if self.scene.borrow().number == scene {
            self.sight(event);
        }
    }

    /// The number of the case that is on.
    pub fn number(&self) -> usize {
        self.scene.borrow().number
    }

    /// The client's end of an exchange is over.
    pub fn client_ended(&self, scene: usize, exchange: ExchangeId) {
        let mut current = self.scene.borrow_mut();
        if current.number == scene
            && let Some(flight) = current.flights.iter_mut().find(|flight| flight.exchange == exchange)
        {
            flight.ended = true;
        }
        drop(current);
        self.moved.notify_waiters();
    }

    /// One end of a TCP connection got its last.
    pub fn wire_closed(&self, scene: usize, exchange: ExchangeId, peer: Peer) {
        let mut current = self.scene.borrow_mut();
        if current.number == scene
            && let Some(wire) = current.wires.iter_mut().find(|wire| wire.exchange == exchange)
        {
            let [client, upstream] = &mut wire.closed;
            match peer {
                Peer::Client => *client = true,
                Peer::Upstream => *upstream = true,
            }
        }
    }

    /// A message begins to arrive at one of our servers.
    pub fn arrived(&self, role: &Role, mut headers: Headers, end_of_stream: bool) -> Ticket {
        let mut scene = self.scene.borrow_mut();
        let number = scene.number;
        let of = match role {
            Role::Origin => {
                // The latest that has not come through yet; one that was stuck before it may come in a step without
                // a request.
                let newest = scene.flights.iter_mut().rev().find(|flight| flight.arrivals == 0 && !flight.ended);
                let flight = match newest {
                    Some(flight) => Some(flight),
                    None => scene.flights.last_mut(),
                };
                flight.map_or(Of::Nobody, |flight| {
                    flight.arrivals += 1;
                    if unannounced(&flight.request) && headers.get(b"content-length").is_some_and(|v| v == "0") {
                        headers.remove(b"content-length");
                    }
                    Of::Exchange(flight.exchange)
                })
            }
            Role::Upstream(name) => {
                let (answer, waiting) = oneshot::channel();
                let call = called(scene.calls.len(), name, &headers);
                let (answer, waiting) = (Some(answer), Some(waiting));
                scene.calls.push(Call { call, complete: end_of_stream, planned: false, gone: false, answer, waiting });
                Of::Call(scene.calls.len() - 1)
            }
        };
        drop(scene);
        if let Of::Exchange(exchange) = of {
            let part = Part::Headers { headers, end_of_stream };
            self.sight(Event::Output { exchange, to: Peer::Upstream, part });
        }
        self.moved.notify_waiters();
        Ticket { scene: number, of }
    }

    /// More of it.
    pub fn part(&self, ticket: &Ticket, part: Part) {
        if self.number() != ticket.scene {
            return;
        }
        match ticket.of {
            Of::Exchange(exchange) => self.sight(Event::Output { exchange, to: Peer::Upstream, part }),
            Of::Call(at) => {
                if let Some(call) = self.scene.borrow_mut().calls.get_mut(at) {
                    call.add(part);
                }
                self.moved.notify_waiters();
            }
            Of::Nobody => {}
        }
    }

    /// The next piece of a message, or its end where nothing more comes: a plugin may announce more than there is.
    pub async fn piece_of(&self, ticket: &Ticket, reader: &mut Reader, rest: &mut Rest) -> io::Result<Option<Part>> {
        match ticket.of {
            Of::Exchange(_) => self.or_hurried(reader, rest).await,
            Of::Call(_) | Of::Nobody => reader.piece(rest).await,
        }
    }

    /// The same for the client.
    pub async fn piece(
        &self,
        scene: usize,
        _: ExchangeId,
        reader: &mut Reader,
        rest: &mut Rest,
    ) -> io::Result<Option<Part>> {
        match self.number() == scene {
            true => self.or_hurried(reader, rest).await,
            false => Ok(None),
        }
    }

    async fn or_hurried(&self, reader: &mut Reader, rest: &mut Rest) -> io::Result<Option<Part>> {
        tokio::select! {
            biased;
            piece = reader.piece(rest) => piece,
            () = self.hurry.notified() => {
                *rest = Rest::Done;
                Ok(Some(Part::Data { bytes: Bytes::new(), end_of_stream: true }))
            }
        }
    }

    /// What is to be done with a message that is complete.
    pub async fn answer(&self, ticket: &Ticket) -> Answer {
        let waiting = {
            let mut scene = self.scene.borrow_mut();
            if scene.number != ticket.scene {
                return Answer::Reset;
            }
            match ticket.of {
                Of::Exchange(exchange) => {
                    let flight = scene.flights.iter().find(|flight| flight.exchange == exchange);
                    return flight.map_or(Answer::Reset, |flight| origin_answer(&flight.request));
                }
                Of::Call(at) => scene.calls.get_mut(at).and_then(|call| call.waiting.take()),
                Of::Nobody => None,
            }
        };
        match waiting {
            // Dropped with its case.
            Some(waiting) => waiting.await.unwrap_or(Answer::Reset),
            None => Answer::Reset,
        }
    }

    /// Envoy does not wait for this one any more.
    pub fn gone(&self, ticket: &Ticket) {
        let mut scene = self.scene.borrow_mut();
        if scene.number == ticket.scene
            && let Of::Call(at) = ticket.of
            && let Some(call) = scene.calls.get_mut(at)
        {
            call.gone = true;
        }
        drop(scene);
        self.moved.notify_waiters();
    }

    /// Lets a call be answered.
    pub fn release(&self, at: usize, answer: Answer) {
        let sender = self.scene.borrow_mut().calls.get_mut(at).and_then(|call| call.answer.take());
        if let Some(sender) = sender {
            // Nobody listens where Envoy has given up.
            let _ = sender.send(answer);
        }
    }
}

impl Scene {
    /// Which case it is.
    pub fn number(&self) -> usize {
        self.number
    }

    fn new(number: usize, protocol: Protocol) -> Self {
        Self {
            number,
            sightings: Vec::new(),
            flights: Vec::new(),
            wires: Vec::new(),
            calls: Vec::new(),
            services: Vec::new(),
            protocol,
        }
    }
}

impl Call {
    fn add(&mut self, part: Part) {
        match part {
            Part::Headers { .. } | Part::Metadata(_) | Part::Reset => {}
            Part::Data { bytes, end_of_stream } => {
                self.call.body = [&self.call.body[..], &bytes[..]].concat().into();
                self.complete |= end_of_stream;
            }
            Part::Trailers(trailers) => {
                self.call.trailers = trailers.into_iter().collect();
                self.complete = true;
            }
        }
    }
}

/// Envoy says of such a request on HTTP/1.1 that it has no body.
fn unannounced(request: &Request) -> bool {
    request.body.is_none() && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))
}

/// The call as the plugin made it: what Envoy adds on the way is taken off.
fn called(number: usize, upstream: &str, headers: &Headers) -> HttpCall {
    let timeout = headers.get(b"x-envoy-expected-rq-timeout-ms").and_then(|value| std::str::from_utf8(value).ok());
    let added: [&[u8]; 4] =
        [b"x-envoy-internal", b"x-envoy-expected-rq-timeout-ms", b"transfer-encoding", b"content-length"];
    let kept = headers.iter().filter(|(name, _)| !added.contains(&&name[..]));
    HttpCall {
        id: CallId(number as u32),
        upstream: Bytes::from(upstream.to_owned()),
        headers: kept.map(|(k, v)| (k.clone(), v.clone())).collect(),
        body: Bytes::new(),
        trailers: Vec::new(),
        timeout_ms: timeout.and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}

fn origin_answer(request: &Request) -> Answer {
    use crate::scenario::Failure;
    let head = request.method == "HEAD";
    match &request.upstream {
        Upstream::Reply(reply) => Answer::Reply(Box::new(reply.clone()), head),
        Upstream::Never(_) => Answer::Reply(Box::default(), head),
        Upstream::Fail(Failure::Timeout) => Answer::Silence,
        Upstream::Fail(Failure::Garbage) => Answer::Garbage,
        Upstream::Fail(Failure::Reset | Failure::Refused | Failure::Unknown) => Answer::Reset,
    }
}

/// An answered call, as the trace keeps it.
pub fn shared(call: &HttpCall) -> Arc<HttpCall> {
    Arc::new(call.clone())
}
