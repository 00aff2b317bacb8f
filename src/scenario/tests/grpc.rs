//! gRPC in `callouts`: what it becomes, and what is said of mistakes.

use super::Folder;
use crate::diagnostic::render_all;
use crate::scenario::*;

fn parse(callout: &str) -> Result<Scenario, Vec<crate::diagnostic::Diagnostic>> {
    let text = format!(
        "plugin: plugin.wasm\ncases:\n- {{ name: a, request: GET http://a/, callouts: [ {{ to: svc, {callout} }} ] }}\n"
    );
    Folder::new().parse(&text)
}

fn callout(text: &str) -> Callout {
    match parse(text) {
        Ok(scenario) => scenario.cases[0].steps[0].callouts[0].clone(),
        Err(problems) => panic!("{}", render_all(&problems, false)),
    }
}

#[test]
fn answers() {
    let CalloutReply::Grpc(reply) = callout(
        "reply: { headers: { x-a: 1 }, messages: [a, { hex: ff }, { repeat: b, times: 3 }], \
         trailers: { x-t: 2 }, grpc_status: 5, grpc_message: gone, after: 1s }",
    )
    .reply
    else {
        panic!("not gRPC")
    };
    assert_eq!(reply.messages, [&b"a"[..], b"\xff", b"bbb"]);
    assert_eq!((reply.headers.len(), reply.trailers.len(), reply.trailers_only), (1, 1, false));
    assert!(matches!(&reply.end, GrpcEnd::Status { code: 5, message: Some(text) } if text == "gone"));
    assert!(reply.ends_early());

    let CalloutReply::Grpc(refusal) = callout("reply: { grpc_status: 7 }").reply else { panic!("not gRPC") };
    assert!(refusal.trailers_only && refusal.ends_early());
    let CalloutReply::Grpc(fine) = callout("reply: { messages: [] }").reply else { panic!("not gRPC") };
    assert!(!fine.trailers_only && !fine.ends_early());
    let CalloutReply::Grpc(broken) = callout("reply: { messages: [a], fail: reset }").reply else { panic!("not gRPC") };
    assert!(matches!(broken.end, GrpcEnd::Fail(Failure::Reset)));

    // A body can be either's; a status is plain HTTP.
    let CalloutReply::Reply(_, Some(either)) = callout("reply: { body: [a, b] }").reply else { panic!("not both") };
    assert_eq!(either.messages, [&b"ab"[..]]);
    assert!(matches!(callout("reply: 503").reply, CalloutReply::Reply(_, None)));
    assert!(matches!(callout("reply: { status: 200, body: a }").reply, CalloutReply::Reply(_, None)));
}

#[test]
fn what_is_sent() {
    let sent = callout("expect: { path: /a/b, messages: [one, { contains: two }], ends: reset }").sent;
    let sent = sent.expect("gRPC");
    assert_eq!(sent.messages.map(|messages| messages.value.len()), Some(2));
    assert_eq!(sent.ends.map(|ends| ends.value), Some(SentEnd::Cancel));
    assert!(callout("expect: { path: /a/b, body: x }").sent.is_none());
}

#[test]
fn mistakes() {
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
        let Err(problems) = parse(text) else { panic!("nothing was found wrong with {text}") };
        let drawn = render_all(&problems, false);
        let [problem] = problems.as_slice() else { panic!("{text}\n{drawn}") };
        assert!(problem.title.contains(title), "{title:?} in\n{drawn}");
        assert!(format!("{:?} {:?}", problem.label, problem.hint).contains(help), "{help:?} in\n{drawn}");
    }
}
