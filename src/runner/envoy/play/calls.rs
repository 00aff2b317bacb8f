//! Calls of plugins: each meets its plan as in memory, and what is planned happens when its time has come.

use super::*;
use crate::host::GrpcInput;
use crate::runner::envoy::stage::{Answer, Scene};
use crate::scenario::{Callout, CalloutReply, Failure as Fault};

/// An answer that the scenario plans.
pub(super) struct Plan<'a> {
    pub(super) callout: &'a Callout,
    pub(super) step: usize,
    pub(super) used: bool,
}

/// What happens to a call when its time has come.
pub(super) enum Due {
    Answer(usize, Answer),
    /// Envoy's own timer ends this call.
    Timeout(usize),
    /// A piece of a gRPC service's answer.
    Grpc(usize, GrpcInput),
    /// Envoy's own timer ends this gRPC call.
    GrpcTimeout(usize),
}

impl<'a> Player<'a> {
    /// Every call that has arrived meets the first plan for its upstream that has not been used.
    pub(super) fn plan_calls(&mut self) {
        self.plan_services();
        let step = self.steps.len().saturating_sub(1);
        while let Some((at, call, copy)) = self.next_call() {
            let planned = |plan: &&mut Plan<'_>| plan.callout.to.value.as_bytes() == &call.upstream[..];
            let unused = self.plans.iter_mut().find(|plan| planned(plan) && plan.used == copy);
            let Some(plan) = unused else {
                if copy {
                    self.schedule(self.now_ns, Due::Answer(at, Answer::Reset));
                    continue;
                }
                let span = self.cast.case.steps.get(step).map(|s| s.span.clone());
                let failure = verdict::unplanned_call(&call, span, self.tracer.events.len());
                if let Some(run) = self.steps.get_mut(step) {
                    run.failures.push(failure);
                }
                self.schedule(self.now_ns, Due::Answer(at, Answer::Reset));
                continue;
            };
            plan.used = true;
            let (callout, planned_in) = (plan.callout, plan.step);
            if let (Some(expected), false) = (&callout.expect, copy) {
                let failures = verdict::judge_call(expected, &call, self.tracer.events.len());
                if let Some(run) = self.steps.get_mut(planned_in) {
                    run.failures.extend(failures);
                }
            }
            let after = u64::try_from(callout.after.as_nanos()).unwrap_or(u64::MAX);
            let timeout = u64::from(call.timeout_ms) * 1_000_000;
            let times_out = timeout > 0 && after >= timeout;
            let (delay, due) = match &callout.reply {
                CalloutReply::Fail(Fault::Timeout) if timeout == 0 => continue,
                CalloutReply::Fail(Fault::Timeout) => (timeout, Due::Timeout(at)),
                _ if times_out => (timeout, Due::Timeout(at)),
                CalloutReply::Reply(reply, _) => {
                    (after, Due::Answer(at, Answer::Reply(Box::new(reply.clone()), false)))
                }
                CalloutReply::Fail(Fault::Garbage) => (after, Due::Answer(at, Answer::Garbage)),
                CalloutReply::Grpc(_) | CalloutReply::Fail(Fault::Reset | Fault::Refused | Fault::Unknown) => {
                    (after, Due::Answer(at, Answer::Reset))
                }
            };
            self.schedule(self.now_ns.saturating_add(delay), due);
        }
    }

    /// The next call that has arrived, in the order in which plugins made them in memory: on the wire two calls of one
    /// callback overtake each other.
    fn next_call(&mut self) -> Option<(usize, HttpCall, bool)> {
        let rehearsed: Vec<_> = self.cast.calls().collect();
        let mut scene = self.stage.scene.borrow_mut();
        let waiting: Vec<usize> =
            scene.calls.iter().enumerate().filter(|(_, c)| c.complete && !c.planned).map(|(at, _)| at).collect();
        let Some(first) = waiting.first().copied() else {
            self.early_since = None;
            return None;
        };
        let due = rehearsed.get(self.order.len()).map(|call| (call.upstream.clone(), path(call)));
        let fits = |at: &usize| {
            let call = scene.calls.get(*at).map(|call| (call.call.upstream.clone(), path(&call.call)));
            call.is_some() && call == due
        };
        let mut found = waiting.iter().copied().find(fits);
        let mut copy = false;
        if found.is_none() {
            // Plugins start three times, and call each time; one of them is the worker's.
            let made = self.cast.calls_at_start();
            let started = |at: &usize| {
                let call = scene.calls.get(*at).map(|call| (call.call.upstream.clone(), path(&call.call)));
                rehearsed.iter().take(made).any(|known| call == Some((known.upstream.clone(), path(known))))
            };
            found = waiting.iter().copied().find(started);
            copy = found.is_some();
        }
        if found.is_none() {
            let since = *self.early_since.get_or_insert_with(Instant::now);
            if due.is_some() && since.elapsed() < SHORT_PATIENCE {
                return None;
            }
            found = Some(first);
        }
        self.early_since = None;
        let at = found?;
        let call = scene.calls.get_mut(at)?;
        call.planned = true;
        let call = call.call.clone();
        drop(scene);
        if !copy {
            self.order.push(at);
        }
        Some((at, call, copy))
    }

    pub(super) fn schedule(&mut self, at: u64, due: Due) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), due);
    }

    pub(super) async fn fire(&mut self, at: u64, due: Due) -> Result<(), EnvoyError> {
        if self.cast.ticks && at > self.now_ns {
            let wait = Duration::from_nanos(at - self.now_ns).min(Duration::from_secs(1));
            if matches!(due, Due::Answer(..) | Due::Grpc(..)) {
                self.watch(tokio::time::sleep(wait)).await?;
            }
        }
        self.now_ns = self.now_ns.max(at);
        match due {
            Due::Answer(call, answer) => self.stage.release(call, answer),
            Due::Grpc(call, input) => {
                self.answered(call, &input);
                // Nobody listens where Envoy has given up.
                let lead = self.stage.scene.borrow().services.get(call).map(|call| call.lead.clone());
                let _ = lead.map(|lead| lead.send(input));
            }
            // Envoy's own timer runs by the clock on the wall.
            Due::GrpcTimeout(call) => {
                self.wait_while(|scene| scene.services.get(call).is_some_and(|call| !call.gone)).await?;
            }
            Due::Timeout(call) => {
                self.stage.release(call, Answer::Silence);
                self.wait_while(|scene| scene.calls.get(call).is_some_and(|call| !call.gone)).await?;
            }
        }
        Ok(())
    }

    async fn wait_while(&mut self, holds: impl Fn(&Scene) -> bool) -> Result<(), EnvoyError> {
        let until = Instant::now() + LONGEST_STEP;
        while Instant::now() < until && holds(&self.stage.scene.borrow()) {
            self.watch(tokio::time::sleep(Duration::from_millis(5))).await?;
        }
        Ok(())
    }
}

/// What a call asks for.
fn path(call: &HttpCall) -> Option<Bytes> {
    call.headers.iter().find(|(name, _)| name == ":path").map(|(_, value)| value.clone())
}
