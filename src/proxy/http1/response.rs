//! The head of a response: whatever is doubtful in it makes the response garbage.

use super::head::{self, Lines, Scan};
use super::{Framing, HeadBounds, Refusal};
use crate::message::Headers;
use bytes::{Bytes, BytesMut};

/// A response, as its head says it.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// `:status`, then the headers in order and in lower case.
    pub headers: Headers,
    /// How the body ends.
    pub framing: Framing,
    /// The connection may serve another request.
    pub keep_alive: bool,
}

/// Takes a response's head off the buffer; `None` where more has to come. Whether the request was HEAD decides
/// whether there is a body.
pub fn parse(
    buffer: &mut BytesMut,
    scan: &mut Scan,
    bounds: &HeadBounds,
    head_only: bool,
) -> Result<Option<ResponseHead>, Refusal> {
    if !b"HTTP/1.".starts_with(&buffer[..buffer.len().min(7)]) {
        return Err(Refusal::bad("not HTTP"));
    }
    let Some(length) = head::length(buffer, scan, bounds)? else { return Ok(None) };
    *scan = Scan::default();
    let mut lines = Lines::cut(buffer, length, bounds);
    let line = lines.first();
    let (is_11, code, status) = status_line(&line)?;
    let mut headers = Vec::with_capacity(16);
    headers.push((Bytes::from_static(b":status"), code));
    let (mut length, mut chunked) = (None, false);
    let (mut close, mut keep) = (false, false);
    let mut named: Vec<Bytes> = Vec::new();
    while let Some((name, value)) = lines.header()? {
        match &name[..] {
            b"content-length" => {
                let new = head::content_length(&value).ok_or(Refusal::bad("not a length"))?;
                match length.replace(new) {
                    None => {}
                    Some(old) if old == new => continue,
                    Some(_) => return Err(Refusal::bad("two lengths")),
                }
            }
            b"transfer-encoding" if chunked || !value.eq_ignore_ascii_case(b"chunked") => {
                return Err(Refusal::bad("a transfer coding other than chunked"));
            }
            b"transfer-encoding" => chunked = true,
            // They are about this connection, and nobody else's business.
            b"connection" | b"proxy-connection" => {
                for option in head::list(&value) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep |= option.eq_ignore_ascii_case(b"keep-alive");
                    if may_be_named(option) {
                        named.push(value.slice_ref(option));
                    }
                }
                continue;
            }
            b"keep-alive" => continue,
            _ => {}
        }
        headers.push((name, value));
    }
    if !named.is_empty() {
        headers.retain(|(name, _)| !named.iter().any(|named| named.eq_ignore_ascii_case(name)));
    }
    let framing = match (chunked, length) {
        (true, Some(_)) => return Err(Refusal::bad("both a length and a transfer coding")),
        _ if head_only || status < 200 || matches!(status, 204 | 304) => Framing::None,
        (true, None) => Framing::Chunked,
        (false, Some(0)) => Framing::None,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Close,
    };
    let keep_alive = framing != Framing::Close && !close && (is_11 || keep);
    Ok(Some(ResponseHead { status, headers: headers.into_iter().collect(), framing, keep_alive }))
}

/// Whether a header that `Connection` names may go for that: not those that frame the message or say whose it is.
pub fn may_be_named(name: &[u8]) -> bool {
    const NEVER: &[&[u8]] =
        &[b"close", b"keep-alive", b"content-length", b"content-type", b"host", b"transfer-encoding"];
    !NEVER.iter().any(|never| never.eq_ignore_ascii_case(name))
}

fn status_line(line: &Bytes) -> Result<(bool, Bytes, u16), Refusal> {
    const WRONG: Refusal = Refusal::bad("not a status line");
    let is_11 = match line.get(..9) {
        Some(b"HTTP/1.1 ") => true,
        Some(b"HTTP/1.0 ") => false,
        _ => return Err(WRONG),
    };
    let code = line.get(9..12).filter(|code| code.iter().all(u8::is_ascii_digit)).ok_or(WRONG)?;
    let status = code.iter().fold(0u16, |sum, b| sum * 10 + u16::from(b - b'0'));
    if status < 100 || !matches!(line.get(12), None | Some(b' ')) || !line.iter().all(|b| head::is_value(*b)) {
        return Err(WRONG);
    }
    Ok((is_11, line.slice(9..12), status))
}
