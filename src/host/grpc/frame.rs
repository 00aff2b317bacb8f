//! gRPC's frames: whether a message is compressed, four bytes of length, the message.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes before the message.
const HEAD: usize = 5;
/// Bytes of a message that a service may send. Envoy takes any; here one that never ends must not take the memory.
const MOST: usize = 64 << 20;

/// What comes is not a frame that a host can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame;

/// A message in its frame, not compressed.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len().saturating_add(HEAD));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Takes the next message out of its frame. The guest's own compression is not gRPC's: a compressed frame is a mistake,
/// as Envoy says.
pub fn next_message(partial: &mut BytesMut) -> Result<Option<Bytes>, BadFrame> {
    match partial.first() {
        None => return Ok(None),
        Some(0) => {}
        Some(_) => return Err(BadFrame),
    }
    let length = partial.get(1..HEAD).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else { return Ok(None) };
    if length > MOST {
        return Err(BadFrame);
    }
    let end = length.saturating_add(HEAD);
    if partial.len() < end {
        return Ok(None);
    }
    Ok(Some(partial.split_to(end).freeze().slice(HEAD..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cut_anywhere() {
        let bytes = [framed(b"abc"), framed(b"")].concat();
        for cut in 0..=bytes.len() {
            let (mut partial, mut messages) = (BytesMut::new(), Vec::new());
            for piece in [&bytes[..cut], &bytes[cut..]] {
                partial.extend_from_slice(piece);
                while let Some(message) = next_message(&mut partial).expect("good frames") {
                    messages.push(message);
                }
            }
            assert_eq!(messages, ["abc", ""], "{cut}");
        }
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(next_message(&mut BytesMut::from(&b"\x01\0\0\0\0"[..])), Err(BadFrame));
        assert_eq!(next_message(&mut BytesMut::from(&b"\0\xff\xff\xff\xff"[..])), Err(BadFrame));
        assert_eq!(next_message(&mut BytesMut::from(&b"\0\0\0\0"[..])), Ok(None));
    }
}
