//! A client's connection in HTTP/2 without TLS, for clients that know beforehand. The frames are hyper's business.

mod outgoing;
mod requests;
mod rewound;

use self::outgoing::Outgoing;
use self::requests::{Requests, UnderWay};
use self::rewound::{Returned, Rewound};
use super::{DISCARDED, LINGER, answer};
use crate::gateway::facts::Asked;
use crate::message::{Headers, Part};
use crate::proxy::alarm::Alarm;
use crate::proxy::date;
use crate::proxy::flight::{Client, ClientFault, Flight, status_of};
use crate::proxy::http1::Refusal;
use crate::proxy::http1::head::{TARGET_TOO_LONG, TOO_LARGE};
use crate::proxy::http1::request::is_authority;
use crate::proxy::lane::Asker;
use crate::proxy::settings::Bounds;
use crate::proxy::worker::{Place, Worker};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The two ends of a connection, and who serves it.
#[derive(Clone)]
pub(super) struct Parties {
    pub(super) worker: Rc<Worker>,
    pub(super) connection: u64,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

/// Serves a connection to its end.
pub(super) async fn serve(parties: Parties, io: TcpStream, read: Bytes, place: Place) {
    let worker = parties.worker.clone();
    let bounds = &worker.settings().bounds;
    let mut builder = Builder::new(OnThisThread);
    builder
        .timer(TokioTimer::new())
        // The date stands in front, as in HTTP/1.1.
        .auto_date_header(false)
        .max_concurrent_streams(bounds.h2_streams)
        // What is too large is answered, and heard of; what is much too large ends the connection.
        .max_header_list_size(u32::try_from(bounds.head_bytes.saturating_mul(4)).unwrap_or(u32::MAX))
        .max_send_buf_size(bounds.waiting_bytes)
        .keep_alive_interval(worker.settings().timeouts.idle)
        .keep_alive_timeout(Duration::from_secs(20));
    let returned = Returned::default();
    let io = TokioIo::new(Rewound::new(io, read, &returned));
    serve_requests(parties, &builder, io, &place).await;
    if let Some(io) = returned.take() {
        linger(io).await;
    }
}

/// Serves requests, until one side has enough.
async fn serve_requests(parties: Parties, builder: &Builder<OnThisThread>, io: TokioIo<Rewound>, place: &Place) {
    let worker = parties.worker.clone();
    let requests = Rc::new(Requests::new(worker.settings().timeouts));
    let service = service_fn(|request| respond(parties.clone(), requests.clone(), request));
    let mut connection = pin!(builder.serve_connection(io, service));
    let (mut alarm, mut look, mut told) = (Alarm::default(), requests.next_look(), None);
    std::future::poll_fn(|cx| {
        place.tell(cx.waker());
        while alarm.poll(cx, look).is_ready() {
            requests.give_up_slow();
            look = match told {
                // It was told to go, stays, and does not take what is left for it.
                Some(at) if Instant::now() >= at + LINGER && requests.is_over() => return Poll::Ready(()),
                Some(_) => requests.next_look().min(Instant::now() + LINGER),
                None => requests.next_look(),
            };
        }
        if told.is_none() && (worker.is_stopping() || requests.is_idle()) {
            told = Some(Instant::now());
            look = Instant::now() + LINGER;
            connection.as_mut().graceful_shutdown();
        }
        // A broken connection is nobody's business but the client's.
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

/// Lets the client read what has been written: what it still sends would make the end a reset, which takes that away.
async fn linger(mut io: TcpStream) {
    let all = async {
        io.shutdown().await?;
        let mut nothing = [0; 4096];
        while io.read(&mut nothing).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, all).await;
}

/// hyper's tasks run where the host is.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async {
            future.await;
        });
    }
}

/// A stream that the client loses.
#[derive(Debug, thiserror::Error)]
#[error("the response was broken off")]
struct BrokenOff;

async fn respond(
    parties: Parties,
    requests: Rc<Requests>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, BrokenOff> {
    let under_way = requests.begin();
    let (head, incoming) = request.into_parts();
    let refused = refused(&head, &parties.worker.settings().bounds);
    let head = read_head(head);
    let asked = Asked {
        method: head.method,
        target: head.path,
        authority: head.authority,
        scheme: Bytes::from_static(b"http"),
        headers: head.headers.clone(),
        client: parties.client,
        server: parties.server,
        protocol: "HTTP/2",
    };
    let asker = Asker { connection: parties.connection, asked, began: Instant::now() };
    if let Some(refusal) = refused {
        answer::note(&parties.worker, &asker, refusal);
        discard(incoming);
        return Ok(Outgoing::refused(refusal));
    }
    let end_of_stream = incoming.is_end_stream();
    let flight = match Flight::open(&parties.worker, asker, head.headers, end_of_stream) {
        Ok(flight) => flight,
        Err(asker) => {
            answer::note(&parties.worker, &asker, answer::STOPS);
            discard(incoming);
            return Ok(Outgoing::refused(answer::STOPS));
        }
    };
    let client = Incoming2 { incoming, since: Instant::now() };
    let alarm = Alarm::default();
    let mut stream = Stream { flight, client, alarm, worker: parties.worker, _under_way: under_way };
    let part = std::future::poll_fn(|cx| stream.poll_part(cx)).await;
    match part {
        Ok(Some(Part::Headers { headers, end_of_stream })) => {
            let body = if end_of_stream {
                stream.finish();
                Outgoing::none()
            } else {
                Outgoing::of(stream, requests)
            };
            Ok(write_head(&headers, body))
        }
        Ok(_) => Err(BrokenOff),
        Err(ClientFault::Gone) => Err(BrokenOff),
        Err(ClientFault::Refused(refusal)) => {
            stream.flight.abort();
            stream.flight.note_answer(refusal.status);
            stream.finish();
            Ok(Outgoing::refused(refusal))
        }
    }
}

struct Head {
    method: Bytes,
    path: Bytes,
    authority: Bytes,
    headers: Headers,
}

/// What is a request to HTTP/2, and none that is served.
fn refused(head: &http::request::Parts, bounds: &Bounds) -> Option<Refusal> {
    if head.method == http::Method::CONNECT {
        return Some(Refusal { status: 405, reason: "CONNECT is not served" });
    }
    let target = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = head.uri.authority().map_or(0, |authority| authority.as_str().len());
    if target > bounds.target_bytes {
        return Some(TARGET_TOO_LONG);
    }
    if head.headers.len() > bounds.header_lines {
        return Some(Refusal { status: 431, reason: "too many header lines" });
    }
    let lines: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if lines + target + authority > bounds.head_bytes {
        return Some(TOO_LARGE);
    }
    // RFC 9113 8.2.1.
    if head.headers.values().any(|value| value.as_bytes().trim_ascii().len() != value.len()) {
        return Some(Refusal::bad("a header's value begins or ends with a blank"));
    }
    let mut hosts = head.headers.get_all(http::header::HOST).iter().map(HeaderValue::as_bytes);
    let (host, other) = (hosts.next(), hosts.next());
    if other.is_some() {
        return Some(Refusal::bad("more than one `Host`"));
    }
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    // RFC 9113 8.3.1.
    if let (Some(authority), Some(host)) = (authority, host)
        && !authority.eq_ignore_ascii_case(host)
    {
        return Some(Refusal::bad("`:authority` and `Host` differ"));
    }
    match authority.or(host) {
        Some(authority) if is_authority(authority) => None,
        Some(_) => Some(Refusal::bad("`:authority` is not a host")),
        None => Some(Refusal::bad("no `:authority`")),
    }
}

/// The head in the order in which the runner gives it.
fn read_head(head: http::request::Parts) -> Head {
    let host = head.headers.get(http::header::HOST);
    let authority = match (head.uri.authority(), host) {
        (Some(authority), _) => Bytes::copy_from_slice(authority.as_str().as_bytes()),
        (None, host) => host.map(|host| Bytes::copy_from_slice(host.as_bytes())).unwrap_or_default(),
    };
    let path = match head.uri.path_and_query() {
        Some(path) => Bytes::copy_from_slice(path.as_str().as_bytes()),
        // CONNECT asks for an authority.
        None => authority.clone(),
    };
    let method = Bytes::copy_from_slice(head.method.as_str().as_bytes());
    let scheme = Bytes::copy_from_slice(head.uri.scheme_str().unwrap_or("http").as_bytes());
    let pseudo = [
        (Bytes::from_static(b":authority"), authority.clone()),
        (Bytes::from_static(b":path"), path.clone()),
        (Bytes::from_static(b":method"), method.clone()),
        (Bytes::from_static(b":scheme"), scheme),
    ];
    let rest = head.headers.iter().filter(|(name, _)| *name != http::header::HOST).map(pair);
    let mut headers: Headers = pseudo.into_iter().chain(rest).collect();
    // RFC 9113 8.2.3: what came apart goes on as one.
    if headers.get_all(b"cookie").nth(1).is_some() {
        let cookies: Vec<&[u8]> = headers.get_all(b"cookie").map(|cookie| &cookie[..]).collect();
        let cookies = cookies.join(&b"; "[..]);
        headers.put("cookie", cookies);
    }
    Head { method, path, authority, headers }
}

fn pair((name, value): (&HeaderName, &HeaderValue)) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(name.as_str().as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
}

fn write_head(headers: &Headers, body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    let status = status_of(headers).filter(|status| *status >= 200);
    *response.status_mut() = status.and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = map(headers);
    if let Some(date) = date::now().and_then(|date| HeaderValue::from_bytes(&date).ok()) {
        response.headers_mut().entry(http::header::DATE).or_insert(date);
    }
    response
}

/// Headers as hyper has them, without those that HTTP/2 forbids (RFC 9113 8.2.2) and those that can't be written.
fn map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        let forbidden = matches!(
            &name[..],
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade"
        );
        if forbidden || name.starts_with(b":") {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(value.clone())) {
            map.append(name, value);
        }
    }
    map
}

/// A request with its response.
struct Stream {
    flight: Flight,
    client: Incoming2,
    alarm: Alarm,
    worker: Rc<Worker>,
    _under_way: UnderWay,
}

/// Reads what is left of a request for nothing, up to a bound: a reset behind the answer is legal, and there are clients
/// that lose the answer by it (curl 7.88).
fn discard(mut incoming: Incoming) {
    if incoming.is_end_stream() {
        return;
    }
    let all = async move {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
            let size = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            match left.checked_sub(size) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    tokio::task::spawn_local(tokio::time::timeout(LINGER, all));
}

impl Stream {
    /// All of the response has been given out.
    fn finish(self) {
        drop(self.flight);
        discard(self.client.incoming);
    }

    /// The next piece of the response; none where it has been broken off.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, ClientFault>> {
        loop {
            self.flight.advance(cx, Instant::now(), &mut self.client)?;
            if let Some(part) = self.flight.next_part() {
                return Poll::Ready(Ok(Some(part)));
            }
            if self.flight.is_over() {
                return Poll::Ready(Ok(None));
            }
            let body = self.flight.wants_body().then(|| self.client.since + self.worker.settings().timeouts.body);
            let Some(at) = [body, self.flight.deadline()].into_iter().flatten().min() else { return Poll::Pending };
            match self.alarm.poll(cx, at) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if self.flight.deadline().is_some_and(|deadline| deadline <= at) => {
                    self.flight.too_late();
                }
                Poll::Ready(()) => {
                    let refusal = Refusal { status: 408, reason: "the body of the request did not come in time" };
                    return Poll::Ready(Err(ClientFault::Refused(refusal)));
                }
            }
        }
    }
}

/// The client's side.
struct Incoming2 {
    incoming: Incoming,
    since: Instant,
}

impl Client for Incoming2 {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, ClientFault>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(Part::Data { bytes: Bytes::new(), end_of_stream: true })),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(ClientFault::Gone)),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            self.since = Instant::now();
            match frame.into_data() {
                Ok(bytes) => {
                    let end_of_stream = self.incoming.is_end_stream();
                    if !bytes.is_empty() || end_of_stream {
                        return Poll::Ready(Ok(Part::Data { bytes, end_of_stream }));
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return Poll::Ready(Ok(Part::Trailers(trailers.iter().map(pair).collect())));
                    }
                }
            }
        }
    }

    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        // hyper drops the stream then.
        Poll::Pending
    }
}
