//! Plugins that come and go while the host runs, and chains that differ from request to request: what a gateway needs.
//!
//! A gateway loads the VM of every plugin when it starts, gives it configurations as its objects come and go, and says
//! for each request which of them take part, and in which order.

use super::exchange::ConnectionInfo;
use super::lifecycle::{Place, Plugin};
use super::{Host, PluginConfig, StartError};
use crate::abi::{ExchangeId, LogLevel, PluginIndex, VmIndex};
use crate::message::Headers;
use crate::trace::Event;
use bytes::Bytes;

impl Host {
    /// Boots the VM of a plugin that has no configuration yet, so that configurations of the same code and name find
    /// it. It takes part in no request.
    pub fn load(&mut self, config: PluginConfig) -> Result<PluginIndex, StartError> {
        self.add(config, Place::Loaded)
    }

    /// The VM of a plugin, and its place among the plugins; boots the VM if nobody has yet.
    pub(super) fn add(&mut self, config: PluginConfig, place: Place) -> Result<PluginIndex, StartError> {
        let shared = self.vm_specs.iter().position(|other| {
            std::sync::Arc::ptr_eq(&other.code, &config.code)
                && other.name == config.name
                && other.vm_config == config.vm_config
                && other.environment == config.environment
        });
        let vm = VmIndex(shared.unwrap_or(self.vms.len()));
        // A place that has been left is taken by the same plugin only, so that a number always means the same name.
        let free = self.plugins.iter().position(|plugin| plugin.place == Place::Free && plugin.vm == vm);
        let index = PluginIndex(free.unwrap_or(self.plugins.len()));
        let plugin = Plugin { config: config.clone(), vm, root: None, place };
        match self.plugins.get_mut(index.0) {
            Some(free) => *free = plugin,
            None => self.plugins.push(plugin),
        }
        if vm.0 == self.vms.len() {
            self.vm_specs.push(config);
            match self.boot(vm, index, false) {
                Ok(machine) => self.vms.push(machine),
                Err(error) => {
                    self.vm_specs.pop();
                    return Err(error);
                }
            }
            self.world.log(LogLevel::Info, "loaded wasm plugin");
        }
        Ok(index)
    }

    /// Opens an exchange through some of the plugins, in this order; `response_order` has the places in `chain` in
    /// the order in which they see the response, and may be empty where the host's own order is meant. It is APISIX's;
    /// hosts whose responses take the way of the request back go by their own.
    pub fn open_chain(&mut self, info: ConnectionInfo, chain: &[PluginIndex], response_order: &[usize]) -> ExchangeId {
        self.restart_after_crash();
        let id = self.open_exchange(info, None, chain.iter().copied());
        let own_order = self.world.profile.response_reversed;
        if let Some(e) = self.ex_mut(id).filter(|e| !own_order && e.filters.len() == response_order.len()) {
            e.response_order = response_order.to_vec();
        }
        self.world.recorder.push(|| Event::ExchangeOpened(id));
        id
    }

    /// The first so many plugins of the chain are of global rules: if one of them answers, the others see nothing of
    /// the response, since APISIX has not looked at the route's plugins yet (apisix.md 2.6).
    pub fn begins_with_global_rules(&mut self, exchange: ExchangeId, count: usize) {
        if let Some(e) = self.ex_mut(exchange) {
            e.phases.first_look = count;
        }
    }

    /// No upstream will see this request: where the host waits for all of the body only on the upstream's behalf, it
    /// does not.
    pub fn has_no_upstream(&mut self, exchange: ExchangeId) {
        if let Some(e) = self.ex_mut(exchange) {
            e.phases.passes_at_once = true;
        }
    }

    /// The host itself answers a request, in the upstream's place; the plugins see the response.
    pub fn reply(&mut self, exchange: ExchangeId, status: u32, headers: Headers, body: Bytes) {
        self.world.about = Some(exchange);
        self.world.recorder.push(|| {
            let details = "the gateway answers".to_owned();
            Event::HostReply { exchange, status, details }
        });
        if self.world.profile.plugins_run_in_turn {
            if let Some(e) = self.ex_mut(exchange) {
                for (name, value) in headers {
                    e.response.headers.append(name, value);
                }
            }
            self.respond(exchange, status, body);
        } else {
            self.reply_with(exchange, status, headers, body);
        }
        self.finish(exchange);
        self.world.about = None;
    }

    /// The name of a plugin.
    pub fn name_of(&self, plugin: PluginIndex) -> Option<&str> {
        Some(self.plugins.get(plugin.0)?.config.name.as_str())
    }

    /// How many VMs, plugin contexts and stream contexts there are.
    pub fn population(&self) -> Population {
        let contexts = || self.vms.iter().flat_map(|vm| vm.state().contexts.values());
        Population {
            vms: self.vms.len(),
            plugin_contexts: contexts().filter(|context| context.stream.is_none()).count(),
            stream_contexts: contexts().filter(|context| context.stream.is_some()).count(),
            exchanges: self.world.exchanges.len(),
        }
    }

    /// Takes a plugin out of use. Its context ends now, or with the last request that it takes part in.
    pub fn remove_plugin(&mut self, plugin: PluginIndex) {
        let Some(entry) = self.plugins.get_mut(plugin.0).filter(|p| p.place != Place::Free) else { return };
        entry.place = Place::Leaving;
        self.leaving += 1;
        self.end_leaving();
    }

    /// Ends the contexts of plugins that are out of use and that no request needs any more.
    pub(super) fn end_leaving(&mut self) {
        if self.leaving == 0 {
            return;
        }
        for at in 0..self.plugins.len() {
            let used = |host: &Self| {
                host.world.exchanges.values().any(|e| e.filters.iter().any(|filter| filter.plugin.0 == at))
            };
            if self.plugins[at].place != Place::Leaving || used(self) {
                continue;
            }
            self.leaving = self.leaving.saturating_sub(1);
            self.plugins[at].place = Place::Free;
            let (vm, root) = (self.plugins[at].vm, self.plugins[at].root.take());
            match root {
                Some(root) if self.world.profile.plugins_run_in_turn => self.retire(vm, PluginIndex(at), root),
                Some(root) => self.end_root(vm, PluginIndex(at), root),
                None => {}
            }
        }
        self.run_posted();
    }
}

/// What lives in a host at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Population {
    /// VMs.
    pub vms: usize,
    /// Root contexts.
    pub plugin_contexts: usize,
    /// Contexts of requests and connections.
    pub stream_contexts: usize,
    /// Requests and connections under way.
    pub exchanges: usize,
}

#[cfg(test)]
mod tests;
