//! What good files become.

use super::{Folder, GOOD};
use crate::abi::{Callback, LogLevel};
use crate::diagnostic::render_all;
use crate::scenario::*;
use crate::trace::Peer;
use std::time::Duration;

fn good() -> (Folder, Scenario) {
    let folder = Folder::new();
    match folder.parse(GOOD) {
        Ok(scenario) => (folder, scenario),
        Err(problems) => panic!("{}", render_all(&problems, false)),
    }
}

fn request(step: &Step) -> &Request {
    match &step.kind {
        StepKind::Request(request) => request,
        other => panic!("not a request: {other:?}"),
    }
}

fn equal(found: &Match) -> &[u8] {
    match &found.matcher {
        Matcher::Equal(bytes) => bytes,
        other => panic!("not a plain value: {other:?}"),
    }
}

#[test]
fn the_top_level() {
    let (folder, scenario) = good();
    let [first, second] = scenario.plugins.as_slice() else { panic!("two plugins") };
    assert_eq!(first.file, folder.path().with_file_name("plugin.wasm"));
    assert_eq!(first.name, "plugin");
    assert_eq!(second.name, "second");
    assert_eq!(
        &second.config[..],
        br#"{"greeting":"hi","zip":"007","n":1,"f":1.5,"on":true,"yes":"yes","none":null,"list":["a",2]}"#
    );
    assert_eq!(&second.vm_config[..], b"raw text");
    assert_eq!(second.priority, Some(-5));
    assert_eq!(second.http_request_phase, Some(RequestPhase::Rewrite));
    assert_eq!(second.env, [("A".to_string(), "1".to_string()), ("B".to_string(), "two".to_string())]);
    let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.value.as_str()).collect();
    assert_eq!(hosts, ["apisix", "spec", "envoy@/usr/bin/envoy"]);
    assert_eq!(scenario.protocol, Protocol::H2);
    let properties: Vec<_> = scenario.properties.into_iter().map(|(path, value)| (path.value, value)).collect();
    let bytes = |text: &'static [u8]| PropertyValue::Bytes(text.into());
    let nested = PropertyValue::List(vec![PropertyValue::Int(1), bytes(b"two")]);
    let expected = [
        ("source.address", bytes(b"1.2.3.4:5000")),
        ("number", PropertyValue::Int(7)),
        ("text", bytes(b"7")),
        ("padded", bytes(b"007")),
        ("flag", PropertyValue::Bool(true)),
        ("hidden", PropertyValue::Absent),
        ("raw", bytes(b"\x00\xff")),
        ("nested", PropertyValue::Map(vec![("a".to_string(), nested)])),
    ];
    assert_eq!(properties, expected.map(|(path, value)| (path.to_string(), value)));
    assert_eq!(scenario.clock_ns, 1_580_702_706_000_000_000);
    assert_eq!(scenario.seed, u64::MAX);
    let limits = scenario.limits;
    assert_eq!((limits.fuel, limits.memory, limits.buffer), (Some(50_000_000), Some(16 << 20), Some(1_000_000)));
    assert_eq!((scenario.on_trap.request, scenario.on_trap.vm), (Some(TrapRequest::FailOpen), Some(TrapVm::Keep)));
    assert_eq!(scenario.redact[0].replacement, "<id>");
}

#[test]
fn a_case_of_one_step() {
    let (_folder, scenario) = good();
    let case = &scenario.cases[0];
    assert_eq!((case.name.as_str(), case.only, case.snapshot), ("one step", true, SnapshotMode::Hostcalls));
    assert_eq!(case.skip.as_deref(), Some("needs something"));
    assert_eq!(case.tags, ["slow", "odd"]);
    assert!(case.expect.is_none());
    let step = &case.steps[0];
    let sent = request(step);
    assert_eq!((&sent.method[..], &sent.scheme[..]), (&b"post"[..], &b"https"[..]));
    assert_eq!((&sent.authority[..], &sent.path[..]), (&b"app.test:8443"[..], &b"/a?b=c"[..]));
    let headers: Vec<(&[u8], &[u8])> = sent.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(headers, [(&b"X-A"[..], &b"yes"[..]), (b"x-b", b"1.0"), (b"x-b", b"\xff\x00"), (b"x-c", b"")]);
    assert_eq!(sent.trailers.len(), 2);
    let body = sent.body.as_ref().expect("a body");
    assert_eq!((body.framing, body.cut, body.end), (Framing::Length, Some(Cut::At(3)), Some(End::Separate)));
    let Upstream::Reply(reply) = &sent.upstream else { panic!("a reply") };
    let body = reply.body.as_ref().expect("a body");
    assert_eq!(body.chunks, [&b"ab"[..], b"c", b"dd", b"from a file"]);
    assert_eq!((reply.status, body.framing, body.end), (201, Framing::Chunked, Some(End::WithLast)));
    let [authz, slow, quick] = step.callouts.as_slice() else { panic!("three callouts") };
    assert_eq!(authz.after, Duration::from_millis(50));
    assert!(matches!(&authz.reply, CalloutReply::Reply(reply, None) if reply.status == 403));
    assert!(matches!(slow.reply, CalloutReply::Fail(Failure::Unknown)));
    assert_eq!(slow.after, Duration::from_secs(90));
    assert!(matches!(&quick.reply, CalloutReply::Reply(reply, _) if reply.status == 200 && reply.body.is_none()));
}

#[test]
fn expectations() {
    let (_folder, scenario) = good();
    let expect = scenario.cases[0].steps[0].expect.as_ref().expect("expectations");
    let seen = expect.upstream_sees.as_ref().expect("upstream_sees");
    assert_eq!(seen.method.as_ref().map(equal), Some(&b"POST"[..]));
    let Some(Match { matcher: Matcher::Not(inner), .. }) = &seen.authority else { panic!("not") };
    assert!(matches!(**inner, Matcher::Absent));
    assert_eq!(seen.headers[1].1.iter().map(equal).collect::<Vec<_>>(), [&b"1.0"[..], b"\xff\x00"]);
    assert!(matches!(seen.headers[2].1[0].matcher, Matcher::Absent));
    let Some(Match { matcher: Matcher::Json(json), .. }) = &seen.body else { panic!("json") };
    assert_eq!(*json, serde_json::json!({"a": [1, "1", null]}));
    let seen = expect.client_sees.as_ref().expect("client_sees");
    assert_eq!(seen.status.as_ref().map(equal), Some(&b"201"[..]));
    let Some(Match { matcher: Matcher::File { content, .. }, .. }) = &seen.body else { panic!("a file") };
    assert_eq!(&content[..], b"from a file");
    let actions: Vec<_> = expect.actions.iter().map(|action| (action.callback, action.actions.as_slice())).collect();
    let body: &[u32] = &[1, 1, 7];
    assert_eq!(
        actions,
        [(Callback::OnRequestHeaders, &[0][..]), (Callback::OnRequestBody, body), (Callback::OnResponseBody, &[])]
    );
    let levels: Vec<_> = expect.logs.iter().map(|log| log.level).collect();
    assert_eq!(levels, [Some(LogLevel::Warn), Some(LogLevel::Error), None, None]);
    assert_eq!(equal(&expect.metrics[0].1), b"1");
    assert_eq!(expect.callouts.as_ref().map(|calls| calls.value), Some(2));
    assert_eq!(expect.trap.as_ref().and_then(|trap| trap.callback), Some(Callback::OnRequestHeaders));
    assert_eq!(expect.crash.as_ref().map(|crash| crash.value.as_str()), Some("pause-without-call"));
    assert!(expect.expects_crash("pause-without-call") && !expect.expects_crash("unknown-action-loops"));
    assert_eq!(expect.findings[0].value, "body-callback-not-enabled");
    assert_eq!(expect.stuck.as_ref().map(|stuck| stuck.value), Some(true));
    let place = &scenario.source.text[expect.shared_data[0].1.span.clone()];
    assert_eq!(place, "3");
}

#[test]
fn what_holds_under_which_host() {
    let (_folder, scenario) = good();
    let [first, second, third, ..] = scenario.cases.as_slice() else { panic!("cases") };
    let hosts = |case| scenario.hosts_of(case).iter().map(|host| host.value.as_str()).collect::<Vec<_>>();
    assert_eq!(hosts(first), ["envoy", "apisix"]);
    assert_eq!(hosts(second), ["apisix", "spec", "envoy@/usr/bin/envoy"]);
    let kinds = |case: &Case, host| {
        let case = case.under(host);
        let on: Vec<HostKind> = case.all_expectations().flat_map(|expect| &expect.on).map(|on| on.host).collect();
        (on, case.all_expectations().any(|expect| expect.trap.as_ref().is_some_and(|trap| trap.callback.is_none())))
    };
    // The trap of one host is not expected under another.
    assert_eq!(kinds(first, "apisix"), (vec![HostKind::Apisix], true));
    assert_eq!(kinds(first, "spec"), (vec![HostKind::Spec], false));
    assert_eq!(kinds(first, "envoy@/usr/bin/envoy"), (vec![], false));
    assert_eq!(kinds(first, "nginx"), (vec![], false));
    assert_eq!(kinds(second, "apisix").0, [HostKind::Apisix]);
    assert_eq!(kinds(third, "spec").0, [HostKind::Spec]);
    let load = first.all_expectations().find_map(|expect| expect.load.as_ref()).expect("`load`");
    assert!(matches!(&load.matcher, Matcher::Contains(text) if &text[..] == b"proxy_get_log_level"));
}

#[test]
fn several_steps() {
    let (_folder, scenario) = good();
    let case = &scenario.cases[1];
    assert!(case.expect.as_ref().is_some_and(|expect| expect.logs.len() == 1));
    let steps = &case.steps;
    assert!(matches!(request(&steps[0]).upstream, Upstream::Never(_)) && request(&steps[0]).body.is_none());
    let empty = request(&steps[1]).body.as_ref().expect("an empty body");
    assert_eq!((empty.chunks.as_slice(), empty.framing), (&[bytes::Bytes::new()][..], Framing::Length));
    assert_eq!(
        request(&steps[2]).body.as_ref().map(|body| (body.chunks.len(), body.framing)),
        Some((3, Framing::Chunked))
    );
    let repeated = request(&steps[3]).body.as_ref().expect("a body");
    assert_eq!((repeated.chunks[0].len(), repeated.cut), (2048, Some(Cut::Every)));
    assert!(matches!(steps[4].kind, StepKind::Advance(time) if time == Duration::from_secs(60)));
    assert!(matches!(&steps[5].kind, StepKind::Reconfigure { plugin: 1, config } if &config[..] == br#"{"a":1}"#));
    assert!(matches!(&steps[6].kind, StepKind::Reconfigure { plugin: 0, config } if &config[..] == b"text"));
    let called = |at: usize| match &steps[at].kind {
        StepKind::ForeignFunction { plugin, function_id, arguments } => (*plugin, *function_id, arguments.to_vec()),
        other => panic!("{other:?}"),
    };
    assert_eq!((called(7), called(8)), ((1, 7, vec![0xff]), (0, u32::MAX, vec![])));
    assert!(matches!(steps[9].kind, StepKind::Shutdown));
    let answers: Vec<_> = scenario.foreign.iter().map(|(name, answer)| (name.value.as_str(), answer.clone())).collect();
    let given = [
        ("f", Ok("text".into())),
        ("g", Ok(vec![0, 0xff].into())),
        ("h", Ok("".into())),
        ("i", Ok("from a file".into())),
        ("j", Ok("abab".into())),
        ("k", Err(crate::abi::Status::BadArgument)),
    ];
    assert_eq!(answers, given);
}

#[test]
fn tables() {
    let (_folder, scenario) = good();
    let names: Vec<&str> = scenario.cases[2..].iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["user alice may read", "user bob may write", "numbered [1]", "numbered [2]"]);
    let alice = request(&scenario.cases[2].steps[0]);
    assert_eq!(&alice.path[..], b"/alice?${x}");
    assert_eq!(&alice.headers[0].0[..], b"x-read");
    assert_eq!(alice.body.as_ref().map(|body| body.chunks.len()), Some(2));
    let on_spec = |case: usize| scenario.cases[case].steps[0].expect.as_ref()?.on.first().map(|on| &on.expect);
    let body = |case: usize| on_spec(case)?.client_sees.as_ref()?.body.clone();
    assert!(matches!(body(2), Some(Match { matcher: Matcher::Absent, .. })));
    let Some(Match { matcher: Matcher::Contains(_), span }) = body(3) else { panic!("contains") };
    assert_eq!(&scenario.source.text[span], "\"${sees}\"");
    assert!(matches!(&request(&scenario.cases[3].steps[0]).upstream, Upstream::Reply(reply) if reply.status == 403));
}

#[test]
fn defaults() {
    let scenario = Folder::new().cases("  - { name: a, request: GET http://a }").expect("a good file");
    assert_eq!(scenario.hosts[0].value, "envoy");
    assert_eq!((scenario.clock_ns, scenario.seed), (1_767_225_600_000_000_000, 0));
    assert_eq!((scenario.protocol, scenario.cases[0].snapshot), (Protocol::Http1, SnapshotMode::Behaviour));
    let sent = request(&scenario.cases[0].steps[0]);
    assert_eq!((&sent.path[..], sent.headers.len()), (&b"/"[..], 0));
    assert!(matches!(&sent.upstream, Upstream::Reply(reply) if reply.status == 200 && reply.body.is_none()));
}

#[test]
fn configurations_keep_their_text() {
    let folder = Folder::new();
    let config = |text: &str| {
        let file = format!("plugin: plugin.wasm\nconfig: {text}\ncases: [ {{ name: a, shutdown: true }} ]");
        let scenario = folder.parse(&file).unwrap_or_else(|problems| panic!("{}", render_all(&problems, false)));
        String::from_utf8(scenario.plugins[0].config.to_vec()).expect("text")
    };
    for (text, expected) in [
        ("007", "007"),
        ("1.0", "1.0"),
        ("yes", "yes"),
        ("true", "true"),
        ("null", ""),
        ("\"null\"", "null"),
        ("''", ""),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("[]", "[]"),
        ("{}", "{}"),
    ] {
        assert_eq!(config(text), expected, "{text}");
    }
    assert_eq!(config("{a: &c {x: 1}, b: *c}"), r#"{"a":{"x":1},"b":{"x":1}}"#);
}

#[test]
fn connections_are_lists_of_what_happens() {
    let text = "plugin: plugin.wasm\ncases:\n\
        - name: a\n  connect: [ client: hello, upstream: { hex: 00ff, end: true }, advance: 5ms, end: client ]\n  \
        upstream: { fail: refused }\n  expect: { client_sees: null, upstream_sees: { body: hello, ends: reset } }\n\
        - { name: b, connect: [ reset: client ], expect: { client_sees: { status: 1000 } } }\n";
    let scenario = match Folder::new().parse(text) {
        Ok(scenario) => scenario,
        Err(problems) => panic!("{}", render_all(&problems, false)),
    };
    let [first, second] = scenario.cases.as_slice() else { panic!("two cases") };
    let connect = |case: &Case| match &case.steps[0].kind {
        StepKind::Connect(connect) => connect.clone(),
        other => panic!("not a connection: {other:?}"),
    };
    let Connect { events, upstream } = connect(first);
    assert!(matches!(upstream, ConnectUpstream::Refuses));
    assert!(
        matches!(&events[0], ConnectEvent::Data { from: Peer::Client, bytes, end: false } if &bytes[..] == b"hello")
    );
    assert!(
        matches!(&events[1], ConnectEvent::Data { from: Peer::Upstream, bytes, end: true } if bytes[..] == [0, 255])
    );
    assert!(matches!(events[2], ConnectEvent::Advance(time) if time == Duration::from_millis(5)));
    assert!(matches!(events[3], ConnectEvent::End(Peer::Client)));
    assert!(matches!(connect(second).events.as_slice(), [ConnectEvent::Reset(Peer::Client)]));
    let expect = first.steps[0].expect.as_ref().expect("expectations");
    assert!(expect.client_sees.as_ref().is_some_and(|seen| seen.nothing));
    let ends = expect.upstream_sees.as_ref().and_then(|seen| seen.ends.as_ref());
    assert!(ends.is_some_and(|ends| ends.value == Ends::Reset));
}
