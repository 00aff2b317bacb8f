//! gRPC in `callouts`: what the plugin sends, and what the service answers.

use super::body;
use super::context::Cx;
use super::file::wanted;
use super::headers::{self, Part};
use super::matcher;
use super::read::Fields;
use crate::scenario::model::{Body, Failure, GrpcEnd, GrpcReply, Match, Reply, SentEnd, SentExpect, Spanned};
use crate::scenario::yaml::Node;
use bytes::Bytes;

/// Keys that only the answer of a gRPC service has.
pub(super) const GRPC_KEYS: &[&str] = &["messages", "grpc_status", "grpc_message"];

const ENDS: &[(&str, SentEnd)] =
    &[("complete", SentEnd::HalfClose), ("reset", SentEnd::Cancel), ("never", SentEnd::Never)];
const BREAKS: &[(&str, Failure)] = &[("reset", Failure::Reset), ("timeout", Failure::Timeout)];

/// `messages` and `ends` in the `expect` of a call, whose other keys are read elsewhere.
pub(super) fn sent(cx: &mut Cx, node: &Node) -> Option<Option<SentExpect>> {
    let entries = node.as_map()?;
    let get = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
    let messages = get("messages").map(|node| {
        let items = cx.items(node, "`messages`")?;
        let found: Vec<Match> = items.iter().filter_map(|item| matcher::present(cx, item, "a message")).collect();
        (found.len() == items.len()).then(|| Spanned { value: found, span: node.span.clone() })
    });
    if let (Some(_), Some((key, _))) = (&messages, entries.iter().find(|(key, _)| key.text == "body")) {
        let problem = cx.at(&key.span, "`body` beside `messages`");
        cx.push(problem.hint("the message of a gRPC call is `messages: [ … ]`; `body` is that of an HTTP call"));
    }
    let ends = get("ends").map(|node| {
        let value = cx.one_of(node, "`ends`", ENDS)?;
        Some(Spanned { value, span: node.span.clone() })
    });
    let (messages, ends) = (wanted(messages)?, wanted(ends)?);
    Some((messages.is_some() || ends.is_some()).then_some(SentExpect { messages, ends }))
}

/// The answer of a gRPC service, where a key of `reply` says that it is one.
pub(super) fn reply(cx: &mut Cx, fields: &Fields) -> Option<GrpcReply> {
    if let Some((key, _)) = fields.entry("status") {
        let problem = cx.at(&key.span, "`status` in the answer of a gRPC service");
        cx.push(problem.hint("gRPC answers with HTTP status 200 and a `grpc_status`; `status` is for plain HTTP"));
    }
    if let (Some((key, _)), Some(_)) = (fields.entry("body"), fields.get("messages")) {
        let problem = cx.at(&key.span, "`body` beside `messages`");
        cx.push(problem.hint("the messages of a gRPC service are `messages: [ … ]`"));
    }
    let given = headers::of(cx, fields, "headers", Part::Response);
    let trailers = headers::of(cx, fields, "trailers", Part::Trailers);
    let messages = match (fields.get("messages"), fields.get("body")) {
        (Some(node), _) => body::chunks(cx, node, "`messages`"),
        (None, Some(node)) => body::body(cx, node).map(|body| vec![joined(&body)]),
        (None, None) => Some(Vec::new()),
    };
    let end = end(cx, fields);
    let begins = ["headers", "messages", "body", "trailers"].iter().any(|key| fields.get(key).is_some());
    let end = end?;
    let trailers_only = !begins && matches!(end, GrpcEnd::Status { .. });
    Some(GrpcReply { headers: given?, messages: messages?, trailers: trailers?, end, trailers_only })
}

fn end(cx: &mut Cx, fields: &Fields) -> Option<GrpcEnd> {
    if let Some(node) = fields.get("fail") {
        for (key, _) in fields.present(&["trailers", "grpc_status", "grpc_message"]) {
            let problem = cx.at(&key.span, format!("`{}` stands beside `fail`", key.text));
            cx.push(problem.label("a stream that is broken off has no end"));
        }
        return cx.one_of(node, "`fail`", BREAKS).map(GrpcEnd::Fail);
    }
    let code = fields.get("grpc_status").map(|node| {
        const WANTED: &str = "a gRPC status from 0 to 16";
        let code: u8 = cx.number(node, "`grpc_status`", WANTED)?;
        if code > 16 {
            let problem = cx.at(&node.span, format!("{code} is not a gRPC status"));
            cx.push(problem.hint("0 is ok, 5 not found, 7 permission denied, 14 unavailable; the last one is 16"));
            return None;
        }
        Some(code)
    });
    let message = fields.get("grpc_message").map(|node| {
        let text = cx.text(node, "`grpc_message`")?;
        if text.contains(|c: char| c.is_control()) {
            let problem = cx.at(&node.span, "`grpc_message` holds a line break or control character");
            cx.push(problem.hint("gRPC writes such bytes percent-encoded: `%0A`"));
            return None;
        }
        Some(Bytes::from(text.to_owned()))
    });
    Some(GrpcEnd::Status { code: wanted(code)?.unwrap_or(0), message: wanted(message)? })
}

/// The answer that a plain reply is to a gRPC call: its body is the message, as long as it names no HTTP status.
pub(super) fn of_plain(reply: &Reply) -> GrpcReply {
    GrpcReply {
        headers: reply.headers.clone(),
        messages: reply.body.iter().map(joined).collect(),
        trailers: reply.trailers.clone(),
        end: reply.fail.map_or(GrpcEnd::Status { code: 0, message: None }, GrpcEnd::Fail),
        trailers_only: false,
    }
}

fn joined(body: &Body) -> Bytes {
    match body.chunks.as_slice() {
        [only] => only.clone(),
        several => several.concat().into(),
    }
}
