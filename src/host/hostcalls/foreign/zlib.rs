//! `compress` and `uncompress`: zlib, as Envoy has it.

use super::{Answer, Function, not_modelled};
use crate::abi::Status;
use crate::host::hostcalls::row::Cx;
use crate::trace::Recorder;
use bytes::Bytes;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress};
use std::io::Write;

/// What it costs to compress a byte, and to get one back.
const WORK_PER_BYTE: usize = 40;
const WORK_PER_BYTE_BACK: usize = 4;
/// What either costs in any case.
const WORK: usize = 20_000;
/// How much the result grows by, at least.
const STEP: usize = 4096;

/// A zlib stream at the default level.
pub(super) fn compress(cx: &mut Cx, arguments: &[u8]) -> Answer {
    cx.work(arguments.len().saturating_mul(WORK_PER_BYTE).saturating_add(WORK));
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(arguments).and_then(|()| encoder.finish());
    written.map(|stream| Some(Bytes::from(stream))).map_err(|_| Status::SerializationFailure)
}

/// What a zlib stream holds. What stands behind the stream is ignored (Envoy 1.40).
pub(super) fn uncompress(cx: &mut Cx, arguments: &[u8]) -> Answer {
    // No guest can hold more than its memory, and no trace more than its own bound.
    let most = cx.state.limiter.bytes.min(Recorder::LIMIT / 2);
    let inflated = inflate(arguments, most);
    let bytes = inflated.as_ref().map_or(most, Vec::len);
    cx.work(arguments.len().saturating_add(bytes).saturating_mul(WORK_PER_BYTE_BACK).saturating_add(WORK));
    match inflated {
        Ok(content) => Ok(Some(content.into())),
        Err(Failure::NoStream) => Err(Status::SerializationFailure),
        Err(Failure::TooLong) => {
            let why = format!("the stream holds more than {} MiB", most >> 20);
            not_modelled(cx, Function::Uncompress, &why)
        }
    }
}

/// Why there is nothing to give.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// It is none, or it does not come to its end.
    NoStream,
    /// It is more than anybody can hold.
    TooLong,
}

fn inflate(stream: &[u8], most: usize) -> Result<Vec<u8>, Failure> {
    let mut state = Decompress::new(true);
    let mut content = Vec::new();
    loop {
        if content.len() == content.capacity() {
            content.reserve(content.len().max(STEP));
        }
        let before = (state.total_in(), state.total_out());
        let taken = usize::try_from(before.0).map_err(|_| Failure::NoStream)?;
        let rest = stream.get(taken..).unwrap_or_default();
        let ended = match state.decompress_vec(rest, &mut content, FlushDecompress::None) {
            Ok(flate2::Status::StreamEnd) => true,
            Ok(flate2::Status::Ok | flate2::Status::BufError) => false,
            Err(_) => return Err(Failure::NoStream),
        };
        if content.len() > most {
            return Err(Failure::TooLong);
        }
        if ended {
            return Ok(content);
        }
        // There was room, so it was the input that ended.
        if (state.total_in(), state.total_out()) == before {
            return Err(Failure::NoStream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn deflate(content: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).expect("written");
        encoder.finish().expect("finished")
    }

    #[test]
    fn what_is_no_stream() {
        let stream = deflate(b"hello hello hello hello");
        assert_eq!(inflate(&stream, 1 << 20).expect("a stream"), b"hello hello hello hello");
        for cut in 0..stream.len() {
            assert_eq!(inflate(&stream[..cut], 1 << 20), Err(Failure::NoStream), "cut after {cut}");
        }
        assert_eq!(inflate(b"garbage", 1 << 20), Err(Failure::NoStream));
        // The empty one as Envoy 1.40 writes it.
        assert_eq!(deflate(b""), b"\x78\x9c\x03\0\0\0\0\x01");
        assert_eq!(inflate(&deflate(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        assert_eq!(inflate(&deflate(&vec![0; 10 << 20]), 1 << 20), Err(Failure::TooLong));
    }

    proptest! {
        #[test]
        fn round_trip(content: Vec<u8>, behind: Vec<u8>) {
            let mut stream = deflate(&content);
            stream.extend(behind);
            prop_assert_eq!(inflate(&stream, 1 << 20), Ok(content));
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = inflate(&bytes, 1 << 20);
        }
    }
}
