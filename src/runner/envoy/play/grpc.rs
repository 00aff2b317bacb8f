//! gRPC calls and streams: each meets its plan as in memory, and is answered piece by piece.

use super::*;
use crate::host::{GrpcFailure, GrpcInput};
use crate::message::{Headers, Part};
use crate::runner::grpc;
use crate::runner::message;
use crate::scenario::{Callout, CalloutReply, Failure as Fault, GrpcEnd, GrpcReply, Protocol, Reply, SentEnd};
use crate::trace::{GrpcCall, GrpcKind};

/// A call or stream that has been taken up.
#[derive(Default)]
pub(super) struct Flow {
    plan: Option<usize>,
    begins: Option<u64>,
    ended: bool,
    timed_out: bool,
    /// The service's side is over.
    over: bool,
}

impl<'a> Player<'a> {
    /// What has arrived meets its plan, and what its plan waits for moves it on.
    pub(super) fn plan_services(&mut self) {
        let count = self.stage.scene.borrow().services.len();
        for at in 0..count {
            if at >= self.flows.len() {
                self.meet(at);
            }
            self.move_on(at);
        }
    }

    fn meet(&mut self, at: usize) {
        let Some(call) = self.arrived(at) else { return };
        let fits = |plan: &Plan<'_>| {
            !plan.used
                && plan.callout.to.value.as_bytes() == &call.upstream[..]
                && !matches!(plan.callout.reply, CalloutReply::Fail(Fault::Unknown))
        };
        let mut found = self.plans.iter().position(fits);
        if found.is_none() && !self.begun {
            // Plugins start three times, and call each time.
            found = self.plans.iter().position(|plan| plan.callout.to.value.as_bytes() == &call.upstream[..]);
        }
        let mut flow = Flow { plan: found, ..Flow::default() };
        match found.and_then(|found| self.plans.get_mut(found)) {
            Some(plan) => plan.used = true,
            None => {
                let step = self.steps.len().saturating_sub(1);
                let span = self.cast.case.steps.get(step).map(|s| s.span.clone());
                let failure = grpc::unplanned(&call, span, self.tracer.events.len());
                if let Some(run) = self.steps.get_mut(step) {
                    run.failures.push(failure);
                }
                flow.ended = true;
                self.schedule(self.now_ns, Due::Grpc(at, GrpcInput::Failed(GrpcFailure::Refused)));
            }
        }
        self.flows.push(flow);
    }

    /// The call as far as its head says it.
    fn arrived(&self, at: usize) -> Option<GrpcCall> {
        let scene = self.stage.scene.borrow();
        let arrived = scene.services.get(at)?;
        Some(call_of(&arrived.upstream, &arrived.headers))
    }

    fn move_on(&mut self, at: usize) {
        let (sent, gone) = {
            let scene = self.stage.scene.borrow();
            let Some(arrived) = scene.services.get(at) else { return };
            (arrived.sent.clone(), arrived.gone)
        };
        let Some(call) = self.arrived(at) else { return };
        let (now, Some(flow)) = (self.now_ns, self.flows.get(at)) else { return };
        if gone && !flow.over && !flow.timed_out && !sent.cancelled {
            // Only the plugin can have broken it off.
            if let Some(flow) = self.flows.get_mut(at) {
                flow.ended = true;
            }
            if let Some(arrived) = self.stage.scene.borrow_mut().services.get_mut(at) {
                arrived.sent.cancelled = true;
            }
            self.due.retain(|_, due| !matches!(due, Due::Grpc(of, _) | Due::GrpcTimeout(of) if *of == at));
            return;
        }
        let Some(callout) = flow.plan.and_then(|plan| self.plans.get(plan)).map(|plan| plan.callout) else { return };
        let unary = matches!(call.kind, GrpcKind::Unary { .. });
        let due = if unary { sent.half_closed } else { !sent.messages.is_empty() || sent.half_closed };
        if flow.begins.is_none() && (due || at_once(&callout.reply)) {
            self.begin(at, callout, &call);
        }
        let Some(flow) = self.flows.get_mut(at).filter(|flow| !flow.ended) else { return };
        let (Some(begins), Some(reply)) = (flow.begins, reply_of(&callout.reply)) else { return };
        if (sent.half_closed || reply.ends_early())
            && let Some(input) = grpc::end(reply)
        {
            flow.ended = true;
            self.schedule(begins.max(now), Due::Grpc(at, input));
        }
    }

    /// A piece is on its way.
    pub(super) fn answered(&mut self, at: usize, input: &GrpcInput) {
        let last = match input {
            GrpcInput::Headers { end_of_stream, .. } | GrpcInput::Data { end_of_stream, .. } => *end_of_stream,
            GrpcInput::Trailers(_) | GrpcInput::Failed(_) => true,
        };
        if let Some(flow) = self.flows.get_mut(at) {
            flow.over |= last;
        }
    }

    fn begin(&mut self, at: usize, callout: &'a Callout, call: &GrpcCall) {
        let now = self.now_ns;
        let begins = now.saturating_add(u64::try_from(callout.after.as_nanos()).unwrap_or(u64::MAX));
        if let Some(flow) = self.flows.get_mut(at) {
            flow.begins = Some(begins);
        }
        let deadline = match call.kind {
            GrpcKind::Unary { timeout_ms: timeout_ms @ 1.., .. } => {
                Some(now.saturating_add(u64::from(timeout_ms) * 1_000_000))
            }
            GrpcKind::Unary { .. } | GrpcKind::Stream => None,
        };
        let late = deadline.is_some_and(|deadline| begins >= deadline);
        let fails = |failure| (Some(begins), Due::Grpc(at, GrpcInput::Failed(failure)));
        let (when, end) = match &callout.reply {
            CalloutReply::Fail(Fault::Timeout) => (deadline, Due::GrpcTimeout(at)),
            _ if late => (deadline, Due::GrpcTimeout(at)),
            CalloutReply::Fail(Fault::Garbage) => fails(GrpcFailure::Garbage),
            CalloutReply::Fail(Fault::Reset | Fault::Refused | Fault::Unknown) => fails(GrpcFailure::Reset),
            CalloutReply::Grpc(reply) | CalloutReply::Reply(_, Some(reply)) => {
                for input in grpc::begin(reply) {
                    self.schedule(begins, Due::Grpc(at, input));
                }
                match &reply.end {
                    GrpcEnd::Fail(Fault::Timeout) => (deadline, Due::GrpcTimeout(at)),
                    GrpcEnd::Fail(_) => fails(GrpcFailure::Reset),
                    GrpcEnd::Status { .. } => return,
                }
            }
            CalloutReply::Reply(reply, None) => {
                self.plain(at, begins, reply);
                if reply.fail.is_none() {
                    if let Some(flow) = self.flows.get_mut(at) {
                        flow.ended = true;
                    }
                    return;
                }
                fails(GrpcFailure::Reset)
            }
        };
        if let Some(flow) = self.flows.get_mut(at) {
            flow.ended = true;
            flow.timed_out = matches!(end, Due::GrpcTimeout(_));
        }
        if let Some(when) = when {
            self.schedule(when, end);
        }
    }

    fn plain(&mut self, at: usize, when: u64, reply: &Reply) {
        for part in message::response(reply, Protocol::H2, None, false, false) {
            let input = match part {
                Part::Headers { headers, end_of_stream } => GrpcInput::Headers { headers, end_of_stream },
                Part::Data { bytes, end_of_stream } => GrpcInput::Data { bytes, end_of_stream },
                Part::Trailers(trailers) => GrpcInput::Trailers(trailers),
                Part::Reset | Part::Metadata(_) => continue,
            };
            self.schedule(when, Due::Grpc(at, input));
        }
    }

    /// Judges what was sent, and how everything ended.
    pub(super) fn judge_services(&mut self) {
        let scene = self.stage.scene.borrow();
        for (arrived, flow) in scene.services.iter().zip(&self.flows) {
            let Some(plan) = flow.plan.and_then(|plan| self.plans.get(plan)) else { continue };
            let sent = arrived.sent.clone();
            let expected = plan.callout.expect.iter();
            let mut failures: Vec<_> =
                expected.flat_map(|expected| grpc::judge(expected, &seen_head(&arrived.headers), &sent)).collect();
            failures.extend(grpc::judge_messages(plan.callout, &sent));
            let ends = plan.callout.sent.as_ref().and_then(|sent| sent.ends.as_ref());
            match ends {
                Some(ends) if ends.value == SentEnd::Cancel && flow.over && sent.half_closed => {
                    let why = "when both sides have ended, nothing is left to be seen broken off".to_owned();
                    self.unseen.push(Unseen { what: "callout.ends".to_owned(), why, span: Some(ends.span.clone()) });
                }
                _ => failures.extend(grpc::judge_end(plan.callout, &sent)),
            }
            if let Some(run) = self.steps.get_mut(plan.step) {
                run.failures.extend(failures);
            }
        }
    }
}

fn reply_of(reply: &CalloutReply) -> Option<&GrpcReply> {
    match reply {
        CalloutReply::Grpc(reply) | CalloutReply::Reply(_, Some(reply)) => Some(reply),
        CalloutReply::Reply(_, None) | CalloutReply::Fail(_) => None,
    }
}

/// Whether a service answers a stream before it has seen a message.
fn at_once(reply: &CalloutReply) -> bool {
    match reply {
        CalloutReply::Grpc(reply) => reply.trailers_only && reply.ends_early(),
        CalloutReply::Fail(fault) => *fault != Fault::Timeout,
        CalloutReply::Reply(_, None) => true,
        CalloutReply::Reply(_, Some(_)) => false,
    }
}

/// The head without what Envoy adds for its own sake.
fn seen_head(headers: &Headers) -> Headers {
    let own = [&b"x-envoy-internal"[..], b"x-envoy-expected-rq-timeout-ms"];
    headers.iter().filter(|(name, _)| !own.contains(&&name[..])).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn call_of(upstream: &str, headers: &Headers) -> GrpcCall {
    let path = headers.get(b":path").map(|path| String::from_utf8_lossy(path).into_owned()).unwrap_or_default();
    let (service, method) = path.strip_prefix('/').unwrap_or(&path).split_once('/').unwrap_or((&path, ""));
    let timeout = headers.get(b"grpc-timeout").map(|value| String::from_utf8_lossy(value).into_owned());
    let kind = match timeout {
        Some(text) => {
            let number: u64 = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().unwrap_or(0);
            let milliseconds = if text.ends_with('S') { number.saturating_mul(1000) } else { number };
            let timeout_ms = u32::try_from(milliseconds).unwrap_or(u32::MAX);
            GrpcKind::Unary { message: Bytes::new(), timeout_ms }
        }
        None => GrpcKind::Stream,
    };
    GrpcCall {
        id: crate::abi::CallId(0),
        upstream: Bytes::from(upstream.to_owned()),
        service: Bytes::from(service.to_owned()),
        method: Bytes::from(method.to_owned()),
        metadata: Vec::new(),
        kind,
    }
}
