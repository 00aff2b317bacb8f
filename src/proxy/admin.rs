//! The admin listener: HTTP/1.1 for a few clients, beside the workers and on a thread that serves no traffic.
//!
//! It reads requests within bounds of size and time and has somebody else answer them. What it decides itself is who may
//! not ask at all where no key is needed: web pages. A browser on this machine reaches a loopback address, too, so a page
//! from anywhere could write routes; see [`Guard`].

use crate::gateway::admin::MAX_BODY;
use crate::message::Headers;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// For the head of a request, and for its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at one time; more wait.
const MOST_CONNECTIONS: usize = 128;

/// A request that was read.
#[derive(Debug)]
pub struct Asked {
    /// `PUT`
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// Who asks.
    pub client: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, without `Content-Length`.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with a body of one type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = Headers::new();
        headers.append("Content-Type", content_type);
        Self { status, headers, body: body.into() }
    }

    /// `{"error_msg":"…"}`, as APISIX says what is wrong.
    pub fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "error_msg": message }).to_string() + "\n";
        Self::new(status, "application/json", body)
    }
}

/// Who may not ask where anybody may: nothing here is checked once a key is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Nobody needs a key.
    pub open: bool,
    /// Only this machine reaches the address.
    pub loopback: bool,
}

impl Guard {
    /// Why a request is refused. A page of another origin says so in `Origin`; one whose name was pointed to a loopback
    /// address afterwards says its name in `Host`.
    fn refuses(self, headers: &Headers) -> Option<&'static str> {
        if !self.open {
            return None;
        }
        let text = |name: &[u8]| headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let host = text(b"host").unwrap_or_default();
        let own_page = |origin: &str| origin.strip_prefix("http://").is_some_and(|authority| authority == host);
        if text(b"origin").is_some_and(|origin| !own_page(&origin)) {
            return Some("a web page may use the admin API only where deployment.admin.admin_key is configured");
        }
        if self.loopback && !host.is_empty() && !is_this_machine(&host) {
            return Some(
                "without deployment.admin.admin_key the admin API is asked for by address or as localhost, not by another name",
            );
        }
        None
    }
}

/// Whether an authority is `localhost` or an address. An address can't be pointed anywhere else.
fn is_this_machine(authority: &str) -> bool {
    let name = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Accepts connections for ever and has `answer` answer their requests. Needs a `LocalSet`.
pub async fn serve<G, A, F>(listener: TcpListener, guard: G, answer: A)
where
    G: Fn() -> Guard + 'static,
    A: Fn(Asked) -> F + 'static,
    F: Future<Output = Answer> + 'static,
{
    let (guard, answer) = (Rc::new(guard), Rc::new(answer));
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (io, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors, most likely.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (guard, answer) = (guard.clone(), answer.clone());
        let service = service_fn(move |request| {
            let (guard, answer) = (guard(), answer.clone());
            async move { Ok::<_, Infallible>(respond(request, client, guard, &*answer).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        tokio::task::spawn_local(async move {
            // A client that breaks off is no error of ours.
            let _ = http.serve_connection(TokioIo::new(io), service).await;
            drop(place);
        });
    }
}

async fn respond<A, F>(
    request: hyper::Request<Incoming>,
    client: SocketAddr,
    guard: Guard,
    answer: &A,
) -> hyper::Response<Whole>
where
    A: Fn(Asked) -> F,
    F: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let name = |name: &hyper::header::HeaderName| Bytes::copy_from_slice(name.as_str().as_bytes());
    let value = |value: &hyper::header::HeaderValue| Bytes::copy_from_slice(value.as_bytes());
    let headers: Headers = head.headers.iter().map(|(n, v)| (name(n), value(v))).collect();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if let Some(reason) = guard.refuses(&headers) {
        return response(Answer::error(403, reason));
    }
    let body = match tokio::time::timeout(PATIENCE, read(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return response(refused),
        Err(_) => return response(Answer::error(408, "the body of the request did not come in time")),
    };
    let method = head.method.as_str().to_owned();
    response(answer(Asked { method, target, headers, body, client }).await)
}

/// All of a body, if it is not too long; APISIX's words for one that is (apisix.md 7.2).
async fn read(mut body: Incoming) -> Result<Bytes, Answer> {
    let too_long = |length: u64| {
        let text = "invalid request body: request size";
        Answer::error(400, &format!("{text} {length} is greater than the maximum size {MAX_BODY} allowed"))
    };
    if let Some(length) = body.size_hint().exact().filter(|length| *length > MAX_BODY as u64) {
        return Err(too_long(length));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Answer::error(400, &format!("the request broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > MAX_BODY {
            return Err(too_long(whole.len() as u64));
        }
    }
    Ok(whole.freeze())
}

fn response(answer: Answer) -> hyper::Response<Whole> {
    let mut response = hyper::Response::new(Whole(Some(answer.body).filter(|body| !body.is_empty())));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers.iter() {
        let name = hyper::header::HeaderName::from_bytes(name);
        let value = hyper::header::HeaderValue::from_bytes(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A body in one piece.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn headers(pairs: &[(&'static str, &'static str)]) -> Headers {
        pairs
            .iter()
            .map(|(name, value)| (Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes())))
            .collect()
    }

    #[test]
    fn pages_are_refused_where_nobody_needs_a_key() {
        let open = Guard { open: true, loopback: true };
        let refused = |guard: Guard, pairs: &[(&'static str, &'static str)]| guard.refuses(&headers(pairs)).is_some();
        for host in ["127.0.0.1:9180", "localhost:9180", "LOCALHOST", "[::1]:9180", "10.0.0.1"] {
            assert!(!refused(open, &[("host", host)]), "{host}");
        }
        for host in ["evil.example:9180", "localhost.evil.example", "127.0.0.1.evil.example:9180", "x"] {
            assert!(refused(open, &[("host", host)]), "{host}");
            assert!(!refused(Guard { loopback: false, ..open }, &[("host", host)]), "{host}");
            assert!(!refused(Guard { open: false, ..open }, &[("host", host)]), "{host}");
        }
        let host = ("host", "127.0.0.1:9180");
        assert!(!refused(open, &[host, ("origin", "http://127.0.0.1:9180")]));
        for origin in ["https://evil.example", "null", "http://127.0.0.1:8000", "http://localhost:9180"] {
            assert!(refused(open, &[host, ("origin", origin)]), "{origin}");
            assert!(!refused(Guard { open: false, ..open }, &[host, ("origin", origin)]), "{origin}");
        }
    }

    /// What a listener that echoes answers to these bytes.
    fn asked(bytes: Vec<u8>) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            listener.set_nonblocking(true).expect("a mode");
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let echo = |asked: Asked| async move {
                    let text =
                        format!("{} {} {} {}", asked.method, asked.target, asked.headers.len(), asked.body.len());
                    Answer::new(201, "text/plain", text)
                };
                serve(listener, || Guard { open: false, loopback: true }, echo).await;
            });
        });
        let mut client = std::net::TcpStream::connect(address).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        // It may answer before it has read all of it.
        let _ = client.write_all(&bytes);
        let mut text = Vec::new();
        let _ = client.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn requests_are_read_and_answered() {
        let text =
            asked(b"PUT /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc".to_vec());
        assert!(text.starts_with("HTTP/1.1 201 "), "{text}");
        assert!(text.contains("content-length: 14\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nPUT /a?b=c 3 3"), "{text}");
    }

    // apisix.md 7.2
    #[test]
    fn bodies_are_bounded() {
        let words = r#"{"error_msg":"invalid request body: request size 1572865 is greater than the maximum size 1572864 allowed"}"#;
        let announced =
            asked(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1572865\r\nConnection: close\r\n\r\n".to_vec());
        assert!(announced.starts_with("HTTP/1.1 400 "), "{announced}");
        assert!(announced.contains(words), "{announced}");
        let mut chunked =
            b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n180000\r\n".to_vec();
        chunked.extend(vec![b'a'; 0x18_0000]);
        chunked.extend(b"\r\n1\r\na\r\n0\r\n\r\n");
        let read = asked(chunked);
        assert!(read.starts_with("HTTP/1.1 400 "), "{read}");
        assert!(read.contains(words), "{read}");
    }

    #[test]
    fn nonsense_is_400() {
        assert!(asked(b"nonsense\r\n\r\n".to_vec()).starts_with("HTTP/1.1 400 "));
    }
}
