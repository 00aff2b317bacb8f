//! Which plugin of a host is the context that a chain asks for.
//!
//! A context is made when a request first needs it, and goes with the table that its configuration stands in (2.3):
//! at once, or after the last request in flight, where APISIX leaves the moment to a garbage collector.

use super::chain::{Chain, ContextKey};
use super::config::Config;
use super::facts::RequestFacts;
use super::forward::{PassedHost, UpstreamStatus};
use super::model::Route;
use super::target::Target;
use super::way::Way;
use crate::abi::{ExchangeId, PluginIndex};
use crate::host::exchange::ConnectionInfo;
use crate::host::{Host, PluginConfig, StartError};
use std::collections::HashMap;
use std::sync::Arc;

/// The contexts of one host.
#[derive(Default)]
pub struct Contexts {
    /// Each plugin of the gateway, without a configuration.
    plugins: HashMap<Arc<str>, PluginConfig>,
    /// `None` where one could not be made; it is not tried again.
    places: HashMap<ContextKey, Option<PluginIndex>>,
    /// Chains that were bound before. The chain is kept, so that no other one can come to lie at its address.
    bound: HashMap<usize, (Chain, Bound)>,
    /// Some could not be made.
    incomplete: bool,
    failures: Vec<(ContextKey, StartError)>,
}

/// The plugins of a chain in a host, and the places among them in the order of responses.
pub type Bound = (Arc<[PluginIndex]>, Arc<[usize]>);

/// A request that has been routed.
#[derive(Debug)]
pub struct Opened {
    /// Its exchange.
    pub exchange: ExchangeId,
    /// The route that took it.
    pub route: Option<Arc<Route>>,
    /// Where it goes when the plugins have seen it.
    pub way: Way,
    /// Contexts that it needs and that could not be made. On APISIX there are none: a refused configuration shows in
    /// each request.
    pub failures: Vec<(ContextKey, StartError)>,
}

/// Chains that are remembered; those with a filter are new for each request.
const MOST_BOUND: usize = 16_384;

impl Contexts {
    /// For a host that has loaded these: each with its name, which is its root id on APISIX, too. A plugin that is not
    /// among them does not run (1.2).
    pub fn new(plugins: impl IntoIterator<Item = PluginConfig>) -> Self {
        let named = |plugin: PluginConfig| (plugin.name.as_str().into(), plugin);
        // Of two entries of one name, the first counts.
        let mut all: HashMap<Arc<str>, PluginConfig> = HashMap::new();
        for (name, plugin) in plugins.into_iter().map(named) {
            all.entry(name).or_insert(plugin);
        }
        Self { plugins: all, ..Self::default() }
    }

    /// Routes a request, and opens its exchange.
    pub fn open(
        &mut self,
        host: &mut Host,
        config: &Config,
        facts: &RequestFacts<'_>,
        info: ConnectionInfo,
        show: UpstreamStatus,
    ) -> Opened {
        let routed = config.route(facts);
        let (chain, order) = self.bind(host, &routed.chain);
        let exchange = host.open_chain(info, &chain, &order);
        host.begins_with_global_rules(exchange, routed.chain.of_global_rules);
        let target = match self.incomplete && self.lacks(&routed.chain) {
            true => Target::PluginNotStarted,
            false => routed.upstream,
        };
        let passed_host = match host.world().profile.gateway_keeps_host {
            true => PassedHost::AsSent,
            false => PassedHost::AsLeft,
        };
        let way = Way::routed(target, show, passed_host);
        if way.refusal().is_some() {
            host.has_no_upstream(exchange);
        }
        Opened { exchange, route: routed.route, way, failures: self.failures() }
    }

    /// Makes the contexts of a configuration on hosts where no request has to come for that: what plugins do by
    /// themselves begins, and what they can't be configured with shows. On APISIX the first request makes them (2.3).
    pub fn prepare(&mut self, host: &mut Host, config: &Config) {
        if host.world().profile.plugins_run_in_turn {
            return;
        }
        for chain in config.chains() {
            self.bind(host, &chain);
        }
    }

    /// Contexts that could not be made since somebody asked last.
    pub fn failures(&mut self) -> Vec<(ContextKey, StartError)> {
        std::mem::take(&mut self.failures)
    }

    /// The plugins of a chain, for `Host::open_chain`; adds to the host what it does not have yet.
    pub fn bind(&mut self, host: &mut Host, chain: &Chain) -> Bound {
        let address = chain.plugins.as_ptr().addr();
        if let Some((_, bound)) = self.bound.get(&address) {
            return bound.clone();
        }
        let places: Vec<Option<PluginIndex>> = (0..chain.plugins.len()).map(|at| self.place(host, chain, at)).collect();
        let bound: Bound = if places.iter().all(Option::is_some) {
            (places.into_iter().flatten().collect(), chain.response_order.clone())
        } else {
            // What is left out moves the rest up.
            let moved = |at: usize| {
                places
                    .get(at)
                    .copied()
                    .flatten()
                    .map(|_| places.iter().take(at).filter(|place| place.is_some()).count())
            };
            let order = chain.response_order.iter().filter_map(|at| moved(*at)).collect();
            (places.iter().copied().flatten().collect(), order)
        };
        if !chain.plugins.is_empty() && chain.is_shared() {
            if self.bound.len() >= MOST_BOUND {
                self.bound.clear();
            }
            self.bound.insert(address, (chain.clone(), bound.clone()));
        }
        bound
    }

    /// Whether a plugin of the chain could not be started.
    fn lacks(&self, chain: &Chain) -> bool {
        chain.plugins.iter().any(|plugin| matches!(self.places.get(&plugin.key), Some(None)))
    }

    fn place(&mut self, host: &mut Host, chain: &Chain, at: usize) -> Option<PluginIndex> {
        let plugin = chain.plugins.get(at)?;
        if let Some(place) = self.places.get(&plugin.key) {
            return *place;
        }
        let known = self.plugins.get(&plugin.name)?;
        let config = PluginConfig { error_response: plugin.error_response.clone(), ..known.clone() };
        // An object's is never empty (1.1): only a command line leaves it out.
        let config = if plugin.conf.is_empty() { config } else { config.with_config(plugin.conf.clone()) };
        let place = match host.add_plugin(config) {
            Ok(place) => Some(place),
            Err(error) => {
                self.incomplete = true;
                self.failures.push((plugin.key.clone(), error));
                None
            }
        };
        self.places.insert(plugin.key.clone(), place);
        place
    }

    /// Frees the contexts whose table a new configuration does not have any more.
    pub fn retain(&mut self, host: &mut Host, config: &Config) {
        self.bound.clear();
        let mut gone: Vec<PluginIndex> = Vec::new();
        self.places.retain(|key, place| {
            let stays = config.has(&key.table);
            if !stays {
                gone.extend(*place);
            }
            stays
        });
        gone.sort_unstable();
        for place in gone {
            host.remove_plugin(place);
        }
    }

    /// How many contexts there are.
    pub fn count(&self) -> usize {
        self.places.values().flatten().count()
    }
}

#[cfg(test)]
mod tests;
