//! What breaks the real host: every connection of the worker is gone, and the next request finds a new one.

use super::Host;
use super::world::Output;
use crate::abi::{PluginIndex, VmIndex};
use crate::message::Part;
use crate::trace::{Event, Peer};

impl Host {
    /// The worker dies.
    pub(super) fn crash(&mut self, id: &'static str, message: impl Into<String>) {
        let message = message.into();
        if self.world.log_level.is_some() {
            self.world.outputs.push_back(Output::Crash(id, message.clone()));
        }
        self.world.recorder.push(|| Event::HostCrash { id, message });
        let world = &mut *self.world;
        world.deferred.clear();
        world.posted.clear();
        world.ticks.clear();
        world.calls.clear();
        world.calls_given_up += 1;
        world.grpc = Default::default();
        world.outputs.retain(|output| match output {
            Output::HttpCall { .. } | Output::GrpcCall { .. } | Output::GrpcSend { .. } | Output::GrpcCancel(_) => {
                false
            }
            Output::ToClient(..) | Output::ToUpstream(..) | Output::Connect(_) | Output::Closed(_) => true,
            Output::QueueReady { .. } | Output::Log(_) | Output::Trap(_) | Output::Crash(..) => true,
        });
        let open: Vec<_> = world.exchanges.keys().copied().collect();
        for id in open {
            let Some(exchange) = world.exchanges.remove(&id) else { continue };
            let (request, response) = (&exchange.request, &exchange.response);
            if request.headers_out && !request.complete_out {
                world.recorder.push(|| Event::Output { exchange: id, to: Peer::Upstream, part: Part::Reset });
                world.outputs.push_back(Output::ToUpstream(id, Part::Reset));
            }
            if !response.complete_out {
                world.recorder.push(|| Event::Output { exchange: id, to: Peer::Client, part: Part::Reset });
                world.outputs.push_back(Output::ToClient(id, Part::Reset));
            }
            world.recorder.push(|| Event::ExchangeClosed(id));
            world.outputs.push_back(Output::Closed(id));
        }
        self.crashed = true;
    }

    /// What the host does otherwise than anybody can live with, without breaking: only said.
    pub(super) fn wreck(&mut self, id: &'static str, message: &str) {
        self.world.recorder.push(|| Event::HostCrash { id, message: message.to_owned() });
    }

    /// A new worker takes the place of one that died: nothing is left of what plugins had kept.
    pub(super) fn restart_after_crash(&mut self) {
        if !std::mem::take(&mut self.crashed) {
            return;
        }
        self.world.stores.begin_anew();
        self.world.metrics = Default::default();
        self.world.token_count = 0;
        for plugin in &mut self.plugins {
            plugin.root = None;
        }
        for vm in (0..self.vms.len()).map(VmIndex) {
            let user = self.plugins.iter().position(|plugin| plugin.vm == vm).map(PluginIndex);
            let Some(Ok(machine)) = user.map(|user| self.boot(vm, user, false)) else { continue };
            if let Some(place) = self.vms.get_mut(vm.0) {
                *place = machine;
            }
        }
        if self.world.profile.plugins_run_in_turn {
            return;
        }
        for plugin in (0..self.plugins.len()).map(PluginIndex) {
            if !self.plugins[plugin.0].place.has_context() {
                continue;
            }
            // One that does not start answers its requests with the host's error.
            let _ = self.start_root(plugin);
        }
    }
}
