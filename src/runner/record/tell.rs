//! A conversation as a step of a scenario: what the client sends, what the origin and the services answer.

use crate::host::profile::Profile;
use crate::message::Headers;
use crate::scenario::write::{Callout, Expected, Message as ExpectedMessage, Step};
use crate::scenario::{Body, CalloutReply, End, Failure, Framing, Protocol, Reply, Request, Upstream};
use crate::trace::conversation::{Call, Conversation, Message, Passed};
use bytes::Bytes;
use std::time::Duration;

/// The step, without anything that is expected; an error says why there is none.
pub(super) fn step(passed: &Passed, protocol: Protocol, profile: &Profile) -> Result<Step, &'static str> {
    let said = &passed.conversation;
    let sent = said.request.headers.as_ref().ok_or("it has no head")?;
    let part = |name: &[u8]| sent.get(name).cloned().unwrap_or_default();
    let ends_with_last = profile.last_chunk_ends || protocol == Protocol::H2;
    let request = Request {
        method: part(b":method"),
        scheme: part(b":scheme"),
        authority: part(b":authority"),
        path: part(b":path"),
        headers: fields(sent),
        body: body(&said.request, ends_with_last),
        trailers: said.request.trailers.as_ref().map(fields).unwrap_or_default(),
        metadata: Vec::new(),
        abort: None,
        upstream: upstream(said, passed.failed, ends_with_last),
        early: said.early && said.response.headers.is_some(),
    };
    let in_order = said.calls.iter().enumerate().all(|(at, call)| call.answer.as_ref().is_none_or(|a| a.place == at));
    let callouts = said.calls.iter().map(|call| callout(call, in_order, profile)).collect::<Result<_, _>>()?;
    Ok(Step { request, callouts, expect: Expected::default() })
}

/// Everything but the pseudo headers.
fn fields(headers: &Headers) -> Vec<(Bytes, Bytes)> {
    let real = headers.iter().filter(|(name, _)| !name.starts_with(b":"));
    real.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn body(message: &Message, ends_with_last: bool) -> Option<Body> {
    if !message.has_body {
        return None;
    }
    let announced = message.headers.as_ref().is_some_and(|headers| headers.get(b"content-length").is_some());
    let framing = match (announced, message.chunks.len()) {
        (true, 1) => Framing::Length,
        _ => Framing::Chunked,
    };
    let end = match (message.trailers.is_some() || message.chunks.is_empty(), message.ends_with_last) {
        (true, _) => None,
        (false, with_last) if with_last == ends_with_last => None,
        (false, true) => Some(End::WithLast),
        (false, false) => Some(End::Separate),
    };
    Some(Body { chunks: message.chunks.clone(), framing, cut: None, end, span: 0..0 })
}

fn upstream(said: &Conversation, failed: Option<u16>, ends_with_last: bool) -> Upstream {
    if said.forwarded.headers.is_none() && said.response.headers.is_none() {
        return Upstream::Never(0..0);
    }
    let Some(headers) = &said.response.headers else {
        return match (failure(said.details.as_deref().unwrap_or_default()), failed) {
            (Some(failure), _) => Upstream::Fail(failure),
            (None, Some(504)) => Upstream::Fail(Failure::Timeout),
            (None, Some(_)) => Upstream::Fail(Failure::Reset),
            // A plugin has answered.
            (None, None) => Upstream::Reply(Reply::default()),
        };
    };
    let broken = said.response.reset || said.details.as_deref().is_some_and(|why| why.contains("after_response"));
    Upstream::Reply(Reply {
        status: status(headers),
        headers: fields(headers),
        body: body(&said.response, ends_with_last),
        trailers: said.response.trailers.as_ref().map(fields).unwrap_or_default(),
        metadata: Vec::new(),
        fail: broken.then_some(Failure::Reset),
    })
}

/// Envoy's words for how an upstream failed.
fn failure(details: &str) -> Option<Failure> {
    let known = [
        ("remote_connection_failure", Failure::Refused),
        ("connection_termination", Failure::Reset),
        ("protocol_error", Failure::Garbage),
        ("response_timeout", Failure::Timeout),
    ];
    known.iter().find(|(word, _)| details.contains(word)).map(|(_, failure)| *failure)
}

fn status(headers: &Headers) -> u16 {
    headers.get(b":status").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).unwrap_or(0)
}

fn callout(call: &Call, in_order: bool, profile: &Profile) -> Result<Callout, &'static str> {
    let to = String::from_utf8(call.call.upstream.to_vec()).map_err(|_| "it calls a name that is not text")?;
    let reply = match call.answer.as_ref().map(|answered| &answered.with) {
        // It came when nobody waited for it any more, if it came.
        None => CalloutReply::Fail(Failure::Timeout),
        Some(Ok(response)) => {
            let added = |name: &[u8]| profile.added_call_response_headers.iter().any(|(by, _)| by.as_bytes() == name);
            let mut headers = fields(&response.headers);
            // The host adds them again.
            headers.retain(|(name, _)| !added(name));
            let announced = response.headers.get(b"content-length").is_some();
            let framing = if announced { Framing::Length } else { Framing::Chunked };
            let chunks = vec![response.body.clone()];
            let body = Body { chunks, framing, cut: None, end: None, span: 0..0 };
            let reply = Reply {
                status: status(&response.headers),
                headers,
                body: (!response.body.is_empty()).then_some(body),
                trailers: fields(&response.trailers),
                ..Reply::default()
            };
            CalloutReply::Reply(reply, None)
        }
        Some(Err(why)) => match why.as_str() {
            "connection refused" => CalloutReply::Fail(Failure::Refused),
            "timeout" => CalloutReply::Fail(Failure::Timeout),
            "invalid response" => CalloutReply::Fail(Failure::Garbage),
            // Only what breaks off in the middle is no response to an Envoy plugin.
            _ if profile.call_failure_is_response => {
                CalloutReply::Reply(Reply { fail: Some(Failure::Reset), ..Reply::default() }, None)
            }
            _ => CalloutReply::Fail(Failure::Reset),
        },
    };
    // With more than one under way, answers come in the order of their times.
    let place = call.answer.as_ref().map_or(0, |answered| answered.place);
    let after = if in_order { 0 } else { u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1) };
    Ok(Callout { to, expect: ExpectedMessage::default(), reply, after: Duration::from_millis(after) })
}
