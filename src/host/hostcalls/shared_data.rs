//! Key-value data shared between VMs, with compare-and-swap.

use super::row::{Cx, hostcall_rows};
use crate::abi::Status;
use crate::trace::Effect;
use bytes::Bytes;

hostcall_rows! {
    /// The value of a key and its CAS number.
    proxy_get_shared_data [V0_1_0 V0_2_0 V0_2_1] { slice key } -> { bytes value, word cas } = get;
    /// Writes, if `cas` is 0 or the current number.
    proxy_set_shared_data [V0_1_0 V0_2_0 V0_2_1] { slice key, slice value, word cas: u32 } -> {} = set;
}

fn get(cx: &mut Cx, key: &[u8]) -> Result<(Bytes, u32), Status> {
    cx.state.world.stores.shared_data(key).ok_or(Status::NotFound)
}

fn set(cx: &mut Cx, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
    let cas = cx.state.world.stores.set_shared_data(key, value, cas)?;
    cx.effect(|| Effect::SharedDataSet { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value), cas });
    Ok(())
}
