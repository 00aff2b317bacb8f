//! What decodes as a header map encodes to bytes that decode to the same, and to no more than it says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pwtest::abi::pairs;

fuzz_target!(|bytes: &[u8]| {
    let Ok(map) = pairs::decode(bytes) else { return };
    let encoded = pairs::encode(map.iter().map(|(k, v)| (&k[..], &v[..])));
    assert_eq!(encoded.len(), pairs::encoded_len(&map));
    assert_eq!(pairs::decode(&encoded).as_ref(), Ok(&map));
    // There is one way to write a map that is not empty.
    if !map.is_empty() {
        assert_eq!(encoded, bytes);
    }
});
