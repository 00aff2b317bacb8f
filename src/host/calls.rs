//! The answers to HTTP calls.

use super::Host;
use super::world::Answer;
use crate::abi::{CallId, Callback};
use crate::message::Headers;
use crate::trace::{CallAnswer, CallResponse, Event};
use bytes::Bytes;
use std::sync::Arc;

/// What a driver has to say about a call.
#[derive(Debug, Clone)]
pub enum CallResult {
    /// A response came.
    Response {
        /// With `:status`.
        headers: Headers,
        /// The body.
        body: Bytes,
        /// The trailers.
        trailers: Headers,
    },
    /// The upstream did not accept the connection.
    Refused,
    /// No response within the timeout.
    TimedOut,
    /// The connection was broken off before the response.
    ResetBeforeResponse,
    /// What came is not a response.
    Garbage,
    /// The connection was broken off in the middle of the response.
    ResetInResponse,
}

impl Host {
    /// Delivers the answer to a call. A call that nobody waits for any more is ignored.
    pub fn answer(&mut self, call: CallId, result: CallResult) {
        let Some(pending) = self.world.calls.remove(&call) else { return };
        if let Some(exchange) = pending.exchange {
            self.phase_answered(exchange, &pending, result);
            return;
        }
        let answer = self.as_seen_by_guest(&result, pending.is_head);
        let arguments = match &answer {
            Ok(answer) => [answer.headers.len() as u32, answer.body.len() as u32, answer.trailers.len() as u32],
            Err(_) => [0, 0, 0],
        };
        let (plugin, token) = (pending.plugin, pending.token);
        self.world.recorder.push(|| {
            let answer = match &answer {
                Ok(answer) => answered(answer),
                Err((_, message)) => CallAnswer::Failed((*message).to_owned()),
            };
            Event::CallAnswered { call: CallId(token), plugin, answer }
        });
        if let (Err((code, message)), Some(root)) = (&answer, self.root_state(pending.vm, pending.root)) {
            root.last_status = (*code, Bytes::from_static(message.as_bytes()));
        }
        // Envoy 1.40: after (0, 0, 0) the maps and the body are as far as outside the callback.
        self.world.answer = answer.ok();
        let args = [token, arguments[0], arguments[1], arguments[2]];
        // Envoy 1.40: streams that wait for a callback that traps go on waiting; only new ones get 503.
        self.call(pending.vm, plugin, Callback::OnHttpCallResponse, pending.root, &args);
        self.world.answer = None;
        // Envoy 1.40: the number stays until another call fails, the message goes.
        if let Some(root) = self.root_state(pending.vm, pending.root) {
            root.last_status.1 = Bytes::new();
        }
        self.settle();
        self.run_posted();
    }

    /// Envoy makes a response of its own out of most failures (abi.md 8.1; texts as Envoy 1.40 wrote them). The
    /// rest is (0, 0, 0) with a status to be asked for.
    fn as_seen_by_guest(&self, result: &CallResult, is_head: bool) -> Result<Answer, (u32, &'static str)> {
        const RESET: (u32, &str) = (11, "reset");
        let (status, text) = match result {
            CallResult::Response { headers, body, trailers } => {
                return Ok(Answer { headers: headers.clone(), body: body.clone(), trailers: trailers.clone() });
            }
            CallResult::Refused => ("503", super::reply::REFUSED_TEXT),
            CallResult::TimedOut => ("504", super::reply::TIMED_OUT_TEXT),
            CallResult::ResetBeforeResponse => ("503", super::reply::RESET_TEXT),
            CallResult::Garbage => ("502", super::reply::GARBAGE_TEXT),
            CallResult::ResetInResponse => return Err(RESET),
        };
        if !self.world.profile.call_failure_is_response {
            return Err(RESET);
        }
        let mut headers = Headers::new();
        headers.append(":status", status);
        headers.append("content-length", text.len().to_string());
        headers.append("content-type", "text/plain");
        // Envoy 1.40: to HEAD it says how long the text would be.
        let body = if is_head { Bytes::new() } else { Bytes::from_static(text.as_bytes()) };
        Ok(Answer { headers, body, trailers: Headers::new() })
    }
}

/// An answer as the trace has it.
pub(super) fn answered(answer: &Answer) -> CallAnswer {
    let Answer { headers, body, trailers } = answer.clone();
    let (status, length) = (status_of(&headers), body.len());
    CallAnswer::Response { status, body: length, response: Arc::new(CallResponse { headers, body, trailers }) }
}

/// The number in `:status`, or 0.
pub(super) fn status_of(headers: &Headers) -> u32 {
    headers.get(b":status").and_then(|s| std::str::from_utf8(s).ok()?.parse().ok()).unwrap_or(0)
}
