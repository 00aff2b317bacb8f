//! gRPC calls and streams. The hostcalls return ids; the answers come through `proxy_on_grpc_*`.
//!
//! The two low bits of an id tell a call from a stream, and both from HTTP calls; each kind has a counter of its own
//! (Envoy 1.40). An id out pointer that is bad loses the id, not the call.

use super::fields::decoded;
use super::row::{Cx, PairsArg, hostcall_rows};
use crate::abi::{CallId, ContextId, Status};
use crate::host::grpc::{AnswerState, Closed, Kind, Pending, Service, head, is_grpc, read_service};
use crate::host::profile::Grpc;
use crate::host::wire::{Refusal, unwritable};
use crate::host::world::{Output, Posted};
use crate::trace::{Effect, GrpcCall, GrpcKind};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

hostcall_rows! {
    /// Starts a unary call.
    proxy_grpc_call [V0_1_0 V0_2_0 V0_2_1] {
        slice upstream_name, slice service_name, slice method_name, pairs initial_metadata, slice message,
        word timeout_milliseconds: u32
    } -> { word call_id } = call;
    /// Opens a stream.
    proxy_grpc_stream [V0_1_0 V0_2_0 V0_2_1] {
        slice upstream_name, slice service_name, slice method_name, pairs initial_metadata
    } -> { word stream_id } = stream;
    /// Sends a message on a stream.
    proxy_grpc_send [V0_1_0 V0_2_0 V0_2_1] {
        word stream_id: CallId, slice message, word end_of_stream: u32
    } -> {} = send;
    /// Breaks a call or stream off.
    proxy_grpc_cancel [V0_1_0 V0_2_0 V0_2_1] { word call_id: CallId } -> {} = cancel;
    /// Breaks a call off, or says that nothing more will be sent on a stream.
    proxy_grpc_close [V0_1_0 V0_2_0 V0_2_1] { word call_id: CallId } -> {} = close;
}

/// gRPC's status for a service that can't be reached.
const UNAVAILABLE: u32 = 14;

fn call(
    cx: &mut Cx,
    upstream: &[u8],
    service: &[u8],
    method: &[u8],
    metadata: PairsArg,
    message: &[u8],
    timeout_ms: u32,
) -> Result<u32, Status> {
    let kind = GrpcKind::Unary { message: Bytes::copy_from_slice(message), timeout_ms };
    start(cx, upstream, service, method, metadata, kind)
}

fn stream(cx: &mut Cx, upstream: &[u8], service: &[u8], method: &[u8], metadata: PairsArg) -> Result<u32, Status> {
    start(cx, upstream, service, method, metadata, GrpcKind::Stream)
}

fn start(
    cx: &mut Cx,
    upstream: &[u8],
    service: &[u8],
    method: &[u8],
    metadata: PairsArg,
    kind: GrpcKind,
) -> Result<u32, Status> {
    let grpc = profile(cx)?;
    let metadata = decoded(cx, metadata)?;
    let root = cx.state.acting_root().ok_or(Status::BadArgument)?;
    let read = if grpc.service_may_be_message { read_service(upstream) } else { Service::Cluster(upstream.to_vec()) };
    let (name, is_message) = match read {
        Service::Cluster(name) => (Bytes::from(name), false),
        Service::Message(name) => (Bytes::from(name), true),
        Service::Unset => return Err(unset(cx, upstream)),
    };
    if cx.state.world.knows_upstream(&name) && !name.is_empty() {
        return begin(cx, grpc, root, name, service, method, metadata, kind);
    }
    if !is_message {
        return Err(grpc.unknown_service);
    }
    // Envoy 1.40: the message is good, so an id is taken; the guest does not get it, and still hears of the end.
    let token = next_token(cx, grpc, &kind);
    let (vm, plugin) = (cx.state.vm, cx.state.current.plugin);
    let message = "Cluster not available".to_owned();
    let status = UNAVAILABLE;
    cx.state.world.posted.push_back(Posted::GrpcClosed { vm, root, plugin, token, status, message });
    Err(Status::InternalFailure)
}

#[allow(clippy::too_many_arguments)]
fn begin(
    cx: &mut Cx,
    grpc: &'static Grpc,
    root: ContextId,
    upstream: Bytes,
    service: &[u8],
    method: &[u8],
    metadata: Vec<crate::abi::pairs::Pair>,
    kind: GrpcKind,
) -> Result<u32, Status> {
    let token = next_token(cx, grpc, &kind);
    let (vm, plugin) = (cx.state.vm, cx.state.current.plugin);
    let world = &mut cx.state.world;
    world.call_count = world.call_count.wrapping_add(1);
    let call = CallId(world.call_count);
    let pending = Pending {
        vm,
        root,
        plugin,
        token,
        kind: match kind {
            GrpcKind::Unary { .. } => Kind::Unary(None),
            GrpcKind::Stream => Kind::Stream,
        },
        answer: AnswerState::Waiting,
        sent_end: matches!(kind, GrpcKind::Unary { .. }),
        closed_by_guest: false,
        partial: BytesMut::new(),
    };
    world.grpc.insert(call, pending);
    let request = Arc::new(GrpcCall {
        id: CallId(token),
        upstream,
        service: Bytes::copy_from_slice(service),
        method: Bytes::copy_from_slice(method),
        metadata,
        kind,
    });
    let head = head(&request, world.profile);
    if let Some(Refusal { body, details, .. }) = unwritable(&head).filter(|_| world.profile.checks_messages) {
        let is_grpc = is_grpc(&head);
        world.posted.push_back(Posted::GrpcRefused { call, body, details, is_grpc });
        return Ok(token);
    }
    world.outputs.push_back(Output::GrpcCall { call, plugin, request: request.clone(), head });
    cx.effect(|| Effect::GrpcCall(request));
    Ok(token)
}

/// What `cx` can't do on this host at all.
fn profile(cx: &Cx) -> Result<&'static Grpc, Status> {
    cx.state.world.profile.grpc.as_ref().ok_or(Status::Unimplemented)
}

fn next_token(cx: &mut Cx, grpc: &Grpc, kind: &GrpcKind) -> u32 {
    let (count, (first, step)) = match kind {
        GrpcKind::Unary { .. } => (&mut cx.state.grpc_call_count, grpc.call_ids),
        GrpcKind::Stream => (&mut cx.state.grpc_stream_count, grpc.stream_ids),
    };
    let token = first.wrapping_add(count.wrapping_mul(step));
    *count = count.wrapping_add(1);
    token
}

/// A name that Envoy takes for a message without a target.
fn unset(cx: &mut Cx, name: &[u8]) -> Status {
    cx.state.world.crash_after(
        "grpc-service-name",
        format!(
            "Envoy 1.40 crashes on the gRPC service name {:?}: it reads the name as a serialised GrpcService first, \
             these bytes happen to parse, and no target is set; call the cluster by another name, or pass a serialised \
             GrpcService",
            String::from_utf8_lossy(name)
        ),
    );
    Status::InternalFailure
}

fn send(cx: &mut Cx, id: CallId, message: &[u8], end_of_stream: u32) -> Result<(), Status> {
    let grpc = profile(cx)?;
    if kind_of(grpc, id) != Some(Named::Stream) {
        return Err(Status::BadArgument);
    }
    let (vm, root) = (cx.state.vm, cx.state.acting_root().ok_or(Status::BadArgument)?);
    let plugin = cx.state.current.plugin;
    let world = &mut cx.state.world;
    let (call, pending) = world.grpc.find(vm, root, id.0).ok_or(Status::NotFound)?;
    if pending.sent_end || pending.answer == AnswerState::Ended {
        world.finding(
            "grpc-send-after-end",
            Some(plugin),
            "a message was sent on a gRPC stream after its end: Envoy 1.40 says ok and drops it; send before you close, \
             and not after proxy_on_grpc_close",
        );
        return Ok(());
    }
    let end_of_stream = end_of_stream != 0;
    pending.sent_end = end_of_stream;
    let message = Bytes::copy_from_slice(message);
    world.outputs.push_back(Output::GrpcSend { call, message: Some(message.clone()), end_of_stream });
    cx.effect(|| Effect::GrpcSent { id, message: Some(message), end_of_stream });
    Ok(())
}

fn cancel(cx: &mut Cx, id: CallId) -> Result<(), Status> {
    end(cx, id, crate::host::grpc::GrpcCalls::cancel)
}

fn close(cx: &mut Cx, id: CallId) -> Result<(), Status> {
    end(cx, id, crate::host::grpc::GrpcCalls::close)
}

fn end(
    cx: &mut Cx,
    id: CallId,
    how: fn(&mut crate::host::grpc::GrpcCalls, CallId) -> Option<Closed>,
) -> Result<(), Status> {
    let grpc = profile(cx)?;
    kind_of(grpc, id).ok_or(Status::BadArgument)?;
    let (vm, root) = (cx.state.vm, cx.state.acting_root().ok_or(Status::BadArgument)?);
    let world = &mut cx.state.world;
    let (call, _) = world.grpc.find(vm, root, id.0).ok_or(Status::NotFound)?;
    match how(&mut world.grpc, call).ok_or(Status::NotFound)? {
        Closed::Gone { running: false } | Closed::Half { tell: false } => {}
        Closed::Gone { running: true } => {
            world.outputs.push_back(Output::GrpcCancel(call));
            cx.effect(|| Effect::GrpcCancelled(id));
        }
        Closed::Half { tell: true } => {
            world.outputs.push_back(Output::GrpcSend { call, message: None, end_of_stream: true });
            cx.effect(|| Effect::GrpcSent { id, message: None, end_of_stream: true });
        }
    }
    Ok(())
}

/// What an id names, going by its two low bits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Call,
    Stream,
}

fn kind_of(grpc: &Grpc, id: CallId) -> Option<Named> {
    let of = |first: u32| id.0 & 3 == first & 3;
    match (of(grpc.call_ids.0), of(grpc.stream_ids.0)) {
        (true, _) => Some(Named::Call),
        (_, true) => Some(Named::Stream),
        _ => None,
    }
}
