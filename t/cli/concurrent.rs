//! Requests that are in flight together: whose failure is whose.

use crate::support::{Ran, check, pwtest, workspace};
use libtest_mimic::{Failed, Trial};

/// One trial for each thing.
pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("cli: concurrent requests fail by themselves", failures),
        Trial::test("cli: concurrent requests have their own callouts", callouts),
    ]
}

fn says(ran: &Ran, texts: &[&str]) -> Result<(), Failed> {
    texts.iter().try_for_each(|text| check(ran.stdout.contains(text), &format!("{text:?} is missing"), ran))
}

fn failures() -> Result<(), Failed> {
    let scenario = "plugin: FIXTURES/wat/portable.wat
config: p
cases:
  - name: three
    snapshot: false
    concurrent:
      - request: GET http://app.test/
        expect: { client_sees: { status: 200 } }
      - request: GET http://app.test/
        upstream: never
        expect: { client_sees: { status: 201 } }
      - request: GET http://app.test/request_headers:/pause
      - request: GET http://app.test/
        expect: { logs: [ nothing like that ] }
";
    let folder = workspace(&[("a.yaml", scenario)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    check(ran.code == 1, "the case fails", &ran)?;
    says(
        &ran,
        &[
            "concurrent[2]: the request reached the upstream",
            "concurrent[2]: status at the client",
            "a.yaml:11:42",
            "concurrent[3]: the request is stuck",
            "concurrent[4]: no log line is \"nothing like that\"",
        ],
    )?;
    check(!ran.stdout.contains("concurrent[1]"), "nothing is wrong with the first", &ran)
}

fn callouts() -> Result<(), Failed> {
    let scenario =
        "plugin: { file: FIXTURES/rust/ext-auth.wasm, config: { upstream: authz, path: /check, timeout_ms: 500 } }
cases:
  - name: two
    snapshot: false
    concurrent:
      - request: { send: GET http://app.test/, headers: { authorization: a } }
        callouts: [ { to: authz, expect: { path: /other } } ]
      - request: { send: GET http://app.test/, headers: { authorization: b } }
      - request: GET http://app.test/
        callouts: [ { to: authz } ]
";
    let folder = workspace(&[("a.yaml", scenario)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    check(ran.code == 1, "the case fails", &ran)?;
    says(
        &ran,
        &[
            "concurrent[1]: ",
            "/other",
            // The plan of the third is not for the second.
            "concurrent[2]: a call that no callout plans for: GET /check to `authz`",
            "concurrent[3]: the planned call to `authz` was never made",
        ],
    )
}
