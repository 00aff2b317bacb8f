//! Bodies as they come: by length, in chunks, or until the connection ends.

use super::head::{self, TOO_LARGE};
use super::{Framing, HeadBounds, Refusal};
use crate::message::Headers;
use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of one chunk's first line, extensions included. Nobody reads those.
const CHUNK_LINE: usize = 256;

/// A body that is being read.
#[derive(Debug)]
pub struct Body {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Left(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
}

/// What comes next of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes, never none.
    Data(Bytes),
    /// The end, with trailers.
    Trailers(Headers),
    /// The end.
    End,
}

impl Body {
    /// A body of which nothing has been read.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => State::ChunkSize,
            Framing::Close => State::UntilClose,
        };
        Self { state }
    }

    /// The end has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Nothing but the end is left.
    pub fn is_at_end(&self) -> bool {
        matches!(self.state, State::Done | State::Left(0))
    }

    /// Takes the end off the buffer, if it is known to be there and nothing comes with it: for hosts that show the end with
    /// the last bytes.
    pub fn take_end(&mut self, buffer: &mut BytesMut) -> bool {
        const LAST: &[u8] = b"\r\n0\r\n\r\n";
        match self.state {
            State::Left(0) => {}
            State::ChunkEnd if buffer.starts_with(LAST) => buffer.advance(LAST.len()),
            _ => return false,
        }
        self.state = State::Done;
        true
    }

    /// Takes the next piece off the buffer; `None` where more has to come.
    pub fn next(&mut self, buffer: &mut BytesMut, bounds: &HeadBounds) -> Result<Option<Piece>, Refusal> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Left(0) => {
                    self.state = State::Done;
                    return Ok(Some(Piece::End));
                }
                State::Left(left) => {
                    let Some(bytes) = take(buffer, left) else { return Ok(None) };
                    self.state = State::Left(left - bytes.len() as u64);
                    return Ok(Some(Piece::Data(bytes)));
                }
                State::UntilClose => return Ok(take(buffer, u64::MAX).map(Piece::Data)),
                State::ChunkSize => {
                    let Some(size) = chunk_size(buffer)? else { return Ok(None) };
                    self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
                }
                State::ChunkData(left) => {
                    let Some(bytes) = take(buffer, left) else { return Ok(None) };
                    let left = left - bytes.len() as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                    return Ok(Some(Piece::Data(bytes)));
                }
                State::ChunkEnd => {
                    match buffer.get(..2) {
                        Some(b"\r\n") => {}
                        Some(_) => return Err(Refusal::bad("a chunk does not end where it says")),
                        None if matches!(buffer.first(), None | Some(b'\r')) => return Ok(None),
                        None => return Err(Refusal::bad("a chunk does not end where it says")),
                    }
                    let _ = buffer.split_to(2);
                    self.state = State::ChunkSize;
                }
                State::Trailers => {
                    let Some(trailers) = trailers(buffer, bounds)? else { return Ok(None) };
                    self.state = State::Done;
                    return Ok(Some(if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) }));
                }
            }
        }
    }

    /// The connection has ended; says whether the body has, too.
    pub fn ends_with_connection(&mut self) -> bool {
        let ends = self.state == State::UntilClose;
        if ends {
            self.state = State::Left(0);
        }
        ends
    }
}

fn take(buffer: &mut BytesMut, most: u64) -> Option<Bytes> {
    let size = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
    (size > 0).then(|| buffer.split_to(size).freeze())
}

/// The size in a chunk's first line: hexadecimal digits, and nothing that another parser could take for more.
fn chunk_size(buffer: &mut BytesMut) -> Result<Option<u64>, Refusal> {
    const WRONG: Refusal = Refusal::bad("the size of a chunk is not a hexadecimal number");
    let digits = buffer.iter().take(17).take_while(|b| b.is_ascii_hexdigit()).count();
    if digits > 16 || (digits == 0 && !buffer.is_empty()) {
        return Err(WRONG);
    }
    match buffer.get(digits) {
        None => return Ok(None),
        Some(b'\r' | b';') => {}
        Some(_) => return Err(WRONG),
    }
    let Some(end) = head::find(&buffer[..buffer.len().min(CHUNK_LINE)], b'\n', digits) else {
        return match buffer.len() >= CHUNK_LINE {
            true => Err(Refusal::bad("the first line of a chunk is too long")),
            false => Ok(None),
        };
    };
    let line = &buffer[..end];
    let extension = line.strip_suffix(b"\r").and_then(|line| line.get(digits..));
    if !extension.is_some_and(|extension| extension.iter().all(|b| head::is_value(*b))) {
        return Err(Refusal::bad("the first line of a chunk does not end with CRLF"));
    }
    let size = line[..digits].iter().fold(0u64, |sum, b| sum << 4 | u64::from(hex(*b)));
    let _ = buffer.split_to(end + 1);
    // So that no sum of sizes overflows.
    if size > i64::MAX as u64 { Err(WRONG) } else { Ok(Some(size)) }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The lines behind the last chunk.
fn trailers(buffer: &mut BytesMut, bounds: &HeadBounds) -> Result<Option<Headers>, Refusal> {
    let mut at = 0;
    let mut found: Vec<(usize, usize)> = Vec::new();
    loop {
        let Some(end) = head::find(buffer, b'\n', at) else {
            return if buffer.len() > bounds.bytes { Err(TOO_LARGE) } else { Ok(None) };
        };
        if end > bounds.bytes || found.len() > bounds.lines {
            return Err(TOO_LARGE);
        }
        if buffer.get(end.wrapping_sub(1)) != Some(&b'\r') {
            return Err(Refusal::bad("a trailer does not end with CRLF"));
        }
        let line = (at, end - 1);
        at = end + 1;
        if line.0 == line.1 {
            break;
        }
        found.push(line);
    }
    let mut all = buffer.split_to(at);
    let split = |(start, end): (usize, usize)| {
        let (name, value) = head::split(&mut all[start..end])?;
        Ok((start..start + name, start + value.start..start + value.end))
    };
    let found = found.into_iter().map(split).collect::<Result<Vec<_>, Refusal>>()?;
    let all = all.freeze();
    let found = found.into_iter().map(|(name, value)| (all.slice(name), all.slice(value)));
    let headers: Vec<_> = found.filter(|(name, _)| may_trail(name)).collect();
    Ok(Some(headers.into_iter().collect()))
}

/// RFC 9110 6.5.1: what says how a message is read can't come behind it.
fn may_trail(name: &[u8]) -> bool {
    !matches!(
        name,
        b"content-length"
            | b"transfer-encoding"
            | b"host"
            | b"connection"
            | b"trailer"
            | b"te"
            | b"upgrade"
            | b"expect"
            | b"content-encoding"
            | b"content-type"
            | b"content-range"
            | b"authorization"
            | b"cookie"
            | b"set-cookie"
    )
}
