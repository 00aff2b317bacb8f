//! The head of a request: what it asks for, and whether two parties could read it in two ways.

use super::head::{self, Lines, Scan};
use super::{Framing, HeadBounds, Refusal};
use crate::message::Headers;
use bytes::{Bytes, BytesMut};

/// The version of the protocol that a message was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// As it stands in the request line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// A request, as its head says it.
#[derive(Debug)]
pub struct RequestHead {
    /// As it came.
    pub method: Bytes,
    /// As it came.
    pub target: Bytes,
    /// Of the target where it has one, else of `Host`.
    pub authority: Bytes,
    /// The version.
    pub version: Version,
    /// In order, in lower case, without `host` and `transfer-encoding`.
    pub headers: Headers,
    /// How the body ends.
    pub framing: Framing,
    /// The connection may serve another request.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The protocol that the client wants to speak from here on.
    pub upgrade: Option<Bytes>,
}

/// Takes a request's head off the buffer; `None` where more has to come.
pub fn parse(buffer: &mut BytesMut, scan: &mut Scan, bounds: &HeadBounds) -> Result<Option<RequestHead>, Refusal> {
    skip_empty_lines(buffer, scan);
    let length = match head::length(buffer, scan, bounds) {
        Ok(Some(length)) => length,
        // What can't become a request is refused at once: who speaks TLS here waits for an answer before it goes on.
        unusable => return begins_well(buffer, scan, bounds).and(unusable).map(|_| None),
    };
    *scan = Scan::default();
    // Four pseudo headers come in front, and `host` goes away.
    let mut lines = Lines::cut(buffer, length, bounds);
    let line = lines.first();
    read(&mut lines, &line, bounds).map(Some).inspect_err(|_| scan.refused = Some(line))
}

fn read(lines: &mut Lines, line: &Bytes, bounds: &HeadBounds) -> Result<RequestHead, Refusal> {
    let (method, target, version) = request_line(line, bounds)?;
    let mut seen = Seen::default();
    let mut headers = Vec::with_capacity(16);
    headers.extend(std::iter::repeat_n((Bytes::new(), Bytes::new()), 4));
    while let Some((name, value)) = lines.header()? {
        if seen.takes(&name, &value)? {
            headers.push((name, value));
        }
    }
    let framing = seen.framing(version)?;
    let (authority, path) = split_target(&method, target.clone(), seen.host, version)?;
    // The order in which the runner gives them.
    headers[0] = (Bytes::from_static(b":authority"), authority.clone());
    headers[1] = (Bytes::from_static(b":path"), path);
    headers[2] = (Bytes::from_static(b":method"), method.clone());
    headers[3] = (Bytes::from_static(b":scheme"), Bytes::from_static(b"http"));
    let keep_alive = match version {
        Version::Http11 => !seen.close,
        Version::Http10 => seen.keep_alive && !seen.close,
    };
    Ok(RequestHead {
        method,
        target,
        authority,
        version,
        headers: headers.into_iter().collect(),
        framing,
        keep_alive,
        // RFC 9110 10.1.1: where there is no body nobody waits.
        expects_continue: seen.expects_continue && version == Version::Http11 && framing != Framing::None,
        upgrade: seen.upgrade.filter(|_| seen.connection_upgrade && version == Version::Http11),
    })
}

/// Whether what has come of a head may be the beginning of a request.
fn begins_well(buffer: &[u8], scan: &mut Scan, bounds: &HeadBounds) -> Result<(), Refusal> {
    // Half of an empty line.
    if buffer == b"\r" {
        return Ok(());
    }
    // A method that is longer than this is judged with its line.
    let method = buffer.iter().take(32).take_while(|b| head::is_token(**b)).count();
    if method < buffer.len().min(32) && (method == 0 || buffer.get(method) != Some(&b' ')) {
        return Err(NO_REQUEST);
    }
    match scan.take_first_line(buffer) {
        Some(line) => request_line(&line, bounds).map(|_| ()),
        None => Ok(()),
    }
}

const NO_REQUEST: Refusal = Refusal::bad("the first line is not `METHOD target HTTP/1.1`");

/// RFC 9112 2.2: empty lines before a request are skipped.
fn skip_empty_lines(buffer: &mut BytesMut, scan: &mut Scan) {
    while matches!(buffer.first(), Some(b'\n')) || buffer.starts_with(b"\r\n") {
        let length = if buffer.first() == Some(&b'\n') { 1 } else { 2 };
        let _ = buffer.split_to(length);
        *scan = Scan::default();
    }
}

fn request_line(line: &Bytes, bounds: &HeadBounds) -> Result<(Bytes, Bytes, Version), Refusal> {
    let method = line.iter().take_while(|b| head::is_token(**b)).count();
    if method == 0 || line.get(method) != Some(&b' ') {
        return Err(NO_REQUEST);
    }
    let target_end = head::find(line, b' ', method + 1).ok_or(NO_REQUEST)?;
    let target = line.slice(method + 1..target_end);
    if target.len() > bounds.target {
        return Err(head::TARGET_TOO_LONG);
    }
    if target.is_empty() || !target.iter().all(|b| *b > b' ' && *b != 0x7f) {
        return Err(NO_REQUEST);
    }
    let version = match &line[target_end + 1..] {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        // RFC 9110 2.5: whoever speaks a later 1.x is spoken to as far as it is known.
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Version::Http11,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Refusal { status: 505, reason: "the version is not HTTP/1.1" });
        }
        _ => return Err(NO_REQUEST),
    };
    Ok((line.slice(..method), target, version))
}

/// Authority and path of a target.
fn split_target(
    method: &Bytes,
    target: Bytes,
    host: Option<Bytes>,
    version: Version,
) -> Result<(Bytes, Bytes), Refusal> {
    if host.is_none() && version == Version::Http11 {
        return Err(Refusal::bad("no `Host`"));
    }
    if method == "CONNECT" {
        return Err(Refusal { status: 405, reason: "CONNECT is not served" });
    }
    if target.starts_with(b"/") || (target == "*" && method == "OPTIONS") {
        return Ok((host.unwrap_or_default(), target));
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let Some(scheme) = scheme else { return Err(Refusal::bad("the target is neither a path nor a URL")) };
    let rest = target.slice(scheme.len()..);
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.slice(..end);
    if !is_authority(&authority) {
        return Err(Refusal::bad("the target's host is not a host"));
    }
    let path = match rest.get(end) {
        Some(b'/') => rest.slice(end..),
        Some(b'?') => [b"/", &rest[end..]].concat().into(),
        _ => Bytes::from_static(b"/"),
    };
    // RFC 9112 3.2.2: the target's own counts, whatever `Host` says.
    Ok((authority, path))
}

/// A host and perhaps a port (RFC 3986 3.2), and nothing that could be taken for another one.
pub(in crate::proxy) fn is_authority(value: &[u8]) -> bool {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(b);
    let is_address = |b: &u8| is_name(b) || *b == b':';
    let (host, rest) = match value.strip_prefix(b"[") {
        Some(value) => match memchr::memchr(b']', value) {
            Some(end) if value[..end].iter().all(is_address) => (&value[..end], &value[end + 1..]),
            _ => return false,
        },
        None => value.split_at(value.iter().take_while(|b| is_name(b)).count()),
    };
    let port = rest.strip_prefix(b":").unwrap_or(rest);
    !host.is_empty() && (rest.is_empty() || rest.first() == Some(&b':')) && port.iter().all(u8::is_ascii_digit)
}

/// What of the headers decides how the message is read.
#[derive(Debug, Default)]
struct Seen {
    host: Option<Bytes>,
    length: Option<u64>,
    transfer_encoding: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<Bytes>,
    expects_continue: bool,
}

impl Seen {
    /// Looks at a header; says whether plugins see it.
    fn takes(&mut self, name: &[u8], value: &Bytes) -> Result<bool, Refusal> {
        match name {
            b"host" => {
                if self.host.replace(value.clone()).is_some() {
                    return Err(Refusal::bad("more than one `Host`"));
                }
                if !is_authority(value) {
                    return Err(Refusal::bad("`Host` is not a host"));
                }
                return Ok(false);
            }
            b"content-length" => {
                let length = head::content_length(value).ok_or(Refusal::bad("`Content-Length` is not a number"))?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::bad("more than one `Content-Length`"));
                }
            }
            b"transfer-encoding" => {
                if std::mem::replace(&mut self.transfer_encoding, true) {
                    return Err(Refusal::bad("more than one `Transfer-Encoding`"));
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::bad("a `Transfer-Encoding` other than chunked"));
                }
                return Ok(false);
            }
            b"connection" => {
                for option in head::list(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            b"upgrade" => self.upgrade = Some(value.clone()),
            b"expect" => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal { status: 417, reason: "an `Expect` other than 100-continue" });
                }
                self.expects_continue = true;
            }
            _ => {}
        }
        Ok(true)
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        match (self.transfer_encoding, self.length) {
            (true, Some(_)) => Err(Refusal::bad("both `Content-Length` and `Transfer-Encoding`")),
            (true, None) if version == Version::Http10 => {
                Err(Refusal::bad("`Transfer-Encoding` in a request of HTTP/1.0"))
            }
            (true, None) => Ok(Framing::Chunked),
            (false, Some(0)) | (false, None) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}
