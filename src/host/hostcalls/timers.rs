//! The tick timer: one for each root context.

use super::row::{Cx, hostcall_rows};
use crate::abi::Status;
use crate::host::world::Tick;
use crate::trace::Effect;

hostcall_rows! {
    /// Sets the period of `proxy_on_tick` of the root context; 0 stops it.
    proxy_set_tick_period_milliseconds [V0_1_0 V0_2_0 V0_2_1] { word period: u32 } -> {} = set_tick_period;
}

fn set_tick_period(cx: &mut Cx, period: u32) -> Result<(), Status> {
    let root = cx.state.acting_root().ok_or(Status::BadArgument)?;
    let key = (cx.state.vm, root);
    let world = &mut cx.state.world;
    if period == 0 {
        world.ticks.remove(&key);
    } else {
        let period_ns = u64::from(period) * 1_000_000;
        let due_ns = world.clock.monotonic_ns().saturating_add(period_ns);
        world.ticks.insert(key, Tick { period_ns, due_ns });
    }
    cx.effect(|| Effect::TickPeriod { milliseconds: period });
    Ok(())
}
