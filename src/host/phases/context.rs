//! Contexts of APISIX: a plugin's is made by the first request that needs it, and ids are used again (2.3, 2.4).

use super::super::exchange::Exchange;
use super::super::state::{Root, StreamRef};
use super::super::{Called, Host};
use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex, VmIndex};

impl Host {
    /// The plugin context of a filter, made and configured if there is none. A failure is not kept: the next request
    /// tries again.
    pub(super) fn plugin_context(&mut self, id: ExchangeId, filter: usize) -> bool {
        let Some(plugin) = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin) else { return false };
        if self.plugins.get(plugin.0).is_none_or(|p| p.root.is_some()) {
            return true;
        }
        // Its lines are about no request (4.5).
        let about = self.world.about.take();
        let made = self.configure(plugin);
        self.world.about = about;
        if let Err(reason) = &made {
            let name = self.plugin_name(id, filter);
            self.world.log(LogLevel::Error, format!("{name}: failed to fetch wasm plugin ctx: {reason}"));
        }
        made.is_ok()
    }

    fn configure(&mut self, plugin: PluginIndex) -> Result<(), &'static str> {
        const FAILED: &str = "failed to run proxy_on_configure";
        let Some(entry) = self.plugins.get(plugin.0) else { return Err(FAILED) };
        let (vm, config) = (entry.vm, entry.config.clone());
        if config.config.is_empty() && config.configured {
            return Err("bad conf");
        }
        let Some(machine) = self.vms.get_mut(vm.0) else { return Err(FAILED) };
        let state = machine.state_mut();
        let root = state.reused_context(None, plugin, None);
        state.roots.insert(root, Root::of(&config));
        if let Called::Trapped | Called::Skipped = self.call(vm, plugin, Callback::OnContextCreate, root, &[0]) {
            self.world.log(LogLevel::Error, format!("failed to create context {}, rc: -1", root.0));
            self.give_back(vm, root);
            return Err(FAILED);
        }
        let size = config.config.len() as u32;
        let result = self.call(vm, plugin, Callback::OnConfigure, root, &[size]).code();
        if result <= 0 {
            let line = format!("failed to configure plugin context {}, rc: {result}", root.0);
            self.world.log(LogLevel::Error, line);
            self.free_plugin_context(vm, plugin, root);
            return Err(FAILED);
        }
        self.world.log(LogLevel::Info, format!("create plugin context {}", root.0));
        if let Some(entry) = self.plugins.get_mut(plugin.0) {
            entry.root = Some(root);
        }
        Ok(())
    }

    /// Ends a plugin context: what `proxy_on_done` says is only logged.
    pub(in super::super) fn free_plugin_context(&mut self, vm: VmIndex, plugin: PluginIndex, root: ContextId) {
        self.done_and_delete(vm, plugin, root);
        self.world.log(LogLevel::Info, format!("free plugin context {}", root.0));
        self.give_back(vm, root);
    }

    fn give_back(&mut self, vm: VmIndex, context: ContextId) {
        if let Some(machine) = self.vms.get_mut(vm.0) {
            machine.state_mut().give_back(context);
        }
    }

    /// The stream context of a filter, made if there is none.
    pub(super) fn http_context(&mut self, id: ExchangeId, filter: usize) -> Option<ContextId> {
        let entry = self.ex(id)?.filters.get(filter)?;
        if let Some(context) = entry.context {
            return Some(context);
        }
        let (vm, plugin) = (entry.vm, entry.plugin);
        let root = self.plugins.get(plugin.0)?.root?;
        let stream = StreamRef { exchange: id, filter };
        let context = self.vms.get_mut(vm.0)?.state_mut().reused_context(Some(root), plugin, Some(stream));
        let called = self.call_for(stream, vm, plugin, Callback::OnContextCreate, context, &[root.0]);
        if let Called::Trapped | Called::Skipped = called {
            self.world.log(LogLevel::Error, format!("failed to create context {}, rc: -1", context.0));
            self.give_back(vm, context);
            return None;
        }
        let e = self.ex_mut(id)?;
        e.filters.get_mut(filter)?.context = Some(context);
        e.created.push(filter);
        self.world.log(LogLevel::Info, format!("create http context {}", context.0));
        Some(context)
    }

    /// Ends the stream contexts of an exchange, in the order in which they were made. No request can be reached any
    /// more (2.4).
    pub(in super::super) fn free_http_contexts(&mut self, id: ExchangeId) {
        let created = self.ex_mut(id).map(|e: &mut Exchange| std::mem::take(&mut e.created)).unwrap_or_default();
        for filter in created {
            let Some(entry) = self.ex_mut(id).and_then(|e| e.filters.get_mut(filter)) else { continue };
            let (vm, plugin) = (entry.vm, entry.plugin);
            let Some(context) = entry.context.take() else { continue };
            self.done_and_delete(vm, plugin, context);
            self.world.log(LogLevel::Info, format!("free http context {}", context.0));
            let root = self.vms.get(vm.0).and_then(|m| Some(m.state().contexts.get(&context)?.root));
            self.give_back(vm, context);
            if let Some(root) = root {
                self.free_if_retired(vm, plugin, root);
            }
        }
    }

    /// A plugin context that was replaced while a request used it ends with the last such request.
    fn free_if_retired(&mut self, vm: VmIndex, plugin: PluginIndex, root: ContextId) {
        let Some(machine) = self.vms.get(vm.0) else { return };
        let used = machine.state().contexts.values().any(|c| c.root == root && c.stream.is_some());
        let retired = machine.state().roots.get(&root).is_some_and(|r| r.retired);
        if retired && !used {
            self.free_plugin_context(vm, plugin, root);
        }
    }

    /// Takes a plugin's context out of use, and ends it as soon as no request has a part in it.
    pub(in super::super) fn retire(&mut self, vm: VmIndex, plugin: PluginIndex, root: ContextId) {
        if let Some(state) = self.root_state(vm, root) {
            state.retired = true;
        }
        self.free_if_retired(vm, plugin, root);
    }

    fn done_and_delete(&mut self, vm: VmIndex, plugin: PluginIndex, context: ContextId) {
        let done = self.call(vm, plugin, Callback::OnDone, context, &[]).code();
        if done <= 0 {
            let line = format!("failed to mark context {} as done, rc: {done}", context.0);
            self.world.log(LogLevel::Error, line);
        }
        if let Called::Trapped | Called::Skipped = self.call(vm, plugin, Callback::OnDelete, context, &[]) {
            self.world.log(LogLevel::Error, format!("failed to delete context {}, rc: -1", context.0));
        }
    }
}
