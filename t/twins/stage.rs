//! A server for one case, and what it says of itself: the trace of its host, by which the ends know when a piece has
//! been taken.

use pwtest::abi::ExchangeId;
use pwtest::gateway::config::Config;
use pwtest::gateway::document::Gateway;
use pwtest::gateway::forward::UpstreamStatus;
use pwtest::gateway::model::{Node, Route, Service, Timeout, Upstream, UpstreamRef};
use pwtest::host::engine::{Heart, Metering, ModuleCache, metered_engine};
use pwtest::host::env::{Clock, Entropy};
use pwtest::host::limits::{Limits, Work};
use pwtest::host::profile::Profile;
use pwtest::host::store::HostId;
use pwtest::host::{PluginConfig, TrapPolicy};
use pwtest::message::Part;
use pwtest::proxy::{Generation, Observer, Running, Server, Serves, Settings};
use pwtest::runner::{Plugins, gateway_of, plugin_config};
use pwtest::scenario::{Scenario, TrapRequest, TrapVm};
use pwtest::trace::{Event, Peer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

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

/// Modules that stop by the clock: compiled once for all trials.
fn plugins() -> &'static Plugins {
    static PLUGINS: OnceLock<(Plugins, Heart)> = OnceLock::new();
    let (plugins, _) = PLUGINS.get_or_init(|| {
        let engine = metered_engine(&ModuleCache::User, Metering::Beats).expect("an engine");
        let heart = Heart::of(&engine).expect("a thread");
        (Plugins::new(engine), heart)
    });
    plugins
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

/// Starts a server with the plugins of a scenario.
pub fn start(
    scenario: &Scenario,
    profile: &'static Profile,
    upstream: SocketAddr,
    ends: Ends,
    watch: &Arc<Watch>,
) -> Result<Running, String> {
    let timeout = Timeout { read_ms: if ends == Ends::TooLate { SHORT } else { LONG }, ..Timeout::default() };
    let serves = match gateway_of(scenario).map_err(|error| error.render(false))? {
        Some(read) => through_gateway(&read.gateway, profile, upstream, timeout, ends)?,
        None => through_chain(scenario, profile, upstream, timeout)?,
    };
    let mut generation = Generation::new(profile, serves);
    generation.limits = Limits {
        callback: Work::Beats(BEATS),
        start: Work::Beats(BEATS),
        memory: scenario.limits.memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    };
    generation.policy = policy(scenario, profile);
    let mut settings = Settings::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    settings.observer = watch.clone();
    settings.clock = Some(Clock::starting_at(scenario.clock_ns));
    settings.entropy = Entropy::seeded(scenario.seed);
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

/// The scenario's gateway, with the origin in the place of every node.
fn through_gateway(
    gateway: &Gateway,
    profile: &'static Profile,
    origin: SocketAddr,
    timeout: Timeout,
    ends: Ends,
) -> Result<Serves, String> {
    let mut configs = Vec::new();
    for plugin in gateway.resources.plugins() {
        let code = plugins().get(&plugin.file, profile).map_err(|error| error.to_string())?;
        configs.push(PluginConfig::gateway_entry(&plugin.name, code));
    }
    let moved = |upstream: &Arc<Upstream>| {
        let mut upstream = Upstream::clone(upstream);
        for (at, node) in upstream.nodes.iter_mut().enumerate() {
            // Nobody is at any of these, and they are as many as in memory.
            let host =
                if ends == Ends::Nowhere { format!("127.0.0.{}", at % 250 + 1) } else { origin.ip().to_string() };
            (node.host, node.port) = (host.into(), origin.port());
        }
        upstream.timeout = timeout;
        Arc::new(upstream)
    };
    let inline = |of: &Option<UpstreamRef>| match of {
        Some(UpstreamRef::Inline(upstream)) => Some(UpstreamRef::Inline(moved(upstream))),
        other => other.clone(),
    };
    let mut objects = gateway.resources.objects();
    objects.upstreams = objects.upstreams.iter().map(moved).collect();
    objects.routes = objects
        .routes
        .iter()
        .map(|of| Arc::new(Route { upstream: inline(&of.upstream), ..Route::clone(of) }))
        .collect();
    objects.services = objects
        .services
        .iter()
        .map(|of| Arc::new(Service { upstream: inline(&of.upstream), ..Service::clone(of) }))
        .collect();
    Ok(Serves::Gateway {
        plugins: configs,
        config: Arc::new(Config::compile(gateway.resources.plugins(), objects)),
        show_upstream_status: UpstreamStatus::default(),
    })
}

fn policy(scenario: &Scenario, profile: &Profile) -> TrapPolicy {
    let of = scenario.on_trap;
    TrapPolicy {
        fail_request: of.request.map_or(profile.trap_fails_request, |fate| fate == TrapRequest::FailClosed),
        rebuild: of.vm.map_or(profile.trap_rebuilds_vm, |fate| fate == TrapVm::Rebuild),
    }
}
