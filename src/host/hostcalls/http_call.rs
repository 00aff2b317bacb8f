//! HTTP calls. The hostcall returns a token; the answer comes through `proxy_on_http_call_response`.

mod to_address;

use super::fields::decoded;
use super::row::{Cx, PairsArg, hostcall_rows};
use crate::abi::{CallId, Status};
use crate::host::world::{Output, PendingCall};
use crate::message::Headers;
use crate::trace::{Effect, HttpCall};
use bytes::Bytes;
use std::sync::Arc;

hostcall_rows! {
    /// Starts an HTTP request to an upstream that the host knows.
    proxy_http_call [V0_1_0 V0_2_0 V0_2_1] {
        slice upstream_name, pairs headers, slice body, pairs trailers, word timeout_milliseconds: u32
    } -> { token call_id } = http_call;
}

fn http_call(
    cx: &mut Cx,
    upstream: &[u8],
    headers: PairsArg,
    body: &[u8],
    trailers: PairsArg,
    timeout_ms: u32,
) -> Result<u32, Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return to_address::register(cx, upstream, headers, body, timeout_ms);
    }
    let headers: Headers = decoded(cx, headers)?.into_iter().collect();
    let trailers = decoded(cx, trailers)?;
    let root = cx.state.acting_root().ok_or(Status::BadArgument)?;
    let plugin = cx.state.current.plugin;
    // abi.md 8.1: negative as a signed number.
    if timeout_ms > i32::MAX as u32 {
        return Err(Status::BadArgument);
    }
    let world = &mut cx.state.world;
    if upstream.is_empty() {
        return Err(Status::BadArgument);
    }
    if !world.knows_upstream(upstream) {
        return Err(Status::BadArgument);
    }
    let has = |name: &[u8]| headers.get(name).is_some();
    // Envoy 1.40: `host` does in place of `:authority`.
    if !has(b":method") || !has(b":path") || !(has(b":authority") || has(b"host")) {
        return Err(Status::BadArgument);
    }
    let is_head = headers.get(b":method").is_some_and(|method| method == "HEAD");
    let (first, step) = world.profile.call_ids;
    let token = first.wrapping_add(cx.state.call_count.wrapping_mul(step));
    cx.state.call_count = cx.state.call_count.wrapping_add(1);
    world.call_count = world.call_count.wrapping_add(1);
    let call_id = CallId(world.call_count);
    let call = Arc::new(HttpCall {
        id: CallId(token),
        upstream: Bytes::copy_from_slice(upstream),
        headers: headers.into_iter().collect(),
        body: Bytes::copy_from_slice(body),
        trailers,
        timeout_ms,
    });
    let vm = cx.state.vm;
    world.calls.insert(call_id, PendingCall { vm, root, plugin, token, is_head, exchange: None });
    world.outputs.push_back(Output::HttpCall { call: call_id, plugin, request: call.clone() });
    cx.effect(|| Effect::HttpCall(call));
    Ok(token)
}
