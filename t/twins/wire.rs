//! HTTP/1.1 as bytes, both ways: what is read is kept as it came, for a library that mends messages would hide what
//! the proxy did.

use bytes::{Buf as _, Bytes, BytesMut};
use pwtest::message::{Headers, Part};

/// Which messages a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's.
    Request,
    /// An origin's, to a request with HEAD or not.
    Response {
        /// It has no body, whatever its head says.
        head_only: bool,
    },
}

/// How the body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
}

/// Takes messages apart.
#[derive(Debug)]
pub struct Reader {
    kind: Kind,
    at: At,
    buffer: BytesMut,
    trailers: Headers,
}

/// What is no HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad;

impl Reader {
    pub fn new(kind: Kind) -> Self {
        Self { kind, at: At::Head, buffer: BytesMut::new(), trailers: Headers::new() }
    }

    /// More bytes have come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The connection has ended: the last piece, if that is how the message ends.
    pub fn end(&mut self) -> Part {
        match self.at {
            At::UntilClose => Part::Data { bytes: self.buffer.split().freeze(), end_of_stream: true },
            _ => Part::Reset,
        }
    }

    /// The next piece, if all of it is there.
    pub fn next(&mut self) -> Result<Option<Part>, Bad> {
        let data = |bytes: Bytes, end_of_stream| Ok(Some(Part::Data { bytes, end_of_stream }));
        loop {
            match self.at {
                At::Head => {
                    let Some(end) = find(&self.buffer, b"\r\n\r\n") else { return Ok(None) };
                    let text = self.buffer.split_to(end + 4).freeze();
                    return self.head(&text.slice(..end)).map(Some);
                }
                At::Length(_) if self.buffer.is_empty() => return Ok(None),
                At::Length(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let left = left - taken as u64;
                    self.at = if left == 0 { At::Head } else { At::Length(left) };
                    return data(self.buffer.split_to(taken).freeze(), left == 0);
                }
                At::UntilClose if self.buffer.is_empty() => return Ok(None),
                At::UntilClose => return data(self.buffer.split().freeze(), false),
                At::ChunkSize => {
                    let Some(line) = self.line() else { return Ok(None) };
                    let text = std::str::from_utf8(&line).map_err(|_| Bad)?;
                    let size = u64::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16);
                    self.at = match size.map_err(|_| Bad)? {
                        0 => At::Trailers,
                        size => At::Chunk(size),
                    };
                }
                At::Chunk(_) if self.buffer.is_empty() => return Ok(None),
                At::Chunk(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let left = left - taken as u64;
                    self.at = if left == 0 { At::ChunkEnd } else { At::Chunk(left) };
                    return data(self.buffer.split_to(taken).freeze(), false);
                }
                At::ChunkEnd => match self.line() {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.at = At::ChunkSize,
                    Some(_) => return Err(Bad),
                },
                At::Trailers => {
                    let Some(line) = self.line() else { return Ok(None) };
                    if !line.is_empty() {
                        let (name, value) = field(&line);
                        self.trailers.append(name, value);
                        continue;
                    }
                    self.at = At::Head;
                    let trailers = std::mem::take(&mut self.trailers);
                    return if trailers.is_empty() {
                        data(Bytes::new(), true)
                    } else {
                        Ok(Some(Part::Trailers(trailers)))
                    };
                }
            }
        }
    }

    fn line(&mut self) -> Option<Bytes> {
        let end = find(&self.buffer, b"\r\n")?;
        let line = self.buffer.split_to(end).freeze();
        self.buffer.advance(2);
        Some(line)
    }

    fn head(&mut self, text: &Bytes) -> Result<Part, Bad> {
        let mut lines = text.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let mut words = first.splitn(3, |b| *b == b' ').map(Bytes::copy_from_slice);
        let (Some(one), Some(two)) = (words.next(), words.next()) else { return Err(Bad) };
        let fields: Headers = lines.map(|line| field(&Bytes::copy_from_slice(line))).collect();
        let mut headers = Headers::new();
        match self.kind {
            Kind::Request => {
                headers.append(":method", one);
                headers.append(":path", two.clone());
            }
            Kind::Response { .. } => headers.append(":status", two.clone()),
        }
        let is_chunked = fields.get(b"transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
        let length =
            fields.get(b"content-length").map(|value| std::str::from_utf8(value).unwrap_or("?").parse::<u64>());
        let length = length.transpose().map_err(|_| Bad)?;
        let bodyless = match self.kind {
            Kind::Request => false,
            Kind::Response { head_only } => head_only || matches!(&two[..], b"204" | b"304"),
        };
        let at = match (bodyless, is_chunked, length, self.kind) {
            (true, ..) | (false, false, Some(0), _) | (false, false, None, Kind::Request) => At::Head,
            (false, true, ..) => At::ChunkSize,
            (false, false, Some(length), _) => At::Length(length),
            (false, false, None, Kind::Response { .. }) => At::UntilClose,
        };
        self.at = at;
        for (name, value) in fields {
            headers.append(if name == "host" { Bytes::from_static(b":authority") } else { name }, value);
        }
        Ok(Part::Headers { headers, end_of_stream: at == At::Head })
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn field(line: &Bytes) -> (Bytes, Bytes) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    (line.slice(..colon).to_ascii_lowercase().into(), Bytes::copy_from_slice(value.trim_ascii()))
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

/// Writes bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As they are.
    Plain,
    /// In chunks.
    Chunked,
}

impl Framing {
    /// The bytes of a piece behind the head; a piece that ends the message comes with its end in one write.
    pub fn bytes(self, part: &Part) -> Vec<u8> {
        match (self, part) {
            (Self::Plain, Part::Data { bytes, .. }) => bytes.to_vec(),
            (Self::Chunked, Part::Data { bytes, end_of_stream }) => {
                let mut text = Vec::new();
                if !bytes.is_empty() {
                    text.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
                    text.extend_from_slice(bytes);
                    text.extend_from_slice(b"\r\n");
                }
                if *end_of_stream {
                    text.extend_from_slice(b"0\r\n\r\n");
                }
                text
            }
            (Self::Chunked, Part::Trailers(trailers)) => {
                let fields: Vec<_> = trailers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                head_bytes(&[b"0"], &fields)
            }
            (Self::Plain, Part::Trailers(_)) | (_, Part::Headers { .. } | Part::Metadata(_) | Part::Reset) => {
                Vec::new()
            }
        }
    }
}
