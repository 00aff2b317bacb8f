//! Key-value data with compare-and-swap.
//!
//! One counter gives out the CAS numbers, as in Envoy: it is never 0, and every successful write takes the next.

use super::{ENTRY, MOST_BYTES};
use crate::abi::Status;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The data of all VMs that share a VM id.
#[derive(Debug)]
pub struct SharedData {
    entries: BTreeMap<Bytes, (Bytes, u32)>,
    last_cas: u32,
    /// Bytes that can still be taken.
    free: usize,
}

impl Default for SharedData {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), last_cas: 0, free: MOST_BYTES }
    }
}

impl SharedData {
    /// The value and its CAS number.
    pub fn get(&self, key: &[u8]) -> Option<(Bytes, u32)> {
        self.entries.get(key).cloned()
    }

    /// Writes, unless `cas` is neither 0 nor the entry's number. A `cas` for a key that is not there is not looked
    /// at (Envoy; the specification is silent).
    pub fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<u32, Status> {
        let size = |value: usize| key.len().saturating_add(value).saturating_add(ENTRY);
        let mut free = self.free;
        if let Some((old, current)) = self.entries.get(key) {
            if cas != 0 && cas != *current {
                return Err(Status::CasMismatch);
            }
            free = free.saturating_add(size(old.len()));
        }
        self.free = free.checked_sub(size(value.len())).ok_or(Status::InternalFailure)?;
        self.last_cas = self.last_cas.checked_add(1).unwrap_or(1);
        let entry = (Bytes::copy_from_slice(value), self.last_cas);
        match self.entries.get_mut(key) {
            Some(old) => *old = entry,
            None => drop(self.entries.insert(Bytes::copy_from_slice(key), entry)),
        }
        Ok(self.last_cas)
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

    #[test]
    fn there_is_an_end_to_what_can_be_kept() {
        let mut data = SharedData { free: 2 * ENTRY + 10, ..SharedData::default() };
        data.set(b"a", b"12345", 0).expect("there is room");
        assert_eq!(data.set(b"b", b"12345", 0), Err(Status::InternalFailure));
        data.set(b"b", b"123", 0).expect("exactly what is left");
        assert_eq!(data.set(b"c", b"", 0), Err(Status::InternalFailure));
        // What is replaced makes room.
        data.set(b"a", b"", 0).expect("shorter");
        data.set(b"b", b"12345678", 0).expect("what the other has given up");
        assert_eq!(data.get(b"a").map(|(v, _)| v), Some(Bytes::new()));
    }
}
