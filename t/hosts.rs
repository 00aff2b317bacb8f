//! Several hosts: expectations for one of them, plugins that one of them refuses.

use crate::support::{Ran, check, pwtest, workspace};
use libtest_mimic::{Failed, Trial};

type Test = fn() -> Result<(), Failed>;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("hosts: what stands under `on` holds there only", hosts_differ),
        ("hosts: a refusal can be expected", expected_refusals),
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
