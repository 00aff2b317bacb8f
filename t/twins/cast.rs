//! Which cases can be played through sockets, and why the others can't.

use super::play::{is_refused, takes_too_long};
use pwtest::abi::{Callback, Status};
use pwtest::runner::{CaseResult, CaseStatus};
use pwtest::scenario::{Case, Request, Scenario, Step, StepKind};
use pwtest::trace::{Entry, Event, HostcallRecord, HostcallResult, TrapKind, Value};

/// Why a case is not played; `None` where it is.
pub fn reason(scenario: &Scenario, case: &Case, result: &CaseResult) -> Option<&'static str> {
    match result.status {
        CaseStatus::Passed => {}
        CaseStatus::Skipped(_) => return Some("it is skipped"),
        CaseStatus::Failed | CaseStatus::NotStarted | CaseStatus::Unseen => return Some("it does not pass in memory"),
    }
    if result.refusal.is_some() {
        return Some("the host refuses the plugin");
    }
    let last = case.steps.len().saturating_sub(1);
    if case.steps.iter().take(last).any(|step| matches!(step.kind, StepKind::Shutdown)) {
        return Some("the plugins go before the end");
    }
    given(scenario)
        .or_else(|| case.steps.iter().find_map(step))
        .or_else(|| happened(&result.events))
        .or_else(|| mixed(case))
}

/// What only a host in memory can be given.
fn given(scenario: &Scenario) -> Option<&'static str> {
    match () {
        () if !scenario.properties.is_empty() => Some("the scenario gives properties"),
        () if !scenario.foreign.is_empty() => Some("the scenario gives foreign functions"),
        () if scenario.limits.fuel.is_some() => Some("the proxy counts no fuel"),
        () => None,
    }
}

fn step(step: &Step) -> Option<&'static str> {
    match &step.kind {
        StepKind::Advance(_) => Some("virtual time passes"),
        StepKind::Admin(_) => Some("the admin API is called"),
        StepKind::Connect(_) => Some("TCP is not served"),
        StepKind::Reconfigure { .. } => Some("a plugin gets a new configuration"),
        StepKind::ForeignFunction { .. } => Some("the host calls a foreign function of the plugin"),
        StepKind::Shutdown | StepKind::Request(_) | StepKind::Concurrent(_) => {
            if !step.callouts.is_empty() {
                return Some("calls are made");
            }
            step.requests().find_map(request)
        }
    }
}

fn request(request: &Request) -> Option<&'static str> {
    match () {
        () if request.scheme != "http" => Some("TLS is not served"),
        () if !request.metadata.is_empty() => Some("METADATA frames are not served"),
        () => None,
    }
}

fn happened(events: &[Event]) -> Option<&'static str> {
    if !events.iter().any(|event| matches!(event, Event::ExchangeOpened(_))) {
        return Some("nothing is asked");
    }
    events.iter().find_map(|event| match event {
        Event::CallbackEntered(entered) if entered.callback == Entry::Callback(Callback::OnTick) => Some("timers tick"),
        Event::Trap(trap) if trap.kind == TrapKind::OutOfFuel => Some("the proxy counts no fuel"),
        Event::HostCrash { .. } => Some("the host that is imitated dies"),
        Event::Hostcall(record) if reads_addresses(record) => Some("plugins read addresses, which sockets choose"),
        Event::Hostcall(record) if calls(record) => Some("calls are made"),
        _ => None,
    })
}

fn calls(record: &HostcallRecord) -> bool {
    matches!(record.name, "proxy_http_call" | "proxy_grpc_call" | "proxy_grpc_stream")
}

fn reads_addresses(record: &HostcallRecord) -> bool {
    let path = record.args.iter().find_map(|(name, value)| match value {
        Value::Bytes(path) if *name == "path" => Some(path),
        _ => None,
    });
    let ends = ["source", "destination"].map(|end| ["address", "port"].map(|what| format!("{end}\0{what}")));
    record.result == HostcallResult::Status(Status::Ok)
        && path.is_some_and(|path| ends.iter().flatten().any(|of| path == of.as_bytes()))
}

/// An upstream that is there for some and not for others.
fn mixed(case: &Case) -> Option<&'static str> {
    let requests = || case.steps.iter().flat_map(Step::requests);
    let some_refused = requests().any(is_refused);
    if some_refused && !requests().all(is_refused) {
        return Some("the upstream is there for some requests and not for others");
    }
    // Each waits for a real clock.
    (requests().filter(|request| takes_too_long(request)).count() > 3).then_some("too many requests wait for a clock")
}
