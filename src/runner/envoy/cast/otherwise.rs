//! The same case once more in memory, with everything that nobody promises changed: the clock, ports, how long things
//! take. What holds in one of the two runs only is chance, and is not judged on a real Envoy.

use super::servers::{origin, served};
use super::{Rehearsal, Served};
use crate::diagnostic::Span;
use crate::host::profile::{self, Profile};
use crate::runner::Plugins;
use crate::runner::case::{self, Job};
use crate::runner::envoy::config::Origin;
use crate::scenario::{CalloutReply, ConnectEvent, PropertyValue, Reply, Spanned, StepKind, Upstream};
use std::borrow::Cow;
use std::time::Duration;

/// Envoy's profile, with another time in the one header that has one.
static LATER: Profile =
    Profile { added_call_response_headers: &[("x-envoy-upstream-service-time", "1")], ..profile::ENVOY };

/// How much later a timer may come than in memory.
const SLACK: Duration = Duration::from_millis(25);

/// Runs a case in memory where everything that nobody promises is otherwise.
pub fn rehearse_otherwise(job: &Job<'_>, rehearsal: &Rehearsal, plugins: &Plugins) -> Rehearsal {
    let mut scenario = job.scenario.clone();
    scenario.clock_ns = scenario.clock_ns.wrapping_add(987_654_321_987_654_000);
    scenario.seed = scenario.seed.wrapping_add(1);
    let text = |path: &str, value: &str| (path.to_owned(), PropertyValue::Bytes(value.to_owned().into()));
    let int = |path: &str| (path.to_owned(), PropertyValue::Int(1_234_567));
    let others = [
        text("source.address", "127.0.0.1:51234"),
        text("destination.address", "127.0.0.1:11234"),
        text("upstream.address", "127.0.0.1:8181"),
        text("upstream.local_address", "127.0.0.1:51235"),
        int("source.port"),
        int("destination.port"),
        int("upstream.port"),
        int("request.time"),
        int("request.duration"),
        int("response.backend_latency"),
        int("upstream.cx_pool_ready_duration"),
        int("connection_id"),
        int("connection.id"),
        text("xds.node", "another"),
    ];
    for (path, value) in others {
        if scenario.properties.iter().all(|(given, _)| given.value != path) {
            scenario.properties.push((Spanned { value: path, span: 0..0 }, value));
        }
    }
    let mut case = job.case.clone().into_owned();
    for (index, step) in case.steps.iter_mut().enumerate() {
        match &mut step.kind {
            StepKind::Advance(duration) => *duration += SLACK,
            StepKind::Request(request) => {
                let way = origin(job.scenario.protocol, request, index, rehearsal);
                if let (Upstream::Reply(reply), Origin::Http1) = (&mut request.upstream, way) {
                    announce(reply);
                }
            }
            StepKind::Connect(connect) => {
                for event in &mut connect.events {
                    if let ConnectEvent::Advance(duration) = event {
                        *duration += SLACK;
                    }
                }
            }
            StepKind::Reconfigure { .. }
            | StepKind::ForeignFunction { .. }
            | StepKind::Concurrent(_)
            | StepKind::Admin(_)
            | StepKind::Shutdown => {}
        }
        for callout in &mut step.callouts {
            let way = served(&callout.reply, &callout.to.value, &rehearsal.events, false);
            if let (CalloutReply::Reply(reply, _), Served::By { http2: false }) = (&mut callout.reply, way) {
                announce(reply);
            }
        }
    }
    let (host, store) = (job.host.clone(), job.store);
    let other =
        Job { scenario: &scenario, case: Cow::Owned(case), profile: &LATER, host, store, gateway: None, real: None };
    case::rehearse(&other, plugins)
}

/// HTTP/1.1 announces that there is no body.
fn announce(reply: &mut Reply) {
    let known = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
    if reply.body.is_none() && !known {
        reply.headers.push(("content-length".into(), "0".into()));
    }
}

/// What holds in one run and not in the other.
pub(super) fn shaky(rehearsal: &Rehearsal, otherwise: &Rehearsal) -> Vec<Span> {
    let spans = |of: &Rehearsal| of.failures.iter().filter_map(|f| f.span.clone()).collect::<Vec<Span>>();
    let always = spans(rehearsal);
    spans(otherwise).into_iter().filter(|span| !always.contains(span)).collect()
}
