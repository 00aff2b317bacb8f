//! What a server is started with, and what a reload replaces.
//!
//! Data only. [`Settings`] stay for the life of the server; a [`Generation`] is what one reload brings.

use super::calls::Clusters;
use super::observer::Observer;
use super::resolve::Resolve;
use crate::gateway::client::RealIp;
use crate::gateway::config::Config;
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::model;
use crate::host::env::{Clock, Entropy};
use crate::host::limits::Limits;
use crate::host::profile::Profile;
use crate::host::{PluginConfig, Stores, TrapPolicy};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// What stays for the life of a server.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen. Port 0 is any port that is free.
    pub listen: Vec<SocketAddr>,
    /// Threads, each with a runtime and VMs of its own.
    pub workers: NonZeroUsize,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// How much clients may send.
    pub bounds: Bounds,
    /// Who hears of what happens.
    pub observer: Arc<dyn Observer>,
    /// What plugins keep, over all workers and reloads.
    pub stores: Stores,
    /// What plugins take for the time; without one the system's. One that stands is moved by
    /// [`Running::act`](super::Running::act), and so are their timers then. Timeouts keep to the system's.
    pub clock: Option<Clock>,
    /// Where plugins have their randomness from.
    pub entropy: Entropy,
    /// Hosts that are not looked up, for it is known where they are.
    pub resolve: Arc<Resolve>,
}

impl Settings {
    /// One worker on these addresses, with the default bounds, and nobody who listens.
    pub fn new(listen: Vec<SocketAddr>) -> Self {
        Self {
            listen,
            workers: NonZeroUsize::MIN,
            timeouts: Timeouts::default(),
            bounds: Bounds::default(),
            observer: Arc::new(super::observer::Unobserved),
            stores: Stores::default(),
            clock: None,
            entropy: Entropy::System,
            resolve: Arc::default(),
        }
    }
}

/// What a reload replaces: from it every worker builds a host of its own.
#[derive(Clone)]
pub struct Generation {
    /// The host that is imitated.
    pub profile: &'static Profile,
    /// What requests pass, and where they go.
    pub serves: Serves,
    /// What plugins may use.
    pub limits: Limits,
    /// What a trap does.
    pub policy: TrapPolicy,
    /// The upstreams of calls that plugins make by name, on hosts where upstreams have names.
    pub clusters: Arc<Clusters>,
}

impl Generation {
    /// Plugins in front of one upstream, with what the profile says of traps.
    pub fn chain(profile: &'static Profile, plugins: Vec<PluginConfig>, upstream: Arc<model::Upstream>) -> Self {
        Self::new(profile, Serves::Chain { plugins, upstream })
    }

    /// Begins with another configuration, where it has a gateway.
    pub(super) fn configure(&mut self, other: &Arc<Config>) {
        if let Serves::Gateway { config, .. } = &mut self.serves {
            *config = other.clone();
        }
    }

    /// The same for whatever is served.
    pub fn new(profile: &'static Profile, serves: Serves) -> Self {
        Self {
            profile,
            serves,
            limits: Limits::default(),
            policy: TrapPolicy { fail_request: profile.trap_fails_request, rebuild: profile.trap_rebuilds_vm },
            clusters: Arc::default(),
        }
    }
}

/// What requests pass, and where they go.
#[derive(Clone)]
pub enum Serves {
    /// Every request passes the same plugins, to the same upstream.
    Chain {
        /// In the order of requests.
        plugins: Vec<PluginConfig>,
        /// Where all requests go.
        upstream: Arc<model::Upstream>,
    },
    /// Each request goes its own way.
    Gateway {
        /// The modules, each by its name and without a configuration.
        plugins: Vec<PluginConfig>,
        /// What it begins with; [`Running::set_config`](super::Running::set_config) gives it another one.
        config: Arc<Config>,
        /// When clients are told of the upstream's status.
        show_upstream_status: UpstreamStatus,
        /// Whom it takes for the client.
        real_ip: RealIp,
    },
}

impl Serves {
    /// The plugins, as they are loaded.
    pub(super) fn plugins(&self) -> &[PluginConfig] {
        match self {
            Self::Chain { plugins, .. } | Self::Gateway { plugins, .. } => plugins,
        }
    }
}

/// How long a client may take. What upstreams may take stands in the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the head of a request, from its first byte on.
    pub head: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// Between two requests of one connection.
    pub idle: Duration,
    /// Between two pieces that the client takes of a response.
    pub send: Duration,
    /// For the next piece of a response, when the client has ended its side of the connection: it says nothing more, or
    /// has gone away. nginx and Envoy take the latter for granted; whoever ends its side only, gets its answer here.
    pub half_closed: Duration,
    /// For a request that has come completely and to which nothing happens, because a plugin holds it. APISIX has no
    /// such bound, and no such request.
    pub stream: Duration,
}

impl Default for Timeouts {
    /// nginx's: 60 s, and 75 s between requests. Envoy's `stream_idle_timeout`: 300 s.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        let (idle, half_closed) = (Duration::from_secs(75), Duration::from_secs(1));
        Self { head: minute, body: minute, idle, send: minute, half_closed, stream: minute * 5 }
    }
}

/// How much a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a request's head, all lines together: with more, 431.
    pub head_bytes: usize,
    /// Bytes of the target: with more, 414.
    pub target_bytes: usize,
    /// Lines of headers: with more, 431.
    pub header_lines: usize,
    /// Bytes that wait between client and upstream, in each direction of a request.
    pub waiting_bytes: usize,
    /// Bytes of one message that the host may hold, where the profile allows as many: with more, 413.
    pub held_bytes: usize,
    /// Connections of one worker; others wait to be accepted.
    pub connections: usize,
    /// Requests of one HTTP/2 connection that are under way together.
    pub h2_streams: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            head_bytes: 32 << 10,
            target_bytes: 8 << 10,
            header_lines: 1000,
            waiting_bytes: 64 << 10,
            held_bytes: 64 << 20,
            connections: 10_620,
            h2_streams: 128,
        }
    }
}
