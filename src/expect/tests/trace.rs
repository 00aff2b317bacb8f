//! Traces made by hand.

use crate::abi::pairs::Pair;
use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex, Status};
use crate::expect::Judged;
use crate::host::profile::ENVOY;
use crate::message::{Headers, Part};
use crate::trace::{
    CallbackArgs, CallbackEntered, CallbackLeft, Effect, Entry, Event, HostcallRecord, HostcallResult, Peer, Trap,
    TrapKind,
};
use bytes::Bytes;
use std::sync::Arc;

pub const EXCHANGE: ExchangeId = ExchangeId(1);

/// A trace of one exchange and two plugins, and how it is judged.
pub struct Trace {
    pub events: Vec<Event>,
    pub plugins: Vec<(PluginIndex, String)>,
    pub from: usize,
    pub exchange: Option<ExchangeId>,
    pub stuck: bool,
}

pub fn pairs(entries: &[(&'static str, &'static str)]) -> Vec<Pair> {
    entries.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
}

pub fn trap(message: &str, panic: Option<&str>) -> Trap {
    Trap {
        plugin: PluginIndex(0),
        callback: Entry::Callback(Callback::OnRequestHeaders),
        context: ContextId(2),
        exchange: Some(EXCHANGE),
        kind: TrapKind::Guest,
        message: message.to_owned(),
        panic: panic.map(str::to_owned),
        frames: Vec::new(),
    }
}

impl Trace {
    pub fn new() -> Self {
        let plugins = vec![(PluginIndex(0), "hello".to_owned())];
        Self { events: Vec::new(), plugins, from: 0, exchange: Some(EXCHANGE), stuck: false }
    }

    pub fn second_plugin(mut self) -> Self {
        self.plugins.push((PluginIndex(1), "other".to_owned()));
        self
    }

    pub fn judged(&self) -> Judged<'_> {
        let range = self.from..self.events.len();
        Judged {
            only: None,
            events: &self.events,
            range,
            exchange: self.exchange,
            stuck: self.stuck,
            plugins: &self.plugins,
            profile: &ENVOY,
        }
    }

    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// What is judged begins here.
    pub fn step(mut self) -> Self {
        self.from = self.events.len();
        self
    }

    pub fn output(self, to: Peer, part: Part) -> Self {
        self.event(Event::Output { exchange: EXCHANGE, to, part })
    }

    /// A response at the client.
    pub fn response(self, headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Self {
        let headers: Headers = pairs(headers).into_iter().collect();
        let head = Part::Headers { headers, end_of_stream: body.is_empty() };
        let trace = self.output(Peer::Client, head);
        match body.is_empty() {
            true => trace,
            false => trace.output(Peer::Client, Part::Data { bytes: Bytes::from_static(body), end_of_stream: true }),
        }
    }

    pub fn effect_by(self, plugin: usize, name: &'static str, effect: Effect) -> Self {
        self.event(Event::Hostcall(HostcallRecord {
            plugin: PluginIndex(plugin),
            context: ContextId(2),
            exchange: Some(EXCHANGE),
            name,
            args: Vec::new(),
            result: HostcallResult::Status(Status::Ok),
            returned: Vec::new(),
            effects: vec![effect],
        }))
    }

    pub fn effect(self, effect: Effect) -> Self {
        self.effect_by(0, "proxy_x", effect)
    }

    /// A hostcall that was refused.
    pub fn refused(self, name: &'static str, status: Status) -> Self {
        let mut trace = self.effect_by(0, name, Effect::Done);
        if let Some(Event::Hostcall(record)) = trace.events.last_mut() {
            record.effects.clear();
            record.result = HostcallResult::Status(status);
        }
        trace
    }

    pub fn log(self, level: LogLevel, message: &'static str) -> Self {
        self.effect_by(0, "proxy_log", Effect::Log { level, message: Bytes::from(message) })
    }

    pub fn entered(self, callback: Callback) -> Self {
        let callback = Entry::Callback(callback);
        let (plugin, context, exchange) = (PluginIndex(0), ContextId(2), Some(EXCHANGE));
        self.event(Event::CallbackEntered(CallbackEntered {
            plugin,
            callback,
            context,
            exchange,
            args: CallbackArgs::default(),
        }))
    }

    pub fn left(self, plugin: usize, callback: Callback, result: u32) -> Self {
        let callback = Entry::Callback(callback);
        let (plugin, context, exchange, result) = (PluginIndex(plugin), ContextId(2), Some(EXCHANGE), Some(result));
        self.event(Event::CallbackLeft(CallbackLeft { plugin, callback, context, exchange, result }))
    }

    pub fn trap(self, trap: Trap) -> Self {
        self.event(Event::Trap(Arc::new(trap)))
    }
}
