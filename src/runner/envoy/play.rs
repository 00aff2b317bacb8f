//! Plays one case on a running Envoy: the same steps as in memory, with the real thing in the middle.
//!
//! Time is virtual here, too, as far as it can be: answers come in the order of their delays, and nobody waits longer
//! than the worker needs. Only timers of plugins and timeouts of Envoy take their real time.

use super::cast::{Cast, Served};
use super::client::Connection;
use super::error::EnvoyError;
use super::log::Record;
use super::process::Envoy;
use super::stage::Stage;
use super::tracer::{self, Speaker, Tracer};
use super::wire::Lead;
use crate::abi::{ExchangeId, MetricType};
use crate::runner::drive::{StepRun, label};
use crate::runner::result::Unseen;
use crate::runner::verdict;
use crate::scenario::{Case, Expect, Step, StepKind, Upstream};
use crate::trace::{Effect, Event, HttpCall, StepStarted, views};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

mod calls;
mod grpc;
mod tcp;
mod time;

use calls::{Due, Plan};

/// What became of a case.
pub struct Played {
    /// The trace, as far as it can be seen.
    pub events: Vec<Event>,
    /// Its steps.
    pub steps: Vec<StepRun>,
    /// What only showed to be unseen while it was played.
    pub unseen: Vec<Unseen>,
    /// It shut Envoy down.
    pub over: bool,
}

/// Nothing happens for so long where something should: the request is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where the run in memory was stuck, too.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);
/// A step with timers is never quiet; it ends.
const LONGEST_STEP: Duration = Duration::from_secs(20);

fn wants_metrics(case: &Case) -> bool {
    case.all_expectations().any(|expect| !expect.metrics.is_empty())
}

/// One case on its stage.
pub struct Player<'a> {
    envoy: &'a mut Envoy,
    stage: Rc<Stage>,
    cast: &'a Cast<'a>,
    number: usize,
    ports: &'a BTreeMap<String, u16>,
    tracer: Tracer,
    steps: Vec<StepRun>,
    connections: Vec<(ExchangeId, Connection)>,
    /// The clients' ends of TCP connections.
    clients: Vec<Lead>,
    over_wires: Vec<ExchangeId>,
    /// The gRPC calls and streams that have been taken up.
    flows: Vec<grpc::Flow>,
    unseen: Vec<Unseen>,
    plans: Vec<Plan<'a>>,
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
    now_ns: u64,
    /// Calls in the order in which they were given plans, which is that of the plugins.
    order: Vec<usize>,
    /// Since when a call has been there whose turn it is not.
    early_since: Option<Instant>,
    over: bool,
    /// The first step is on; what came before came from starting.
    begun: bool,
    kept: Vec<Record>,
}

impl<'a> Player<'a> {
    /// A case whose plugins have started.
    pub fn new(
        envoy: &'a mut Envoy,
        stage: Rc<Stage>,
        cast: &'a Cast<'a>,
        number: usize,
        ports: &'a BTreeMap<String, u16>,
        speakers: &[Speaker],
    ) -> Self {
        Self {
            envoy,
            stage,
            cast,
            number,
            ports,
            tracer: Tracer::new(speakers),
            steps: Vec::new(),
            connections: Vec::new(),
            clients: Vec::new(),
            over_wires: Vec::new(),
            flows: Vec::new(),
            unseen: Vec::new(),
            plans: Vec::new(),
            due: BTreeMap::new(),
            scheduled: 0,
            now_ns: 0,
            order: Vec::new(),
            early_since: None,
            over: false,
            begun: false,
            kept: Vec::new(),
        }
    }

    /// The trace's first part: what was logged while the plugins started.
    pub fn tracer(&mut self) -> &mut Tracer {
        &mut self.tracer
    }

    /// Plays every step. What was seen is there even where Envoy did not survive.
    pub async fn play(mut self) -> (Played, Result<(), EnvoyError>) {
        let mut ended = Ok(());
        let case = &self.cast.case;
        for (index, step) in case.steps.iter().enumerate() {
            self.plans.extend(step.callouts.iter().map(|callout| Plan { callout, step: index, used: false }));
            let start = if index == 0 { 0 } else { self.tracer.events.len() };
            let label = label(step, self.cast.job.scenario);
            self.stage.sight(Event::Step(StepStarted { index, label }));
            self.steps.push(StepRun::beginning_at(start, step));
            self.plan_calls();
            self.begun = true;
            let wires = self.open_wires();
            ended = self.step(index, step).await;
            if ended.is_ok() && !self.over {
                ended = self.settle().await;
            }
            let metrics = ended.is_ok() && !self.over && wants_metrics(case);
            let closed = self.steps.get(index).and_then(|run| run.exchange).and_then(|of| self.closed_at(of));
            self.take_in_until(closed);
            if metrics {
                self.metrics().await;
            }
            let end = self.tracer.events.len();
            // A connection that came to its end in this step did so in its own, too.
            let open = [self.open(), wires].concat();
            for (at, earlier) in self.steps.iter_mut().enumerate() {
                if at == index || earlier.exchange.is_some_and(|exchange| open.contains(&exchange)) {
                    earlier.range.end = end;
                }
            }
            if ended.is_err() || self.over {
                break;
            }
        }
        if ended.is_ok() {
            self.finish();
        }
        // Envoy hears of it before the next case begins.
        self.connections.clear();
        self.clients.clear();
        self.stage.scene.borrow_mut().wires.clear();
        if ended.is_ok() && !self.over {
            ended = self.settle().await;
        }
        (Played { events: self.tracer.events, steps: self.steps, unseen: self.unseen, over: self.over }, ended)
    }

    /// Waits for something, unless Envoy ends first.
    async fn watch<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, EnvoyError> {
        tokio::select! {
            biased;
            done = waiting => Ok(done),
            error = self.envoy.ending() => Err(error),
        }
    }

    /// The worker has nothing more to do.
    async fn settle(&mut self) -> Result<(), EnvoyError> {
        let stage = self.stage.clone();
        for _ in 0..100 {
            let before = self.activity();
            let barrier = stage.clone();
            self.watch(async move { barrier.barrier.pass(3).await }).await??;
            if self.activity() == before {
                break;
            }
        }
        if let Some(died) = self.envoy.died() {
            return Err(died);
        }
        if self.envoy.log.length() > super::log::LARGEST {
            return Err(EnvoyError::Floods { megabytes: super::log::LARGEST >> 20 });
        }
        Ok(())
    }

    fn activity(&self) -> (u64, usize, usize) {
        let scene = self.stage.scene.borrow();
        let complete = scene.calls.iter().filter(|call| call.complete || call.gone).count();
        let pieces = scene
            .services
            .iter()
            .map(|call| 1 + call.sent.messages.len() + usize::from(call.sent.half_closed) + usize::from(call.gone));
        let complete = complete + pieces.sum::<usize>();
        (self.envoy.log.length(), scene.sightings.len(), complete)
    }

    /// The length of the log when the client had the whole answer.
    fn closed_at(&self, exchange: ExchangeId) -> Option<u64> {
        let scene = self.stage.scene.borrow();
        scene.sightings.iter().find(|(_, event)| *event == Event::ExchangeClosed(exchange)).map(|(at, _)| *at)
    }

    /// Puts what is new into the trace. Time stands still between two steps: a timer that fires after a request has
    /// come to its end belongs to what comes then.
    fn take_in_until(&mut self, closed: Option<u64>) {
        let new = self.envoy.log.read_new().unwrap_or_default();
        let mut records = std::mem::take(&mut self.kept);
        records.extend(new.into_iter().filter(|record| record.worker));
        let mut sightings = std::mem::take(&mut self.stage.scene.borrow_mut().sightings);
        let tick = closed.and_then(|closed| {
            let is_tick = |text: &[u8]| text.starts_with(b"[host->vm] proxy_on_tick(");
            records.iter().position(|record| record.offset >= closed && is_tick(&record.text))
        });
        if let Some(tick) = tick {
            self.kept = records.split_off(tick);
            let at = self.kept.first().map_or(u64::MAX, |record| record.offset);
            let later: Vec<_> = sightings
                .iter()
                .position(|(when, _)| *when > at)
                .map(|from| sightings.split_off(from))
                .into_iter()
                .flatten()
                .collect();
            self.stage.scene.borrow_mut().sightings = later;
        }
        let scene = self.stage.scene.borrow();
        let mut arrived = self.order.iter().filter_map(|at| scene.calls.get(*at)).map(|call| call.call.clone());
        // One for each call of a plugin, whether anybody could see it or not.
        let mut calls: Vec<HttpCall> = views::http_calls(&self.cast.rehearsal.events)
            .map(|(_, call)| {
                self.cast.is_served(call).then(|| arrived.next()).flatten().unwrap_or_else(tracer::not_seen)
            })
            .collect();
        calls.extend(arrived);
        drop(scene);
        self.tracer.absorb(&records, sightings, &calls);
    }

    /// What Envoy counts for plugins, as it is now.
    async fn metrics(&mut self) {
        let Ok(page) = self.envoy.admin("GET", "/stats?filter=%5Ewasmcustom%5C.").await else { return };
        let text = String::from_utf8_lossy(&page).into_owned();
        let counted = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("wasmcustom.")?.rsplit_once(": ")?;
            let (name, value) = (Bytes::from(name.to_owned()), value.trim().parse().ok()?);
            Some(Effect::MetricChanged { name, kind: MetricType::Gauge, value })
        });
        let effects: Vec<Effect> = counted.collect();
        self.tracer.counted(effects);
    }

    async fn step(&mut self, index: usize, step: &'a Step) -> Result<(), EnvoyError> {
        match &step.kind {
            StepKind::Request(request) => self.request(index, request).await,
            StepKind::Advance(duration) => self.advance(*duration).await,
            // Such a case was not let in.
            StepKind::Reconfigure { .. }
            | StepKind::ForeignFunction { .. }
            | StepKind::Concurrent(_)
            | StepKind::Admin(_) => Ok(()),
            StepKind::Connect(connect) => self.connect(index, connect).await,
            StepKind::Shutdown => {
                self.settle().await?;
                let _ = self.envoy.admin("POST", "/quitquitquit").await;
                self.envoy.ended(Duration::from_secs(10)).await;
                self.over = true;
                Ok(())
            }
        }
    }

    fn next_exchange(&self) -> ExchangeId {
        let scene = self.stage.scene.borrow();
        ExchangeId((scene.flights.len() + scene.wires.len()) as u32 + 1)
    }

    /// What has not come to its end.
    fn open(&self) -> Vec<ExchangeId> {
        let scene = self.stage.scene.borrow();
        let flights = scene.flights.iter().filter(|flight| !flight.ended).map(|flight| flight.exchange);
        flights.chain(self.open_wires()).collect()
    }

    fn open_wires(&self) -> Vec<ExchangeId> {
        let scene = self.stage.scene.borrow();
        let wires = scene.wires.iter().map(|wire| wire.exchange);
        wires.filter(|wire| !self.over_wires.contains(wire) && !self.wire_over(*wire)).collect()
    }

    /// What is left over at the end of the case.
    fn finish(&mut self) {
        self.judge_services();
        let case = &self.cast.case;
        let names: Vec<String> = self.cast.job.scenario.plugins.iter().map(|p| p.name.clone()).collect();
        let open = self.open();
        let asked = |expect: &Option<Expect>| expect.as_ref().is_some_and(Expect::speaks_of_stuck);
        let end = self.tracer.events.len();
        for (step, run) in case.steps.iter().zip(&mut self.steps) {
            if run.exchange.is_some_and(|exchange| open.contains(&exchange)) {
                run.stuck = true;
                run.range.end = end;
                if !asked(&case.expect) && !asked(&step.expect) {
                    let stream = match step.kind {
                        StepKind::Connect(_) => verdict::Stream::Tcp,
                        _ => verdict::Stream::Http,
                    };
                    run.failures.push(verdict::stuck(stream, None, &names, Some(step.span.clone()), end));
                }
            }
        }
        for plan in self.plans.iter().filter(|plan| !plan.used) {
            // Nobody is there to see a call that is refused.
            let served = self.cast.upstreams.get(&plan.callout.to.value);
            if matches!(served, Some(Served::By { .. } | Served::Grpc))
                && let Some(run) = self.steps.get_mut(plan.step)
            {
                run.failures.push(verdict::call_not_made(plan.callout));
            }
        }
        let scene = self.stage.scene.borrow();
        for flight in &scene.flights {
            if let (Upstream::Never(span), true) = (&flight.request.upstream, flight.arrivals > 0) {
                let step = self.steps.iter_mut().find(|run| run.exchange == Some(flight.exchange));
                if let Some(run) = step {
                    run.failures.push(verdict::reached_upstream(span.clone(), end));
                }
            }
        }
    }
}
