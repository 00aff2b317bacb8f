//! The end of an exchange: `on_log`, `on_done` and `on_delete` in the host's order, and the findings that can only
//! be made at the end.

use super::exchange::ExchangeState;
use super::world::Output;
use super::{Called, Host};
use crate::abi::{Callback, ExchangeId, PeerType};
use crate::message::Part;
use crate::trace::{Event, Peer, views};
use bytes::Bytes;

impl Host {
    /// Tears an exchange down if it has ended.
    pub(super) fn finish(&mut self, id: ExchangeId) {
        let Some(e) = self.ex_mut(id) else { return };
        if e.state != ExchangeState::Ended {
            return;
        }
        e.state = ExchangeState::Closed;
        self.tear_down(id);
        self.run_posted();
    }

    /// The client went away.
    pub fn abort(&mut self, id: ExchangeId) {
        let Some(e) = self.ex_mut(id) else { return };
        if e.state == ExchangeState::Closed {
            return;
        }
        if self.is_tcp(id) {
            self.close_connection(id, PeerType::Local);
        } else {
            // Envoy 1.40: also in the middle of the response.
            if let Some(e) = self.ex_mut(id).filter(|e| e.state == ExchangeState::Open) {
                e.details = Bytes::from_static(b"downstream_remote_disconnect");
                e.flags = 0x4000;
            }
            self.end(id);
        }
        self.finish(id);
    }

    fn tear_down(&mut self, id: ExchangeId) {
        if self.is_tcp(id) {
            self.tear_down_connection(id);
        } else if self.world.profile.plugins_run_in_turn {
            // Nobody waits for the answers any more (abi.md case call.after-stream-end).
            let before = self.world.calls.len();
            self.world.calls.retain(|_, call| call.exchange != Some(id));
            self.world.calls_given_up += u64::from(self.world.calls.len() < before);
            // No request can be reached any more, and the lines say so (apisix.md 2.4).
            let about = self.world.about.take();
            self.free_http_contexts(id);
            self.world.about = about;
            self.note_at_end(id);
        } else {
            self.tear_down_messages(id);
            self.note_at_end(id);
        }
        self.world.deferred.retain(|deferred| deferred.exchange != id);
        self.world.exchanges.remove(&id);
        self.world.recorder.push(|| Event::ExchangeClosed(id));
        self.world.outputs.push_back(Output::Closed(id));
        self.end_leaving();
    }

    fn tear_down_messages(&mut self, id: ExchangeId) {
        let count = self.ex(id).map_or(0, |e| e.filters.len());
        let steps = self.world.profile.stream_end;
        // What comes before on_done is for everybody first (Envoy: access logs, then filters are destroyed).
        let split = steps.iter().position(|c| *c == Callback::OnDone).unwrap_or(0);
        for callback in &steps[..split] {
            for filter in 0..count {
                self.end_callback(id, filter, *callback);
            }
        }
        for filter in 0..count {
            for callback in &steps[split..] {
                self.end_callback(id, filter, *callback);
            }
            self.forget_context(id, filter);
        }
    }

    pub(super) fn end_callback(&mut self, id: ExchangeId, filter: usize, callback: Callback) {
        let Some(entry) = self.ex(id).and_then(|e| e.filters.get(filter)) else { return };
        let (vm, plugin, context, bypassed) = (entry.vm, entry.plugin, entry.context, entry.bypassed);
        if bypassed {
            return;
        }
        let context = match (context, callback) {
            (Some(context), _) => context,
            // Envoy 1.40: a filter that never saw the request still gets a context, for its on_log.
            (None, Callback::OnLog) if !self.is_tcp(id) => match self.create_context(id, filter) {
                Ok(context) => context,
                Err(_) => return,
            },
            (None, _) => return,
        };
        // Envoy 1.40: a body that is held can be read until on_done, TCP's data for ever.
        if callback == Callback::OnDelete
            && !self.is_tcp(id)
            && let Some(entry) = self.ex_mut(id).and_then(|e| e.filters.get_mut(filter))
        {
            entry.request.buffer_visible = false;
            entry.response.buffer_visible = false;
        }
        if let Called::Trapped = self.call(vm, plugin, callback, context, &[]) {
            self.world.deferred.retain(|deferred| deferred.exchange != id);
        }
        self.settle();
    }

    pub(super) fn forget_context(&mut self, id: ExchangeId, filter: usize) {
        let Some(entry) = self.ex_mut(id).and_then(|e| e.filters.get_mut(filter)) else { return };
        let (vm, context) = (entry.vm, entry.context.take());
        if let (Some(machine), Some(context)) = (self.vms.get_mut(vm.0), context) {
            machine.state_mut().contexts.remove(&context);
        }
    }

    /// The trace since an exchange began.
    fn events_of(&self, id: ExchangeId) -> &[Event] {
        let start = self.ex(id).map_or(0, |e| e.trace_start);
        self.world.recorder.events().get(start..).unwrap_or_default()
    }

    fn note_at_end(&mut self, id: ExchangeId) {
        if !self.world.recorder.is_on() {
            return;
        }
        self.note_stale_length(id, Peer::Upstream);
        self.note_stale_length(id, Peer::Client);
        self.note_body_callbacks(id);
    }

    /// A `content-length` that does not fit the body that went out.
    fn note_stale_length(&mut self, id: ExchangeId, peer: Peer) {
        let (mut announced, mut sent, mut complete) = (None, 0usize, false);
        for event in self.events_of(id) {
            match event {
                Event::Output { exchange, to, part } if *exchange == id && *to == peer => match part {
                    Part::Headers { headers, end_of_stream } => {
                        let length = headers.get(b"content-length").and_then(|v| std::str::from_utf8(v).ok());
                        announced = length.and_then(|v| v.parse::<usize>().ok()).filter(|_| !end_of_stream);
                    }
                    Part::Data { bytes, end_of_stream } => {
                        sent += bytes.len();
                        complete |= end_of_stream;
                    }
                    Part::Metadata(_) => {}
                    Part::Trailers(_) => complete = true,
                    Part::Reset => return,
                },
                _ => {}
            }
        }
        if let Some(announced) = announced.filter(|announced| complete && *announced != sent) {
            let end = match peer {
                Peer::Upstream => "upstream",
                Peer::Client => "client",
            };
            self.world.finding(
                "content-length-stale",
                None,
                format!(
                    "the {end} was sent content-length {announced} and {sent} bytes of body: hosts other than Kong do \
                     not correct it, and the receiver breaks the message or waits for ever; remove content-length in \
                     the headers callback when you change a body"
                ),
            );
        }
    }

    /// Body callbacks that APISIX would not have called.
    fn note_body_callbacks(&mut self, id: ExchangeId) {
        let pairs = [
            (Callback::OnRequestBody, "wasm_process_req_body", "request"),
            (Callback::OnResponseBody, "wasm_process_resp_body", "response"),
        ];
        // There the wish is taken back once it has been granted, and without it the callback does not run.
        let in_turn = self.world.profile.plugins_run_in_turn;
        for (callback, property, what) in pairs {
            let Some(e) = self.ex(id) else { return };
            let bytes = match callback {
                Callback::OnRequestBody => e.request.body_bytes,
                _ => e.response.body_bytes,
            };
            if bytes == 0 || e.properties.iter().any(|(key, value)| key == property && (in_turn || !value.is_empty())) {
                continue;
            }
            let called: Vec<_> = e
                .filters
                .iter()
                .map(|f| (f.plugin, f.vm))
                .filter(|(plugin, vm)| {
                    let Some(machine) = self.vms.get(vm.0) else { return false };
                    // SDKs export every callback, for HTTP and TCP alike, so there the export alone says nothing:
                    // the callback has to have done something that would be missed.
                    let by_sdk = machine.has(Callback::OnRequestHeaders) && machine.has(Callback::OnDownstreamData);
                    match views::activity(self.events_of(id), id, *plugin, callback) {
                        views::Activity::NotCalled => in_turn && machine.has(callback) && !by_sdk,
                        views::Activity::Idle => !by_sdk,
                        views::Activity::Active => true,
                    }
                })
                .collect();
            for (plugin, _) in called {
                self.world.finding(
                    "body-callback-not-enabled",
                    Some(plugin),
                    format!(
                        "the {what} had a body and the plugin exports {}, but {property} was never set: APISIX will \
                         not call it; set the property to a non-empty value in the {what} headers callback",
                        callback.export()
                    ),
                );
            }
        }
    }
}
