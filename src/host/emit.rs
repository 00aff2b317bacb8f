//! What leaves the chain, for the upstream and for the client.

use super::Host;
use super::exchange::ExchangeState;
use super::wire::{self, Refusal};
use super::world::{DeferredAction, Output};
use crate::abi::ExchangeId;
use crate::message::{Direction, Part};
use crate::trace::{Event, Peer};
use bytes::Bytes;

impl Host {
    /// The head leaves the chain, if it can be written.
    pub(super) fn emit_headers(&mut self, id: ExchangeId, direction: Direction, end_of_stream: bool) {
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
    pub(super) fn emit(&mut self, id: ExchangeId, direction: Direction, part: Part) {
        // Envoy 1.40: a local response that has been asked for overtakes a request that was continued before it.
        let replaced = direction == Direction::Request
            && self
                .world
                .deferred
                .iter()
                .any(|d| d.exchange == id && matches!(d.action, DeferredAction::LocalResponse(_)));
        let Some(e) = self.ex_mut(id) else { return };
        let unreachable = direction == Direction::Request && e.upstream_unreachable;
        let half = e.half_mut(direction);
        if replaced || half.complete_out || e.state == ExchangeState::Closed {
            return;
        }
        // HTTP/1.1 has no room for trailers behind a body of known length.
        let no_trailers = e.info.protocol == "HTTP/1.1" && e.half(direction).headers.get(b"content-length").is_some();
        let part = match part {
            Part::Trailers(_) if no_trailers => Part::Data { bytes: Bytes::new(), end_of_stream: true },
            part => part,
        };
        let half = e.half_mut(direction);
        let complete = match &part {
            Part::Headers { end_of_stream, .. } => {
                half.headers_out = true;
                *end_of_stream
            }
            Part::Data { end_of_stream, .. } => *end_of_stream,
            Part::Metadata(_) => false,
            Part::Trailers(_) | Part::Reset => true,
        };
        half.complete_out = complete;
        let to = match direction {
            Direction::Request => Peer::Upstream,
            Direction::Response => Peer::Client,
        };
        // The driver has to know, but nobody there sees it.
        if !unreachable {
            self.world.recorder.push(|| Event::Output { exchange: id, to, part: part.clone() });
        }
        self.world.outputs.push_back(match direction {
            Direction::Request => Output::ToUpstream(id, part),
            Direction::Response => Output::ToClient(id, part),
        });
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
}
