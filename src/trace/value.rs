//! A decoded argument or result of a hostcall.

use crate::abi::pairs::Pair;
use bytes::Bytes;

/// A value on its way between guest and host, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A plain number.
    U32(u32),
    /// A plain 64-bit number.
    U64(u64),
    /// A signed 64-bit number.
    I64(i64),
    /// A number with a name: log level, map type, ...
    Name(&'static str),
    /// Bytes, often text.
    Bytes(Bytes),
    /// A header map.
    Pairs(Vec<Pair>),
    /// A header map that could not be decoded, and why.
    BadPairs(String),
}

impl Value {
    /// Bytes of memory that it keeps, beside its own few.
    pub fn kept(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Pairs(pairs) => pairs.iter().map(|(key, value)| key.len() + value.len() + 64).sum(),
            _ => 0,
        }
    }
}
