//! The other ends: the scripted origin, the upstreams of calls, and what is left over when a case is over.

use super::*;
use crate::scenario::{Abort, Reply};
use crate::trace::Effect;
use crate::trace::views;
use std::sync::Arc;

impl Driver<'_> {
    /// The scripted origin gets a piece of a request, and answers when it has all of it.
    pub(super) fn upstream(&mut self, exchange: ExchangeId, part: &Part) {
        let Some(flight) = self.flights.get(&exchange) else { return };
        let (Traffic::Request(request), place) = (flight.traffic, flight.place) else { return };
        let refused = matches!(request.upstream, Upstream::Fail(Fault::Refused | Fault::Unknown));
        if !self.goes_out(exchange, part, refused) {
            return;
        }
        let begins = matches!(part, Part::Headers { .. });
        let complete = matches!(
            part,
            Part::Headers { end_of_stream: true, .. } | Part::Data { end_of_stream: true, .. } | Part::Trailers(_)
        );
        if begins && let Upstream::Never(span) = &request.upstream {
            let failure = verdict::reached_upstream(span.clone(), self.events());
            self.fail(place, [failure]);
        }
        let Some(flight) = self.flights.get_mut(&exchange) else { return };
        if begins && refused {
            flight.answered = true;
            if !self.node_failed(exchange, Fault::Refused) {
                self.host.upstream_refused(exchange);
            }
            return;
        }
        if !(complete || (begins && request.early)) || flight.answered {
            return;
        }
        flight.answered = true;
        // A client that is to go away before the answer gets none.
        if request.abort == Some(Abort::Wait) {
            return;
        }
        let turns = match &request.upstream {
            Upstream::Reply(reply) => self.turns_of(request, reply),
            Upstream::Never(_) => self.turns_of(request, &Reply::default()),
            Upstream::Fail(Fault::Timeout) => vec![Turn::TimesOut],
            Upstream::Fail(Fault::Garbage) => vec![Turn::Garbage],
            Upstream::Fail(Fault::Reset | Fault::Refused | Fault::Unknown) => vec![Turn::Resets],
        };
        self.origin(exchange, turns, !complete);
    }

    pub(super) fn times_out(&mut self, exchange: ExchangeId) {
        let patience = self.patience_ns(exchange).unwrap_or(ROUTE_TIMEOUT_NS);
        let at = self.now().saturating_add(patience);
        self.schedule(at, Due::UpstreamTimeout(exchange));
    }

    /// The upstream took too long: before it began to answer, or in the middle of it.
    pub(super) fn timed_out(&mut self, exchange: ExchangeId) {
        let begun = match self.flights.get(&exchange).map(|flight| flight.traffic) {
            Some(Traffic::Request(request)) => !matches!(request.upstream, Upstream::Fail(_)),
            Some(Traffic::Connect(_)) | None => true,
        };
        if begun || !self.node_failed(exchange, Fault::Timeout) {
            self.host.upstream_timed_out(exchange);
        }
    }

    /// A plugin's call meets the first plan for its upstream that has not been used.
    pub(super) fn call(&mut self, call: CallId, request: &Arc<HttpCall>) {
        let known = self.host.world().profile.knows_upstreams;
        let fits = |plan: &Plan<'_>| {
            let fails_at_once = known && matches!(plan.callout.reply, CalloutReply::Fail(Fault::Unknown));
            // What only a gRPC service answers is not for this call.
            !fails_at_once && !plan.callout.is_grpc() && plan.callout.to.value.as_bytes() == &request.upstream[..]
        };
        let made = |effect: &Effect| matches!(effect, Effect::HttpCall(made) if Arc::ptr_eq(made, request));
        let planned = self.plan_for(made, fits);
        let Some(plan) = planned.plan.and_then(|at| self.plans.get_mut(at)) else {
            let span = self.written(planned.place).map(|step| step.span.clone());
            let failure = verdict::unplanned_call(request, span, self.events());
            self.fail(planned.place, [failure]);
            let now = self.now();
            self.schedule(now, Due::Answer(call, CallResult::Refused));
            return;
        };
        plan.used = true;
        let (callout, place) = (plan.callout, plan.place);
        if let Some(expected) = &callout.expect {
            let failures = verdict::judge_call(expected, request, self.events());
            self.fail(place, failures);
        }
        let after = u64::try_from(callout.after.as_nanos()).unwrap_or(u64::MAX);
        let timeout_ms = match request.timeout_ms {
            0 => self.host.world().profile.default_call_timeout_ms.unwrap_or(0),
            given => given,
        };
        let timeout = u64::from(timeout_ms) * 1_000_000;
        let now = self.now();
        let timed_out = timeout_ms > 0 && after >= timeout;
        let result = match &callout.reply {
            CalloutReply::Fail(Fault::Timeout) if timeout_ms == 0 => return,
            CalloutReply::Fail(Fault::Timeout) => CallResult::TimedOut,
            _ if timed_out => CallResult::TimedOut,
            CalloutReply::Reply(Reply { fail: Some(Fault::Timeout), .. }, _) if request.timeout_ms == 0 => return,
            CalloutReply::Reply(Reply { fail: Some(_), .. }, _) => CallResult::ResetInResponse,
            CalloutReply::Reply(reply, _) => {
                let added = self.host.world().profile.added_call_response_headers;
                let (headers, body, trailers) = message::call_response(reply, added);
                CallResult::Response { headers, body, trailers }
            }
            CalloutReply::Fail(Fault::Reset) => CallResult::ResetBeforeResponse,
            CalloutReply::Fail(Fault::Garbage) => CallResult::Garbage,
            CalloutReply::Grpc(_) | CalloutReply::Fail(Fault::Refused | Fault::Unknown) => CallResult::Refused,
        };
        let times_out = matches!(callout.reply, CalloutReply::Reply(Reply { fail: Some(Fault::Timeout), .. }, _));
        let delay = if times_out || matches!(result, CallResult::TimedOut) { timeout } else { after };
        self.schedule(now.saturating_add(delay), Due::Answer(call, result));
    }

    /// Contexts that held up their end and never came to it.
    fn note_undeleted(&mut self) {
        for plugin in views::undeleted(self.host.world().recorder.events()) {
            self.host.world_mut().finding(
                "context-not-deleted",
                Some(plugin),
                "on_done returned false, and proxy_done was never called: the context stays for ever, and a host that \
                 replaces a configuration keeps the old one; call proxy_done when the work is finished, or return true",
            );
        }
        let end = self.events();
        if let Some(run) = self.steps.last_mut() {
            // So that it can be expected.
            run.range.end = end;
        }
    }

    /// What is left over at the end of the case.
    pub(super) fn finish(&mut self) {
        self.note_undeleted();
        let kind = |traffic: Traffic<'_>| match traffic {
            Traffic::Request(_) => verdict::Stream::Http,
            Traffic::Connect(_) => verdict::Stream::Tcp,
        };
        let open: Vec<_> = self.flights.iter().map(|(id, flight)| (*id, flight.place, kind(flight.traffic))).collect();
        for (exchange, place, kind) in open {
            let paused = self.host.paused_at(exchange);
            let asked = |expect: &Option<Expect>| expect.as_ref().is_some_and(Expect::speaks_of_stuck);
            let said = |place: Place| self.written(place).is_some_and(|step| asked(&step.expect));
            let expected = asked(&self.case.expect) || said(place) || said(Place::of(place.step));
            let at = self.events();
            let names = self.names();
            if let Some((plugin, direction)) = paused {
                let what = kind.direction(direction);
                self.host.world_mut().finding(
                    "paused-without-resume",
                    Some(plugin),
                    format!(
                        "the {what} stayed paused when nothing was left that could resume it: no call, no tick; every \
                         Pause needs somebody who calls continue_stream or answers"
                    ),
                );
            }
            let span = self.written(place).map(|step| step.span.clone());
            // With the finding, so that it can be expected.
            self.set_stuck(place, self.events());
            if !expected {
                self.fail(place, [verdict::stuck(kind, paused, &names, span, at)]);
            }
        }
        self.judge_streams();
        let unknown_left = self.host.world().unknown_upstreams.clone();
        let mut unused_plans = Vec::new();
        for plan in &self.plans {
            let known = self.host.world().profile.knows_upstreams;
            let fails_at_once = known && matches!(plan.callout.reply, CalloutReply::Fail(Fault::Unknown));
            let unused = if fails_at_once {
                unknown_left.iter().any(|name| &name[..] == plan.callout.to.value.as_bytes())
            } else {
                !plan.used
            };
            // Where a host has no gRPC, such a call can't be made.
            let possible = self.host.world().profile.grpc.is_some() || !plan.callout.is_grpc();
            if unused && possible {
                unused_plans.push((plan.place, verdict::call_not_made(plan.callout)));
            }
        }
        for (place, failure) in unused_plans {
            self.fail(place, [failure]);
        }
    }
}
