//! `pwtest check`: what it says about modules that hosts refuse and about those that they take.

use super::{Test, expect_code};
use crate::support::{Ran, check, pwtest, root, workspace};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("cli: check gives every reason why a module does not load", refusals),
        ("cli: check takes what Envoy takes", taken),
        ("cli: check says by its exit code how it went", exit_codes),
        ("cli: check reports for machines", machines),
        ("cli: check looks into function bodies", bodies),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

/// A plugin with something put into it.
fn module(extra: &str) -> String {
    format!(
        r#"(module {extra} (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024)
        (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1))"#
    )
}

fn json(ran: &Ran) -> Result<Value, Failed> {
    serde_json::from_str(&ran.stdout).map_err(|error| format!("{error} in {}", ran.stdout).into())
}

/// The same texts that `pwtest run` has to give.
fn refusals() -> Result<(), Failed> {
    let mut files: Vec<_> = fs::read_dir(root().join("fixtures/wat/refused"))?.flatten().map(|e| e.path()).collect();
    files.sort();
    for file in files {
        let path = file.to_string_lossy();
        let ran = pwtest(&root(), &["check", &path, "--host", "envoy", "--format", "json"]);
        expect_code(&ran, 1)?;
        let page = json(&ran)?;
        let problems = page["files"][0]["hosts"][0]["problems"].as_array().cloned().unwrap_or_default();
        let texts: Vec<String> = problems.iter().map(|p| format!("{} {}", p["message"], p["help"])).collect();
        for wanted in fs::read_to_string(&file)?.lines().filter_map(|l| l.strip_prefix(";; refused: ")) {
            let said = texts.iter().any(|text| text.contains(wanted));
            check(said, &format!("{}: a reason mentions {wanted:?}", file.display()), &ran)?;
        }
        let errors = problems.iter().filter(|p| p["level"] == "error").count();
        check(errors > 0, "what refuses is an error", &ran)?;
    }
    Ok(())
}

/// All of them load in the real Envoy: `.ci/run` runs them there.
fn taken() -> Result<(), Failed> {
    let mut arguments = vec!["check".to_owned(), "--host".to_owned(), "envoy".to_owned()];
    for folder in ["rust", "go", "assemblyscript", "cpp", "zig"] {
        let files = fs::read_dir(root().join("fixtures").join(folder))?.flatten().map(|entry| entry.path());
        let modules = files.filter(|path| path.extension().is_some_and(|e| e == "wasm"));
        arguments.extend(modules.map(|path| path.display().to_string()));
    }
    if arguments.len() < 12 {
        return Err(format!("only {} fixtures", arguments.len() - 3).into());
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = pwtest(&root(), &words);
    expect_code(&ran, 0)?;
    let loads = ran.stdout.lines().filter(|line| line.starts_with("  envoy  loads")).count();
    check(loads == arguments.len() - 3, "each has its line", &ran)?;
    for text in ["rust/quota.wasm: 167 KiB, ABI 0.2.1, Rust SDK", "go/log.wasm: 2.5 MiB, ABI 0.2.0, Go SDK"] {
        check(ran.stdout.contains(text), &format!("it says {text:?}"), &ran)?;
    }
    Ok(())
}

fn exit_codes() -> Result<(), Failed> {
    let folder = workspace(&[
        ("good.wat", &module("")),
        ("bad.wat", &module(r#"(import "env" "proxy_gone" (func))"#)),
        ("empty.wasm", ""),
        ("text.wasm", "hello, this is no module"),
        ("half.wat", "(module (func"),
    ]);
    let run = |arguments: &[&str]| pwtest(folder.path(), arguments);
    expect_code(&run(&["check", "good.wat", "--host", "envoy"]), 0)?;
    expect_code(&run(&["check", "good.wat", "bad.wat", "--host", "envoy"]), 1)?;
    for file in ["empty.wasm", "text.wasm", "half.wat"] {
        let ran = run(&["check", file]);
        expect_code(&ran, 1)?;
        check(ran.stdout.contains("error["), "the reason is shown once, for the file", &ran)?;
        check(!ran.stdout.contains("envoy"), "and not for each host", &ran)?;
    }
    let missing = run(&["check", "good.wat", "missing.wasm", "--host", "envoy"]);
    expect_code(&missing, 2)?;
    check(missing.stdout.contains("loads"), "the others are checked all the same", &missing)?;
    check(missing.stderr.contains("missing.wasm: can't be read"), "the missing one is named", &missing)?;
    let machine = run(&["check", "missing.wasm", "--format", "json"]);
    expect_code(&machine, 2)?;
    check(machine.stdout.contains("\"loads\": false"), "what can't be read does not load", &machine)?;
    check(machine.stdout.contains("\"file\": \"missing.wasm\""), "and is named for machines, too", &machine)?;
    expect_code(&run(&["check", "."]), 2)?;
    expect_code(&run(&["check"]), 2)?;
    let host = run(&["check", "good.wat", "--host", "nginx"]);
    expect_code(&host, 2)?;
    check(host.stderr.contains("`nginx`") && host.stderr.contains("envoy"), "the hosts are named", &host)?;
    expect_code(&run(&["check", "good.wat", "--format", "xml"]), 2)
}

fn machines() -> Result<(), Failed> {
    let import = r#"(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))"#;
    let folder = workspace(&[("a.wat", &module(import)), ("b.wasm", "")]);
    let run = || pwtest(folder.path(), &["check", "a.wat", "b.wasm", "--host", "envoy", "--format", "json"]);
    let (ran, again) = (run(), run());
    expect_code(&ran, 1)?;
    check(ran.stdout == again.stdout, "the same bytes every time", &again)?;
    let page = json(&ran)?;
    let a = &page["files"][0];
    let module = &a["module"];
    let good = page["format"] == 1
        && page["loads"] == false
        && a["file"] == "a.wat"
        && a["loads"] == true
        && a["hosts"][0]["host"] == "envoy"
        && module["abi_versions"][0] == "0.2.1"
        && module["memory"]["initial_pages"] == 1
        && module["callbacks"][0] == "proxy_on_configure"
        && module["allocators"][0] == "malloc"
        && module["imports"][0]["signature"] == "(i32, i32, i32) -> i32";
    check(good, "the module is described", &ran)?;
    let b = &page["files"][1];
    let good =
        b["module"].is_null() && b["problems"][0]["id"] == "empty-file" && b["hosts"] == Value::Array(Vec::new());
    check(good, "a file that is no module has problems of its own", &ran)
}

/// The inspection does not read bodies, and an engine refuses the module all the same.
fn bodies() -> Result<(), Failed> {
    let mut wasm = wat::parse_str(module(r#"(func (result i32) i32.const 77)"#))?;
    let at = wasm.windows(3).position(|bytes| bytes == [0x41, 0xcd, 0x00]).ok_or("the body")?;
    // i64.const 77, where an i32 is promised.
    wasm[at] = 0x42;
    let folder = workspace(&[]);
    fs::write(folder.path().join("a.wasm"), wasm)?;
    let ran = pwtest(folder.path(), &["check", "a.wasm", "--host", "envoy"]);
    expect_code(&ran, 1)?;
    check(ran.stdout.contains("error[invalid-module]"), "the body is named", &ran)?;
    check(ran.stdout.contains("envoy  does not load"), "and no host loads it", &ran)?;
    let ran = pwtest(Path::new("."), &["check", "--help"]);
    expect_code(&ran, 0)
}
