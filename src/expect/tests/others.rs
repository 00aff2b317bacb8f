//! Actions, logs, state, calls, findings, stuck.

use super::trace::{EXCHANGE, Trace, pairs};
use super::{failure, holds, judged};
use crate::abi::{CallId, Callback, ExchangeId, LogLevel, MetricId, MetricType, Status};
use crate::trace::{Effect, Event, Finding, HttpCall};
use bytes::Bytes;
use std::sync::Arc;

#[test]
fn actions_are_equal_call_by_call() {
    let trace = Trace::new().second_plugin().left(0, Callback::OnRequestBody, 1).left(1, Callback::OnRequestBody, 0);
    holds("actions: { request_body: [pause, continue] }", &trace);
    let failed = failure("actions: { request_body: continue }", &trace);
    assert_eq!(failed.title, "on_request_body returned [pause, continue], expected [continue]");
    assert_eq!(
        (failed.subject.as_str(), failed.actual.as_deref()),
        ("actions.request_body", Some("pause (hello), continue (other)"))
    );
    assert!(failed.hint.is_some_and(|hint| hint.contains("called 2 times")));
    assert_eq!(failed.event, Some(0));
    let failed = failure("actions: { request_body: [pause, 7] }", &trace);
    assert_eq!((failed.expected.as_deref(), failed.event), (Some("[pause, 7]"), Some(1)));
    let failed = failure("actions: { response_headers: continue }", &trace);
    assert_eq!(failed.hint.as_deref(), Some("on_response_headers was not called, or the plugin does not export it"));
    assert_eq!(failed.actual.as_deref(), Some("no calls"));
}

fn logged() -> Trace {
    Trace::new()
        .log(LogLevel::Info, "starting")
        .step()
        .log(LogLevel::Info, "hello world")
        .log(LogLevel::Warn, "second")
        .log(LogLevel::Info, "third")
}

#[test]
fn logs_are_a_subsequence() {
    holds("logs: [ hello world, { warn: second } ]", &logged());
    holds("logs: [ { info: { contains: hello } }, third ]", &logged());
    let failed = failure("logs: [ { warn: second }, { info: hello world } ]", &logged());
    assert_eq!(failed.title, "no log line after line 2 of 3 is info: \"hello world\"");
    assert_eq!(
        failed.hint.as_deref(),
        Some("it was logged in line 1, before what is expected above it, and order counts")
    );
    let failed = failure("logs: [ { error: second } ]", &logged());
    assert_eq!(
        (failed.title.as_str(), failed.hint.as_deref()),
        ("no log line is error: \"second\"", Some("it was logged at warn"))
    );
    assert_eq!((failed.actual.as_deref(), failed.event), (Some("warn: \"second\""), Some(2)));
    let failed = failure("logs: [ hello word ]", &logged());
    assert_eq!(failed.actual.as_deref(), Some("info: \"hello world\""), "the line most like it, and no other");
    assert_eq!(failure("logs: [ starting ]", &logged()).hint.as_deref(), Some("it was logged before this step"));
    assert_eq!(failure("logs: [ xyz ]", &Trace::new()).actual.as_deref(), Some("nothing was logged"));
    assert_eq!(failure("logs: [ third, xyz ]", &logged()).actual.as_deref(), Some("nothing more was logged"));
    assert_eq!(
        judged("logs: [ nowhere to be found, { warn: second }, xyz ]", &logged()).len(),
        2,
        "one that is missing does not drag others along"
    );
}

#[test]
fn lines_of_several_plugins_say_whose_they_are() {
    let trace = logged().second_plugin().effect_by(
        1,
        "proxy_log",
        Effect::Log { level: LogLevel::Warn, message: Bytes::from("a\u{1b}[2J") },
    );
    let failed = failure("no_logs: [ { warn: { matches: . } } ]", &trace);
    assert_eq!(failed.title, "`hello` logged what it must not, 2 times: [hello] warn: \"second\"");
    let failed = failure("no_logs: [ { contains: 2J } ]", &trace);
    assert_eq!(failed.actual.as_deref(), Some("[other] warn: \"a\\u{1b}[2J\""));
    holds("no_logs: [ { error: second }, starting ]", &trace);
}

#[test]
fn state_is_what_it_was_at_the_end() {
    let set = |value: &'static str| Effect::PropertySet { path: "a.b".to_owned(), value: Bytes::from(value) };
    let share =
        |value: &'static str| Effect::SharedDataSet { key: Bytes::from("hits"), value: Bytes::from(value), cas: 1 };
    let define = || Effect::MetricDefined { id: MetricId(1), kind: MetricType::Counter, name: Bytes::from("total") };
    let change = Effect::MetricChanged { name: Bytes::from("total"), kind: MetricType::Counter, value: 3 };
    let trace = Trace::new().effect(set("1")).effect(share("1")).effect(define()).step();
    holds("metrics: { total: 0 }\nshared_data: { hits: 1 }\nproperties: { a.b: 1 }", &trace);
    let trace = trace.effect(set("2")).effect(share("2")).effect(change).effect(define());
    holds(
        "metrics: { total: 3, none: null }\nshared_data: { hits: 2, x: null }\nproperties: { a.b: 2, c: null }",
        &trace,
    );
    let failed = failure("metrics: { total: 4 }", &trace);
    assert_eq!((failed.subject.as_str(), failed.title.as_str()), ("metrics.total", "metric `total` is 3, expected 4"));
    assert_eq!(failed.event, Some(5));
    assert_eq!(failure("metrics: { totals: 3 }", &trace).hint.as_deref(), Some("there is `total`"));
    assert_eq!(failure("shared_data: { nothing: 1 }", &trace).hint.as_deref(), Some("the plugin has set `hits`"));
    assert_eq!(
        failure("properties: { x: 1 }", &Trace::new()).hint.as_deref(),
        Some("the plugin has set no property up to here")
    );
    let other = Trace { exchange: Some(ExchangeId(2)), ..trace };
    assert_ne!(EXCHANGE, ExchangeId(2));
    holds("properties: { a.b: null }\nshared_data: { hits: 2 }", &other);
}

#[test]
fn calls_are_counted() {
    let headers = pairs(&[(":path", "/check")]);
    let call = HttpCall {
        id: CallId(1),
        upstream: Bytes::from("authz"),
        headers,
        body: Bytes::new(),
        trailers: Vec::new(),
        timeout_ms: 5,
    };
    let trace = Trace::new().effect(Effect::HttpCall(Arc::new(call)));
    holds("callouts: 1", &trace);
    let failed = failure("callouts: 2", &trace);
    assert_eq!(
        (failed.title.as_str(), failed.actual.as_deref()),
        ("1 call was made, expected 2", Some("to authz {:path: /check}"))
    );
    assert_eq!(failure("callouts: 1", &Trace::new()).title, "0 calls were made, expected 1");
}

#[test]
fn findings_are_there_by_id() {
    let finding = Finding { id: "content-length-stale", plugin: None, message: "x".to_owned() };
    let trace = Trace::new().event(Event::Finding(finding)).step();
    holds("findings: [ content-length-stale ]", &trace);
    let failed = failure("findings: [ content-length-state ]", &trace);
    assert_eq!(failed.title, "there is no finding `content-length-state`");
    assert_eq!(
        (failed.actual.as_deref(), failed.hint.as_deref()),
        (Some("content-length-stale"), Some("did you mean `content-length-stale`?"))
    );
}

#[test]
fn findings_about_other_hosts_can_be_expected_too() {
    let headers = Callback::OnRequestHeaders;
    let trace = Trace::new().entered(headers).refused("proxy_get_shared_data", Status::NotFound).left(0, headers, 0);
    holds("findings: [ shared-data ]\nno_findings: [ shared-queue, content-length-stale ]", &trace);
    let failed = failure("no_findings: [ shared-data ]", &trace);
    assert_eq!(failed.title, "there is the finding `shared-data`");
    assert!(failed.hint.is_some_and(|hint| hint.starts_with("keep state in the VM")));
    let unknown = failure("no_findings: [ shared-dato ]", &trace);
    assert_eq!(unknown.title, "no finding is called `shared-dato`");
    assert_eq!(unknown.hint.as_deref(), Some("did you mean `shared-data`?"));
}

#[test]
fn failures_come_in_the_order_of_the_file() {
    let failures = judged("stuck: true\nlogs: [ a ]\ncallouts: 3\nclient_sees: { status: 200 }", &Trace::new());
    let subjects: Vec<&str> = failures.iter().map(|failure| failure.subject.as_str()).collect();
    assert_eq!(subjects, ["stuck", "logs", "callouts", "client_sees"]);
}

#[test]
fn stuck_is_as_expected() {
    let paused = Trace { stuck: true, ..Trace::new().left(0, Callback::OnRequestHeaders, 1) };
    holds("stuck: true", &paused);
    let failed = failure("stuck: false", &paused);
    assert!(failed.title.starts_with("the request is stuck"));
    assert_eq!(failed.event, Some(0));
    assert!(failed.hint.is_some_and(|hint| hint.contains("returned pause from on_request_headers")));
    assert_eq!(failure("stuck: true", &Trace::new()).title, "the request came to its end, expected it to be stuck");
}
