//! The gateway of one host: the configuration of the moment, and the contexts that it needs.

use super::lane::Asker;
use super::way::Way;
use crate::abi::{ExchangeId, LogLevel};
use crate::gateway::config::Config;
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::gate::Contexts;
use crate::host::exchange::ConnectionInfo;
use crate::host::{Host, PluginConfig};
use std::cell::RefCell;
use std::sync::Arc;

/// A gateway on one worker.
pub(super) struct Gate {
    config: RefCell<Arc<Config>>,
    contexts: RefCell<Contexts>,
    show: UpstreamStatus,
}

impl Gate {
    /// A gateway whose plugins are these.
    pub(super) fn new(plugins: &[PluginConfig], config: Arc<Config>, show: UpstreamStatus) -> Self {
        let contexts = RefCell::new(Contexts::new(plugins.iter().cloned()));
        Self { config: RefCell::new(config), contexts, show }
    }

    /// Routes a request, and opens its exchange.
    pub(super) fn open(&self, host: &mut Host, asker: &Asker, info: ConnectionInfo) -> (ExchangeId, Way) {
        let routed = self.config.borrow().route(&asker.facts());
        let mut contexts = self.contexts.borrow_mut();
        let (chain, order) = contexts.bind(host, &routed.chain);
        let exchange = host.open_chain(info, &chain, &order);
        host.begins_with_global_rules(exchange, routed.chain.of_global_rules);
        for (key, error) in contexts.take_failures() {
            host.world_mut().log_about(Some(exchange), LogLevel::Error, format!("{key} could not be started: {error}"));
        }
        let way = Way::routed(routed.upstream, self.show);
        if way.refusal().is_some() {
            host.has_no_upstream(exchange);
        }
        (exchange, way)
    }

    /// Another configuration: contexts that it does not need end now, or with the last request that they are in.
    pub(super) fn configure(&self, host: &mut Host, config: Arc<Config>) {
        self.contexts.borrow_mut().retain(host, &config);
        *self.config.borrow_mut() = config;
    }
}
