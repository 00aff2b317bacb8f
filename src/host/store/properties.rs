//! Typed property values and how a host writes them to the guest (abi.md 7.2).

use super::super::profile::Profile;
use crate::abi::{Status, pairs};
use bytes::Bytes;

/// A property's value before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// Hidden by the scenario: NOT_FOUND.
    Absent,
    /// Text or raw bytes.
    Bytes(Bytes),
    /// A number, a duration in nanoseconds, or a time in nanoseconds since the epoch.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// Named values.
    Map(Vec<(Bytes, Property)>),
    /// Values.
    List(Vec<Property>),
}

impl Property {
    /// From text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::Bytes(text.into())
    }

    /// The bytes that the guest gets: 8 bytes little-endian for numbers on Envoy, text on nginx hosts.
    pub fn encode(&self, profile: &Profile) -> Result<Bytes, Status> {
        Ok(match self {
            Self::Absent => return Err(Status::NotFound),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Int(number) if profile.binary_properties => Bytes::copy_from_slice(&number.to_le_bytes()),
            Self::Int(number) => number.to_string().into(),
            Self::Bool(value) if profile.binary_properties => Bytes::copy_from_slice(&[u8::from(*value)]),
            Self::Bool(value) => value.to_string().into(),
            Self::Map(entries) => {
                let encoded: Result<Vec<_>, Status> =
                    entries.iter().map(|(key, value)| Ok((key.clone(), value.encode(profile)?))).collect();
                encode_pairs(&encoded?)
            }
            Self::List(items) => {
                let encoded: Result<Vec<_>, Status> =
                    items.iter().map(|item| Ok((item.encode(profile)?, Bytes::new()))).collect();
                encode_pairs(&encoded?)
            }
        })
    }

    /// The value under a key of a map.
    pub fn entry(&self, key: &[u8]) -> Option<&Property> {
        match self {
            Self::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

fn encode_pairs(entries: &[pairs::Pair]) -> Bytes {
    pairs::encode(entries.iter().map(|(k, v)| (&k[..], &v[..]))).into()
}
