//! One line of text for one event, for `--trace` and for the part of a trace that stands beside a failure.
//!
//! The lines are for people; nothing parses them, and snapshots have their own form. What guests and messages
//! bring along is drawn and never obeyed: `text` escapes it and cuts it short. Real times, addresses and
//! paths of this machine do not occur in a trace, so they do not occur here.

mod text;

pub use text::{bytes, clipped, escaped};

use super::{
    CallAnswer, CallbackEntered, CallbackLeft, Effect, Entry, Event, GatewayEvent, GrpcAnswer, HostcallRecord,
    HostcallResult, Peer, Value,
};
use crate::abi::pairs::Pair;
use crate::abi::{Action, ExchangeId, PluginIndex, Returns, property_path};
use crate::message::Part;
use bytes::Bytes;
use std::fmt::Write as _;

/// How many entries of a header map are shown.
const MOST_PAIRS: usize = 40;

/// The arguments of WASI's functions that mean something outside of the guest's memory.
const WASI_ARGS: &[&str] = &["fd", "id", "code", "len", "flags"];

/// An event as one line, hostcalls indented below their callback; `None` for what needs no line of its own.
pub fn line<'a>(event: &Event, names: &dyn Fn(PluginIndex) -> &'a str) -> Option<String> {
    let name = |plugin: PluginIndex| clipped(names(plugin), 60);
    Some(match event {
        Event::Step(step) => format!("step {}: {}", step.index + 1, clipped(&step.label, 200)),
        Event::ClockMoved(ns) => format!("clock at {}", since_start(*ns)),
        Event::VmStarted { plugin, rebuilt: false } => format!("[{}] vm started", name(*plugin)),
        Event::VmStarted { plugin, rebuilt: true } => {
            format!("[{}] vm started in place of the one that trapped", name(*plugin))
        }
        Event::ExchangeOpened(exchange) => format!("exchange {exchange} opened"),
        Event::ConnectionOpened(exchange) => format!("connection {exchange} opened"),
        Event::UpstreamConnected(exchange) => format!("{}-> upstream connected", number(*exchange)),
        Event::Input { exchange, from, part } => {
            format!("{}{} -> {}", number(*exchange), peer(*from), self::part(part))
        }
        Event::CallbackEntered(entered) => callback(entered, &name(entered.plugin)),
        Event::Hostcall(record) => hostcall(record),
        Event::CallbackLeft(left) => {
            let result = result_of(left)?;
            format!("[{}] {} -> {result}", name(left.plugin), left.callback.name())
        }
        Event::Trap(trap) => {
            format!("[{}] {} trapped: {}", name(trap.plugin), trap.callback.name(), clipped(&trap.message, 200))
        }
        Event::Output { exchange, to, part } => format!("{}-> {} {}", number(*exchange), peer(*to), self::part(part)),
        Event::HostReply { exchange, status, details } => {
            format!("{}the host answers {status} ({})", number(*exchange), clipped(details, 200))
        }
        Event::CallAnswered { call, plugin, answer } => {
            let answer = match answer {
                CallAnswer::Response { status, body, .. } => format!("{status}, {body} bytes of body"),
                CallAnswer::Failed(why) => format!("nothing came back ({})", clipped(why, 200)),
            };
            format!("call {call} of [{}] answered: {answer}", name(*plugin))
        }
        Event::GrpcAnswered { call, plugin, answer } => {
            let answer = match answer {
                GrpcAnswer::InitialMetadata { entries } => format!("initial metadata, {entries} entries"),
                GrpcAnswer::Message(message) => {
                    format!("a message of {} bytes: {}", message.len(), text::bytes(message))
                }
                GrpcAnswer::TrailingMetadata { entries } => format!("trailing metadata, {entries} entries"),
                GrpcAnswer::Closed { status, message } => {
                    format!("closed, status {status} ({})", clipped(message, 300))
                }
            };
            format!("grpc {call} of [{}]: {answer}", name(*plugin))
        }
        Event::Gateway(GatewayEvent::Routed { exchange, route }) => match route {
            Some(route) => format!("{}route {}", number(*exchange), clipped(route, 100)),
            None => format!("{}no route", number(*exchange)),
        },
        Event::Gateway(GatewayEvent::Node { exchange, node }) => {
            format!("{}node {}", number(*exchange), clipped(node, 100))
        }
        Event::Gateway(GatewayEvent::Admin { call, status, body, .. }) => {
            format!("admin {} -> {status} {}", clipped(call, 200), text::bytes(body))
        }
        Event::ExchangeClosed(exchange) => format!("exchange {exchange} closed"),
        Event::Finding(finding) => format!("finding {}: {}", finding.id, clipped(&finding.message, 400)),
        Event::HostLog { level, message } => {
            format!("host log {level}: {}", clipped(&String::from_utf8_lossy(message), 400))
        }
        Event::HostCrash { id, message } => {
            format!("the worker would crash here ({id}): {}", clipped(message, 400))
        }
    })
}

/// The result of a callback in words: `continue`, `true`, or the number; `None` where it has none.
pub fn result_of(left: &CallbackLeft) -> Option<String> {
    let result = left.result?;
    let returns = match left.callback {
        Entry::Callback(callback) => callback.returns(),
        Entry::Start(_) => Returns::Nothing,
    };
    Some(match returns {
        Returns::Action => action(result),
        Returns::Bool => (result != 0).to_string(),
        Returns::Nothing => result.to_string(),
    })
}

/// An action in words, or its number where the specification has no word.
pub fn action(number: u32) -> String {
    Action::from_u32(number).map_or_else(|| number.to_string(), |action| action.name().to_owned())
}

/// Only the second exchange of a trace needs a number to be told from the first.
fn number(exchange: ExchangeId) -> String {
    if exchange.0 <= 1 { String::new() } else { format!("({exchange}) ") }
}

fn peer(peer: Peer) -> &'static str {
    match peer {
        Peer::Client => "client",
        Peer::Upstream => "upstream",
    }
}

fn since_start(ns: u64) -> String {
    let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
    if rest == 0 {
        return format!("{seconds}s");
    }
    let digits = format!("{rest:09}");
    format!("{seconds}.{}s", digits.trim_end_matches('0'))
}

fn part(part: &Part) -> String {
    let end = |end_of_stream: bool| if end_of_stream { ", end of stream" } else { "" };
    match part {
        Part::Headers { headers, end_of_stream } => {
            let pairs: Vec<Pair> = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            format!("{}{}", message_head(&pairs), end(*end_of_stream))
        }
        Part::Data { bytes, end_of_stream } => match bytes.len() {
            0 => format!("no more body{}", end(*end_of_stream)),
            length => format!("body, {length} bytes: {}{}", text::bytes(bytes), end(*end_of_stream)),
        },
        Part::Metadata(metadata) => {
            let pairs: Vec<Pair> = metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            format!("metadata {}", self::pairs(&pairs))
        }
        Part::Trailers(trailers) => {
            let pairs: Vec<Pair> = trailers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            format!("trailers {}", self::pairs(&pairs))
        }
        Part::Reset => "the stream is reset".to_owned(),
    }
}

/// `GET http://app.test/x {a: 1}` or `200 {a: 1}`; anything else as a plain map.
fn message_head(entries: &[Pair]) -> String {
    let get = |name: &[u8]| entries.iter().find(|(key, _)| key.as_ref() == name).map(|(_, value)| word(value));
    let (method, path, status) = (get(b":method"), get(b":path"), get(b":status"));
    let rest: Vec<Pair> = entries.iter().filter(|(key, _)| !key.starts_with(b":")).cloned().collect();
    match (status, method, path) {
        (Some(status), _, _) => format!("{status} {}", pairs(&rest)),
        (None, Some(method), Some(path)) => {
            let scheme = get(b":scheme").map(|scheme| format!("{scheme}://")).unwrap_or_default();
            format!("{method} {scheme}{}{path} {}", get(b":authority").unwrap_or_default(), pairs(&rest))
        }
        _ => pairs(entries),
    }
}

fn callback(entered: &CallbackEntered, plugin: &str) -> String {
    let mut args = Vec::new();
    if let Entry::Callback(callback) = entered.callback {
        args.push(format!("ctx {}", entered.context));
        let names = callback.params().iter().skip(1);
        args.extend(names.zip(entered.args.as_slice()).map(|(name, value)| format!("{name} {value}")));
    }
    format!("[{plugin}] {}({})", entered.callback.name(), args.join(", "))
}

fn hostcall(record: &HostcallRecord) -> String {
    let is_path = |name: &str| name == "path" && record.name.ends_with("_property");
    let shown = |(name, value): &(&'static str, Value)| match value {
        Value::Bytes(path) if is_path(name) => format!("\"{}\"", clipped(&property_path::dotted(path), 200)),
        _ => argument(name, value),
    };
    // WASI's functions take addresses; what was written there is only in the effect.
    let is_wasi = !record.name.starts_with("proxy_");
    let is_shown = |(name, _): &&(&'static str, Value)| !is_wasi || WASI_ARGS.contains(name);
    let args: Vec<String> = record.args.iter().filter(is_shown).map(shown).collect();
    let mut line = format!("  {}({})", record.name, args.join(", "));
    match record.result {
        HostcallResult::Status(status) => line.extend([" = ", status.name()]),
        HostcallResult::Errno(0) => line.push_str(" = ok"),
        HostcallResult::Errno(errno) => drop(write!(line, " = errno {errno}")),
        HostcallResult::None => {}
    }
    for (name, value) in &record.returned {
        let _ = write!(line, " {}", argument(name, value));
    }
    for effect in record.effects.iter().filter(|_| is_wasi) {
        if let Effect::Log { level, message } = effect {
            let _ = write!(line, " ({level}: {})", text::bytes(message));
        }
    }
    line
}

/// Bytes, names and maps speak for themselves; a bare number needs its name.
fn argument(name: &str, value: &Value) -> String {
    match value {
        Value::U32(number) => format!("{name} {number}"),
        Value::U64(number) => format!("{name} {number}"),
        Value::I64(number) => format!("{name} {number}"),
        Value::Name(name) => (*name).to_owned(),
        Value::Bytes(bytes) => text::bytes(bytes),
        Value::Pairs(entries) => pairs(entries),
        Value::BadPairs(why) => format!("{name}: not a header map ({})", clipped(why, 100)),
    }
}

/// A header map: `{:path: /x, a: 1}`.
pub fn pairs(entries: &[Pair]) -> String {
    let entry = |(name, value): &Pair| format!("{}: {}", word(name), word(value));
    let mut shown: Vec<String> = entries.iter().take(MOST_PAIRS).map(entry).collect();
    if let Some(more @ 1..) = entries.len().checked_sub(MOST_PAIRS) {
        shown.push(format!("… {more} more"));
    }
    format!("{{{}}}", shown.join(", "))
}

/// Bytes without quotes, where a reader can see where they end.
fn word(value: &Bytes) -> String {
    let shown = text::bytes(value);
    let inner = shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let ambiguous = |inner: &&str| {
        inner.is_empty() || inner.starts_with(' ') || inner.ends_with(' ') || inner.contains([',', '{', '}', '"'])
    };
    match inner {
        Some(inner) if !ambiguous(&inner) => inner.to_owned(),
        Some(_) | None => shown,
    }
}

#[cfg(test)]
mod tests;
