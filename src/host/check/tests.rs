//! Checks of small modules, and of hostile bytes.

use super::*;
use crate::host::engine::{ModuleCache, engine};
use crate::host::profile;

fn checked(bytes: &[u8]) -> Checked {
    let engine = engine(&ModuleCache::Off).expect("an engine");
    check(&engine, Path::new("a.wasm"), bytes.to_vec(), profile::ALL)
}

const GOOD: &str = r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1))"#;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid text")
}

#[test]
fn a_plain_plugin_loads_everywhere() {
    let checked = checked(&wasm(GOOD));
    assert!(checked.loads(), "{checked:?}");
    assert_eq!(checked.hosts.len(), profile::ALL.len());
}

#[test]
fn a_module_that_is_cut_or_damaged_is_never_too_much() {
    let wasm = wasm(GOOD);
    for length in 0..wasm.len() {
        let found = checked(wasm.get(..length).unwrap_or_default());
        assert!(!found.loads(), "{length}: {found:?}");
    }
    for at in 0..wasm.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = wasm.clone();
            damaged[at] ^= flip;
            let _ = checked(&damaged);
        }
    }
}

#[test]
fn more_memory_than_a_host_gives() {
    let found = checked(&wasm(&GOOD.replace("\"memory\") 1", "\"memory\") 20000")));
    let envoy = found.hosts.iter().find(|verdict| verdict.host == "envoy").expect("a host");
    assert!(!envoy.loads());
    assert_eq!(envoy.problems.first().map(|p| p.id), Some("memory-too-large"));
}
