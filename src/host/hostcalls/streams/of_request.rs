//! Local responses on a host where they are written into the request at once: the headers go into the response as it
//! will be, whatever becomes of the rest (`apisix.md` 4.4).

use super::Cx;
use crate::abi::{LogLevel, Status};
use crate::trace::{Effect, LocalResponse};
use std::sync::Arc;

/// The last status and body win, and the headers of all add up.
pub(super) fn respond(cx: &mut Cx, response: LocalResponse) -> Result<(), Status> {
    let stream = cx.state.acting_stream().ok_or(Status::BadArgument)?;
    let world = &mut cx.state.world;
    let Some(exchange) = world.exchanges.get_mut(&stream.exchange) else { return Err(Status::BadArgument) };
    exchange.phases.status = Some(response.status);
    exchange.phases.reply = response.body.clone();
    if !exchange.phases.head_sent {
        for (name, value) in &response.headers {
            let name = name.to_ascii_lowercase();
            if name == b":status" && !value.iter().all(u8::is_ascii_digit) {
                world.log(LogLevel::Error, "failed to set response header :status: invalid value");
                return Err(Status::BadArgument);
            }
            if name == b":status" {
                exchange.response.headers.replace(name, value.clone());
            } else {
                exchange.response.headers.append(name, value.clone());
            }
        }
    }
    cx.effect(|| Effect::LocalResponse(Arc::new(response)));
    Ok(())
}
