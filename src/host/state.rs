//! What a VM's store holds: its contexts, the callback that is running, and, while the guest runs, the world.
//!
//! The world is lent: `Vm::enter` swaps it in before the guest runs and out again afterwards. Hostcalls so reach
//! everything without locks or reference counting, and nothing can look at it behind their back.

use super::config::PluginConfig;
use super::world::World;
use crate::abi::{AbiVersion, ContextId, ExchangeId, PluginIndex, VmIndex};
use crate::trace::Entry;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use wasmtime::{Memory, ResourceLimiter, TypedFunc};

/// A context of this VM.
#[derive(Debug, Clone)]
pub struct Context {
    /// The root context; a root's own id.
    pub root: ContextId,
    /// The plugin that it belongs to.
    pub plugin: PluginIndex,
    /// The stream that it belongs to; none for a root.
    pub stream: Option<StreamRef>,
    /// Properties that were declared in it, and whether they are read-only.
    pub declared: BTreeMap<Bytes, bool>,
}

impl Context {
    fn new(id: ContextId, root: Option<ContextId>, plugin: PluginIndex, stream: Option<StreamRef>) -> Self {
        Self { root: root.unwrap_or(id), plugin, stream, declared: BTreeMap::new() }
    }
}

/// The place of a stream context: which exchange, and which filter in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRef {
    /// The exchange.
    pub exchange: ExchangeId,
    /// The filter's place in the chain.
    pub filter: usize,
}

/// What belongs to a root context.
#[derive(Debug, Clone, Default)]
pub struct Root {
    /// The plugin's configured name.
    pub name: Bytes,
    /// The plugin's root id.
    pub root_id: Bytes,
    /// The plugin configuration.
    pub config: Bytes,
    /// The outcome of the last call that was answered, for `proxy_get_status`.
    pub last_status: (u32, Bytes),
    /// `on_done` returned false and `proxy_done` has not been called.
    pub pending_done: bool,
    /// `proxy_done` was called, `on_delete` is due.
    pub done: bool,
    /// Another one has taken its place; it ends with the last request that uses it.
    pub retired: bool,
    /// Ids of stream contexts that have ended, the oldest first.
    pub free: VecDeque<ContextId>,
}

impl Root {
    /// The one that a plugin begins with.
    pub(super) fn of(plugin: &PluginConfig) -> Self {
        Self {
            name: plugin.name.clone().into(),
            root_id: plugin.root_id.clone().into(),
            config: plugin.config.clone(),
            ..Self::default()
        }
    }
}

/// When hosts allow only few hostcalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestrictedPhase {
    /// The start section: nothing at all.
    Section,
    /// `_initialize`, `_start`, `main`.
    Start,
    /// `malloc` or `proxy_on_memory_allocate`.
    Allocator,
}

/// The callback that is running.
#[derive(Debug, Clone, Copy)]
pub struct Current {
    /// The plugin that is called.
    pub plugin: PluginIndex,
    /// The context that is called; 0 is the VM.
    pub context: ContextId,
    /// Set by `proxy_set_effective_context`, until the callback returns.
    pub effective: Option<ContextId>,
    /// The export.
    pub entry: Entry,
}

/// The data of a VM's store.
pub struct VmState {
    /// Everything outside this VM; an empty one while the guest does not run.
    pub world: Box<World>,
    /// Which VM this is.
    pub vm: VmIndex,
    /// The ABI that the module declares.
    pub abi: AbiVersion,
    /// The VM configuration.
    pub vm_config: Bytes,
    /// WASI environment, each `KEY=value`.
    pub environment: Vec<Bytes>,
    /// The contexts that exist.
    pub contexts: BTreeMap<ContextId, Context>,
    /// Of the root contexts.
    pub roots: BTreeMap<ContextId, Root>,
    /// The last context id that was given out.
    pub last_context: u32,
    /// Ids of root contexts that have ended, the oldest first.
    pub free: VecDeque<ContextId>,
    /// The request that hostcalls act on, on hosts where it is not the context that says so.
    pub request: Option<StreamRef>,
    /// HTTP calls that this VM has started.
    pub call_count: u32,
    /// gRPC calls that this VM has started.
    pub grpc_call_count: u32,
    /// gRPC streams that this VM has opened.
    pub grpc_stream_count: u32,
    /// The callback that is running.
    pub current: Current,
    /// Set while few hostcalls are allowed.
    pub restricted: Option<RestrictedPhase>,
    /// How the allocator broke inside a hostcall; the callback that made the call ends as broken, too.
    pub broken: Option<wasmtime::Error>,
    /// The guest's memory, once it is there.
    pub memory: Option<Memory>,
    /// The guest's allocator, once it is there.
    pub allocator: Option<TypedFunc<u32, u32>>,
    /// Whether fuel is counted.
    pub metered: bool,
    /// Bound on linear memory.
    pub limiter: MemoryLimiter,
}

impl VmState {
    /// The context that a hostcall acts on: the effective one, if it still exists.
    pub fn acting_context(&self) -> ContextId {
        match self.current.effective {
            // Envoy 1.40: 0 takes an effective context back.
            Some(effective) if self.contexts.contains_key(&effective) => effective,
            _ => self.current.context,
        }
    }

    /// The stream that a hostcall acts on.
    pub fn acting_stream(&self) -> Option<StreamRef> {
        if self.world.profile.hostcalls_act_on_request {
            return self.request;
        }
        self.contexts.get(&self.acting_context())?.stream
    }

    /// The root context that a hostcall acts on.
    pub fn acting_root(&self) -> Option<ContextId> {
        Some(self.contexts.get(&self.acting_context())?.root)
    }

    /// The exchange of a context.
    pub fn exchange_of(&self, context: ContextId) -> Option<ExchangeId> {
        Some(self.contexts.get(&context)?.stream?.exchange)
    }

    /// Gives out the id that has been free for longest, or else the next one: streams take those of their root's.
    pub fn reused_context(
        &mut self,
        root: Option<ContextId>,
        plugin: PluginIndex,
        stream: Option<StreamRef>,
    ) -> ContextId {
        let free = match root {
            Some(root) => self.roots.get_mut(&root).and_then(|root| root.free.pop_front()),
            None => self.free.pop_front(),
        };
        let Some(id) = free else { return self.new_context(root, plugin, stream) };
        self.contexts.insert(id, Context::new(id, root, plugin, stream));
        id
    }

    /// Takes a context away, and keeps its id to be used again.
    pub fn give_back(&mut self, id: ContextId) {
        let Some(context) = self.contexts.remove(&id) else { return };
        if context.root == id {
            self.roots.remove(&id);
            self.free.push_back(id);
        } else if let Some(root) = self.roots.get_mut(&context.root) {
            root.free.push_back(id);
        }
    }

    /// Gives out the next context id.
    pub fn new_context(
        &mut self,
        root: Option<ContextId>,
        plugin: PluginIndex,
        stream: Option<StreamRef>,
    ) -> ContextId {
        // After four thousand million streams the numbers begin again, as in Envoy.
        let id = loop {
            self.last_context = self.last_context.wrapping_add(1).max(1);
            let id = ContextId(self.last_context);
            if !self.contexts.contains_key(&id) {
                break id;
            }
        };
        self.contexts.insert(id, Context::new(id, root, plugin, stream));
        id
    }
}

/// Refuses growth past a bound, so that `memory.grow` gives -1 as it does on the hosts.
#[derive(Debug, Clone, Copy)]
pub struct MemoryLimiter {
    /// Bytes of one linear memory.
    pub bytes: usize,
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.bytes && maximum.is_none_or(|max| desired <= max))
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 10_000_000 && maximum.is_none_or(|max| desired <= max))
    }
}
