//! The part of a trace that stands beside a failure, the whole of it for `--trace`, and the log lines of a case.

use super::paint::Paint;
use crate::abi::PluginIndex;
use crate::message::Part;
use crate::runner::CaseResult;
use crate::trace::show::{clipped, escaped, line};
use crate::trace::{Event, Peer, views};
use std::fmt::Write as _;

/// How many lines stand before a failure.
const LINES: usize = 12;
/// How many log lines are shown with a failure.
const LOGS: usize = 40;

fn shown(case: &CaseResult, event: &Event) -> Option<String> {
    line(event, &|plugin: PluginIndex| case.plugins.get(plugin.0).map_or("plugin", String::as_str))
}

/// Every event, one on each line.
pub(super) fn whole(case: &CaseResult) -> impl Iterator<Item = String> {
    case.events.iter().filter_map(|event| shown(case, event)).map(|line| format!("    {line}\n"))
}

/// What happened just before an event, the event itself marked; the end of the trace without one.
///
/// The request and the callback that it happened in are shown even if they are further away.
pub(super) fn before(case: &CaseResult, event: Option<usize>, paint: Paint) -> String {
    let Some(last) = case.events.len().checked_sub(1) else { return String::new() };
    let upto = event.unwrap_or(last).min(last);
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, one) in case.events.iter().enumerate().take(upto + 1).rev() {
        if lines.len() == LINES {
            break;
        }
        if event == Some(at) || !is_noise(one) {
            lines.extend(shown(case, one).map(|line| (at, line)));
        }
    }
    lines.reverse();
    let first = lines.first().map_or(0, |(at, _)| *at);
    let context: Vec<usize> =
        [request(case, upto), callback(case, upto)].into_iter().flatten().filter(|at| *at < first).collect();
    let mut out = match event {
        Some(_) => "  what happened just before:\n".to_owned(),
        None => "  how it ended:\n".to_owned(),
    };
    let mut next = 0;
    let gap = |from: usize, to: usize| {
        let left_out = to.saturating_sub(from);
        match left_out {
            0 => String::new(),
            some => format!(
                "{}\n",
                paint.dim(format_args!("      … {} (--trace shows all)", super::count(some, "event", "events")))
            ),
        }
    };
    for at in context {
        let Some(line) = case.events.get(at).and_then(|event| shown(case, event)) else { continue };
        out += &gap(next, at);
        let _ = writeln!(out, "      {line}");
        next = at + 1;
    }
    out += &gap(next, first);
    for (at, line) in lines {
        let mark = if event == Some(at) { ">" } else { " " };
        let _ = writeln!(out, "    {mark} {line}");
    }
    out
}

/// What a language's runtime does by itself: Go asks for the time some hundred times in one callback.
fn is_noise(event: &Event) -> bool {
    matches!(event, Event::Hostcall(record) if matches!(
        record.name,
        "clock_time_get" | "random_get" | "sched_yield" | "poll_oneoff"
    ))
}

/// The head of the request that an event belongs to.
fn request(case: &CaseResult, at: usize) -> Option<usize> {
    let exchange = case.events.get(at)?.exchange()?;
    case.events.iter().take(at).position(|event| match event {
        Event::Input { exchange: of, from: Peer::Client, part: Part::Headers { .. } } => *of == exchange,
        _ => false,
    })
}

/// The callback that was running.
fn callback(case: &CaseResult, at: usize) -> Option<usize> {
    let inside = matches!(case.events.get(at)?, Event::Hostcall(_) | Event::Trap(_) | Event::CallbackLeft(_));
    let entered = case.events.iter().take(at).rposition(|event| matches!(event, Event::CallbackEntered(_)));
    entered.filter(|_| inside)
}

/// The last log lines of a case, with a heading; nothing where nothing was logged.
pub(super) fn last_logs(case: &CaseResult) -> String {
    let lines = logs(case);
    let skipped = lines.len().saturating_sub(LOGS);
    match (lines.is_empty(), skipped) {
        (true, _) => String::new(),
        (false, 0) => format!("  logs:\n{}", lines.concat()),
        (false, skipped) => format!("  the last of {} logs:\n{}", lines.len(), lines[skipped..].concat()),
    }
}

/// Every log line of a case, indented. A line break in a message begins a line that can't be taken for a log line
/// of its own, nor for a command to a CI server.
pub(super) fn logs(case: &CaseResult) -> Vec<String> {
    views::logs(&case.events)
        .map(|log| {
            let name = |plugin: PluginIndex| case.plugins.get(plugin.0).map_or("plugin", String::as_str);
            let plugin = log.plugin.map_or("the host", name);
            let text = String::from_utf8_lossy(&log.message);
            let mut lines = text.lines();
            let first = lines.next().unwrap_or_default();
            let mut out = format!("    [{}] {}: {}\n", clipped(plugin, 60), log.level, clipped(first, 1000));
            for more in lines {
                let _ = writeln!(out, "    | {}", clipped(more, 1000));
            }
            out
        })
        .collect()
}

/// A text of several lines, indented, safe for a terminal.
pub(super) fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{}\n", escaped(line))).collect()
}
