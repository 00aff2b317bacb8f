//! What has to be known of a case before it is played on a real Envoy: the case is run in memory first, and its trace
//! says which servers it needs, how long to wait for what, and whether it can share a process with others.

mod alone;
mod otherwise;
mod servers;
mod undecidable;

pub use otherwise::rehearse_otherwise;

use super::chance;
use super::config::Origin;
use super::unseen::{self, Sight};
use crate::expect::Failure;
use crate::runner::case::Job;
use crate::runner::drive::StepRun;
use crate::runner::result::Unseen;
use crate::scenario::{Case, ConnectEvent, ConnectUpstream, Cut, Failure as Fault, Reply, Step, StepKind, Upstream};
use crate::trace::{Effect, Event, GrpcKind, HttpCall, Value, views};
use std::collections::{BTreeMap, BTreeSet};

/// A run in memory.
#[derive(Default)]
pub struct Rehearsal {
    /// Its trace.
    pub events: Vec<Event>,
    /// Its steps.
    pub steps: Vec<StepRun>,
    /// Every plugin started.
    pub started: bool,
    /// What did not hold.
    pub failures: Vec<Failure>,
    /// Why a plugin was not even loaded.
    pub refused: Vec<Failure>,
}

/// How a name that plugins call is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// By a server of ours.
    By {
        /// Over HTTP/2.
        http2: bool,
    },
    /// By a gRPC service of ours.
    Grpc,
    /// Nobody listens.
    Refused,
    /// Envoy does not know it.
    Unknown,
}

/// A case that is ready to be played.
pub struct Cast<'a> {
    /// Its place among all jobs.
    pub at: usize,
    /// The case as the scenario has it.
    pub job: &'a Job<'a>,
    /// Of what is expected what can be judged.
    pub case: Case,
    /// What can't be.
    pub unseen: Vec<Unseen>,
    /// How many things are judged.
    pub judged: usize,
    /// How often it was played.
    pub attempts: usize,
    /// Its run in memory.
    pub rehearsal: Rehearsal,
    /// What is there by chance.
    pub chance: BTreeSet<String>,
    /// The modules' bytes, by plugin.
    pub modules: Vec<Vec<u8>>,
    /// The way to the origin, for each step.
    pub origins: Vec<Origin>,
    /// The upstreams that it calls.
    pub upstreams: BTreeMap<String, Served>,
    /// It touches what a process has once.
    pub alone: bool,
    /// A plugin has a timer, so real time matters.
    pub ticks: bool,
    /// What the machine may miss: a short timeout, bytes and an end in one read.
    pub hasty: bool,
    /// Milliseconds until Envoy gives up on the origin.
    pub route_timeout_ms: u64,
}

impl Cast<'_> {
    /// The calls that somebody serves, in the order in which plugins make them.
    pub fn calls(&self) -> impl Iterator<Item = &HttpCall> {
        self.served(&self.rehearsal.events)
    }

    fn served<'e>(&'e self, events: &'e [Event]) -> impl Iterator<Item = &'e HttpCall> {
        views::http_calls(events).map(|(_, call)| &**call).filter(|call| self.is_served(call))
    }

    /// Whether somebody listens where a call goes.
    pub fn is_served(&self, call: &HttpCall) -> bool {
        let name = String::from_utf8_lossy(&call.upstream);
        matches!(self.upstreams.get(&*name), Some(Served::By { .. }))
    }

    /// How many of them are made while plugins start.
    pub fn calls_at_start(&self) -> usize {
        self.served(start(&self.rehearsal.events)).count()
    }

    /// Whether the request of this step has come to its end in memory before the next step.
    pub fn ends_at_once(&self, step: usize) -> bool {
        let Some(run) = self.rehearsal.steps.get(step) else { return true };
        let Some(exchange) = run.exchange else { return true };
        let is = |event: &Event| matches!(event, Event::Step(started) if started.index == step);
        let Some(start) = self.rehearsal.events.iter().position(is) else { return !run.stuck };
        let mut behind = self.rehearsal.events.iter().skip(start + 1);
        behind
            .find_map(|event| match event {
                Event::Step(_) => Some(false),
                Event::ExchangeClosed(closed) => (*closed == exchange).then_some(true),
                _ => None,
            })
            .unwrap_or(!run.stuck)
    }
}

/// Looks at a rehearsal; says why the case can't be decided on a real Envoy, if it can't.
pub fn cast<'a>(
    at: usize,
    job: &'a Job<'a>,
    rehearsal: Rehearsal,
    otherwise: &Rehearsal,
    modules: Vec<Vec<u8>>,
) -> Result<Cast<'a>, &'static str> {
    let events = &rehearsal.events;
    let ticks = views::effects(events).any(|effect| matches!(effect, Effect::TickPeriod { milliseconds: 1.. }));
    undecidable::undecidable(job, events, ticks)?;
    let mut upstreams: BTreeMap<String, Served> = BTreeMap::new();
    let services: BTreeSet<String> = views::effects(events)
        .filter_map(|effect| match effect {
            Effect::GrpcCall(call) => Some(String::from_utf8_lossy(&call.upstream).into_owned()),
            _ => None,
        })
        .collect();
    for callout in job.case.steps.iter().flat_map(|step| &step.callouts) {
        let service = services.contains(&callout.to.value) || callout.is_grpc();
        let served = servers::served(&callout.reply, &callout.to.value, events, service);
        let old = upstreams.entry(callout.to.value.clone()).or_insert(served);
        match (*old, served) {
            (Served::By { http2: true }, Served::By { http2: false }) => *old = served,
            (old, new) if old == new || matches!((old, new), (Served::By { .. }, Served::By { .. })) => {}
            _ => return Err("one upstream can't both exist and not"),
        }
    }
    for name in services {
        upstreams.entry(name).or_insert(Served::Grpc);
    }
    // A call that nobody plans for is refused.
    for (_, call) in views::http_calls(events) {
        let name = String::from_utf8_lossy(&call.upstream).into_owned();
        upstreams.entry(name).or_insert(Served::By { http2: false });
    }
    let origins = job.case.steps.iter().enumerate().map(|(index, step)| match &step.kind {
        StepKind::Request(request) => servers::origin(job.scenario.protocol, request, index, &rehearsal),
        StepKind::Connect(connect) => match connect.upstream {
            ConnectUpstream::Refuses => Origin::TcpRefused,
            ConnectUpstream::Accepts | ConnectUpstream::Never(_) => Origin::Tcp,
        },
        // No listener of its own.
        StepKind::Advance(_)
        | StepKind::Reconfigure { .. }
        | StepKind::ForeignFunction { .. }
        | StepKind::Concurrent(_)
        | StepKind::Admin(_)
        | StepKind::Shutdown => match connects(job) {
            true => Origin::Tcp,
            false => Origin::Http2,
        },
    });
    let origins: Vec<Origin> = origins.collect();
    let times_out = |step: &Step| match &step.kind {
        StepKind::Request(request) => {
            matches!(request.upstream, Upstream::Fail(Fault::Timeout))
                || matches!(&request.upstream, Upstream::Reply(Reply { fail: Some(Fault::Timeout), .. }))
        }
        _ => false,
    };
    let route_timeout_ms = if job.case.steps.iter().any(times_out) { 500 } else { 15_000 };
    let hasty = views::effects(events).any(|effect| match effect {
        Effect::GrpcCall(call) => matches!(call.kind, GrpcKind::Unary { timeout_ms: 1..=200, .. }),
        _ => false,
    });
    let hasty = hasty || job.case.steps.iter().any(sends_with_end);
    let alone = ticks || alone::alone(job, &rehearsal);
    let sight = Sight {
        scheme: origins.iter().all(|origin| *origin == Origin::Http2),
        panics: views::traps(events).any(|trap| trap.panic.is_some()),
        metrics: !views::effects(start(events)).any(|effect| matches!(effect, Effect::MetricChanged { .. })),
        shaky: otherwise::shaky(&rehearsal, otherwise),
    };
    let mut case = job.case.clone().into_owned();
    let (mut unseen, judged) = unseen::mask(&mut case, &sight);
    if cut_every(job) {
        let why = "the body was sent in one piece only".to_owned();
        unseen.push(Unseen { what: "cut".to_owned(), why, span: Some(job.case.span.clone()) });
    }
    Ok(Cast {
        at,
        job,
        case,
        unseen,
        judged,
        attempts: 0,
        modules,
        origins,
        upstreams,
        alone,
        ticks,
        hasty,
        route_timeout_ms,
        chance: chance::names(&rehearsal.events, &otherwise.events),
        rehearsal,
    })
}

/// Whether bytes and an end are to be one read, which a busy machine may make two.
fn sends_with_end(step: &Step) -> bool {
    match &step.kind {
        StepKind::Connect(connect) => {
            connect.events.iter().any(|event| matches!(event, ConnectEvent::Data { end: true, .. }))
        }
        _ => false,
    }
}

/// What happened while plugins started.
fn start(events: &[Event]) -> &[Event] {
    let first_step = events.iter().position(|event| matches!(event, Event::Step(_)));
    events.get(..first_step.unwrap_or(events.len())).unwrap_or_default()
}

/// Whether the case is about TCP.
fn connects(job: &Job<'_>) -> bool {
    job.case.steps.iter().any(|step| matches!(step.kind, StepKind::Connect(_)))
}

/// The dotted paths of the properties that plugins read.
fn reads(events: &[Event]) -> impl Iterator<Item = String> {
    views::hostcalls(events).filter(|record| record.name == "proxy_get_property").filter_map(|record| {
        record.args.iter().find_map(|(_, value)| match value {
            Value::Bytes(bytes) => {
                Some(String::from_utf8_lossy(bytes).replace('\0', ".").trim_end_matches('.').to_owned())
            }
            _ => None,
        })
    })
}

/// Whether the case has bodies that it wants cut in every way.
pub fn cut_every(job: &Job<'_>) -> bool {
    job.case.steps.iter().any(|step| match &step.kind {
        StepKind::Request(request) => {
            let reply = match &request.upstream {
                Upstream::Reply(reply) => reply.body.as_ref(),
                Upstream::Never(_) | Upstream::Fail(_) => None,
            };
            request.body.iter().chain(reply).any(|body| body.cut == Some(Cut::Every))
        }
        _ => false,
    })
}
