//! Lines of a message's head: where it ends, and what a header line may look like.
//!
//! A line ends with CRLF, or with LF alone as nginx takes it. Whatever else two parsers could take for different
//! things is refused: folded lines, blanks before the colon, a CR by itself, control characters.

use super::{HeadBounds, Refusal};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// How far a head that has not come completely has been looked through.
#[derive(Debug, Default, Clone)]
pub struct Scan {
    /// Bytes that need not be looked at again.
    seen: usize,
    /// Where the line begins that they end in.
    line: usize,
    /// The first line has been looked at by itself.
    judged: bool,
    /// The first line of a head that was complete and has been refused.
    pub(super) refused: Option<Bytes>,
}

impl Scan {
    /// The first line of a head of which more has to come, once.
    pub(super) fn take_first_line(&mut self, buffer: &[u8]) -> Option<Bytes> {
        let all = buffer.get(..self.line).filter(|line| !line.is_empty() && !self.judged)?;
        self.judged = true;
        let line = all.get(..find(all, b'\n', 0)?)?;
        Some(Bytes::copy_from_slice(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// The first line of a head that was refused, as far as it has come; for the log.
    pub fn first_line(&self, buffer: &[u8]) -> Bytes {
        self.refused.clone().unwrap_or_else(|| {
            let end = buffer.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(buffer.len());
            Bytes::copy_from_slice(buffer.get(..end).unwrap_or_default())
        })
    }
}

/// The length of the head at the beginning of a buffer, its empty line included; `None` where more has to come.
pub fn length(buffer: &[u8], scan: &mut Scan, bounds: &HeadBounds) -> Result<Option<usize>, Refusal> {
    while let Some(at) = find(buffer, b'\n', scan.seen) {
        let line = &buffer[scan.line..at];
        let first = scan.line == 0;
        if first && at > bounds.target + 64 {
            return Err(too_long(line, bounds));
        }
        scan.seen = at + 1;
        scan.line = at + 1;
        if at + 1 > bounds.bytes {
            return Err(TOO_LARGE);
        }
        if !first && matches!(line, b"" | b"\r") {
            return Ok(Some(at + 1));
        }
    }
    scan.seen = buffer.len();
    if scan.line == 0 && buffer.len() > bounds.target + 64 {
        return Err(too_long(buffer, bounds));
    }
    if buffer.len() > bounds.bytes { Err(TOO_LARGE) } else { Ok(None) }
}

pub(in crate::proxy) const TOO_LARGE: Refusal = Refusal { status: 431, reason: "the head of the request is too large" };
pub(in crate::proxy) const TARGET_TOO_LONG: Refusal =
    Refusal { status: 414, reason: "the target of the request is too long" };
const TOO_MANY: Refusal = Refusal { status: 431, reason: "too many header lines" };

/// A first line that is longer than a target may be: of a request, or of nothing at all.
fn too_long(line: &[u8], bounds: &HeadBounds) -> Refusal {
    let method = line.iter().take(32).take_while(|b| is_token(**b)).count();
    let request = method > 0 && line.get(method) == Some(&b' ');
    let target = line.iter().skip(method + 1).take_while(|b| **b != b' ').count();
    match request && target > bounds.target {
        true => TARGET_TOO_LONG,
        false => Refusal::bad("the first line is not a request"),
    }
}

/// The position of a byte, from a place on.
pub fn find(buffer: &[u8], byte: u8, from: usize) -> Option<usize> {
    memchr::memchr(byte, buffer.get(from..)?).map(|at| at + from)
}

/// A character of a token (RFC 9110 5.6.2).
pub fn is_token(b: u8) -> bool {
    TOKEN[b as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        let b = at as u8;
        table[at] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        at += 1;
    }
    table
};

/// A character of a header's value: no control character but the tab.
pub fn is_value(b: u8) -> bool {
    (b == b'\t') | ((b >= b' ') & (b != 0x7f))
}

/// Characters of a header's value. All of them are looked at, so that many are at a time.
pub fn are_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, b| all & is_value(*b))
}

/// A head, cut off its buffer, whose headers are taken one after the other.
pub struct Lines {
    head: Bytes,
    first: Range<usize>,
    headers: std::vec::IntoIter<Line>,
    /// What is wrong behind them.
    wrong: Option<Refusal>,
}

/// Where a header's name and value are.
struct Line {
    name: Range<usize>,
    value: Range<usize>,
}

impl Lines {
    /// The head of this length. Names of headers are lowered in place, so that nothing is copied.
    pub fn cut(buffer: &mut BytesMut, length: usize, bounds: &HeadBounds) -> Self {
        let mut head = buffer.split_to(length);
        let end = find(&head, b'\n', 0).unwrap_or(head.len());
        let first = 0..end - usize::from(head[..end].ends_with(b"\r"));
        let mut headers = Vec::with_capacity(16);
        let (mut at, mut wrong) = ((end + 1).min(head.len()), None);
        while let Some(end) = find(&head, b'\n', at) {
            let line = &mut head[at..end];
            let length = line.len() - usize::from(line.ends_with(b"\r"));
            if length == 0 {
                break;
            }
            let room = headers.len() < bounds.lines;
            match if room { split(&mut line[..length]) } else { Err(TOO_MANY) } {
                Ok((name, value)) => {
                    headers.push(Line { name: at..at + name, value: at + value.start..at + value.end })
                }
                Err(refusal) => {
                    wrong = Some(refusal);
                    break;
                }
            }
            at = end + 1;
        }
        Self { head: head.freeze(), first, headers: headers.into_iter(), wrong }
    }

    /// The first line, without its end.
    pub fn first(&self) -> Bytes {
        self.head.slice(self.first.clone())
    }

    /// The next header: name in lower case, and value.
    pub fn header(&mut self) -> Result<Option<(Bytes, Bytes)>, Refusal> {
        match (self.headers.next(), &self.wrong) {
            (Some(Line { name, value }), _) => Ok(Some((self.head.slice(name), self.head.slice(value)))),
            (None, Some(wrong)) => Err(*wrong),
            (None, None) => Ok(None),
        }
    }
}

/// The length of the name in a header line, and the place of the value. The name is lowered in place.
pub(super) fn split(line: &mut [u8]) -> Result<(usize, Range<usize>), Refusal> {
    let mut name = 0;
    for b in line.iter_mut().take_while(|b| is_token(**b)) {
        b.make_ascii_lowercase();
        name += 1;
    }
    match (name, line.get(name)) {
        (0, Some(b' ' | b'\t')) => return Err(Refusal::bad("a header line is folded")),
        (_, Some(b' ' | b'\t')) => return Err(Refusal::bad("a blank before the colon of a header")),
        (1.., Some(b':')) => {}
        _ => return Err(Refusal::bad("a header line is not `name: value`")),
    }
    let rest = &line[name + 1..];
    if !are_value(rest) {
        return Err(Refusal::bad("a control character in a header's value"));
    }
    let is_blank = |b: &&u8| matches!(**b, b' ' | b'\t');
    let front = rest.iter().take_while(is_blank).count();
    let back = rest[front..].iter().rev().take_while(is_blank).count();
    Ok((name, name + 1 + front..line.len() - back))
}

/// The elements of a list, without blanks around them and without empty ones.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// A length: digits, and nothing else.
pub fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, b| match b {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(b - b'0')),
        _ => None,
    })
}
