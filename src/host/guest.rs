//! Calls of stream callbacks: which guest, its context, and what becomes of the stream when the guest breaks.

use super::state::StreamRef;
use super::{Called, Host};
use crate::abi::{Callback, ExchangeId};
use crate::message::Direction;

/// What a guest answered for a stream.
pub(super) enum Guest {
    /// The action; 0 where it has no such callback.
    Action(u32),
    /// It broke, and the stream with it.
    Stopped,
}

impl Host {
    /// Calls a stream callback of one filter.
    pub(super) fn guest(
        &mut self,
        id: ExchangeId,
        filter: usize,
        direction: Direction,
        callback: Callback,
        args: &[u32],
    ) -> Guest {
        let Some(entry) = self.ex(id).and_then(|e| e.filters.get(filter)) else { return Guest::Stopped };
        let (vm, plugin, context, bypassed) = (entry.vm, entry.plugin, entry.context, entry.bypassed);
        if bypassed {
            return Guest::Action(0);
        }
        let context = match context {
            Some(context) => Ok(context),
            // A filter that has not seen the request sees nothing of the response either (Envoy 1.40).
            None if direction == Direction::Response => return Guest::Action(0),
            None => self.create_context(id, filter),
        };
        // Envoy 1.40: not while the context is made.
        if matches!(callback, Callback::OnRequestHeaders | Callback::OnResponseHeaders)
            && let Some(stage) = self.stage_mut(id, filter, direction)
        {
            stage.headers_open = true;
        }
        let called = match context {
            Ok(context) => self.call(vm, plugin, callback, context, args),
            Err(called) => called,
        };
        match called {
            Called::Returned(action) => Guest::Action(action.unwrap_or(0)),
            Called::Missing => Guest::Action(0),
            Called::Skipped | Called::Trapped => {
                let closed = self.policy.fail_request;
                let Some(e) = self.ex_mut(id) else { return Guest::Stopped };
                // The plugin takes no more part, not even in the host's answer (Envoy 1.40).
                if let Some(entry) = e.filters.get_mut(filter) {
                    entry.bypassed = true;
                }
                if !closed || std::mem::replace(&mut e.failed, true) {
                    return Guest::Action(0);
                }
                self.fail_stream(id);
                Guest::Stopped
            }
        }
    }

    /// Makes the stream context of a filter, just before its first callback.
    pub(super) fn create_context(&mut self, id: ExchangeId, filter: usize) -> Result<crate::abi::ContextId, Called> {
        let entry = self.ex(id).and_then(|e| e.filters.get(filter)).ok_or(Called::Skipped)?;
        let (vm, plugin) = (entry.vm, entry.plugin);
        let root = self.plugins.get(plugin.0).and_then(|p| p.root).ok_or(Called::Skipped)?;
        let machine = self.vms.get_mut(vm.0).ok_or(Called::Skipped)?;
        if machine.failed && self.world.profile.trap_disables_vm {
            return Err(Called::Skipped);
        }
        let stream = StreamRef { exchange: id, filter };
        let context = machine.state_mut().new_context(Some(root), plugin, Some(stream));
        if let Some(entry) = self.ex_mut(id).and_then(|e| e.filters.get_mut(filter)) {
            entry.context = Some(context);
        }
        match self.call(vm, plugin, Callback::OnContextCreate, context, &[root.0]) {
            Called::Returned(_) | Called::Missing => Ok(context),
            called => Err(called),
        }
    }

    /// Notes what only some hosts understand.
    pub(super) fn note_action(&mut self, id: ExchangeId, filter: usize, callback: Callback, action: u32) {
        if action <= 1 {
            return;
        }
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
        if self.is_tcp(id) {
            self.world.finding(
                "unknown-action",
                plugin,
                format!(
                    "{} returned {action}: the specification knows 0 (continue) and 1 (pause); Envoy pauses a TCP \
                     stream at every other number",
                    callback.short()
                ),
            );
            return;
        }
        self.world.finding(
            "unknown-action",
            plugin,
            format!(
                "{} returned {action}: the specification knows 0 (continue) and 1 (pause); Envoy has meanings of its \
                 own for 2 to 4 and stops for ever at others, APISIX loops or crashes, Kong answers 500",
                callback.short()
            ),
        );
    }
}
