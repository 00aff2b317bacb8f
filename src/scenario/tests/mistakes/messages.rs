//! What is sent and what is expected: requests, headers, bodies, metadata, answers, and how they end.

use super::{case, expect, in_file, request};

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
fn grpc_in_callouts() {
    for (text, title, help) in [
        ("reply: { messages: a }", "`messages`: expected a list", ""),
        ("reply: { message: a }", "unknown key `message`", "did you mean `messages`?"),
        ("reply: { messages: [ { hex: f } ] }", "half a byte", ""),
        ("reply: { grpc_status: 17 }", "17 is not a gRPC status", "the last one is 16"),
        ("reply: { grpc_status: OK }", "expected a gRPC status from 0 to 16", ""),
        ("reply: { grpc_status: -1 }", "expected a gRPC status from 0 to 16", ""),
        ("reply: { grpc_message: \"a\\nb\" }", "holds a line break", "%0A"),
        ("reply: { status: 200, grpc_status: 0 }", "`status` in the answer of a gRPC service", "plain HTTP"),
        ("reply: { body: a, messages: [b] }", "`body` beside `messages`", ""),
        ("reply: { grpc_status: 1, messages: [], fail: reset }", "`grpc_status` stands beside `fail`", "has no end"),
        ("reply: { messages: [], fail: refused }", "can't be `refused`", "`reset`"),
        ("expect: { messages: x }", "`messages`: expected a list", ""),
        ("expect: { messages: [x], body: x }", "`body` beside `messages`", ""),
        ("expect: { messages: [null] }", "", ""),
        ("expect: { ends: completed }", "can't be `completed`", "did you mean `complete`?"),
        ("expect: { mesages: [x] }", "unknown key `mesages`", "did you mean `messages`?"),
        ("expect: { grpc_status: 1 }", "unknown key `grpc_status`", "a key of `reply`"),
    ] {
        case(&format!("request: GET http://a/, callouts: [ {{ to: svc, {text} }} ]"), title, help);
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
fn ends_of_messages() {
    expect("client_sees: { ends: cut }", "`ends` can't be `cut`", "`complete`, `reset` and `never`");
    expect("client_sees: nothing", "`client_sees`: expected a mapping", "");
    expect("client_sees: { status: 20 }", "`20` is not a status code", "a number like 200");
    expect("client_sees: { status: 70000 }", "`70000` is not a status code", "a number like 200");
}
