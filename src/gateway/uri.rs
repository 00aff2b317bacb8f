//! A request's target as nginx reads it: the path that routes are compared with (7.3), and the query.
//!
//! Escapes are decoded, slashes merged, `.` and `..` resolved, in that order. Refused, with 400: an escape that is none,
//! a zero byte, a way out above the root, control characters, and a target that is neither a path nor a URL.

use std::borrow::Cow;

/// A target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Normalised and decoded, without the query; begins with a slash.
    pub path: Cow<'a, [u8]>,
    /// What follows the question mark, if there is one.
    pub query: Option<&'a [u8]>,
    /// The authority of a target that is a whole URL.
    pub authority: Option<&'a [u8]>,
}

impl Uri<'_> {
    /// The path without the slash at its end.
    pub fn drop_tail_slash(&mut self) {
        match &mut self.path {
            Cow::Borrowed(path) => *path = path.strip_suffix(b"/").unwrap_or(path),
            Cow::Owned(path) => {
                path.pop_if(|last| *last == b'/');
            }
        }
    }
}

/// A target that nginx answers with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the target of the request is neither a path nor a URL, or its escapes or dots lead nowhere")]
pub struct BadTarget;

/// Takes a target apart.
pub fn parse(target: &[u8]) -> Result<Uri<'_>, BadTarget> {
    if target.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return Err(BadTarget);
    }
    let (authority, rest) = match target.first() {
        Some(b'/') => (None, target),
        _ => of_url(target)?,
    };
    let rest = split(rest, b'#').0;
    let (path, query) = split(rest, b'?');
    let path = if path.is_empty() { Cow::Borrowed(&b"/"[..]) } else { normalise(path)? };
    Ok(Uri { path, query, authority })
}

/// The part before a byte, and the part after it if the byte is there.
fn split(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == at) {
        Some(place) => (text.get(..place).unwrap_or_default(), text.get(place + 1..)),
        None => (text, None),
    }
}

fn of_url(target: &[u8]) -> Result<(Option<&[u8]>, &[u8]), BadTarget> {
    let end = target.windows(3).position(|bytes| bytes == b"://").ok_or(BadTarget)?;
    let (scheme, rest) = (target.get(..end).unwrap_or_default(), target.get(end + 3..).unwrap_or_default());
    if scheme.is_empty() || !scheme.iter().all(u8::is_ascii_alphabetic) {
        return Err(BadTarget);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(BadTarget)?;
    if authority.is_empty() { Err(BadTarget) } else { Ok((Some(authority), rest)) }
}

fn normalise(path: &[u8]) -> Result<Cow<'_, [u8]>, BadTarget> {
    let simple = !path.contains(&b'%') && path.windows(2).all(|pair| pair != b"//" && pair != b"/.");
    if simple {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode(path)?;
    let mut clean: Vec<u8> = Vec::with_capacity(decoded.len());
    let mut segments = decoded.split(|byte| *byte == b'/').peekable();
    // What stands before the first slash is empty.
    segments.next();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = clean.iter().rposition(|byte| *byte == b'/').ok_or(BadTarget)?;
                clean.truncate(parent);
            }
            _ => {
                clean.push(b'/');
                clean.extend_from_slice(segment);
                continue;
            }
        }
        if last {
            clean.push(b'/');
        }
    }
    Ok(Cow::Owned(clean))
}

fn decode(path: &[u8]) -> Result<Vec<u8>, BadTarget> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
            return Err(BadTarget);
        };
        match high * 16 + low {
            0 => return Err(BadTarget),
            byte => decoded.push(byte),
        }
    }
    Ok(decoded)
}

pub(super) fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Result<String, BadTarget> {
        parse(target.as_bytes()).map(|uri| String::from_utf8_lossy(&uri.path).into_owned())
    }

    /// Section 7.3: the match is on the normalised, decoded path without query. The rules are nginx's.
    #[test]
    fn paths_are_normalised() {
        for (target, expected) in [
            ("/hello", "/hello"),
            ("/hello?a=1", "/hello"),
            ("/a//b///c", "/a/b/c"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/b/../..", "/"),
            ("/a//../b", "/b"),
            ("/a%2Fb", "/a/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/%68ello", "/hello"),
            ("/a%3Fb%23c%25d", "/a?b#c%d"),
            ("/...", "/..."),
            ("/.a/b.", "/.a/b."),
            ("/a+b", "/a+b"),
            ("/a/", "/a/"),
            ("/", "/"),
            ("/a#b?c", "/a"),
            ("http://foo.com/a/../b?c", "/b"),
            ("http://foo.com?c", "/"),
            ("http://foo.com", "/"),
        ] {
            assert_eq!(path(target), Ok(expected.to_owned()), "{target}");
        }
    }

    /// nginx answers these with 400.
    #[test]
    fn what_leads_nowhere_is_refused() {
        for target in
            ["", "*", "hello", "/%", "/%4", "/%zz", "/%00", "/..", "/a/../..", "/%2e%2e", "/a\u{1}", "/a\u{7f}"]
        {
            assert_eq!(path(target), Err(BadTarget), "{target}");
        }
        for target in ["://a/", "http:///a", "1://a/"] {
            assert_eq!(path(target), Err(BadTarget), "{target}");
        }
    }

    #[test]
    fn the_query_is_what_follows_the_question_mark() {
        let uri = parse(b"http://foo.com:81/a?b=%zz?c#d").expect("a target");
        assert_eq!(uri.query, Some(&b"b=%zz?c"[..]));
        assert_eq!(uri.authority, Some(&b"foo.com:81"[..]));
        assert_eq!(parse(b"/a?").expect("a target").query, Some(&b""[..]));
        assert_eq!(parse(b"/a").expect("a target").query, None);
    }
}
