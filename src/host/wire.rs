//! What a host puts on the wire by itself: the heads of its own answers, and the messages that it will not send.

use super::profile::Profile;
use crate::message::{Direction, Headers};
use crate::trace::LocalResponse;
use bytes::Bytes;

/// Why a message is not sent, and what the client gets instead.
pub(super) struct Refusal {
    pub status: u32,
    pub body: String,
    pub details: String,
}

/// What Envoy 1.40 answers in place of a message that it can't route or write. Headers of responses are not
/// looked at: a line break in one is written as it is.
pub(super) fn refusal(headers: &Headers, direction: Direction) -> Option<Refusal> {
    match direction {
        Direction::Request => request_refusal(headers),
        Direction::Response => {
            let status = headers.get(b":status").filter(|s| !s.is_empty() && s.iter().all(u8::is_ascii_digit));
            status.is_none().then(|| Refusal {
                status: 502,
                body: "missing required header: :status".to_owned(),
                details: "filter_removed_required_response_headers{missing_required_header:_:status}".to_owned(),
            })
        }
    }
}

fn request_refusal(headers: &Headers) -> Option<Refusal> {
    let unroutable = || Refusal { status: 404, body: String::new(), details: "route_not_found".to_owned() };
    if !headers.get(b":path").is_some_and(|path| path.starts_with(b"/")) || headers.get(b"x-forwarded-proto").is_none()
    {
        return Some(unroutable());
    }
    if headers.get(b":method").is_none_or(|method| method.is_empty()) {
        return Some(invalid("missing required header: :method".to_owned()));
    }
    // A path is there, and CONNECT has one only where it names a protocol (RFC 8441 4).
    if headers.get(b":method").is_some_and(|method| method == "CONNECT") && headers.get(b":protocol").is_none() {
        return Some(invalid("missing required header: :protocol".to_owned()));
    }
    unwritable(headers)
}

/// What Envoy 1.40 answers in place of a request with a header that can't be written, a plugin's gRPC call too.
pub(super) fn unwritable(headers: &Headers) -> Option<Refusal> {
    headers.iter().find_map(|(name, value)| {
        if !name.starts_with(b":") && !name.iter().all(|b| is_token(*b)) {
            return Some(invalid(format!("invalid header name: {}", String::from_utf8_lossy(name))));
        }
        let breaks = value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0));
        breaks.then(|| invalid(format!("invalid header value for: {}", String::from_utf8_lossy(name))))
    })
}

fn invalid(body: String) -> Refusal {
    let details = format!("filter_removed_required_request_headers{{{}}}", body.replace(' ', "_"));
    Refusal { status: 503, body, details }
}

/// A character of a token (RFC 9110 5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// The head of the host's own answer.
pub(super) fn reply_headers(status: u32, body: usize) -> Headers {
    let mut headers = Headers::new();
    headers.append(":status", status.to_string());
    if body > 0 {
        headers.append("content-length", body.to_string());
        headers.append("content-type", "text/plain");
    }
    headers
}

/// The head of a plugin's own response: the plugin's headers first, then length and type (Envoy 1.40).
pub(super) fn local_reply(response: &LocalResponse, profile: &Profile) -> Headers {
    let mut headers = Headers::new();
    // Envoy 1.40 keeps 16 bits.
    headers.append(":status", (response.status as u16).to_string());
    let length = response.body.len().to_string();
    for (name, value) in &response.headers {
        let name = Bytes::from(name.to_ascii_lowercase());
        // Envoy 1.40: an empty body has neither length nor type, whatever the plugin says.
        if name == ":status" || (response.body.is_empty() && (name == "content-length" || name == "content-type")) {
            continue;
        }
        if name == "content-length" {
            headers.remove(&name);
            headers.append(name, length.clone());
        } else if profile.single_value_headers.iter().any(|single| single.as_bytes() == name) {
            headers.join(name, value.clone());
        } else {
            headers.append(name, value.clone());
        }
    }
    if !response.body.is_empty() {
        if headers.get(b"content-length").is_none() {
            headers.append("content-length", length);
        }
        if headers.get(b"content-type").is_none() {
            headers.append("content-type", "text/plain");
        }
    }
    headers
}

/// A reply to a gRPC request: 200 with the outcome in headers (Envoy 1.40).
pub(super) fn grpc_reply(response: &LocalResponse) -> Headers {
    let status = match response.grpc_status {
        known @ 0..=16 => known,
        // Envoy's table from HTTP status to gRPC status.
        _ => match response.status {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        },
    };
    let mut headers = Headers::new();
    headers.append(":status", "200");
    headers.append("content-type", "application/grpc");
    headers.append("grpc-status", status.to_string());
    if !response.body.is_empty() {
        headers.append("grpc-message", response.body.clone());
    }
    headers
}
