//! Scenarios with a gateway: what is said of a wrong one, and where one is not played.

use crate::support::{check, pwtest, workspace};
use libtest_mimic::{Failed, Trial};

/// One trial for each thing.
pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("cli: a gateway that is wrong is not run", wrong),
        Trial::test("cli: the node and the answer of the admin API are judged", judged),
        Trial::test("cli: the modules of a gateway that are not there", missing),
        Trial::test("cli: a call that the admin API refuses", refused),
        Trial::test("cli: a gateway is a folder with APISIX's files, too", folder),
    ]
}

const GATEWAY: &str = "gateway:
  routes:
    - { id: r, uri: /hello, upstream: { type: roundrobin, nodes: { '127.0.0.1:1980': 1 } } }
cases:
  - name: one
    snapshot: false
    steps:
      - request: GET http://app.test/hello
        expect: { upstream_sees: { node: '127.0.0.1:1980' } }
      - admin: GET /apisix/admin/routes/r
        expect: { status: 200, headers: { x-api-version: v3 }, body: { json: { value: { uri: /hello } } } }
";

fn wrong() -> Result<(), Failed> {
    let document = "routes:\n  - { id: r, uri: /hello, upstreams: 1 }\n";
    let folder = workspace(&[
        ("inline.yaml", &GATEWAY.replace("uri: /hello,", "urii: /hello,")),
        ("file.yaml", "gateway: gateway.yaml\ncases: [ { name: a, request: GET http://a/ } ]\n"),
        ("gateway.yaml", document),
    ]);
    let inline = pwtest(folder.path(), &["run", "inline.yaml"]);
    check(inline.code == 2, "a wrong document is invalid input", &inline)?;
    check(inline.stderr.contains("inline.yaml:3:"), "its place is in the scenario", &inline)?;
    let file = pwtest(folder.path(), &["run", "file.yaml"]);
    check(file.code == 2, "so is one in a file of its own", &file)?;
    check(file.stderr.contains("gateway.yaml:2:"), "its place is in that file", &file)
}

fn judged() -> Result<(), Failed> {
    let folder = workspace(&[
        ("good.yaml", GATEWAY),
        (
            "bad.yaml",
            &GATEWAY
                .replace("node: '127.0.0.1:1980' }", "node: '127.0.0.1:1981' }")
                .replace("status: 200, ", "status: 404, "),
        ),
    ]);
    let good = pwtest(folder.path(), &["run", "good.yaml"]);
    check(good.code == 0, "everything holds", &good)?;
    let bad = pwtest(folder.path(), &["run", "bad.yaml"]);
    check(bad.code == 1, "two things don't hold", &bad)?;
    for text in ["node at the upstream is", "bad.yaml:9:", "status of the answer is 200, expected 404", "bad.yaml:11:"]
    {
        check(bad.stdout.contains(text), &format!("{text:?} is missing"), &bad)?;
    }
    Ok(())
}

fn missing() -> Result<(), Failed> {
    let gone = GATEWAY.replace("gateway:", "gateway:\n  wasm.plugins: [ { name: x, priority: 1, file: gone.wasm } ]");
    let folder = workspace(&[("a.yaml", &gone)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    check(ran.code == 3, "a module that is not there can't be loaded", &ran)?;
    check(ran.stdout.contains("gone.wasm"), "it is named", &ran)
}

/// What `pwtest serve conf/` serves is what `gateway: conf` tests: apisix.md 7.6 (`#END`, `${{VAR:=default}}`).
fn folder() -> Result<(), Failed> {
    let config = "deployment: { role: data_plane, role_data_plane: { config_provider: yaml } }\n";
    let objects = "routes:\n  - { id: r, uri: '${{URI_OF_R:=/hello}}', upstream: { type: roundrobin, nodes: { '127.0.0.1:1980': 1 } } }\n#END\n";
    let of = |gateway: &str| {
        let from = GATEWAY.find("cases:").unwrap_or_default();
        format!("gateway: {gateway}\n{}", &GATEWAY[from..])
    };
    let folder = workspace(&[
        ("conf/config.yaml", config),
        ("conf/apisix.yaml", objects),
        ("conf/one.yaml", objects),
        ("open/config.yaml", config),
        ("open/apisix.yaml", "routes: []\n"),
        ("folder.yaml", &of("conf/")),
        ("config.yaml", &of("conf/config.yaml")),
        ("objects.yaml", &of("conf/apisix.yaml")),
        ("one.yaml", &of("conf/one.yaml")),
        ("open.yaml", &of("open")),
    ]);
    for name in ["folder.yaml", "config.yaml", "objects.yaml", "one.yaml"] {
        let ran = pwtest(folder.path(), &["run", name]);
        check(ran.code == 0, &format!("{name} passes"), &ran)?;
    }
    let open = pwtest(folder.path(), &["run", "open.yaml"]);
    check(open.code == 2, "without `#END` it is not whole", &open)?;
    check(open.stderr.contains("missing valid end flag in file open/apisix.yaml"), "which is said", &open)
}

/// A call that is refused: what comes behind it would be about objects that are not there.
fn refused() -> Result<(), Failed> {
    let steps = |expect: &str| {
        let call = "      - admin: { send: PUT /apisix/admin/routes/2, body: { ury: /b } }\n";
        let from = GATEWAY.find("      - admin").unwrap_or_default();
        format!("{}{call}{expect}", &GATEWAY[..from])
    };
    let folder = workspace(&[
        ("unsaid.yaml", &steps("")),
        ("logs.yaml", &steps("        expect: { no_logs: [ x ] }\n")),
        ("status.yaml", &steps("        expect: { status: 400 }\n")),
        ("body.yaml", &steps("        expect: { body: { contains: invalid configuration } }\n")),
        ("document.yaml", "wasm.plugins: []\nroutes: []\n"),
    ]);
    for name in ["unsaid.yaml", "logs.yaml"] {
        let ran = pwtest(folder.path(), &["run", name]);
        check(ran.code == 1, "nobody said that it is refused", &ran)?;
        for text in
            ["the admin API refuses PUT /apisix/admin/routes/2 with 400", "invalid configuration", "status: 400"]
        {
            check(ran.stdout.contains(text), &format!("{text:?} is missing"), &ran)?;
        }
    }
    for name in ["status.yaml", "body.yaml"] {
        let ran = pwtest(folder.path(), &["run", name]);
        check(ran.code == 0, "its answer is expected", &ran)?;
    }
    let document = pwtest(folder.path(), &["run", "document.yaml"]);
    check(document.code == 2, "a document is no scenario", &document)?;
    check(document.stderr.contains("`gateway: document.yaml` and `cases`"), "what to do is said", &document)?;
    check(document.stderr.contains("1 mistake"), "and nothing else", &document)
}
