//! HTTP/1.1 as bytes: messages are written exactly as a scenario says and read exactly as they come, for a library
//! that mends them would hide what Envoy did.

use crate::message::{Headers, Part};
use bytes::{Buf as _, Bytes, BytesMut};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

/// A head larger than this is not read.
const LARGEST_HEAD: usize = 1 << 20;
/// A chunk's first line is not longer than this.
const LARGEST_LINE: usize = 1 << 16;

/// Reads messages off a connection.
#[derive(Debug)]
pub struct Reader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

/// The head of a message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The words of the first line; the last one may hold spaces.
    pub words: [Bytes; 3],
    /// The fields, names in lower case.
    pub fields: Headers,
}

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Done,
    /// So many bytes.
    Length(u64),
    /// Chunks; so many bytes of the current one.
    Chunked(u64),
    /// Until the connection closes.
    UntilClose,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Reader {
    /// A reader of a connection's incoming half.
    pub fn new(stream: OwnedReadHalf) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Whether anything came.
    async fn more(&mut self) -> io::Result<bool> {
        self.buffer.reserve(64 << 10);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next head; `None` where the connection ended before it.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = super::log::find(&self.buffer, b"\r\n\r\n") {
                let text = self.buffer.split_to(end + 4).freeze();
                return head(&text.slice(..end)).map(Some);
            }
            if self.buffer.len() > LARGEST_HEAD {
                return Err(bad("a head without end"));
            }
            if !self.more().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The next piece of a body, data as it came off the wire.
    pub async fn piece(&mut self, rest: &mut Rest) -> io::Result<Option<Part>> {
        let data = |bytes: BytesMut, end| Ok(Some(Part::Data { bytes: bytes.freeze(), end_of_stream: end }));
        loop {
            match *rest {
                Rest::Done => return Ok(None),
                Rest::Length(0) => {
                    *rest = Rest::Done;
                    return data(BytesMut::new(), true);
                }
                Rest::Length(left) if !self.buffer.is_empty() => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let left = left - taken as u64;
                    *rest = if left == 0 { Rest::Done } else { Rest::Length(left) };
                    return data(self.buffer.split_to(taken), left == 0);
                }
                Rest::UntilClose if !self.buffer.is_empty() => return data(self.buffer.split(), false),
                Rest::UntilClose => {
                    if !self.more().await? {
                        *rest = Rest::Done;
                        return data(BytesMut::new(), true);
                    }
                }
                Rest::Chunked(0) => match self.chunk_start()? {
                    Some(0) => return self.trailers(rest).await.map(Some),
                    Some(size) => *rest = Rest::Chunked(size),
                    None => self.need().await?,
                },
                Rest::Chunked(left) if self.buffer.len() as u64 >= left + 2 => {
                    let bytes = self.buffer.split_to(usize::try_from(left).map_err(io::Error::other)?);
                    self.buffer.advance(2);
                    *rest = Rest::Chunked(0);
                    return data(bytes, false);
                }
                Rest::Length(_) | Rest::Chunked(_) => self.need().await?,
            }
        }
    }

    async fn need(&mut self) -> io::Result<()> {
        if self.more().await? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The size of the next chunk, if its line is there.
    fn chunk_start(&mut self) -> io::Result<Option<u64>> {
        let Some(end) = super::log::find(&self.buffer, b"\r\n") else {
            return if self.buffer.len() > LARGEST_LINE { Err(bad("a chunk without size")) } else { Ok(None) };
        };
        let line = self.buffer.split_to(end + 2);
        let line = String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned();
        let size = line.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(size, 16).map(Some).map_err(|_| bad("a chunk without size"))
    }

    async fn trailers(&mut self, rest: &mut Rest) -> io::Result<Part> {
        let mut lines = Vec::new();
        loop {
            while let Some(end) = super::log::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end + 2).freeze();
                if end > 0 {
                    lines.push(line.slice(..end));
                    continue;
                }
                *rest = Rest::Done;
                let trailers: Headers = lines.iter().map(field).collect();
                return Ok(match trailers.is_empty() {
                    true => Part::Data { bytes: Bytes::new(), end_of_stream: true },
                    false => Part::Trailers(trailers),
                });
            }
            self.need().await?;
        }
    }

    /// What came behind the message.
    pub fn surplus(&mut self) -> Bytes {
        self.buffer.reserve(64 << 10);
        // Nothing more is no error here, and neither is an end.
        let _ = self.stream.try_read_buf(&mut self.buffer);
        self.buffer.split().freeze()
    }

    /// Whether the other end has closed; waits until it does or says something.
    pub async fn closed(&mut self) -> bool {
        !matches!(self.more().await, Ok(true))
    }
}

fn head(text: &Bytes) -> io::Result<Head> {
    let mut lines = Vec::new();
    let mut from = 0;
    while let Some(at) = super::log::find(text.get(from..).unwrap_or_default(), b"\r\n") {
        lines.push(text.slice(from..from + at));
        from += at + 2;
    }
    lines.push(text.slice(from..));
    let first = lines.first().cloned().unwrap_or_default();
    let space = |bytes: &Bytes| bytes.iter().position(|byte| *byte == b' ');
    let one = space(&first).ok_or_else(|| bad("a first line without words"))?;
    let rest = first.slice(one + 1..);
    let (second, third) = match space(&rest) {
        Some(at) => (rest.slice(..at), rest.slice(at + 1..)),
        None => (rest, Bytes::new()),
    };
    Ok(Head { words: [first.slice(..one), second, third], fields: lines.iter().skip(1).map(field).collect() })
}

fn field(line: &Bytes) -> (Bytes, Bytes) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let value = line.slice((colon + 1).min(line.len())..);
    let start = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (line.slice(..colon).to_ascii_lowercase().into(), value.slice(start..))
}

impl Head {
    /// How the body is framed.
    pub fn rest(&self, otherwise: Rest) -> Rest {
        let chunked = |value: &Bytes| super::log::find(&value.to_ascii_lowercase(), b"chunked").is_some();
        if self.fields.get(b"transfer-encoding").is_some_and(chunked) {
            return Rest::Chunked(0);
        }
        let length = self.fields.get(b"content-length").and_then(|value| std::str::from_utf8(value).ok());
        match length.and_then(|text| text.trim().parse().ok()) {
            Some(0) => Rest::Done,
            Some(length) => Rest::Length(length),
            None => otherwise,
        }
    }
}

/// The bytes of a head.
pub fn head_bytes(first: &[&[u8]], fields: &[(Bytes, Bytes)]) -> Vec<u8> {
    let mut text = first.join(&b' ');
    text.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

/// The bytes of one chunk.
pub fn chunk_bytes(data: &[u8]) -> Vec<u8> {
    let mut text = format!("{:x}\r\n", data.len()).into_bytes();
    text.extend_from_slice(data);
    text.extend_from_slice(b"\r\n");
    text
}

/// The end of a chunked body.
pub fn last_chunk(trailers: &Headers) -> Vec<u8> {
    let fields: Vec<(Bytes, Bytes)> = trailers.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    head_bytes(&[b"0"], &fields)
}

/// One request without a body, on a connection of its own; gives the body of the answer.
pub async fn ask(to: SocketAddr, method: &str, path: &str) -> io::Result<Vec<u8>> {
    let (reading, mut writing) = TcpStream::connect(to).await?.into_split();
    let fields = [("host", "envoy"), ("connection", "close"), ("content-length", "0")];
    let fields: Vec<(Bytes, Bytes)> = fields.iter().map(|(k, v)| (Bytes::from(*k), Bytes::from(*v))).collect();
    writing.write_all(&head_bytes(&[method.as_bytes(), path.as_bytes(), b"HTTP/1.1"], &fields)).await?;
    let mut reader = Reader::new(reading);
    let head = reader.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut rest = head.rest(Rest::UntilClose);
    let mut body = Vec::new();
    while let Some(part) = reader.piece(&mut rest).await? {
        if let Part::Data { bytes, .. } = part {
            body.extend_from_slice(&bytes);
        }
    }
    Ok(body)
}
