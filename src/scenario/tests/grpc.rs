//! gRPC in `callouts`: what it becomes. What is said of mistakes stands with the others, in `mistakes`.

use super::Folder;
use crate::diagnostic::render_all;
use crate::scenario::*;

fn callout(text: &str) -> Callout {
    let case = format!("- {{ name: a, request: GET http://a/, callouts: [ {{ to: svc, {text} }} ] }}\n");
    match Folder::new().cases(&case) {
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
