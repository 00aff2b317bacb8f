//! What goes out: heads and bodies, as bytes that wait to be written.
//!
//! Plugins can put anything into headers. What can't be written as one header line is left out or made harmless,
//! and a body never runs over the length that its head announced: the next message begins behind it.

use super::head;
use super::request::Version;
use crate::message::Headers;
use crate::proxy::date::HttpDate;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Pieces up to this size are copied: that costs less than one more slice in a write.
const COPIED: usize = 2048;
/// Slices of one write.
const SLICES: usize = 32;

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Before what is in `tail`.
    chunks: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// So much of the tail has been written.
    gone: usize,
    length: usize,
}

impl Outbox {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds bytes that somebody else owns.
    pub fn copy(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Adds bytes, copied only where they are few.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() <= COPIED {
            self.copy(&bytes);
            return;
        }
        self.length += bytes.len();
        if self.tail.len() > self.gone {
            let mut tail = Bytes::from(std::mem::take(&mut self.tail));
            tail.advance(std::mem::take(&mut self.gone));
            self.chunks.push_back(tail);
        }
        self.chunks.push_back(bytes);
    }

    fn tail(&self) -> &[u8] {
        self.tail.get(self.gone..).unwrap_or_default()
    }

    /// The bytes as slices for one write; says how many slices there are.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES]) -> usize {
        let all = self.chunks.iter().map(|chunk| &chunk[..]).chain([self.tail()]);
        let mut count = 0;
        for (slot, bytes) in into.iter_mut().zip(all.filter(|bytes| !bytes.is_empty())) {
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// A place for [`Outbox::slices`].
    pub fn no_slices<'a>() -> [IoSlice<'a>; SLICES] {
        [IoSlice::new(&[]); SLICES]
    }

    /// The bytes, if they are in one piece.
    pub fn single(&self) -> Option<&[u8]> {
        self.chunks.is_empty().then(|| self.tail())
    }

    /// So many bytes have been written.
    pub fn written(&mut self, mut count: usize) {
        self.length = self.length.saturating_sub(count);
        while count > 0 {
            let Some(first) = self.chunks.front_mut() else { break };
            if first.len() > count {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.chunks.pop_front();
        }
        self.gone += count;
        if self.gone >= self.tail.len() {
            self.tail.clear();
            self.gone = 0;
        } else if self.gone > self.tail.len() / 2 {
            // What is never written to its end must not grow for ever.
            self.tail.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Nothing of it will be written.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The target of a request. What would end it too soon is escaped, as nginx does with a path that was rewritten.
    fn target(&mut self, target: &[u8]) {
        let ends = |byte: u8| byte <= b' ' || byte == 0x7f;
        if !target.iter().any(|byte| ends(*byte)) {
            return self.copy(target);
        }
        for byte in target {
            match ends(*byte) {
                true => self.copy(format!("%{byte:02X}").as_bytes()),
                false => self.copy(&[*byte]),
            }
        }
    }

    fn line(&mut self, name: &[u8], value: &[u8]) {
        if name.is_empty() || !name.iter().all(|b| head::is_token(*b)) {
            return;
        }
        self.tail.reserve(name.len() + value.len() + 4);
        self.copy(name);
        self.copy(b": ");
        if head::are_value(value) {
            self.copy(value);
        } else {
            let harmless: Vec<u8> = value.iter().map(|b| if head::is_value(*b) { *b } else { b' ' }).collect();
            self.copy(&harmless);
        }
        self.copy(b"\r\n");
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.copy(&digits[at..]);
    }

    fn hex(&mut self, number: usize) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0u8; 16];
        let (mut at, mut rest) = (digits.len(), number);
        loop {
            at -= 1;
            digits[at] = DIGITS[rest & 15];
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        self.copy(&digits[at..]);
    }
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// There is none; what comes of it is dropped.
    None,
    /// So many bytes are still to come.
    Left(u64),
    /// In chunks.
    Chunked,
    /// As it is, and the connection ends with it.
    Close,
}

/// Whether a message that has been written is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is: another can follow.
    Whole,
    /// It is not what its head announced: the connection has to go.
    Broken,
}

/// Headers that are about one connection only, or written by us.
fn is_ours(name: &[u8]) -> bool {
    // By length first: most headers are none of them.
    match name.len() {
        2 => name == b"te",
        6 => name == b"expect",
        7 => name == b"upgrade",
        10 => matches!(name, b"connection" | b"keep-alive"),
        14 => name == b"content-length",
        16 => name == b"proxy-connection",
        17 => name == b"transfer-encoding",
        _ => false,
    }
}

/// Writes the head of a request to an upstream; gives how its body is written.
pub fn request_head(out: &mut Outbox, headers: &Headers, end_of_stream: bool) -> Writing {
    let (mut method, mut path, mut authority) = (&b"GET"[..], &b"/"[..], &b""[..]);
    for (name, value) in headers.iter() {
        match &name[..] {
            b":method" if !value.is_empty() && value.iter().all(|b| head::is_token(*b)) => method = value,
            b":path" if !value.is_empty() => path = value,
            b":authority" => authority = value,
            _ => {}
        }
    }
    out.copy(method);
    out.copy(b" ");
    out.target(path);
    out.copy(b" HTTP/1.1\r\n");
    out.line(b"host", authority);
    let mut length = None;
    let named = named_by_connection(headers);
    for (name, value) in headers.iter() {
        if name.first() == Some(&b':') || name == "host" {
            continue;
        }
        if is_ours(name) {
            if name == "content-length" {
                length = head::content_length(value);
            }
            continue;
        }
        if named.is_some_and(|named| {
            head::list(named).any(|n| n.eq_ignore_ascii_case(name)) && super::response::may_be_named(name)
        }) {
            continue;
        }
        out.line(name, value);
    }
    let writing = match (end_of_stream, length) {
        (true, None) => Writing::None,
        (_, Some(length)) => Writing::Left(length),
        (false, None) => Writing::Chunked,
    };
    match writing {
        Writing::Left(length) => length_line(out, length),
        Writing::Chunked => out.copy(b"transfer-encoding: chunked\r\n"),
        Writing::None | Writing::Close => {}
    }
    out.copy(b"\r\n");
    writing
}

fn named_by_connection(headers: &Headers) -> Option<&Bytes> {
    headers.get(b"connection").filter(|value| !value.eq_ignore_ascii_case(b"keep-alive") && *value != "close")
}

/// What the client's request says about how a response is written.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The version of the request.
    pub version: Version,
    /// It was HEAD.
    pub head_only: bool,
    /// The connection is to stay.
    pub keep_alive: bool,
    /// The date of a response that has none.
    pub date: Option<HttpDate>,
}

/// How a response is written.
#[derive(Debug, Clone, Copy)]
pub struct ResponseWriting {
    /// Its body.
    pub body: Writing,
    /// The connection stays.
    pub keep_alive: bool,
}

/// Writes the head of a response to a client.
pub fn response_head(
    out: &mut Outbox,
    status: u16,
    headers: &Headers,
    end_of_stream: bool,
    asked: &Asked,
) -> ResponseWriting {
    status_line(out, status);
    let mut length = None;
    if let Some(date) = asked.date.filter(|_| headers.get(b"date").is_none()) {
        out.line(b"date", &date);
    }
    for (name, value) in headers.iter() {
        if name.first() == Some(&b':') {
            continue;
        }
        if is_ours(name) && name != "te" && name != "expect" {
            if name == "content-length" {
                length = length.or(head::content_length(value));
            }
            continue;
        }
        out.line(name, value);
    }
    let without = matches!(status, 204 | 304);
    let body = match (asked.head_only || without, length) {
        (true, _) => Writing::None,
        (false, Some(length)) => Writing::Left(length),
        (false, None) if end_of_stream => Writing::Left(0),
        (false, None) if asked.version == Version::Http11 => Writing::Chunked,
        (false, None) => Writing::Close,
    };
    match (body, length) {
        (Writing::Left(length), _) => length_line(out, length),
        // What a GET would have had.
        (Writing::None, Some(length)) if status != 204 => length_line(out, length),
        (Writing::Chunked, _) => out.copy(b"transfer-encoding: chunked\r\n"),
        (Writing::None | Writing::Close, _) => {}
    }
    let keep_alive = asked.keep_alive && body != Writing::Close;
    match (keep_alive, asked.version) {
        (false, _) => out.copy(b"connection: close\r\n"),
        (true, Version::Http10) => out.copy(b"connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    out.copy(b"\r\n");
    ResponseWriting { body, keep_alive }
}

fn length_line(out: &mut Outbox, length: u64) {
    out.copy(b"content-length: ");
    out.number(length);
    out.copy(b"\r\n");
}

fn status_line(out: &mut Outbox, status: u16) {
    if status == 200 {
        out.copy(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.copy(b"HTTP/1.1 ");
    out.number(u64::from(status));
    out.copy(b" ");
    out.copy(reason(status).as_bytes());
    out.copy(b"\r\n");
}

/// The phrase of a status; nothing for one that has none.
pub fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

/// Writes bytes of a body. Gives back whether they were more than was announced.
pub fn data(out: &mut Outbox, writing: &mut Writing, mut bytes: Bytes) -> Written {
    if bytes.is_empty() {
        return Written::Whole;
    }
    match writing {
        Writing::None => {}
        Writing::Left(left) => {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            let over = bytes.len() > most;
            bytes.truncate(most);
            *left -= bytes.len() as u64;
            out.push(bytes);
            if over {
                return Written::Broken;
            }
        }
        Writing::Chunked => {
            out.hex(bytes.len());
            out.copy(b"\r\n");
            out.push(bytes);
            out.copy(b"\r\n");
        }
        Writing::Close => out.push(bytes),
    }
    Written::Whole
}

/// Writes the end of a body, with trailers where there is room for them.
pub fn end(out: &mut Outbox, writing: Writing, trailers: Option<&Headers>) -> Written {
    match writing {
        Writing::None | Writing::Left(0) => Written::Whole,
        Writing::Left(_) | Writing::Close => Written::Broken,
        Writing::Chunked => {
            out.copy(b"0\r\n");
            for (name, value) in trailers.into_iter().flat_map(Headers::iter) {
                if !is_ours(name) {
                    out.line(name, value);
                }
            }
            out.copy(b"\r\n");
            Written::Whole
        }
    }
}
