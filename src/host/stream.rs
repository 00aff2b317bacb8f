//! How messages move through the chain: callbacks, pauses, buffering, resuming, local responses.
//!
//! Each filter has a stage in each direction. A piece enters at a filter, the guest is called, and the piece goes
//! on to the next filter or stays in the stage. Where the rules come from: abi.md 4.2-4.4, and Envoy 1.40 where a
//! comment says so.

use super::calls::status_of;
use super::wire::{self, Refusal};
use super::exchange::{ConnectionInfo, Exchange, ExchangeState, Filter, Hold, Stage};
use super::state::StreamRef;
use super::world::{Deferred, DeferredAction, Output};
use super::{Called, Host};
use crate::abi::{Callback, ExchangeId, VmIndex};
use crate::message::{Direction, Headers, Part};
use crate::trace::{Event, LocalResponse, Peer};
use bytes::{Bytes, BytesMut};

/// Bodies of Envoy 1.40's own answers.
pub(super) const REFUSED: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
pub(super) const RESET: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
pub(super) const TIMED_OUT: &str = "upstream request timeout";

/// What a guest answered for a stream.
enum Guest {
    /// The action; 0 where it has no such callback.
    Action(u32),
    /// It broke, and the stream with it.
    Stopped,
}

/// What a body callback's action means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyAction {
    Continue,
    /// Held, and the next callback sees it all.
    Buffer,
    /// Held, but the next callback sees only what is new.
    Watermark,
    /// Thrown away.
    Drop,
}

impl Host {
    /// Opens an exchange through the whole chain.
    pub fn open(&mut self, info: ConnectionInfo) -> ExchangeId {
        for vm in 0..self.vms.len() {
            // A plugin that does not start again stays broken; its requests fail.
            let _ = self.rebuild_if_failed(VmIndex(vm));
        }
        self.last_exchange += 1;
        let id = ExchangeId(self.last_exchange);
        let filters = (0..self.plugins.len())
            .map(|at| Filter {
                plugin: crate::abi::PluginIndex(at),
                vm: self.plugins[at].vm,
                context: None,
                replied: false,
                bypassed: false,
                request: Stage::default(),
                response: Stage::default(),
            })
            .collect();
        let started = self.world.clock.realtime_ns();
        let mut exchange = Exchange::new(id, filters, info, started);
        exchange.trace_start = self.world.recorder.events().len();
        self.world.exchanges.insert(id, exchange);
        self.world.recorder.push(|| Event::ExchangeOpened(id));
        id
    }

    /// A piece of the request comes from the client.
    pub fn from_client(&mut self, exchange: ExchangeId, part: Part) {
        self.world.recorder.push(|| Event::Input { exchange, from: Peer::Client, part: part.clone() });
        let part = match part {
            Part::Headers { mut headers, end_of_stream } => {
                for (name, value) in self.world.profile.added_request_headers {
                    if headers.get(name.as_bytes()).is_none() {
                        headers.append(*name, *value);
                    }
                }
                Part::Headers { headers, end_of_stream }
            }
            Part::Reset => {
                self.abort(exchange);
                return;
            }
            other => other,
        };
        if self.ex(exchange).is_some_and(|e| !e.request_closed) {
            self.arrive(exchange, Direction::Request, part);
        }
        self.finish(exchange);
    }

    /// A piece of the response comes from the upstream.
    pub fn from_upstream(&mut self, exchange: ExchangeId, part: Part) {
        self.world.recorder.push(|| Event::Input { exchange, from: Peer::Upstream, part: part.clone() });
        match self.ex_mut(exchange) {
            Some(e) if e.state == ExchangeState::Open && !e.request_closed => {
                if !e.upstream_answered {
                    e.upstream_answered = true;
                    e.details = Bytes::from_static(b"via_upstream");
                }
            }
            _ => return,
        }
        self.arrive(exchange, Direction::Response, part);
        self.finish(exchange);
    }

    /// The upstream failed before it answered, or in the middle of the answer.
    pub fn upstream_failed(&mut self, exchange: ExchangeId, status: u32, body: &'static str, details: &'static str) {
        let Some(e) = self.ex_mut(exchange) else { return };
        if e.state != ExchangeState::Open {
            return;
        }
        e.details = Bytes::from_static(details.as_bytes());
        if e.response.arrived {
            self.emit(exchange, Direction::Response, Part::Reset);
            self.end(exchange);
        } else {
            self.host_reply(exchange, status, body, details);
        }
        self.finish(exchange);
    }

    /// The upstream did not accept the connection.
    pub fn upstream_refused(&mut self, exchange: ExchangeId) {
        let details = "upstream_reset_before_response_started{remote_connection_failure}";
        self.upstream_failed(exchange, 503, REFUSED, details);
    }

    /// The upstream broke the connection off before it answered.
    pub fn upstream_reset(&mut self, exchange: ExchangeId) {
        let details = "upstream_reset_before_response_started{connection_termination}";
        self.upstream_failed(exchange, 503, RESET, details);
    }

    /// The upstream did not answer in time.
    pub fn upstream_timed_out(&mut self, exchange: ExchangeId) {
        self.upstream_failed(exchange, 504, TIMED_OUT, "response_timeout");
    }

    pub(super) fn ex(&self, id: ExchangeId) -> Option<&Exchange> {
        self.world.exchanges.get(&id)
    }

    pub(super) fn ex_mut(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.world.exchanges.get_mut(&id)
    }

    fn stage_mut(&mut self, id: ExchangeId, filter: usize, direction: Direction) -> Option<&mut Stage> {
        self.ex_mut(id)?.stage_mut(filter, direction)
    }

    fn next(&self, id: ExchangeId, after: Option<usize>, direction: Direction) -> Option<usize> {
        self.ex(id)?.next_filter(after, direction, self.world.profile)
    }

    /// Whether a direction still takes pieces.
    fn flows(&self, id: ExchangeId, direction: Direction) -> bool {
        self.ex(id).is_some_and(|e| {
            e.state == ExchangeState::Open && !(direction == Direction::Request && e.request_closed)
        })
    }

    /// A piece enters the chain at its beginning.
    fn arrive(&mut self, id: ExchangeId, direction: Direction, part: Part) {
        let Some(half) = self.ex_mut(id).map(|e| e.half_mut(direction)) else { return };
        if half.complete_in {
            return;
        }
        let first = |host: &Self| host.next(id, None, direction);
        match part {
            Part::Headers { headers, end_of_stream } => {
                half.headers = headers;
                half.arrived = true;
                half.complete_in = end_of_stream;
                let at = first(self);
                self.headers(id, direction, at, end_of_stream);
            }
            Part::Data { bytes, end_of_stream } => {
                half.body_bytes += bytes.len() as u64;
                half.complete_in = end_of_stream;
                let at = first(self);
                self.data(id, direction, at, bytes, end_of_stream);
            }
            Part::Trailers(trailers) => {
                half.trailers = Some(trailers);
                half.complete_in = true;
                let at = first(self);
                self.trailers(id, direction, at);
            }
            Part::Reset => {
                self.upstream_failed(id, 503, RESET, "upstream_reset_after_response_started{protocol_error}");
            }
        }
    }

    /// The head, from a filter on.
    fn headers(&mut self, id: ExchangeId, direction: Direction, mut at: Option<usize>, end: bool) {
        while let Some(filter) = at {
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            stage.entered = true;
            stage.end = end;
            stage.headers_open = true;
            let count = self.ex(id).map_or(0, |e| e.half(direction).headers.len());
            let callback = by(direction, Callback::OnRequestHeaders, Callback::OnResponseHeaders);
            let args = match self.world.profile.header_arguments {
                true => [count as u32, u32::from(end)],
                false => [0, 1],
            };
            let action = self.guest(id, filter, direction, callback, &args);
            let Guest::Action(action) = action else { return };
            let holds = match direction {
                Direction::Request => self.world.profile.request_pause_holds,
                Direction::Response => self.world.profile.response_pause_holds,
            };
            // Envoy 1.40: 2 is Continue; every other number holds as Pause does.
            let paused = holds && !matches!(action, 0 | 2);
            self.note_action(id, filter, callback, action);
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            if paused {
                stage.hold = Hold::All;
            } else {
                stage.headers_open = false;
                stage.forwarded = true;
            }
            self.settle();
            if paused || !self.flows(id, direction) {
                return;
            }
            at = self.next(id, Some(filter), direction);
        }
        self.emit_headers(id, direction, end);
    }

    /// A chunk of body, from a filter on.
    fn data(&mut self, id: ExchangeId, direction: Direction, mut at: Option<usize>, mut bytes: Bytes, end: bool) {
        let limit = self.world.buffer_limit;
        while let Some(filter) = at {
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            stage.end |= end;
            if stage.hold == Hold::All {
                stage.buffer.extend_from_slice(&bytes);
                return;
            }
            if stage.hold == Hold::None {
                stage.buffer = BytesMut::from(&bytes[..]);
            } else {
                stage.buffer.extend_from_slice(&bytes);
                if stage.buffer.len() + stage.hidden.len() > limit {
                    self.over_limit(id, direction);
                    return;
                }
            }
            stage.buffer_visible = true;
            let size = stage.buffer.len() as u32;
            stage.in_last_body = end;
            let callback = by(direction, Callback::OnRequestBody, Callback::OnResponseBody);
            let guest = self.guest(id, filter, direction, callback, &[size, u32::from(end)]);
            if let Some(stage) = self.stage_mut(id, filter, direction) {
                stage.in_last_body = false;
            }
            let Guest::Action(action) = guest else { return };
            self.note_action(id, filter, callback, action);
            let holds = match direction {
                Direction::Request => self.world.profile.request_pause_holds,
                Direction::Response => self.world.profile.response_pause_holds,
            };
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            let paused = match body_action(action) {
                _ if !holds => false,
                BodyAction::Continue => false,
                BodyAction::Buffer => {
                    stage.hold = Hold::Body;
                    true
                }
                BodyAction::Watermark => {
                    let shown = std::mem::take(&mut stage.buffer);
                    stage.hidden.unsplit(shown);
                    stage.hold = Hold::Body;
                    true
                }
                // Envoy 1.40: the chunk is gone.
                BodyAction::Drop => {
                    stage.buffer.clear();
                    stage.hold = Hold::Body;
                    true
                }
            };
            if !paused {
                stage.hold = Hold::None;
                stage.buffer_visible = false;
                bytes = stage.take_body();
            }
            self.settle();
            if paused || !self.flows(id, direction) {
                return;
            }
            // A plugin can add trailers in its last body callback; they go out behind the body.
            at = self.next(id, Some(filter), direction);
        }
        self.emit(id, direction, Part::Data { bytes, end_of_stream: end });
    }

    /// The trailers, from a filter on.
    fn trailers(&mut self, id: ExchangeId, direction: Direction, mut at: Option<usize>) {
        while let Some(filter) = at {
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            if stage.hold == Hold::All {
                stage.trailers_waiting = true;
                return;
            }
            stage.trailers_open = true;
            let count = self.ex(id).and_then(|e| e.half(direction).trailers.as_ref()).map_or(0, Headers::len);
            let callback = by(direction, Callback::OnRequestTrailers, Callback::OnResponseTrailers);
            let Guest::Action(action) = self.guest(id, filter, direction, callback, &[count as u32]) else { return };
            self.note_action(id, filter, callback, action);
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            let paused = action != 0;
            if paused {
                stage.hold = Hold::Trailers;
            } else {
                stage.trailers_open = false;
                stage.trailers_forwarded = true;
                self.release_body(id, direction, filter, false);
            }
            self.settle();
            if paused || !self.flows(id, direction) {
                return;
            }
            at = self.next(id, Some(filter), direction);
        }
        let trailers = self.ex(id).and_then(|e| e.half(direction).trailers.clone()).unwrap_or_default();
        self.emit(id, direction, Part::Trailers(trailers));
    }

    /// What a stage holds of the body goes on, without being shown to its plugin again.
    fn release_body(&mut self, id: ExchangeId, direction: Direction, filter: usize, end: bool) {
        let Some(stage) = self.stage_mut(id, filter, direction) else { return };
        let held = stage.hold == Hold::Body || stage.hold == Hold::Trailers;
        stage.hold = Hold::None;
        stage.buffer_visible = false;
        let bytes = stage.take_body();
        if held && (!bytes.is_empty() || end) {
            let next = self.next(id, Some(filter), direction);
            self.data(id, direction, next, bytes, end);
        }
    }

    /// Resumes a stage.
    fn resume(&mut self, id: ExchangeId, direction: Direction, filter: usize) {
        let trailers_came = self.ex(id).is_some_and(|e| e.half(direction).trailers.is_some() && e.half(direction).complete_in);
        let Some(stage) = self.stage_mut(id, filter, direction) else { return };
        match stage.hold {
            Hold::None => self.continued_while_running(id, direction, filter),
            Hold::Body => {
                let end = stage.end;
                self.release_body(id, direction, filter, end);
            }
            Hold::Trailers => {
                self.release_body(id, direction, filter, false);
                if let Some(stage) = self.stage_mut(id, filter, direction) {
                    stage.trailers_open = false;
                    stage.trailers_forwarded = true;
                }
                let next = self.next(id, Some(filter), direction);
                if self.flows(id, direction) {
                    self.trailers(id, direction, next);
                }
            }
            Hold::All => {
                stage.hold = Hold::None;
                stage.forwarded = true;
                // Envoy 1.40: the response's map can still be reached in the body callback that follows; the
                // request's was closed by the hostcall.
                let bytes = stage.take_body();
                let (end, trailers) = (stage.end, std::mem::take(&mut stage.trailers_waiting));
                let body_follows = !bytes.is_empty() || trailers || trailers_came;
                let only_headers = end && !body_follows && self.ended_with_headers(id, direction);
                let next = self.next(id, Some(filter), direction);
                self.headers(id, direction, next, only_headers);
                // What came while the stage was stopped is now shown to the plugin, in one piece.
                if self.flows(id, direction) && !only_headers && (!bytes.is_empty() || (end && !trailers)) {
                    self.data(id, direction, Some(filter), bytes, end && !trailers);
                }
                if self.flows(id, direction) && trailers {
                    self.trailers(id, direction, Some(filter));
                }
            }
        }
    }

    fn ended_with_headers(&self, id: ExchangeId, direction: Direction) -> bool {
        self.ex(id).is_some_and(|e| e.half(direction).body_bytes == 0 && e.half(direction).trailers.is_none())
    }

    fn continued_while_running(&mut self, id: ExchangeId, direction: Direction, filter: usize) {
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
        let (what, envoy) = match direction {
            Direction::Request => ("request", "sends the request upstream a second time if its headers callback does it"),
            Direction::Response => ("response", "crashes if the response has not begun, and sends its head twice if it has"),
        };
        self.world.finding(
            "continue-not-paused",
            plugin,
            format!("the {what} was continued while it was not paused: Envoy 1.40 {envoy}; continue only what you paused"),
        );
    }

    /// Calls a stream callback of one filter.
    fn guest(&mut self, id: ExchangeId, filter: usize, direction: Direction, callback: Callback, args: &[u32]) -> Guest {
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

    /// Carries out what guests asked for in the callback that has just returned.
    pub(super) fn settle(&mut self) {
        while let Some(Deferred { exchange, filter, action }) = self.world.deferred.pop_front() {
            if self.ex(exchange).is_none_or(|e| e.state != ExchangeState::Open) {
                continue;
            }
            match action {
                DeferredAction::Continue(direction) => {
                    if self.flows(exchange, direction) {
                        self.resume(exchange, direction, filter);
                    }
                }
                DeferredAction::Close(_) => {
                    if let Some(e) = self.ex_mut(exchange) {
                        e.details = Bytes::from_static(b"wasm_close_stream");
                    }
                    self.emit(exchange, Direction::Response, Part::Reset);
                    self.end(exchange);
                }
                DeferredAction::LocalResponse(response) => self.local_response(exchange, &response),
            }
            self.finish(exchange);
        }
        self.finish_done_roots();
    }

    /// A plugin's own response: through the chain if no response has begun, straight to the client while one is
    /// being held, and too late once one is on its way (Envoy 1.40).
    fn local_response(&mut self, id: ExchangeId, response: &LocalResponse) {
        let (headers, body) = match self.is_grpc(id) {
            true => (wire::grpc_reply(response), Bytes::new()),
            false => (wire::local_reply(response, self.world.profile), response.body.clone()),
        };
        let details: Vec<u8> = response.details.iter().map(|b| if *b == b' ' { b'_' } else { *b }).collect();
        self.reply(id, headers, body, details.into());
    }

    fn is_grpc(&self, id: ExchangeId) -> bool {
        let kind = self.ex(id).and_then(|e| e.request.headers.get(b"content-type"));
        kind.is_some_and(|kind| kind == "application/grpc" || kind.starts_with(b"application/grpc+"))
    }

    /// The host answers by itself.
    fn host_reply(&mut self, id: ExchangeId, status: u32, body: &'static str, details: &'static str) {
        let headers = wire::reply_headers(status, body.len());
        self.world.recorder.push(|| Event::HostReply { exchange: id, status, details: details.to_owned() });
        self.reply(id, headers, Bytes::from_static(body.as_bytes()), Bytes::from_static(details.as_bytes()));
    }

    fn reply(&mut self, id: ExchangeId, headers: Headers, body: Bytes, details: Bytes) {
        let Some(e) = self.ex_mut(id) else { return };
        let (begun, sent) = (e.response.arrived, e.response.headers_out);
        e.details = details;
        e.request_closed = true;
        if sent {
            self.emit(id, Direction::Response, Part::Reset);
            self.end(id);
            return;
        }
        let only_headers = body.is_empty() || self.is_head(id);
        let Some(e) = self.ex_mut(id) else { return };
        e.response.headers = headers;
        e.response.arrived = true;
        e.response.complete_in = true;
        e.response.trailers = None;
        if begun {
            // The upstream's response is dropped where it stands; nobody sees the reply but the client.
            for filter in &mut e.filters {
                filter.response = Stage::default();
            }
            self.emit_headers(id, Direction::Response, only_headers);
            if !only_headers {
                self.emit(id, Direction::Response, Part::Data { bytes: body, end_of_stream: true });
            }
            return;
        }
        e.response.body_bytes = body.len() as u64;
        let first = self.next(id, None, Direction::Response);
        self.headers(id, Direction::Response, first, only_headers);
        if !only_headers && self.flows(id, Direction::Response) {
            self.data(id, Direction::Response, first, body, true);
        }
    }

    fn is_head(&self, id: ExchangeId) -> bool {
        self.ex(id).and_then(|e| e.request.headers.get(b":method")).is_some_and(|method| method == "HEAD")
    }

    /// The answer to a request whose plugin broke (Envoy 1.40: 503 without a body).
    pub(super) fn fail_stream(&mut self, id: ExchangeId) {
        if self.ex(id).is_some_and(|e| e.state == ExchangeState::Open) {
            self.host_reply(id, 503, "", "wasm_fail_stream");
        }
    }

    /// More body than may be held: 413 for a request, 500 for a response (abi.md 4.3).
    fn over_limit(&mut self, id: ExchangeId, direction: Direction) {
        match direction {
            Direction::Request => self.host_reply(id, 413, "Payload Too Large", "request_payload_too_large"),
            Direction::Response => {
                self.host_reply(id, 500, "Internal Server Error", "response_payload_too_large");
            }
        }
    }

    fn emit_headers(&mut self, id: ExchangeId, direction: Direction, end_of_stream: bool) {
        let Some(headers) = self.ex(id).map(|e| e.half(direction).headers.clone()) else { return };
        if self.world.profile.checks_messages
            && let Some(Refusal { status, body, details }) = wire::refusal(&headers, direction)
        {
            self.refuse_message(id, status, body, details);
            return;
        }
        self.emit(id, direction, Part::Headers { headers, end_of_stream });
    }

    /// A piece leaves the chain.
    fn emit(&mut self, id: ExchangeId, direction: Direction, part: Part) {
        let Some(e) = self.ex_mut(id) else { return };
        let half = e.half_mut(direction);
        if half.complete_out || e.state == ExchangeState::Closed {
            return;
        }
        let half = e.half_mut(direction);
        let mut parts = vec![];
        let complete = match &part {
            Part::Headers { end_of_stream, .. } => {
                half.headers_out = true;
                *end_of_stream
            }
            Part::Data { bytes, end_of_stream } => {
                // Trailers that a plugin added to a message without any.
                if *end_of_stream && let Some(trailers) = half.trailers.clone().filter(|t| !t.is_empty()) {
                    parts.push(Part::Data { bytes: bytes.clone(), end_of_stream: false });
                    parts.push(Part::Trailers(trailers));
                }
                *end_of_stream
            }
            Part::Trailers(_) | Part::Reset => true,
        };
        half.complete_out = complete;
        if parts.is_empty() {
            parts.push(part);
        }
        let to = match direction {
            Direction::Request => Peer::Upstream,
            Direction::Response => Peer::Client,
        };
        for part in parts {
            self.world.recorder.push(|| Event::Output { exchange: id, to, part: part.clone() });
            self.world.outputs.push_back(match direction {
                Direction::Request => Output::ToUpstream(id, part),
                Direction::Response => Output::ToClient(id, part),
            });
        }
        if complete && direction == Direction::Response {
            self.end(id);
        }
    }

    /// The response is out: the exchange is over as soon as the running callbacks have returned.
    pub(super) fn end(&mut self, id: ExchangeId) {
        let Some(e) = self.ex_mut(id) else { return };
        if e.state != ExchangeState::Open {
            return;
        }
        e.state = ExchangeState::Ended;
        let broken_off = e.request.headers_out && !e.request.complete_out;
        if broken_off {
            self.emit(id, Direction::Request, Part::Reset);
        }
    }

    /// Notes what only some hosts understand.
    fn note_action(&mut self, id: ExchangeId, filter: usize, callback: Callback, action: u32) {
        if action <= 1 {
            return;
        }
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
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

    /// The status code of the response as it stands.
    pub fn response_status(&self, id: ExchangeId) -> Option<u32> {
        self.ex(id).filter(|e| e.response.arrived).map(|e| status_of(&e.response.headers))
    }

    /// The host answers in place of a message that can't be sent.
    fn refuse_message(&mut self, id: ExchangeId, status: u32, body: String, details: &'static str) {
        let Some(e) = self.ex_mut(id) else { return };
        // The answer to a response that can't be sent goes to the client as it is.
        e.response.arrived |= e.upstream_answered;
        self.world.recorder.push(|| Event::HostReply { exchange: id, status, details: details.to_owned() });
        let headers = wire::reply_headers(status, body.len());
        self.reply(id, headers, body.into(), Bytes::from_static(details.as_bytes()));
    }

    /// The filter that holds an exchange, and in which direction.
    pub fn paused_at(&self, id: ExchangeId) -> Option<(crate::abi::PluginIndex, Direction)> {
        let e = self.ex(id)?;
        e.filters.iter().find_map(|f| {
            if f.request.hold != Hold::None && !e.request_closed {
                Some((f.plugin, Direction::Request))
            } else if f.response.hold != Hold::None {
                Some((f.plugin, Direction::Response))
            } else {
                None
            }
        })
    }

    /// Whether any filter holds the exchange.
    pub fn is_paused(&self, id: ExchangeId) -> bool {
        self.ex(id).is_some_and(|e| e.state == ExchangeState::Open && e.is_paused())
    }
}

fn body_action(action: u32) -> BodyAction {
    match action {
        0 => BodyAction::Continue,
        1 => BodyAction::Buffer,
        2 => BodyAction::Watermark,
        _ => BodyAction::Drop,
    }
}

fn by<T>(direction: Direction, request: T, response: T) -> T {
    match direction {
        Direction::Request => request,
        Direction::Response => response,
    }
}
