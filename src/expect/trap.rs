//! Traps: the one that is expected, and what to say of one that nobody expected.

use super::judge::listed;
use super::matcher::{describe, holds};
use super::{Failure, Judged};
use crate::abi::Status;
use crate::scenario::TrapExpect;
use crate::trace::show::{clipped, escaped};
use crate::trace::{Entry, Event, HostcallResult, Trap, TrapKind, views};

/// Whether a trap as expected happened.
pub(super) fn judge(expected: &TrapExpect, judged: &Judged<'_>) -> Option<Failure> {
    let traps: Vec<(usize, &Trap)> = judged
        .in_range()
        .filter_map(|(at, event)| match event {
            Event::Trap(trap) => Some((at, trap.as_ref())),
            _ => None,
        })
        .collect();
    let there = |trap: &Trap| expected.callback.is_none_or(|callback| trap.callback == Entry::Callback(callback));
    let says =
        |trap: &Trap| expected.message.as_ref().is_none_or(|one| holds(&one.matcher, Some(trap.text().as_bytes())));
    if traps.iter().any(|(_, trap)| there(trap) && says(trap)) {
        return None;
    }
    let callback = expected.callback.map(|callback| format!(" in {}", callback.short())).unwrap_or_default();
    let message = expected.message.as_ref().map(|one| format!(" with {}", describe(&one.matcher))).unwrap_or_default();
    let lines: Vec<String> = traps
        .iter()
        .map(|(_, trap)| {
            format!(
                "`{}` trapped in {}: {}",
                judged.name(trap.plugin),
                trap.callback.name(),
                clipped(&trap.text(), 300)
            )
        })
        .collect();
    let title = match traps.as_slice() {
        [] => format!("no plugin trapped, expected a trap{callback}{message}"),
        [..] => format!("no plugin trapped{callback}{message}"),
    };
    Some(Failure {
        subject: "trap".to_owned(),
        title,
        span: Some(expected.span.clone()),
        expected: Some(format!("a trap{callback}{message}")),
        actual: Some(listed(lines.iter().map(String::as_str), "no trap")),
        hint: None,
        event: traps.last().map(|(at, _)| *at),
    })
}

/// The failure for a trap that nobody expected. `at` is its place in the trace. The span is left to the caller:
/// no line of the scenario speaks of it.
pub fn unexpected_trap(trap: &Trap, events: &[Event], at: usize) -> Failure {
    Failure {
        subject: "trap".to_owned(),
        title: format!("the plugin trapped in {}: {}", trap.callback.name(), clipped(&headline(trap), 300)),
        span: None,
        expected: None,
        actual: None,
        hint: hint(trap, events.get(..at).unwrap_or(events)),
        event: Some(at),
    }
}

/// The line that says most: the panic message without its place, else the engine's.
fn headline(trap: &Trap) -> String {
    let panic = trap.panic.as_deref().unwrap_or_default();
    let lines: Vec<&str> = panic.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let starts = |line: &&str| {
        ["panicked at ", "panic: ", "panic:", "abort: ", "fatal error: "].iter().any(|start| line.starts_with(start))
    };
    // What was logged at error before the panic stands there too, so the last one is looked for.
    let Some(at) = lines.iter().rposition(starts) else {
        return lines.last().map_or_else(|| trap.message.clone(), |line| (*line).to_owned());
    };
    let line = lines.get(at).copied().unwrap_or_default();
    let next = lines.get(at + 1).copied().unwrap_or_default();
    match line.strip_prefix("panicked at ") {
        // Rust puts the message on a line of its own since 1.73.
        Some(place) if place.ends_with(':') && !next.is_empty() => format!("panicked: {next}"),
        // Go writes each argument by itself, and each becomes a line.
        _ if line.trim_end() == "panic:" => format!("panic: {next}"),
        _ => line.to_owned(),
    }
}

fn hint(trap: &Trap, before: &[Event]) -> Option<String> {
    let text = trap.text();
    let has = |needle: &str| text.contains(needle);
    match trap.kind {
        TrapKind::OutOfFuel => {
            return Some("if that much work is meant, raise `limits: { fuel: … }` in the scenario".to_owned());
        }
        TrapKind::Limit => return Some("look for a loop that logs or calls the host without end".to_owned()),
        TrapKind::Hostcall | TrapKind::Guest => {}
    }
    if let Some(status) = unexpected_status(&text) {
        return Some(refused(status, before));
    }
    if has("already borrowed") || has("already mutably borrowed") || has("BorrowMutError") || has("BorrowError") {
        let earlier = views::traps(before).filter(|other| other.plugin == trap.plugin).last()?;
        let (callback, message) = (earlier.callback.name(), clipped(&headline(earlier), 120));
        return Some(format!(
            "an earlier trap in {callback} ({message}) has left this vm in the middle of a callback: mend that one \
             first, or let the host boot a new vm with `on_trap: {{ vm: rebuild }}`"
        ));
    }
    if has("FromUtf8Error") || has("Utf8Error") {
        return Some(
            "a value was not UTF-8, and the SDK promised text: use the function that gives bytes, such as \
             `get_http_request_header_bytes`"
                .to_owned(),
        );
    }
    if trap.message == "proc_exit(0)" && matches!(trap.callback, Entry::Start(_)) {
        return Some(
            "`main` has returned and that ended the module: build it as a reactor (Go: `-buildmode=c-shared`)"
                .to_owned(),
        );
    }
    if trap.message.starts_with("proc_exit(2)") && has("goroutine") {
        return Some(
            "a panic in Go ends the whole vm and what it keeps: `recover` in the callback, or return an error"
                .to_owned(),
        );
    }
    None
}

/// The status that the Rust SDK did not expect: `unexpected status: 10`.
fn unexpected_status(text: &str) -> Option<u32> {
    let (_, rest) = text.rsplit_once("unexpected status: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Which hostcall of this callback gave that status.
fn refused(number: u32, before: &[Event]) -> String {
    let status = Status::from_u32(number);
    let name = status.map_or("no status of the specification", Status::name);
    let in_callback = before.iter().rev().take_while(|event| !matches!(event, Event::CallbackEntered(_)));
    let call = in_callback.filter_map(|event| match event {
        Event::Hostcall(record) => Some(record),
        _ => None,
    });
    let mut refused = call.filter(|record| match record.result {
        HostcallResult::Status(given) => Some(given) == status,
        HostcallResult::Errno(_) | HostcallResult::None => false,
    });
    match refused.next() {
        Some(record) => format!(
            "{} returned {name} ({number}), and the SDK panics at a status that it does not expect; call the hostcall \
             itself (`hostcalls::…`) where it may fail",
            escaped(record.name)
        ),
        None => format!("status {number} is {name}; no hostcall of this callback returned it"),
    }
}
