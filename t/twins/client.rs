//! The client: one connection for each request, which is sent piece by piece, and what comes back.

use super::wire::{Framing, Kind, Reader, head_bytes};
use bytes::Bytes;
use pwtest::message::{Headers, Part};
use pwtest::scenario::{Protocol, Request};
use pwtest::trace::views::SeenMessage;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;

/// What has been seen so far of a message, or of nothing.
pub type Seen = Rc<RefCell<SeenMessage>>;

/// Notes a piece.
pub fn note(seen: &Seen, part: Part) {
    let mut seen = seen.borrow_mut();
    match part {
        Part::Headers { headers, end_of_stream } => {
            seen.headers = Some(headers);
            seen.complete |= end_of_stream;
        }
        Part::Data { bytes, end_of_stream } => {
            seen.body.extend_from_slice(&bytes);
            seen.complete |= end_of_stream;
        }
        Part::Trailers(trailers) => {
            seen.trailers = Some(trailers);
            seen.complete = true;
        }
        Part::Reset if !seen.complete => seen.reset = true,
        Part::Reset | Part::Metadata(_) => {}
    }
}

/// A client and its connection. Dropping it closes that.
pub struct Client {
    way: Way,
    tasks: Vec<JoinHandle<()>>,
}

enum Way {
    Http1 { out: OwnedWriteHalf, framing: Framing },
    H2 { send: h2::SendStream<Bytes> },
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

type Failed = Box<dyn std::error::Error>;

impl Client {
    /// Connects and sends the head. What comes back is noted in `seen`.
    pub async fn begin(
        to: SocketAddr,
        protocol: Protocol,
        request: &Request,
        head: &Headers,
        end_of_stream: bool,
        seen: &Seen,
    ) -> Result<Self, Failed> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        match protocol {
            Protocol::Http1 => begin1(stream, request, head, end_of_stream, seen.clone()).await,
            Protocol::H2 => begin2(stream, head, end_of_stream, seen.clone()).await,
        }
    }

    /// Sends a piece behind the head.
    pub async fn send(&mut self, part: &Part) -> Result<(), Failed> {
        match (&mut self.way, part) {
            (Way::Http1 { out, framing }, part) => out.write_all(&framing.bytes(part)).await?,
            (Way::H2 { send }, Part::Data { bytes, end_of_stream }) => send.send_data(bytes.clone(), *end_of_stream)?,
            (Way::H2 { send }, Part::Trailers(trailers)) => send.send_trailers(map(trailers)?)?,
            (Way::H2 { .. }, Part::Headers { .. } | Part::Metadata(_) | Part::Reset) => {}
        }
        Ok(())
    }

    /// Goes away in the middle.
    pub fn leave(&mut self) {
        if let Way::H2 { send } = &mut self.way {
            send.send_reset(h2::Reason::CANCEL);
        }
    }
}

async fn begin1(
    stream: TcpStream,
    request: &Request,
    head: &Headers,
    end_of_stream: bool,
    seen: Seen,
) -> Result<Client, Failed> {
    let (mut incoming, mut out) = stream.into_split();
    let kind = Kind::Response { head_only: request.method == "HEAD" };
    let task = tokio::task::spawn_local(async move {
        let (mut reader, mut buffer) = (Reader::new(kind), vec![0; 64 << 10]);
        while !seen.borrow().complete && !seen.borrow().reset {
            let read = incoming.read(&mut buffer).await;
            match read {
                Ok(0) | Err(_) => note(&seen, reader.end()),
                Ok(n) => reader.feed(buffer.get(..n).unwrap_or_default()),
            }
            while !seen.borrow().complete && !seen.borrow().reset {
                match reader.next() {
                    Ok(Some(part)) => note(&seen, part),
                    Ok(None) => break,
                    Err(_) => note(&seen, Part::Reset),
                }
            }
        }
    });
    // Names as the scenario writes them.
    let mut fields = vec![(Bytes::from_static(b"Host"), request.authority.clone())];
    fields.extend(request.headers.iter().cloned());
    let given = |name: &[u8]| request.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let mut framing = if given(b"transfer-encoding") { Framing::Chunked } else { Framing::Plain };
    match head.get(b"content-length") {
        Some(length) if !given(b"content-length") => {
            fields.push((Bytes::from_static(b"Content-Length"), length.clone()));
        }
        None if !end_of_stream && framing == Framing::Plain => {
            framing = Framing::Chunked;
            fields.push((Bytes::from_static(b"Transfer-Encoding"), Bytes::from_static(b"chunked")));
        }
        Some(_) | None => {}
    }
    out.write_all(&head_bytes(&[&request.method, &request.path, b"HTTP/1.1"], &fields)).await?;
    Ok(Client { way: Way::Http1 { out, framing }, tasks: vec![task] })
}

async fn begin2(stream: TcpStream, head: &Headers, end_of_stream: bool, seen: Seen) -> Result<Client, Failed> {
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(8 << 20)
        .initial_connection_window_size(8 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    let driver = tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    let get = |name: &[u8]| head.get(name).cloned().unwrap_or_default();
    let uri = http::Uri::builder()
        .scheme(&get(b":scheme")[..])
        .authority(&get(b":authority")[..])
        .path_and_query(&get(b":path")[..])
        .build()?;
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::from_bytes(&get(b":method"))?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = map(head)?;
    let mut client = client.ready().await?;
    let (response, send) = client.send_request(request, end_of_stream)?;
    let task = tokio::task::spawn_local(async move {
        let _held = client;
        if take2(response, &seen).await.is_err() {
            note(&seen, Part::Reset);
        }
        std::future::pending::<()>().await;
    });
    Ok(Client { way: Way::H2 { send }, tasks: vec![driver, task] })
}

async fn take2(response: h2::client::ResponseFuture, seen: &Seen) -> Result<(), Failed> {
    let (head, mut body) = response.await?.into_parts();
    let mut headers = Headers::new();
    headers.append(":status", head.status.as_str().to_owned());
    for (name, value) in fields(&head.headers) {
        headers.append(name, value);
    }
    let end_of_stream = body.is_end_stream();
    note(seen, Part::Headers { headers, end_of_stream });
    if end_of_stream {
        return Ok(());
    }
    while let Some(data) = body.data().await {
        let bytes = data?;
        let _ = body.flow_control().release_capacity(bytes.len());
        note(seen, Part::Data { bytes, end_of_stream: body.is_end_stream() });
    }
    match body.trailers().await? {
        Some(trailers) => note(seen, Part::Trailers(fields(&trailers))),
        None => note(seen, Part::Data { bytes: Bytes::new(), end_of_stream: true }),
    }
    Ok(())
}

/// Fields as they came.
pub fn fields(map: &http::HeaderMap) -> Headers {
    map.iter()
        .map(|(name, value)| (Bytes::from(name.as_str().to_owned()), Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

/// Fields for the library, without pseudo headers.
pub fn map(headers: &Headers) -> Result<http::HeaderMap, Failed> {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(b":")) {
        map.append(http::HeaderName::from_bytes(name)?, http::HeaderValue::from_bytes(value)?);
    }
    Ok(map)
}
