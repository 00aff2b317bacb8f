//! The runs in memory: as the scenario is written, and once more as HTTP/1.1 has to write it.

use crate::scenarios;
use bytes::Bytes;
use pwtest::runner::{self, CaseResult, RunEvent, RunOptions};
use pwtest::scenario::{
    Body, Callout, CalloutReply, Case, Cut, Reply, Request, Scenario, SnapshotMode, StepKind, Upstream,
};

/// Every case of a scenario under each of its hosts.
pub fn run(scenario: &Scenario) -> Result<Vec<CaseResult>, String> {
    let mut results = Vec::new();
    let mut on_event = |event: &RunEvent<'_>| {
        if let RunEvent::Case(result) = event {
            results.push((*result).clone());
        }
    };
    let ran = runner::run(std::slice::from_ref(scenario), scenarios::plugins(), &RunOptions::default(), &mut on_event);
    ran.map_err(|error| error.to_string())?;
    Ok(results)
}

/// The same with a case of its own for each place where `cut: every` cuts a body, and for each byte by itself. How the end
/// comes is HTTP's affair there.
pub fn cut(mut scenario: Scenario) -> Scenario {
    let mut all = Vec::new();
    for case in &scenario.cases {
        let whole: Vec<Bytes> = every(&mut case.clone()).iter().flat_map(|body| body.chunks.clone()).collect();
        let longest = whole.iter().map(Bytes::len).max().unwrap_or(0);
        for at in 1..=longest {
            let mut case = case.clone();
            case.name = if at < longest {
                format!("{}, cut after {at}", case.name)
            } else {
                format!("{}, byte by byte", case.name)
            };
            case.snapshot = SnapshotMode::Off;
            for body in every(&mut case) {
                let bytes = body.chunks.concat();
                let chunks = if at < longest {
                    vec![bytes.get(..at), bytes.get(at..)]
                } else {
                    bytes.chunks(1).map(Some).collect()
                };
                body.chunks = chunks.into_iter().flatten().map(Bytes::copy_from_slice).collect();
                body.cut = None;
            }
            all.push(case);
        }
    }
    scenario.cases.extend(all);
    scenario
}

fn every(case: &mut Case) -> Vec<&mut Body> {
    let mut bodies = Vec::new();
    for step in &mut case.steps {
        let StepKind::Request(request) = &mut step.kind else { continue };
        bodies.extend(&mut request.body);
        if let Upstream::Reply(reply) = &mut request.upstream {
            bodies.extend(&mut reply.body);
        }
    }
    bodies.retain(|body| body.cut == Some(Cut::Every));
    bodies
}

/// The same with what an HTTP/1.1 origin has to write down: that a response has no body. Plugins that count or list
/// headers see it.
pub fn written(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    for step in scenario.cases.iter_mut().flat_map(|case| &mut case.steps) {
        request(&mut step.kind);
        callouts(&mut step.callouts);
        for item in step.items_mut() {
            request(&mut item.kind);
            callouts(&mut item.callouts);
        }
    }
    scenario
}

fn request(kind: &mut StepKind) {
    if let StepKind::Request(request) = kind
        && let Request { upstream: Upstream::Reply(reply), method, .. } = &mut **request
        && says_nothing(reply)
        && *method != "HEAD"
    {
        reply.headers.push(("content-length".into(), "0".into()));
    }
}

fn callouts(callouts: &mut [Callout]) {
    for callout in callouts {
        if let CalloutReply::Reply(reply, _) = &mut callout.reply
            && says_nothing(reply)
        {
            reply.headers.push(("content-length".into(), "0".into()));
        }
    }
}

/// Whether an answer has nothing behind its head, and does not say so.
pub fn says_nothing(reply: &Reply) -> bool {
    let framing =
        |name: &[u8]| name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding");
    reply.body.is_none()
        && reply.trailers.is_empty()
        && reply.fail.is_none()
        && !matches!(reply.status, 204 | 304)
        && !reply.headers.iter().any(|(name, _)| framing(name))
}
