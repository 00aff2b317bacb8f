//! The gateway of one host: the configuration of the moment, and the contexts that it needs.

use super::lane::Asker;
use crate::abi::{ExchangeId, LogLevel};
use crate::gateway::chain::ContextKey;
use crate::gateway::client::RealIp;
use crate::gateway::config::Config;
use crate::gateway::facts::Asked;
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::gate::Contexts;
use crate::gateway::way::Way;
use crate::host::exchange::ConnectionInfo;
use crate::host::{Host, PluginConfig, StartError};
use crate::trace::{Event, GatewayEvent};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

/// A gateway on one worker.
pub(super) struct Gate {
    config: RefCell<Arc<Config>>,
    contexts: RefCell<Contexts>,
    show: UpstreamStatus,
    real_ip: RealIp,
}

impl Gate {
    /// A gateway whose plugins are these.
    pub(super) fn new(plugins: &[PluginConfig], config: Arc<Config>, show: UpstreamStatus, real_ip: RealIp) -> Self {
        let contexts = RefCell::new(Contexts::new(plugins.iter().cloned()));
        Self { config: RefCell::new(config), contexts, show, real_ip }
    }

    /// Who asks.
    pub(super) fn client(&self, asked: &Asked) -> SocketAddr {
        self.real_ip.client(asked.client, &asked.headers)
    }

    /// Makes the contexts that no request has to come for.
    pub(super) fn prepare(&self, host: &mut Host) {
        let mut contexts = self.contexts.borrow_mut();
        contexts.prepare(host, &self.config.borrow());
        tell(host, None, contexts.failures());
    }

    /// Routes a request, and opens its exchange.
    pub(super) fn open(&self, host: &mut Host, asker: &Asker, info: ConnectionInfo) -> (ExchangeId, Way) {
        let mut contexts = self.contexts.borrow_mut();
        let opened = contexts.open(host, &self.config.borrow(), &asker.facts(), info, self.show);
        let exchange = opened.exchange;
        if opened.way.refusal().is_some() {
            // What the plugins let pass goes nowhere.
            host.upstream_is_unreachable(exchange);
        }
        let route = opened.route.as_ref().map(|route| &route.id);
        host.world_mut()
            .recorder
            .push(|| Event::Gateway(GatewayEvent::Routed { exchange, route: route.map(ToString::to_string) }));
        tell(host, Some(exchange), opened.failures);
        (exchange, opened.way)
    }

    /// Another configuration: contexts that it does not need end now, or with the last request that they are in.
    pub(super) fn configure(&self, host: &mut Host, config: Arc<Config>) {
        *self.config.borrow_mut() = config;
        self.prepare(host);
        self.contexts.borrow_mut().retain(host, &self.config.borrow());
    }
}

fn tell(host: &mut Host, exchange: Option<ExchangeId>, failures: Vec<(ContextKey, StartError)>) {
    for (key, error) in failures {
        host.world_mut().tell(exchange, LogLevel::Error, format!("{key} could not be started: {error}"));
    }
}
