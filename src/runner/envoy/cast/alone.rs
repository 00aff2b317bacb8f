//! Whether a case can share a process with others.

use super::{Rehearsal, connects, reads, start};
use crate::abi::CallbackKind;
use crate::runner::case::Job;
use crate::scenario::StepKind;
use crate::trace::{Entry, Event, HostcallResult, TrapKind, views};

/// Whether a case touches what a process has only once, or ends the process.
pub(super) fn alone(job: &Job<'_>, rehearsal: &Rehearsal) -> bool {
    let events = &rehearsal.events;
    if !rehearsal.started || !rehearsal.refused.is_empty() {
        return true;
    }
    let once = |name: &str| {
        name.contains("shared_") || name.contains("metric") || name.contains("queue") || name.contains("grpc")
    };
    let touches = views::hostcalls(events).any(|record| once(record.name));
    let reads_process = reads(events).any(|path| {
        let own = ["connection_id", "connection", "plugin_vm_id", "xds", "node", "listener", "upstream"];
        own.iter().any(|top| path.split('.').next() == Some(*top))
    });
    let start = start(events);
    let calls_early = views::http_calls(start).next().is_some();
    let start_functions = start.iter().any(|event| match event {
        Event::CallbackEntered(entered) => matches!(entered.callback, Entry::Start(_)),
        _ => false,
    });
    // Whether the request goes out beside the answer hangs on a connection that another case may have left.
    let both =
        |calls: &[&str]| ["proxy_continue_stream", "proxy_send_local_response"].iter().all(|n| calls.contains(n));
    let two_minded = events
        .split(|event| matches!(event, Event::CallbackEntered(_)))
        .any(|of| both(&views::hostcalls(of).map(|record| record.name).collect::<Vec<_>>()));
    let unanswered = views::http_calls(events).count()
        > events.iter().filter(|event| matches!(event, Event::CallAnswered { .. })).count();
    // What Envoy 1.40 was seen to die of.
    let deadly = events.iter().any(|event| match event {
        Event::Finding(finding) => {
            matches!(finding.id, "local-response-in-log" | "continue-not-paused" | "double-local-response")
        }
        _ => false,
    });
    let start_matters = job.case.all_expectations().any(|expect| {
        let callbacks = expect.actions.iter().map(|actions| actions.callback);
        callbacks.into_iter().any(|c| c.kind() == CallbackKind::Lifecycle) || expect.load.is_some()
    });
    let traps_at_start = views::traps(start).next().is_some();
    let shuts_down = job.case.steps.iter().any(|step| matches!(step.kind, StepKind::Shutdown));
    let never_ends = views::traps(events).any(|trap| trap.kind == TrapKind::OutOfFuel);
    let failed_start = views::hostcalls(start).any(|record| record.result == HostcallResult::None);
    // What nobody ends may still end in the next case.
    let stays = connects(job) && rehearsal.steps.iter().any(|run| run.stuck);
    touches
        || stays
        || reads_process
        || calls_early
        || start_functions
        || unanswered
        || two_minded
        || deadly
        || start_matters
        || traps_at_start
        || failed_start
        || never_ends
        || shuts_down
}
