//! What a gRPC service answers, as the wire has it, and the callbacks that come of it.
//!
//! The order is Envoy 1.40's: a stream sees initial metadata, each message, trailing metadata and the end; a call sees
//! its one message, or the end if there is a status other than 0.

use super::frame::{BadFrame, next_message};
use super::{AnswerState, Kind, Readable};
use crate::abi::{CallId, Callback, ContextId, PluginIndex, VmIndex};
use crate::host::Host;
use crate::host::calls::status_of;
use crate::host::reply::{GARBAGE_TEXT, REFUSED_TEXT, RESET_TEXT, TIMED_OUT_TEXT};
use crate::host::world::Output;
use crate::message::Headers;
use crate::trace::{Event, GrpcAnswer};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum GrpcInput {
    /// The head of the response.
    Headers {
        /// With `:status`.
        headers: Headers,
        /// Nothing follows: what gRPC calls trailers only.
        end_of_stream: bool,
    },
    /// Bytes of the body: messages in their frames, cut anywhere.
    Data {
        /// The bytes.
        bytes: Bytes,
        /// Nothing follows, no trailers either.
        end_of_stream: bool,
    },
    /// The end.
    Trailers(Headers),
    /// No end.
    Failed(GrpcFailure),
}

/// How an answer fails to come, or to come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcFailure {
    /// The service did not accept the connection.
    Refused,
    /// The call's timeout passed.
    TimedOut,
    /// The connection was broken off.
    Reset,
    /// What came is not HTTP/2.
    Garbage,
}

/// gRPC's own numbers for what a host finds out by itself.
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
/// What Envoy makes of a `grpc-status` that is none.
const INVALID: u32 = u32::MAX;
/// Envoy's details of an end that the service brought about.
const VIA_UPSTREAM: &str = "via_upstream";

/// Who gets the callbacks of a call.
#[derive(Debug, Clone, Copy)]
struct Target {
    call: CallId,
    vm: VmIndex,
    root: ContextId,
    plugin: PluginIndex,
    token: u32,
    stream: bool,
}

/// The end of an answer.
struct End {
    status: u32,
    message: String,
    /// Envoy's own words for how it came about.
    details: Cow<'static, str>,
}

impl Host {
    /// Delivers a piece of an answer. A call that nobody waits for any more is ignored.
    pub fn grpc(&mut self, call: CallId, input: GrpcInput) {
        let Some(target) = self.grpc_target(call) else { return };
        match input {
            GrpcInput::Headers { headers, end_of_stream } => self.grpc_headers(target, headers, end_of_stream),
            GrpcInput::Data { bytes, end_of_stream } => self.grpc_data(target, &bytes, end_of_stream),
            GrpcInput::Trailers(trailers) => {
                let end = end_of(&trailers);
                self.grpc_end(target, trailers, end);
            }
            GrpcInput::Failed(failure) => self.grpc_failed(target, failure),
        }
        self.settle();
        self.run_posted();
    }

    /// The head of a call could not be written, so the host answers it by itself.
    pub(in crate::host) fn grpc_refused(&mut self, call: CallId, body: String, details: String, is_grpc: bool) {
        let Some(target) = self.grpc_target(call) else { return };
        if is_grpc {
            return self.grpc_unavailable(target, body, details.into());
        }
        // Not in gRPC's terms, so nobody reads the body: a plain 503.
        self.grpc_initial(target, Headers::new());
        let end = End { status: UNAVAILABLE, message: String::new(), details: details.into() };
        self.grpc_end(target, Headers::new(), end);
    }

    fn grpc_target(&mut self, call: CallId) -> Option<Target> {
        let pending = self.world.grpc.get_mut(call).filter(|pending| pending.answer != AnswerState::Ended)?;
        Some(Target {
            call,
            vm: pending.vm,
            root: pending.root,
            plugin: pending.plugin,
            token: pending.token,
            stream: matches!(pending.kind, Kind::Stream),
        })
    }

    fn grpc_headers(&mut self, target: Target, mut headers: Headers, end_of_stream: bool) {
        let added = self.world.profile.added_call_response_headers;
        let Some(pending) = self.world.grpc.get_mut(target.call) else { return };
        pending.answer = AnswerState::Begun;
        // Envoy 1.40: only where the plugin has sent its end.
        if pending.sent_end {
            for (name, value) in added {
                headers.append(*name, *value);
            }
        }
        let status = status_of(&headers);
        let trailers_only = end_of_stream && (status == 200 || headers.get(b"grpc-status").is_some());
        if trailers_only {
            self.grpc_initial(target, Headers::new());
            let end = end_of(&headers);
            self.grpc_end(target, headers, end);
        } else if status == 200 {
            self.grpc_initial(target, headers);
        } else {
            self.grpc_initial(target, Headers::new());
            let end = End { status: of_http(status), message: String::new(), details: VIA_UPSTREAM.into() };
            self.grpc_end(target, Headers::new(), end);
        }
    }

    fn grpc_data(&mut self, target: Target, bytes: &[u8], end_of_stream: bool) {
        let Some(pending) = self.world.grpc.get_mut(target.call) else { return };
        pending.partial.extend_from_slice(bytes);
        loop {
            // The plugin may have cancelled it in the callback.
            let Some(pending) = self.world.grpc.get_mut(target.call) else { return };
            match next_message(&mut pending.partial) {
                Ok(Some(message)) => match &mut pending.kind {
                    Kind::Unary(last) => *last = Some(message),
                    Kind::Stream => self.grpc_message(target, message),
                },
                Ok(None) => break,
                Err(BadFrame) => {
                    self.world.outputs.push_back(Output::GrpcCancel(target.call));
                    let end = End { status: INTERNAL, message: String::new(), details: VIA_UPSTREAM.into() };
                    self.grpc_end(target, Headers::new(), end);
                    return;
                }
            }
        }
        if end_of_stream {
            let end = End { status: UNKNOWN, message: String::new(), details: VIA_UPSTREAM.into() };
            self.grpc_end(target, Headers::new(), end);
        }
    }

    fn grpc_failed(&mut self, target: Target, failure: GrpcFailure) {
        let Some(pending) = self.world.grpc.get_mut(target.call) else { return };
        if pending.answer == AnswerState::Begun {
            let details = match failure {
                GrpcFailure::TimedOut => "response_timeout",
                GrpcFailure::Refused | GrpcFailure::Reset | GrpcFailure::Garbage => {
                    "upstream_reset_after_response_started{connection_termination}"
                }
            };
            let end = End { status: INTERNAL, message: String::new(), details: details.into() };
            return self.grpc_end(target, Headers::new(), end);
        }
        let (text, details) = match failure {
            GrpcFailure::TimedOut => (TIMED_OUT_TEXT, "response_timeout"),
            GrpcFailure::Reset => (RESET_TEXT, "upstream_reset_before_response_started{connection_termination}"),
            GrpcFailure::Garbage => (GARBAGE_TEXT, "upstream_reset_before_response_started{protocol_error}"),
            GrpcFailure::Refused => (
                REFUSED_TEXT,
                "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            ),
        };
        self.grpc_unavailable(target, text.to_owned(), details.into());
    }

    /// What Envoy answers in place of the service.
    fn grpc_unavailable(&mut self, target: Target, text: String, details: Cow<'static, str>) {
        let mut trailers = Headers::new();
        trailers.append(":status", "200");
        trailers.append("content-type", "application/grpc");
        trailers.append("grpc-status", UNAVAILABLE.to_string());
        trailers.append("grpc-message", text.clone());
        self.grpc_initial(target, Headers::new());
        self.grpc_end(target, trailers, End { status: UNAVAILABLE, message: text, details });
    }

    fn grpc_initial(&mut self, target: Target, headers: Headers) {
        if !target.stream {
            return;
        }
        let count = headers.len();
        self.note_grpc(target, || GrpcAnswer::InitialMetadata { entries: count });
        self.world.grpc_readable = Some(Readable::InitialMetadata(headers));
        self.grpc_callback(target, Callback::OnGrpcReceiveInitialMetadata, count as u32);
    }

    fn grpc_message(&mut self, target: Target, message: Bytes) {
        let length = message.len();
        self.note_grpc(target, || GrpcAnswer::Message(message.clone()));
        self.world.grpc_readable = Some(Readable::Message(BytesMut::from(&message[..])));
        self.grpc_callback(target, Callback::OnGrpcReceive, length as u32);
    }

    fn grpc_end(&mut self, target: Target, trailers: Headers, end: End) {
        if target.stream {
            let count = trailers.len();
            // The plugin may have cancelled it in an earlier callback.
            if self.world.grpc.get_mut(target.call).is_none() {
                return;
            }
            self.note_grpc(target, || GrpcAnswer::TrailingMetadata { entries: count });
            self.world.grpc_readable = Some(Readable::TrailingMetadata(trailers));
            self.grpc_callback(target, Callback::OnGrpcReceiveTrailingMetadata, count as u32);
        }
        let Some(pending) = self.world.grpc.get_mut(target.call) else { return };
        pending.answer = AnswerState::Ended;
        let message = match &mut pending.kind {
            Kind::Unary(message) => message.take(),
            Kind::Stream => None,
        };
        match (target.stream, end.status, message) {
            (false, 0, Some(message)) => self.grpc_message(target, message),
            // Envoy 1.40: an answer without a message is none.
            (false, 0, None) => self.grpc_closed(target, INTERNAL, String::new()),
            (_, status, _) => {
                let details = self.world.profile.grpc.as_ref().is_some_and(|grpc| grpc.appends_details);
                let message = match (details, end.message.is_empty()) {
                    (true, true) => end.details.into_owned(),
                    (true, false) => format!("{}{{{}}}", end.message, end.details),
                    (false, _) => end.message,
                };
                self.grpc_closed(target, status, message);
            }
        }
        self.world.grpc.ended(target.call);
    }

    fn grpc_closed(&mut self, target: Target, status: u32, message: String) {
        self.deliver_grpc_close(target.vm, target.root, target.plugin, target.token, status, message);
    }

    /// `proxy_on_grpc_close`, also for calls that never got an id the guest knows of.
    pub(in crate::host) fn deliver_grpc_close(
        &mut self,
        vm: VmIndex,
        root: ContextId,
        plugin: PluginIndex,
        token: u32,
        status: u32,
        message: String,
    ) {
        let text = message.clone();
        self.world.recorder.push(|| Event::GrpcAnswered {
            call: CallId(token),
            plugin,
            answer: GrpcAnswer::Closed { status, message: text },
        });
        if let Some(state) = self.root_state(vm, root) {
            state.last_status = (status, Bytes::from(message));
        }
        self.call(vm, plugin, Callback::OnGrpcClose, root, &[token, status]);
        // Envoy 1.40: the number stays, the message goes.
        if let Some(state) = self.root_state(vm, root) {
            state.last_status.1 = Bytes::new();
        }
    }

    fn grpc_callback(&mut self, target: Target, callback: Callback, argument: u32) {
        self.call(target.vm, target.plugin, callback, target.root, &[target.token, argument]);
        self.world.grpc_readable = None;
    }

    fn note_grpc(&mut self, target: Target, answer: impl FnOnce() -> GrpcAnswer) {
        let Target { plugin, token, .. } = target;
        self.world.recorder.push(|| Event::GrpcAnswered { call: CallId(token), plugin, answer: answer() });
    }
}

/// What trailers, or headers in their place, say of the end.
fn end_of(trailers: &Headers) -> End {
    let text = |name: &[u8]| trailers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let status = match text(b"grpc-status") {
        None => UNKNOWN,
        Some(text) => text.parse().ok().filter(|status| *status <= 16).unwrap_or(INVALID),
    };
    End { status, message: text(b"grpc-message").unwrap_or_default(), details: VIA_UPSTREAM.into() }
}

/// The status of an answer that is not gRPC at all.
fn of_http(status: u32) -> u32 {
    match status {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}
