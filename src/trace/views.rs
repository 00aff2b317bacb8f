//! Pure functions of the trace that several consumers need: logs, what an end saw, calls made.

mod outside;

pub use outside::{NOT_SEEN, Observable, outside_view};

use super::{Effect, Event, GatewayEvent, HostcallRecord, HttpCall, Peer, Trap};
use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex};
use crate::message::{Headers, Part};
use bytes::Bytes;
use std::sync::Arc;

/// One log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The plugin that logged it; none for the host's own lines.
    pub plugin: Option<PluginIndex>,
    /// Severity.
    pub level: LogLevel,
    /// The bytes.
    pub message: Bytes,
}

/// The log lines of an event, in order.
pub fn log_lines(event: &Event) -> Vec<LogLine> {
    let record = match event {
        Event::Hostcall(record) => record,
        Event::HostLog { level, message } => {
            return vec![LogLine { plugin: None, level: *level, message: message.clone() }];
        }
        _ => return Vec::new(),
    };
    let lines = record.effects.iter().filter_map(|effect| match effect {
        Effect::Log { level, message } => {
            Some(LogLine { plugin: Some(record.plugin), level: *level, message: message.clone() })
        }
        _ => None,
    });
    lines.collect()
}

/// The log lines, in order.
pub fn logs(events: &[Event]) -> impl Iterator<Item = LogLine> + '_ {
    events.iter().flat_map(log_lines)
}

/// The hostcalls, in order.
pub fn hostcalls(events: &[Event]) -> impl Iterator<Item = &HostcallRecord> {
    events.iter().filter_map(|event| match event {
        Event::Hostcall(record) => Some(record),
        _ => None,
    })
}

/// What hostcalls did, in order.
pub fn effects(events: &[Event]) -> impl Iterator<Item = &Effect> {
    hostcalls(events).flat_map(|record| &record.effects)
}

/// The calls that plugins started, in order.
pub fn http_calls(events: &[Event]) -> impl Iterator<Item = (PluginIndex, &Arc<HttpCall>)> {
    hostcalls(events).flat_map(|record| {
        record.effects.iter().filter_map(|effect| match effect {
            Effect::HttpCall(call) => Some((record.plugin, call)),
            _ => None,
        })
    })
}

/// How many calls plugins started, HTTP and gRPC.
pub fn calls(events: &[Event]) -> usize {
    effects(events).filter(|effect| matches!(effect, Effect::HttpCall(_) | Effect::GrpcCall(_))).count()
}

/// The traps, in order.
pub fn traps(events: &[Event]) -> impl Iterator<Item = &Arc<Trap>> {
    events.iter().filter_map(|event| match event {
        Event::Trap(trap) => Some(trap),
        _ => None,
    })
}

/// What each call of a callback returned, in order, over the whole chain.
pub fn actions(events: &[Event], callback: Callback) -> Vec<u32> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::CallbackLeft(left) if left.callback == super::Entry::Callback(callback) => left.result,
            _ => None,
        })
        .collect()
}

/// A message as it arrived at one end, put together from its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenMessage {
    /// The head; `None` where nothing arrived.
    pub headers: Option<Headers>,
    /// It is the data of a TCP connection, and the connection was there.
    pub connected: bool,
    /// The node of an upstream that it went to, where a gateway chose one.
    pub node: Option<String>,
    /// All chunks together.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<Headers>,
    /// The message came to its end.
    pub complete: bool,
    /// The stream was broken off.
    pub reset: bool,
}

impl SeenMessage {
    /// Nothing of it arrived: no head of a message, no connection.
    pub fn is_nothing(&self) -> bool {
        self.headers.is_none() && !self.connected
    }
}

/// What one end saw of an exchange.
pub fn seen(events: &[Event], exchange: ExchangeId, at: Peer) -> SeenMessage {
    let mut seen = SeenMessage::default();
    for event in events {
        let (of, to, part) = match event {
            Event::Output { exchange: of, to, part } => (of, to, part),
            Event::ConnectionOpened(of) if *of == exchange => {
                seen.connected |= at == Peer::Client;
                continue;
            }
            Event::UpstreamConnected(of) if *of == exchange => {
                seen.connected |= at == Peer::Upstream;
                continue;
            }
            Event::Gateway(GatewayEvent::Node { exchange: of, node }) if *of == exchange && at == Peer::Upstream => {
                seen.node = Some(node.clone());
                continue;
            }
            _ => continue,
        };
        if *of != exchange || *to != at {
            continue;
        }
        match part {
            Part::Headers { headers, end_of_stream } => {
                seen.headers = Some(headers.clone());
                seen.complete |= end_of_stream;
            }
            Part::Data { bytes, end_of_stream } => {
                seen.body.extend_from_slice(bytes);
                seen.complete |= end_of_stream;
            }
            Part::Metadata(_) => {}
            Part::Trailers(trailers) => {
                seen.trailers = Some(trailers.clone());
                seen.complete = true;
            }
            Part::Reset => seen.reset = true,
        }
    }
    seen
}

/// What a plugin did in the calls of one callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It was never called.
    NotCalled,
    /// It returned 0 at once, every time.
    Idle,
    /// It made hostcalls, or returned something else.
    Active,
}

/// What a plugin did in a callback of an exchange.
pub fn activity(events: &[Event], exchange: ExchangeId, plugin: PluginIndex, callback: Callback) -> Activity {
    let entry = super::Entry::Callback(callback);
    let (mut activity, mut inside) = (Activity::NotCalled, false);
    for event in events {
        match event {
            Event::CallbackEntered(entered)
                if entered.exchange == Some(exchange) && entered.plugin == plugin && entered.callback == entry =>
            {
                inside = true;
                if activity == Activity::NotCalled {
                    activity = Activity::Idle;
                }
            }
            Event::Hostcall(_) | Event::Trap(_) if inside => activity = Activity::Active,
            Event::CallbackLeft(left) if inside => {
                inside = false;
                if left.result.is_some_and(|result| result != 0) {
                    activity = Activity::Active;
                }
            }
            _ => {}
        }
    }
    activity
}

/// The plugins of contexts whose `on_done` returned false, and that were neither told to be done nor deleted.
pub fn undeleted(events: &[Event]) -> Vec<PluginIndex> {
    let mut held: Vec<(PluginIndex, ContextId, Option<ExchangeId>)> = Vec::new();
    for event in events {
        match event {
            Event::CallbackLeft(left)
                if left.callback == super::Entry::Callback(Callback::OnDone) && left.result == Some(0) =>
            {
                held.push((left.plugin, left.context, left.exchange));
            }
            Event::CallbackEntered(entered) if entered.callback == super::Entry::Callback(Callback::OnDelete) => {
                held.retain(|(plugin, context, _)| (*plugin, *context) != (entered.plugin, entered.context));
            }
            Event::Hostcall(record) if record.effects.contains(&Effect::Done) => {
                held.retain(|(plugin, ..)| *plugin != record.plugin);
            }
            // Hosts that do not wait for streams have nothing more to say, with an on_delete or without.
            Event::ExchangeClosed(closed) => held.retain(|(_, _, exchange)| *exchange != Some(*closed)),
            _ => {}
        }
    }
    let mut plugins: Vec<PluginIndex> = held.into_iter().map(|(plugin, ..)| plugin).collect();
    plugins.dedup();
    plugins
}
