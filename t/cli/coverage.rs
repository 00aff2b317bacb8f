//! `pwtest run --coverage`: what a suite reached, for people and for machines.

use super::{Test, expect_code};
use crate::support::{check, pwtest, workspace};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("cli: coverage for people", people),
        ("cli: coverage for machines", machines),
        ("cli: coverage of nothing", nothing),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

/// Reads a header that is there, one that is not, and asks for a level of log that does not exist.
const MODULE: &str = r#"(module
    (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (data (i32.const 16) ":pathx-none")
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 64) (i32.const 68)))
        (drop (call $get (i32.const 0) (i32.const 21) (i32.const 6) (i32.const 64) (i32.const 68)))
        (drop (call $log (i32.const 99) (i32.const 16) (i32.const 5)))
        i32.const 0))"#;

const SCENARIO: &str =
    "plugin: a.wat\nhost: envoy\ncases:\n  - name: one\n    request: GET http://a.test/\n    snapshot: false\n";

fn people() -> Result<(), Failed> {
    let folder = workspace(&[("a.wat", MODULE), ("a.yaml", SCENARIO)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml", "--coverage"]);
    expect_code(&ran, 0)?;
    for line in [
        "PASS",
        "envoy reached by 1 case: 2 of ",
        "  proxy_log                   bad_argument ×1; not ok, invalid_memory_access\n",
        "  proxy_get_header_map_value  ok ×1, not_found ×1; not bad_argument, invalid_memory_access\n",
        "  callbacks: on_request_headers ×1\n",
        "  hostcalls not called: proxy_get_log_level,",
        "  callbacks not called: on_context_create,",
    ] {
        check(ran.stdout.contains(line), &format!("it says {line:?}"), &ran)?;
    }
    let plain = pwtest(folder.path(), &["run", "a.yaml"]);
    check(!plain.stdout.contains("not called"), "nobody hears of it without asking", &plain)
}

fn machines() -> Result<(), Failed> {
    let folder = workspace(&[("a.wat", MODULE), ("a.yaml", SCENARIO)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml", "--coverage=json"]);
    expect_code(&ran, 0)?;
    let page: Value = serde_json::from_str(&ran.stdout).map_err(|error| format!("{error} in {}", ran.stdout))?;
    check(ran.stderr.contains("PASS"), "the report goes to standard error", &ran)?;
    let host = &page["hosts"][0];
    let calls = host["hostcalls"].as_array().and_then(|all| all.iter().find(|h| h["name"] == "proxy_log"));
    let log = calls.ok_or("no proxy_log")?;
    let good = page["format"] == 1
        && host["host"] == "envoy"
        && host["cases"] == 1
        && host["callbacks"]["proxy_on_request_headers"] == 1
        && log["calls"] == 1
        && log["documented"]["bad_argument"] == 1
        && log["missing"][0] == "ok";
    check(good, "what was reached and what not", &ran)?;
    expect_code(&pwtest(folder.path(), &["run", "a.yaml", "--coverage=xml"]), 2)
}

fn nothing() -> Result<(), Failed> {
    let text = SCENARIO.replace("    snapshot", "    skip: later\n    snapshot");
    let folder = workspace(&[("a.wat", MODULE), ("a.yaml", &text)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml", "--coverage"]);
    check(ran.stdout.contains("nothing was run"), "it says so", &ran)
}
