//! A running VM: one store, one instance, and the only way into the guest.
//!
//! Every entry sets the fuel anew, swaps the world in, and takes it out again, whatever happens. After a trap the
//! VM is broken: its memory is as the trap left it.

use super::limits::{Limits, Work};
use super::memory::HostTrap;
use super::plugin::LoadedPlugin;
use super::state::{Current, MemoryLimiter, RestrictedPhase, VmState};
use super::world::World;
use crate::abi::{ALL_CALLBACKS, Callback, ContextId, PluginIndex, VmIndex};
use crate::host::inspect::{Entry as EntryPoint, StartFunctions};
use crate::trace::{Entry, Frame, TrapKind};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{Func, Instance, Store, TypedFunc, WasmBacktrace};

/// A VM.
pub struct Vm {
    /// The code that it runs.
    pub plugin: Arc<LoadedPlugin>,
    /// It trapped.
    pub failed: bool,
    store: Store<VmState>,
    instance: Option<Instance>,
    callbacks: Vec<Resolved>,
    limits: Limits,
}

/// How a VM is made.
pub struct VmSpec {
    /// The code.
    pub plugin: Arc<LoadedPlugin>,
    /// The VM configuration.
    pub vm_config: Bytes,
    /// WASI environment, each `KEY=value`.
    pub environment: Vec<Bytes>,
    /// Bounds.
    pub limits: Limits,
}

/// How a guest broke, before the trace knows of it.
#[derive(Debug)]
pub struct Broken {
    /// What kind of end.
    pub kind: TrapKind,
    /// One line.
    pub message: String,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// A callback's export, looked up when it is first needed.
#[derive(Clone)]
enum Resolved {
    Unknown,
    Missing,
    /// One parameter and no result, and so on.
    P1(TypedFunc<u32, ()>),
    P1R(TypedFunc<u32, u32>),
    P2(TypedFunc<(u32, u32), ()>),
    P2R(TypedFunc<(u32, u32), u32>),
    P3(TypedFunc<(u32, u32, u32), ()>),
    P3R(TypedFunc<(u32, u32, u32), u32>),
    P5(TypedFunc<(u32, u32, u32, u32, u32), ()>),
}

impl Vm {
    /// Makes the instance and runs the start functions: `_initialize` and then `main`, or `_start`
    /// (abi.md 2.2, Envoy).
    pub fn boot(
        spec: &VmSpec,
        index: VmIndex,
        plugin: PluginIndex,
        world: &mut Box<World>,
        mut entered: impl FnMut(&mut World, Entry),
    ) -> Result<Self, (Entry, Broken)> {
        let memory_limit = spec.limits.memory.unwrap_or(world.profile.memory_limit);
        let state = VmState {
            world: Box::default(),
            vm: index,
            abi: spec.plugin.abi(),
            vm_config: spec.vm_config.clone(),
            environment: spec.environment.clone(),
            contexts: BTreeMap::new(),
            roots: BTreeMap::new(),
            last_context: 0,
            free: Default::default(),
            request: None,
            call_count: 0,
            grpc_call_count: 0,
            grpc_stream_count: 0,
            current: Current { plugin, context: ContextId(0), effective: None, entry: Entry::Start("start section") },
            restricted: None,
            broken: None,
            memory: None,
            allocator: None,
            metered: matches!(spec.limits.callback, Work::Fuel(_)),
            limiter: MemoryLimiter { bytes: memory_limit },
        };
        let mut store = Store::new(spec.plugin.module.engine(), state);
        store.limiter(|state| &mut state.limiter);
        let mut vm = Self {
            plugin: spec.plugin.clone(),
            failed: false,
            store,
            instance: None,
            callbacks: vec![Resolved::Unknown; ALL_CALLBACKS.len()],
            limits: spec.limits,
        };
        let section = Entry::Start("start section");
        if spec.plugin.inspection.start_section {
            entered(world, section);
        }
        vm.in_start_function(section, world, |vm| {
            let instance = vm.plugin.clone().pre.instantiate(&mut vm.store)?;
            vm.instance = Some(instance);
            let memory = vm.plugin.memory.as_ref().and_then(|at| instance.get_module_export(&mut vm.store, at));
            vm.store.data_mut().memory = memory.and_then(|export| export.into_memory());
            let allocator = vm.plugin.allocator.as_ref().and_then(|at| instance.get_module_export(&mut vm.store, at));
            let allocator = allocator.and_then(|export| export.into_func());
            vm.store.data_mut().allocator = match allocator {
                Some(func) => Some(func.typed(&vm.store)?),
                None => None,
            };
            Ok(())
        })
        .map_err(|broken| (section, broken))?;
        for point in start_functions(&spec.plugin, world.profile.start_functions) {
            let entry = Entry::Start(point.export());
            entered(world, entry);
            let run = |vm: &mut Vm| -> wasmtime::Result<()> {
                let Some(func) = vm.instance.and_then(|i| i.get_func(&mut vm.store, point.export())) else {
                    return Ok(());
                };
                match point {
                    EntryPoint::Main => {
                        func.typed::<(u32, u32), u32>(&vm.store)?.call(&mut vm.store, (0, 0))?;
                    }
                    EntryPoint::MainVoid => {
                        func.typed::<(), u32>(&vm.store)?.call(&mut vm.store, ())?;
                    }
                    EntryPoint::Initialize | EntryPoint::Start => {
                        func.typed::<(), ()>(&vm.store)?.call(&mut vm.store, ())?;
                    }
                }
                Ok(())
            };
            vm.in_start_function(entry, world, run).map_err(|broken| (entry, broken))?;
        }
        Ok(vm)
    }

    /// The VM's own state, for the host between entries.
    pub fn state(&self) -> &VmState {
        self.store.data()
    }

    /// The VM's own state, for the host between entries.
    pub fn state_mut(&mut self) -> &mut VmState {
        self.store.data_mut()
    }

    /// Whether the guest has this callback.
    pub fn has(&self, callback: Callback) -> bool {
        self.plugin.has(callback)
    }

    /// Calls a callback. `args` begins with the context; a guest of ABI 0.1.0 gets as many as it takes.
    /// `Ok(None)` is a callback without result, or one that the guest does not have.
    pub fn call(
        &mut self,
        callback: Callback,
        args: &[u32],
        world: &mut Box<World>,
        plugin: PluginIndex,
    ) -> Result<Option<u32>, Broken> {
        let resolved = match self.resolve(callback) {
            Ok(resolved) => resolved,
            Err(error) => return Err(broken(&error)),
        };
        if matches!(resolved, Resolved::Missing | Resolved::Unknown) {
            return Ok(None);
        }
        let context = ContextId(args.first().copied().unwrap_or(0));
        let work = match callback {
            Callback::OnVmStart | Callback::OnConfigure => self.limits.start,
            // Of a root: it has no parent.
            Callback::OnContextCreate if args.get(1) == Some(&0) => self.limits.start,
            _ => self.limits.callback,
        };
        let arg = |i: usize| args.get(i).copied().unwrap_or(0);
        let entry = Entry::Callback(callback);
        let result = self.enter(plugin, context, entry, work, world, |vm| {
            let store = &mut vm.store;
            Ok(match &resolved {
                Resolved::Unknown | Resolved::Missing => None,
                Resolved::P1(f) => f.call(store, arg(0)).map(|()| None)?,
                Resolved::P1R(f) => Some(f.call(store, arg(0))?),
                Resolved::P2(f) => f.call(store, (arg(0), arg(1))).map(|()| None)?,
                Resolved::P2R(f) => Some(f.call(store, (arg(0), arg(1)))?),
                Resolved::P3(f) => f.call(store, (arg(0), arg(1), arg(2))).map(|()| None)?,
                Resolved::P3R(f) => Some(f.call(store, (arg(0), arg(1), arg(2)))?),
                Resolved::P5(f) => f.call(store, (arg(0), arg(1), arg(2), arg(3), arg(4))).map(|()| None)?,
            })
        });
        self.callbacks[callback as usize] = resolved;
        result
    }

    /// The export, for the caller to put back: a copy would count references in the engine, which takes longer
    /// than the call.
    fn resolve(&mut self, callback: Callback) -> wasmtime::Result<Resolved> {
        let at = callback as usize;
        let known = std::mem::replace(&mut self.callbacks[at], Resolved::Unknown);
        if !matches!(known, Resolved::Unknown) {
            return Ok(known);
        }
        let export = self.plugin.exports[at].as_ref();
        let func = match (self.instance, export) {
            (Some(instance), Some(export)) => {
                instance.get_module_export(&mut self.store, export).and_then(|e| e.into_func())
            }
            _ => None,
        };
        match func {
            Some(func) => self.typed(callback, func),
            None => Ok(Resolved::Missing),
        }
    }

    fn typed(&self, callback: Callback, func: Func) -> wasmtime::Result<Resolved> {
        let store = &self.store;
        let result = callback.returns() != crate::abi::Returns::Nothing;
        Ok(match (callback.arity(self.plugin.abi()), result) {
            (1, false) => Resolved::P1(func.typed(store)?),
            (1, true) => Resolved::P1R(func.typed(store)?),
            (2, false) => Resolved::P2(func.typed(store)?),
            (2, true) => Resolved::P2R(func.typed(store)?),
            (3, false) => Resolved::P3(func.typed(store)?),
            (3, true) => Resolved::P3R(func.typed(store)?),
            _ => Resolved::P5(func.typed(store)?),
        })
    }

    fn in_start_function(
        &mut self,
        entry: Entry,
        world: &mut Box<World>,
        run: impl FnOnce(&mut Self) -> wasmtime::Result<()>,
    ) -> Result<(), Broken> {
        let section = entry == Entry::Start("start section");
        if section && world.profile.start_section_crashes {
            self.store.data_mut().restricted = Some(RestrictedPhase::Section);
        } else if world.profile.restricts_start {
            self.store.data_mut().restricted = Some(RestrictedPhase::Start);
        }
        let plugin = self.store.data().current.plugin;
        let result = self.enter(plugin, ContextId(0), entry, self.limits.start, world, run);
        self.store.data_mut().restricted = None;
        result
    }

    fn enter<R>(
        &mut self,
        plugin: PluginIndex,
        context: ContextId,
        entry: Entry,
        work: Work,
        world: &mut Box<World>,
        run: impl FnOnce(&mut Self) -> wasmtime::Result<R>,
    ) -> Result<R, Broken> {
        match work {
            Work::Fuel(fuel) => self.store.set_fuel(fuel).map_err(|error| broken(&error))?,
            Work::Beats(beats) => self.store.set_epoch_deadline(beats),
        }
        let state = self.store.data_mut();
        let before = std::mem::replace(&mut state.current, Current { plugin, context, effective: None, entry });
        std::mem::swap(&mut state.world, world);
        let result = run(self);
        let state = self.store.data_mut();
        std::mem::swap(&mut state.world, world);
        state.current = before;
        let result = match state.broken.take() {
            Some(error) => Err(error),
            None => result,
        };
        result.map_err(|error| {
            self.failed = true;
            broken(&error)
        })
    }
}

/// The start functions in the order in which the host calls them.
fn start_functions(plugin: &LoadedPlugin, which: StartFunctions) -> Vec<EntryPoint> {
    use EntryPoint::{Initialize, Main, MainVoid, Start};
    let has = |entry: &EntryPoint| plugin.inspection.has(*entry);
    let first = |of: &[EntryPoint]| of.iter().copied().find(has);
    match which {
        StartFunctions::ReactorFirst if has(&Initialize) => {
            std::iter::once(Initialize).chain(first(&[Main, MainVoid])).collect()
        }
        StartFunctions::ReactorFirst => first(&[Start]).into_iter().collect(),
        StartFunctions::CommandFirst => first(&[Start, Initialize]).into_iter().collect(),
    }
}

fn broken(error: &wasmtime::Error) -> Broken {
    let (kind, message) = if let Some(trap) = error.downcast_ref::<HostTrap>() {
        let kind = match trap {
            HostTrap::Limit(_) => TrapKind::Limit,
            HostTrap::Restricted { .. } => TrapKind::Hostcall,
            HostTrap::Exit(_) => TrapKind::Guest,
        };
        (kind, trap.to_string())
    } else if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        match trap {
            wasmtime::Trap::OutOfFuel => (
                TrapKind::OutOfFuel,
                "the fuel of this callback is used up: an endless loop, or very much work".to_owned(),
            ),
            wasmtime::Trap::Interrupt => (
                TrapKind::OutOfFuel,
                "the time for this callback is over: an endless loop, or very much work".to_owned(),
            ),
            other => (TrapKind::Guest, other.to_string()),
        }
    } else {
        (TrapKind::Guest, error.to_string())
    };
    let frames = error.downcast_ref::<WasmBacktrace>().map_or_else(Vec::new, |trace| {
        let frame = |f: &wasmtime::FrameInfo| Frame {
            function: match f.func_name() {
                Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
                None => format!("<wasm function {}>", f.func_index()),
            },
            offset: f.module_offset(),
        };
        trace.frames().iter().map(frame).collect()
    });
    Broken { kind, message, frames }
}
