//! From a scenario's `expect` to the list of what does not hold.

use super::{Failure, Judged, actions, crash, findings, logs, message, state, trap};
use crate::scenario::Expect;
use crate::trace::show::{clipped, pairs};
use crate::trace::{Effect, Event, Peer};

/// Every expectation that does not hold, in the order of the file. Never stops at the first: a person who mends a
/// plugin wants to know all of it at once. What stands under `on` counts: the runner has left there what is meant for
/// this host.
pub fn judge(expect: &Expect, judged: &Judged<'_>) -> Vec<Failure> {
    let mut failures: Vec<Failure> = expect.all().flat_map(|expect| judge_one(expect, judged)).collect();
    failures.sort_by_key(|failure| failure.span.as_ref().map(|span| span.start));
    failures
}

fn judge_one(expect: &Expect, judged: &Judged<'_>) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(upstream) = &expect.upstream_sees {
        failures.extend(message::judge_seen(upstream, judged, Peer::Upstream));
    }
    if let Some(client) = &expect.client_sees {
        failures.extend(message::judge_seen(client, judged, Peer::Client));
    }
    if let Some(answer) = &expect.admin {
        failures.extend(message::judge_admin(answer, judged));
    }
    failures.extend(expect.actions.iter().filter_map(|expected| actions::judge(expected, judged)));
    failures.extend(logs::judge(&expect.logs, judged));
    failures.extend(logs::judge_absent(&expect.no_logs, judged));
    failures.extend(state::properties(&expect.properties, judged));
    failures.extend(state::shared_data(&expect.shared_data, judged));
    failures.extend(state::metrics(&expect.metrics, judged));
    failures.extend(callouts(expect, judged));
    failures.extend(expect.trap.as_ref().and_then(|expected| trap::judge(expected, judged)));
    failures.extend(expect.crash.as_ref().and_then(|expected| crash::judge(expected, judged)));
    failures.extend(findings::judge(expect, judged));
    failures.extend(stuck(expect, judged));
    failures
}

fn callouts(expect: &Expect, judged: &Judged<'_>) -> Option<Failure> {
    let expected = expect.callouts.as_ref()?;
    let mut made = Vec::new();
    let mut last = None;
    for (at, event) in judged.in_range() {
        let Event::Hostcall(record) = event else { continue };
        for effect in &record.effects {
            if let Effect::HttpCall(call) = effect {
                let upstream = clipped(&String::from_utf8_lossy(&call.upstream), 100);
                made.push(format!("to {upstream} {}", pairs(&call.headers)));
                last = Some(at);
            }
            if let Effect::GrpcCall(call) = effect {
                let text = |bytes: &[u8]| clipped(&String::from_utf8_lossy(bytes), 100);
                made.push(format!("to {} {}/{}", text(&call.upstream), text(&call.service), text(&call.method)));
                last = Some(at);
            }
        }
    }
    if made.len() == expected.value {
        return None;
    }
    let calls =
        |count: usize| if count == 1 { "1 call was made".to_owned() } else { format!("{count} calls were made") };
    Some(Failure {
        subject: "callouts".to_owned(),
        title: format!("{}, expected {}", calls(made.len()), expected.value),
        span: Some(expected.span.clone()),
        expected: Some(expected.value.to_string()),
        actual: Some(listed(made.iter().map(String::as_str), "none")),
        hint: None,
        event: last,
    })
}

fn stuck(expect: &Expect, judged: &Judged<'_>) -> Option<Failure> {
    let expected = expect.stuck.as_ref().filter(|expected| expected.value != judged.stuck)?;
    let (title, hint) = match judged.stuck {
        true => (
            "the request is stuck: paused, and nothing is left that could resume it",
            judged.exchange.and_then(|of| super::answer::paused(judged, of)),
        ),
        false => ("the request came to its end, expected it to be stuck", None),
    };
    Some(Failure {
        subject: "stuck".to_owned(),
        title: title.to_owned(),
        span: Some(expected.span.clone()),
        expected: None,
        actual: None,
        event: hint.as_ref().map(|(at, _)| *at),
        hint: hint.map(|(_, hint)| hint),
    })
}

/// One item on each line, so that the report does not run it together; or the word for none.
pub(super) fn listed<'a>(items: impl Iterator<Item = &'a str>, none: &str) -> String {
    /// More than this nobody reads.
    const MOST: usize = 20;
    let items: Vec<&str> = items.collect();
    match items.as_slice() {
        [] => none.to_owned(),
        [one] => (*one).to_owned(),
        several => {
            let mut lines: Vec<String> = several.iter().take(MOST).map(|item| (*item).to_owned()).collect();
            if let Some(more @ 1..) = several.len().checked_sub(MOST) {
                lines.push(format!("and {more} more"));
            }
            lines.join("\n") + "\n"
        }
    }
}

/// The name most like this one, if one is like it.
pub(super) fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored =
        known.map(|known| (strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known));
    let (score, best) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score >= 0.6).then_some(best)
}
