//! Plugins that run to completion one after the other, as in APISIX: the request side.
//!
//! A plugin sees the headers, then the whole body if it asked for it, and only then the next plugin sees anything;
//! a call blocks the request until it is answered. Nothing reaches the upstream before every plugin has had its
//! turn and the body is complete. Section numbers are those of `apisix.md`.

mod context;
pub(super) mod pages;
mod response;
mod rewritten;

use super::exchange::ExchangeState;
use super::exchange::phases::{Awaited, Registered, Step};
use super::state::StreamRef;
use super::world::{Answer, Output, PendingCall};
use super::{CallResult, Called, Host};
use crate::abi::{CallId, Callback, ContextId, ExchangeId, LogLevel};
use crate::message::{Direction, Headers, Part};
use crate::trace::{CallAnswer, Event, HttpCall};
use bytes::Bytes;
use std::sync::Arc;

/// The variable by which a plugin asks for the request's body (3.2).
const REQUEST_BODY: &[u8] = b"wasm_process_req_body";

impl Host {
    /// A piece comes in.
    pub(super) fn phase_arrives(&mut self, id: ExchangeId, direction: Direction, part: Part) {
        match direction {
            Direction::Request => self.request_arrives(id, part),
            Direction::Response => self.response_arrives(id, part),
        }
    }

    fn request_arrives(&mut self, id: ExchangeId, part: Part) {
        let Some(e) = self.ex_mut(id) else { return };
        match part {
            Part::Headers { headers, end_of_stream } => {
                e.phases.target = headers.get(b":path").cloned().unwrap_or_default();
                e.request.headers = headers;
                e.request.arrived = true;
                e.request.complete_in = end_of_stream;
            }
            Part::Data { bytes, end_of_stream } => {
                e.request.body_bytes += bytes.len() as u64;
                e.request.complete_in = end_of_stream;
                if e.phases.streams {
                    self.emit(id, Direction::Request, Part::Data { bytes, end_of_stream });
                    return;
                }
                e.phases.body.extend_from_slice(&bytes);
                if e.phases.body.len() > self.world.buffer_limit {
                    self.respond(id, 413, Bytes::new());
                    return;
                }
            }
            // nginx does not pass them on.
            Part::Trailers(_) => {
                e.request.complete_in = true;
                if e.phases.streams {
                    let end = Part::Data { bytes: Bytes::new(), end_of_stream: true };
                    self.emit(id, Direction::Request, end);
                    return;
                }
            }
            // nginx's HTTP/2 knows no METADATA frames.
            Part::Metadata(_) | Part::Reset => return,
        }
        self.run_request(id);
    }

    /// Runs the plugins until one of them has to wait, or the request is over.
    fn run_request(&mut self, id: ExchangeId) {
        loop {
            let stream_after = self.world.stream_after;
            let Some(e) = self.ex_mut(id) else { return };
            if e.state != ExchangeState::Open || e.request_closed {
                return;
            }
            let complete = e.request.complete_in;
            let filter = e.phases.filter;
            let passed_all = filter >= e.filters.len();
            let streams =
                passed_all && (e.phases.passes_at_once || stream_after.is_some_and(|most| e.phases.body.len() > most));
            match e.phases.waits_for {
                Some(Awaited::Call) => return,
                Some(Awaited::Body) if !complete && !streams => return,
                Some(Awaited::Body) | None => e.phases.waits_for = None,
            }
            if !complete && !streams && (passed_all || e.phases.step == Step::Body) {
                e.phases.waits_for = Some(Awaited::Body);
                return;
            }
            let step = e.phases.step;
            let goes_on = match step {
                _ if passed_all => {
                    self.pass_on(id, complete);
                    false
                }
                Step::Headers => self.request_headers(id, filter),
                Step::AfterHeaders if self.take_flag(id, REQUEST_BODY) => self.step(id, Step::Body),
                Step::Body => self.request_body(id, filter),
                Step::AfterHeaders | Step::AfterBody => {
                    if let Some(e) = self.ex_mut(id) {
                        e.phases.filter += 1;
                    }
                    self.step(id, Step::Headers)
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    fn step(&mut self, id: ExchangeId, step: Step) -> bool {
        self.ex_mut(id).map(|e| e.phases.step = step).is_some()
    }

    fn request_headers(&mut self, id: ExchangeId, filter: usize) -> bool {
        if !self.plugin_context(id, filter) {
            self.exit_503(id, filter);
            return false;
        }
        let called = self.phase_call(id, filter, Callback::OnRequestHeaders, &[0, 1]);
        self.after_request_callback(id, filter, "proxy_on_http_request_headers", called)
    }

    /// All of it in one call; the callback runs without a body, too (3.2).
    fn request_body(&mut self, id: ExchangeId, filter: usize) -> bool {
        let Some(e) = self.ex_mut(id) else { return false };
        let body = e.phases.body.clone().freeze();
        let size = body.len() as u32;
        e.phases.shown = Some(body);
        let called = self.phase_call(id, filter, Callback::OnRequestBody, &[size, 1]);
        if let Some(e) = self.ex_mut(id) {
            e.phases.shown = None;
        }
        self.after_request_callback(id, filter, "proxy_on_http_request_body", called)
    }

    /// What becomes of the request after a callback (3.1): a call goes before everything, then a trap, then an
    /// answer, and the action only says whether there is a call, which there is not.
    fn after_request_callback(&mut self, id: ExchangeId, filter: usize, ran: &str, called: Called) -> bool {
        let Some(e) = self.ex_mut(id) else { return false };
        let (call, status) = (e.phases.call.take(), e.phases.status.take());
        if e.state != ExchangeState::Open {
            return false;
        }
        if let Some(call) = call {
            self.make_call(id, filter, &call);
            return false;
        }
        let reply = e.phases.reply.clone();
        let action = called.code();
        let next = match e.phases.step {
            Step::Headers | Step::AfterHeaders => Step::AfterHeaders,
            Step::Body | Step::AfterBody => Step::AfterBody,
        };
        match (action, status.filter(|status| *status as i32 >= 100)) {
            (..0, _) => {
                self.plugin_failed(id, filter, ran);
                self.exit_503(id, filter);
            }
            (_, Some(status)) => self.respond(id, status, reply),
            (0, None) => return self.step(id, next),
            (1, None) => self.crash(
                "pause-without-call",
                "a callback of the request returned Pause and had asked for no call and no answer: APISIX looks for the \
                 call that is to be made and finds none; return Continue, or make a call or answer before you pause",
            ),
            (2..100, None) => self.crash(
                "unknown-action-loops",
                format!("a callback of the request returned {action}: APISIX never leaves the loop that looks at it"),
            ),
            // It is taken for the status of an answer.
            (_, None) => self.respond(id, action as u32, Bytes::new()),
        }
        false
    }

    /// Carries a call out. The request waits for it whatever the callback returned.
    fn make_call(&mut self, id: ExchangeId, filter: usize, registered: &Registered) {
        if registered.without_headers {
            self.crash(
                "call-without-headers",
                "a call without a single byte of headers: APISIX reads the header map at address 0; give at least an \
                 empty map, or better :method, :path and :authority",
            );
            return;
        }
        let Some(entry) = self.ex(id).and_then(|e| e.filters.get(filter)) else { return };
        let (vm, plugin) = (entry.vm, entry.plugin);
        let Some(root) = self.plugins.get(plugin.0).and_then(|p| p.root) else { return };
        let call = with_slash(&registered.call);
        let headers: Headers = call.headers.iter().cloned().collect();
        let method = headers.get(b":method").map_or("GET".into(), |method| String::from_utf8_lossy(method));
        let timeout = call.timeout_ms;
        let line = format!(
            "send http request to {}, method: {method}, timeout in ms: {timeout}",
            uri(&call.upstream, &headers)
        );
        self.world.log(LogLevel::Info, line);
        self.world.call_count = self.world.call_count.wrapping_add(1);
        let call_id = CallId(self.world.call_count);
        let token = call.id.0;
        self.world.calls.insert(call_id, PendingCall { vm, root, plugin, token, is_head: false, exchange: Some(id) });
        self.world.outputs.push_back(Output::HttpCall { call: call_id, plugin, request: call });
        if let Some(e) = self.ex_mut(id) {
            e.phases.waits_for = Some(Awaited::Call);
        }
    }

    /// The answer to a call, for which the request has waited (4.3).
    pub(super) fn phase_answered(&mut self, id: ExchangeId, pending: &PendingCall, result: CallResult) {
        let (vm, plugin, token, root) = (pending.vm, pending.plugin, pending.token, pending.root);
        self.world.about = Some(id);
        let Some(e) = self.ex_mut(id) else { return };
        let filter = e.phases.filter;
        e.phases.waits_for = None;
        let answer = match result {
            CallResult::Response { headers, body, .. } => {
                Ok(Answer { headers: status_last(headers), body, trailers: Headers::new() })
            }
            CallResult::Refused => Err("connection refused"),
            CallResult::TimedOut => Err("timeout"),
            CallResult::ResetBeforeResponse | CallResult::ResetInResponse => Err("closed"),
            CallResult::Garbage => Err("invalid response"),
        };
        self.world.recorder.push(|| {
            let answer = match &answer {
                Ok(answer) => super::calls::answered(answer),
                Err(reason) => CallAnswer::Failed((*reason).to_owned()),
            };
            Event::CallAnswered { call: CallId(token), plugin, answer }
        });
        if let Err(reason) = &answer {
            self.world.log(LogLevel::Error, format!("http call failed: {reason}"));
        }
        let line = format!("run http callback callout id: {token}, plugin ctx id: {}", root.0);
        self.world.log(LogLevel::Info, line);
        let (count, size) = answer.as_ref().map_or((0, 0), |a| (a.headers.len() as u32, a.body.len() as u32));
        self.world.answer = answer.ok();
        let stream = StreamRef { exchange: id, filter };
        let args = [token, count, size, 0];
        let called = self.call_for(stream, vm, plugin, Callback::OnHttpCallResponse, root, &args);
        self.world.answer = None;
        if self.after_request_callback(id, filter, "proxy_on_http_call_response", called) {
            self.run_request(id);
        }
        self.finish(id);
        self.world.about = None;
    }

    /// Every plugin has had its turn: the request goes upstream, with the body as it came (3.2). One that is not
    /// complete goes on as it comes; nginx would keep it in a file until then, which nobody sees but by its length.
    fn pass_on(&mut self, id: ExchangeId, complete: bool) {
        let Some(e) = self.ex_mut(id) else { return };
        let body = std::mem::take(&mut e.phases.body).freeze();
        if let Some(path) = e.phases.rewritten.take() {
            let target = rewritten::target(&path, &e.phases.target);
            e.request.headers.replace(":path", target);
        }
        let headers = &mut e.request.headers;
        // nginx has all of the body by now and says how long it is.
        if complete && !body.is_empty() && headers.get(b"content-length").is_none() {
            headers.append("content-length", body.len().to_string());
        }
        e.phases.streams = !complete;
        self.emit_headers(id, Direction::Request, complete && body.is_empty());
        if !body.is_empty() && self.flows(id, Direction::Request) {
            self.emit(id, Direction::Request, Part::Data { bytes: body, end_of_stream: complete });
        }
    }

    /// Calls a callback of a filter's stream context, which is made if there is none.
    fn phase_call(&mut self, id: ExchangeId, filter: usize, callback: Callback, args: &[u32]) -> Called {
        let Some(context) = self.http_context(id, filter) else { return Called::Trapped };
        let Some(entry) = self.ex(id).and_then(|e| e.filters.get(filter)) else { return Called::Skipped };
        let (vm, plugin) = (entry.vm, entry.plugin);
        self.call_for(StreamRef { exchange: id, filter }, vm, plugin, callback, context, args)
    }

    /// Enters the guest while its hostcalls can reach a request.
    fn call_for(
        &mut self,
        stream: StreamRef,
        vm: crate::abi::VmIndex,
        plugin: crate::abi::PluginIndex,
        callback: Callback,
        context: ContextId,
        args: &[u32],
    ) -> Called {
        self.bind(vm, Some(stream));
        let called = self.call(vm, plugin, callback, context, args);
        self.bind(vm, None);
        called
    }

    fn bind(&mut self, vm: crate::abi::VmIndex, stream: Option<StreamRef>) {
        if let Some(machine) = self.vms.get_mut(vm.0) {
            machine.state_mut().request = stream;
        }
    }

    /// Whether a variable has been set that asks for something; asking for it is over then.
    fn take_flag(&mut self, id: ExchangeId, name: &[u8]) -> bool {
        let Some(e) = self.ex_mut(id) else { return false };
        let Some((_, value)) = e.properties.iter_mut().find(|(key, _)| key == name) else { return false };
        !std::mem::take(value).is_empty()
    }

    fn plugin_failed(&mut self, id: ExchangeId, filter: usize, ran: &str) {
        let name = self.plugin_name(id, filter);
        self.world.log(LogLevel::Error, format!("{name}: failed to run wasm plugin: failed to run {ran}"));
    }

    fn exit_503(&mut self, id: ExchangeId, filter: usize) {
        let name = self.plugin_name(id, filter);
        self.world.log(LogLevel::Warn, format!("{name} exits with http status code 503"));
        self.world.recorder.push(|| {
            let details = "the plugin failed".to_owned();
            Event::HostReply { exchange: id, status: 503, details }
        });
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).and_then(|f| self.plugins.get(f.plugin.0));
        let body = plugin.and_then(|plugin| plugin.config.error_response.clone()).unwrap_or_default();
        self.respond(id, 503, body);
    }

    fn plugin_name(&self, id: ExchangeId, filter: usize) -> String {
        let plugin = self.ex(id).and_then(|e| e.filters.get(filter)).map(|f| f.plugin);
        plugin.and_then(|p| self.plugins.get(p.0)).map_or_else(String::new, |p| p.config.name.clone())
    }
}

/// A path that does not begin with a slash gets one (4.3).
fn with_slash(call: &Arc<HttpCall>) -> Arc<HttpCall> {
    let lacks = |name: &[u8], value: &[u8]| name == b":path" && !value.is_empty() && !value.starts_with(b"/");
    if !call.headers.iter().any(|(name, value)| lacks(name, value)) {
        return call.clone();
    }
    let mut call = HttpCall::clone(call);
    for (name, value) in &mut call.headers {
        if lacks(name, value) {
            *value = [b"/", &value[..]].concat().into();
        }
    }
    Arc::new(call)
}

/// Where a call goes, as the host logs it.
fn uri(upstream: &[u8], headers: &Headers) -> String {
    let text = |name: &[u8]| headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let scheme = text(b":scheme").unwrap_or_else(|| "http".to_owned());
    let path = text(b":path").unwrap_or_default();
    format!("{scheme}://{}{path}", String::from_utf8_lossy(upstream))
}

/// The headers of an answer, with the status behind them (4.1).
fn status_last(headers: Headers) -> Headers {
    let (mut status, mut rest): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| name.starts_with(b":"));
    rest.append(&mut status);
    rest.into_iter().collect()
}
