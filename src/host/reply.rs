//! Answers that do not come from the upstream: plugins' local responses, and the host's own.

use super::Host;
use super::calls::status_of;
use super::exchange::{ExchangeState, Stage};
use super::wire;
use crate::abi::{ExchangeId, PeerType};
use crate::message::{Direction, Headers, Part};
use crate::trace::{Event, LocalResponse};
use bytes::Bytes;

/// Bodies of Envoy 1.40's own answers.
pub(super) const REFUSED_TEXT: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
pub(super) const RESET_TEXT: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
pub(super) const GARBAGE_TEXT: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
pub(super) const TIMED_OUT_TEXT: &str = "upstream request timeout";

/// A way in which an upstream fails, and what Envoy 1.40 makes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpstreamFailure {
    status: u32,
    body: &'static str,
    details: &'static str,
    /// Its response flags.
    flags: u64,
}

const REFUSED: UpstreamFailure = UpstreamFailure {
    status: 503,
    body: REFUSED_TEXT,
    details: "upstream_reset_before_response_started{remote_connection_failure}",
    flags: 0x20,
};
const RESET: UpstreamFailure = UpstreamFailure {
    status: 503,
    body: RESET_TEXT,
    details: "upstream_reset_before_response_started{connection_termination}",
    flags: 0x40,
};
const GARBAGE: UpstreamFailure = UpstreamFailure {
    status: 502,
    body: GARBAGE_TEXT,
    details: "upstream_reset_before_response_started{protocol_error}",
    flags: 0x80_0000,
};
pub(super) const BROKEN_OFF: UpstreamFailure =
    UpstreamFailure { details: "upstream_reset_after_response_started{protocol_error}", ..GARBAGE };
const TIMED_OUT: UpstreamFailure =
    UpstreamFailure { status: 504, body: TIMED_OUT_TEXT, details: "response_timeout", flags: 0x4 };

impl Host {
    /// The upstream failed before it answered, or in the middle of the answer. Envoy 1.40: while a plugin holds the
    /// head of a response that breaks off, the client gets an answer of the host's, of which no plugin is told.
    pub(super) fn upstream_failed(&mut self, exchange: ExchangeId, failure: UpstreamFailure) {
        let UpstreamFailure { status, body, details, flags } = failure;
        self.world.about = Some(exchange);
        let Some(e) = self.ex_mut(exchange) else { return };
        if e.state != ExchangeState::Open {
            return;
        }
        e.details = Bytes::from_static(details.as_bytes());
        e.flags = flags;
        if e.response.headers_out {
            self.emit(exchange, Direction::Response, Part::Reset);
            self.end(exchange);
        } else if self.world.profile.plugins_run_in_turn {
            let (failed, timed_out) = self.world.profile.upstream_failure;
            let status = if status == 504 { timed_out } else { failed };
            self.world.recorder.push(|| Event::HostReply { exchange, status, details: details.to_owned() });
            self.respond(exchange, status, Bytes::new());
        } else {
            self.host_reply(exchange, status, body, details);
        }
        self.finish(exchange);
        self.world.about = None;
    }

    /// The upstream did not accept the connection.
    pub fn upstream_refused(&mut self, exchange: ExchangeId) {
        self.upstream_failed(exchange, REFUSED);
    }

    /// The upstream broke the connection off before it answered.
    pub fn upstream_reset(&mut self, exchange: ExchangeId) {
        self.upstream_failed(exchange, RESET);
    }

    /// The upstream answered with something that is not a response.
    pub fn upstream_garbage(&mut self, exchange: ExchangeId) {
        self.upstream_failed(exchange, GARBAGE);
    }

    /// The upstream did not answer in time, or not all of it.
    pub fn upstream_timed_out(&mut self, exchange: ExchangeId) {
        self.upstream_failed(exchange, TIMED_OUT);
    }

    /// Nothing has happened for too long to a request that the client has sent completely: a plugin holds it (Envoy
    /// 1.40, `stream_idle_timeout`, ENVOY.md 32).
    pub fn stream_timed_out(&mut self, exchange: ExchangeId) {
        self.world.about = Some(exchange);
        if self.ex(exchange).is_some_and(|e| e.state == ExchangeState::Open) {
            self.host_reply(exchange, 504, "stream timeout", "stream_idle_timeout");
        }
        self.finish(exchange);
        self.world.about = None;
    }

    /// A plugin's own response: through the chain if no response has begun, straight to the client while one is
    /// being held, and too late once one is on its way (Envoy 1.40).
    pub(super) fn local_response(&mut self, id: ExchangeId, response: &LocalResponse) {
        let (headers, body) = match self.is_grpc(id) {
            true => (wire::grpc_reply(response), Bytes::new()),
            false => (wire::local_reply(response, self.world.profile), response.body.clone()),
        };
        let details: Vec<u8> =
            response.details.iter().map(|b| if b.is_ascii_whitespace() { b'_' } else { *b }).collect();
        self.answer_with(id, headers, body, details.into());
    }

    fn is_grpc(&self, id: ExchangeId) -> bool {
        let kind = self.ex(id).and_then(|e| e.request.headers.get(b"content-type"));
        kind.is_some_and(|kind| kind == "application/grpc" || kind.starts_with(b"application/grpc+"))
    }

    /// The driver answers, in the host's manner.
    pub(super) fn reply_with(&mut self, id: ExchangeId, status: u32, more: Headers, body: Bytes) {
        if self.ex(id).is_none_or(|e| e.state != ExchangeState::Open) {
            return;
        }
        let mut headers = wire::reply_headers(status, body.len());
        for (name, value) in more {
            headers.replace(name, value);
        }
        self.answer_with(id, headers, body, Bytes::from_static(b"direct_response"));
    }

    /// The host answers by itself.
    fn host_reply(&mut self, id: ExchangeId, status: u32, body: &'static str, details: &'static str) {
        let headers = wire::reply_headers(status, body.len());
        self.world.recorder.push(|| Event::HostReply { exchange: id, status, details: details.to_owned() });
        self.answer_with(id, headers, Bytes::from_static(body.as_bytes()), Bytes::from_static(details.as_bytes()));
    }

    fn answer_with(&mut self, id: ExchangeId, headers: Headers, body: Bytes, details: Bytes) {
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

    pub(super) fn is_head(&self, id: ExchangeId) -> bool {
        self.ex(id).and_then(|e| e.request.headers.get(b":method")).is_some_and(|method| method == "HEAD")
    }

    /// What becomes of a stream whose plugin broke (Envoy 1.40: 503 without a body; a TCP connection is closed).
    pub(super) fn fail_stream(&mut self, id: ExchangeId) {
        if self.is_tcp(id) {
            self.close_connection(id, PeerType::Local);
        } else if self.ex(id).is_some_and(|e| e.state == ExchangeState::Open) {
            self.host_reply(id, 503, "", "wasm_fail_stream");
        }
    }

    /// More body than may be held: 413 for a request, 500 for a response (abi.md 4.3).
    pub(super) fn over_limit(&mut self, id: ExchangeId, direction: Direction) {
        match direction {
            Direction::Request => self.host_reply(id, 413, "Payload Too Large", "request_payload_too_large"),
            Direction::Response => {
                self.host_reply(id, 500, "Internal Server Error", "response_payload_too_large");
            }
        }
    }

    /// The host answers in place of a message that can't be sent.
    pub(super) fn refuse_message(&mut self, id: ExchangeId, status: u32, body: String, details: String) {
        let Some(e) = self.ex_mut(id) else { return };
        // The answer to a response that can't be sent goes to the client as it is.
        e.response.arrived |= e.upstream_answered;
        self.world.recorder.push(|| Event::HostReply { exchange: id, status, details: details.clone() });
        let headers = wire::reply_headers(status, body.len());
        self.answer_with(id, headers, body.into(), details.into());
    }

    /// Envoy 1.40: its codec answers a request with too many headers. No plugin sees the request or the answer, but
    /// each gets a context for its on_log.
    pub(super) fn refuse_unseen(&mut self, id: ExchangeId) {
        if let Some(e) = self.ex_mut(id).filter(|e| e.state == ExchangeState::Open && !e.request.arrived) {
            e.response.arrived = true;
            let (body, details) = ("Request Header Fields Too Large", "http1.too_many_headers");
            self.refuse_message(id, 431, body.to_owned(), details.to_owned());
        }
        self.finish(id);
    }

    /// The status code of the response as it stands.
    pub fn response_status(&self, id: ExchangeId) -> Option<u32> {
        self.ex(id).filter(|e| e.response.arrived).map(|e| status_of(&e.response.headers))
    }
}
