//! Logging: messages of the plugin, and the level that the host logs at.

use super::row::{Cx, hostcall_rows};
use crate::abi::{LogLevel, Status};
use crate::host::state::VmState;
use crate::host::world::{LogLine, Output};
use crate::trace::Effect;
use bytes::Bytes;

hostcall_rows! {
    /// Logs a message.
    proxy_log [V0_1_0 V0_2_0 V0_2_1] (at_start) { word level: LogLevel, slice message } -> {} = log;
    /// The lowest level that is logged.
    proxy_get_log_level [V0_2_1] {} -> { word level } = get_log_level;
}

fn log(cx: &mut Cx, level: LogLevel, message: &[u8]) -> Result<(), Status> {
    tell(cx.state, level, message);
    cx.effect(|| Effect::Log { level, message: Bytes::copy_from_slice(message) });
    Ok(())
}

/// Hands a message to the driver, if it wants to hear of such.
pub(super) fn tell(state: &mut VmState, level: LogLevel, message: &[u8]) {
    if !state.world.tells(level) {
        return;
    }
    let line = LogLine {
        exchange: state.acting_stream().map(|stream| stream.exchange),
        plugin: Some(state.current.plugin),
        level,
        message: Bytes::copy_from_slice(message),
    };
    state.world.outputs.push_back(Output::Log(line));
}

/// The level of the driver's log; a runner records every message, so it says trace.
fn get_log_level(cx: &mut Cx) -> Result<u32, Status> {
    Ok(cx.state.world.log_level.unwrap_or(LogLevel::Trace).number())
}
