//! How messages move through the chain: callbacks, pauses, buffering.
//!
//! Each filter has a stage in each direction. A piece enters at a filter, the guest is called, and the piece goes
//! on to the next filter or stays in the stage; `resume` says how it gets going again, `reply` what becomes of it
//! when somebody answers. What becomes of a chunk of a body is told in `body`. Where the rules come from:
//! abi.md 4.2-4.4, and Envoy 1.40 where a comment says so.

mod body;

use super::Host;
use super::connection::Connection;
use super::exchange::{ConnectionInfo, Exchange, ExchangeState, Filter, Hold, Stage};
use super::guest::Guest;
use super::lifecycle::Place;
use crate::abi::{Callback, ExchangeId, PluginIndex, VmIndex};
use crate::message::{Direction, Headers, Part};
use crate::trace::{Event, Peer};
use bytes::Bytes;

impl Host {
    /// Opens an exchange through the whole chain.
    pub fn open(&mut self, info: ConnectionInfo) -> ExchangeId {
        self.restart_after_crash();
        let chain: Vec<_> = self.whole_chain();
        let id = self.open_exchange(info, None, chain.into_iter());
        self.world.recorder.push(|| Event::ExchangeOpened(id));
        id
    }

    /// Every plugin that was added.
    pub(super) fn whole_chain(&self) -> Vec<PluginIndex> {
        let all = self.plugins.iter().enumerate();
        all.filter(|(_, plugin)| plugin.place == Place::Chain).map(|(at, _)| PluginIndex(at)).collect()
    }

    /// An exchange, or a TCP connection, with a place for every plugin of its chain.
    pub(super) fn open_exchange(
        &mut self,
        info: ConnectionInfo,
        tcp: Option<Connection>,
        chain: impl Iterator<Item = PluginIndex>,
    ) -> ExchangeId {
        for vm in 0..self.vms.len() {
            // A plugin that does not start again stays broken; its requests fail.
            let _ = self.rebuild_if_failed(VmIndex(vm));
        }
        let id = self.next_exchange();
        let filters = chain
            .filter_map(|plugin| Some((plugin, self.plugins.get(plugin.0)?.vm)))
            .map(|(plugin, vm)| Filter {
                plugin,
                vm,
                context: None,
                replied: false,
                bypassed: false,
                request: Stage::default(),
                response: Stage::default(),
            })
            .collect();
        let started = self.world.clock.realtime_ns();
        let mut exchange = Box::new(Exchange::new(id, filters, info, started));
        exchange.tcp = tcp;
        exchange.trace_start = self.world.recorder.events().len();
        self.world.exchanges.insert(id, exchange);
        id
    }

    /// Numbers begin again after four thousand million.
    fn next_exchange(&mut self) -> ExchangeId {
        loop {
            self.last_exchange = self.last_exchange.wrapping_add(1).max(1);
            let id = ExchangeId(self.last_exchange);
            if !self.world.exchanges.contains_key(&id) {
                return id;
            }
        }
    }

    /// Nobody will accept the connection to the upstream of this exchange.
    pub fn upstream_is_unreachable(&mut self, exchange: ExchangeId) {
        if let Some(e) = self.ex_mut(exchange) {
            e.upstream_unreachable = true;
        }
    }

    /// A piece of the request comes from the client.
    pub fn from_client(&mut self, exchange: ExchangeId, part: Part) {
        self.world.recorder.push(|| Event::Input { exchange, from: Peer::Client, part: part.clone() });
        let part = match part {
            Part::Headers { mut headers, end_of_stream } => {
                let lines = headers.iter().filter(|(name, _)| !name.starts_with(b":")).count();
                // One of them is Host, which is a pseudo header here.
                if lines >= self.world.profile.request_header_lines {
                    self.refuse_unseen(exchange);
                    return;
                }
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
        self.world.about = Some(exchange);
        if self.ex(exchange).is_some_and(|e| !e.request_closed) {
            self.arrive(exchange, Direction::Request, part);
        }
        self.finish(exchange);
        self.world.about = None;
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
        self.world.about = Some(exchange);
        self.arrive(exchange, Direction::Response, part);
        self.finish(exchange);
        self.world.about = None;
    }

    pub(super) fn ex(&self, id: ExchangeId) -> Option<&Exchange> {
        self.world.exchanges.get(&id).map(|e| &**e)
    }

    pub(super) fn ex_mut(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.world.exchanges.get_mut(&id).map(|e| &mut **e)
    }

    pub(super) fn stage_mut(&mut self, id: ExchangeId, filter: usize, direction: Direction) -> Option<&mut Stage> {
        self.ex_mut(id)?.stage_mut(filter, direction)
    }

    pub(super) fn next(&self, id: ExchangeId, after: Option<usize>, direction: Direction) -> Option<usize> {
        self.ex(id)?.next_filter(after, direction, self.world.profile)
    }

    /// Whether a direction still takes pieces.
    pub(super) fn flows(&self, id: ExchangeId, direction: Direction) -> bool {
        self.ex(id)
            .is_some_and(|e| e.state == ExchangeState::Open && !(direction == Direction::Request && e.request_closed))
    }

    /// A piece enters the chain at its beginning.
    fn arrive(&mut self, id: ExchangeId, direction: Direction, part: Part) {
        if self.ex(id).is_none_or(|e| e.half(direction).complete_in) {
            return;
        }
        if self.world.profile.plugins_run_in_turn {
            self.phase_arrives(id, direction, part);
            return;
        }
        let Some(half) = self.ex_mut(id).map(|e| e.half_mut(direction)) else { return };
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
            Part::Metadata(metadata) => {
                let at = first(self);
                self.metadata(id, direction, at, metadata);
            }
            Part::Trailers(trailers) => {
                half.trailers = Some(trailers);
                half.complete_in = true;
                let at = first(self);
                self.trailers(id, direction, at);
            }
            Part::Reset => {
                // Envoy 1.40: a response that breaks off is a protocol error, on HTTP/1.1.
                self.upstream_failed(id, super::reply::BROKEN_OFF);
            }
        }
    }

    /// The head, from a filter on.
    pub(super) fn headers(&mut self, id: ExchangeId, direction: Direction, mut at: Option<usize>, end: bool) {
        while let Some(filter) = at {
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            stage.end = end;
            stage.ends_with_headers = end;
            let count = self.ex(id).map_or(0, |e| e.half(direction).headers.len());
            let callback = by(direction, Callback::OnRequestHeaders, Callback::OnResponseHeaders);
            let args = match self.world.profile.header_arguments {
                true => [count as u32, u32::from(end)],
                false => [0, 1],
            };
            let Guest::Action(action) = self.guest(id, filter, direction, callback, &args) else { return };
            self.note_action(id, filter, callback, action);
            // Envoy 1.40: 2 is Continue; every other number holds as Pause does.
            let paused = self.pause_holds(direction) && !matches!(action, 0 | 2);
            let holds_only_headers = self.holds_only_headers(id, filter);
            let continued = paused && self.continued_meanwhile(id, filter, direction);
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            match (paused, continued) {
                (false, _) => {
                    stage.headers_open = false;
                    stage.forwarded = true;
                    self.note_passed_twice(id, filter, direction);
                }
                (true, false) if action == 1 && holds_only_headers && !end => stage.hold = Hold::Headers,
                (true, false) => stage.hold = Hold::All,
                // Envoy 1.40 carries the continue out before it looks at the action: the head goes on, and then the
                // Pause holds what follows.
                (true, true) => {
                    stage.forwarded = true;
                    stage.hold = if end { Hold::None } else { Hold::All };
                    if !end {
                        self.continued_too_early(id, filter);
                    }
                }
            }
            self.settle();
            if (paused && !continued) || !self.flows(id, direction) {
                return;
            }
            at = self.next(id, Some(filter), direction);
        }
        self.emit_headers(id, direction, end);
    }

    /// A METADATA frame, from a filter on. Envoy 1.40: no map shows it, and nothing that the guest returns holds it; only
    /// a filter that stopped at the headers keeps it until it resumes.
    pub(super) fn metadata(&mut self, id: ExchangeId, direction: Direction, mut at: Option<usize>, metadata: Headers) {
        let callback = by(direction, Callback::OnRequestMetadata, Callback::OnResponseMetadata);
        while let Some(filter) = at {
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            if stage.hold == Hold::All {
                stage.metadata_waiting.push(metadata);
                return;
            }
            if self.world.profile.calls_metadata {
                let args = [metadata.len() as u32];
                let Guest::Action(_) = self.guest(id, filter, direction, callback, &args) else { return };
                self.settle();
            }
            if !self.flows(id, direction) {
                return;
            }
            at = self.next(id, Some(filter), direction);
        }
        self.emit(id, direction, Part::Metadata(metadata));
    }

    /// The head goes on, if it has not yet: before the piece that the filter lets pass.
    pub(super) fn forward_head(&mut self, id: ExchangeId, direction: Direction, filter: usize) {
        let Some(stage) = self.stage_mut(id, filter, direction) else { return };
        let only_headers = stage.ends_with_headers;
        if !std::mem::replace(&mut stage.forwarded, true) {
            let next = self.next(id, Some(filter), direction);
            self.headers(id, direction, next, only_headers);
        }
    }

    fn holds_only_headers(&self, id: ExchangeId, filter: usize) -> bool {
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
        plugin.and_then(|plugin| self.plugins.get(plugin.0)).is_some_and(|plugin| plugin.config.holds_only_headers)
    }

    /// The trailers, from a filter on.
    pub(super) fn trailers(&mut self, id: ExchangeId, direction: Direction, mut at: Option<usize>) {
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
            let paused = self.pause_holds(direction) && action != 0 && !self.continued_meanwhile(id, filter, direction);
            let Some(stage) = self.stage_mut(id, filter, direction) else { return };
            if paused {
                stage.hold = Hold::Trailers;
            } else {
                stage.trailers_open = false;
                self.forward_head(id, direction, filter);
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

    fn pause_holds(&self, direction: Direction) -> bool {
        match direction {
            Direction::Request => self.world.profile.request_pause_holds,
            Direction::Response => self.world.profile.response_pause_holds,
        }
    }
}

fn by<T>(direction: Direction, request: T, response: T) -> T {
    match direction {
        Direction::Request => request,
        Direction::Response => response,
    }
}
