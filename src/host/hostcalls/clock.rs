//! The clock that plugins read.

use super::row::{Cx, hostcall_rows};
use crate::abi::Status;

hostcall_rows! {
    /// Nanoseconds since the epoch.
    proxy_get_current_time_nanoseconds [V0_1_0 V0_2_0 V0_2_1] {} -> { long time } = get_current_time;
}

fn get_current_time(cx: &mut Cx) -> Result<u64, Status> {
    Ok(cx.state.world.clock.realtime_ns())
}
