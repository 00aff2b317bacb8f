//! What is written is read back as the same.

use super::*;
use crate::scenario::model::{Body, End, Framing, StepKind};
use crate::scenario::parse;
use proptest::collection::vec;
use proptest::prelude::*;

fn the_heading(protocol: Protocol, config: &str) -> Heading {
    Heading {
        comments: vec!["a comment\nof two lines".to_owned()],
        subject: Subject::Plugin(Plugin {
            file: "fixtures/wat/streams-010.wat".to_owned(),
            name: "a plugin: one".to_owned(),
            root_id: "root".to_owned(),
            config: config.to_owned(),
        }),
        host: "apisix",
        protocol,
    }
}

fn value() -> impl Strategy<Value = Bytes> {
    let words = prop::sample::select(vec![
        "", " ", "null", "~", "true", "007", "- a", "a: b", "a #b", "#", "\"", "'", "\\", "{a}", "[a]", "*a", "&a",
        "!a", "|", ">", "%", "@", "`", "${a}", "$${", "$$$", "a ", "ü", "\u{2028}", "\u{feff}", "<<", "---", "...",
        "?", "? a", ": ", "a:", "a,b", "=", "\t",
    ]);
    prop_oneof![
        words.prop_map(Bytes::from),
        "\\PC{0,20}".prop_map(Bytes::from),
        "[ -~]{0,30}".prop_map(Bytes::from),
        vec(any::<u8>(), 0..30).prop_map(Bytes::from),
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(Bytes, Bytes)>> {
    let name = prop_oneof![
        prop::sample::select(vec!["a", "b", "A", "x-a", "null", "1", "!", "~", "*", "|", "%", "content-length"]),
        prop::sample::select(vec!["cookie", "accept"]),
    ];
    vec((name.prop_map(Bytes::from), value()), 0..6)
}

fn body() -> impl Strategy<Value = Option<Body>> {
    let end = prop_oneof![Just(None), Just(Some(End::WithLast)), Just(Some(End::Separate))];
    let whole = value().prop_map(|one| (vec![one], Framing::Length));
    let chunked = vec(value(), 0..4).prop_map(|chunks| (chunks, Framing::Chunked));
    let some = (prop_oneof![whole, chunked], end)
        .prop_map(|((chunks, framing), end)| Some(Body { chunks, framing, cut: None, end, span: 0..0 }));
    prop_oneof![Just(None), some]
}

fn reply() -> impl Strategy<Value = Reply> {
    (200_u16..600, pairs(), body(), pairs()).prop_map(|(status, headers, body, trailers)| Reply {
        status,
        headers,
        body,
        trailers,
        metadata: Vec::new(),
        fail: None,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let upstream = prop_oneof![
        Just(Upstream::Never(0..0)),
        Just(Upstream::Fail(Failure::Refused)),
        reply().prop_map(Upstream::Reply),
    ];
    let path = "/[!$-~]{0,20}".prop_filter("no fragment", |path| !path.contains('#'));
    ("[A-Z!~|*%&]{1,6}", path, pairs(), body(), pairs(), upstream).prop_map(
        |(method, path, headers, body, trailers, upstream)| Request {
            method: method.into(),
            scheme: "http".into(),
            authority: "app.test:81".into(),
            path: path.into(),
            headers,
            body,
            trailers,
            metadata: Vec::new(),
            abort: None,
            upstream,
            early: false,
        },
    )
}

fn same_body(one: Option<&Body>, other: Option<&Body>) {
    let told = |body: &Body| (body.chunks.clone(), body.framing, body.end);
    assert_eq!(one.map(told), other.map(told));
}

fn same_reply(one: &Reply, other: &Reply) {
    assert_eq!((one.status, &one.headers, &one.trailers), (other.status, &other.headers, &other.trailers));
    same_body(one.body.as_ref(), other.body.as_ref());
}

fn same(one: &Request, other: &Request) {
    assert_eq!(
        (&one.method, &one.scheme, &one.authority, &one.path, &one.headers, &one.trailers),
        (&other.method, &other.scheme, &other.authority, &other.path, &other.headers, &other.trailers)
    );
    same_body(one.body.as_ref(), other.body.as_ref());
    match (&one.upstream, &other.upstream) {
        (Upstream::Never(_), Upstream::Never(_)) => {}
        (Upstream::Fail(one), Upstream::Fail(other)) => assert_eq!(one, other),
        (Upstream::Reply(one), Upstream::Reply(other)) => same_reply(one, other),
        (one, other) => panic!("{one:?} came back as {other:?}"),
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        value().prop_map(Wanted::Exactly),
        value().prop_map(|text| Wanted::Like(regex::escape(&String::from_utf8_lossy(&text)))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn requests_come_back(
        requests in vec(request(), 1..4),
        config in "\\PC{0,20}",
        lines in vec(wanted(), 0..4),
        to in "[ -~]{1,20}".prop_filter("not blank", |to| !to.trim().is_empty()),
        reply in reply(),
    ) {
        let mut text = heading(&the_heading(Protocol::Http1, &config));
        let callout = Callout {
            to: to.clone(),
            expect: Message { headers: vec![("a".to_owned(), lines.clone())], ..Message::default() },
            reply: CalloutReply::Reply(reply.clone(), None),
            after: Duration::from_millis(5),
        };
        let expect = Expected {
            logs: lines.iter().map(|line| (LogLevel::Warn, line.clone())).collect(),
            ..Expected::default()
        };
        let steps = requests.iter().map(|request| Step {
            request: request.clone(),
            callouts: vec![callout.clone()],
            expect: expect.clone(),
        });
        let comments = vec![to.clone()];
        text += &case(&Case { name: "one: #1".to_owned(), comments, steps: steps.collect() }).expect("it can be written");
        let parsed = parse(std::path::Path::new("recorded.yaml"), text.clone());
        let parsed = parsed.unwrap_or_else(|problems| panic!("{}\n{text}", problems[0].render(false)));
        prop_assert_eq!(&parsed.plugins[0].config[..], config.as_bytes());
        prop_assert_eq!(&parsed.plugins[0].name, "a plugin: one");
        prop_assert_eq!(parsed.cases[0].steps.len(), requests.len());
        for (step, request) in parsed.cases[0].steps.iter().zip(&requests) {
            let StepKind::Request(back) = &step.kind else { panic!("not a request\n{text}") };
            same(request, back);
            prop_assert_eq!(&step.callouts[0].to.value, &to);
            prop_assert_eq!(step.callouts[0].after, Duration::from_millis(5));
            let CalloutReply::Reply(back, _) = &step.callouts[0].reply else { panic!("not a reply\n{text}") };
            same_reply(&reply, back);
            let logs = step.expect.as_ref().map(|expect| expect.logs.len()).unwrap_or_default();
            prop_assert_eq!(logs, lines.len());
        }
    }
}

#[test]
fn it_looks_like_one_that_a_person_wrote() {
    let mut text = heading(&the_heading(Protocol::H2, "{\"a\": 1}"));
    let request = Request {
        method: "POST".into(),
        scheme: "http".into(),
        authority: "app.test".into(),
        path: "/a?b=c".into(),
        headers: vec![("accept".into(), "*/*".into()), ("x-a".into(), "1".into()), ("x-a".into(), "\u{1}".into())],
        body: Some(Body {
            chunks: vec![Bytes::from_static(b"\xff\x00")],
            framing: Framing::Length,
            cut: None,
            end: None,
            span: 0..0,
        }),
        trailers: Vec::new(),
        metadata: Vec::new(),
        abort: None,
        upstream: Upstream::Reply(Reply { status: 404, ..Reply::default() }),
        early: false,
    };
    let expect = Expected {
        client_sees: Message {
            start: vec![("status", Wanted::Exactly("404".into()))],
            headers: vec![("server".to_owned(), Vec::new())],
            ..Message::default()
        },
        logs: vec![(LogLevel::Warn, Wanted::Like("^a \\d+$".to_owned()))],
        ..Expected::default()
    };
    let steps = vec![Step { request, callouts: Vec::new(), expect }];
    text += &case(&Case { name: "1 POST /a".to_owned(), comments: Vec::new(), steps }).expect("it can be written");
    assert_eq!(
        text,
        r#"# a comment of two lines
plugin:
  file: fixtures/wat/streams-010.wat
  name: "a plugin: one"
  root_id: root
  config: "{\"a\": 1}"
host: apisix
protocol: h2
cases:
  - name: 1 POST /a
    snapshot: false
    request:
      send: POST http://app.test/a?b=c
      headers:
        accept: "*/*"
        x-a:
          - 1
          - { hex: "01" }
      body: { hex: "ff00" }
    upstream:
      status: 404
    expect:
      client_sees:
        status: 404
        headers:
          server: null
      logs:
        - warn: { matches: "^a \\d+$" }
"#
    );
}

#[test]
fn a_gateway_comes_back() {
    let document = serde_json::json!({
        "wasm": { "plugins": [{ "name": "a", "file": "a.wasm", "priority": 1 }] },
        "routes": [{ "id": "1", "uri": "/*", "plugins": { "a": { "conf": "x: # \"\u{85}\u{2028}\u{7f}\\ ${a}" } } }],
        "upstreams": [],
    });
    let subject = Subject::Gateway(document.clone());
    let mut text = heading(&Heading { subject, ..the_heading(Protocol::Http1, "") });
    text += "  - { name: a, request: GET http://app.test/ }\n";
    let parsed = parse(std::path::Path::new("recorded.yaml"), text.clone());
    let parsed = parsed.unwrap_or_else(|problems| panic!("{}\n{text}", problems[0].render(false)));
    let spec = parsed.gateway.expect("a gateway");
    let crate::scenario::GatewayDocument::Inline(node) = spec.document else { panic!("not inline") };
    assert_eq!(crate::scenario::yaml::to_json(&node.0), Ok(document));
}

#[test]
fn what_the_language_cannot_say_is_an_error() {
    let request = Request {
        method: "GET".into(),
        scheme: "http".into(),
        authority: "app.test".into(),
        path: Bytes::from_static(b"/\xff"),
        headers: Vec::new(),
        body: None,
        trailers: Vec::new(),
        metadata: Vec::new(),
        abort: None,
        upstream: Upstream::Never(0..0),
        early: false,
    };
    let with = |request: Request| {
        let steps = vec![Step { request, callouts: Vec::new(), expect: Expected::default() }];
        case(&Case { name: "a".to_owned(), comments: Vec::new(), steps })
    };
    assert_eq!(with(request.clone()), Err(Unwritable::Url));
    let headers = vec![(Bytes::from_static(b"\xff"), Bytes::new())];
    assert_eq!(with(Request { path: "/".into(), headers, ..request }), Err(Unwritable::Name));
}
