//! Plugins and their VMs from start to shutdown: boot, root context, configuration, ticks, queues, end.

use super::config::{PluginConfig, StartError};
use super::inspect::Warning;
use super::state::Root;
use super::vm::{Vm, VmSpec};
use super::world::Posted;
use super::{Called, Host, Rebuild};
use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex, VmIndex};
use crate::trace::{CallbackEntered, Entry, Event, TrapKind};
use bytes::Bytes;

/// A configured plugin: which VM, which root context.
pub(super) struct Plugin {
    pub(super) config: PluginConfig,
    pub(super) vm: VmIndex,
    pub(super) root: Option<ContextId>,
    pub(super) place: Place,
}

/// What part a plugin has in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It takes part in all that name no other chain.
    Chain,
    /// None: only its VM is there.
    Loaded,
    /// In none that are to come.
    Leaving,
    /// None, and somebody else may have its place.
    Free,
}

/// A VM that traps as soon as it is there is not made anew more often than this.
const RENEWAL_PAUSE_NS: u64 = 1_000_000_000;

/// VMs that trapped and are replaced by themselves.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    due_ns: Option<u64>,
    last_ns: Option<u64>,
    /// One that traps while it starts has had its turn; the next request is another.
    running: bool,
}

impl Place {
    /// Whether a plugin context may stand here.
    pub(super) fn has_context(self) -> bool {
        match self {
            Self::Chain | Self::Leaving => true,
            Self::Loaded | Self::Free => false,
        }
    }
}

impl Host {
    /// Adds a plugin at the end of the chain and starts it. Two configurations of one file and name share a VM.
    pub fn add_plugin(&mut self, config: PluginConfig) -> Result<PluginIndex, StartError> {
        if let Some(higress) = config.code.inspection.warnings.iter().find(|w| **w == Warning::HigressMarker) {
            let plugin = PluginIndex(self.plugins.len());
            self.world.finding(higress.id(), Some(plugin), higress.to_string());
        }
        let plugin = self.add(config, Place::Chain)?;
        if self.world.profile.plugins_run_in_turn {
            // Its context is made by the first request.
            return Ok(plugin);
        }
        self.start_root(plugin)?;
        self.run_posted();
        Ok(plugin)
    }

    pub(super) fn boot(&mut self, vm: VmIndex, plugin: PluginIndex, rebuilt: bool) -> Result<Vm, StartError> {
        let Some(config) = self.vm_specs.get(vm.0) else { return Err(StartError::VmStart) };
        let spec = VmSpec {
            plugin: config.code.clone(),
            vm_config: config.vm_config.clone(),
            environment: config.environment.clone(),
            limits: self.limits,
        };
        self.world.recorder.push(|| Event::VmStarted { plugin, rebuilt });
        let from = self.world.recorder.events().len();
        let entered = |world: &mut super::World, callback: Entry| {
            let context = ContextId(0);
            let event = CallbackEntered { plugin, callback, context, exchange: None, args: Default::default() };
            world.recorder.push(|| Event::CallbackEntered(event));
            if callback != Entry::Start("start section") {}
        };
        Vm::boot(&spec, vm, plugin, &mut self.world, entered).map_err(|(entry, broken)| {
            let (section, kind) = (entry == Entry::Start("start section"), broken.kind);
            self.record_trap(broken, plugin, entry, ContextId(0), None, from);
            if section && kind == TrapKind::Hostcall {
                self.wreck(
                    "start-section-hostcall",
                    "the start section made a hostcall, before the host is ready for any: the worker dies while it \
                     starts; export _initialize instead",
                );
            }
            StartError::Trapped(entry)
        })
    }

    /// Root context, `on_vm_start`, `on_configure` (abi.md 2.3): each root of a shared VM sees all three.
    pub(super) fn start_root(&mut self, plugin: PluginIndex) -> Result<(), StartError> {
        let Some(Plugin { config, vm, .. }) = self.plugins.get(plugin.0) else { return Err(StartError::VmStart) };
        let (vm, config) = (*vm, config.clone());
        let Some(machine) = self.vms.get_mut(vm.0) else { return Err(StartError::VmStart) };
        let state = machine.state_mut();
        let root = state.new_context(None, plugin, None);
        state.roots.insert(root, Root::of(&config));
        if let Some(plugin) = self.plugins.get_mut(plugin.0) {
            plugin.root = Some(root);
        }
        if let Err(trapped) = self.start_callback(vm, plugin, Callback::OnContextCreate, root, 0) {
            // Envoy 1.40: the server starts all the same, skips the rest, and answers every request with 503.
            return if self.world.profile.trap_disables_vm { Ok(()) } else { Err(trapped) };
        }
        if self.world.profile.calls_vm_start
            && !self.start_callback(vm, plugin, Callback::OnVmStart, root, config.vm_config.len())?
        {
            return Err(StartError::VmStart);
        }
        if self.world.profile.calls_validate_configuration
            && !self.start_callback(vm, plugin, Callback::OnValidateConfiguration, root, config.config.len())?
        {
            return Err(StartError::Configure);
        }
        if !self.start_callback(vm, plugin, Callback::OnConfigure, root, config.config.len())? {
            return Err(StartError::Configure);
        }
        Ok(())
    }

    fn start_callback(
        &mut self,
        vm: VmIndex,
        plugin: PluginIndex,
        callback: Callback,
        root: ContextId,
        arg: usize,
    ) -> Result<bool, StartError> {
        match self.call(vm, plugin, callback, root, &[arg as u32]) {
            Called::Returned(result) => Ok(result != Some(0)),
            Called::Missing => Ok(true),
            Called::Skipped | Called::Trapped => Err(StartError::Trapped(Entry::Callback(callback))),
        }
    }

    /// A new configuration for a plugin: a new root context in the same VM takes over, and the old one ends, as
    /// when Envoy gets a new listener with the same VM configuration.
    pub fn reconfigure(&mut self, plugin: PluginIndex, config: Bytes) -> Result<(), StartError> {
        let Some(Plugin { config: current, vm, root, .. }) = self.plugins.get_mut(plugin.0) else { return Ok(()) };
        current.config = config;
        let (vm, old) = (*vm, *root);
        if self.world.profile.plugins_run_in_turn {
            if let Some(entry) = self.plugins.get_mut(plugin.0) {
                entry.config.configured = true;
                entry.root = None;
            }
            if let Some(old) = old {
                self.retire(vm, plugin, old);
            }
            return Ok(());
        }
        self.rebuild_if_failed(vm)?;
        self.start_root(plugin)?;
        if let Some(old) = old {
            self.end_root(vm, plugin, old);
        }
        self.run_posted();
        Ok(())
    }

    /// Replaces a VM that trapped, where the policy says so; all its plugins start anew.
    pub(super) fn rebuild_if_failed(&mut self, vm: VmIndex) -> Result<(), StartError> {
        if self.policy.rebuild == Rebuild::Never || !self.vms.get(vm.0).is_some_and(|machine| machine.failed) {
            return Ok(());
        }
        let users: Vec<PluginIndex> =
            (0..self.plugins.len()).map(PluginIndex).filter(|p| self.plugins[p.0].vm == vm).collect();
        let Some(first) = users.first().copied() else { return Ok(()) };
        self.world.ticks.retain(|(of, _), _| *of != vm);
        let waiting: Vec<ExchangeId> =
            self.world.calls.values().filter(|call| call.vm == vm).filter_map(|call| call.exchange).collect();
        self.world.calls.retain(|_, call| call.vm != vm);
        self.world.calls_given_up += 1;
        self.world.grpc.forget(vm);
        self.world.metrics.forget(vm);
        self.world.stores.forget_vm(vm);
        self.vms[vm.0] = self.boot(vm, first, true)?;
        for plugin in &users {
            self.plugins[plugin.0].root = None;
        }
        self.orphan_streams(vm, &waiting);
        if self.world.profile.plugins_run_in_turn {
            // Their contexts are made by the next request.
            return Ok(());
        }
        for plugin in users {
            if self.plugins[plugin.0].place.has_context() {
                self.start_root(plugin)?;
            }
        }
        Ok(())
    }

    /// Requests that were in a VM which is gone: its plugins take no more part in them, and where such a failure is
    /// answered, it is.
    fn orphan_streams(&mut self, vm: VmIndex, waiting: &[ExchangeId]) {
        let in_turn = self.world.profile.plugins_run_in_turn;
        let mut failed = Vec::new();
        for (id, e) in &mut self.world.exchanges {
            e.created.retain(|filter| e.filters.get(*filter).is_none_or(|f| f.vm != vm));
            for filter in e.filters.iter_mut().filter(|filter| filter.vm == vm) {
                if filter.context.take().is_some() && !in_turn {
                    filter.bypassed = true;
                    failed.push(*id);
                }
            }
        }
        if in_turn {
            for id in waiting {
                self.respond(*id, 503, Bytes::new());
                self.finish(*id);
            }
        } else if self.policy.fail_request {
            for id in failed {
                if self.ex_mut(id).is_some_and(|e| !std::mem::replace(&mut e.failed, true)) {
                    self.fail_stream(id);
                    self.finish(id);
                }
            }
        }
    }

    /// A VM has trapped: where the policy says so, it is replaced when the driver comes by for ticks.
    pub(super) fn renew_soon(&mut self) {
        // Until then, and where a VM does not come up again, requests that come do it.
        if self.policy.rebuild == Rebuild::Soon && self.world.profile.trap_disables_vm && !self.renewal.running {
            let now = self.world.clock.monotonic_ns();
            let due = self.renewal.last_ns.map_or(now, |last| now.max(last.saturating_add(RENEWAL_PAUSE_NS)));
            self.renewal.due_ns.get_or_insert(due);
        }
    }

    fn renew(&mut self, now: u64) {
        self.renewal = Renewal { due_ns: None, last_ns: Some(now), running: true };
        for vm in 0..self.vms.len() {
            let _ = self.rebuild_if_failed(VmIndex(vm));
        }
        self.renewal.running = false;
        self.settle();
        self.run_posted();
    }

    /// When the next tick is due, or VMs are to be replaced, on the monotonic clock.
    pub fn next_tick(&self) -> Option<u64> {
        self.world.ticks.values().map(|tick| tick.due_ns).chain(self.renewal.due_ns).min()
    }

    /// Runs the tick that is due first, if one is due by now, and arms it again; VMs are replaced before.
    pub fn fire_tick(&mut self) -> bool {
        let now = self.world.clock.monotonic_ns();
        if self.renewal.due_ns.is_some_and(|due| due <= now) {
            self.renew(now);
            return true;
        }
        let first = self.world.ticks.iter().min_by_key(|(key, tick)| (tick.due_ns, **key));
        let Some((&(vm, root), tick)) = first else { return false };
        if tick.due_ns > now {
            return false;
        }
        let due_ns = tick.due_ns;
        let plugin = self.plugin_of(vm, root);
        let called = match plugin {
            Some(plugin) => self.call(vm, plugin, Callback::OnTick, root, &[]),
            None => Called::Skipped,
        };
        // Envoy arms the timer again when the callback has returned, unless the plugin stopped it.
        match called {
            Called::Skipped | Called::Trapped => {
                self.world.ticks.remove(&(vm, root));
            }
            Called::Returned(_) | Called::Missing => {
                let now = self.world.clock.monotonic_ns();
                if let Some(tick) = self.world.ticks.get_mut(&(vm, root))
                    && tick.due_ns == due_ns
                {
                    tick.due_ns = now.saturating_add(tick.period_ns);
                }
            }
        }
        self.settle();
        self.run_posted();
        true
    }

    /// Tells queue owners of their messages, one callback for each.
    pub(super) fn run_posted(&mut self) {
        // Two plugins that answer each other's messages never end; fuel is counted for each callback only.
        const MOST: usize = 10_000;
        for _ in 0..MOST {
            match self.world.posted.pop_front() {
                None => return,
                Some(Posted::QueueReady { vm, root, queue }) => {
                    let Some(plugin) = self.plugin_of(vm, root) else { continue };
                    self.call(vm, plugin, Callback::OnQueueReady, root, &[queue.0]);
                }
                Some(Posted::GrpcClosed { vm, root, plugin, token, status, message }) => {
                    self.deliver_grpc_close(vm, root, plugin, token, status, message);
                }
                Some(Posted::GrpcRefused { call, body, details, is_grpc }) => {
                    self.grpc_refused(call, body, details, is_grpc);
                }
            }
            self.settle();
        }
        self.world.posted.clear();
        self.world.finding(
            "endless-queue",
            None,
            "10,000 queue notifications followed each other without an end: a plugin enqueues whenever it is told of \
             a message; the rest was dropped here, on Envoy this keeps a worker busy for ever",
        );
    }

    /// The plugin that a root context belongs to, if the context still exists.
    pub(super) fn plugin_of(&self, vm: VmIndex, root: ContextId) -> Option<PluginIndex> {
        Some(self.vms.get(vm.0)?.state().contexts.get(&root)?.plugin)
    }

    /// Ends every plugin: roots in reverse order, as Envoy does on SIGTERM.
    pub fn shutdown(&mut self) {
        let open: Vec<_> = self.world.exchanges.keys().copied().collect();
        for exchange in open {
            self.abort(exchange);
        }
        for at in (0..self.plugins.len()).rev() {
            let plugin = &mut self.plugins[at];
            let (vm, root) = (plugin.vm, plugin.root.take());
            match root {
                Some(root) if self.world.profile.plugins_run_in_turn => {
                    self.free_plugin_context(vm, PluginIndex(at), root);
                }
                Some(root) => self.end_root(vm, PluginIndex(at), root),
                None => {}
            }
        }
        for _ in 0..self.vms.len() {
            self.world.log(LogLevel::Info, "unloaded wasm plugin");
        }
        self.world.ticks.clear();
    }

    pub(super) fn end_root(&mut self, vm: VmIndex, plugin: PluginIndex, root: ContextId) {
        let steps = self.world.profile.root_end;
        self.world.ticks.remove(&(vm, root));
        for callback in steps {
            if *callback == Callback::OnDelete && self.root_state(vm, root).is_some_and(|r| r.pending_done) {
                // `on_delete` follows when `proxy_done` is called.
                return;
            }
            let called = self.call(vm, plugin, *callback, root, &[]);
            if *callback == Callback::OnDone
                && matches!(called, Called::Returned(Some(0)))
                && self.world.profile.root_waits_for_done
                && let Some(state) = self.root_state(vm, root)
            {
                state.pending_done = true;
            }
            self.settle();
        }
        if let Some(machine) = self.vms.get_mut(vm.0) {
            machine.state_mut().contexts.remove(&root);
            machine.state_mut().roots.remove(&root);
        }
    }

    /// Roots that called `proxy_done` after they had held up their end.
    pub(super) fn finish_done_roots(&mut self) {
        for at in 0..self.vms.len() {
            let vm = VmIndex(at);
            let done: Vec<(ContextId, PluginIndex)> = {
                let state = self.vms[at].state();
                let done = state.roots.iter().filter(|(_, root)| root.done).map(|(id, _)| *id);
                done.filter_map(|id| Some((id, state.contexts.get(&id)?.plugin))).collect()
            };
            for (root, plugin) in done {
                if let Some(state) = self.root_state(vm, root) {
                    state.done = false;
                }
                self.call(vm, plugin, Callback::OnDelete, root, &[]);
                let state = self.vms[at].state_mut();
                state.contexts.remove(&root);
                state.roots.remove(&root);
            }
        }
    }

    pub(super) fn root_state(&mut self, vm: VmIndex, root: ContextId) -> Option<&mut Root> {
        self.vms.get_mut(vm.0)?.state_mut().roots.get_mut(&root)
    }
}
