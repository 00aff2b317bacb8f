//! The inspection as a whole: small modules, one for each reason, and hostile bytes.

use super::*;
use proptest::prelude::*;
use std::path::Path;

const I: ValKind = ValKind::I32;

const fn known(name: &'static str, params: &'static [ValKind], versions: &'static [AbiVersion]) -> Known {
    Known { module: "env", name, params, results: &[I], versions, alternatives: &[] }
}

/// A few rows, of each sort that the hostcalls have.
const ROWS: &[Known] = &[
    known("proxy_log", &[I, I, I], &[]),
    known("proxy_get_property", &[I, I, I, I], &[]),
    known("proxy_get_metric", &[I, I], &[]),
    known("proxy_get_buffer_status", &[I, I, I], &[]),
    known("proxy_get_configuration", &[I, I], &[AbiVersion::V0_1_0]),
    known("proxy_get_log_level", &[I], &[AbiVersion::V0_2_1]),
    Known { alternatives: &[(&[], &[])], ..known("proxy_continue_request", &[], &[AbiVersion::V0_1_0]) },
    Known { module: "wasi_snapshot_preview1", ..known("fd_write", &[I, I, I, I], &[]) },
];

fn table() -> ImportTable {
    ImportTable { known: ROWS.into() }
}

const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
const MEMORY: &str = r#"(memory (export "memory") 2 16)"#;
const MALLOC: &str = r#"(func (export "malloc") (param i32) (result i32) (i32.const 0))"#;

fn compile(text: &str) -> Vec<u8> {
    to_wasm(text.as_bytes().to_vec(), Path::new("test.wat")).expect("the text of a test is valid")
}

/// Inspects a plugin that has all it needs, with something put in front.
fn plugin(extra: &str, rules: &LinkRules) -> Result<Inspection, LoadError> {
    inspect(&compile(&format!("(module {extra} {MARKER} {MEMORY} {MALLOC})")), &table(), rules)
}

fn accepted(extra: &str) -> Inspection {
    plugin(extra, &LinkRules::STRICT).expect("nothing is wrong with it")
}

fn refused(extra: &str) -> Vec<Reason> {
    plugin(extra, &LinkRules::STRICT).expect_err("something is wrong with it").reasons().to_vec()
}

/// The one reason for refusing a whole module, and its hint.
fn only(text: &str) -> (String, String) {
    let error = inspect(&compile(text), &table(), &LinkRules::STRICT).expect_err("something is wrong with it");
    assert_eq!(error.reasons().len(), 1, "{error}");
    (error.to_string(), error.hints().join("; "))
}

impl LoadError {
    fn line(&self, index: usize) -> String {
        self.reasons()[index].to_string()
    }
}

#[test]
fn a_plugin_is_described() {
    let found = accepted(
        r#"(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
           (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
           (func $start) (start $start)
           (func (export "_initialize"))
           (func (export "main") (param i32 i32) (result i32) (i32.const 0))
           (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
           (func (export "proxy_on_log") (param i32))"#,
    );
    assert_eq!(found.abi, AbiVersion::V0_2_1);
    assert_eq!(found.markers, [AbiVersion::V0_2_1]);
    assert_eq!(found.entries, [Entry::Initialize, Entry::Main]);
    assert!(found.has(Entry::Main) && !found.has(Entry::Start));
    assert!(found.start_section && found.names && !found.dwarf);
    assert_eq!(found.allocators, [Allocator::Malloc]);
    assert_eq!(found.memory, Memory { export: "memory".into(), min_pages: 2, max_pages: Some(16) });
    assert_eq!(found.imports.len(), 1);
    assert_eq!(found.imports[0].signature.to_string(), "(i32, i32, i32) -> i32");
    assert_eq!(found.callbacks.into_iter().collect::<Vec<_>>(), [Callback::OnRequestHeaders, Callback::OnLog]);
    assert_eq!(found.warnings, []);
}

#[test]
fn every_reason_is_given_at_once() {
    let text = r#"(module
        (import "env" "proxy_lgo" (func (param i32)))
        (import "env" "proxy_log" (func (param i32)))
        (func (export "proxy_on_tick") (param i64)))"#;
    let error = inspect(&compile(text), &table(), &LinkRules::STRICT).expect_err("refused");
    let lines: Vec<_> = error.reasons().iter().map(ToString::to_string).collect();
    let expected = [
        "no version of the ABI is declared",
        "unknown import `env.proxy_lgo`",
        "the import `env.proxy_log` has the signature (i32), and the host's is (i32, i32, i32) -> i32",
        "no memory is exported",
        "no allocator is exported: neither `malloc` nor `proxy_on_memory_allocate`",
        "the export `proxy_on_tick` has the signature (i64), and hosts call (i32)",
    ];
    assert_eq!(lines, expected);
    assert_eq!(error.to_string(), expected.join("; "));
    assert!(error.hints().contains(&"did you mean `env.proxy_log`".to_owned()), "{:?}", error.hints());
}

#[test]
fn files_that_are_no_modules() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1", "not a WebAssembly module: this is a Git LFS pointer"),
        (b"\xde\xad\xbe\xef\x01", "not a WebAssembly module: it begins with the bytes de ad be ef"),
        (b"\0as", "the file ends too early, after 3 bytes"),
        (b"\0asm\x0d\0\x01\0", "this is a WebAssembly component, and Proxy-Wasm plugins are modules"),
        (b"\0asm\x02\0\0\0", "version 0x2 of the WebAssembly format does not exist"),
        (
            b"\0asm\x01\0\0\0\x01\xff",
            "the file ends too early, after 10 bytes, in the type section, where at least 1 more should follow",
        ),
        (b"\0asm\x01\0\0\0\x01\x02\x01\x00", "invalid module: "),
    ];
    for (bytes, expected) in cases {
        let error = inspect(bytes, &table(), &LinkRules::STRICT).expect_err("refused");
        assert!(error.line(0).starts_with(expected), "{error}");
    }
    assert!(Reason::Component.hint().is_some_and(|h| h.contains("wasm32-wasip2")));
}

#[test]
fn a_cut_module_names_the_section_it_ends_in() {
    let wasm = compile(&format!("(module {MARKER} {MEMORY} {MALLOC})"));
    let code = wasm.windows(4).position(|w| w == [10, 9, 2, 2]).expect("the code section");
    let error = inspect(&wasm[..code + 5], &table(), &LinkRules::STRICT).expect_err("refused");
    assert!(error.line(0).contains("in the code section, where at least 6 more should follow"), "{error}");
}

#[test]
fn unlinked_files_are_named() {
    let (line, _) = only(r#"(module (import "env" "__linear_memory" (memory 0)) (@custom "linking" "\02"))"#);
    assert_eq!(line, "this is an object file, not a linked module");
    let (line, _) = only(r#"(module (import "GOT.mem" "x" (global i32)) (@custom "dylink.0" ""))"#);
    assert_eq!(line, "this is a library for dynamic linking, not a complete module");
}

#[test]
fn features_without_an_engine() {
    let cases = [
        (r#"(memory 1 1 shared)"#, Feature::Threads),
        (r#"(memory i64 1)"#, Feature::Memory64),
        (r#"(tag)"#, Feature::Exceptions),
        (r#"(type (struct))"#, Feature::Gc),
        (r#"(type $f (func)) (type (cont $f))"#, Feature::StackSwitching),
    ];
    for (text, feature) in cases {
        assert_eq!(refused(text), [Reason::Feature(feature)], "{text}");
    }
    assert_eq!(
        refused("(memory 1 1 shared)")[0].to_string(),
        "the module uses shared memory, which the engine does not have"
    );
}

#[test]
fn modules_without_a_marker() {
    let without = |exports: &str| only(&format!("(module {MEMORY} {MALLOC} {exports})"));
    let (line, hint) = without("");
    assert_eq!(line, "no version of the ABI is declared");
    for version in AbiVersion::ALL {
        assert!(hint.contains(version.marker()), "{hint}");
    }
    let (line, hint) = without(r#"(func (export "_start"))"#);
    assert!(line.starts_with("this is a command, not a Proxy-Wasm plugin"), "{line}");
    assert!(hint.contains("-buildmode=c-shared"), "{hint}");
    let (line, _) = without(r#"(func (export "proxy_abi_version_0_2_99"))"#);
    assert_eq!(line, "`proxy_abi_version_0_2_99` declares no version of the ABI that hosts know");
    let (line, _) = without(r#"(global (export "proxy_abi_version_0_2_1") i32 (i32.const 0))"#);
    assert_eq!(line, "`proxy_abi_version_0_2_1` is exported, but not as a function");
    let (_, hint) = without(r#"(func (export "proxy_on_tick") (param i32))"#);
    assert!(hint.ends_with("the SDKs do"), "{hint}");
}

#[test]
fn hosts_differ_about_markers() {
    let two = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    let found = accepted(two);
    assert_eq!((found.abi, found.markers.len()), (AbiVersion::V0_1_0, 2));
    let warning = "the module declares ABI 0.1.0 and 0.2.1; this host takes 0.1.0, and others may choose differently";
    assert_eq!(found.warnings[0].to_string(), warning);
    let lax = LinkRules {
        missing_marker: MissingMarker::Assume(AbiVersion::V0_2_1),
        several_markers: SeveralMarkers::Newest,
        ..LinkRules::STRICT
    };
    assert_eq!(plugin(two, &lax).expect("accepted").abi, AbiVersion::V0_2_1);
    let none = compile(&format!("(module {MEMORY} {MALLOC})"));
    let found = inspect(&none, &table(), &lax).expect("accepted");
    assert_eq!((found.abi, found.markers.len()), (AbiVersion::V0_2_1, 0));
    assert_eq!(found.warnings[0], Warning::AssumedVersion(AbiVersion::V0_2_1));
}

#[test]
fn unknown_imports_have_their_usual_cause() {
    let hint = |import: &str| refused(&format!("(import {import} (func))"))[0].hint().expect("a hint");
    assert_eq!(hint(r#""env" "proxy_get_proprety""#), "did you mean `env.proxy_get_property`");
    assert_eq!(hint(r#""wasi_unstable" "fd_write""#), "did you mean `wasi_snapshot_preview1.fd_write`");
    assert_eq!(hint(r#""evn" "proxy_log""#), "did you mean `env.proxy_log`");
    assert!(hint(r#""wbg" "__wbg_now_1""#).contains("wasm-bindgen"));
    assert!(hint(r#""env" "proxy_redis_call""#).contains("private to Higress"));
    assert!(hint(r#""env" "proxy_get_buffer""#).contains("draft of 2020"));
    assert!(hint(r#""env" "printf""#).contains("--allow-undefined"));
    assert!(hint(r#""env" "proxy_frobnicate_widget""#).contains("no hostcall of this name"));
    assert!(hint(r#""mine" "f""#).contains("not in `mine`"));
}

#[test]
fn one_cause_is_explained_once() {
    let imports: String = (0..200).map(|i| format!(r#"(import "wbg" "__wbg_{i}" (func))"#)).collect();
    let error = plugin(&imports, &LinkRules::STRICT).expect_err("refused");
    assert_eq!(error.hints().len(), 1);
    assert_eq!(error.reasons().last(), Some(&Reason::MoreImports(136)));
    assert_eq!(error.line(64), "136 further imports that the host does not define");
}

#[test]
fn hostcalls_belong_to_versions() {
    let import = r#"(import "env" "proxy_get_configuration" (func (param i32 i32) (result i32)))"#;
    let reasons = refused(import);
    let line = "the hostcall `proxy_get_configuration` is not in ABI 0.2.1, which the module declares, but in 0.1.0";
    assert_eq!(reasons[0].to_string(), line);
    assert!(reasons[0].hint().is_some_and(|h| h.contains("made for ABI 0.2.1")));
    let flat = LinkRules { hostcalls: LinkedHostcalls::All, ..LinkRules::STRICT };
    assert!(plugin(import, &flat).is_ok());
    for result in ["", "(result i32)"] {
        let old = format!(
            r#"(import "env" "proxy_continue_request" (func {result})) (func (export "proxy_abi_version_0_1_0"))"#
        );
        assert_eq!(accepted(&old).abi, AbiVersion::V0_1_0);
    }
}

#[test]
fn hosts_lack_and_redefine_hostcalls() {
    const OTHER: &[Known] = &[known("proxy_get_metric", &[I, ValKind::I64], &[])];
    let apisix = LinkRules {
        host: "apisix",
        undefined: (&["proxy_get_buffer_status"][..]).into(),
        redefined: OTHER.into(),
        ..LinkRules::STRICT
    };
    let status = r#"(import "env" "proxy_get_buffer_status" (func (param i32 i32 i32) (result i32)))"#;
    let metric = r#"(import "env" "proxy_get_metric" (func (param i32 i32) (result i32)))"#;
    assert!(plugin(&format!("{status}{metric}"), &LinkRules::STRICT).is_ok());
    let error = plugin(&format!("{status}{metric}"), &apisix).expect_err("refused");
    assert_eq!(error.line(0), "apisix does not define the hostcall `proxy_get_buffer_status`");
    let line = "apisix does not define the hostcall `proxy_get_metric` as the ABI does, (i32, i32) -> i32, but as (i32, i64) -> i32";
    assert_eq!(error.line(1), line);
}

#[test]
fn only_functions_are_imported() {
    let cases = [
        (r#"(import "env" "memory" (memory 1))"#, "memory"),
        (r#"(import "env" "t" (table 1 funcref))"#, "table"),
        (r#"(import "env" "g" (global i32))"#, "global"),
    ];
    for (text, kind) in cases {
        let reason = refused(text).remove(0);
        assert!(reason.to_string().starts_with(&format!("the {kind} `env.")), "{reason}");
        assert!(reason.hint().is_some());
    }
}

#[test]
fn memory_and_allocator_are_needed() {
    let (line, _) = only(&format!("(module {MARKER} {MALLOC})"));
    assert_eq!(line, "no memory is exported");
    let (line, hint) = only(&format!("(module {MARKER} {MEMORY})"));
    assert!(line.starts_with("no allocator is exported"), "{line}");
    assert!(hint.contains("--export=malloc"), "{hint}");
    let (line, _) =
        only(&format!(r#"(module {MARKER} {MEMORY} (func (export "malloc") (param i64) (result i32) (i32.const 0)))"#));
    assert_eq!(line, "the export `malloc` has the signature (i64) -> i32, and hosts call (i32) -> i32");
    let lax = LinkRules { missing_allocator: MissingAllocator::Load, ..LinkRules::STRICT };
    let found = inspect(&compile(&format!("(module {MARKER} {MEMORY})")), &table(), &lax).expect("accepted");
    assert_eq!(found.warnings[0], Warning::NoAllocator);
    let other = compile(&format!(r#"(module {MARKER} {MALLOC} (memory (export "m") 1))"#));
    assert_eq!(inspect(&other, &table(), &LinkRules::STRICT).expect("accepted").memory.export, "m");
    let named = LinkRules { host: "apisix", memory: MemoryExport::Named, ..LinkRules::STRICT };
    let error = inspect(&other, &table(), &named).expect_err("refused");
    assert_eq!(error.to_string(), "the memory is exported as `m`, and apisix looks for `memory`");
}

#[test]
fn callbacks_have_their_versions_signature() {
    let two = r#"(func (export "proxy_on_request_headers") (param i32 i32) (result i32) (i32.const 0))"#;
    let reasons = refused(two);
    let line = "the export `proxy_on_request_headers` has the signature (i32, i32) -> i32, and hosts call (i32, i32, i32) -> i32";
    assert_eq!(reasons[0].to_string(), line);
    assert!(reasons[0].hint().is_some_and(|h| h.contains("end_of_stream")));
    let old = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    assert!(accepted(&format!("{old}{two}")).callbacks.contains(&Callback::OnRequestHeaders));
    let lax = LinkRules { wrong_export: WrongExport::Ignore, ..LinkRules::STRICT };
    let found = plugin(two, &lax).expect("accepted");
    assert!(found.callbacks.is_empty());
    assert!(found.warnings[0].to_string().contains("is never called: its signature is"), "{:?}", found.warnings);
    assert_eq!(found.warnings[1], Warning::NoCallback);
    let kong = LinkRules { host: "kong", required: &[Callback::OnVmStart], ..LinkRules::STRICT };
    let error = plugin("", &kong).expect_err("refused");
    assert_eq!(error.to_string(), "`proxy_on_vm_start` is not exported, and kong requires it");
}

#[test]
fn entry_points_matter_where_they_are_called() {
    let main = r#"(func (export "main"))"#;
    assert_eq!(accepted(main).entries, []);
    let reasons = refused(&format!(r#"{main} (func (export "_initialize"))"#));
    assert_eq!(reasons[0].to_string(), "the export `main` has the signature (), and hosts call (i32, i32) -> i32");
}

#[test]
fn warnings_read_like_sentences() {
    let found = accepted(
        r#"(func (export "proxy_abi_version_0_3_0"))
           (func (export "proxy_on_http_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))"#,
    );
    let lines: Vec<_> = found.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "hosts do not know the version that `proxy_abi_version_0_3_0` declares",
        "no callback is exported; the plugin is never called",
        "the export `proxy_on_http_request_headers` is never called: it belongs to the draft of 2020; did you mean `proxy_on_request_headers`",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn names_cannot_break_the_line() {
    let reasons = refused(&format!(r#"(import "env" "a\nb\1b[31m\e2\80\ae{}" (func))"#, "x".repeat(5000)));
    let line = reasons[0].to_string();
    assert!(line.len() < 250 && !line.contains(char::is_control), "{line}");
    assert!(line.starts_with(r"unknown import `env.a\nb\u{1b}[31m\u{202e}xxx"), "{line}");
}

#[test]
fn the_compilers_features_are_listed() {
    let found = accepted(r#"(@custom "target_features" "\02+\07simd128-\07atomics")"#);
    assert_eq!(found.target_features, ["simd128"]);
    assert_eq!(accepted(r#"(@custom "target_features" "\ff\ff\ff\ff\0f+")"#).target_features, [] as [String; 0]);
}

proptest! {
    // A failure prints its input; a file of seeds beside the sources would only be litter.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = inspect(&bytes, &table(), &LinkRules::STRICT);
        let module = [b"\0asm\x01\0\0\0", &bytes[..]].concat();
        let _ = inspect(&module, &table(), &LinkRules::STRICT).map_err(|e| (e.to_string(), e.hints()));
        let _ = to_wasm(bytes, Path::new("x.wat"));
    }

    #[test]
    fn damaged_modules_never_panic(cut in 0usize..600, flips in proptest::collection::vec((0usize..600, 0u8..8), 0..6)) {
        let mut wasm = compile(&format!(
            r#"(module (import "env" "proxy_log" (func (param i32 i32 i32) (result i32))) {MARKER} {MEMORY} {MALLOC}
               (table 1 funcref) (elem (i32.const 0) 0) (data (i32.const 0) "abc") (type (struct)) (tag)
               (func (export "proxy_on_tick") (param i32)) (@custom "target_features" "\02+\07simd128-\07atomics"))"#
        ));
        wasm.truncate(wasm.len().saturating_sub(cut % (wasm.len() * 2)).max(8));
        for (at, bit) in flips {
            let at = 8 + at % wasm.len().saturating_sub(8).max(1);
            if let Some(byte) = wasm.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        if let Err(error) = inspect(&wasm, &table(), &LinkRules::STRICT) {
            prop_assert!(error.reasons().iter().all(|r| r.to_string().lines().count() == 1));
        }
        let symbols = crate::host::symbols::Symbols::load(&wasm);
        let _ = (symbols.function_at(cut), symbols.locate(cut));
    }
}
