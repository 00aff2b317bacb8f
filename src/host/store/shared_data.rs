//! Key-value data with compare-and-swap.
//!
//! One counter gives out the CAS numbers, as in Envoy: it is never 0, and every successful write takes the next.

use crate::abi::Status;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The data of all VMs that share a VM id.
#[derive(Debug, Default)]
pub struct SharedData {
    entries: BTreeMap<Bytes, (Bytes, u32)>,
    last_cas: u32,
}

impl SharedData {
    /// The value and its CAS number.
    pub fn get(&self, key: &[u8]) -> Option<(Bytes, u32)> {
        self.entries.get(key).cloned()
    }

    /// Writes, unless `cas` is neither 0 nor the entry's number. A `cas` for a key that is not there is not looked
    /// at (Envoy; the specification is silent).
    pub fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<u32, Status> {
        if let Some((_, current)) = self.entries.get(key)
            && cas != 0
            && cas != *current
        {
            return Err(Status::CasMismatch);
        }
        self.last_cas = self.last_cas.checked_add(1).unwrap_or(1);
        let entry = (Bytes::copy_from_slice(value), self.last_cas);
        self.entries.insert(Bytes::copy_from_slice(key), entry);
        Ok(self.last_cas)
    }

    /// The keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.entries.iter().map(|(key, (value, _))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // abi.md 8.5, column Envoy.
    #[test]
    fn cas_rules() {
        let mut data = SharedData::default();
        let first = data.set(b"k", b"1", 7).expect("a missing key takes any cas");
        assert_ne!(first, 0);
        assert_eq!(data.set(b"k", b"2", first + 1), Err(Status::CasMismatch));
        let second = data.set(b"k", b"2", first).expect("the current number");
        assert_ne!(second, first);
        data.set(b"k", b"3", 0).expect("0 writes always");
        assert_eq!(data.get(b"k").map(|(v, _)| v), Some(Bytes::from("3")));
        assert_eq!(data.get(b"x"), None);
    }
}
