//! Whatever comes, in whatever pieces: it is taken or refused, always the same way, and never more than is bounded.

use super::body::{Body, Piece};
use super::head::Scan;
use super::write::{self, Asked, Outbox, Writing, Written};
use super::{Framing, HeadBounds, Refusal, request, response};
use crate::message::Headers;
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use request::Version;

const BOUNDS: HeadBounds = HeadBounds { bytes: 4096, target: 1024, lines: 32 };

/// What becomes of these bytes when they come cut like this.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<String>, Refusal> {
    let (mut buffer, mut scan, mut body) = (BytesMut::new(), Scan::default(), None::<Body>);
    let mut seen: Vec<String> = Vec::new();
    let (mut data, mut rest) = (Vec::new(), bytes);
    let mut cuts = cuts.iter().cycle();
    loop {
        loop {
            match &mut body {
                None => match request::parse(&mut buffer, &mut scan, &BOUNDS)? {
                    Some(head) => {
                        seen.push(format!("{:?} {:?} {:?}", head.method, head.target, head.headers));
                        body = Some(Body::new(head.framing));
                    }
                    None => break,
                },
                Some(of) if of.is_done() => body = None,
                Some(of) => match of.next(&mut buffer, &BOUNDS)? {
                    Some(Piece::Data(bytes)) => data.extend_from_slice(&bytes),
                    Some(end) => seen.push(format!("{:?} {end:?}", std::mem::take(&mut data))),
                    None => break,
                },
            }
        }
        if rest.is_empty() {
            return Ok(seen);
        }
        let cut = cuts.next().copied().unwrap_or(1).clamp(1, rest.len());
        buffer.extend_from_slice(&rest[..cut]);
        rest = &rest[cut..];
    }
}

/// Bytes that look like requests more often than not.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a HTTP/1.1\r\n",
        "Host: a\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        ":",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\n",
        "abc",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "5;x=y\r\n",
        "ffffffffffffffff\r\n",
        "X-A: b\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "\0",
        "HTTP/1.0\r\n",
        "Content-Length: 18446744073709551615\r\n",
    ]);
    vec(word, 0..24).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn pieces_make_no_difference(bytes in traffic(), cuts in vec(1usize..9, 1..6)) {
        prop_assert_eq!(read(&bytes, &cuts), read(&bytes, &[usize::MAX]));
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..600), cuts in vec(1usize..99, 1..4)) {
        let _ = read(&bytes, &cuts);
        for framing in [Framing::Chunked, Framing::Length(100), Framing::Close] {
            let mut body = Body::new(framing);
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = body.next(&mut buffer, &BOUNDS) {}
        }
        let mut buffer = BytesMut::from(&[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat()[..]);
        let _ = response::parse(&mut buffer, &mut Scan::default(), &BOUNDS, false);
    }

    /// What is written is one message, whatever is in the headers.
    #[test]
    fn a_response_is_one_response(name in vec(any::<u8>(), 0..8), value in vec(any::<u8>(), 0..12), chunks in vec(vec(any::<u8>(), 0..9), 0..4)) {
        let mut headers = Headers::new();
        headers.append(":status", "200");
        headers.append(name, value);
        let mut out = Outbox::default();
        let asked = Asked { version: Version::Http11, head_only: false, keep_alive: true, date: None };
        let mut writing = write::response_head(&mut out, 200, &headers, false, &asked).body;
        prop_assume!(writing == Writing::Chunked);
        for chunk in &chunks {
            prop_assert_eq!(write::data(&mut out, &mut writing, Bytes::from(chunk.clone())), Written::Whole);
        }
        prop_assert_eq!(write::end(&mut out, writing, None), Written::Whole);
        let mut buffer = BytesMut::from(out.single().unwrap_or_default());
        let head = response::parse(&mut buffer, &mut Scan::default(), &BOUNDS, false).expect("a response").expect("all of it");
        prop_assert_eq!(head.framing, Framing::Chunked);
        let (mut body, mut data) = (Body::new(head.framing), Vec::new());
        while let Some(piece) = body.next(&mut buffer, &BOUNDS).expect("a body") {
            if let Piece::Data(bytes) = piece {
                data.extend_from_slice(&bytes);
            }
        }
        prop_assert!(body.is_done() && buffer.is_empty());
        prop_assert_eq!(data, chunks.concat());
    }
}

#[test]
fn a_body_never_runs_over_its_length() {
    let (mut out, mut writing) = (Outbox::default(), Writing::Left(3));
    assert_eq!(write::data(&mut out, &mut writing, Bytes::from_static(b"abcdef")), Written::Broken);
    assert_eq!(out.single(), Some(&b"abc"[..]));
    assert_eq!(write::end(&mut out, Writing::Left(1), None), Written::Broken);
}

#[test]
fn what_waits_is_written_in_order() {
    let mut out = Outbox::default();
    out.copy(b"a");
    out.push(Bytes::from(vec![b'b'; 5000]));
    out.copy(b"c");
    let (mut all, mut step) = (Vec::new(), 1);
    while !out.is_empty() {
        let mut slices = Outbox::no_slices();
        let count = out.slices(&mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).take(step).collect();
        all.extend_from_slice(&bytes);
        out.written(bytes.len());
        step = step * 3 % 977 + 1;
    }
    assert_eq!(all, [&b"a"[..], &[b'b'; 5000], b"c"].concat());
}

/// nginx escapes a path that was rewritten (`ngx_escape_uri`); a target ends at the first space (RFC 9112 3).
#[test]
fn a_rewritten_path_stays_one_word() {
    let headers: Headers = [(":method", "GET"), (":path", "/a b\t\u{e9}?c=%20"), (":authority", "h")]
        .map(|(name, value)| (Bytes::from(name), Bytes::from(value)))
        .into_iter()
        .collect();
    let mut out = Outbox::default();
    write::request_head(&mut out, &headers, true);
    let head = String::from_utf8_lossy(out.single().unwrap_or_default()).into_owned();
    assert_eq!(head, "GET /a%20b%09\u{e9}?c=%20 HTTP/1.1\r\nhost: h\r\n\r\n");
}
