//! Results of cases, made by hand.

use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex, Status};
use crate::diagnostic::Source;
use crate::expect::{Failure, unexpected_trap};
use crate::message::{Headers, Part};
use crate::runner::{CaseResult, CaseStatus, SnapshotResult};
use crate::snapshot::Outcome;
use crate::trace::{
    CallbackArgs, CallbackEntered, CallbackLeft, Effect, Entry, Event, Finding, Frame, HostcallRecord, HostcallResult,
    Peer, Trap, TrapKind, Value,
};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub const YAML: &str = "\
plugin: hello.wasm
cases:
  - name: adds its header
    request: GET http://app.test/hello
    expect:
      client_sees: { headers: { x-greeting: hi } }
";

const EXCHANGE: ExchangeId = ExchangeId(1);
const CONTEXT: ContextId = ContextId(2);

pub fn span(text: &str) -> std::ops::Range<usize> {
    let start = YAML.find(text).expect("it is there");
    start..start + text.len()
}

pub fn passed(name: &str) -> CaseResult {
    CaseResult {
        source: Arc::new(Source { path: PathBuf::from("t/hello.yaml"), text: YAML.to_owned() }),
        span: span("adds its header"),
        name: name.to_owned(),
        host: None,
        profile: "envoy",
        status: CaseStatus::Passed,
        duration: Duration::from_millis(3),
        refusal: None,
        failures: Vec::new(),
        snapshot: SnapshotResult::Compared(Outcome::Match),
        events: Arc::default(),
        differences: Vec::new(),
        plugins: vec!["hello".to_owned()],
        modules: Vec::new(),
        variant: String::new(),
        unseen: Vec::new(),
        chance: std::collections::BTreeSet::new(),
    }
}

fn headers(entries: &[(&'static str, &'static str)]) -> Headers {
    entries.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
}

fn entered(callback: Callback, args: &[u32]) -> Event {
    let args = CallbackArgs::new(args);
    Event::CallbackEntered(CallbackEntered {
        plugin: PluginIndex(0),
        callback: Entry::Callback(callback),
        context: CONTEXT,
        exchange: Some(EXCHANGE),
        args,
    })
}

fn left(callback: Callback) -> Event {
    let (plugin, callback) = (PluginIndex(0), Entry::Callback(callback));
    Event::CallbackLeft(CallbackLeft { plugin, callback, context: CONTEXT, exchange: Some(EXCHANGE), result: Some(0) })
}

fn log(message: &'static str) -> Event {
    let message = Bytes::from(message);
    Event::Hostcall(HostcallRecord {
        plugin: PluginIndex(0),
        context: CONTEXT,
        exchange: Some(EXCHANGE),
        name: "proxy_log",
        args: vec![("level", Value::Name("warn")), ("message", Value::Bytes(message.clone()))],
        result: HostcallResult::Status(Status::Ok),
        returned: Vec::new(),
        effects: vec![Effect::Log { level: LogLevel::Warn, message }],
    })
}

fn request() -> Vec<Event> {
    let head = headers(&[(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/hello")]);
    let part = Part::Headers { headers: head, end_of_stream: true };
    vec![Event::ExchangeOpened(EXCHANGE), Event::Input { exchange: EXCHANGE, from: Peer::Client, part }]
}

pub fn finding(message: &str) -> Event {
    Event::Finding(Finding { id: "content-length-stale", plugin: None, message: message.to_owned() })
}

/// An expectation that did not hold, after some traffic.
pub fn failed() -> CaseResult {
    let mut events = request();
    events.push(entered(Callback::OnRequestHeaders, &[4, 1]));
    events.extend((0..10).map(|_| log("looking")));
    events.extend([log("said \u{1b}[2J\n::error::evil"), left(Callback::OnRequestHeaders)]);
    let part = Part::Headers { headers: headers(&[(":status", "200")]), end_of_stream: true };
    let event = Some(events.len());
    events.push(Event::Output { exchange: EXCHANGE, to: Peer::Client, part });
    let failure = Failure {
        subject: "client_sees.headers.x-greeting".to_owned(),
        title: "header `x-greeting` at the client is absent, expected \"hi\"".to_owned(),
        span: Some(span("hi }")),
        expected: Some("\"hi\"".to_owned()),
        actual: Some("absent".to_owned()),
        hint: Some("there is `x-greetings`".to_owned()),
        event,
    };
    CaseResult {
        status: CaseStatus::Failed,
        failures: vec![failure],
        events: Arc::new(events),
        ..passed("adds its header")
    }
}

/// Texts of several lines that differ.
pub fn differing() -> CaseResult {
    let failure = Failure {
        subject: "client_sees.body".to_owned(),
        title: "body at the client is not what was expected".to_owned(),
        span: Some(span("client_sees")),
        expected: Some("one\ntwo\n".to_owned()),
        actual: Some("one\n2\u{1b}\n".to_owned()),
        hint: None,
        event: None,
    };
    CaseResult {
        failures: vec![failure],
        events: Arc::default(),
        variant: "body cut after byte 3".to_owned(),
        ..failed()
    }
}

/// The line of the fixture's source that panics.
pub fn unwrapping_line() -> u32 {
    let source = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rust/fragile/src/lib.rs"));
    let line = source.lines().position(|line| line.contains("get_http_request_header(\"x-name\")"));
    line.expect("the line") as u32 + 1
}

/// A trap in a module with line tables, at a place in the plugin's own code.
pub fn trapped() -> CaseResult {
    let wasm =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rust/fragile.debug.wasm")).expect("the fixture");
    let symbols = crate::host::symbols::Symbols::load(&wasm);
    let is_own = |at: &usize| symbols.locate(*at).last().is_some_and(|place| place.line == Some(unwrapping_line()));
    let offset = (0..wasm.len()).find(is_own);
    assert!(offset.is_some(), "the line has code");
    let frame = |function: &str, offset| Frame { function: function.to_owned(), offset };
    let trap = Arc::new(Trap {
        plugin: PluginIndex(0),
        callback: Entry::Callback(Callback::OnRequestHeaders),
        context: CONTEXT,
        exchange: Some(EXCHANGE),
        kind: TrapKind::Guest,
        message: "wasm trap: wasm `unreachable` instruction executed".to_owned(),
        panic: Some(
            "panicked at src/hostcalls.rs:1:2:\ncalled `Result::unwrap()` on an `Err` value: FromUtf8Error".to_owned(),
        ),
        frames: vec![
            frame("rust_begin_unwind", None),
            frame("core::panicking::panic_fmt", None),
            frame("<wasm function 7>", offset),
            frame("proxy_on_request_headers", None),
        ],
    });
    let mut events = request();
    events.push(entered(Callback::OnRequestHeaders, &[4, 1]));
    events.push(Event::Trap(trap.clone()));
    let failure = unexpected_trap(&trap, &events, events.len() - 1);
    let modules = vec![Arc::new(wasm)];
    CaseResult { failures: vec![failure], events: Arc::new(events), modules, ..failed() }
}

pub fn snapshot_differs() -> CaseResult {
    let snapshot = SnapshotResult::Compared(Outcome::Differs {
        pending: Some(PathBuf::from("snapshots/hello/it's.snap.new")),
        old: "a\nb\n".to_owned(),
        new: "a\nc\n".to_owned(),
    });
    CaseResult { status: CaseStatus::Failed, snapshot, host: Some("apisix".to_owned()), ..passed("it's") }
}

pub fn new_snapshot(name: &str) -> CaseResult {
    let pending = Some(PathBuf::from(format!("snapshots/hello/{name}.snap.new")));
    CaseResult { snapshot: SnapshotResult::Compared(Outcome::New { pending, new: "a\n".to_owned() }), ..passed(name) }
}
