//! What was said in one exchange: what both ends sent and got, the calls of the plugins with their answers, what they
//! logged, and how they broke. It is what a recording is made of, and what a run of that recording is compared by.
//!
//! Taken from the trace event by event, so that nobody has to keep the trace. All of it is bounded: of a message that
//! is too long nothing is kept but that it was.

use super::{CallAnswer, CallResponse, Effect, Event, HttpCall, Peer, Trap};
use crate::abi::{CallId, ExchangeId, LogLevel, PluginIndex};
use crate::message::{Headers, Part};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is kept of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one body.
    pub body: usize,
    /// Bytes of everything together, and log lines count as many more.
    pub whole: usize,
    /// Conversations that have begun and not been taken.
    pub open: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { body: 64 << 10, whole: 1 << 20, open: 10_000 }
    }
}

/// Counted for each piece, beside the bytes in it.
const PIECE: usize = 64;

/// A message, in the pieces in which it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its head; none where nothing came.
    pub headers: Option<Headers>,
    /// Its body's pieces, empty ones left out.
    pub chunks: Vec<Bytes>,
    /// Its trailers.
    pub trailers: Option<Headers>,
    /// It has more than a head.
    pub has_body: bool,
    /// Its end came with the last piece of its body, and not behind it.
    pub ends_with_last: bool,
    /// It has come to its end.
    pub complete: bool,
    /// It was broken off.
    pub reset: bool,
}

impl Message {
    fn take(&mut self, part: &Part) {
        match part {
            Part::Headers { headers, end_of_stream } => {
                self.headers = Some(headers.clone());
                self.complete |= end_of_stream;
            }
            Part::Data { bytes, end_of_stream } => {
                self.has_body = true;
                if !bytes.is_empty() {
                    self.chunks.push(bytes.clone());
                    self.ends_with_last = *end_of_stream;
                }
                self.complete |= end_of_stream;
            }
            Part::Trailers(trailers) => {
                self.trailers = Some(trailers.clone());
                self.complete = true;
            }
            Part::Metadata(_) => {}
            Part::Reset => self.reset = true,
        }
    }

    /// The whole body.
    pub fn body(&self) -> Bytes {
        match self.chunks.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            several => several.concat().into(),
        }
    }

    fn length(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// A call of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The call.
    pub call: Arc<HttpCall>,
    /// What came of it; none where nobody waited for that.
    pub answer: Option<Answered>,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its place among the answers of its exchange.
    pub place: usize,
    /// What the plugin got, or why it got nothing.
    pub with: Result<Arc<CallResponse>, String>,
}

/// Why a conversation can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// A body is longer than the bound.
    LongBody,
    /// All together is more than the bound.
    TooMuch,
    /// A plugin made a gRPC call.
    Grpc,
    /// There were frames of HTTP/2's extension METADATA.
    Metadata,
    /// The host that is imitated would have died.
    Crash,
}

/// One exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// What the client sent.
    pub request: Message,
    /// What the upstream got.
    pub forwarded: Message,
    /// What the upstream sent.
    pub response: Message,
    /// What the client got.
    pub returned: Message,
    /// The upstream answered before the request had come to its end.
    pub early: bool,
    /// Lines of the plugins, in order.
    pub logs: Vec<(LogLevel, Bytes)>,
    /// Calls of the plugins, in order.
    pub calls: Vec<Call>,
    /// Where plugins broke.
    pub traps: Vec<Arc<Trap>>,
    /// Why the host itself answered, in its words.
    pub details: Option<String>,
    /// Why it can't be told.
    pub untold: Option<Untold>,
    bytes: usize,
}

impl Conversation {
    fn part(&mut self, from: Option<Peer>, to: Option<Peer>, part: &Part, bounds: &Bounds) {
        let weight = match part {
            Part::Headers { headers, .. } | Part::Trailers(headers) => headers.byte_size() + PIECE * headers.len(),
            Part::Data { bytes, .. } => bytes.len(),
            Part::Metadata(_) => {
                self.give_up(Untold::Metadata);
                0
            }
            Part::Reset => 0,
        };
        if !self.weighs(weight, bounds) {
            return;
        }
        if from == Some(Peer::Upstream) && matches!(part, Part::Headers { .. }) {
            self.early = !self.forwarded.complete;
        }
        let message = match (from, to) {
            (Some(Peer::Client), _) => &mut self.request,
            (Some(Peer::Upstream), _) => &mut self.response,
            (None, Some(Peer::Upstream)) => &mut self.forwarded,
            (None, Some(Peer::Client) | None) => &mut self.returned,
        };
        message.take(part);
        if message.length() > bounds.body {
            self.give_up(Untold::LongBody);
        }
    }

    fn weighs(&mut self, bytes: usize, bounds: &Bounds) -> bool {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(PIECE);
        if self.bytes > bounds.whole {
            self.give_up(Untold::TooMuch);
        }
        self.untold.is_none()
    }

    /// Keeps no more than that nothing is kept, and the request's head, by which it can be named.
    fn give_up(&mut self, why: Untold) {
        if self.untold.is_none() {
            let headers = self.request.headers.take();
            let request = Message { headers, ..Message::default() };
            *self = Self { request, untold: Some(why), ..Self::default() };
        }
    }

    fn effect(&mut self, effect: &Effect, bounds: &Bounds) -> Option<CallId> {
        match effect {
            Effect::Log { level, message } => {
                if self.weighs(message.len(), bounds) {
                    self.logs.push((*level, message.clone()));
                }
                None
            }
            Effect::HttpCall(call) => {
                let kept = call.headers.iter().map(|(name, value)| name.len() + value.len() + PIECE).sum::<usize>();
                if call.body.len() > bounds.body {
                    self.give_up(Untold::LongBody);
                }
                if self.weighs(kept.saturating_add(call.body.len()), bounds) {
                    self.calls.push(Call { call: call.clone(), answer: None });
                    return Some(call.id);
                }
                None
            }
            Effect::GrpcCall(_) => {
                self.give_up(Untold::Grpc);
                None
            }
            _ => None,
        }
    }

    fn answered(&mut self, id: CallId, answer: &CallAnswer, bounds: &Bounds) {
        let place = self.calls.iter().filter(|call| call.answer.is_some()).count();
        let with = match answer {
            CallAnswer::Response { response, body, .. } => {
                if *body > bounds.body {
                    self.give_up(Untold::LongBody);
                }
                if !self.weighs(body.saturating_add(response.headers.byte_size()), bounds) {
                    return;
                }
                Ok(response.clone())
            }
            CallAnswer::Failed(why) => Err(why.clone()),
        };
        if let Some(call) = self.calls.iter_mut().find(|call| call.call.id == id && call.answer.is_none()) {
            call.answer = Some(Answered { place, with });
        }
    }
}

/// A conversation that has come to its end on a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What was said.
    pub conversation: Conversation,
    /// `HTTP/1.1`, `HTTP/2`
    pub protocol: &'static str,
    /// The client broke it off.
    pub aborted: bool,
    /// The number of the host: what plugins keep from one request to the next, they keep for each.
    pub host: u32,
    /// The upstream was asked and gave no answer: 502, or 504 where it took too long.
    pub failed: Option<u16>,
}

/// The exchanges of one host that have not been taken yet.
#[derive(Debug, Default)]
pub struct Conversations {
    bounds: Bounds,
    open: BTreeMap<ExchangeId, Conversation>,
    calls: BTreeMap<(PluginIndex, CallId), ExchangeId>,
    /// Whose callback runs.
    running: Option<ExchangeId>,
}

impl Conversations {
    /// None yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Listens to one more event; says whether a conversation was forgotten for it.
    pub fn add(&mut self, event: &Event) -> bool {
        let mut forgotten = false;
        match event {
            Event::ExchangeOpened(exchange) => {
                if self.open.len() >= self.bounds.open {
                    forgotten = self.open.pop_first().is_some();
                }
                self.open.insert(*exchange, Conversation::default());
            }
            Event::Input { exchange, from, part } => self.part(*exchange, Some(*from), None, part),
            Event::Output { exchange, to, part } => self.part(*exchange, None, Some(*to), part),
            Event::CallbackEntered(entered) => self.running = entered.exchange,
            Event::CallbackLeft(_) => self.running = None,
            Event::Hostcall(record) => {
                let exchange = record.exchange.or(self.running);
                let Some((id, of)) = exchange.and_then(|id| Some((id, self.open.get_mut(&id)?))) else {
                    return false;
                };
                for effect in &record.effects {
                    if let Some(call) = of.effect(effect, &self.bounds) {
                        self.calls.insert((record.plugin, call), id);
                    }
                }
            }
            Event::CallAnswered { call, plugin, answer } => {
                let of = self.calls.remove(&(*plugin, *call));
                if let Some(of) = of.and_then(|id| self.open.get_mut(&id)) {
                    of.answered(*call, answer, &self.bounds);
                }
            }
            Event::Trap(trap) => {
                self.running = None;
                if let Some(of) = trap.exchange.and_then(|id| self.open.get_mut(&id)) {
                    of.traps.push(trap.clone());
                }
            }
            Event::HostReply { exchange, details, .. } => {
                if let Some(of) = self.open.get_mut(exchange) {
                    of.details = Some(details.clone());
                }
            }
            Event::HostCrash { .. } => {
                if let Some(of) = self.running.and_then(|id| self.open.get_mut(&id)) {
                    of.give_up(Untold::Crash);
                }
            }
            _ => {}
        }
        forgotten
    }

    fn part(&mut self, exchange: ExchangeId, from: Option<Peer>, to: Option<Peer>, part: &Part) {
        if let Some(of) = self.open.get_mut(&exchange) {
            of.part(from, to, part, &self.bounds);
        }
    }

    /// What was said in an exchange; it is forgotten here.
    pub fn take(&mut self, exchange: ExchangeId) -> Option<Conversation> {
        let taken = self.open.remove(&exchange)?;
        if !taken.calls.is_empty() || taken.untold.is_some() {
            self.calls.retain(|_, of| *of != exchange);
        }
        Some(taken)
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What was said in the exchanges of a trace, in the order in which they began.
    pub fn of(events: &[Event]) -> Vec<Conversation> {
        let mut all = Self::new(Bounds { body: usize::MAX, whole: usize::MAX, open: usize::MAX });
        for event in events {
            all.add(event);
        }
        all.open.into_values().collect()
    }
}
