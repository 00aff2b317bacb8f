//! Which cases can be played through sockets, and why the others can't. Nobody is left out for what he does: only for
//! what the served proxy does not have.

use super::plan;
use super::play::{is_refused, takes_too_long};
use super::services::are_clear;
use pwtest::abi::Status;
use pwtest::host::profile::Profile;
use pwtest::runner::{CaseResult, CaseStatus};
use pwtest::scenario::{Case, Request, Scenario, Spanned, Step, StepKind};
use pwtest::trace::{Event, HostcallRecord, HostcallResult, TrapKind, Value};

/// Why a case is not played; `None` where it is.
pub fn reason(
    scenario: &Scenario,
    case: &Case,
    profile: &'static Profile,
    result: &CaseResult,
) -> Option<&'static str> {
    match result.status {
        CaseStatus::Passed => {}
        CaseStatus::Skipped(_) => return Some("it is skipped"),
        CaseStatus::Failed | CaseStatus::NotStarted | CaseStatus::Unseen => return Some("it does not pass in memory"),
    }
    given(scenario)
        .or_else(|| case.steps.iter().find_map(step))
        .or_else(|| happened(scenario, &result.events))
        .or_else(|| mixed(case))
        .or_else(|| services(case, profile, result))
}

/// What only a host in memory can be given.
fn given(scenario: &Scenario) -> Option<&'static str> {
    match () {
        // By addresses requests are routed, and those of sockets can't be chosen.
        () if scenario.gateway.is_some() && !scenario.properties.is_empty() => Some("a gateway is given properties"),
        () if scenario.limits.fuel.is_some() => Some("the proxy counts no fuel"),
        () => None,
    }
}

fn step(step: &Step) -> Option<&'static str> {
    match &step.kind {
        StepKind::Connect(_) => Some("TCP is not served"),
        // There the clock is the system's.
        StepKind::Admin(call) if call.target.value.contains("ttl=") => Some("objects of the admin API expire"),
        StepKind::Admin(_)
        | StepKind::Advance(_)
        | StepKind::Reconfigure { .. }
        | StepKind::ForeignFunction { .. }
        | StepKind::Shutdown
        | StepKind::Request(_)
        | StepKind::Concurrent(_) => step.requests().find_map(request),
    }
}

fn request(request: &Request) -> Option<&'static str> {
    match () {
        () if request.scheme != "http" => Some("TLS is not served"),
        () if !request.metadata.is_empty() => Some("METADATA frames are not served"),
        () => None,
    }
}

fn happened(scenario: &Scenario, events: &[Event]) -> Option<&'static str> {
    let given =
        |(path, _): &(Spanned<String>, _)| path.value.starts_with("source") || path.value.starts_with("destination");
    let addresses = scenario.properties.iter().any(given);
    events.iter().find_map(|event| match event {
        Event::Trap(trap) if trap.kind == TrapKind::OutOfFuel => Some("the proxy counts no fuel"),
        Event::Hostcall(record) if !addresses && reads_addresses(record) => {
            Some("plugins read addresses, which sockets choose")
        }
        _ => None,
    })
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

/// Upstreams of calls that are each one server.
fn services(case: &Case, profile: &'static Profile, result: &CaseResult) -> Option<&'static str> {
    let calls = plan::calls(case, profile, &result.events);
    (!are_clear(&calls)).then_some("a service is there for some calls and not for others")
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
