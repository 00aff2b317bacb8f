//! A server for one case, and what it says of itself: the trace of its host, by which the ends know when a piece has
//! been taken.

use super::plan::Key;
use pwtest::abi::Callback;
use pwtest::abi::ExchangeId;
use pwtest::gateway::config::Config;
use pwtest::gateway::document::Gateway;
use pwtest::gateway::model::{Node, Objects, Route, Service, Timeout, Upstream, UpstreamRef};
use pwtest::host::engine::{Heart, Metering, ModuleCache, metered_engine};
use pwtest::host::env::{Clock, Entropy};
use pwtest::host::limits::{Limits, Work};
use pwtest::host::profile::Profile;
use pwtest::host::store::HostId;
use pwtest::host::{PluginConfig, Rebuild, TrapPolicy};
use pwtest::message::Part;
use pwtest::proxy::control::Modules;
use pwtest::proxy::{ClusterError, Clusters, Generation, Observer, Resolve, Running, Server, Serves, Settings};
use pwtest::runner::{Plugins, gateway_of, plugin_config};
use pwtest::scenario::{Scenario, TrapRequest, TrapVm};
use pwtest::trace::{Entry, Event, GatewayEvent, Peer};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use wasmtime::Engine;

/// A guest that computes for so long hangs.
const BEATS: u64 = 3000;
/// How long an upstream that is meant to take too long is waited for.
const SHORT: u64 = 300;
const LONG: u64 = 20_000;

/// What is special about the origin of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Nothing.
    There,
    /// It is waited for in vain.
    TooLate,
    /// There is none.
    Nowhere,
}

/// For modules that stop by the clock.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<(Engine, Heart)> = OnceLock::new();
    let (engine, _) = ENGINE.get_or_init(|| {
        let engine = metered_engine(&ModuleCache::User, Metering::Beats).expect("an engine");
        let heart = Heart::of(&engine).expect("a thread");
        (engine, heart)
    });
    engine
}

/// Compiled once for all trials.
fn plugins() -> &'static Plugins {
    static PLUGINS: OnceLock<Plugins> = OnceLock::new();
    PLUGINS.get_or_init(|| Plugins::new(engine().clone()))
}

/// Keeps the trace of the server's host.
#[derive(Default)]
pub struct Watch {
    events: Mutex<Vec<Event>>,
    moved: tokio::sync::Notify,
}

impl Observer for Watch {
    fn traces(&self) -> bool {
        true
    }

    fn traced(&self, _host: HostId, events: &[Event], _names: &[Arc<str>]) {
        self.events().extend_from_slice(events);
        self.moved.notify_one();
    }
}

impl Watch {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Event> {
        self.events().clone()
    }

    /// Something about what has happened so far.
    pub fn ask<R>(&self, question: impl FnOnce(&[Event]) -> R) -> R {
        question(&self.events())
    }

    /// Waits until something holds, but not for ever. Says whether it does.
    pub async fn until(&self, limit: Duration, mut holds: impl FnMut(&[Event]) -> bool) -> bool {
        let end = tokio::time::Instant::now() + limit;
        loop {
            if self.ask(&mut holds) {
                return true;
            }
            if tokio::time::Instant::now() >= end {
                return false;
            }
            // What the ends see comes without a word from the server.
            let _ = tokio::time::timeout(Duration::from_millis(1), self.moved.notified()).await;
        }
    }
}

/// The exchange of this number in the order in which they were opened.
pub fn exchange(events: &[Event], at: usize) -> Option<ExchangeId> {
    let mut opened = events.iter().filter_map(|event| match event {
        Event::ExchangeOpened(id) => Some(*id),
        _ => None,
    });
    opened.nth(at)
}

/// How much of a message has come, or gone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    pub head: bool,
    pub bytes: usize,
    pub end: bool,
}

impl Amount {
    pub fn add(&mut self, part: &Part) {
        match part {
            Part::Headers { end_of_stream, .. } => {
                self.head = true;
                self.end |= *end_of_stream;
            }
            Part::Data { bytes, end_of_stream } => {
                self.bytes += bytes.len();
                self.end |= *end_of_stream;
            }
            Part::Trailers(_) | Part::Reset => self.end = true,
            Part::Metadata(_) => {}
        }
    }

    pub fn covers(&self, other: &Self) -> bool {
        self.head >= other.head && self.bytes >= other.bytes && self.end >= other.end
    }
}

/// What the host took from one end of an exchange.
pub fn taken(events: &[Event], of: ExchangeId, peer: Peer) -> Amount {
    let mut amount = Amount::default();
    for event in events {
        if let Event::Input { exchange, from, part } = event
            && *exchange == of
            && *from == peer
        {
            amount.add(part);
        }
    }
    amount
}

/// Whether the host is done with an exchange.
pub fn is_closed(events: &[Event], of: ExchangeId) -> bool {
    events.iter().any(|event| matches!(event, Event::ExchangeClosed(id) if *id == of))
}

/// The exchanges whose heads went out to the upstream, in that order.
pub fn asked(events: &[Event]) -> Vec<ExchangeId> {
    let head = |event: &Event| match event {
        Event::Output { exchange, to: Peer::Upstream, part: Part::Headers { .. } } => Some(*exchange),
        _ => None,
    };
    events.iter().filter_map(head).collect()
}

/// How often plugins were called by their timers.
pub fn ticks(events: &[Event]) -> usize {
    let on_tick = Entry::Callback(Callback::OnTick);
    events
        .iter()
        .filter(|event| matches!(event, Event::CallbackEntered(entered) if entered.callback == on_tick))
        .count()
}

/// How many answers to an HTTP call plugins were told of.
pub fn answers(events: &[Event], key: Key) -> usize {
    let of = |event: &&Event| matches!(event, Event::CallAnswered { call, plugin, .. } if (*plugin, *call) == key);
    events.iter().filter(of).count()
}

/// How many pieces of the answer to a gRPC call.
pub fn grpc_answers(events: &[Event], key: Key) -> usize {
    let of = |event: &&Event| matches!(event, Event::GrpcAnswered { call, plugin, .. } if (*plugin, *call) == key);
    events.iter().filter(of).count()
}

/// Starts a server with the plugins of a scenario.
pub fn start(
    scenario: &Scenario,
    profile: &'static Profile,
    upstream: SocketAddr,
    ends: Ends,
    clusters: Clusters,
    resolve: Resolve,
    watch: &Arc<Watch>,
) -> Result<Running, String> {
    let timeout = Timeout { read_ms: if ends == Ends::TooLate { SHORT } else { LONG }, ..Timeout::default() };
    let serves = match gateway_of(scenario).map_err(|error| error.render(false))? {
        Some(read) => through_gateway(&read.gateway, profile, timeout, ends)?,
        None => through_chain(scenario, profile, upstream, timeout)?,
    };
    let mut generation = Generation::new(profile, serves);
    generation.limits = Limits {
        callback: Work::Beats(BEATS),
        start: Work::Beats(BEATS),
        memory: scenario.limits.memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    };
    generation.policy = policy(scenario, profile);
    generation.clusters = Arc::new(clusters);
    let mut settings = Settings::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    // Nobody ends only one side here.
    settings.timeouts.half_closed = Duration::from_millis(1);
    settings.observer = watch.clone();
    settings.clock = Some(Clock::starting_at(scenario.clock_ns));
    settings.entropy = Entropy::seeded(scenario.seed);
    settings.resolve = Arc::new(resolve);
    if let Some(buffer) = scenario.limits.buffer {
        settings.bounds.held_bytes = usize::try_from(buffer).unwrap_or(usize::MAX);
    }
    Server::start(settings, generation).map_err(|error| error.to_string())
}

fn through_chain(
    scenario: &Scenario,
    profile: &'static Profile,
    upstream: SocketAddr,
    timeout: Timeout,
) -> Result<Serves, String> {
    let mut configs = Vec::new();
    for spec in &scenario.plugins {
        let code = plugins().get(&spec.file, profile).map_err(|error| error.to_string())?;
        configs.push(plugin_config(spec, code));
    }
    let upstream = Upstream { timeout, ..Upstream::of(vec![Node::from(upstream)]) };
    Ok(Serves::Chain { plugins: configs, upstream: Arc::new(upstream) })
}

/// The scenario's gateway. Where its nodes are is said when they are resolved.
fn through_gateway(
    gateway: &Gateway,
    profile: &'static Profile,
    timeout: Timeout,
    ends: Ends,
) -> Result<Serves, String> {
    let mut configs = Vec::new();
    for plugin in gateway.resources.plugins() {
        let code = plugins().get(&plugin.file, profile).map_err(|error| error.to_string())?;
        configs.push(PluginConfig::gateway_entry(&plugin.name, code));
    }
    let mut objects = gateway.resources.objects();
    if ends == Ends::TooLate {
        impatient(&mut objects, timeout);
    }
    Ok(Serves::Gateway {
        plugins: configs,
        config: Arc::new(Config::compile(gateway.resources.plugins(), objects)),
        show_upstream_status: gateway.options.show_upstream_status,
        real_ip: gateway.options.real_ip.clone(),
    })
}

/// Nobody is waited for as long as the scenario says.
fn impatient(objects: &mut Objects, timeout: Timeout) {
    let hasty = |upstream: &Arc<Upstream>| Arc::new(Upstream { timeout, ..Upstream::clone(upstream) });
    let inline = |of: &Option<UpstreamRef>| match of {
        Some(UpstreamRef::Inline(upstream)) => Some(UpstreamRef::Inline(hasty(upstream))),
        other => other.clone(),
    };
    objects.upstreams.iter_mut().for_each(|upstream| *upstream = hasty(upstream));
    let route = |of: &Arc<Route>| Arc::new(Route { upstream: inline(&of.upstream), ..Route::clone(of) });
    objects.routes = objects.routes.iter().map(route).collect();
    let service = |of: &Arc<Service>| Arc::new(Service { upstream: inline(&of.upstream), ..Service::clone(of) });
    objects.services = objects.services.iter().map(service).collect();
}

/// Where the nodes are that a gateway chose in memory.
pub fn resolve_nodes(events: &[Event], to: SocketAddr, resolve: &mut Resolve) -> Result<(), String> {
    let nodes: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Gateway(GatewayEvent::Node { node, .. }) => Some(node.as_str()),
            _ => None,
        })
        .collect();
    for node in nodes {
        let node = node.parse().map_err(|error: ClusterError| error.to_string())?;
        resolve.insert(node, to).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Modules for a server whose configuration is changed.
pub fn modules(profile: &'static Profile) -> Modules {
    Modules::new(engine().clone(), profile)
}

fn policy(scenario: &Scenario, profile: &Profile) -> TrapPolicy {
    let of = scenario.on_trap;
    TrapPolicy {
        fail_request: of.request.map_or(profile.trap_fails_request, |fate| fate == TrapRequest::FailClosed),
        rebuild: match of.vm {
            Some(TrapVm::Rebuild) => Rebuild::ForNextRequest,
            Some(TrapVm::Keep) => Rebuild::Never,
            None => profile.trap_rebuilds_vm,
        },
    }
}
