//! What stands at the top of a file: plugins, hosts, limits, foreign functions; keys that nobody knows, and YAML that
//! is none.

use super::{case, expect, in_file, request, top};
use crate::scenario::tests::Folder;

#[test]
fn all_mistakes_of_a_file_are_shown_at_once() {
    in_file(
        "plugin: plugn.wasm\nhots: apisix\nhost: envoi\nclock: today\ncases:\n- name: a\n  \
         request: GET app.test/\n  expect:\n    client_sees: { status: ok, header: {} }\n\
         - name: a\n  advance: 5\n- skip: true\n  steps: []\n",
        &[
            (1, "can't read", "`plugin.wasm`"),
            (2, "unknown key `hots`", "did you mean `host`?"),
            (3, "unknown host `envoi`", "did you mean `envoy`?"),
            (4, "not a point in time", "2026-01-01T00:00:00Z"),
            (7, "`app.test/` is not a URL", "GET http://app.test/"),
            (9, "`ok` is not a status code", "{ matches: ^5 }"),
            (9, "unknown key `header`", "did you mean `headers`?"),
            (10, "two cases are called `a`", "again"),
            (11, "`5` is not a time", "the unit is missing"),
            (12, "`name` is missing", "names the snapshot"),
            (12, "`skip` takes a reason", "say why"),
            (13, "`steps` is an empty list", ""),
        ],
    );
}

#[test]
fn the_top_level() {
    in_file("cases: [ { name: a, shutdown: true } ]", &[(1, "`plugin` is missing", "`plugins`")]);
    in_file("plugin: plugin.wasm\n", &[(1, "`cases` is missing", "GET http://")]);
    in_file("plugin: plugin.wasm\ncases: []\n", &[(2, "an empty list", "add a case")]);
    in_file("plugin: plugin.wasm\ncases: a\n", &[(2, "expected a list, found text", "- ")]);
    in_file("plugin: plugin.wasm\ncases: [ a ]\n", &[(2, "expected a mapping, found text", "key: value")]);
    in_file("just text", &[(1, "expected a mapping, found text", "")]);
    in_file(
        "gateway: { routes: [] }\nplugin: plugin.wasm\ncases: [ { name: a, shutdown: true } ]",
        &[(2, "`gateway` and `plugin` exclude each other", "a scenario is one or the other")],
    );
    in_file(
        "plugin: plugin.wasm\nplugins: [ plugin.wasm ]\ncases: [ { name: a, shutdown: true } ]",
        &[(2, "exclude each other", "")],
    );
}

#[test]
fn unknown_keys() {
    top("hots: envoy", "unknown key `hots`", "did you mean `host`?");
    top("timeout: 5s", "unknown key `timeout`", "has `plugin`, `plugins`");
    top("request: GET http://a", "unknown key `request`", "a key of a case");
    case("request: GET http://a, headers: {}", "unknown key `headers`", "`headers` is a key of `request`");
    request("upstream: 200", "unknown key `upstream`", "a key of a step");
    expect("status: 200", "unknown key `status`", "a key of `client_sees`");
    expect("upstream_sees: { status: 1 }", "unknown key `status`", "a key of `client_sees`");
    request("headers:{}", "a space is needed after the colon", "key: value");
}

#[test]
fn the_keys_of_a_file() {
    top("host: []", "empty list", "envoy");
    top("host: [envoy, envoy]", "given twice", "again");
    top("host: nginx", "unknown host `nginx`", "`envoy`, `apisix` and `spec`");
    top("host: {}", "expected text, found a mapping", "");
    top("protocol: http/2", "`http/1.1` or `h2`", "did you mean `h2`?");
    top("protocol: h3", "can't be `h3`", "did you mean `h2`?");
    top("clock: 1960-01-01T00:00:00Z", "not a point in time", "between 1970");
    top("seed: -1", "expected a whole number", "");
    top("limits: { fuel: 5MiB }", "`5MiB` is not a count", "unknown unit");
    top("limits: { memory: 99999999999GiB }", "is not a size", "too large");
    top("limits: { buffer: [] }", "expected a size, found a list", "");
    top("on_trap: { vm: rebuilt }", "`vm` can't be `rebuilt`", "did you mean `rebuild`?");
    top("redact: [ { matches: '(', as: x } ]", "not a regular expression", "unclosed group");
    top("redact: [ { matches: x } ]", "`as` is missing", "matches");
    top("properties: { a..b: 1 }", "not the path of a property", "dots");
    top("properties: { a: }", "without a value", "hides it");
    top("config: { a: .nan }", "JSON has no such number", "quote it");
}

#[test]
fn plugins() {
    let with = |text: &str| format!("{text}\ncases: [ {{ name: a, shutdown: true }} ]");
    in_file(&with("plugin: gone/x.wasm"), &[(1, "no such file", "build the plugin first")]);
    in_file(&with("plugin: ."), &[(1, "is a folder", "the `.wasm` file")]);
    in_file(&with("plugin: { name: x }"), &[(1, "`file` is missing", "path/to/plugin.wasm")]);
    in_file(
        &with("plugin: { file: plugin.wasm, priority: high }"),
        &[(1, "expected a whole number, found `high`", "")],
    );
    in_file(
        &with("plugin: { file: plugin.wasm, http_request_phase: acces }"),
        &[(1, "`acces`", "did you mean `access`?")],
    );
    in_file(
        &with("plugin: { file: plugin.wasm, env: { A=B: 1 } }"),
        &[(1, "not the name of an environment variable", "")],
    );
    in_file(
        &with("plugin: { file: plugin.wasm, config: a }\nconfig: b"),
        &[(2, "`config` is given twice", "same plugin")],
    );
    in_file(&with("plugins: [ plugin.wasm ]\nconfig: b"), &[(2, "stands beside `plugins`", "its own `config`")]);
    in_file(&with("plugins: []"), &[(1, "an empty list", "")]);
    in_file(&with("plugin:"), &[(1, "found nothing", "")]);
}

#[test]
fn hosts() {
    case("shutdown: true, host: envoi", "unknown host `envoi`", "did you mean `envoy`?");
    case("shutdown: true, host: []", "an empty list", "`envoy`");
    case("shutdown: true, host: [spec, envoy, spec]", "`spec` is given twice", "again");
    case("shutdown: true, hosts: spec", "unknown key `hosts`", "did you mean `host`?");
    expect("on: {}", "names no host", "apisix");
    expect("on: apisix", "expected a mapping, found text", "");
    expect("on: { apsix: { stuck: true } }", "unknown key `apsix`", "did you mean `apisix`?");
    expect("on: { 'envoy@/usr/bin/envoy': {} }", "unknown key", "`on` has");
    expect("on: { apisix: { stuk: true } }", "unknown key `stuk`", "did you mean `stuck`?");
    expect("on: { apisix: stuck }", "expected a mapping, found text", "");
    expect("on: { apisix: { on: { envoy: {} } } }", "`on` stands inside `on`", "directly under `apisix`");
    expect("apisix: { stuck: true }", "unknown key `apisix`", "a key of `on`");
    in_file(
        "plugin: plugin.wasm\ncases:\n- name: a\n  request: GET http://a/\n  expect:\n    on:\n      \
         envoy: { trap: maybe }\n      apisix: { logs: x }\n",
        &[(7, "`trap` is a mapping or `true`", ""), (8, "expected a list, found text", "")],
    );
}

#[test]
fn broken_yaml() {
    for (text, line, title, help) in [
        ("", 1, "this file is empty", "`cases:`"),
        ("# only a comment\n", 1, "this file is empty", ""),
        ("a:\n\tb: 1\n", 2, "a tab", "spaces"),
        ("a:\n  b: 1\n\tc: 2\n", 3, "a tab", "spaces"),
        ("logs:\n  - warn: run: plugin\n", 2, "a colon where no key can stand", "needs quotes"),
        ("a: {b\nc: d\n", 1, "`{` is never closed", "quote the text"),
        ("a: [b, c}\n", 1, "`[` is closed by `}`", ""),
        ("a: {x} y\n", 1, "something follows the closing bracket", "needs quotes"),
        ("a: {p: ${x}}\n", 1, "expected `,` or `}`", "\\\"${name}\\\""),
        ("a: @x\n", 1, "text can't begin with `@`", "quotes"),
        ("a: \"abc\nb: 1\n", 2, "a quote is never closed", ""),
        ("a: 'it's'\n", 1, "something follows the closing quote", "doubled"),
        ("a: \"\\d\"\n", 1, "unknown escape", "single quotes"),
        ("a:\n  b: 1\n c: 2\n", 3, "indented wrongly", "same column"),
        ("a:\n  - b\n  c: d\n", 3, "expected another `- `", "mixed"),
        ("a: b\n- d\n", 2, "found an item of a list", "mixed"),
        ("a: - b\n", 1, "a list can't begin here", ""),
        ("a: b\nfoo\nc: d\n", 2, "expected `key: value`", ""),
        ("a: |x\n  b\n", 1, "begins on the next line", ""),
        ("a: x\0y\n", 1, "the control character \\u{0}", "hex"),
        ("a: 1\n---\nb: 1\n", 2, "one YAML document", "second"),
    ] {
        in_file(text, &[(line, title, help)]);
    }
    top("properties: { a: *b }", "nothing before this is marked `&b`", "quotes");
    top("properties: { a: !foo x }", "the tag `!foo`", "quotes");
    top("properties: { a: !!binary x }", "the tag `!!binary`", "hex");
    top("properties: { << : { a: 1 } }", "merge keys", "");
    top("properties: { [a]: 1 }", "a key must be text", "");
    top("properties: { ? {a: b} : {c: d}, e: 1 }", "a key must be text", "");
    in_file(
        "plugin: plugin.wasm\nhost: spec\nhost: envoy\ncases: [ { name: a, shutdown: true } ]\n",
        &[(3, "key `host` is given twice", "again")],
    );
}

#[test]
fn files_that_can_not_be_read() {
    let folder = Folder::new();
    let load = |name: &str| {
        crate::scenario::load(&folder.path().with_file_name(name)).expect_err("unreadable")[0].title.clone()
    };
    assert!(load("gone.yaml").contains("no such file"));
    assert!(load(".").contains("is a folder"));
    std::fs::write(folder.path(), b"plugin: \xff").expect("written");
    assert!(load("scenario.yaml").contains("not UTF-8 text: byte 8"));
    let huge = std::fs::File::create(folder.path()).expect("created");
    huge.set_len(crate::scenario::MAX_FILE + 1).expect("sparse");
    assert!(load("scenario.yaml").contains("longer than 64 MiB"));
}
