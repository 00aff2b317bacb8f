//! Buffers: bodies, configurations, and the bodies of call responses.

mod one_slot;

use super::row::{Cx, hostcall_rows};
use crate::abi::{BufferType, Callback, Status};
use crate::host::exchange::Exchange;
use crate::host::grpc::Readable;
use crate::message::Direction;
use crate::trace::{BufferChange, Effect, Entry};
use bytes::{Bytes, BytesMut};

hostcall_rows! {
    /// Bytes of a buffer, cut to what is there.
    proxy_get_buffer_bytes [V0_1_0 V0_2_0 V0_2_1] { word buffer_type: BufferType, word start: u32, word max_size: u32 } -> { bytes data } = get;
    /// The length of a buffer, and flags that are always 0.
    proxy_get_buffer_status [V0_1_0 V0_2_0 V0_2_1] { word buffer_type: BufferType } -> { word length, word flags } = status;
    /// Replaces, prepends or appends bytes.
    proxy_set_buffer_bytes [V0_1_0 V0_2_0 V0_2_1] { word buffer_type: BufferType, word start: u32, word size: u32, slice data } -> {} = set;
    /// ABI 0.1.0: the configuration that the running callback is about.
    proxy_get_configuration [V0_1_0] {} -> { bytes data } = get_configuration;
}

/// The content of a buffer.
enum Content {
    /// A copy by reference count.
    Shared(Bytes),
    /// A body, or a connection's data, that the filter can see.
    Body(Direction),
    /// The gRPC message that has come.
    GrpcMessage,
    /// A body buffer outside its callback.
    ClosedBody,
}

fn find(cx: &Cx, buffer: BufferType) -> Result<Content, Status> {
    let state = &cx.state;
    let entry = state.current.entry;
    match buffer {
        BufferType::HttpRequestBody => Ok(body(cx, Direction::Request)),
        BufferType::HttpResponseBody => Ok(body(cx, Direction::Response)),
        BufferType::HttpCallResponseBody => match &state.world.answer {
            Some(answer) => Ok(Content::Shared(answer.body.clone())),
            None => Err(Status::NotFound),
        },
        BufferType::VmConfiguration => {
            if state.world.profile.vm_configuration_always || entry == Entry::Callback(Callback::OnVmStart) {
                Ok(Content::Shared(state.vm_config.clone()))
            } else {
                Err(Status::NotFound)
            }
        }
        BufferType::PluginConfiguration => {
            let root = state.acting_root().and_then(|root| state.roots.get(&root));
            match root {
                // Envoy 1.40: also while the root context is created, but not in on_vm_start.
                Some(root)
                    if entry == Entry::Callback(Callback::OnConfigure)
                        || (state.world.profile.configuration_in_context_create
                            && entry == Entry::Callback(Callback::OnContextCreate)
                            && state.acting_stream().is_none()) =>
                {
                    Ok(Content::Shared(root.config.clone()))
                }
                _ => Err(Status::NotFound),
            }
        }
        BufferType::DownstreamData => Ok(data(cx, Direction::Request)),
        BufferType::UpstreamData => Ok(data(cx, Direction::Response)),
        BufferType::GrpcCallMessage => match state.world.grpc_readable {
            Some(Readable::Message(_)) => Ok(Content::GrpcMessage),
            _ => Ok(Content::ClosedBody),
        },
        // Envoy 1.40: outside of it there is nothing to be seen.
        BufferType::ForeignFunctionArguments => match &state.world.foreign_arguments {
            Some(arguments) => Ok(Content::Shared(arguments.clone())),
            None => Ok(Content::ClosedBody),
        },
    }
}

fn body(cx: &Cx, direction: Direction) -> Content {
    held(cx, direction, false)
}

fn data(cx: &Cx, direction: Direction) -> Content {
    held(cx, direction, true)
}

/// What the filter can see of a message's body, or of a connection's data.
fn held(cx: &Cx, direction: Direction, of_tcp: bool) -> Content {
    let exchange = cx.state.acting_stream().and_then(|stream| cx.state.world.exchanges.get(&stream.exchange));
    let visible = |exchange: &Exchange| {
        let stage = cx.state.acting_stream().and_then(|stream| exchange.stage(stream.filter, direction));
        exchange.tcp.is_some() == of_tcp && stage.is_some_and(|stage| stage.buffer_visible)
    };
    match exchange.is_some_and(|exchange| visible(exchange)) {
        true => Content::Body(direction),
        false => Content::ClosedBody,
    }
}

/// The bytes of [`Content::Body`].
fn bytes<'a>(cx: &'a mut Cx, direction: Direction) -> Option<&'a mut BytesMut> {
    let stream = cx.state.acting_stream()?;
    let exchange = cx.state.world.exchanges.get_mut(&stream.exchange)?;
    if exchange.tcp.is_none() {
        return Some(&mut exchange.stage_mut(stream.filter, direction)?.buffer);
    }
    let tcp = exchange.tcp.as_mut()?;
    Some(match direction {
        Direction::Request => &mut tcp.downstream_data.buffer,
        Direction::Response => &mut tcp.upstream_data.buffer,
    })
}

fn get(cx: &mut Cx, buffer: BufferType, start: u32, max_size: u32) -> Result<Bytes, Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return one_slot::get(cx, buffer, start, max_size);
    }
    let content = find(cx, buffer)?;
    if cx.state.world.profile.checks_buffer_ranges && start.checked_add(max_size).is_none() {
        return Err(Status::BadArgument);
    }
    let content = match content {
        Content::Shared(bytes) => bytes,
        Content::Body(direction) => {
            let Some(body) = bytes(cx, direction) else { return Ok(Bytes::new()) };
            let (from, to) = clamp(body.len(), start, max_size);
            return Ok(Bytes::copy_from_slice(body.get(from..to).unwrap_or_default()));
        }
        Content::GrpcMessage => {
            let Some(message) = grpc_message(cx) else { return Ok(Bytes::new()) };
            let (from, to) = clamp(message.len(), start, max_size);
            return Ok(Bytes::copy_from_slice(message.get(from..to).unwrap_or_default()));
        }
        Content::ClosedBody => return cx.state.world.profile.closed_body.map(|()| Bytes::new()),
    };
    let (from, to) = clamp(content.len(), start, max_size);
    Ok(content.slice(from..to))
}

/// The part of a buffer that start and size name; past its end there is nothing. Sums are taken in 64 bits, as in
/// Envoy, so an overflow of 32 bits is never seen (abi.md 3.3).
fn clamp(length: usize, start: u32, size: u32) -> (usize, usize) {
    let from = (start as usize).min(length);
    let to = (start as usize).saturating_add(size as usize).min(length);
    (from, to)
}

fn status(cx: &mut Cx, buffer: BufferType) -> Result<(u32, u32), Status> {
    let length = match find(cx, buffer)? {
        Content::Shared(bytes) => bytes.len(),
        Content::Body(direction) => bytes(cx, direction).map_or(0, |body| body.len()),
        Content::GrpcMessage => grpc_message(cx).map_or(0, |message| message.len()),
        Content::ClosedBody => match cx.state.world.profile.closed_body {
            Ok(()) => 0,
            Err(status) => return Err(status),
        },
    };
    Ok((length as u32, 0))
}

/// The gRPC message that the running callback is about.
fn grpc_message<'a>(cx: &'a mut Cx) -> Option<&'a mut BytesMut> {
    match cx.state.world.grpc_readable.as_mut()? {
        Readable::Message(message) => Some(message),
        Readable::InitialMetadata(_) | Readable::TrailingMetadata(_) => None,
    }
}

fn set(cx: &mut Cx, buffer: BufferType, start: u32, size: u32, data: &[u8]) -> Result<(), Status> {
    let profile = cx.state.world.profile;
    let target = match find(cx, buffer)? {
        Content::Body(direction) => bytes(cx, direction),
        // Envoy 1.40 lets it be changed, for whatever reads it in the same callback.
        Content::GrpcMessage if profile.grpc.as_ref().is_some_and(|grpc| grpc.message_writable) => grpc_message(cx),
        Content::Shared(_) | Content::GrpcMessage => return Err(profile.readonly_buffer),
        Content::ClosedBody => return Err(profile.closed_body_write),
    };
    let Some(target) = target else { return Err(Status::NotFound) };
    // What lies behind the splice is moved.
    let moved = target.len().saturating_sub(start as usize);
    splice(target, start, size, data, profile.splice_in_the_middle)?;
    let length = target.len();
    cx.work(moved);
    cx.effect(|| Effect::Buffer {
        buffer,
        change: BufferChange { start, size, data: Bytes::copy_from_slice(data), length },
    });
    Ok(())
}

/// The one rule of `proxy_set_buffer_bytes` (abi.md 3.3): at the start replace `size` bytes, at or past the end
/// append, in between replace, or refuse as the host does.
pub fn splice(
    buffer: &mut BytesMut,
    start: u32,
    size: u32,
    data: &[u8],
    in_the_middle: Option<Status>,
) -> Result<(), Status> {
    let start = start as usize;
    if start >= buffer.len() && !(start == 0 && buffer.is_empty()) {
        buffer.extend_from_slice(data);
        return Ok(());
    }
    if start > 0
        && let Some(status) = in_the_middle
    {
        return Err(status);
    }
    let end = start.saturating_add(size as usize).min(buffer.len());
    if end == buffer.len() {
        buffer.truncate(start);
        buffer.extend_from_slice(data);
        return Ok(());
    }
    let tail = buffer.split_off(end);
    buffer.truncate(start);
    buffer.extend_from_slice(data);
    buffer.unsplit(tail);
    Ok(())
}

fn get_configuration(cx: &mut Cx) -> Result<Bytes, Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        let found = one_slot::configuration(cx);
        return if found.is_empty() { Err(Status::NotFound) } else { Ok(found) };
    }
    // Envoy 1.40: the plugin's in on_configure, the VM's anywhere else.
    let root = cx.state.acting_root().and_then(|root| cx.state.roots.get(&root));
    match (cx.state.current.entry, root) {
        (Entry::Callback(Callback::OnConfigure), Some(root)) => Ok(root.config.clone()),
        _ => Ok(cx.state.vm_config.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The specification's rule, written the slow way.
        #[test]
        fn splice_is_a_vec_splice(old: Vec<u8>, start in 0u32..40, size in 0u32..40, new: Vec<u8>) {
            let mut buffer = BytesMut::from(&old[..]);
            splice(&mut buffer, start, size, &new, None).expect("nothing is refused");
            let from = (start as usize).min(old.len());
            let to = (from + size as usize).min(old.len());
            let mut expected = old.clone();
            expected.splice(from..to, new.iter().copied());
            prop_assert_eq!(&buffer[..], &expected[..]);
        }

        #[test]
        fn envoy_refuses_the_middle_and_changes_nothing(old in proptest::collection::vec(any::<u8>(), 2..20), at in 1u32..19) {
            let at = at % (old.len() as u32 - 1) + 1;
            let mut buffer = BytesMut::from(&old[..]);
            if (at as usize) < old.len() {
                let result = splice(&mut buffer, at, 1, b"x", Some(Status::BadArgument));
                prop_assert_eq!(result, Err(Status::BadArgument));
                prop_assert_eq!(&buffer[..], &old[..]);
            }
        }
    }
}
