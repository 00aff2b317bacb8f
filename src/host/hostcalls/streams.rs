//! What steers a stream: continue, close, local response. All of it takes hold after the guest has returned.

mod of_request;

use super::fields::decoded;
use super::row::{Cx, PairsArg, hostcall_rows};
use crate::abi::{Callback, Status, StreamType};
use crate::host::exchange::Exchange;
use crate::host::state::StreamRef;
use crate::host::world::{Deferred, DeferredAction};
use crate::message::Direction;
use crate::trace::{Effect, Entry, LocalResponse};
use bytes::Bytes;
use std::sync::Arc;

hostcall_rows! {
    /// Resumes a stream that was paused.
    proxy_continue_stream [V0_2_0 V0_2_1] { word stream_type: StreamType } -> {} = continue_stream;
    /// Breaks a stream off.
    proxy_close_stream [V0_2_0 V0_2_1] { word stream_type: StreamType } -> {} = close_stream;
    /// ABI 0.1.0: resumes the request.
    proxy_continue_request [V0_1_0] (may_return_nothing) {} -> {} = continue_request;
    /// ABI 0.1.0: resumes the response.
    proxy_continue_response [V0_1_0] (may_return_nothing) {} -> {} = continue_response;
    /// ABI 0.1.0: the route is looked up again.
    proxy_clear_route_cache [V0_1_0] (may_return_nothing) {} -> {} = clear_route_cache;
    /// Answers the request.
    proxy_send_local_response [V0_1_0 V0_2_0 V0_2_1] {
        word status_code: u32, slice status_code_details, slice body, pairs headers, word grpc_status: i32
    } -> {} = send_local_response;
    /// The same under the name that drafts of the specification gave it.
    proxy_send_http_response [] {
        word status_code: u32, slice status_code_details, slice body, pairs headers, word grpc_status: i32
    } -> {} = send_local_response;
    /// Code and message of the last call that was answered.
    proxy_get_status [V0_1_0 V0_2_0 V0_2_1] {} -> { word code, bytes message } = get_status;
}

fn continue_stream(cx: &mut Cx, stream: StreamType) -> Result<(), Status> {
    if stream == StreamType::Upstream && cx.state.world.profile.continue_upstream != Status::Ok {
        return Err(cx.state.world.profile.continue_upstream);
    }
    if let Some(direction) = direction(cx, stream) {
        defer(cx, DeferredAction::Continue(direction));
    }
    close_request_maps(cx);
    cx.effect(|| Effect::ContinueStream(stream));
    Ok(())
}

/// The direction that a stream type names in the stream that is acted on: a TCP stream has no request, and an HTTP
/// stream no downstream (Envoy 1.40: OK, and nothing happens).
fn direction(cx: &Cx, stream: StreamType) -> Option<Direction> {
    let is_tcp = acting_exchange(cx).is_some_and(|exchange| exchange.tcp.is_some());
    match (stream, is_tcp) {
        (StreamType::HttpRequest, false) | (StreamType::Downstream, true) => Some(Direction::Request),
        (StreamType::HttpResponse, false) | (StreamType::Upstream, true) => Some(Direction::Response),
        _ => None,
    }
}

fn acting_exchange<'a>(cx: &'a Cx) -> Option<&'a Exchange> {
    cx.state.world.exchanges.get(&cx.state.acting_stream()?.exchange).map(|e| &**e)
}

/// Envoy 1.40: continuing either direction forgets the *request's* maps at once (seen with both), so that they can't
/// be reached even in the rest of the callback. A body that is held can be.
fn close_request_maps(cx: &mut Cx) {
    if !cx.state.world.profile.continue_closes_request_maps {
        return;
    }
    let Some(stream) = cx.state.acting_stream() else { return };
    let Some(exchange) = cx.state.world.exchanges.get_mut(&stream.exchange).filter(|e| e.tcp.is_none()) else { return };
    if let Some(stage) = exchange.stage_mut(stream.filter, Direction::Request) {
        stage.headers_open = false;
        stage.trailers_open = false;
    }
}

fn close_stream(cx: &mut Cx, stream: StreamType) -> Result<(), Status> {
    if let Some(direction) = direction(cx, stream) {
        defer(cx, DeferredAction::Close(direction));
    }
    cx.effect(|| Effect::CloseStream(stream));
    Ok(())
}

fn continue_request(cx: &mut Cx) -> Result<(), Status> {
    continue_stream(cx, StreamType::HttpRequest)
}

fn continue_response(cx: &mut Cx) -> Result<(), Status> {
    continue_stream(cx, StreamType::HttpResponse)
}

/// There are no routes here.
fn clear_route_cache(_: &mut Cx) -> Result<(), Status> {
    Ok(())
}

fn send_local_response(
    cx: &mut Cx,
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: PairsArg,
    grpc_status: i32,
) -> Result<(), Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        let headers = decoded(cx, headers)?;
        let (details, body) = (Bytes::copy_from_slice(details), Bytes::copy_from_slice(body));
        return of_request::respond(cx, LocalResponse { status, details, body, headers, grpc_status });
    }
    let headers = decoded(cx, headers)?;
    let (first, last) = cx.state.world.profile.local_statuses;
    if status < first || status > last {
        return Err(Status::BadArgument);
    }
    let response = Arc::new(LocalResponse {
        status,
        details: Bytes::copy_from_slice(details),
        body: Bytes::copy_from_slice(body),
        headers,
        grpc_status,
    });
    if acting_exchange(cx).is_some_and(|exchange| exchange.tcp.is_some()) {
        cx.state.world.finding(
            "local-response-on-tcp",
            Some(cx.state.current.plugin),
            "a local response on a TCP stream: Envoy 1.40 says OK and does nothing; close the stream with \
             proxy_close_stream, or write into the upstream's data",
        );
    } else if let Some(stream) = cx.state.acting_stream() {
        let current = cx.state.current;
        if matches!(current.entry, Entry::Callback(Callback::OnLog | Callback::OnDone | Callback::OnDelete)) {
            cx.state.world.finding(
                "local-response-in-log",
                Some(current.plugin),
                "a local response from on_log, on_done or on_delete: Envoy 1.40 calls on_log again for it and crashes; \
                 don't",
            );
            if cx.state.world.profile.local_response_at_end_crashes {
                cx.state.world.crash_after(
                    "local-response-at-end",
                    "a local response from on_log, on_done or on_delete: Envoy 1.40 calls on_log for it again, and again, \
                     until it dies",
                );
            }
        }
        let world = &mut cx.state.world;
        let filter = world.exchanges.get_mut(&stream.exchange).and_then(|e| e.filters.get_mut(stream.filter));
        let second = filter.is_some_and(|filter| std::mem::replace(&mut filter.replied, true));
        if second {
            world.finding(
                "double-local-response",
                Some(current.plugin),
                "a second local response of one stream: Envoy 1.40 sends the first one if both come from the stream's \
                 own callback, else the second; older ones hang or crash (envoy#28826), APISIX sends the last one, Kong \
                 traps; send one and return",
            );
            if world.profile.second_local_response != Status::Ok {
                return Err(world.profile.second_local_response);
            }
        }
        let of_own_stream = cx.state.contexts.get(&current.context).is_some_and(|context| context.stream.is_some());
        if !(second && of_own_stream && take_over_details(cx, stream, &response)) {
            defer(cx, DeferredAction::LocalResponse(response.clone()));
        }
    }
    cx.effect(|| Effect::LocalResponse(response));
    Ok(())
}

/// Envoy 1.40: of two responses from one callback of the stream the first is sent, under the details of the second.
fn take_over_details(cx: &mut Cx, stream: StreamRef, second: &LocalResponse) -> bool {
    for deferred in &mut cx.state.world.deferred {
        match &mut deferred.action {
            DeferredAction::LocalResponse(first) if deferred.exchange == stream.exchange => {
                Arc::make_mut(first).details = second.details.clone();
                return true;
            }
            _ => {}
        }
    }
    false
}

fn get_status(cx: &mut Cx) -> Result<(u32, Bytes), Status> {
    let root = cx.state.acting_root().and_then(|root| cx.state.roots.get(&root));
    Ok(root.map_or((0, Bytes::new()), |root| root.last_status.clone()))
}

fn defer(cx: &mut Cx, action: DeferredAction) {
    if let Some(stream) = cx.state.acting_stream() {
        cx.state.world.deferred.push_back(Deferred { exchange: stream.exchange, filter: stream.filter, action });
    }
}
