//! From Envoy's log and from what was sighted at both ends to the events of a trace.
//!
//! At level `trace` Envoy logs each callback and each hostcall with its result. Arguments are pointers there, so what
//! a hostcall was about stays unknown, unless it shows elsewhere: as a log line, or as a call that arrives.

#[cfg(test)]
mod tests;

use super::log::Record;
use super::stage::shared;
use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex, Status};
use crate::host::hostcalls;
use crate::trace::views::NOT_SEEN;
use crate::trace::{
    CallbackArgs, CallbackEntered, CallbackLeft, Effect, Entry, Event, GrpcCall, GrpcKind, HostcallRecord,
    HostcallResult, HttpCall, Trap, TrapKind,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who logs with which prefix.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The plugin.
    pub plugin: PluginIndex,
    /// Its name.
    pub name: String,
    /// Its root id.
    pub root_id: String,
    /// Its VM's id.
    pub vm_id: String,
}

/// Builds the trace of one case.
#[derive(Debug)]
pub struct Tracer {
    /// What the log lines of each plugin begin with, longest first.
    prefixes: Vec<(Vec<u8>, PluginIndex)>,
    /// The trace so far.
    pub events: Vec<Event>,
    open: Vec<Open>,
    contexts: BTreeMap<u32, ExchangeId>,
    exchange: Option<ExchangeId>,
    calls_made: usize,
    services_called: u32,
}

#[derive(Debug)]
enum Open {
    Callback { name: String, entry: Option<Entry>, context: ContextId, plugin: PluginIndex, from: usize },
    Hostcall { name: String, effects: Vec<Effect> },
}

impl Tracer {
    /// An empty trace.
    pub fn new(speakers: &[Speaker]) -> Self {
        let mut prefixes = Vec::new();
        for speaker in speakers {
            let all = [
                &[&speaker.name, &speaker.root_id, &speaker.vm_id][..],
                &[&speaker.root_id, &speaker.vm_id],
                &[&speaker.vm_id],
                &[],
            ];
            for parts in all {
                let mut text = "wasm log".to_owned();
                for part in parts.iter().filter(|part| !part.is_empty()) {
                    text.push(' ');
                    text.push_str(part);
                }
                text.push_str(": ");
                prefixes.push((text.into_bytes(), speaker.plugin));
            }
        }
        prefixes.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let (open, contexts) = (Vec::new(), BTreeMap::new());
        Self { prefixes, events: Vec::new(), open, contexts, exchange: None, calls_made: 0, services_called: 0 }
    }

    /// Takes what is new, in the order in which it happened. `calls` are all calls of the case that arrived.
    pub fn absorb(&mut self, records: &[Record], sightings: Vec<(u64, Event)>, calls: &[HttpCall]) {
        let mut sightings = sightings.into_iter().peekable();
        for record in records {
            while let Some((_, event)) = sightings.next_if(|(at, _)| *at <= record.offset) {
                self.sighted(event);
            }
            self.record(record, calls);
        }
        for (_, event) in sightings {
            self.sighted(event);
        }
    }

    /// Only the log lines of these plugins' own VMs: at the start of a process the callbacks of many cases mix.
    pub fn absorb_logs(&mut self, records: &[Record]) {
        for record in records {
            if let Some((plugin, message)) = self.spoken(&record.text) {
                self.logged(record, plugin, message);
            }
        }
    }

    fn sighted(&mut self, event: Event) {
        if let Event::ExchangeOpened(exchange) | Event::ConnectionOpened(exchange) = event {
            self.exchange = Some(exchange);
        }
        self.events.push(event);
    }

    fn spoken(&self, text: &[u8]) -> Option<(PluginIndex, Bytes)> {
        self.prefixes
            .iter()
            .find_map(|(prefix, plugin)| Some((*plugin, Bytes::copy_from_slice(text.strip_prefix(&prefix[..])?))))
    }

    fn record(&mut self, record: &Record, calls: &[HttpCall]) {
        if let Some((plugin, message)) = self.spoken(&record.text) {
            self.logged(record, plugin, message);
            return;
        }
        let text = String::from_utf8_lossy(&record.text);
        if let Some(call) = text.strip_prefix("[host->vm] ") {
            self.entered(call);
        } else if let Some(left) = text.strip_prefix("[host<-vm] ") {
            self.left(left);
        } else if let Some(call) = text.strip_prefix("[vm->host] ") {
            let name = call.split('(').next().unwrap_or_default();
            let name = name.rsplit('.').next().unwrap_or_default().to_owned();
            self.open.push(Open::Hostcall { name, effects: Vec::new() });
        } else if let Some(left) = text.strip_prefix("[vm<-host] ") {
            self.returned(left, calls);
        } else if let Some(failed) = text.strip_prefix("Function: ")
            && let Some((name, message)) = failed.split_once(" failed: ")
        {
            self.trapped(name, message);
        }
    }

    fn logged(&mut self, record: &Record, plugin: PluginIndex, message: Bytes) {
        let level = match record.level.as_str() {
            "warning" => LogLevel::Warn,
            other => LogLevel::from_name(other).unwrap_or(LogLevel::Info),
        };
        let effect = Effect::Log { level, message };
        // Whoever speaks is the one whose callback runs.
        for open in &mut self.open {
            if let Open::Callback { plugin: owner, .. } = open {
                *owner = plugin;
            }
        }
        match self.open.last_mut() {
            Some(Open::Hostcall { effects, .. }) => effects.push(effect),
            _ => self.hostcall("proxy_log", HostcallResult::Status(Status::Ok), plugin, vec![effect]),
        }
    }

    fn hostcall(&mut self, name: &'static str, result: HostcallResult, plugin: PluginIndex, effects: Vec<Effect>) {
        let context = self.open.iter().find_map(|open| match open {
            Open::Callback { context, .. } => Some(*context),
            Open::Hostcall { .. } => None,
        });
        let context = context.unwrap_or(ContextId(0));
        let exchange = self.contexts.get(&context.0).copied();
        let (args, returned) = (Vec::new(), Vec::new());
        self.events.push(Event::Hostcall(HostcallRecord {
            plugin,
            context,
            exchange,
            name,
            args,
            result,
            returned,
            effects,
        }));
    }

    fn speaker(&self) -> PluginIndex {
        let open = self.open.iter().rev().find_map(|open| match open {
            Open::Callback { plugin, .. } => Some(*plugin),
            Open::Hostcall { .. } => None,
        });
        open.unwrap_or(PluginIndex(0))
    }

    fn entered(&mut self, call: &str) {
        let (name, args) = call.split_once('(').unwrap_or((call, ""));
        let args: Vec<u32> = args
            .trim_end_matches(')')
            .split(',')
            // Negative where the upper bit is set.
            .filter_map(|text| text.trim().parse::<i64>().ok().map(|number| number as u32))
            .collect();
        let entry = entry(name);
        let context = ContextId(args.first().copied().unwrap_or(0));
        let from = self.events.len();
        let plugin = PluginIndex(0);
        if let Some(callback) = entry {
            if callback == Entry::Callback(Callback::OnContextCreate)
                && args.get(1).is_some_and(|parent| *parent != 0)
                && let Some(exchange) = self.exchange
            {
                self.contexts.insert(context.0, exchange);
            }
            let exchange = self.contexts.get(&context.0).copied();
            let args = CallbackArgs::new(args.get(1..).unwrap_or_default());
            self.events.push(Event::CallbackEntered(CallbackEntered { plugin, callback, context, exchange, args }));
        }
        self.open.push(Open::Callback { name: name.to_owned(), entry, context, plugin, from });
    }

    fn left(&mut self, left: &str) {
        let Some((name, result)) = left.split_once(" return: ") else { return };
        let Some(at) = self.open.iter().rposition(|open| matches!(open, Open::Callback { name: of, .. } if of == name))
        else {
            return;
        };
        let closed = self.open.split_off(at);
        if let Some(Open::Callback { entry: Some(callback), context, plugin, from, .. }) = closed.into_iter().next() {
            let exchange = self.contexts.get(&context.0).copied();
            let result = result.trim().parse::<i64>().ok().map(|number| number as u32);
            self.name_speaker(from, plugin);
            self.events.push(Event::CallbackLeft(CallbackLeft { plugin, callback, context, exchange, result }));
        }
    }

    /// Who it is shows only when something is logged, and the callback began before.
    fn name_speaker(&mut self, from: usize, of: PluginIndex) {
        if let Some(Event::CallbackEntered(entered)) = self.events.get_mut(from) {
            entered.plugin = of;
        }
    }

    fn returned(&mut self, left: &str, calls: &[HttpCall]) {
        let Some((name, result)) = left.split_once(" return: ") else { return };
        let name = name.rsplit('.').next().unwrap_or_default();
        let Some(at) = self.open.iter().rposition(|open| matches!(open, Open::Hostcall { name: of, .. } if of == name))
        else {
            return;
        };
        let closed = self.open.split_off(at);
        let Some(Open::Hostcall { mut effects, .. }) = closed.into_iter().next() else { return };
        let number = result.trim().parse::<i64>().ok().map(|number| number as u32);
        let wasi = !name.starts_with("proxy_");
        let result = match number {
            Some(errno) if wasi => HostcallResult::Errno(errno as u16),
            Some(status) => Status::from_u32(status).map_or(HostcallResult::None, HostcallResult::Status),
            None => HostcallResult::None,
        };
        if name == "proxy_http_call" && result == HostcallResult::Status(Status::Ok) {
            effects.push(Effect::HttpCall(shared(calls.get(self.calls_made).unwrap_or(&not_seen()))));
            self.calls_made += 1;
        }
        if matches!(name, "proxy_grpc_call" | "proxy_grpc_stream") && result == HostcallResult::Status(Status::Ok) {
            self.services_called += 1;
            let unseen = || Bytes::from_static(b"(not seen)");
            effects.push(Effect::GrpcCall(Arc::new(GrpcCall {
                id: crate::abi::CallId(self.services_called),
                upstream: unseen(),
                service: unseen(),
                method: unseen(),
                metadata: Vec::new(),
                kind: GrpcKind::Stream,
            })));
        }
        let plugin = self.speaker();
        if let Some(row) = hostcalls::rows().find(|row| row.name == name) {
            self.hostcall(row.name, result, plugin, effects);
        } else if !effects.is_empty() {
            self.hostcall("proxy_log", result, plugin, effects);
        }
    }

    fn trapped(&mut self, name: &str, message: &str) {
        let at = self.open.iter().rposition(|open| matches!(open, Open::Callback { name: of, .. } if of == name));
        let mut closed = at.map(|at| self.open.split_off(at)).unwrap_or_default();
        let callback = match entry(name) {
            Some(callback) => callback,
            // The allocator: the callback that asked for memory goes on, in a VM that has failed.
            None => {
                let running = self.open.iter().rev().find_map(|open| match open {
                    Open::Callback { entry: Some(entry), context, plugin, from, .. } => {
                        Some((*entry, *context, *plugin, *from))
                    }
                    _ => None,
                });
                let Some((entry, context, plugin, from)) = running else { return };
                let name = name.to_owned();
                closed = vec![Open::Callback { name, entry: Some(entry), context, plugin, from }];
                entry
            }
        };
        let (mut context, mut plugin, mut from) = (ContextId(0), PluginIndex(0), self.events.len());
        let mut closed = closed.into_iter();
        if let Some(Open::Callback { context: c, plugin: p, from: f, .. }) = closed.next() {
            (context, plugin, from) = (c, p, f);
        }
        // A hostcall that did not return may have logged.
        for open in closed {
            if let Open::Hostcall { effects, .. } = open
                && !effects.is_empty()
            {
                self.hostcall("proxy_log", HostcallResult::None, plugin, effects);
            }
        }
        self.name_speaker(from, plugin);
        let exchange = self.contexts.get(&context.0).copied();
        let panic = panic_message(self.events.get(from..).unwrap_or_default());
        self.events.push(Event::Trap(Arc::new(Trap {
            plugin,
            callback,
            context,
            exchange,
            kind: TrapKind::Guest,
            message: message.trim().to_owned(),
            panic,
            frames: Vec::new(),
        })));
    }
}

impl Tracer {
    /// What Envoy has counted.
    pub fn counted(&mut self, effects: Vec<Effect>) {
        self.hostcall("proxy_record_metric", HostcallResult::None, PluginIndex(0), effects);
    }

    /// Envoy came to its end while this was going on.
    pub fn crashed(&mut self, message: &str) {
        let callback = self.open.iter().rev().find_map(|open| match open {
            Open::Callback { entry, .. } => *entry,
            Open::Hostcall { .. } => None,
        });
        let callback = callback.unwrap_or(Entry::Start("start section"));
        self.events.push(Event::Trap(Arc::new(Trap {
            plugin: self.speaker(),
            callback,
            context: ContextId(0),
            exchange: None,
            kind: TrapKind::Guest,
            message: message.to_owned(),
            panic: None,
            frames: Vec::new(),
        })));
    }
}

/// A call that was made and that nobody saw.
pub fn not_seen() -> HttpCall {
    HttpCall {
        id: crate::abi::CallId(0),
        upstream: Bytes::from_static(NOT_SEEN),
        headers: Vec::new(),
        body: Bytes::new(),
        trailers: Vec::new(),
        timeout_ms: 0,
    }
}

fn entry(name: &str) -> Option<Entry> {
    if name.starts_with("proxy_on_") {
        return Callback::from_name(name).map(Entry::Callback);
    }
    ["_initialize", "_start", "main", "__main_void"].into_iter().find(|start| *start == name).map(Entry::Start)
}

/// What a plugin logged at error or above.
fn panic_message(events: &[Event]) -> Option<String> {
    let lines = crate::trace::views::logs(events).filter(|line| line.level >= LogLevel::Error);
    let text: Vec<String> = lines.map(|line| String::from_utf8_lossy(&line.message).into_owned()).collect();
    let text = text.join("\n").trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}
