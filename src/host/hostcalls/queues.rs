//! Shared queues. The owner's `proxy_on_queue_ready` runs once for each message, when nothing else runs.

use super::row::{Cx, hostcall_rows};
use crate::abi::{QueueId, Status};
use crate::host::store::queues::Owner;
use crate::host::world::{Output, Posted};
use crate::trace::Effect;
use bytes::Bytes;

hostcall_rows! {
    /// The queue of this name; the caller becomes its owner.
    proxy_register_shared_queue [V0_1_0 V0_2_0 V0_2_1] { slice queue_name } -> { word queue_id } = register;
    /// The queue of this name in a VM id.
    proxy_resolve_shared_queue [V0_1_0 V0_2_0 V0_2_1] { slice vm_id, slice queue_name } -> { word queue_id } = resolve;
    /// Appends a message.
    proxy_enqueue_shared_queue [V0_1_0 V0_2_0 V0_2_1] { word queue_id: QueueId, slice value } -> {} = enqueue;
    /// Takes the oldest message.
    proxy_dequeue_shared_queue [V0_1_0 V0_2_0 V0_2_1] { word queue_id: QueueId } -> { bytes value } = dequeue;
}

/// Scenarios give no VM ids, so every VM has the empty one; it is also what an empty argument means.
const VM_ID: &[u8] = b"";

fn register(cx: &mut Cx, name: &[u8]) -> Result<u32, Status> {
    let root = cx.state.acting_root().ok_or(Status::BadArgument)?;
    let id = cx.state.world.stores.register_queue(VM_ID, name, cx.state.vm, root)?;
    cx.effect(|| Effect::QueueRegistered { id, name: Bytes::copy_from_slice(name) });
    Ok(id.0)
}

fn resolve(cx: &mut Cx, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
    cx.state.world.stores.resolve_queue(vm_id, name).map(|id| id.0).ok_or(Status::NotFound)
}

fn enqueue(cx: &mut Cx, id: QueueId, value: &[u8]) -> Result<(), Status> {
    let world = &mut cx.state.world;
    match world.stores.enqueue(id, value)? {
        Some(Owner { host, vm, root }) if host == world.stores.host() => {
            world.posted.push_back(Posted::QueueReady { vm, root, queue: id });
        }
        Some(owner) => world.outputs.push_back(Output::QueueReady { owner, queue: id }),
        None => {}
    }
    cx.effect(|| Effect::Enqueued { id, message: Bytes::copy_from_slice(value) });
    Ok(())
}

fn dequeue(cx: &mut Cx, id: QueueId) -> Result<Bytes, Status> {
    let message = cx.state.world.stores.dequeue(id)?;
    cx.effect(|| Effect::Dequeued { id });
    Ok(message)
}
