//! The calls that plugins made in memory, each with the answer that the scenario planned for it.
//!
//! A call meets the first plan for its upstream that has not been used: of its own request, where requests are in flight
//! together, before those of the step. That is the runner's rule; the trace does not say which plan it was.

use bytes::Bytes;
use pwtest::abi::{CallId, ExchangeId, PluginIndex, Status};
use pwtest::host::profile::Profile;
use pwtest::scenario::{Callout, CalloutReply, Case, Failure, Reply, Step};
use pwtest::trace::{Effect, Event, GrpcCall, GrpcKind, HostcallResult, HttpCall, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a call is called in a trace. A plugin that starts again can use a number again.
pub type Key = (PluginIndex, CallId);

/// A call that was made.
pub struct Made<'a> {
    pub key: Key,
    pub call: Call,
    /// Where it stands in the trace.
    pub at: usize,
    pub plan: Option<&'a Callout>,
}

/// The two kinds.
pub enum Call {
    Http(Arc<HttpCall>),
    Grpc(Arc<GrpcCall>),
}

/// Who has to be at the upstream of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A server for HTTP/1.1, or for what is no HTTP at all.
    Http,
    /// A gRPC service.
    Grpc,
    /// Nobody.
    Nobody,
}

/// What comes of an HTTP call.
pub enum Fate<'a> {
    /// The answer that memory has.
    Answer,
    /// The connection is closed at once.
    Reset,
    /// What comes is no HTTP.
    Garbage,
    /// The answer begins, and is broken off.
    Breaks(&'a Reply),
    /// The answer begins, and nothing more comes.
    Stops(&'a Reply),
    /// Nobody does anything.
    Nothing,
}

/// The calls of a case.
pub fn calls<'a>(case: &'a Case, profile: &Profile, events: &[Event]) -> Vec<Made<'a>> {
    let mut plans = Plans { profile, all: Vec::new(), opened: BTreeMap::new() };
    let mut made = Vec::new();
    let (mut step, mut items) = (0, 0);
    plans.add(0, case.steps.first());
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Step(started) => {
                (step, items) = (started.index, 0);
                if step > 0 {
                    plans.add(step, case.steps.get(step));
                }
            }
            Event::ExchangeOpened(id) => {
                if case.steps.get(step).is_some_and(|step| !step.items().is_empty()) {
                    plans.opened.insert(*id, (step, Some(items)));
                }
                items += 1;
            }
            Event::Hostcall(record) => {
                for effect in &record.effects {
                    let call = match effect {
                        Effect::HttpCall(call) => Call::Http(call.clone()),
                        Effect::GrpcCall(call) => Call::Grpc(call.clone()),
                        _ => continue,
                    };
                    let plan = plans.take(&call, record.exchange);
                    made.push(Made { key: (record.plugin, call.id()), call, at, plan });
                }
            }
            _ => {}
        }
    }
    made
}

/// The upstreams that the host knew, be it that nothing went there.
pub fn known(events: &[Event]) -> impl Iterator<Item = &Bytes> {
    events.iter().filter_map(|event| {
        let Event::Hostcall(record) = event else { return None };
        let calls = matches!(record.name, "proxy_http_call" | "proxy_grpc_call" | "proxy_grpc_stream");
        let knows = record.result == HostcallResult::Status(Status::Ok);
        record.args.iter().filter(|_| calls && knows).find_map(|(name, value)| match value {
            Value::Bytes(upstream) if *name == "upstream_name" => Some(upstream),
            _ => None,
        })
    })
}

type Place = (usize, Option<usize>);

struct Plans<'a, 'b> {
    profile: &'b Profile,
    all: Vec<(Place, &'a Callout, bool)>,
    opened: BTreeMap<ExchangeId, Place>,
}

impl<'a> Plans<'a, '_> {
    fn add(&mut self, at: usize, step: Option<&'a Step>) {
        let Some(step) = step else { return };
        self.all.extend(step.callouts.iter().map(|callout| ((at, None), callout, false)));
        for (item, of) in step.items().iter().enumerate() {
            self.all.extend(of.callouts.iter().map(|callout| ((at, Some(item)), callout, false)));
        }
    }

    fn take(&mut self, call: &Call, caller: Option<ExchangeId>) -> Option<&'a Callout> {
        let of_items = self.all.iter().any(|((_, item), ..)| item.is_some());
        let caller = caller.filter(|_| of_items);
        let own = caller.and_then(|caller| self.opened.get(&caller)).copied();
        let find = |of: &dyn Fn(Place) -> bool| {
            self.all.iter().position(|(place, callout, used)| !used && of(*place) && self.fits(call, callout))
        };
        let found = own.and_then(|own| find(&|place| place == own));
        let found = found.or_else(|| find(&|(_, item)| item.is_none()));
        let found = found.or_else(|| if caller.is_none() { find(&|_| true) } else { None })?;
        let (_, callout, used) = self.all.get_mut(found)?;
        *used = true;
        Some(callout)
    }

    fn fits(&self, call: &Call, callout: &Callout) -> bool {
        let unknown = matches!(callout.reply, CalloutReply::Fail(Failure::Unknown));
        let kind = match call {
            Call::Http(_) => !(callout.is_grpc() || unknown && self.profile.knows_upstreams),
            Call::Grpc(_) => !unknown,
        };
        kind && callout.to.value.as_bytes() == call.upstream()
    }
}

impl Call {
    pub fn id(&self) -> CallId {
        match self {
            Self::Http(call) => call.id,
            Self::Grpc(call) => call.id,
        }
    }

    pub fn upstream(&self) -> &[u8] {
        match self {
            Self::Http(call) => &call.upstream,
            Self::Grpc(call) => &call.upstream,
        }
    }
}

impl<'a> Made<'a> {
    /// Who is called.
    pub fn who(&self) -> Who {
        let Some(plan) = self.plan else { return Who::Nobody };
        match (&self.call, &plan.reply) {
            (_, CalloutReply::Fail(Failure::Refused | Failure::Unknown)) => Who::Nobody,
            (Call::Http(_), CalloutReply::Grpc(_)) => Who::Nobody,
            (Call::Http(_), _) | (Call::Grpc(_), CalloutReply::Fail(Failure::Garbage)) => Who::Http,
            (Call::Grpc(_), _) => Who::Grpc,
        }
    }

    /// The time that the plugin gives it, where there is one.
    pub fn timeout(&self, profile: &Profile) -> Option<Duration> {
        let ms = match &self.call {
            Call::Http(call) => Some(call.timeout_ms).filter(|ms| *ms > 0).or(profile.default_call_timeout_ms),
            Call::Grpc(call) => match call.kind {
                GrpcKind::Unary { timeout_ms, .. } => Some(timeout_ms),
                GrpcKind::Stream => None,
            },
        };
        ms.filter(|ms| *ms > 0).map(|ms| Duration::from_millis(u64::from(ms)))
    }

    /// Whether it is answered too late.
    pub fn is_late(&self, profile: &Profile) -> bool {
        self.plan.is_some_and(|plan| self.timeout(profile).is_some_and(|timeout| plan.after >= timeout))
    }

    /// Whether it comes to its end by its timeout.
    pub fn times_out(&self, profile: &Profile) -> bool {
        use pwtest::scenario::{GrpcEnd, GrpcReply};
        const TIMEOUT: Failure = Failure::Timeout;
        let fails = self.plan.is_some_and(|plan| match &plan.reply {
            CalloutReply::Fail(failure) => *failure == TIMEOUT,
            CalloutReply::Reply(reply, None) => reply.fail == Some(TIMEOUT),
            CalloutReply::Grpc(GrpcReply { end, .. }) | CalloutReply::Reply(_, Some(GrpcReply { end, .. })) => {
                matches!(end, GrpcEnd::Fail(TIMEOUT))
            }
        });
        fails || self.is_late(profile)
    }

    /// What comes of an HTTP call.
    pub fn fate(&self, profile: &Profile) -> Fate<'a> {
        let Some(plan) = self.plan.filter(|_| !self.is_late(profile)) else { return Fate::Nothing };
        match &plan.reply {
            CalloutReply::Reply(reply @ Reply { fail: Some(Failure::Timeout), .. }, _) => Fate::Stops(reply),
            CalloutReply::Reply(reply @ Reply { fail: Some(_), .. }, _) => Fate::Breaks(reply),
            CalloutReply::Reply(..) => Fate::Answer,
            CalloutReply::Fail(Failure::Reset) => Fate::Reset,
            CalloutReply::Fail(Failure::Garbage) => Fate::Garbage,
            CalloutReply::Fail(Failure::Timeout | Failure::Refused | Failure::Unknown) | CalloutReply::Grpc(_) => {
                Fate::Nothing
            }
        }
    }
}
