//! Cases, their tables, and steps that are no requests: what excludes what, and what a gateway changes.

use super::{case, expect, in_file, top};

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
    // What the mapping does says whose key it is.
    gateway(
        "admin: PUT /, body: {}",
        "unknown key `body`",
        "`body` is a key of `admin`: `admin: { send: …, body: … }`",
    );
    gateway("body: {}, admin: PUT /", "unknown key `body`", "`admin: { send: …, body: … }`");
    gateway("steps: [ { admin: PUT /, headers: {} } ]", "unknown key `headers`", "`admin: { send: …, headers: … }`");
    gateway("request: PUT http://a/, body: x", "unknown key `body`", "`request: { send: …, body: … }`");
    gateway("admin: PUT /, abort: wait", "unknown key `abort`", "`abort` is a key of `request`");
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
