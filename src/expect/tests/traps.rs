//! Traps that are expected, and what is said of those that are not.

use super::trace::{Trace, trap};
use super::{failure, holds};
use crate::abi::{Callback, Status};
use crate::expect::{Failure, unexpected_trap};
use crate::trace::{Entry, Trap, TrapKind};

const UTF8: &str = "panicked at proxy-wasm-0.2.5/src/hostcalls.rs:155:41:\ncalled `Result::unwrap()` on an `Err` value: FromUtf8Error { .. }";

#[test]
fn a_trap_that_is_expected() {
    let trace = Trace::new().trap(trap("wasm `unreachable` instruction executed", Some(UTF8)));
    holds("trap: true", &trace);
    holds("trap: { in: request_headers, message: { contains: FromUtf8Error } }", &trace);
    holds("trap: { message: { contains: unreachable } }", &trace);
    let failed = failure("trap: { in: response_headers }", &trace);
    assert_eq!(failed.title, "no plugin trapped in on_response_headers");
    assert!(
        failed.actual.is_some_and(|actual| actual.starts_with("`hello` trapped in on_request_headers: panicked at"))
    );
    let failed = failure("trap: { message: { contains: overflow } }", &Trace::new());
    assert_eq!(failed.title, "no plugin trapped, expected a trap with text with \"overflow\" in it");
    assert_eq!(failed.actual.as_deref(), Some("no trap"));
}

fn said(trap: Trap, before: Trace) -> Failure {
    let at = before.events.len();
    let trace = before.trap(trap.clone());
    let failure = unexpected_trap(&trap, &trace.events, at);
    assert_eq!((failure.subject.as_str(), failure.event), ("trap", Some(at)));
    failure
}

#[test]
fn the_title_is_what_the_plugin_said_last() {
    let title = |panic: Option<&str>| said(trap("wasm trap: unreachable", panic), Trace::new()).title;
    assert_eq!(title(None), "the plugin trapped in on_request_headers: wasm trap: unreachable");
    let expected = "the plugin trapped in on_request_headers: panicked: called `Result::unwrap()` on an `Err` value: FromUtf8Error { .. }";
    assert_eq!(title(Some(UTF8)), expected);
    assert!(
        title(Some("an error\npanicked at 'boom', src/lib.rs:3:5")).ends_with(": panicked at 'boom', src/lib.rs:3:5")
    );
    assert!(title(Some("panic: \nboom\n\ngoroutine \n1\n [running]:")).ends_with(": panic: boom"));
    assert!(title(Some("panic: boom\n\ngoroutine 1 [running]:")).ends_with(": panic: boom"));
    assert!(title(Some("abort: oh in a.ts(1:2)")).ends_with(": abort: oh in a.ts(1:2)"));
    assert!(title(Some("first\nlast \u{1b}[2J words")).ends_with(": last \\u{1b}[2J words"));
}

#[test]
fn hints_for_what_happens_often() {
    let hint = |trap: Trap, before: Trace| said(trap, before).hint.unwrap_or_default();
    let fuel = Trap { kind: TrapKind::OutOfFuel, ..trap("the fuel is used up", None) };
    assert!(hint(fuel, Trace::new()).contains("limits: { fuel: … }"));
    assert!(hint(trap("unreachable", Some(UTF8)), Trace::new()).contains("get_http_request_header_bytes"));
    let status = || trap("unreachable", Some("panicked at src/hostcalls.rs:9:1:\nunexpected status: 2"));
    let before = || Trace::new().refused("proxy_old", Status::BadArgument).entered(Callback::OnRequestHeaders);
    let asked = hint(
        status(),
        before().refused("proxy_get_property", Status::BadArgument).refused("proxy_x", Status::NotFound),
    );
    assert!(asked.starts_with("proxy_get_property returned bad_argument (2), and the SDK panics"), "{asked}");
    assert_eq!(hint(status(), before()), "status 2 is bad_argument; no hostcall of this callback returned it");
    let borrowed = || trap("unreachable", Some("panicked at src/dispatcher.rs:1:2:\nalready borrowed: BorrowMutError"));
    let earlier = hint(borrowed(), Trace::new().trap(trap("unreachable", Some(UTF8))));
    assert!(earlier.starts_with("an earlier trap in on_request_headers (panicked: called"), "{earlier}");
    assert_eq!(said(borrowed(), Trace::new()).hint, None);
    let main = Trap { callback: Entry::Start("_start"), ..trap("proc_exit(0)", None) };
    assert!(hint(main, Trace::new()).contains("c-shared"));
    assert!(
        hint(trap("proc_exit(2)", Some("panic: boom\n\ngoroutine 1 [running]:")), Trace::new()).contains("recover")
    );
}
