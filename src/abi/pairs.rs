//! The serialisation of header maps between host and guest (abi.md section 6).
//!
//! Little-endian u32 throughout, no padding: the number of pairs, then a table of (key length, value
//! length), then each key and each value followed by one NUL. Lengths rule, so keys and values may hold
//! any byte. The decoder is strict; what a host makes of a refusal is its profile's business.

use bytes::Bytes;
use thiserror::Error;

/// One entry of a header map.
pub type Pair = (Bytes, Bytes);

/// More pairs than this are refused, as Envoy does.
pub const MAX_PAIRS: u32 = 1024;
/// More bytes than this are refused, as Envoy does.
pub const MAX_BYTES: usize = 1 << 20;

/// Why bytes are not a header map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PairsError {
    /// Longer than [`MAX_BYTES`].
    #[error("{0} bytes, and the limit is 1 MiB")]
    TooLong(usize),
    /// More than [`MAX_PAIRS`].
    #[error("{0} pairs, and the limit is 1024")]
    TooMany(u32),
    /// The table or the data ends too early.
    #[error("truncated at byte {0}")]
    Truncated(usize),
    /// A key or value is not followed by NUL.
    #[error("byte {0} should be the NUL that ends a key or value")]
    MissingNul(usize),
    /// Something follows the last value.
    #[error("{0} bytes too many at the end")]
    Trailing(usize),
}

/// The size in bytes of the serialised form.
pub fn encoded_len(pairs: &[Pair]) -> usize {
    4 + pairs.iter().map(|(key, value)| 8 + key.len() + 1 + value.len() + 1).sum::<usize>()
}

/// Serialises a map. An empty map is four zero bytes; hosts that hand out nothing instead decide that themselves.
pub fn encode<'a>(pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let size = 4 + pairs.clone().map(|(k, v)| 10 + k.len() + v.len()).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&(pairs.len() as u32).to_le_bytes());
    for (key, value) in pairs.clone() {
        out.extend_from_slice(&(key.len() as u32).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (key, value) in pairs {
        out.extend_from_slice(key);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

/// Reads a map. Nothing, a single zero byte, and four zero bytes are all the empty map.
pub fn decode(bytes: &[u8]) -> Result<Vec<Pair>, PairsError> {
    if bytes.is_empty() || bytes == [0] {
        return Ok(Vec::new());
    }
    if bytes.len() > MAX_BYTES {
        return Err(PairsError::TooLong(bytes.len()));
    }
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_le_bytes)
            .ok_or(PairsError::Truncated(bytes.len()))
    };
    let count = word(0)?;
    if count > MAX_PAIRS {
        return Err(PairsError::TooMany(count));
    }
    let count = count as usize;
    let mut at = 4 + 8 * count;
    let mut take = |len: usize| {
        let end = at.checked_add(len).filter(|end| *end < bytes.len());
        let end = end.ok_or(PairsError::Truncated(bytes.len()))?;
        if bytes[end] != 0 {
            return Err(PairsError::MissingNul(end));
        }
        let item = Bytes::copy_from_slice(&bytes[at..end]);
        at = end + 1;
        Ok(item)
    };
    let mut pairs = Vec::with_capacity(count);
    for i in 0..count {
        let key = take(word(4 + 8 * i)? as usize)?;
        let value = take(word(8 + 8 * i)? as usize)?;
        pairs.push((key, value));
    }
    match bytes.len() - at.min(bytes.len()) {
        0 => Ok(pairs),
        extra => Err(PairsError::Trailing(extra)),
    }
}
