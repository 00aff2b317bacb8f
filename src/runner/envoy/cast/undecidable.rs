//! What no real Envoy can decide, and why: cases that are about what pwtest alone has, that Envoy can't be made to do,
//! or that are not played there yet.

use super::reads;
use crate::runner::case::Job;
use crate::scenario::{ConnectEvent, Protocol, StepKind, TrapVm, Upstream};
use crate::trace::{Effect, Event, TrapKind, Value, views};
use std::time::Duration;

/// More real time than this nobody waits for.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Says why, if it is so.
pub(super) fn undecidable(job: &Job<'_>, events: &[Event], ticks: bool) -> Result<(), &'static str> {
    let bodies = job.case.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Request(request) => Some(request),
        _ => None,
    });
    for request in bodies {
        let reply = match &request.upstream {
            Upstream::Reply(reply) => reply.body.as_ref(),
            Upstream::Never(_) | Upstream::Fail(_) => None,
        };
        for body in request.body.iter().chain(reply) {
            if body.end == Some(crate::scenario::End::WithLast) && job.scenario.protocol == Protocol::Http1 {
                return Err("on HTTP/1.1 Envoy never ends a body with its last chunk");
            }
        }
        if request.abort.is_some() || request.early {
            return Err("clients that go away and origins that answer early are not played on a real Envoy yet");
        }
        let metadata = match &request.upstream {
            Upstream::Reply(reply) => !reply.metadata.is_empty(),
            Upstream::Never(_) | Upstream::Fail(_) => false,
        };
        if metadata || !request.metadata.is_empty() {
            return Err("METADATA frames are not played on a real Envoy yet");
        }
        if request.scheme != "http" {
            return Err("the client speaks plain HTTP");
        }
    }
    let mut now = 0;
    for step in &job.case.steps {
        if matches!(step.kind, StepKind::Concurrent(_)) {
            return Err("requests that are in flight together are not played on a real Envoy yet");
        }
        if matches!(step.kind, StepKind::Reconfigure { .. }) {
            return Err("a running Envoy is not given a new configuration");
        }
        if matches!(step.kind, StepKind::ForeignFunction { .. }) {
            return Err("nothing in Envoy calls proxy_on_foreign_function");
        }
        if let StepKind::Advance(duration) = &step.kind {
            now += duration.as_millis();
        }
        if let StepKind::Connect(connect) = &step.kind {
            let waits = connect.events.iter().map(|event| match event {
                ConnectEvent::Advance(duration) => duration.as_millis(),
                ConnectEvent::Data { .. } | ConnectEvent::End(_) | ConnectEvent::Reset(_) => 0,
            });
            now += waits.sum::<u128>();
        }
    }
    let several = job.scenario.plugins.iter().any(|plugin| plugin.env.len() > 1);
    if breaks_off_at_once(events) {
        return Err("a gRPC call that the callback that makes it breaks off never leaves Envoy");
    }
    if events.iter().any(|event| matches!(event, Event::Finding(finding) if finding.id == "foreign-not-modelled")) {
        return Err("pwtest does not know what Envoy's own function answers");
    }
    if calls_foreign(events).any(|called| job.scenario.foreign.iter().any(|(name, _)| called == name.value.as_bytes()))
    {
        return Err("the scenario gives a foreign function that Envoy does not have");
    }
    if several && views::hostcalls(events).any(|record| record.name == "environ_get") {
        return Err("Envoy gives environment variables in no order");
    }
    if ticks && now > LONGEST_WAIT.as_millis() {
        return Err("a timer would have to be waited for");
    }
    if job.scenario.on_trap.vm == Some(TrapVm::Rebuild) {
        return Err("Envoy rebuilds a VM by the clock only");
    }
    // Without a limit of the scenario's own, a plugin that never ends is one that hangs Envoy.
    let limited = |kind: TrapKind| match kind {
        TrapKind::OutOfFuel => job.scenario.limits.fuel.is_some(),
        TrapKind::Limit => true,
        TrapKind::Guest | TrapKind::Hostcall => false,
    };
    if views::traps(events).any(|trap| limited(trap.kind)) {
        return Err("the limits of a case are pwtest's");
    }
    if job.scenario.limits.memory.is_some() {
        return Err("the limits of a case are pwtest's");
    }
    if reads(events).any(|path| path == "xds.node") {
        return Err("Envoy's description of its own node is long, and nobody else's");
    }
    let given: Vec<&str> = job.scenario.properties.iter().map(|(path, _)| path.value.as_str()).collect();
    if !given.is_empty() && reads(events).any(|path| given.iter().any(|given| overlaps(given, &path))) {
        return Err("the scenario gives a property that Envoy knows by itself");
    }
    Ok(())
}

/// Whether a callback breaks a gRPC call off that it has made itself.
fn breaks_off_at_once(events: &[Event]) -> bool {
    let mut made = Vec::new();
    for event in events {
        match event {
            Event::CallbackLeft(_) | Event::CallbackEntered(_) => made.clear(),
            Event::Hostcall(record) => {
                for effect in &record.effects {
                    match effect {
                        Effect::GrpcCall(call) => made.push(call.id),
                        Effect::GrpcCancelled(id) if made.contains(id) => return true,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    false
}

/// The names of the foreign functions that plugins call.
fn calls_foreign(events: &[Event]) -> impl Iterator<Item = &[u8]> {
    let calls = views::hostcalls(events).filter(|record| record.name == "proxy_call_foreign_function");
    calls.filter_map(|record| match record.args.first() {
        Some(("function_name", Value::Bytes(name))) => Some(&name[..]),
        _ => None,
    })
}

fn overlaps(given: &str, path: &str) -> bool {
    let top = |text: &str| text.split('.').next().map(str::to_owned);
    top(given) == top(path)
}
