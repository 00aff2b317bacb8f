//! Which server of ours stands where: HTTP/1.1 or HTTP/2, whichever carries what the case says as the case means it.

use super::{Rehearsal, Served, reads};
use crate::message::{Headers, Part};
use crate::runner::envoy::config::Origin;
use crate::runner::envoy::server2;
use crate::runner::message;
use crate::scenario::{CalloutReply, Failure as Fault, Protocol, Reply, Request, Upstream};
use crate::trace::views::{self, SeenMessage};
use crate::trace::{Event, Peer};

/// How the name that a call goes to is served.
pub(super) fn served(reply: &CalloutReply, name: &str, events: &[Event], service: bool) -> Served {
    match reply {
        CalloutReply::Fail(Fault::Unknown) => Served::Unknown,
        CalloutReply::Fail(Fault::Refused) => Served::Refused,
        _ if service => Served::Grpc,
        // Reset before an answer reads the same over both; a connection that ends is HTTP/1.1's.
        CalloutReply::Fail(Fault::Reset | Fault::Garbage) => Served::By { http2: false },
        CalloutReply::Fail(Fault::Timeout) => Served::By { http2: true },
        CalloutReply::Grpc(_) => Served::By { http2: true },
        CalloutReply::Reply(reply, _) => {
            let tame = views::http_calls(events).filter(|(_, call)| call.upstream == name).all(|(_, call)| {
                let headers: Headers = call.headers.iter().cloned().collect();
                is_tame(&headers, &call.body)
            });
            Served::By { http2: tame && reply_fits_http2(reply) }
        }
    }
}

/// The way to the origin. Responses without a body go over HTTP/2, for HTTP/1.1 would have to announce that there is none.
pub(super) fn origin(protocol: Protocol, request: &Request, index: usize, rehearsal: &Rehearsal) -> Origin {
    if protocol == Protocol::H2 {
        return match &request.upstream {
            Upstream::Fail(Fault::Refused | Fault::Unknown) => Origin::Refused,
            _ => Origin::Http2,
        };
    }
    let exchange = rehearsal.steps.get(index).and_then(|step| step.exchange);
    let seen = exchange.map_or_else(SeenMessage::default, |of| views::seen(&rehearsal.events, of, Peer::Upstream));
    let tame = seen.headers.as_ref().is_none_or(|headers| is_tame(headers, &seen.body) || !seen.complete);
    if reads(&rehearsal.events).any(|path| path.starts_with("xds")) {
        // One origin, by the name that the profile has.
        return Origin::Http1;
    }
    let bare = match &request.upstream {
        Upstream::Fail(Fault::Refused | Fault::Unknown) => return Origin::Refused,
        Upstream::Fail(_) => false,
        // Nothing is to arrive: over HTTP/2 a head may already be on its way when the plugin answers.
        Upstream::Never(_) => false,
        Upstream::Reply(reply) => {
            reply.body.is_none() && !matches!(reply.status, 204 | 304) && request.method != "HEAD" && {
                let announced = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
                !announced && reply_fits_http2(&Reply { trailers: Vec::new(), ..reply.clone() })
            }
        }
    };
    if bare && tame { Origin::Http2 } else { Origin::Http1 }
}

/// Whether HTTP/2 carries an answer as the scenario means it: what HTTP/1.1 alone has makes it HTTP/1.1's.
fn reply_fits_http2(reply: &Reply) -> bool {
    let parts = message::response(reply, Protocol::Http1, None, false, false);
    let Some(Part::Headers { headers, .. }) = parts.first() else { return false };
    let own = [&b"transfer-encoding"[..], b"connection", b"keep-alive", b"upgrade"];
    (200..=999).contains(&reply.status)
        // A connection that breaks off reads otherwise than a stream that is reset.
        && reply.fail.is_none()
        && !headers.iter().any(|(name, _)| own.contains(&&name[..]))
        && server2::map(headers).is_ok()
        && length_holds(headers, &data(&parts))
}

/// Whether a strict HTTP/2 implementation takes such a request.
fn is_tame(headers: &Headers, body: &[u8]) -> bool {
    let text = |name: &[u8]| headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let own = [&b"connection"[..], b"keep-alive", b"proxy-connection", b"upgrade", b"transfer-encoding"];
    let path = text(b":path").is_some_and(|path| {
        path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == path)
    });
    path && text(b":method").is_some_and(|method| method.parse::<http::Method>().is_ok())
        && text(b":authority").is_some_and(|authority| authority.parse::<http::uri::Authority>().is_ok())
        && headers.get(b"te").is_none_or(|te| te == "trailers")
        && !headers.iter().any(|(name, _)| own.contains(&&name[..]))
        && headers.iter().filter(|(name, _)| name.starts_with(b":")).count() <= 4
        && server2::map(headers).is_ok()
        && length_holds(headers, body)
}

fn data(parts: &[Part]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        if let Part::Data { bytes, .. } = part {
            all.extend_from_slice(bytes);
        }
    }
    all
}

fn length_holds(headers: &Headers, body: &[u8]) -> bool {
    headers.get(b"content-length").is_none_or(|length| length == body.len().to_string().as_bytes())
}
