//! The client: sends a scenario's request piece by piece and notes what comes back.

use super::http1::{Head, Reader, Rest, chunk_bytes, head_bytes, last_chunk};
use super::server2::{map, receive};
use super::stage::Stage;
use crate::abi::ExchangeId;
use crate::message::{Headers, Part};
use crate::runner::message;
use crate::scenario::{Protocol, Request, Upstream};
use crate::trace::{Event, Peer};
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Sends a request; comes back when the last piece is on its way, or when there is nobody left to send it to.
/// The response is taken by a task of its own. Dropping what comes back closes the connection.
pub async fn send(stage: &Rc<Stage>, port: u16, exchange: ExchangeId, request: &Request) -> io::Result<Connection> {
    let protocol = stage.scene.borrow().protocol;
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let parts = message::request(request, protocol, None);
    match protocol {
        Protocol::Http1 => send1(stage, stream, exchange, request, parts).await,
        Protocol::H2 => {
            send2(stage, stream, exchange, request, parts).await.map_err(|error| io::Error::other(error.to_string()))
        }
    }
}

/// A client's connection, which lives as long as this.
#[derive(Debug)]
pub struct Connection {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _writing: Option<tokio::net::tcp::OwnedWriteHalf>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn ended(stage: &Stage, exchange: ExchangeId) -> bool {
    stage.scene.borrow().flights.iter().any(|flight| flight.exchange == exchange && flight.ended)
}

async fn send1(
    stage: &Rc<Stage>,
    stream: TcpStream,
    exchange: ExchangeId,
    request: &Request,
    parts: Vec<Part>,
) -> io::Result<Connection> {
    let (reading, mut writing) = stream.into_split();
    let (scene, ours) = (stage.number(), stage.clone());
    let asked = request.clone();
    let task = tokio::task::spawn_local(async move {
        if take1(&ours, scene, exchange, Reader::new(reading), &asked).await.is_err() {
            ours.sight_for(scene, Event::Output { exchange, to: Peer::Client, part: Part::Reset });
        }
        ours.client_ended(scene, exchange);
    });
    let mut chunked = false;
    for part in parts {
        let bytes = match part {
            Part::Headers { headers, end_of_stream } => {
                let mut fields = vec![(Bytes::from_static(b"Host"), request.authority.clone())];
                fields.extend(request.headers.iter().cloned());
                let given = |name: &[u8]| request.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
                let length = headers.get(b"content-length");
                chunked = given(b"transfer-encoding");
                match length {
                    Some(length) if !given(b"content-length") => {
                        fields.push((Bytes::from_static(b"Content-Length"), length.clone()));
                    }
                    None if !end_of_stream && !chunked => {
                        chunked = true;
                        fields.push((Bytes::from_static(b"Transfer-Encoding"), Bytes::from_static(b"chunked")));
                    }
                    Some(_) | None => {}
                }
                head_bytes(&[&request.method, &request.path, b"HTTP/1.1"], &fields)
            }
            Part::Data { bytes, end_of_stream } => {
                let mut data = match chunked && !bytes.is_empty() {
                    true => chunk_bytes(&bytes),
                    false => bytes.to_vec(),
                };
                if end_of_stream && chunked {
                    data.extend(last_chunk(&Headers::new()));
                }
                data
            }
            Part::Trailers(trailers) => last_chunk(&trailers),
            Part::Metadata(_) => continue,
            Part::Reset => break,
        };
        if ended(stage, exchange) || (!bytes.is_empty() && writing.write_all(&bytes).await.is_err()) {
            break;
        }
        // Each piece is read by itself.
        stage.barrier.pass(1).await.map_err(io::Error::other)?;
    }
    Ok(Connection { tasks: vec![task], _writing: Some(writing) })
}

async fn take1(
    stage: &Stage,
    scene: usize,
    exchange: ExchangeId,
    mut reader: Reader,
    request: &Request,
) -> io::Result<()> {
    let head_only = request.method == "HEAD";
    let sight = |part| stage.sight_for(scene, Event::Output { exchange, to: Peer::Client, part });
    let head = reader.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut rest = if head_only { Rest::Done } else { head.rest(Rest::UntilClose) };
    if rest == Rest::UntilClose && bodyless(&head) {
        rest = Rest::Done;
    }
    let announced = matches!(rest, Rest::Length(_));
    let mut headers = response_headers(&head);
    without_envoys_own(&mut headers, request);
    sight(Part::Headers { headers, end_of_stream: rest == Rest::Done });
    while let Some(part) = stage.piece(scene, exchange, &mut reader, &mut rest).await? {
        sight(part);
    }
    if announced {
        // More than was announced: nobody who reads HTTP sees it, but it is on the wire.
        stage.barrier.pass(1).await.map_err(io::Error::other)?;
        let surplus = reader.surplus();
        if !surplus.is_empty() {
            sight(Part::Data { bytes: surplus, end_of_stream: true });
        }
    }
    Ok(())
}

/// Statuses whose responses have no body unless they announce one.
fn bodyless(head: &Head) -> bool {
    let [_, status, _] = &head.words;
    matches!(&status[..], b"204" | b"304") || status.starts_with(b"1")
}

/// Takes off what Envoy writes on every response, so that what is left is the origin's and the plugins'.
fn without_envoys_own(headers: &mut Headers, request: &Request) {
    let reply = match &request.upstream {
        Upstream::Reply(reply) => message::response(reply, Protocol::Http1, None, false, false),
        Upstream::Never(_) | Upstream::Fail(_) => Vec::new(),
    };
    let given =
        |name: &[u8]| matches!(reply.first(), Some(Part::Headers { headers, .. }) if headers.get(name).is_some());
    let is = |name: &[u8], value: &[u8]| headers.get(name).is_some_and(|found| found == value);
    let own = [
        (&b"date"[..], headers.get(b"date").is_some_and(|date| date.len() == 29 && date.ends_with(b" GMT"))),
        (b"content-length", is(b"content-length", b"0")),
        (b"transfer-encoding", is(b"transfer-encoding", b"chunked")),
        (b"connection", is(b"connection", b"close")),
    ];
    for (name, is_own) in own {
        if is_own && !given(name) {
            headers.remove(name);
        }
    }
}

fn response_headers(head: &Head) -> Headers {
    let mut headers = Headers::new();
    let [_, status, _] = &head.words;
    headers.append(":status", status.clone());
    for (name, value) in head.fields.iter() {
        headers.append(name.clone(), value.clone());
    }
    headers
}

async fn send2(
    stage: &Rc<Stage>,
    stream: TcpStream,
    exchange: ExchangeId,
    request: &Request,
    parts: Vec<Part>,
) -> Result<Connection, Box<dyn std::error::Error>> {
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(8 << 20)
        .initial_connection_window_size(8 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    let driver = tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    let mut connection = Connection { tasks: vec![driver], _writing: None };
    let mut client = client.ready().await?;
    let mut sending = None;
    let scene = stage.number();
    for part in parts {
        match (part, &mut sending) {
            (Part::Headers { headers, end_of_stream }, _) => {
                let (response, out) = client.send_request(request_head(&headers)?, end_of_stream)?;
                let (ours, asked) = (stage.clone(), request.clone());
                connection.tasks.push(tokio::task::spawn_local(async move {
                    if take2(&ours, scene, exchange, response, &asked).await.is_err() {
                        ours.sight_for(scene, Event::Output { exchange, to: Peer::Client, part: Part::Reset });
                    }
                    ours.client_ended(scene, exchange);
                }));
                sending = Some(out);
            }
            (Part::Data { bytes, end_of_stream }, Some(out)) => {
                if out.send_data(bytes, end_of_stream).is_err() {
                    break;
                }
            }
            (Part::Trailers(trailers), Some(out)) => {
                if out.send_trailers(map(&trailers)?).is_err() {
                    break;
                }
            }
            (Part::Reset | Part::Metadata(_) | Part::Data { .. } | Part::Trailers(_), _) => break,
        }
        stage.barrier.pass(2).await?;
        if ended(stage, exchange) {
            break;
        }
    }
    // The stream is open as long as somebody may send on it.
    connection.tasks.push(tokio::task::spawn_local(async move {
        let _held = (sending, client);
        std::future::pending::<()>().await;
    }));
    Ok(connection)
}

fn request_head(headers: &Headers) -> Result<http::Request<()>, Box<dyn std::error::Error>> {
    let get = |name: &[u8]| headers.get(name).cloned().unwrap_or_default();
    let uri = http::Uri::builder()
        .scheme(&get(b":scheme")[..])
        .authority(&get(b":authority")[..])
        .path_and_query(&get(b":path")[..])
        .build()?;
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::from_bytes(&get(b":method"))?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = map(headers)?;
    Ok(request)
}

async fn take2(
    stage: &Stage,
    scene: usize,
    exchange: ExchangeId,
    response: h2::client::ResponseFuture,
    request: &Request,
) -> Result<(), Box<dyn std::error::Error>> {
    let sight = |part| stage.sight_for(scene, Event::Output { exchange, to: Peer::Client, part });
    let (head, mut body) = response.await?.into_parts();
    let mut headers = Headers::new();
    headers.append(":status", head.status.as_str().to_owned());
    for (name, value) in super::server2::fields(&head.headers) {
        headers.append(name, value);
    }
    without_envoys_own(&mut headers, request);
    sight(Part::Headers { headers, end_of_stream: body.is_end_stream() });
    receive(&mut body, sight).await
}
