//! What the lines look like, and what may never be in them.

use super::*;
use crate::abi::{CallId, Callback, ContextId, LogLevel, Status};
use crate::message::Headers;
use crate::trace::{CallbackArgs, Finding, StepStarted, Trap, TrapKind};
use std::sync::Arc;

fn shown(event: Event) -> String {
    line(&event, &|_| "hello").unwrap_or_default()
}

fn call(
    name: &'static str,
    args: Vec<(&'static str, Value)>,
    status: Status,
    returned: Vec<(&'static str, Value)>,
) -> Event {
    let (plugin, context) = (PluginIndex(0), ContextId(2));
    let result = HostcallResult::Status(status);
    Event::Hostcall(HostcallRecord {
        plugin,
        context,
        exchange: None,
        name,
        args,
        result,
        returned,
        effects: Vec::new(),
    })
}

fn text(value: &'static str) -> Value {
    Value::Bytes(Bytes::from(value))
}

fn headers(entries: &[(&'static str, &'static str)]) -> Headers {
    entries.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect()
}

#[test]
fn callbacks_have_their_arguments_by_name() {
    let (plugin, context, exchange) = (PluginIndex(0), ContextId(2), Some(ExchangeId(1)));
    let callback = Entry::Callback(Callback::OnRequestHeaders);
    let entered = |args: &[u32]| {
        shown(Event::CallbackEntered(CallbackEntered {
            plugin,
            callback,
            context,
            exchange,
            args: CallbackArgs::new(args),
        }))
    };
    assert_eq!(entered(&[5, 1]), "[hello] on_request_headers(ctx 2, num_headers 5, end_of_stream 1)");
    assert_eq!(entered(&[5]), "[hello] on_request_headers(ctx 2, num_headers 5)", "0.1.0 has no end_of_stream here");
    let start = Entry::Start("_initialize");
    let entered = CallbackEntered { plugin, callback: start, context, exchange: None, args: CallbackArgs::default() };
    assert_eq!(shown(Event::CallbackEntered(entered)), "[hello] _initialize()");
    let left = |callback, result| {
        let left = CallbackLeft { plugin, callback: Entry::Callback(callback), context, exchange, result };
        line(&Event::CallbackLeft(left), &|_| "hello")
    };
    assert_eq!(left(Callback::OnRequestHeaders, Some(1)).as_deref(), Some("[hello] on_request_headers -> pause"));
    assert_eq!(left(Callback::OnRequestHeaders, Some(7)).as_deref(), Some("[hello] on_request_headers -> 7"));
    assert_eq!(left(Callback::OnConfigure, Some(1)).as_deref(), Some("[hello] on_configure -> true"));
    assert_eq!(left(Callback::OnLog, None), None);
}

#[test]
fn hostcalls_are_decoded() {
    let map = ("map_type", Value::Name("http_request_headers"));
    let found = call(
        "proxy_get_header_map_value",
        vec![map.clone(), ("key", text("x-in"))],
        Status::Ok,
        vec![("value", text("1"))],
    );
    assert_eq!(shown(found), r#"  proxy_get_header_map_value(http_request_headers, "x-in") = ok "1""#);
    let path = call("proxy_get_property", vec![("path", text("request\0path"))], Status::NotFound, Vec::new());
    assert_eq!(shown(path), r#"  proxy_get_property("request.path") = not_found"#);
    let period = call("proxy_set_tick_period_milliseconds", vec![("period", Value::U32(100))], Status::Ok, Vec::new());
    assert_eq!(shown(period), "  proxy_set_tick_period_milliseconds(period 100) = ok");
    let entries = vec![(Bytes::from(":path"), Bytes::from("/x")), (Bytes::from("a"), Bytes::from("1, 2"))];
    let pairs = call("proxy_get_header_map_pairs", vec![map], Status::Ok, vec![("pairs", Value::Pairs(entries))]);
    assert_eq!(shown(pairs), r#"  proxy_get_header_map_pairs(http_request_headers) = ok {:path: /x, a: "1, 2"}"#);
}

#[test]
fn what_wasi_wrote_is_shown() {
    let effects = vec![Effect::Log { level: LogLevel::Info, message: Bytes::from("boom") }];
    let (plugin, context, result) = (PluginIndex(0), ContextId(0), HostcallResult::Errno(0));
    let args = vec![("fd", Value::U32(1)), ("iovs", Value::U32(2338128))];
    let record = HostcallRecord {
        plugin,
        context,
        exchange: None,
        name: "fd_write",
        args,
        result,
        returned: Vec::new(),
        effects,
    };
    assert_eq!(shown(Event::Hostcall(record)), r#"  fd_write(fd 1) = ok (info: "boom")"#);
}

#[test]
fn messages_are_read_as_messages() {
    let request =
        headers(&[(":method", "GET"), (":path", "/x"), (":authority", "app.test"), (":scheme", "http"), ("a", "1")]);
    let part = Part::Headers { headers: request, end_of_stream: true };
    let input = Event::Input { exchange: ExchangeId(1), from: Peer::Client, part };
    assert_eq!(shown(input), "client -> GET http://app.test/x {a: 1}, end of stream");
    let part = Part::Headers { headers: headers(&[(":status", "200")]), end_of_stream: false };
    assert_eq!(shown(Event::Output { exchange: ExchangeId(2), to: Peer::Client, part }), "(2) -> client 200 {}");
    let part = Part::Data { bytes: Bytes::from("hi\n"), end_of_stream: true };
    let output = Event::Output { exchange: ExchangeId(1), to: Peer::Upstream, part };
    assert_eq!(shown(output), r#"-> upstream body, 3 bytes: "hi\n", end of stream"#);
    let reset = Event::Input { exchange: ExchangeId(1), from: Peer::Upstream, part: Part::Reset };
    assert_eq!(shown(reset), "upstream -> the stream is reset");
}

#[test]
fn the_other_events() {
    let plugin = PluginIndex(0);
    assert_eq!(shown(Event::ClockMoved(60_000_000_000)), "clock at 60s");
    assert_eq!(shown(Event::ClockMoved(50_000_000)), "clock at 0.05s");
    assert_eq!(shown(Event::Step(StepStarted { index: 0, label: "advance 60s".to_owned() })), "step 1: advance 60s");
    let answer = CallAnswer::Failed("reset".to_owned());
    let answered = Event::CallAnswered { call: CallId(3), plugin, answer };
    assert_eq!(shown(answered), "call 3 of [hello] answered: nothing came back (reset)");
    let finding = Finding { id: "double-local-response", plugin: None, message: "twice".to_owned() };
    assert_eq!(shown(Event::Finding(finding)), "finding double-local-response: twice");
}

#[test]
fn nothing_can_leave_its_line_or_reach_the_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{9b}2J\r\n\u{202e}\u{2028}::error::x";
    let message = Value::Bytes(Bytes::from(evil));
    let trap = Trap {
        plugin: PluginIndex(0),
        callback: Entry::Start("_start"),
        context: ContextId(0),
        exchange: None,
        kind: TrapKind::Guest,
        message: evil.to_owned(),
        panic: None,
        frames: Vec::new(),
    };
    let entries = vec![(Bytes::from(evil), Bytes::from(evil))];
    let events = [
        call("proxy_log", vec![("level", Value::Name("warn")), ("message", message)], Status::Ok, Vec::new()),
        call("proxy_x", vec![("pairs", Value::Pairs(entries))], Status::Ok, Vec::new()),
        Event::Trap(Arc::new(trap)),
        Event::Step(StepStarted { index: 0, label: evil.to_owned() }),
        Event::HostReply { exchange: ExchangeId(1), status: 500, details: evil.to_owned() },
    ];
    for event in events {
        let line = line(&event, &|_| evil).unwrap_or_default();
        assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}')), "{line:?}");
    }
}

#[test]
fn bytes_are_text_or_hexadecimal_and_never_long() {
    assert_eq!(bytes(b"a\\n\"b\"\n"), r#""a\\n\"b\"\n""#);
    assert_eq!(bytes(b"\x00\xff"), "0x00ff");
    assert_eq!(bytes(b""), r#""""#);
    let long = "é".repeat(500);
    let shown = bytes(long.as_bytes());
    assert!(shown.starts_with("\"éé") && shown.ends_with("\"… (1000 bytes)"), "{shown}");
    assert_eq!(shown.chars().filter(|c| *c == 'é').count(), 100);
    assert!(bytes(&vec![0xff; 1 << 20]).len() < 500);
    assert_eq!(clipped("abcdef", 3), "abc…");
}
