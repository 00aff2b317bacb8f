//! One generation on one worker: its host, the exchanges in it, and its timer.
//!
//! Everything that makes the host run goes through [`Live::run`], which carries out what the host leaves: pieces of
//! messages into the lanes of their exchanges, calls to who makes them, log lines to the observer.

use super::calls::{Calls, Came};
use super::gate::Gate;
use super::lane::{Asker, Lane};
use super::observer::{Broken, LogLine};
use super::outward::{self, Errand};
use super::server::{self, ServeError};
use super::settings::{Generation, Serves, Settings};
use super::worker::Worker;
use crate::abi::{ExchangeId, LogLevel, PluginIndex};
use crate::gateway::config::Config;
use crate::gateway::facts::Asked;
use crate::gateway::forward::{PassedHost, UpstreamStatus};
use crate::gateway::target::Target;
use crate::gateway::way::Way;
use crate::host::env::Clock;
use crate::host::exchange::ConnectionInfo;
use crate::host::store::HostId;
use crate::host::world::World;
use crate::host::{Host, Output, PluginConfig};
use crate::trace::{Recording, Trap};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A generation that serves, or that still has requests under way.
pub(super) struct Live {
    pub(super) worker: Weak<Worker>,
    pub(super) generation: Generation,
    /// Its number among all that share stores.
    pub(super) number: HostId,
    host: RefCell<Host>,
    lanes: RefCell<BTreeMap<ExchangeId, Rc<Lane>>>,
    gate: Option<Gate>,
    pub(super) calls: Calls,
    began: Instant,
    tick: Cell<Option<u64>>,
    tick_moved: Rc<Notify>,
    /// New requests go elsewhere.
    retired: Cell<bool>,
    /// Its contexts have been finished.
    over: Cell<bool>,
}

impl Live {
    /// Builds the host and starts its plugins.
    pub(super) fn start(worker: &Rc<Worker>, generation: Generation) -> Result<Rc<Self>, ServeError> {
        let (settings, profile) = (worker.settings(), generation.profile);
        let recording = if settings.observer.traces() { Recording::On } else { Recording::Off };
        let (began, clock) = (Instant::now(), settings.clock.unwrap_or_else(Clock::system));
        let mut world = World::new(profile, clock, settings.entropy, recording).with_stores(&settings.stores);
        world.log_level = settings.observer.log_level();
        world.buffer_limit = profile.buffer_limit.min(settings.bounds.held_bytes);
        world.stream_after = Some(settings.bounds.waiting_bytes);
        if profile.knows_upstreams {
            world.upstreams = generation.clusters.known();
        }
        let number = world.stores.host();
        let gate = match &generation.serves {
            Serves::Chain { .. } => None,
            Serves::Gateway { plugins, config, show_upstream_status, real_ip } => {
                Some(Gate::new(plugins, config.clone(), *show_upstream_status, real_ip.clone()))
            }
        };
        let live = Rc::new_cyclic(|live: &Weak<Self>| Self {
            calls: calls(live.clone(), &generation, settings),
            worker: Rc::downgrade(worker),
            number,
            host: RefCell::new(Host::new(world, generation.limits, generation.policy)),
            lanes: RefCell::default(),
            gate,
            began,
            tick: Cell::new(None),
            tick_moved: Rc::new(Notify::new()),
            retired: Cell::new(false),
            over: Cell::new(false),
            generation,
        });
        if matches!(clock, Clock::System { .. }) {
            live.spawn_ticks();
        }
        for plugin in live.generation.serves.plugins() {
            let started = live.run(|host| match live.gate {
                None => host.add_plugin(plugin.clone()),
                Some(_) => host.load(plugin.clone()),
            });
            if let Err(error) = started {
                live.retire();
                return Err(ServeError::Plugin { plugin: plugin.name.clone(), error });
            }
        }
        if let Some(gate) = &live.gate {
            live.run(|host| gate.prepare(host));
        }
        Ok(live)
    }

    /// Makes the host run, and carries out what it leaves. A panic in there is the end of the worker.
    pub(super) fn run<R>(self: &Rc<Self>, act: impl FnOnce(&mut Host) -> R) -> R {
        catch_unwind(AssertUnwindSafe(|| self.run_on(act))).unwrap_or_else(|panic| {
            if let Some(worker) = self.worker.upgrade() {
                worker.breaks(server::message(&*panic));
            }
            resume_unwind(panic)
        })
    }

    fn run_on<R>(self: &Rc<Self>, act: impl FnOnce(&mut Host) -> R) -> R {
        let mut errands = Vec::new();
        let result = {
            let mut host = self.host.borrow_mut();
            let result = act(&mut host);
            while let Some(output) = host.next_output() {
                self.carry_out(&host, output, &mut errands);
            }
            if host.world().recorder.is_on() {
                self.hand_over_trace(&mut host);
            }
            self.calls.stop_given_up(host.world());
            let tick = host.next_tick();
            if tick != self.tick.replace(tick) {
                self.tick_moved.notify_one();
            }
            result
        };
        for errand in errands {
            outward::run(self, errand);
        }
        result
    }

    fn carry_out(&self, host: &Host, output: Output, errands: &mut Vec<Errand>) {
        match output {
            Output::ToClient(exchange, part) => self.with_lane(exchange, |lane| lane.push_to_client(part)),
            Output::ToUpstream(exchange, part) => self.with_lane(exchange, |lane| lane.push_to_upstream(part)),
            Output::Closed(exchange) => {
                if let Some(lane) = self.lanes.borrow_mut().remove(&exchange) {
                    lane.close();
                    lane.wake();
                }
            }
            // TCP is not served.
            Output::Connect(_) => {}
            Output::Log(line) => self.log(host, line.exchange, line.plugin, line.level, &line.message),
            Output::Trap(trap) => self.trap(host, &trap),
            Output::Crash(id, message) => {
                let line = format!("the host that is imitated would have died here ({id}): {message}");
                self.log(host, None, None, LogLevel::Critical, line.as_bytes());
            }
            Output::HttpCall { call, request, .. } => errands.push(Errand::Http { call, request }),
            Output::GrpcCall { call, request, head, .. } => errands.push(Errand::Grpc { call, request, head }),
            Output::GrpcSend { call, message, end_of_stream } => {
                errands.push(Errand::GrpcSend { call, message, end_of_stream });
            }
            Output::GrpcCancel(call) => errands.push(Errand::GrpcCancel(call)),
            Output::QueueReady { owner, queue } => errands.push(Errand::QueueReady { owner, queue }),
        }
    }

    /// The server has something to say about a request.
    pub(super) fn say(&self, exchange: ExchangeId, level: LogLevel, message: String) {
        let wanted = self.worker.upgrade().and_then(|worker| worker.settings().observer.log_level());
        if wanted.is_some_and(|least| level >= least) {
            self.log(&self.host.borrow(), Some(exchange), None, level, message.as_bytes());
        }
    }

    fn log(
        &self,
        host: &Host,
        exchange: Option<ExchangeId>,
        plugin: Option<PluginIndex>,
        level: LogLevel,
        message: &[u8],
    ) {
        let Some(worker) = self.worker.upgrade() else { return };
        let plugin = plugin.and_then(|plugin| host.name_of(plugin));
        let line = LogLine { level, message, plugin, worker: worker.index, about: None };
        let observer = &worker.settings().observer;
        let lanes = self.lanes.borrow();
        match exchange.and_then(|exchange| Some((exchange, lanes.get(&exchange)?))) {
            Some((exchange, lane)) => {
                lane.tell(exchange, |about| observer.log(&LogLine { about: Some(about), ..line }));
            }
            None => observer.log(&line),
        }
    }

    fn trap(&self, host: &Host, trap: &Arc<Trap>) {
        let Some(worker) = self.worker.upgrade() else { return };
        let observer = &worker.settings().observer;
        let name = host.name_of(trap.plugin).unwrap_or_default();
        let Some(config) = self.config_of(name) else { return };
        let plugin: Arc<str> = name.into();
        let broken = Broken { plugin: &plugin, wasm: &config.code.wasm, trap, worker: worker.index, about: None };
        let lanes = self.lanes.borrow();
        match trap.exchange.and_then(|exchange| Some((exchange, lanes.get(&exchange)?))) {
            Some((exchange, lane)) => {
                lane.tell(exchange, |about| observer.trap(&Broken { about: Some(about), ..broken }));
            }
            None => observer.trap(&broken),
        }
    }

    fn config_of(&self, name: &str) -> Option<&PluginConfig> {
        self.generation.serves.plugins().iter().find(|plugin| plugin.name == name)
    }

    fn hand_over_trace(&self, host: &mut Host) {
        let Some(worker) = self.worker.upgrade() else { return };
        let events = host.world_mut().recorder.take();
        if events.is_empty() {
            return;
        }
        let names = (0..).map_while(|at| host.name_of(PluginIndex(at)).map(Arc::from)).collect::<Vec<Arc<str>>>();
        worker.settings().observer.traced(self.number, &events, &names);
    }

    fn with_lane(&self, exchange: ExchangeId, act: impl FnOnce(&Lane)) {
        if let Some(lane) = self.lanes.borrow().get(&exchange) {
            act(lane);
            lane.wake();
        }
    }

    /// Opens an exchange.
    pub(super) fn open(self: &Rc<Self>, mut asker: Asker) -> (ExchangeId, Rc<Lane>, Way) {
        let Asked { protocol, mut client, server, .. } = asker.asked;
        if let Some(gate) = &self.gate {
            let named = gate.client(&asker.asked);
            // Where properties are nginx's variables, plugins see the same client.
            if !self.generation.profile.binary_properties {
                client = named;
            }
            asker.asked.client = named;
        }
        let info = ConnectionInfo { protocol, client: Some(client), server: Some(server) };
        let lane = Rc::new(Lane::new(asker));
        let (exchange, way) = self.run(|host| {
            let opened = match (&self.gate, &self.generation.serves) {
                (Some(gate), _) => gate.open(host, &lane.asker, info),
                (None, Serves::Chain { upstream, .. }) => (host.open(info), Way::straight(upstream)),
                (None, Serves::Gateway { .. }) => {
                    (host.open(info), Way::routed(Target::NoRoute, UpstreamStatus::OnError, PassedHost::AsSent))
                }
            };
            self.lanes.borrow_mut().insert(opened.0, lane.clone());
            opened
        });
        (exchange, lane, way)
    }

    /// Another configuration for the gateway, if there is one.
    pub(super) fn configure(self: &Rc<Self>, config: Arc<Config>) {
        if let Some(gate) = &self.gate {
            self.run(|host| gate.configure(host, config));
        }
    }

    /// Exchanges under way.
    pub(super) fn in_flight(&self) -> usize {
        self.lanes.borrow().len()
    }

    /// Takes no new requests: when the last one under way has ended, the contexts are finished.
    pub(super) fn retire(self: &Rc<Self>) {
        self.retired.set(true);
        self.end_if_idle();
    }

    /// To be called when an exchange has ended and nobody runs the host.
    pub(super) fn end_if_idle(self: &Rc<Self>) {
        let broken = self.worker.upgrade().is_some_and(|worker| worker.is_broken());
        if self.retired.get() && self.lanes.borrow().is_empty() && !broken && !self.over.replace(true) {
            self.run(Host::shutdown);
            self.tick_moved.notify_one();
            // Its VMs go with it.
            if let Some(worker) = self.worker.upgrade() {
                worker.forget_ended();
            }
        }
    }

    /// Finishes every context, whatever is under way.
    pub(super) fn shutdown(self: &Rc<Self>) {
        if !self.over.replace(true) {
            self.run(Host::shutdown);
            self.tick_moved.notify_one();
        }
    }

    /// One timer for all ticks; set anew when the first of them is another one.
    fn spawn_ticks(self: &Rc<Self>) {
        let (live, moved, began) = (Rc::downgrade(self), self.tick_moved.clone(), self.began);
        tokio::task::spawn_local(async move {
            loop {
                let due = match live.upgrade() {
                    Some(live) if !live.over.get() => live.tick.get(),
                    _ => return,
                };
                match due {
                    None => moved.notified().await,
                    Some(at) => {
                        let at = began + Duration::from_nanos(at);
                        tokio::select! {
                            () = tokio::time::sleep_until(at) => {
                                if let Some(live) = live.upgrade() {
                                    live.run(Host::fire_tick);
                                }
                            }
                            () = moved.notified() => {}
                        }
                    }
                }
            }
        });
    }
}

/// The calls of a generation's plugins, whose answers go to its host.
fn calls(live: Weak<Live>, generation: &Generation, settings: &Settings) -> Calls {
    Calls::new(generation.profile, generation.clusters.clone(), settings.resolve.clone(), move |call, came| {
        let Some(live) = live.upgrade() else { return };
        live.run(|host| match came {
            Came::Http(result) => host.answer(call, result),
            Came::Grpc(input) => host.grpc(call, input),
        });
        live.end_if_idle();
    })
}

impl Drop for Live {
    fn drop(&mut self) {
        self.tick_moved.notify_one();
    }
}
