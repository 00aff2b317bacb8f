//! What a client sends is read in the same way however it is cut into pieces, and what goes on to an upstream can be
//! read in no other way than it was: one request, with the same headers and the same body.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use pwtest::message::Headers;
use pwtest::proxy::http1::body::{Body, Piece};
use pwtest::proxy::http1::head::Scan;
use pwtest::proxy::http1::request::{self, RequestHead};
use pwtest::proxy::http1::write::{self, Outbox};
use pwtest::proxy::http1::{HeadBounds, Refusal};

const BOUNDS: HeadBounds = HeadBounds { bytes: 2048, target: 256, lines: 32 };
/// More requests in one input show nothing new.
const MOST: usize = 16;

/// What was read.
#[derive(Debug, Default, PartialEq)]
struct Read {
    requests: Vec<(Bytes, Bytes, Headers, Vec<u8>, Option<Headers>)>,
    refused: Option<Refusal>,
}

fuzz_target!(|bytes: &[u8]| {
    let Some((step, wire)) = bytes.split_first() else { return };
    let whole = read(wire, usize::MAX);
    let cut = read(wire, usize::from(*step).max(1));
    assert_eq!(whole, cut, "read otherwise in pieces of {step}");
});

/// Reads requests, given so many bytes at a time.
fn read(wire: &[u8], step: usize) -> Read {
    let (mut found, mut buffer, mut scan) = (Read::default(), BytesMut::new(), Scan::default());
    let mut body: Option<Body> = None;
    for piece in wire.chunks(step.min(wire.len()).max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            let went_on = match &mut body {
                None if found.requests.len() >= MOST => return found,
                None => match request::parse(&mut buffer, &mut scan, &BOUNDS) {
                    Ok(None) => false,
                    Ok(Some(head)) => {
                        passes_on(&head);
                        let reading = Body::new(head.framing);
                        found.requests.push((head.method, head.target, head.headers, Vec::new(), None));
                        body = (!reading.is_done()).then_some(reading);
                        true
                    }
                    Err(refusal) => {
                        found.refused = Some(refusal);
                        return found;
                    }
                },
                Some(reading) => match reading.next(&mut buffer, &BOUNDS) {
                    Ok(None) => false,
                    Ok(Some(piece)) => {
                        let Some(last) = found.requests.last_mut() else { return found };
                        match piece {
                            Piece::Data(bytes) => last.3.extend_from_slice(&bytes),
                            Piece::Trailers(trailers) => last.4 = Some(trailers),
                            Piece::End => {}
                        }
                        if reading.is_done() {
                            body = None;
                        }
                        true
                    }
                    Err(refusal) => {
                        found.refused = Some(refusal);
                        return found;
                    }
                },
            };
            if !went_on {
                break;
            }
        }
    }
    found
}

/// What is written for the upstream is one request and nothing behind it.
fn passes_on(head: &RequestHead) {
    // HTTP/1.0 may leave the host out; what goes upstream then says so, and a strict reader refuses that.
    if head.authority.is_empty() {
        return;
    }
    let mut out = Outbox::default();
    let _ = write::request_head(&mut out, &head.headers, true);
    let mut slices = Outbox::no_slices();
    let mut wire = BytesMut::new();
    loop {
        let count = out.slices(&mut slices);
        let before = wire.len();
        for slice in &slices[..count] {
            wire.extend_from_slice(slice);
        }
        if wire.len() == before {
            break;
        }
        out.written(wire.len() - before);
        slices = Outbox::no_slices();
    }
    let bounds = HeadBounds { bytes: usize::MAX / 2, target: usize::MAX / 2, lines: usize::MAX };
    let again = request::parse(&mut wire, &mut Scan::default(), &bounds);
    let again = again.unwrap_or_else(|refusal| panic!("what goes upstream is no request: {refusal:?}"));
    let again = again.expect("what goes upstream is whole");
    assert!(wire.is_empty(), "something follows the request: {wire:?}");
    assert_eq!((again.method, again.target), (head.method.clone(), target_of(head)));
}

fn target_of(head: &RequestHead) -> Bytes {
    head.headers.get(b":path").cloned().unwrap_or_default()
}
