//! What callbacks, hostcalls and answers look like in a snapshot, a line each.

use super::{body, head, plain, quoted};
use crate::abi::Callback;
use crate::abi::pairs::Pair;
use crate::message::Headers;
use crate::trace::show::escaped;
use crate::trace::{Effect, Entry, GrpcAnswer, GrpcCall, GrpcKind, HttpCall};
use std::fmt::Write as _;

/// Only what a plugin's author chose is worth a line: sizes of bodies and ends of streams, not counts of headers.
pub(super) fn call_text(entry: Entry, args: &[u32]) -> String {
    match (entry, args) {
        (
            Entry::Callback(
                Callback::OnRequestBody
                | Callback::OnResponseBody
                | Callback::OnDownstreamData
                | Callback::OnUpstreamData,
            ),
            [size, end],
        ) => {
            let end = if *end != 0 { ", end_of_stream" } else { "" };
            format!("{}({size} bytes{end})", entry.name())
        }
        _ => entry.name().to_owned(),
    }
}

pub(super) fn effect_text(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Log { level, message } => format!("{level}: {}", plain(message)),
        Effect::PropertySet { path, value } => format!("property {} = {}", escaped(path), quoted(value)),
        Effect::SharedDataSet { key, value, .. } => {
            format!("shared data {} = {}", quoted(key), quoted(value))
        }
        Effect::MetricDefined { kind, name, .. } => format!("metric {} defined as {kind}", plain(name)),
        Effect::MetricChanged { name, value, .. } => format!("metric {} = {value}", plain(name)),
        Effect::QueueRegistered { id, name } => format!("queue {id} registered as {}", quoted(name)),
        Effect::Enqueued { id, message } => format!("queue {id} <- {}", quoted(message)),
        Effect::Dequeued { id } => format!("queue {id} ->"),
        Effect::TickPeriod { milliseconds: 0 } => "tick stopped".to_owned(),
        Effect::TickPeriod { milliseconds } => format!("tick every {milliseconds} ms"),
        Effect::HttpCall(call) => call_line(call),
        Effect::GrpcCall(call) => grpc_line(call),
        Effect::GrpcSent { id, message, end_of_stream } => {
            let message = message.as_ref().map(|message| format!(" <- {}", body(message))).unwrap_or_default();
            format!("grpc {id}{message}{}", if *end_of_stream { ", half-closed" } else { "" })
        }
        Effect::GrpcCancelled(id) => format!("grpc {id} cancelled"),
        Effect::LocalResponse(response) => {
            let mut text = format!("local response {}", response.status);
            if !response.details.is_empty() {
                let _ = write!(text, " ({})", plain(&response.details));
            }
            if response.grpc_status != -1 {
                let _ = write!(text, " grpc {}", response.grpc_status);
            }
            text
        }
        Effect::ContinueStream(stream) => format!("continue {stream}"),
        Effect::CloseStream(stream) => format!("close {stream}"),
        Effect::Done => "done".to_owned(),
        Effect::EffectiveContext(_) | Effect::Map { .. } | Effect::Buffer { .. } => return None,
    })
}

fn call_line(call: &HttpCall) -> String {
    let headers: Headers = call.headers.iter().cloned().collect();
    let rest: Vec<Pair> = call.headers.iter().filter(|(name, _)| !name.starts_with(b":")).cloned().collect();
    let mut text = format!("call {} to {}: {}", call.id, plain(&call.upstream), head(&headers));
    for (name, value) in rest.iter().chain(&call.trailers) {
        let _ = write!(text, ", {}: {}", plain(name), plain(value));
    }
    if !call.body.is_empty() {
        let _ = write!(text, ", body: {}", body(&call.body));
    }
    let _ = write!(text, ", timeout {} ms", call.timeout_ms);
    text
}

fn grpc_line(call: &GrpcCall) -> String {
    let GrpcCall { id, upstream, service, method, metadata, kind } = call;
    let (what, message, timeout) = match kind {
        GrpcKind::Unary { message, timeout_ms } => {
            ("call", format!(", message: {}", body(message)), format!(", timeout {timeout_ms} ms"))
        }
        GrpcKind::Stream => ("stream", String::new(), String::new()),
    };
    let metadata: String =
        metadata.iter().map(|(name, value)| format!(", {}: {}", plain(name), plain(value))).collect();
    format!("grpc {what} {id} to {}: {}/{}{metadata}{message}{timeout}", plain(upstream), plain(service), plain(method))
}

/// Messages and ends; metadata is the plugin's to look at, and its callback shows what it made of it.
pub(super) fn grpc_answer(answer: &GrpcAnswer) -> Option<String> {
    match answer {
        GrpcAnswer::InitialMetadata { .. } | GrpcAnswer::TrailingMetadata { .. } => None,
        GrpcAnswer::Message(message) => Some(format!("-> {}", body(message))),
        GrpcAnswer::Closed { status, message } if message.is_empty() => Some(format!("is closed with status {status}")),
        GrpcAnswer::Closed { status, message } => {
            Some(format!("is closed with status {status} ({})", escaped(message)))
        }
    }
}
