//! Drives one case: feeds the host, plays client, upstream and callouts, and moves the virtual clock.
//!
//! It decides nothing about plugins. Time passes only when a step says so or when something that the request waits
//! for falls due.

mod concurrent;
mod connect;
mod ends;
mod gate;
mod grpc;
mod run;

pub use run::{StepRun, label};

use super::message::{self, Variant};
use super::verdict;
use crate::abi::{CallId, Callback, ExchangeId, PluginIndex};
use crate::expect::Failure;
use crate::host::exchange::ConnectionInfo;
use crate::host::{CallResult, GrpcInput, Host, Output, StartError};
use crate::message::Part;
use crate::scenario::{
    Abort, Body, Callout, CalloutReply, Case, Connect, Expect, Failure as Fault, Protocol, Request, Scenario, Step,
    StepKind, Upstream,
};
use crate::trace::{Event, HttpCall, StepStarted};
use bytes::Bytes;
use concurrent::Turn;
use run::Place;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The time after which Envoy gives up on an upstream: a route's default.
const ROUTE_TIMEOUT_NS: u64 = 15_000_000_000;
/// A request step lets ticks pass while nothing else can resume its request, but not for ever.
const MOST_IDLE_TICKS: usize = 64;
/// Events of one step; two plugins that keep calling each other would never end.
const MOST_EVENTS: usize = 100_000;

/// One case under way.
pub struct Driver<'a> {
    scenario: &'a Scenario,
    case: &'a Case,
    variant: Option<Variant>,
    host: Host,
    /// What falls due, in order of time and then of being scheduled.
    due: BTreeMap<(u64, u64), Due>,
    scheduled: u64,
    flights: BTreeMap<ExchangeId, Flight<'a>>,
    grpc_flights: BTreeMap<CallId, grpc::GrpcFlight>,
    plans: Vec<Plan<'a>>,
    steps: Vec<StepRun>,
    gate: Option<gate::Gate>,
}

/// An exchange that has not ended.
struct Flight<'a> {
    traffic: Traffic<'a>,
    place: Place,
    answered: bool,
    /// What the origin does when it is its turn; `None` where nothing else is under way and it does it at once.
    turns: Option<VecDeque<Turn>>,
}

/// What an exchange was opened for.
#[derive(Clone, Copy)]
enum Traffic<'a> {
    Request(&'a Request),
    Connect(&'a Connect),
}

/// A planned answer to a call.
struct Plan<'a> {
    callout: &'a Callout,
    place: Place,
    used: bool,
}

/// Something that happens at a time.
enum Due {
    Answer(CallId, CallResult),
    Grpc(CallId, GrpcInput),
    UpstreamTimeout(ExchangeId),
}

impl<'a> Driver<'a> {
    /// A driver for a host whose plugins have been started.
    pub fn new(scenario: &'a Scenario, case: &'a Case, variant: Option<Variant>, host: Host) -> Self {
        Self {
            scenario,
            case,
            variant,
            host,
            due: BTreeMap::new(),
            scheduled: 0,
            flights: BTreeMap::new(),
            grpc_flights: BTreeMap::new(),
            plans: Vec::new(),
            steps: Vec::new(),
            gate: None,
        }
    }

    /// Starts the plugins; what they call while they start is answered from the first step's plans.
    pub fn start(&mut self, plugins: Vec<crate::host::PluginConfig>) -> Result<(), StartError> {
        if let Some(step) = self.case.steps.first() {
            self.plan(0, step);
        }
        for plugin in plugins {
            self.host.add_plugin(plugin)?;
        }
        Ok(())
    }

    /// Runs every step; gives what they left behind, the whole trace, and the plugins' names by their numbers.
    pub fn run(mut self) -> (Vec<StepRun>, Vec<Event>, Vec<String>) {
        for (index, step) in self.case.steps.iter().enumerate() {
            if index > 0 {
                self.plan(index, step);
            }
            let start = if index == 0 { 0 } else { self.events() };
            let label = label(step, self.scenario);
            self.host.world_mut().recorder.push(|| Event::Step(StepStarted { index, label }));
            self.steps.push(StepRun::beginning_at(start, step));
            // What the plugins asked for while they started is answered from here on.
            self.drain();
            // A request that this step brings to its end is judged on everything until then.
            let open: Vec<usize> = self.flights.values().map(|flight| flight.place.step).collect();
            self.step(index, step);
            self.take_turns();
            let end = self.events();
            self.steps[index].range.end = end;
            for (at, earlier) in self.steps.iter_mut().enumerate() {
                if open.contains(&at) {
                    earlier.range.end = end;
                }
            }
        }
        self.finish();
        let events = self.host.world_mut().recorder.take();
        let names = self.names();
        (self.steps, events, names)
    }

    /// The trace of plugins that did not start.
    pub fn into_events(mut self) -> (Vec<Event>, Vec<String>) {
        (self.host.world_mut().recorder.take(), self.names())
    }

    fn events(&self) -> usize {
        self.host.world().recorder.events().len()
    }

    fn plan(&mut self, step: usize, of: &'a Step) {
        let shared = of.callouts.iter().map(|callout| (None, callout));
        let items = of.items().iter().enumerate();
        let own = items.flat_map(|(at, item)| item.callouts.iter().map(move |callout| (Some(at), callout)));
        for (item, callout) in shared.chain(own) {
            let unknown = self.host.world().profile.knows_upstreams
                && matches!(callout.reply, CalloutReply::Fail(Fault::Unknown));
            if unknown {
                let name = Bytes::from(callout.to.value.clone());
                self.host.world_mut().unknown_upstreams.push(name);
            }
            self.plans.push(Plan { callout, place: Place { step, item }, used: false });
        }
    }

    fn step(&mut self, index: usize, step: &'a Step) {
        match &step.kind {
            StepKind::Request(request) => self.request(index, request),
            StepKind::Concurrent(items) => self.concurrent(index, items),
            StepKind::Connect(connect) => self.connect(index, connect),
            StepKind::Advance(duration) => self.advance(*duration),
            StepKind::Admin(admin) => {
                let answered = self.admin(admin);
                let asked = step.expect.iter().flat_map(Expect::all).any(verdict::expects_answer);
                if let Some(failure) = answered.filter(|_| !asked) {
                    self.fail(Place::of(index), [failure]);
                }
            }
            StepKind::Reconfigure { plugin, config } => {
                if let Err(error) = self.host.reconfigure(PluginIndex(*plugin), config.clone()) {
                    let asked = step.expect.iter().flat_map(Expect::all).any(verdict::expects_start_failure);
                    if !asked {
                        let failure = verdict::start_failure(&error, Some(step.span.clone()));
                        self.fail(Place::of(index), [failure]);
                    }
                }
                self.drain();
            }
            StepKind::ForeignFunction { plugin, function_id, arguments } => {
                let profile = self.host.world().profile;
                if !profile.documented.calls(Callback::OnForeignFunction) {
                    let failure = verdict::no_foreign_callback(profile.name, step.span.clone());
                    return self.fail(Place::of(index), [failure]);
                }
                self.host.foreign_function(PluginIndex(*plugin), *function_id, arguments.clone());
                self.drain();
            }
            StepKind::Shutdown => {
                self.host.shutdown();
                self.drain();
            }
        }
    }

    fn request(&mut self, index: usize, request: &'a Request) {
        let (exchange, parts) = self.open(Place::of(index), request);
        for part in parts {
            self.send(exchange, part);
        }
        self.wait(index, &[exchange]);
    }

    /// Begins an exchange; gives what its client will send.
    fn open(&mut self, place: Place, request: &'a Request) -> (ExchangeId, VecDeque<Part>) {
        let protocol = match self.scenario.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::H2 => "HTTP/2",
        };
        let parts = message::request(request, self.scenario.protocol, self.variant);
        let parts = self.ended(parts, request.body.as_ref());
        let exchange = match self.open_routed(place, request, &parts, protocol) {
            Some(exchange) => exchange,
            None => self.host.open(ConnectionInfo::new(protocol)),
        };
        if matches!(request.upstream, Upstream::Fail(Fault::Refused | Fault::Unknown)) {
            self.host.upstream_is_unreachable(exchange);
        }
        self.set_exchange(place, exchange);
        let turns = place.item.map(|_| VecDeque::new());
        let flight = Flight { traffic: Traffic::Request(request), place, answered: false, turns };
        self.flights.insert(exchange, flight);
        let mut parts: VecDeque<Part> = parts.into();
        if matches!(request.abort, Some(Abort::Request | Abort::Wait)) {
            parts.push_back(Part::Reset);
        }
        (exchange, parts)
    }

    /// The client sends something, if anybody is there who takes it.
    fn send(&mut self, exchange: ExchangeId, part: Part) {
        if self.flights.contains_key(&exchange) {
            self.host.from_client(exchange, part);
            self.drain();
        }
    }

    /// The pieces of a message, with the end where the host puts it if the scenario does not say.
    fn ended(&self, parts: Vec<Part>, body: Option<&Body>) -> Vec<Part> {
        let said = self.variant.is_some() || body.is_some_and(|body| body.end.is_some());
        if self.host.world().profile.last_chunk_ends && !said { message::ending_with_last(parts) } else { parts }
    }

    /// Lets time pass as long as one of the exchanges may come to its end by that.
    fn wait(&mut self, index: usize, exchanges: &[ExchangeId]) {
        // Whoever writes `advance` next wants to move the time himself.
        let waits = matches!(self.case.steps.get(index + 1).map(|s| &s.kind), Some(StepKind::Advance(_)));
        let mut idle_ticks = 0;
        for _ in 0..MOST_EVENTS {
            self.take_turns();
            let mut open = exchanges.iter().filter(|exchange| self.flights.contains_key(exchange)).peekable();
            if open.peek().is_none() {
                return;
            }
            // A connection that nobody holds waits for its ends, not for a timer.
            let by_timer = open.any(|of| self.host.paused_at(*of).is_some() || !self.is_connection(*of));
            let next = self.due.keys().next().map(|(at, _)| *at);
            let tick = self.host.next_tick().filter(|_| !waits && by_timer && idle_ticks < MOST_IDLE_TICKS);
            match (next, tick) {
                (Some(at), tick) if tick.is_none_or(|tick| at <= tick) => {
                    idle_ticks = 0;
                    self.fire_due(at);
                }
                (_, Some(tick)) => {
                    idle_ticks += 1;
                    self.move_clock(tick);
                    self.host.fire_tick();
                    self.drain();
                }
                _ => return,
            }
        }
        self.cut_off();
    }

    fn is_connection(&self, exchange: ExchangeId) -> bool {
        matches!(self.flights.get(&exchange), Some(Flight { traffic: Traffic::Connect(_), .. }))
    }

    /// Says that what the plugins do does not end, or is more than anybody waits for.
    fn cut_off(&mut self) {
        self.host.world_mut().finding(
            "endless-events",
            None,
            "100,000 timers and answers in one step: the rest did not happen here; let less time pass, tick less \
             often, or don't answer every call with the next one",
        );
    }

    fn advance(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(nanos);
        for count in 0..=MOST_EVENTS {
            if count == MOST_EVENTS {
                self.cut_off();
                break;
            }
            self.take_turns();
            let next = self.due.keys().next().map(|(at, _)| *at).filter(|at| *at <= until);
            let tick = self.host.next_tick().filter(|at| *at <= until);
            match (next, tick) {
                (Some(at), tick) if tick.is_none_or(|tick| at <= tick) => self.fire_due(at),
                (_, Some(tick)) => {
                    self.move_clock(tick);
                    self.host.fire_tick();
                    self.drain();
                }
                _ => break,
            }
        }
        self.move_clock(until);
    }

    fn now(&self) -> u64 {
        self.host.world().clock.monotonic_ns()
    }

    fn move_clock(&mut self, to: u64) {
        let world = self.host.world_mut();
        if to > world.clock.monotonic_ns() {
            world.clock.advance_to(to);
            let now = world.clock.monotonic_ns();
            world.recorder.push(|| Event::ClockMoved(now));
        }
    }

    fn schedule(&mut self, at: u64, due: Due) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), due);
    }

    fn fire_due(&mut self, at: u64) {
        self.move_clock(at);
        if let Some((_, due)) = self.due.pop_first() {
            match due {
                Due::Answer(call, result) => self.host.answer(call, result),
                Due::Grpc(call, input) => self.host.grpc(call, input),
                Due::UpstreamTimeout(exchange) => self.timed_out(exchange),
            }
        }
        self.drain();
    }

    /// Carries out what the host wants done.
    fn drain(&mut self) {
        for _ in 0..MOST_EVENTS {
            let Some(output) = self.host.next_output() else { return };
            match output {
                // A scenario's host shares its stores with nobody.
                Output::ToClient(..) | Output::QueueReady { .. } => {}
                Output::ToUpstream(exchange, part) => self.upstream(exchange, &part),
                Output::Connect(exchange) => self.upstream_of_connection(exchange),
                Output::HttpCall { call, request, .. } => self.call(call, &request),
                Output::GrpcCall { call, request, head, .. } => self.grpc_call(call, &request, head),
                Output::GrpcSend { call, message, end_of_stream } => self.grpc_send(call, message, end_of_stream),
                Output::GrpcCancel(call) => self.grpc_cancel(call),
                // They are in the trace.
                Output::Log(_) | Output::Trap(_) | Output::Crash(..) => {}
                Output::Closed(exchange) => {
                    self.flights.remove(&exchange);
                    self.leaves(exchange);
                    self.due.retain(|_, due| !matches!(due, Due::UpstreamTimeout(of) if *of == exchange));
                }
            }
        }
    }
}
