//! `upstream_sees`, `client_sees`, and every matcher.

use super::trace::{EXCHANGE, Trace, pairs, trap};
use super::{failure, holds, judged};
use crate::abi::Callback;
use crate::expect::{Failure, judge_message};
use crate::message::Part;
use crate::trace::views::SeenMessage;
use crate::trace::{Effect, Event, LocalResponse, Peer};
use bytes::Bytes;
use std::sync::Arc;

fn trace() -> Trace {
    Trace::new().response(
        &[(":status", "200"), ("x-a", "one"), ("X-Two", "1"), ("x-two", "2")],
        b"{\"user\": {\"name\": \"ann\", \"age\": 7}, \"list\": [1, 2]}",
    )
}

fn client(inner: &str) -> String {
    format!("client_sees: {{ {inner} }}")
}

fn fails(inner: &str, title: &str) -> Failure {
    let failure = failure(&client(inner), &trace());
    assert_eq!(failure.title, title);
    failure
}

#[test]
fn fields_are_compared() {
    let request = pairs(&[(":method", "GET"), (":path", "/x"), (":authority", "app.test"), (":scheme", "http")]);
    let part = Part::Headers { headers: request.into_iter().collect(), end_of_stream: true };
    let upstream = Trace::new().output(Peer::Upstream, part);
    holds(
        "upstream_sees: { method: GET, path: /x, authority: app.test, scheme: http, body: null, headers: { x-a: null } }",
        &upstream,
    );
    assert_eq!(
        judged("upstream_sees: { method: POST, path: /y, authority: a, scheme: https }", &upstream).len(),
        4,
        "all at once"
    );
    holds(&client("status: 200, headers: { X-A: one }"), &trace());
    let failure = fails("status: 503", "status at the client is 200, expected 503");
    assert_eq!((failure.subject.as_str(), failure.event), ("client_sees.status", Some(0)));
    assert_eq!((failure.expected.as_deref(), failure.actual.as_deref()), (Some("503"), Some("200")));
    assert!(failure.span.is_some());
    let failure = fails("headers: { x-b: one }", "header `x-b` at the client is absent, expected \"one\"");
    assert_eq!(
        (failure.subject.as_str(), failure.hint.as_deref()),
        ("client_sees.headers.x-b", Some("there is `x-a`"))
    );
    fails("headers: { x-a: null }", "header `x-a` at the client is \"one\", expected absent");
}

#[test]
fn every_matcher() {
    for fine in [
        "x-a: { contains: ne }",
        "x-a: { matches: ^o.e$ }",
        "x-a: { hex: 6f6e65 }",
        "x-a: { not: two }",
        "x-a: { not: null }",
        "x-a: { not: { contains: x } }",
        "x-z: null",
        "x-z: { not: one }",
    ] {
        holds(&client(&format!("headers: {{ {fine} }}")), &trace());
    }
    fails(
        "headers: { x-a: { contains: zz } }",
        "header `x-a` at the client is \"one\", expected text with \"zz\" in it",
    );
    fails(
        "headers: { x-a: { matches: ^t } }",
        "header `x-a` at the client is \"one\", expected text that matches `^t`",
    );
    fails("headers: { x-a: { not: one } }", "header `x-a` at the client is \"one\", expected anything but \"one\"");
    fails("headers: { x-z: { not: null } }", "header `x-z` at the client is absent, expected not absent");
    fails("headers: { x-a: { hex: 00ff } }", "header `x-a` at the client is \"one\", expected 0x00ff");
    let failure = fails("headers: { x-a: One }", "header `x-a` at the client is \"one\", expected \"One\"");
    assert_eq!(failure.hint.as_deref(), Some("they differ only in upper and lower case"));
    let failure = fails(
        "headers: { x-a: { contains: NE } }",
        "header `x-a` at the client is \"one\", expected text with \"NE\" in it",
    );
    assert_eq!(failure.hint.as_deref(), Some("it is there in other upper and lower case"));
}

#[test]
fn repeated_headers() {
    for fine in
        ["[1, 2]", "{ contains: 2 }", "{ matches: 1 }", "{ not: 3 }", "{ not: null }", "[{ matches: . }, { not: 1 }]"]
    {
        holds(&client(&format!("headers: {{ x-two: {fine} }}")), &trace());
    }
    let failure = fails("headers: { x-two: 1 }", "header `x-two` at the client is 1 and 2, expected only 1");
    assert!(failure.hint.is_some_and(|hint| hint.contains("[a, b]")));
    fails("headers: { x-two: { not: 2 } }", "header `x-two` at the client is 1 and 2, expected anything but 2");
    fails("headers: { x-two: { contains: 3 } }", "header `x-two` at the client is 1 and 2, expected text with 3 in it");
    fails("headers: { x-two: null }", "header `x-two` at the client is 1 and 2, expected absent");
    fails("headers: { x-two: [1] }", "header `x-two` at the client is 1 and 2, expected only 1");
    fails("headers: { x-two: [2, 1, 1] }", "header `x-two` at the client has 2 values, expected 3");
    fails("headers: { x-two: [1, 1] }", "value 2 of header `x-two` at the client is 2, expected 1");
}

#[test]
fn json_is_a_subset() {
    for fine in ["{ user: { name: ann } }", "{ list: [1, 2.0] }", "{}"] {
        holds(&client(&format!("body: {{ json: {fine} }}")), &trace());
    }
    fails(
        "body: { json: { user: { name: bob } } }",
        "body at the client is \"ann\" at `$.user.name`, expected \"bob\"",
    );
    fails("body: { json: { user: { id: 1 } } }", "body at the client is absent at `$.user.id`, expected 1");
    fails(
        "body: { json: { list: [1] } }",
        "body at the client is a list of 2: [1,2] at `$.list`, expected a list of 1",
    );
    let failure =
        fails("body: { json: { user: { age: \"7\" } } }", "body at the client is 7 at `$.user.age`, expected \"7\"");
    assert!(failure.hint.is_some_and(|hint| hint.contains("without quotes")));
    let failure = fails(
        "body: { json: { user: { age: 8 }, list: [2, 2] } }",
        "body at the client differs from the expected JSON in 2 places, first at `$.user.age`",
    );
    assert_eq!(failure.expected.as_deref(), Some("$.user.age: 8\n$.list[0]: 2\n"));
    assert_eq!(failure.actual.as_deref(), Some("$.user.age: 7\n$.list[0]: 1\n"));
    let text = Trace::new().response(&[(":status", "200")], b"oops");
    let failure = super::failure(&client("body: { json: {} }"), &text);
    assert!(failure.title.starts_with("body at the client is not JSON: expected value at line 1"), "{}", failure.title);
}

#[test]
fn bodies() {
    let empty = Trace::new().response(&[(":status", "200")], b"");
    for fine in ["null", "\"\"", "{ not: x }"] {
        holds(&client(&format!("body: {fine}")), &empty);
    }
    let failed = failure(&client("body: { not: null }"), &empty);
    assert_eq!(failed.title, "body at the client is absent, expected not absent");
    let failed = failure(&client("body: hi"), &empty);
    assert_eq!(failed.title, "body at the client is \"\", expected \"hi\"");
    let file = Trace::new().response(&[(":status", "200")], b"from a file\nwith 2 lines\n");
    let failed = failure(&client("body: { file: body.txt }"), &file);
    assert_eq!(failed.title, "body at the client is not what was expected");
    assert_eq!(failed.expected.as_deref(), Some("from a file\nwith two lines\n\n"));
    assert_eq!(failed.actual.as_deref(), Some("from a file\nwith 2 lines\n\n"));
    let hint = failed.hint.unwrap_or_default();
    assert!(
        hint.starts_with("the file is `")
            && hint.ends_with("body.txt`: it has 27 bytes, here are 25, and byte 17 is the first to differ"),
        "{hint}"
    );
    let broken = Part::Data { bytes: Bytes::from("ha"), end_of_stream: false };
    let reset = Trace::new()
        .response(&[(":status", "200")], b"")
        .output(Peer::Client, broken)
        .output(Peer::Client, Part::Reset);
    assert_eq!(failure(&client("body: hallo"), &reset).hint.as_deref(), Some("the stream was reset before its end"));
    let binary = Trace::new().response(&[(":status", "200")], &[0x41; 40]);
    let failed = failure(&client("body: { hex: 00 }"), &binary);
    assert!(
        failed.actual.as_deref().is_some_and(
            |dump| dump.contains("00000020  41 41 41 41 41 41 41 41") && dump.ends_with("40 bytes in all\n")
        ),
        "{failed:?}"
    );
}

#[test]
fn trailers() {
    let trailers = pairs(&[("grpc-status", "0")]);
    let trace = Trace::new()
        .response(&[(":status", "200")], b"")
        .output(Peer::Client, Part::Trailers(trailers.into_iter().collect()));
    holds(&client("trailers: { grpc-status: 0, x: null }"), &trace);
    let failed = failure(&client("trailers: { grpc-status: 2 }"), &trace);
    assert_eq!(
        (failed.subject.as_str(), failed.title.as_str()),
        ("client_sees.trailers.grpc-status", "trailer `grpc-status` at the client is 0, expected 2")
    );
}

#[test]
fn a_message_that_never_came_is_one_failure_with_its_reason() {
    let yaml = "upstream_sees: { method: GET, path: /, headers: { a: b } }";
    let response =
        LocalResponse { status: 403, details: Bytes::new(), body: Bytes::new(), headers: Vec::new(), grpc_status: -1 };
    let answered = Trace::new().effect(Effect::LocalResponse(Arc::new(response)));
    let failed = failure(yaml, &answered);
    assert_eq!((failed.subject.as_str(), failed.title.as_str()), ("upstream_sees", "the upstream saw no request"));
    assert_eq!(
        (failed.hint.as_deref(), failed.event),
        (Some("`hello` answered with a local response of its own, status 403"), Some(0))
    );
    let reply = Event::HostReply { exchange: EXCHANGE, status: 503, details: "wasm_fail_stream".to_owned() };
    assert_eq!(
        failure(yaml, &Trace::new().event(reply)).hint.as_deref(),
        Some("the host answered with 503 (wasm_fail_stream)")
    );
    let trapped = Trace::new().trap(trap("unreachable", None));
    assert_eq!(failure(yaml, &trapped).hint.as_deref(), Some("`hello` trapped in on_request_headers"));
    let paused = Trace::new().left(0, Callback::OnRequestHeaders, 1);
    let hint = "`hello` returned pause from on_request_headers, and nothing has resumed it";
    assert_eq!(failure(yaml, &paused).hint.as_deref(), Some(hint));
    assert_eq!(failure("client_sees: { status: 200 }", &paused).title, "the client saw no response");
    holds("upstream_sees: { method: null, body: null, headers: { a: null, b: { not: c } } }", &Trace::new());
    let several = Trace { exchange: None, ..Trace::new() };
    assert!(failure(yaml, &several).hint.is_some_and(|hint| hint.contains("step with the request")));
}

#[test]
fn planned_calls_are_judged_like_messages() {
    let super::Expect { upstream_sees, .. } =
        super::expect("upstream_sees: { path: /check, headers: { authorization: Bearer abc }, body: null }");
    let expected = upstream_sees.expect("a message");
    let headers = pairs(&[(":path", "/check"), ("authorization", "Bearer abd")]);
    let call = SeenMessage { headers: Some(headers.into_iter().collect()), complete: true, ..SeenMessage::default() };
    let failures = judge_message("callout", &expected, &call);
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0].title, "header `authorization` of the call is \"Bearer abd\", expected \"Bearer abc\"");
    assert_eq!(failures[0].subject, "callout.headers.authorization");
}
