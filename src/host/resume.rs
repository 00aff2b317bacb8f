//! What guests ask for in a callback takes hold here, when they have returned: streams go on, end, or are answered.

use super::Host;
use super::exchange::{ExchangeState, Hold};
use super::world::{Deferred, DeferredAction};
use crate::abi::{ExchangeId, PeerType};
use crate::message::{Direction, Part};
use bytes::Bytes;

impl Host {
    /// Carries out what guests asked for in the callback that has just returned.
    pub(super) fn settle(&mut self) {
        while let Some(Deferred { exchange, filter, action }) = self.world.deferred.pop_front() {
            if self.ex(exchange).is_none_or(|e| e.state != ExchangeState::Open) {
                continue;
            }
            match action {
                DeferredAction::Continue(direction) if self.is_tcp(exchange) => {
                    self.continue_connection(exchange, filter, direction);
                }
                DeferredAction::Close(_) if self.is_tcp(exchange) => {
                    self.close_connection(exchange, PeerType::Local);
                }
                DeferredAction::Continue(direction) => {
                    if self.flows(exchange, direction) {
                        self.resume(exchange, direction, filter);
                    }
                }
                DeferredAction::Close(_) => {
                    if let Some(e) = self.ex_mut(exchange)
                        && e.details.is_empty()
                    {
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

    /// Whether the callback that has just returned continued the direction that it is about, and did not answer or
    /// close the stream beside that, which wins.
    pub(super) fn continued_meanwhile(&mut self, id: ExchangeId, filter: usize, direction: Direction) -> bool {
        let deferred = &mut self.world.deferred;
        let ended = deferred.iter().any(|d| d.exchange == id && !matches!(d.action, DeferredAction::Continue(_)));
        let before = deferred.len();
        deferred.retain(|d| match d.action {
            DeferredAction::Continue(of) => ended || d.exchange != id || d.filter != filter || of != direction,
            DeferredAction::Close(_) | DeferredAction::LocalResponse(_) => true,
        });
        deferred.len() < before
    }

    /// Resumes a stage.
    fn resume(&mut self, id: ExchangeId, direction: Direction, filter: usize) {
        let profile = self.world.profile;
        let Some(stage) = self.stage_mut(id, filter, direction) else { return };
        match stage.hold {
            Hold::None => self.continued_while_running(id, direction, filter),
            Hold::Body => {
                self.forward_head(id, direction, filter);
                let Some(stage) = self.stage_mut(id, filter, direction) else { return };
                let (end, made_trailers) = (stage.end, stage.made_trailers);
                if made_trailers && profile.made_trailers_lose_held_body {
                    stage.take_body();
                }
                self.release_body(id, direction, filter, end && !made_trailers);
                if made_trailers && self.flows(id, direction) {
                    let next = self.next(id, Some(filter), direction);
                    self.trailers(id, direction, next);
                }
            }
            Hold::Trailers => {
                self.forward_head(id, direction, filter);
                self.release_body(id, direction, filter, false);
                if let Some(stage) = self.stage_mut(id, filter, direction) {
                    stage.trailers_open = false;
                }
                let next = self.next(id, Some(filter), direction);
                if self.flows(id, direction) {
                    self.trailers(id, direction, next);
                }
            }
            Hold::All | Hold::Headers => {
                stage.hold = Hold::None;
                // Envoy 1.40: the response's map can still be reached in the body callback that follows; the
                // request's was closed by the hostcall.
                let bytes = stage.take_body();
                let (end, trailers) = (stage.end, std::mem::take(&mut stage.trailers_waiting));
                let only_headers = stage.ends_with_headers;
                let metadata = std::mem::take(&mut stage.metadata_waiting);
                self.forward_head(id, direction, filter);
                for frame in metadata {
                    if self.flows(id, direction) {
                        self.metadata(id, direction, Some(filter), frame);
                    }
                }
                // What came while the stage was stopped is now shown to the plugin, in one piece.
                if self.flows(id, direction) && !only_headers && (!bytes.is_empty() || (end && !trailers)) {
                    let seen = profile.body_while_headers_held;
                    let from = if seen { self.next(id, Some(filter), direction) } else { Some(filter) };
                    self.data(id, direction, from, bytes, end && !trailers);
                }
                if self.flows(id, direction) && trailers {
                    self.trailers(id, direction, Some(filter));
                }
            }
        }
    }

    /// What a stage holds of the body goes on, without being shown to its plugin again.
    pub(super) fn release_body(&mut self, id: ExchangeId, direction: Direction, filter: usize, end: bool) {
        let Some(stage) = self.stage_mut(id, filter, direction) else { return };
        let held = stage.hold == Hold::Body || stage.hold == Hold::Trailers;
        stage.hold = Hold::None;
        stage.buffer_visible = false;
        stage.accumulates = false;
        let bytes = stage.take_body();
        if held && (!bytes.is_empty() || end) {
            let next = self.next(id, Some(filter), direction);
            self.data(id, direction, next, bytes, end);
        }
    }

    fn continued_while_running(&mut self, id: ExchangeId, direction: Direction, filter: usize) {
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
        let (what, envoy) = match direction {
            Direction::Request => {
                ("request", "sends the request upstream a second time if its headers callback does it")
            }
            Direction::Response => {
                ("response", "crashes if the response has not begun, and sends its head twice if it has")
            }
        };
        self.world.finding(
            "continue-not-paused",
            plugin,
            format!(
                "the {what} was continued while it was not paused: Envoy 1.40 {envoy}; continue only what you paused"
            ),
        );
        let early = direction == Direction::Response && !self.ex(id).is_some_and(|e| e.response.arrived);
        if early && self.world.profile.continue_wrecks_running_streams {
            self.crash(
                "continue-before-response",
                "the response was continued before there was one: Envoy 1.40 dies; continue the request with stream type 0",
            );
        }
    }

    /// A headers callback that continued what it lets pass anyway: the head goes on twice.
    pub(super) fn note_passed_twice(&mut self, id: ExchangeId, filter: usize, direction: Direction) {
        let of = |d: &&Deferred| d.exchange == id;
        let deferred = || self.world.deferred.iter().filter(of);
        let continued = deferred()
            .any(|d| d.filter == filter && matches!(d.action, DeferredAction::Continue(of) if of == direction));
        let ended = deferred().any(|d| !matches!(d.action, DeferredAction::Continue(_)));
        if !continued || ended || !self.world.profile.continue_wrecks_running_streams {
            return;
        }
        match direction {
            Direction::Request => self.wreck(
                "request-sent-twice",
                "the headers callback continued the request and returned Continue: Envoy 1.40 sends the request upstream \
                 twice; only continue what was paused",
            ),
            Direction::Response => self.wreck(
                "response-sent-twice",
                "the headers callback continued the response and returned Continue: Envoy 1.40 writes its head to the \
                 client twice; only continue what was paused",
            ),
        }
    }

    /// A callback that continues what it is about to pause.
    pub(super) fn continued_too_early(&mut self, id: ExchangeId, filter: usize) {
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
        self.world.finding(
            "continue-before-pause",
            plugin,
            "one callback both continued the stream and returned pause: Envoy 1.40 continues first and then holds what \
             follows for ever; return continue, or continue from a later callback",
        );
    }

    /// The filter that holds an exchange, and in which direction.
    pub fn paused_at(&self, id: ExchangeId) -> Option<(crate::abi::PluginIndex, Direction)> {
        let e = self.ex(id)?;
        if let Some(tcp) = &e.tcp {
            let held = |by: Option<usize>| Some(e.filters.get(by?)?.plugin);
            return held(tcp.downstream_data.held_by)
                .map(|plugin| (plugin, Direction::Request))
                .or_else(|| held(tcp.upstream_data.held_by).map(|plugin| (plugin, Direction::Response)));
        }
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
