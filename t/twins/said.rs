//! What calls say, and what is said to answer them.

use super::plan::{Call, Made};
use pwtest::host::grpc::{framed, head};
use pwtest::host::profile::Profile;
use pwtest::message::{Headers, Part};
use pwtest::scenario::Reply;
use pwtest::trace::views::SeenMessage;
use pwtest::trace::{CallAnswer, Effect, Event, GrpcKind};

/// What a call says; of a stream also what it said later.
pub fn said(made: &Made<'_>, profile: &Profile, later: &[Event]) -> SeenMessage {
    let mut seen = SeenMessage::default();
    match &made.call {
        Call::Http(call) => {
            let mut headers = Headers::new();
            // What goes without saying on the wire.
            for (name, usual) in [(":method", "GET"), (":path", "/")] {
                if !call.headers.iter().any(|(given, _)| given == name) {
                    headers.append(name, usual);
                }
            }
            let is_named = call.headers.iter().any(|(name, _)| name == ":authority");
            for (name, value) in &call.headers {
                match &name[..] {
                    b"host" if !is_named => headers.append(":authority", value.clone()),
                    // apisix.md 4.3
                    b":path" if !value.starts_with(b"/") => headers.append(":path", [b"/", &value[..]].concat()),
                    _ => headers.append(name.clone(), value.clone()),
                }
            }
            (seen.headers, seen.body, seen.complete) = (Some(headers), call.body.to_vec(), true);
        }
        Call::Grpc(call) => {
            seen.headers = Some(head(call, profile));
            if let GrpcKind::Unary { message, .. } = &call.kind {
                (seen.body, seen.complete) = (framed(message).to_vec(), true);
            }
            let own = later.iter().filter_map(|event| match event {
                Event::Hostcall(record) if record.plugin == made.key.0 => Some(&record.effects),
                _ => None,
            });
            for effect in own.flatten() {
                match effect {
                    Effect::GrpcSent { id, message, end_of_stream } if *id == made.key.1 => {
                        message.iter().for_each(|message| seen.body.extend_from_slice(&framed(message)));
                        seen.complete |= *end_of_stream;
                    }
                    Effect::GrpcCancelled(id) if *id == made.key.1 => seen.reset = !seen.complete,
                    _ => {}
                }
            }
        }
    }
    seen
}

/// What tells a call from others.
pub fn head_of(seen: &SeenMessage) -> Vec<(Vec<u8>, Vec<u8>)> {
    let own = |name: &[u8]| {
        [&b"host"[..], b":scheme", b"content-length", b"transfer-encoding", b"connection"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
    };
    let headers = seen.headers.iter().flat_map(|headers| headers.iter());
    let mut all: Vec<_> = headers
        .filter(|(name, _)| !own(name))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_ascii().to_vec()))
        .collect();
    all.sort();
    all
}

/// The answer as it is in memory, without what the host adds to it.
pub fn whole(answer: &CallAnswer, profile: &Profile) -> Vec<Part> {
    let CallAnswer::Response { response, .. } = answer else { return Vec::new() };
    let added = |name: &[u8]| profile.added_call_response_headers.iter().any(|(added, _)| added.as_bytes() == name);
    let pairs = response.headers.iter().filter(|(name, _)| !added(name));
    let headers: Headers = pairs.map(|(name, value)| (name.clone(), value.clone())).collect();
    let (body, trailers) = (&response.body, &response.trailers);
    let mut parts = vec![Part::Headers { headers, end_of_stream: body.is_empty() && trailers.is_empty() }];
    if !body.is_empty() {
        parts.push(Part::Data { bytes: body.clone(), end_of_stream: trailers.is_empty() });
    }
    if !trailers.is_empty() {
        parts.push(Part::Trailers(trailers.clone()));
    }
    parts
}

/// What comes of an answer that does not come to its end.
pub fn begun(reply: &Reply) -> Vec<Part> {
    let mut headers = Headers::new();
    headers.append(":status", reply.status.to_string());
    reply.headers.iter().for_each(|(name, value)| headers.append(name.to_ascii_lowercase(), value.clone()));
    let chunks = reply.body.iter().flat_map(|body| &body.chunks).filter(|chunk| !chunk.is_empty());
    let chunks = chunks.map(|bytes| Part::Data { bytes: bytes.clone(), end_of_stream: false });
    [Part::Headers { headers, end_of_stream: false }].into_iter().chain(chunks).collect()
}
