//! Logging: messages of the plugin, and the level that the host logs at.

use super::row::{Cx, hostcall_rows};
use crate::abi::{LogLevel, Status};
use crate::trace::Effect;
use bytes::Bytes;

hostcall_rows! {
    /// Logs a message.
    proxy_log [V0_1_0 V0_2_0 V0_2_1] (at_start) { word level: LogLevel, slice message } -> {} = log;
    /// The lowest level that is logged.
    proxy_get_log_level [V0_2_1] {} -> { word level } = get_log_level;
}

fn log(cx: &mut Cx, level: LogLevel, message: &[u8]) -> Result<(), Status> {
    cx.effect(|| Effect::Log { level, message: Bytes::copy_from_slice(message) });
    Ok(())
}

/// pwtest records every message, so it says trace.
fn get_log_level(_: &mut Cx) -> Result<u32, Status> {
    Ok(LogLevel::Trace.number())
}
