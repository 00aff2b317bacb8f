//! HTTP calls over HTTP/1.1.
//!
//! What the plugin gave goes out as it is but for what frames the message. Trailers of the request are not sent: no
//! host writes them behind a body over HTTP/1.1 (abi.md 8.1; Envoy 1.40). TLS is not spoken: a call to `https` is
//! refused. The answer is given in one piece, so its size is bounded.

use super::clusters::Address;
use super::connect::connect;
use super::patience::{Patience, TooLong};
use super::{Making, fields};
use crate::host::CallResult;
use crate::message::Headers;
use crate::proxy::resolve::Resolve;
use crate::trace::HttpCall;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// Bytes of an answer's body. With more the call ends as one that was broken off.
const MOST_BODY: usize = 32 << 20;
/// Lines and bytes of an answer's head.
const MOST_LINES: usize = 1000;
const MOST_HEAD: usize = 1 << 20;

/// A body that is there as a whole.
#[derive(Debug)]
pub(super) struct Once(Bytes);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Makes a call, from the connection to the end of the answer.
pub(super) async fn make(making: &Rc<Making>, call: &HttpCall) -> CallResult {
    let patience = Patience::of(making.profile, call.timeout_ms);
    let begun = Instant::now();
    let Some(address) = making.address(&call.upstream) else { return CallResult::Refused };
    if find(call, b":scheme").is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https")) {
        return CallResult::Refused;
    }
    let mut kept = making.idle.take(&address);
    loop {
        // Nothing that could be sent, so nothing answers.
        let Some(request) = request(call) else { return CallResult::ResetBeforeResponse };
        let (mut sender, fresh) = match kept.take() {
            Some(sender) => (sender, false),
            None => match patience.within(open(&address, &making.resolve)).await {
                Ok(Some(sender)) => (sender, true),
                Ok(None) => return CallResult::Refused,
                Err(TooLong) => return CallResult::TimedOut,
            },
        };
        match patience.within(sender.send_request(request)).await {
            Ok(Ok(response)) => {
                let result = receive(making, response, patience, begun).await;
                if matches!(result, CallResult::Response { .. }) {
                    let making = making.clone();
                    tokio::task::spawn_local(async move {
                        if sender.ready().await.is_ok() {
                            making.idle.keep(address, sender);
                        }
                    });
                }
                return result;
            }
            // The upstream closed the connection just when it was to be used again.
            Ok(Err(error)) if !fresh && may_be_repeated(call, &error) => {}
            Ok(Err(error)) if error.is_parse() => return CallResult::Garbage,
            Ok(Err(_)) => return CallResult::ResetBeforeResponse,
            Err(TooLong) => return CallResult::TimedOut,
        }
    }
}

async fn open(address: &Address, resolve: &Resolve) -> Option<http1::SendRequest<Once>> {
    let stream = connect(address, resolve).await.ok()?;
    let mut builder = http1::Builder::new();
    builder.max_headers(MOST_LINES).max_buf_size(MOST_HEAD);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.ok()?;
    tokio::task::spawn_local(connection);
    Some(sender)
}

fn find<'a>(call: &'a HttpCall, name: &[u8]) -> Option<&'a Bytes> {
    call.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Whether it does no harm if the upstream gets it twice: it had not been sent, or its method says so (RFC 9110 9.2.2).
fn may_be_repeated(call: &HttpCall, error: &hyper::Error) -> bool {
    const IDEMPOTENT: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"];
    error.is_canceled() || find(call, b":method").is_some_and(|method| IDEMPOTENT.contains(&&method[..]))
}

/// The request as it is written; none if it can't be.
fn request(call: &HttpCall) -> Option<http::Request<Once>> {
    let path = find(call, b":path").map_or(&b"/"[..], |path| path);
    // apisix.md 4.3; and nothing else can stand there (RFC 9112 3.2).
    let path = if path.starts_with(b"/") || path == b"*" { Cow::from(path) } else { [b"/", path].concat().into() };
    let authority = find(call, b":authority").or_else(|| find(call, b"host"));
    let mut request = http::Request::new(Once(call.body.clone()));
    *request.method_mut() = find(call, b":method").map_or(Ok(http::Method::GET), |m| m[..].try_into()).ok()?;
    *request.uri_mut() = path[..].try_into().ok()?;
    if request.method() == http::Method::CONNECT {
        return None;
    }
    let map = request.headers_mut();
    if let Some(authority) = authority {
        map.append(http::header::HOST, http::HeaderValue::from_maybe_shared(authority.clone()).ok()?);
    }
    // How the message is framed is the host's business; of two hosts the upstream could take either one.
    const OWN: [&[u8]; 4] = [b"host", b"content-length", b"transfer-encoding", b"connection"];
    let others = call.headers.iter().filter(|(name, _)| !OWN.iter().any(|own| name.eq_ignore_ascii_case(own)));
    map.extend(fields::writable(others.map(|(name, value)| (name, value)))?);
    Some(request)
}

async fn receive(
    making: &Making,
    response: http::Response<Incoming>,
    patience: Patience,
    begun: Instant,
) -> CallResult {
    let (head, mut incoming) = response.into_parts();
    let mut headers = fields::response(&head);
    for (name, _) in making.profile.added_call_response_headers {
        // The only ones there are count milliseconds.
        headers.append(*name, begun.elapsed().as_millis().to_string());
    }
    if incoming.size_hint().lower() > MOST_BODY as u64 {
        return CallResult::ResetInResponse;
    }
    let (mut body, mut trailers) = (BytesMut::new(), Headers::new());
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx));
        let frame = match patience.within(frame).await {
            Ok(None) => return CallResult::Response { headers, body: body.freeze(), trailers },
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return CallResult::ResetInResponse,
            // Envoy 1.40: a head that has come can't be taken back.
            Err(TooLong) if making.profile.knows_upstreams => return CallResult::ResetInResponse,
            Err(TooLong) => return CallResult::TimedOut,
        };
        match frame.into_data().map_err(Frame::into_trailers) {
            Ok(bytes) if body.len().saturating_add(bytes.len()) > MOST_BODY => return CallResult::ResetInResponse,
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(Ok(map)) => fields::append(&mut trailers, &map),
            Err(Err(_)) => {}
        }
    }
}
