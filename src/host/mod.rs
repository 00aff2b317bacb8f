//! The host core: a synchronous state machine that does no I/O.
//!
//! A driver opens exchanges, feeds pieces of messages, answers calls and moves time; the host calls the plugins
//! and leaves [`Output`]s to be carried out. No hostcall blocks, so nothing here ever waits. The runner and the
//! proxy are two such drivers and decide nothing about plugins themselves.

pub mod backtrace;
mod calls;
mod chain;
pub mod check;
mod config;
pub mod connection;
mod crash;
mod emit;
pub mod engine;
pub mod env;
pub mod exchange;
mod foreign;
pub mod grpc;
mod guest;
pub mod hostcalls;
pub mod inspect;
mod lifecycle;
pub mod limits;
pub(crate) mod memory;
mod noticed;
mod phases;
pub mod plugin;
pub mod portability;
pub mod profile;
mod protobuf;
mod queues;
mod reply;
mod resume;
pub mod state;
pub mod store;
mod stream;
pub mod symbols;
mod tcp;
mod teardown;
pub mod upstreams;
pub mod vm;
mod wire;
pub mod world;

pub use calls::CallResult;
pub use chain::Population;
pub use config::{PluginConfig, StartError};
pub use grpc::{GrpcFailure, GrpcInput};
pub use phases::pages::page as error_page;
pub use store::{HostId, Stores};
pub use upstreams::Upstreams;
pub use world::{LogLine, Output};

use crate::abi::{Callback, ContextId, ExchangeId, LogLevel, PluginIndex, VmIndex};
use crate::trace::{CallbackArgs, CallbackEntered, CallbackLeft, Effect, Entry, Event, Trap, Value, views};
use std::sync::Arc;
use vm::{Broken, Vm};
use world::World;

/// A host with its plugins.
pub struct Host {
    world: Box<World>,
    vms: Vec<Vm>,
    /// What each VM was made from.
    vm_specs: Vec<PluginConfig>,
    plugins: Vec<lifecycle::Plugin>,
    limits: limits::Limits,
    policy: TrapPolicy,
    last_exchange: u32,
    /// The worker is dead; the next request finds a new one.
    crashed: bool,
    /// Plugins that are out of use, and that requests still need.
    leaving: usize,
    /// When VMs that trapped are replaced by themselves, on the monotonic clock.
    renewal: lifecycle::Renewal,
}

/// What a trap does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrapPolicy {
    /// The request is answered with the host's error; else it goes on without the plugin.
    pub fail_request: bool,
    /// What becomes of the VM.
    pub rebuild: Rebuild,
}

/// When a VM that trapped is replaced by a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// It is not.
    Never,
    /// When the next request comes.
    ForNextRequest,
    /// By itself, too, where a VM that trapped does nothing any more: what waits for it gets its answer, and its ticks
    /// go on.
    Soon,
}

/// What became of a call into the guest.
#[derive(Debug)]
enum Called {
    /// It returned; `None` where there is no result, or no such export.
    Returned(Option<u32>),
    /// The guest does not have the callback.
    Missing,
    /// The VM had broken before.
    Skipped,
    /// It broke now.
    Trapped,
}

impl Called {
    /// The number that wasm-nginx-module has of it: 0 where there is no such callback, below 0 where it broke.
    fn code(&self) -> i32 {
        match self {
            Self::Returned(result) => result.unwrap_or(0) as i32,
            Self::Missing => 0,
            Self::Skipped | Self::Trapped => -1,
        }
    }
}

impl Host {
    /// A host without plugins.
    pub fn new(world: World, limits: limits::Limits, policy: TrapPolicy) -> Self {
        Self {
            world: Box::new(world),
            vms: Vec::new(),
            vm_specs: Vec::new(),
            plugins: Vec::new(),
            limits,
            policy,
            last_exchange: 0,
            crashed: false,
            leaving: 0,
            renewal: lifecycle::Renewal::default(),
        }
    }

    /// What the host knows beside its VMs.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The same, for the driver to set time, properties and unknown upstreams, and to take outputs and the trace.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The next thing that the driver has to carry out.
    pub fn next_output(&mut self) -> Option<Output> {
        self.world.outputs.pop_front()
    }

    /// Enters the guest and records it.
    fn call(
        &mut self,
        vm: VmIndex,
        plugin: PluginIndex,
        callback: Callback,
        context: ContextId,
        args: &[u32],
    ) -> Called {
        if self.crashed {
            return Called::Skipped;
        }
        let Some(machine) = self.vms.get_mut(vm.0) else { return Called::Skipped };
        if machine.failed && self.world.profile.trap_disables_vm {
            return Called::Skipped;
        }
        if !machine.has(callback) {
            return Called::Missing;
        }
        let bound = machine.state().request.map(|stream| stream.exchange);
        let exchange = machine.state().exchange_of(context).or(bound);
        let entry = Entry::Callback(callback);
        let taken = callback.arity(machine.plugin.abi()).saturating_sub(1).min(args.len());
        let from = self.world.recorder.events().len();
        self.world.recorder.push(|| {
            let args = CallbackArgs::new(&args[..taken]);
            Event::CallbackEntered(CallbackEntered { plugin, callback: entry, context, exchange, args })
        });
        let mut all = [context.0, 0, 0, 0, 0];
        let count = args.len().min(4);
        all[1..=count].copy_from_slice(&args[..count]);
        let called = match machine.call(callback, &all[..=count], &mut self.world, plugin) {
            Ok(result) => {
                let left = CallbackLeft { plugin, callback: entry, context, exchange, result };
                self.world.recorder.push(|| Event::CallbackLeft(left));
                self.note_ignored_failure(plugin, from);
                Called::Returned(result)
            }
            Err(broken) => {
                let line = format!("failed to call function: {}", broken.message);
                self.record_trap(broken, plugin, entry, context, exchange, from);
                // nginx's own line, which knows of no request (2.2 of apisix.md).
                self.world.log_about(None, LogLevel::Error, line);
                Called::Trapped
            }
        };
        match self.world.crash.take() {
            Some((id, message)) => {
                self.crash(id, message);
                Called::Skipped
            }
            None => called,
        }
    }

    /// Says so if a hostcall failed in the callback that has just come back, and the plugin went on as if it had not.
    fn note_ignored_failure(&mut self, plugin: PluginIndex, from: usize) {
        let callback = self.world.recorder.events().get(from..).unwrap_or_default();
        if let Some((name, status)) = noticed::ignored_failure(callback) {
            let message = format!(
                "{name} returned {status}, and the plugin went on as if it had not: nothing was logged, answered or tried \
                 again until the callback returned; look at the status, and log it or answer the request"
            );
            self.world.finding("status-ignored", Some(plugin), message);
        }
    }

    fn record_trap(
        &mut self,
        broken: Broken,
        plugin: PluginIndex,
        callback: Entry,
        context: ContextId,
        exchange: Option<ExchangeId>,
        from: usize,
    ) {
        self.renew_soon();
        // What the guest had asked for in this callback does not happen any more.
        if let Some(exchange) = exchange {
            self.world.deferred.retain(|deferred| deferred.exchange != exchange);
        }
        let events = self.world.recorder.events();
        let panic = panic_message(events.get(from..).unwrap_or_default());
        let Broken { kind, message, frames } = broken;
        let trap = Arc::new(Trap { plugin, callback, context, exchange, kind, message, panic, frames });
        if self.world.log_level.is_some() {
            self.world.outputs.push_back(Output::Trap(trap.clone()));
        }
        self.world.recorder.push(|| Event::Trap(trap));
    }
}

/// What a plugin logged at error or above: the Rust SDK's panic hook, Go's runtime and AssemblyScript's abort all
/// write their message that way.
fn panic_message(events: &[Event]) -> Option<String> {
    let mut text = String::new();
    for record in views::hostcalls(events) {
        for effect in &record.effects {
            let Effect::Log { level, message } = effect else { continue };
            if *level < LogLevel::Error {
                continue;
            }
            text.push_str(&String::from_utf8_lossy(message));
            // A line may come in many writes: Go's runtime prints its panics word by word.
            let goes_on = record
                .returned
                .iter()
                .any(|(name, value)| *name == "nwritten" && *value == Value::U32(message.len() as u32));
            if !goes_on {
                text.push('\n');
            }
        }
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}
