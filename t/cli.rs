//! The command line as its users meet it: exit codes, snapshots from the first run to acceptance, bad input.

mod check;
mod concurrent;
mod coverage;
mod gateway;

use crate::support::{Ran, check, pwtest, pwtest_with, root, workspace};
use libtest_mimic::{Failed, Trial};
use std::fs;
use std::path::Path;

type Test = fn() -> Result<(), Failed>;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("cli: exit codes", exit_codes),
        ("cli: a snapshot from first run to acceptance", snapshot_life),
        ("cli: a CI server writes nothing", ci_writes_nothing),
        ("cli: every mistake of a file at once", every_mistake),
        ("cli: every reason why a module does not load", refusals),
        ("cli: the same bytes with any number of threads", any_number_of_threads),
        ("cli: a trap explains itself", trap_explains_itself),
        ("cli: a trap does not harm the next case", trap_is_contained),
        ("cli: runaways are stopped at the same place every time", runaways),
        ("cli: cut: every finds a word that a chunk border hides", cut_every),
        ("cli: denied findings fail", denied_findings),
        ("cli: a JUnit report", junit),
        ("cli: annotations for GitHub", github),
        ("cli: a plugin's output can't reach the terminal's controls", no_escape_sequences),
        ("cli: a snapshot that does not parse is kept", damaged_snapshot),
        ("cli: the tables of the ABI", abi_tables),
    ];
    let trials = tests.iter().map(|(name, test)| Trial::test(*name, *test));
    trials
        .chain(check::trials())
        .chain(concurrent::trials())
        .chain(coverage::trials())
        .chain(gateway::trials())
        .collect()
}

const LOG: &str = "plugin: FIXTURES/rust/header.wasm\ncases:\n  - name: one\n    request: GET http://app.test/hello\n";

/// The text without what differs from run to run: times.
fn timeless(text: &str) -> String {
    let time = regex::Regex::new(r"\[ *<?[0-9.]+(ms|s|m)[^\]]*\]|\b[0-9.]+ ?(µs|ms|s)\b").expect("a pattern");
    time.replace_all(text, "[time]").into_owned()
}

fn expect_code(ran: &Ran, code: i32) -> Result<(), Failed> {
    check(ran.code == code, &format!("the exit code should be {code}"), ran)
}

fn exit_codes() -> Result<(), Failed> {
    let folder = workspace(&[
        ("good.yaml", LOG),
        ("bad.yaml", &LOG.replace("request: GET", "requst: GET")),
        ("fails.yaml", &format!("{LOG}    expect: {{ client_sees: {{ status: 404 }} }}\n")),
        ("empty.wasm", ""),
        ("load.yaml", &LOG.replace("FIXTURES/rust/header.wasm", "empty.wasm")),
    ]);
    let run = |arguments: &[&str]| pwtest(folder.path(), arguments);
    expect_code(&run(&["run", "good.yaml"]), 0)?;
    expect_code(&run(&["run", "fails.yaml"]), 1)?;
    expect_code(&run(&["run", "bad.yaml"]), 2)?;
    expect_code(&run(&["run", "missing.yaml"]), 2)?;
    expect_code(&run(&["run", "--no-such-flag"]), 2)?;
    expect_code(&run(&["run", "good.yaml", "--host", "nginx"]), 2)?;
    expect_code(&run(&["run", "load.yaml"]), 3)?;
    expect_code(&run(&["run", "good.yaml", "--filter", "nothing is called that"]), 4)?;
    expect_code(&run(&["--help"]), 0)
}

fn snapshot_life() -> Result<(), Failed> {
    let folder = workspace(&[("t/a.yaml", LOG)]);
    fs::create_dir(folder.path().join("snapshots"))?;
    let accepted = folder.path().join("snapshots/a/one.snap");
    let pending = folder.path().join("snapshots/a/one.snap.new");

    let first = pwtest(folder.path(), &["run"]);
    expect_code(&first, 0)?;
    check(pending.is_file() && !accepted.exists(), "the first run writes .snap.new only", &first)?;
    check(first.stdout.contains("pwtest review"), "the first run says what to do", &first)?;

    let review = pwtest(folder.path(), &["review"]);
    expect_code(&review, 1)?;
    check(review.stdout.contains("x-pwtest: 1"), "without a terminal the review prints the contents", &review)?;
    let accept = pwtest(folder.path(), &["review", "accept", "--all"]);
    expect_code(&accept, 0)?;
    check(accepted.is_file() && !pending.exists(), "accepting moves the file", &accept)?;
    expect_code(&pwtest(folder.path(), &["review"]), 0)?;
    expect_code(&pwtest(folder.path(), &["run"]), 0)?;

    let text = fs::read_to_string(&accepted)?;
    fs::write(&accepted, text.replace("x-pwtest: 1", "x-pwtest: 2"))?;
    let differs = pwtest(folder.path(), &["run"]);
    expect_code(&differs, 1)?;
    check(pending.is_file(), "a difference writes .snap.new", &differs)?;
    let lines: Vec<&str> = differs.stdout.lines().collect();
    let shows = |mark: char, text: &str| lines.iter().any(|l| l.contains(mark) && l.contains(text));
    check(shows('-', "x-pwtest: 2") && shows('+', "x-pwtest: 1"), "the difference is shown", &differs)?;

    expect_code(&pwtest(folder.path(), &["run", "--accept"]), 0)?;
    let run = pwtest(folder.path(), &["run"]);
    check(run.code == 0 && !pending.exists(), "--accept accepts, and a stale .snap.new goes", &run)
}

fn ci_writes_nothing() -> Result<(), Failed> {
    let folder = workspace(&[("a.yaml", LOG)]);
    let ran = pwtest_with(folder.path(), &["run", "a.yaml"], &[("CI", "true")]);
    check(ran.code == 1, "a case that expects nothing in words and has no snapshot tests nothing", &ran)?;
    check(!folder.path().join("snapshots").exists(), "nothing is written", &ran)
}

fn every_mistake() -> Result<(), Failed> {
    let text = "plugin: FIXTURES/rust/header.wasm\nhots: envoy\ncases:\n  - name: one\n    request: GET app.test\n    expect: { \
                client_sees: { stats: 200 } }\n  - name: one\n    request: GET http://a.test/\n";
    let folder = workspace(&[("a.yaml", text)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    expect_code(&ran, 2)?;
    for expected in
        ["did you mean `host`", "did you mean `status`", "http://", "one", "a.yaml:2:", "a.yaml:5:", "a.yaml:7:", "^"]
    {
        check(ran.stderr.contains(expected), &format!("the mistakes mention {expected:?}"), &ran)?;
    }
    check(ran.stdout.is_empty(), "nothing is run", &ran)
}

/// Every file in `fixtures/wat/refused` says in its first line what has to be in the refusal: `;; refused: TEXT`.
fn refusals() -> Result<(), Failed> {
    let refused = root().join("fixtures/wat/refused");
    let mut files: Vec<_> = fs::read_dir(&refused)?.flatten().map(|e| e.path()).collect();
    files.sort();
    if files.len() < 10 {
        return Err(format!("only {} modules to refuse", files.len()).into());
    }
    for file in files {
        let text = fs::read_to_string(&file)?;
        let wanted: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix(";; refused: ")).collect();
        if wanted.is_empty() {
            return Err(format!("{} does not say why it is refused", file.display()).into());
        }
        let scenario = format!("plugin: {}\ncases:\n  - name: one\n    request: GET http://a.test/\n", file.display());
        let folder = workspace(&[("a.yaml", &scenario)]);
        let ran = pwtest(folder.path(), &["run", "a.yaml"]);
        check(ran.code == 3, &format!("{} is refused", file.display()), &ran)?;
        for text in wanted {
            check(ran.stdout.contains(text), &format!("{}: the reason mentions {text:?}", file.display()), &ran)?;
        }
    }
    Ok(())
}

fn any_number_of_threads() -> Result<(), Failed> {
    let plugins = root().join("t/plugins");
    let plugins = plugins.to_string_lossy();
    let run =
        |jobs: &str| pwtest_with(&root(), &["run", &plugins, "--trace", "--verbose", "--jobs", jobs], &[("CI", "1")]);
    let (one, many) = (run("1"), run("8"));
    expect_code(&one, 0)?;
    check(timeless(&one.stdout) == timeless(&many.stdout), "the output does not depend on the threads", &many)
}

fn trap_explains_itself() -> Result<(), Failed> {
    let text = "plugin: FIXTURES/rust/fragile.debug.wasm\ncases:\n  - name: bytes\n    request: { send: GET http://app.test/x, \
                headers: { x-name: { hex: ff } } }\n    snapshot: false\n";
    let folder = workspace(&[("a.yaml", text)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    expect_code(&ran, 1)?;
    for expected in [
        "FromUtf8Error",
        "on_request_headers",
        "read_name",
        "fragile/src/lib.rs:",
        "GET http://app.test/x",
        "proxy_get_header_map_value",
    ] {
        check(ran.stdout.contains(expected), &format!("the report mentions {expected:?}"), &ran)?;
    }
    Ok(())
}

fn trap_is_contained() -> Result<(), Failed> {
    let text = "plugin: FIXTURES/rust/fragile.wasm\ncases:\n  - name: bytes\n    request: { send: GET http://app.test/, headers: \
                { x-name: { hex: ff } } }\n    expect: { trap: true }\n    snapshot: false\n  - name: text\n    request: { send: GET \
                http://app.test/, headers: { x-name: Eve } }\n    expect: { client_sees: { headers: { x-greeting: hello Eve } } }\n    \
                snapshot: false\n";
    let folder = workspace(&[("a.yaml", text)]);
    expect_code(&pwtest(folder.path(), &["run", "a.yaml", "--jobs", "1"]), 0)
}

fn runaways() -> Result<(), Failed> {
    let module = r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (loop $forever (br $forever)) i32.const 0))"#;
    let text = "plugin: loop.wat\nlimits: { fuel: 10M }\ncases:\n  - name: one\n    request: GET http://a.test/\n    snapshot: false\n";
    let folder = workspace(&[("loop.wat", module), ("a.yaml", text)]);
    let (first, second) = (pwtest(folder.path(), &["run", "a.yaml"]), pwtest(folder.path(), &["run", "a.yaml"]));
    expect_code(&first, 1)?;
    check(first.stdout.contains("fuel"), "the report says that the fuel is used up", &first)?;
    check(timeless(&first.stdout) == timeless(&second.stdout), "and says it the same way every time", &second)
}

fn cut_every() -> Result<(), Failed> {
    // Looks for the word in each chunk by itself, as a plugin does whose author never saw two chunks.
    let module = r#"(module
        (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
        (global $heap (mut i32) (i32.const 4096))
        (func (export "malloc") (param i32) (result i32)
            (global.set $heap (i32.add (global.get $heap) (i32.const 256))) (global.get $heap))
        (data (i32.const 16) "***")
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (if (i32.eq (local.get 1) (i32.const 3)) (then
                (drop (call $set (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 3)))))
            i32.const 0))"#;
    let text = "plugin: naive.wat\ncases:\n  - name: one\n    request: { send: POST http://a.test/, body: { text: abc, cut: every } }\n    \
                snapshot: false\n";
    let folder = workspace(&[("naive.wat", module), ("a.yaml", text)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    expect_code(&ran, 1)?;
    check(ran.stdout.contains("cut after 1 bytes"), "the report says which way of cutting", &ran)
}

fn denied_findings() -> Result<(), Failed> {
    let text = "plugin: FIXTURES/go/log.wasm\nconfig: x\ncases:\n  - name: one\n    request: { send: POST http://a.test/, body: abc }\n    \
                snapshot: false\n";
    let ext = "plugin: { file: FIXTURES/rust/ext-auth.wasm, config: { upstream: a, path: /c, timeout_ms: 5 } }\ncases:\n  - name: two\n    \
               request: GET http://a.test/\n    snapshot: false\n";
    let folder = workspace(&[("a.yaml", text), ("b.yaml", ext)]);
    expect_code(&pwtest(folder.path(), &["run", "a.yaml", "b.yaml"]), 0)?;
    // A Pause that nobody ends is stuck, and has a finding of its own.
    let stuck = r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 1))"#;
    let text = "plugin: stuck.wat\ncases:\n  - name: one\n    request: GET http://a.test/\n    expect: { stuck: true }\n    snapshot: false\n";
    let folder = workspace(&[("stuck.wat", stuck), ("a.yaml", text)]);
    expect_code(&pwtest(folder.path(), &["run", "a.yaml"]), 0)?;
    expect_code(&pwtest(folder.path(), &["run", "a.yaml", "--deny", "paused-without-resume"]), 1)?;
    expect_code(&pwtest(folder.path(), &["run", "a.yaml", "--deny", "all"]), 1)
}

fn junit() -> Result<(), Failed> {
    let folder = workspace(&[("a.yaml", &format!("{LOG}    expect: {{ client_sees: {{ status: 404 }} }}\n"))]);
    let ran = pwtest(folder.path(), &["run", "a.yaml", "--report", "junit=out/report.xml"]);
    expect_code(&ran, 1)?;
    let xml = fs::read_to_string(folder.path().join("out/report.xml"))?;
    for expected in ["<testsuite ", "<testcase ", "name=\"one\"", "<failure", "404"] {
        check(xml.contains(expected), &format!("the report has {expected:?}: {xml}"), &ran)?;
    }
    expect_code(&pwtest(folder.path(), &["run", "a.yaml", "--report", "html=x"]), 2)
}

fn github() -> Result<(), Failed> {
    let folder = workspace(&[("a.yaml", &format!("{LOG}    expect:\n      client_sees: {{ status: 404 }}\n"))]);
    let ran = pwtest_with(folder.path(), &["run", "a.yaml"], &[("GITHUB_ACTIONS", "true")]);
    expect_code(&ran, 1)?;
    let line = ran.stdout.lines().find(|l| l.starts_with("::error "));
    let on_line = line.is_some_and(|l| l.contains("file=a.yaml") && l.contains("line=6"));
    check(on_line, "the annotation is on the line of the expectation", &ran)
}

fn no_escape_sequences() -> Result<(), Failed> {
    let module = r#"(module (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024)
        (data (i32.const 16) "\1b]0;owned\07\1b[2J\0d\0a")
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $log (i32.const 4) (i32.const 16) (i32.const 16))) unreachable))"#;
    let text = "plugin: esc.wat\ncases:\n  - name: one\n    request: GET http://a.test/\n";
    let folder = workspace(&[("esc.wat", module), ("a.yaml", text)]);
    for flags in [
        &["run", "a.yaml"][..],
        &["run", "a.yaml", "--trace", "--verbose"],
        &["run", "a.yaml", "--accept"],
        &["review"],
    ] {
        let ran = pwtest(folder.path(), flags);
        let clean = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
        check(clean(&ran.stdout) && clean(&ran.stderr), "no control characters", &ran)?;
    }
    Ok(())
}

fn damaged_snapshot() -> Result<(), Failed> {
    let folder = workspace(&[("a.yaml", LOG), ("snapshots/a/one.snap", "---\nsource: [\n---\nx\n")]);
    let path = folder.path().join("snapshots/a/one.snap");
    let before = fs::read(&path)?;
    for flags in [&["run", "a.yaml"][..], &["run", "a.yaml", "--accept"]] {
        let ran = pwtest(folder.path(), flags);
        expect_code(&ran, 1)?;
        check(ran.stdout.contains("one.snap"), "the report names the file", &ran)?;
        check(fs::read(&path)? == before, "the file is as it was", &ran)?;
    }
    Ok(())
}

fn abi_tables() -> Result<(), Failed> {
    let ran = pwtest(Path::new("."), &["abi"]);
    expect_code(&ran, 0)?;
    // abi.md 3.2-3.12 and 4.1.
    for name in [
        "proxy_log",
        "proxy_http_call",
        "proxy_get_log_level",
        "proxy_continue_request",
        "fd_write",
        "proxy_on_grpc_close",
    ] {
        check(ran.stdout.contains(name), &format!("{name} is listed"), &ran)?;
    }
    // abi.md 3.2 and apisix.md 4: what each host answers.
    for text in [
        "      spec, envoy: ok bad_argument invalid_memory_access\n      apisix: ok invalid_memory_access\n",
        "      apisix: not defined\n",
        "      apisix: unimplemented\n",
        "      apisix: ok, and does nothing\n",
        "  proxy_on_tick(context_id)\n    never called by apisix\n",
    ] {
        check(ran.stdout.contains(text), &format!("it says {text:?}"), &ran)?;
    }
    Ok(())
}
