//! Several hosts: expectations for one of them, plugins that one of them refuses.

use crate::support::{Ran, check, pwtest, workspace};
use libtest_mimic::{Failed, Trial};

type Test = fn() -> Result<(), Failed>;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("hosts: what stands under `on` holds there only", hosts_differ),
        ("hosts: a refusal can be expected", expected_refusals),
        ("hosts: the table of a conformance suite", conformance_table),
        ("hosts: a comparison shows what differs", comparison),
        ("hosts: a gateway is APISIX's, and tables say so", gateways),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

const LOG: &str = "plugin: FIXTURES/rust/header.wasm\ncases:\n  - name: one\n    request: GET http://app.test/hello\n";

fn expect_code(ran: &Ran, code: i32) -> Result<(), Failed> {
    check(ran.code == code, &format!("the exit code should be {code}"), ran)
}

/// What stands under `on` holds under that host and under no other; `host` of a case beats the file's.
fn hosts_differ() -> Result<(), Failed> {
    let case = |expect: &str| format!("{LOG}    snapshot: false\n    expect: {{ {expect} }}\n");
    let trap = "plugin: FIXTURES/rust/fragile.wasm\ncases:\n  - name: one\n    request: { send: GET http://app.test/, headers: \
                { x-name: { hex: ff } } }\n    snapshot: false\n    expect: { on: { HOST: { trap: true } } }\n";
    let folder = workspace(&[
        ("common.yaml", &case("client_sees: { status: 404 }, on: { envoy: { client_sees: { status: 200 } } }")),
        ("here.yaml", &case("client_sees: { status: 200 }, on: { envoy: { client_sees: { status: 404 } } }")),
        ("elsewhere.yaml", &case("client_sees: { status: 200 }, on: { apisix: { client_sees: { status: 404 } } }")),
        ("both.yaml", &case("client_sees: { status: 200 }, on: { envoy: { client_sees: { body: \"\" } } }")),
        ("trap-here.yaml", &trap.replace("HOST", "envoy")),
        ("trap-elsewhere.yaml", &trap.replace("HOST", "apisix")),
    ]);
    for (file, code) in [
        ("common.yaml", 1),
        ("here.yaml", 1),
        ("elsewhere.yaml", 0),
        ("both.yaml", 0),
        ("trap-here.yaml", 0),
        ("trap-elsewhere.yaml", 1),
    ] {
        expect_code(&pwtest(folder.path(), &["run", file, "--host", "envoy"]), code)?;
    }
    Ok(())
}

fn expected_refusals() -> Result<(), Failed> {
    let case = |plugin: &str, expect: &str| {
        format!(
            "plugin: FIXTURES/{plugin}\ncases:\n  - name: one\n    request: GET http://a.test/\n    expect: {{ {expect} }}\n"
        )
    };
    let refused = "wat/refused/get-log-level-in-0.2.0.wat";
    let folder = workspace(&[
        ("right.yaml", &case(refused, "load: { contains: proxy_get_log_level }")),
        ("any.yaml", &case(refused, "on: { envoy: { load: { not: null } } }")),
        ("other.yaml", &case(refused, "load: { contains: proxy_get_metric }")),
        ("more.yaml", &case(refused, "load: { contains: proxy_get_log_level }, client_sees: { status: 200 }")),
        ("elsewhere.yaml", &case(refused, "on: { apisix: { load: { not: null } } }")),
        ("loads.yaml", &case("wat/loading-minimal.wat", "load: { not: null }")),
    ]);
    for (file, code, says) in [
        ("right.yaml", 0, "1 passed"),
        ("any.yaml", 0, "1 passed"),
        ("other.yaml", 1, "refused the plugin for another reason"),
        ("more.yaml", 1, "client_sees"),
        ("elsewhere.yaml", 3, "proxy_get_log_level"),
        ("loads.yaml", 1, "the plugin was loaded"),
    ] {
        let ran = pwtest(folder.path(), &["run", file, "--host", "envoy"]);
        expect_code(&ran, code)?;
        check(ran.stdout.contains(says), &format!("{file} says {says:?}"), &ran)?;
    }
    Ok(())
}

/// Two topics; one case that differs on purpose under `apisix`, one that leaves it out.
fn suite() -> tempfile::TempDir {
    let one = "plugin: FIXTURES/rust/header.wasm\nhost: [spec, envoy, apisix]\ncases:\n  - name: one\n    request: GET http://a.test/\n    \
               expect: { client_sees: { status: 200 }, on: { apisix: { client_sees: { status: 404 } } } }\n    snapshot: false\n";
    let two = "plugin: FIXTURES/rust/header.wasm\nhost: [spec, envoy]\ncases:\n  - name: two\n    request: GET http://a.test/\n    \
               expect: { client_sees: { status: 200 } }\n  - name: three\n    host: apisix\n    skip: not today\n    request: GET http://a.test/\n";
    workspace(&[("t/conformance/abi/one.yaml", one), ("t/conformance/start/two.yaml", two)])
}

fn conformance_table() -> Result<(), Failed> {
    let folder = suite();
    let ran = pwtest(folder.path(), &["conformance", "--host", "envoy", "--host", "apisix"]);
    expect_code(&ran, 1)?;
    let words: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        vec!["envoy", "apisix"],
        vec!["abi", "1", "1", "0", "0", "1", "0", "1", "0"],
        vec!["start", "1", "1", "0", "0", "0", "0", "0", "0"],
        vec!["sum", "2", "2", "0", "0", "1", "0", "1", "0"],
        vec!["apisix:", "t/conformance/abi/one.yaml:", "one", "(apisix)"],
    ] {
        check(words.contains(&row), &format!("there is a row {row:?}"), &ran)?;
    }
    check(ran.stdout.contains("status at the client is 200, expected 404"), "the reason is shown", &ran)?;

    let ran = pwtest(folder.path(), &["conformance", "--host", "envoy", "--format", "json"]);
    expect_code(&ran, 0)?;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).map_err(|error| error.to_string())?;
    let sum = &json["sum"]["envoy"];
    let good = sum["cases"] == 2 && sum["passed"] == 2 && sum["differing"] == 0 && json["topics"][0]["topic"] == "abi";
    check(good && json["differing"] == serde_json::json!([]), "the JSON says the same", &ran)?;

    expect_code(&pwtest(folder.path(), &["conformance", "--host", "nginx"]), 2)?;
    expect_code(&pwtest(folder.path(), &["conformance", "missing"]), 2)?;
    expect_code(&pwtest(folder.path(), &["conformance", "--filter", "nothing is called that"]), 4)?;
    expect_code(&pwtest(workspace(&[]).path(), &["conformance"]), 4)
}

fn comparison() -> Result<(), Failed> {
    let text =
        "plugin: FIXTURES/wat/refused/unknown-import.wat\ncases:\n  - name: refused\n    request: GET http://a.test/\n";
    // abi.md 4.1: APISIX always says 0 headers and end of stream 1; apisix.md 0: no on_log.
    let probe = r#"(module (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024)
        (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
        (data (i32.const 16) "0 headersn headers")
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (local.get 1)
                (then (drop (call $log (i32.const 2) (i32.const 25) (i32.const 9))))
                (else (drop (call $log (i32.const 2) (i32.const 16) (i32.const 9)))))
            i32.const 0))"#;
    let probed = "plugin: { file: probe.wat, config: x }\ncases:\n  - name: counts\n    request: GET http://a.test/\n";
    let folder = workspace(&[
        ("t/a.yaml", text),
        ("t/probe.wat", probe),
        ("t/b.yaml", probed),
        ("t/c.yaml", &probed.replace("counts", "again")),
    ]);
    let ran = pwtest(folder.path(), &["compare", "--host", "envoy", "--host", "apisix"]);
    // Profiles may differ from each other.
    expect_code(&ran, 0)?;
    let words: Vec<String> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for row in ["t/b.yaml: counts", "t/c.yaml: again", "log 1 info: n headers info: 0 headers"] {
        check(words.iter().any(|line| line == row), &format!("there is a line {row:?}"), &ran)?;
    }
    check(!ran.stdout.contains("refused"), "what no host loads is alike", &ran)?;
    let summary = words.last().is_some_and(|line| line == "3 cases under 2 hosts: 1 alike, 2 differ");
    check(summary, "the last line sums up", &ran)?;

    let alike = pwtest(folder.path(), &["compare", "--host", "envoy", "--host", "envoy", "--host", "spec", "t/a.yaml"]);
    expect_code(&alike, 0)?;
    check(alike.stdout.trim() == "1 case under 2 hosts: 1 alike, 0 differ", "nothing differs", &alike)?;
    expect_code(&pwtest(folder.path(), &["compare", "--host", "envoy"]), 2)?;
    expect_code(&pwtest(folder.path(), &["compare", "--host", "envoy", "--host", "nginx"]), 2)?;
    expect_code(&pwtest(folder.path(), &["compare", "--host", "envoy", "--host", "spec", "--filter", "nothing"]), 4)
}

/// Two cases that name no host, so the gateway's (apisix), and one that names two.
fn gateways() -> Result<(), Failed> {
    let text = "gateway:\n  wasm.plugins: [ { name: log, priority: 1, file: FIXTURES/go/log.wasm } ]\n  \
                routes: [ { uri: /a, plugins: { log: { conf: x } }, upstream: { nodes: { '127.0.0.1:1': 1 } } } ]\ncases:\n  \
                - name: one\n    request: GET http://a.test/a\n  - name: two\n    request: GET http://a.test/b\n    upstream: never\n    \
                expect: { client_sees: { status: 404 } }\n  - name: three\n    host: [spec, apisix]\n    request: GET http://a.test/a\n";
    let folder = workspace(&[("t/routes/one.yaml", text)]);
    let suite = |arguments: &[&str]| pwtest(folder.path(), &[&["conformance", "t"][..], arguments].concat());
    let ran = suite(&[]);
    expect_code(&ran, 0)?;
    for (host, cases) in [("spec", "2 cases"), ("envoy", "3 cases")] {
        let line = format!("not run under {host}: {cases} with a gateway, which is APISIX's own");
        check(ran.stdout.lines().any(|shown| shown == line), &format!("there is a line {line:?}"), &ran)?;
    }
    check(!ran.stdout.contains("not run under apisix"), "all are run under apisix", &ran)?;
    let ran = suite(&["--filter", "two", "--host", "envoy"]);
    expect_code(&ran, 4)?;
    check(ran.stdout.contains("not run under envoy: 1 case with a gateway"), "zeroes have a reason", &ran)?;
    let ran = suite(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).map_err(|error| error.to_string())?;
    let expected = serde_json::json!({ "spec": 2, "envoy": 3, "apisix": 0 });
    check(json["gateway_cases_not_run"] == expected, "the JSON says it, too", &ran)?;

    let compare = ["compare", "--host", "spec", "--host", "apisix", "t"];
    let ran = pwtest(folder.path(), &compare);
    expect_code(&ran, 0)?;
    check(
        ran.stdout.contains("3 cases have a gateway, whose routes and nodes are APISIX's under every profile"),
        "it is said",
        &ran,
    )?;
    // apisix.md 7.2: there is no route, whoever runs the plugins.
    let ran = pwtest(folder.path(), &[&compare[..], &["--filter", "two"]].concat());
    check(ran.stdout.contains("1 case has a gateway"), "of the cases that were asked for", &ran)?;
    check(!ran.stdout.contains("client status"), "both say 404", &ran)
}
