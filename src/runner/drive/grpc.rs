//! The scripted gRPC services: take what plugins send, answer as planned, and judge what was sent.
//!
//! A stream is answered with the first message that it brings, or with its half-close. What ends well ends when the
//! plugin's side has ended; a service that refuses or breaks off does not wait.

use super::*;
use crate::host::{GrpcFailure, GrpcInput};
use crate::message::Headers;
use crate::runner::grpc::{self, Sent};
use crate::scenario::{GrpcEnd, GrpcReply, Reply};
use crate::trace::{Effect, GrpcCall, GrpcKind};
use std::sync::Arc;

/// A gRPC call or stream on its way.
pub(super) struct GrpcFlight {
    /// The place of its plan.
    plan: usize,
    request: Arc<GrpcCall>,
    /// As the service sees it.
    head: Headers,
    sent: Sent,
    /// When the answer begins, once it is known.
    begins: Option<u64>,
    /// The answer's end is on its way, or has come.
    ended: bool,
}

impl Driver<'_> {
    /// A call or stream meets the first plan for its service that has not been used.
    pub(super) fn grpc_call(&mut self, call: CallId, request: &Arc<GrpcCall>, head: Headers) {
        let fits = |plan: &Plan<'_>| {
            plan.callout.to.value.as_bytes() == &request.upstream[..]
                && !matches!(plan.callout.reply, CalloutReply::Fail(Fault::Unknown))
        };
        let made = |effect: &Effect| matches!(effect, Effect::GrpcCall(made) if Arc::ptr_eq(made, request));
        let planned = self.plan_for(made, fits);
        let Some(at) = planned.plan else {
            let span = self.written(planned.place).map(|step| step.span.clone());
            let failure = grpc::unplanned(request, span, self.events());
            self.fail_at_event(planned.place, vec![failure]);
            let now = self.now();
            self.schedule(now, Due::Grpc(call, GrpcInput::Failed(GrpcFailure::Refused)));
            return;
        };
        self.plans[at].used = true;
        let mut flight =
            GrpcFlight { plan: at, request: request.clone(), head, sent: Sent::default(), begins: None, ended: false };
        if let GrpcKind::Unary { message, .. } = &request.kind {
            flight.sent.messages.push(message.clone());
            flight.sent.half_closed = true;
            self.judge_grpc(&flight, true);
        }
        self.grpc_flights.insert(call, flight);
        if self.answers_at_once(at) || matches!(request.kind, GrpcKind::Unary { .. }) {
            self.begin_grpc(call);
        }
    }

    /// More of a stream.
    pub(super) fn grpc_send(&mut self, call: CallId, message: Option<Bytes>, end_of_stream: bool) {
        let Some(flight) = self.grpc_flights.get_mut(&call) else { return };
        flight.sent.messages.extend(message);
        flight.sent.half_closed |= end_of_stream;
        self.begin_grpc(call);
        self.end_grpc(call);
    }

    /// The plugin breaks it off.
    pub(super) fn grpc_cancel(&mut self, call: CallId) {
        if let Some(flight) = self.grpc_flights.get_mut(&call) {
            flight.sent.cancelled = true;
            flight.ended = true;
        }
        self.due.retain(|_, due| !matches!(due, Due::Grpc(of, _) if *of == call));
    }

    /// Whether a service answers a stream before it has seen a message.
    fn answers_at_once(&self, plan: usize) -> bool {
        match self.plans.get(plan).map(|plan| &plan.callout.reply) {
            Some(CalloutReply::Grpc(reply)) => reply.trailers_only && reply.ends_early(),
            Some(CalloutReply::Fail(fault)) => *fault != Fault::Timeout,
            // Not a gRPC service at all.
            Some(CalloutReply::Reply(_, None)) => true,
            Some(CalloutReply::Reply(_, Some(_))) | None => false,
        }
    }

    /// Schedules the answer, once.
    fn begin_grpc(&mut self, call: CallId) {
        let now = self.now();
        let Some(flight) = self.grpc_flights.get_mut(&call) else { return };
        let Some(plan) = self.plans.get(flight.plan).filter(|_| flight.begins.is_none()) else { return };
        let callout = plan.callout;
        let after = u64::try_from(callout.after.as_nanos()).unwrap_or(u64::MAX);
        let begins = now.saturating_add(after);
        flight.begins = Some(begins);
        let timeout = match flight.request.kind {
            GrpcKind::Unary { timeout_ms: timeout_ms @ 1.., .. } => Some(u64::from(timeout_ms) * 1_000_000),
            GrpcKind::Unary { .. } | GrpcKind::Stream => None,
        };
        let deadline = timeout.map(|timeout| now.saturating_add(timeout));
        let late = deadline.is_some_and(|deadline| begins >= deadline);
        match &callout.reply {
            CalloutReply::Fail(Fault::Timeout) => self.fail_grpc_at(call, deadline, GrpcFailure::TimedOut),
            _ if late => self.fail_grpc_at(call, deadline, GrpcFailure::TimedOut),
            CalloutReply::Fail(Fault::Reset) => self.fail_grpc_at(call, Some(begins), GrpcFailure::Reset),
            CalloutReply::Fail(Fault::Garbage) => self.fail_grpc_at(call, Some(begins), GrpcFailure::Garbage),
            CalloutReply::Fail(Fault::Refused | Fault::Unknown) => {
                self.fail_grpc_at(call, Some(begins), GrpcFailure::Refused);
            }
            CalloutReply::Grpc(reply) | CalloutReply::Reply(_, Some(reply)) => {
                for input in grpc::begin(reply) {
                    self.schedule(begins, Due::Grpc(call, input));
                }
                match &reply.end {
                    GrpcEnd::Fail(Fault::Timeout) => self.fail_grpc_at(call, deadline, GrpcFailure::TimedOut),
                    GrpcEnd::Fail(_) => self.fail_grpc_at(call, Some(begins), GrpcFailure::Reset),
                    GrpcEnd::Status { .. } => self.end_grpc(call),
                }
            }
            CalloutReply::Reply(reply, None) => self.plain_answer(call, begins, reply),
        }
    }

    /// A failure at its time; without one it never comes.
    fn fail_grpc_at(&mut self, call: CallId, at: Option<u64>, failure: GrpcFailure) {
        if let Some(flight) = self.grpc_flights.get_mut(&call) {
            flight.ended = true;
        }
        if let Some(at) = at {
            self.schedule(at, Due::Grpc(call, GrpcInput::Failed(failure)));
        }
    }

    /// Schedules the end of an answer that has begun, as soon as it may come.
    fn end_grpc(&mut self, call: CallId) {
        let now = self.now();
        let Some(flight) = self.grpc_flights.get_mut(&call) else { return };
        let (Some(begins), Some(plan)) = (flight.begins, self.plans.get(flight.plan)) else { return };
        let reply: &GrpcReply = match &plan.callout.reply {
            CalloutReply::Grpc(reply) | CalloutReply::Reply(_, Some(reply)) => reply,
            CalloutReply::Reply(_, None) | CalloutReply::Fail(_) => return,
        };
        if flight.ended || !(flight.sent.half_closed || reply.ends_early()) {
            return;
        }
        let Some(input) = grpc::end(reply) else { return };
        flight.ended = true;
        self.schedule(begins.max(now), Due::Grpc(call, input));
    }

    /// What a server answers that does not speak gRPC.
    fn plain_answer(&mut self, call: CallId, at: u64, reply: &Reply) {
        if let Some(flight) = self.grpc_flights.get_mut(&call) {
            flight.ended = true;
        }
        for part in message::response(reply, Protocol::H2, None, false, false) {
            let input = match part {
                Part::Headers { headers, end_of_stream } => GrpcInput::Headers { headers, end_of_stream },
                Part::Data { bytes, end_of_stream } => GrpcInput::Data { bytes, end_of_stream },
                Part::Trailers(trailers) => GrpcInput::Trailers(trailers),
                Part::Reset => GrpcInput::Failed(GrpcFailure::Reset),
                Part::Metadata(_) => continue,
            };
            self.schedule(at, Due::Grpc(call, input));
        }
        if reply.fail.is_some() {
            self.schedule(at, Due::Grpc(call, GrpcInput::Failed(GrpcFailure::Reset)));
        }
    }

    /// Judges what streams brought, and how everything ended; calls have been judged when they were made.
    pub(super) fn judge_streams(&mut self) {
        for (_, flight) in std::mem::take(&mut self.grpc_flights) {
            if matches!(flight.request.kind, GrpcKind::Stream) {
                self.judge_grpc(&flight, true);
            }
            self.judge_grpc(&flight, false);
        }
    }

    /// What was sent, or how it ended.
    fn judge_grpc(&mut self, flight: &GrpcFlight, messages: bool) {
        let Some(plan) = self.plans.get(flight.plan) else { return };
        let (callout, place) = (plan.callout, plan.place);
        let mut failures = Vec::new();
        if messages {
            let expected = callout.expect.iter();
            failures.extend(expected.flat_map(|expected| grpc::judge(expected, &flight.head, &flight.sent)));
            failures.extend(grpc::judge_messages(callout, &flight.sent));
        } else {
            failures.extend(grpc::judge_end(callout, &flight.sent));
        }
        self.fail_at_event(place, failures);
    }

    fn fail_at_event(&mut self, place: Place, mut failures: Vec<Failure>) {
        let at = self.events().checked_sub(1);
        for failure in &mut failures {
            failure.event = failure.event.or(at);
        }
        self.fail(place, failures);
    }
}
