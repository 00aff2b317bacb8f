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

/// What is said of a module about APISIX, by id, with the names.
fn on_apisix(extra: &str) -> Vec<(&'static str, Level, String)> {
    let checked = checked(&wasm(&GOOD.replacen("(module", &format!("(module {extra}"), 1)));
    let apisix = checked.hosts.into_iter().find(|verdict| verdict.host == "apisix").expect("a host");
    apisix.problems.into_iter().map(|p| (p.id, p.level, p.names.join(" "))).collect()
}

#[test]
fn stubs_and_dummies_are_named() {
    // apisix.md 4
    let found = on_apisix(
        r#"(import "env" "proxy_set_buffer_bytes" (func (param i32 i32 i32 i32 i32) (result i32)))
           (import "env" "proxy_close_stream" (func (param i32) (result i32)))
           (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))"#,
    );
    let expected = [
        ("hostcall-unimplemented", Level::Warning, "proxy_set_buffer_bytes".to_owned()),
        ("hostcall-without-effect", Level::Warning, "proxy_close_stream".to_owned()),
    ];
    assert_eq!(found, expected);
    // What SDKs bring along, and what the host does by itself, is nothing to speak of.
    let sdk = r#"(import "env" "proxy_set_effective_context" (func (param i32) (result i32)))"#;
    assert_eq!(on_apisix(sdk), []);
}

#[test]
fn what_apisix_never_calls_is_named() {
    // apisix.md 0, facts 1 and 9, and 2.1
    let found = on_apisix(
        r#"(func (export "proxy_on_tick") (param i32)) (func (export "main") (param i32 i32) (result i32) i32.const 0)
           (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) i32.const 0) (func (export "_initialize"))"#,
    );
    let expected = [
        ("main-function", Level::Warning, "main".to_owned()),
        ("body-callback-not-enabled", Level::Warning, "proxy_on_request_body".to_owned()),
        ("callback-not-called", Level::Note, "proxy_on_tick".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_module_without_configure_never_works_on_apisix() {
    // apisix.md 2.2
    let without = GOOD.replace("proxy_on_configure", "something_else");
    let found = checked(&wasm(&without));
    let loads: Vec<_> = found.hosts.iter().map(|verdict| (verdict.host, verdict.loads())).collect();
    assert_eq!(loads, [("spec", true), ("envoy", true), ("apisix", false)]);
}
