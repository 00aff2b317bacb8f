//! What is said of mistakes: the line, the title, and what to do.

use super::Folder;
use crate::diagnostic::{Diagnostic, render_all};

/// Line, part of the title, part of the hint or label.
type Expected = (usize, &'static str, &'static str);

fn check(problems: &[Diagnostic], text: &str, expected: &[Expected]) {
    let drawn = render_all(problems, false);
    let found: Vec<usize> = problems
        .iter()
        .map(|problem| {
            problem
                .source
                .as_ref()
                .map_or(0, |source| source.position(problem.span.clone().unwrap_or_default().start).0)
        })
        .collect();
    assert_eq!(found, expected.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), "{text}\n{drawn}");
    for (problem, (_, title, help)) in problems.iter().zip(expected) {
        assert!(problem.title.contains(title), "{title:?} in\n{text}\n{drawn}");
        let said = format!("{:?} {:?}", problem.label, problem.hint);
        assert!(said.contains(help), "{help:?} in\n{text}\n{drawn}");
    }
}

/// Lines are those of `text`.
fn in_file(text: &str, expected: &[Expected]) {
    match Folder::new().parse(text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(problems) => check(&problems, text, expected),
    }
}

/// One mistake in a file that is otherwise good; line 1 is the first line of `text`.
fn top(text: &str, title: &'static str, help: &'static str) {
    in_file(
        &format!("{text}\nplugin: plugin.wasm\ncases: [ {{ name: a, request: GET http://a/ }} ]\n"),
        &[(1, title, help)],
    );
}

/// One mistake in a case; `text` is the inside of a mapping in braces.
fn case(text: &str, title: &'static str, help: &'static str) {
    in_file(&format!("plugin: plugin.wasm\ncases:\n- {{ name: a, {text} }}\n"), &[(3, title, help)]);
}

/// One mistake in the mapping of a request.
fn request(text: &str, title: &'static str, help: &'static str) {
    case(&format!("request: {{ send: PUT http://a/, {text} }}"), title, help);
}

/// One mistake in the expectations of a case.
fn expect(text: &str, title: &'static str, help: &'static str) {
    case(&format!("request: GET http://a/, expect: {{ {text} }}"), title, help);
}

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
fn cases_and_steps() {
    case("tags: x", "does nothing", "add a step");
    case("request: GET http://a, advance: 5s", "`request` and `advance` exclude each other", "one or the other");
    case("request: GET http://a, steps: [ { shutdown: true } ]", "stands beside `steps`", "belongs into");
    case("steps: [ { expect: {} } ]", "this step does nothing", "`advance`");
    case("advance: 5s, upstream: 200", "`upstream` without `request`", "same step");
    case("shutdown: true, callouts: []", "`callouts` beside `shutdown`", "");
    case("shutdown: false", "does nothing", "");
    case("advance: -5s", "is not a time", "a whole number is missing");
    case("shutdown: true, skip: ''", "takes a reason", "");
    case("shutdown: true, only: yes", "`only` can't be `yes`", "`true` and `false`");
    case("shutdown: true, snapshot: all", "`snapshot` can't be `all`", "`hostcalls`");
    case("shutdown: true, tags: [ [] ]", "expected text, found a list", "");
    case("reqest: GET http://a", "unknown key `reqest`", "did you mean `request`?");
    let chain =
        |text: &str| format!("plugins: [ plugin.wasm, plugin.wasm ]\ncases:\n- {{ name: a, reconfigure: {text} }}\n");
    in_file(&chain("x"), &[(3, "which plugin?", "{ plugin: name")]);
    in_file(&chain("{ plugin: x, config: y }"), &[(3, "no plugin is called `x`", "`plugin`")]);
    in_file(&chain("{ plugin: plugin, config: y }"), &[(3, "2 plugins are called `plugin`", "1 or 2")]);
    in_file(&chain("{ plugin: 3, config: y }"), &[(3, "no plugin is called `3`", "")]);
}

/// One mistake in a case of a file with a gateway; `text` is the inside of a mapping in braces.
fn gateway(text: &str, title: &'static str, help: &'static str) {
    in_file(&format!("gateway: {{ routes: [] }}\ncases:\n- {{ name: a, {text} }}\n"), &[(3, title, help)]);
}

#[test]
fn gateways() {
    let with = |text: &str| format!("{text}\ncases: [ {{ name: a, shutdown: true }} ]");
    in_file(&with("gatway: { routes: [] }"), &[(1, "unknown key `gatway`", "did you mean `gateway`?")]);
    in_file(&with("gateway: gone.yaml"), &[(1, "no such file", "relative to the scenario file")]);
    in_file(&with("gateway: []"), &[(1, "expected a path or a mapping, found a list", "")]);
    in_file(&with("gateway:"), &[(1, "found nothing", "write a value")]);
    in_file(&with("gateway: { routes: [] }\nconfig: a"), &[(2, "`config` stands beside `gateway`", "conf: …")]);
    gateway("reconfigure: a", "`reconfigure` in a file with `gateway`", "PATCH /apisix/admin/routes/1");
    gateway("connect: [ { client: a } ]", "`connect` in a file with `gateway`", "`plugin`");
    gateway("on_foreign_function: { function_id: 1 }", "`on_foreign_function` in a file with `gateway`", "APISIX");
    gateway("admn: GET /", "unknown key `admn`", "did you mean `admin`?");
    gateway("admin: [ a ]", "expected `METHOD PATH` or a mapping, found a list", "");
    gateway("admin: { body: {} }", "`send` is missing", "PUT /apisix/admin/routes/1");
    gateway("admin: { send: GET /, trailers: {} }", "unknown key `trailers`", "`send`, `headers` and `body`");
    gateway("admin: GET", "`GET` is not `METHOD PATH`", "PUT /apisix/admin/routes/1");
    gateway("admin: G(T /", "`G(T` is not a method", "");
    gateway("admin: GET http://a/", "`http://a/` is not a path", "address of the admin API");
    gateway("admin: GET /a b", "a path can't hold a space", "%20");
    gateway("admin: GET /, upstream: 200", "`upstream` without `request`", "");
    gateway("admin: GET /, callouts: []", "`callouts` beside `admin`", "beside the request");
    gateway("admin: GET /, expect: { client_sees: {} }", "unknown key `client_sees`", "a key of `expect`");
    gateway("admin: GET /, expect: { status: OK }", "`OK` is not a status code", "");
    gateway("request: GET http://a/, expect: { status: 200 }", "unknown key `status`", "a key of `client_sees`");
    gateway("request: GET http://a/, admin: GET /", "exclude each other", "");
    case("admin: GET /", "`admin` without `gateway`", "`reconfigure`");
    expect("upstream_sees: { node: a }", "`node` without `gateway`", "one origin");
}

#[test]
fn requests_at_the_same_time() {
    case("concurrent: []", "`concurrent` is an empty list", "a list of requests");
    case("concurrent: { request: GET http://a/ }", "expected a list, found a mapping", "");
    case("concurrent: [ GET http://a/ ]", "an item of `concurrent` is a mapping", "`- request: METHOD URL`");
    case("concurrent: [ { expect: {} } ]", "`request` is missing", "a list of requests");
    case("concurrent: [ { reqest: GET http://a/ } ]", "unknown key `reqest`", "did you mean `request`?");
    case("concurrent: [ { request: GET http://a/, advance: 5s } ]", "unknown key `advance`", "a key of a step");
    case("concurrent: [ { request: GET http://a/, body: x } ]", "unknown key `body`", "a key of `request`");
    case("concurrent: [ { request: GET a } ]", "is not a URL", "");
    case("concurrent: [ { request: GET http://a/ } ], request: GET http://a/", "exclude each other", "");
    case("concurent: [ { request: GET http://a/ } ]", "unknown key `concurent`", "did you mean `concurrent`?");
    let one = |text: &str| format!("concurrent: [ {{ request: GET http://a/ }} ], {text}");
    case(&one("upstream: 200"), "`upstream` without `request`", "each item of `concurrent`");
    case(&one("expect: { client_sees: { status: 200 } }"), "`client_sees` stands beside `concurrent`", "of an item");
    case(
        &one("expect: { on: { envoy: { upstream_sees: null } } }"),
        "`upstream_sees` stands beside `concurrent`",
        "for which of the requests?",
    );
    let every = "{ request: { send: PUT http://a/, body: { text: abc, cut: every } } }";
    in_file(
        &format!("plugin: plugin.wasm\ncases:\n- name: a\n  concurrent:\n  - {every}\n  - {every}\n"),
        &[(6, "two bodies of one case have `cut: every`", "two cases")],
    );
}

#[test]
fn requests() {
    for (send, title, help) in [
        ("http://a/", "the method is missing", "write `GET http://a/`"),
        ("GET", "is not `METHOD URL`", "GET http://app.test/path"),
        ("GET /hello", "is not a URL", "GET http://app.test/hello"),
        ("GET ftp://a/", "`ftp` is not a scheme", "https://"),
        ("GET http:///x", "not a host: it is empty", ""),
        ("GET http://a:99999/", "the port", ""),
        ("GET http://me@a/", "user names", ""),
        ("GET http://[::g]/", "not an IPv6 address", ""),
        ("GET http://a/#top", "fragment", "%23"),
        ("GET http://a/b c", "can't hold a space", "%20"),
        ("GET http://a/ HTTP/1.1", "no version", "`protocol`"),
        ("G(T http://a/", "`G(T` is not a method", ""),
    ] {
        case(&format!("request: '{send}'"), title, help);
    }
    case("request: { body: x }", "`send` is missing", "GET http://");
    case("request: [ a ]", "expected `METHOD URL` or a mapping, found a list", "");
    for (upstream, title, help) in [
        ("100", "not a final status", "200 to 599"),
        ("600", "not a status code", ""),
        ("nevr", "can't be `nevr`", "`never`"),
        ("{ fail: broken }", "can't be `broken`", "`reset`"),
        ("{ fail: unknown }", "can't be `unknown`", "`refused`"),
        (
            "{ fail: refused, status: 200 }",
            "`fail` of an answer that has begun can't be `refused`",
            "`reset` and `timeout`",
        ),
        ("{ fail: reset, trailers: { a: b } }", "`trailers` of an answer that breaks off", "never come"),
        ("{ early: yes }", "`early` can't be `yes`", "`true` and `false`"),
        ("{ metadata: [ { a: b } ] }", "`metadata` is of HTTP/2", "`protocol: h2`"),
        ("{ after: 5s }", "unknown key `after`", "a key of `reply`"),
        ("[]", "found a list", ""),
    ] {
        case(&format!("request: GET http://a/, upstream: {upstream}"), title, help);
    }
    for (callout, title, help) in [
        ("reply: 200", "`to` is missing", "to: authz"),
        ("to: a, status: 200", "unknown key `status`", "a key of `reply`"),
        ("to: a, expect: { status: 200 }", "unknown key `status`", "a key of `client_sees`"),
        ("to: a, reply: { after: 5 }", "is not a time", "the unit is missing"),
        ("to: a, reply: { fail: refsed }", "can't be `refsed`", "did you mean `refused`?"),
    ] {
        case(&format!("request: GET http://a/, callouts: [ {{ {callout} }} ]"), title, help);
    }
}

#[test]
fn headers() {
    request("headers: { 'a b': x }", "`a b` is not the name of a header", "letters");
    request("headers: { ':path': / }", "`:path` is not the name", "come from `send`");
    request("headers: { a: \"x\\r\\ny\" }", "can't hold \\r", "|-");
    request("headers: { a: \"x\\0\" }", "can't hold \\0", "hex");
    request("headers: { a: null }", "expected text, found null", "if the word is meant");
    request("headers: { a: }", "expected text, found nothing", "for empty text");
    request("headers: { a: 1, A: 2 }", "header `A` is there twice", "a list as value");
    request("headers: { a: 1, a: 2 }", "key `a` is given twice", "again");
    request("headers: { a: { hex: 0g } }", "`g` is not a hexadecimal digit", "");
    request("headers: { a: { hex: 000 } }", "half a byte", "3 digits");
    request("headers: { a: { hxe: 00 } }", "unknown key `hxe`", "did you mean `hex`?");
    request("headers: [ a ]", "expected a pair, found text", "[name, value]");
    request("headers: [ [a, b, c] ]", "a list of 3", "");
    request("headers: x", "expected a mapping, found text", "");
    expect("client_sees: { headers: { ':status': 200 } }", "not among the headers", "`status: …` beside `headers`");
    expect("client_sees: { headers: { a: [] } }", "empty list of values", "`null`");
    expect("client_sees: { headers: { a: [ null ] } }", "can't be absent", "");
}

#[test]
fn bodies() {
    request("body: null", "found null", "leave `body` out");
    request("body: ", "has no value", "empty body");
    request("body: { text: abc, cut: 3 }", "leaves nothing on one side", "3 bytes: cut after 1 to 2");
    request("body: { text: abc, cut: 0 }", "leaves nothing", "");
    request("body: { text: abc, cut: some }", "a number of bytes or `every`", "");
    request("body: { repeat: x, times: 4097, cut: every }", "on a body of 4097 bytes", "at most 4096");
    request("body: { repeat: x, times: 257MiB }", "larger than 256 MiB", "");
    request("body: { repeat: x }", "`times` is missing", "");
    request("body: { text: x, times: 3 }", "`times` without `repeat`", "");
    request("body: { text: x, hex: 00 }", "exclude each other", "");
    request("body: { end: separate }", "a body without content", "`chunks`");
    request("body: { txt: x }", "unknown key `txt`", "did you mean `text`?");
    request("body: { text: x, end: together }", "can't be `together`", "`with_last`");
    request("body: { chunks: [ a ], cut: 1 }", "`cut` beside `chunks`", "cut already");
    request("body: { chunks: a }", "expected a list, found text", "");
    request("body: { file: gone.txt }", "no such file", "relative to the scenario file");
    request("body: { file: boddy.txt }", "no such file", "that folder has `body.txt`");
    request("body: [ a, [ b ] ]", "a chunk: expected text, found a list", "");
    case(
        "request: { send: PUT http://a, body: { text: a, cut: every } }, upstream: { body: { hex: 00, cut: every } }",
        "two bodies of one case",
        "make it two cases",
    );
}

#[test]
fn expectations() {
    expect("client_sees: { body: }", "nothing is expected", "`null` means absent");
    expect("client_sees: { body: [ a ] }", "expected a value or a matcher, found a list", "");
    expect("client_sees: { body: {} }", "an empty matcher", "");
    expect("client_sees: { body: { contians: x } }", "unknown key `contians`", "did you mean `contains`?");
    expect("client_sees: { body: { contains: x, matches: y } }", "exclude each other", "");
    expect("client_sees: { body: { matches: 'a{2,1}' } }", "not a regular expression", "");
    expect("client_sees: { body: { file: gone } }", "no such file", "");
    expect("client_sees: { body: { json: '{\"a\": 1}' } }", "not text that holds JSON", "remove the quotes");
    expect(
        "actions: { request_header: pause }",
        "no callback is called `request_header`",
        "did you mean `request_headers`?",
    );
    expect("actions: { tick: continue }", "`tick` returns nothing", "`request_headers`");
    expect("actions: { request_body: paus }", "unknown action `paus`", "did you mean `pause`?");
    expect("actions: { request_body: pause, on_request_body: pause }", "there twice", "again");
    expect("logs: done", "expected a list, found text", "");
    expect("logs: [ { warning: x } ]", "unknown level `warning`", "did you mean `warn`?");
    expect("logs: [ { run: plugin } ]", "unknown level `run`", "needs quotes");
    expect("no_logs: [ null ]", "can't be absent", "");
    expect("callouts: many", "expected the number of calls, found `many`", "");
    expect("trap: yes", "`trap` is a mapping or `true`", "in: request_headers");
    expect("trap: { in: on_tik }", "no callback is called `on_tik`", "did you mean `tick`?");
    expect("findings: [ Content_Length ]", "not the id of a finding", "content-length-stale");
    expect("crash: Pause", "`Pause` is not the id of a crash", "pause-without-call");
    expect("crash: [a]", "expected text, found a list", "");
    expect("crush: a-b", "unknown key `crush`", "did you mean `crash`?");
    expect("no_findings: [ x_y ]", "not the id of a finding", "content-length-stale");
    expect("no_findings: x", "expected a list, found text", "");
    expect("stuck: maybe", "can't be `maybe`", "");
    expect("load: true", "`load` takes a matcher", "{ contains: proxy_get_log_level }");
    expect("load: null", "can't be absent", "");
    expect("load: { contain: x }", "unknown key `contain`", "did you mean `contains`?");
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
fn tables() {
    case("with: [], shutdown: true", "`with` has no rows", "");
    case("with: { a: 1 }, shutdown: true", "expected a list, found a mapping", "");
    case("with: [ { user: x } ], request: 'GET http://${usr}/'", "`${usr}` has no column", "did you mean `${user}`?");
    case("request: 'GET http://${usr}/'", "`${usr}` has no column", "this case has no `with`");
    case("request: 'GET http://${usr'", "is never closed", "$${");
    case("with: [ { a: [ x ] } ], request: 'GET http://${a}/'", "`${a}` is a list, and stands inside text", "");
    case("with: [ { a: } ], shutdown: true", "column `a` has no value", "");
    case("with: [ { a: 5 } ], advance: '${a}'", "`5` is not a time", "the unit is missing");
    in_file(
        "plugin: plugin.wasm\ncases:\n- name: a ${x}\n  with: [ { x: 1 }, { x: 1 } ]\n  shutdown: true\n",
        &[(3, "two cases are called `a 1`", "insert another column")],
    );
    in_file(
        "plugin: plugin.wasm\ncases:\n- name: a\n  with: [ { x: 1 }, { x: 2 } ]\n  \
         request: { send: PUT http://a, headers: { a: 1, '${y}': 2 } }\n",
        &[(5, "`${y}` has no column", "this row has `x`")],
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

#[test]
fn connections() {
    case("connect: hello", "`connect`: expected a list", "");
    case("connect: [ hello ]", "expected what one end does, found text", "`client: bytes`");
    case("connect: [ clinet: a ]", "unknown key `clinet`", "did you mean `client`?");
    case("connect: [ { client: a, upstream: b } ]", "`client` and `upstream` exclude each other", "one or the other");
    case("connect: [ {} ]", "nothing happens here", "`end: client`");
    case("connect: [ client: '' ]", "no bytes are sent here", "`end: client`");
    case("connect: [ upstream: { hex: '', end: true } ]", "no bytes are sent here", "`end: upstream`");
    case("connect: [ client: { txt: a } ]", "unknown key `txt`", "did you mean `text`?");
    case("connect: [ client: { end: true } ]", "data without content", "`text`, `hex`");
    case("connect: [ end: server ]", "`end` can't be `server`", "`client` and `upstream`");
    case("connect: [ advance: 5 ]", "is not a time", "`50ms`");
    case("connect: [ end: client, client: a ]", "this end has ended before", "can't do anything more");
    case("connect: [ { reset: upstream }, { end: upstream } ]", "this end has ended before", "do anything");
    case("connect: [ client: { text: a, end: true }, reset: client ]", "this end has ended before", "");
    case("connect: [], request: GET http://a/", "exclude each other", "one or the other");
    case("connect: [], upstream: 200", "the upstream of a connection can't be `200`", "`{ fail: refused }`");
    case("connect: [], upstream: newer", "can't be `newer`", "did you mean `never`?");
    case("connect: [], upstream: { fail: reset }", "`fail` can't be `reset`", "`refused`");
    case("connect: [], upstream: { status: 200 }", "unknown key `status`", "`status` is a key of `upstream`");
    case("advance: 5s, upstream: 200", "`upstream` without `request` or `connect`", "");
}

#[test]
fn clients_that_go_away() {
    request("abort: now", "`abort` can't be `now`", "`request`, `wait` and `response`");
    request("abort: request", "`abort: request` needs a body", "`abort: wait`");
    request("abort: true", "`abort` can't be `true`", "`request`, `wait` and `response`");
}

#[test]
fn metadata_frames() {
    let h2 = |text: &str, title, help| {
        in_file(&format!("plugin: plugin.wasm\nprotocol: h2\ncases:\n- {{ name: a, {text} }}\n"), &[(4, title, help)]);
    };
    request("body: a, metadata: [ { a: b } ]", "`metadata` is of HTTP/2", "`protocol: h2`");
    h2("request: { send: PUT http://a/, metadata: [ { a: b } ] }", "`metadata` needs a body", "the end of a message");
    h2("request: { send: PUT http://a/, body: a, metadata: { a: b } }", "`metadata`: expected a list", "list");
    h2("request: { send: PUT http://a/, body: a, metadata: [ a ] }", "`metadata`: expected a mapping", "mapping");
    h2(
        "request: GET http://a/, upstream: { metadata: [ { a: b } ] }",
        "`metadata` needs a body",
        "the end of a message",
    );
}

#[test]
fn ends_of_messages() {
    expect("client_sees: { ends: cut }", "`ends` can't be `cut`", "`complete`, `reset` and `never`");
    expect("client_sees: nothing", "`client_sees`: expected a mapping", "");
    expect("client_sees: { status: 20 }", "`20` is not a status code", "a number like 200");
    expect("client_sees: { status: 70000 }", "`70000` is not a status code", "a number like 200");
}

#[test]
fn foreign_functions() {
    top("foreign: [a]", "`foreign`: expected a mapping", "");
    top("foreign: { f: }", "expected text or a mapping", "`{ status: not_found }`");
    top("foreign: { f: null }", "expected text or a mapping", "`{ status: not_found }`");
    top("foreign: { f: {} }", "the answer of a foreign function without content", "`status`");
    top("foreign: { f: { txt: a } }", "unknown key `txt`", "did you mean `text`?");
    top("foreign: { f: { text: a, status: empty } }", "`text` and `status` exclude each other", "one or the other");
    top("foreign: { f: { status: notfound } }", "`status` can't be `notfound`", "did you mean `not_found`?");
    top("foreign: { f: { status: ok } }", "`status: ok` is no failure", "what the function gives");
    top("foreign: { f: { hex: 0 } }", "`hex`: half a byte", "");
    top("foregin: {}", "unknown key `foregin`", "did you mean `foreign`?");
    case("on_foreign_function: 7", "`on_foreign_function`: expected a mapping", "");
    case("on_foreign_function: {}", "`function_id`", "`{ function_id: 7, arguments: bytes }`");
    case("on_foreign_function: { function_id: x }", "`function_id`", "");
    case("on_foreign_function: { function_id: 4294967296 }", "`function_id`", "");
    case("on_foreign_function: { function_id: 1, argument: a }", "unknown key `argument`", "did you mean `arguments`?");
    case("on_foreign_function: { function_id: 1, arguments: [a] }", "`arguments`: expected text", "");
    case("on_foreign_function: { function_id: 1, plugin: other }", "no plugin is called `other`", "the chain has");
    case("on_foreign_function: { function_id: 1 }, upstream: 200", "`upstream` without `request`", "");
    case("on_foreign_functoin: { function_id: 1 }", "unknown key `on_foreign_functoin`", "did you mean");
    in_file(
        "plugins: [ plugin.wasm, plugin.wasm ]\ncases:\n- { name: a, on_foreign_function: { function_id: 1 } }\n",
        &[(3, "which plugin?", "`plugin: name`")],
    );
}
