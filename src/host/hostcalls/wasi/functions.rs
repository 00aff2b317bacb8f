//! What the functions do that do more than give a number: output, variables, time, randomness.

use super::{BADF, Errno, FAULT, INVAL, Wasi};
use crate::abi::LogLevel;
use crate::host::hostcalls::logging;
use crate::trace::{Effect, Value};
use bytes::Bytes;

/// Messages from one write, at most.
const MAX_WRITE: usize = 16 << 20;

pub(super) fn output_only(fd: u32) -> Errno {
    if fd == 1 || fd == 2 { Ok(()) } else { Err(BADF) }
}

pub(super) fn fd_write(wasi: &mut Wasi, fd: u32, iovs: u32, count: u32, nwritten: u32) -> Errno {
    let level = match fd {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Err(BADF),
    };
    let mut message = Vec::new();
    for i in 0..count {
        *wasi.work += 8;
        let at = iovs.checked_add(i.checked_mul(8).ok_or(FAULT)?).ok_or(FAULT)?;
        let (pointer, length) = (wasi.word(at)?, wasi.word(at.checked_add(4).ok_or(FAULT)?)?);
        if message.len() + length as usize > MAX_WRITE {
            return Err(INVAL);
        }
        message.extend_from_slice(wasi.slice(pointer, length)?);
    }
    let written = (message.len() as u32).to_le_bytes();
    wasi.returned.push(("nwritten", Value::U32(message.len() as u32)));
    if !message.is_empty() {
        if message.last() == Some(&b'\n') {
            message.pop();
        }
        if wasi.state.world.profile.wasi.logged.contains(&fd) {
            logging::tell(wasi.state, level, &message);
            wasi.effects.push(Effect::Log { level, message: Bytes::from(message) });
        }
    }
    // Envoy 1.40 logs first, so a bad pointer here comes too late.
    wasi.write(nwritten, &written)
}

pub(super) fn fd_fdstat_get(wasi: &mut Wasi, fd: u32, stat: u32) -> Errno {
    output_only(fd)?;
    let mut bytes = [0; 24];
    // Rights: fd_write, and nothing else.
    bytes[8] = 64;
    // Envoy 1.40 does not look whether the pointer was good.
    let _ = wasi.write(stat, &bytes);
    Ok(())
}

pub(super) fn fd_tell(wasi: &mut Wasi, fd: u32, offset: u32) -> Errno {
    output_only(fd)?;
    wasi.write(offset, &[0; 8])
}

pub(super) fn environ_sizes_get(wasi: &mut Wasi, count: u32, size: u32) -> Errno {
    let variables = &wasi.state.environment;
    let (number, bytes) = (variables.len() as u32, variables.iter().map(|v| v.len() + 1).sum::<usize>() as u32);
    wasi.write(count, &number.to_le_bytes())?;
    wasi.write(size, &bytes.to_le_bytes())
}

pub(super) fn environ_get(wasi: &mut Wasi, environ: u32, buf: u32) -> Errno {
    let (mut pointer, mut text) = (environ, buf);
    for variable in wasi.state.environment.clone() {
        wasi.write(pointer, &text.to_le_bytes())?;
        wasi.write(text, &variable)?;
        let end = text.checked_add(variable.len() as u32).ok_or(FAULT)?;
        wasi.write(end, &[0])?;
        text = end.checked_add(1).ok_or(FAULT)?;
        pointer = pointer.checked_add(4).ok_or(FAULT)?;
    }
    Ok(())
}

pub(super) fn clock_time_get(wasi: &mut Wasi, id: u32, _: u64, time: u32) -> Errno {
    let clock = wasi.state.world.clock;
    let now = match id {
        0 => clock.realtime_ns(),
        1 => clock.uptime_ns(),
        _ => return Err(wasi.state.world.profile.wasi.unknown_clock),
    };
    wasi.write(time, &now.to_le_bytes())
}

pub(super) fn clock_res_get(wasi: &mut Wasi, id: u32, resolution: u32) -> Errno {
    match id {
        0 | 1 => wasi.write(resolution, &1u64.to_le_bytes()),
        _ => Err(wasi.state.world.profile.wasi.unknown_clock),
    }
}

pub(super) fn random_get(wasi: &mut Wasi, buf: u32, len: u32) -> Errno {
    if wasi.state.world.profile.wasi.most_random.is_some_and(|most| len > most) {
        return Err(INVAL);
    }
    // Envoy 1.40: nothing is written, so nothing is looked at.
    if len == 0 {
        return Ok(());
    }
    *wasi.work += len as usize;
    let at = buf as usize;
    let target = wasi.memory.get_mut(at..at.saturating_add(len as usize)).ok_or(FAULT)?;
    wasi.state.world.entropy.fill(target);
    Ok(())
}

/// The C++ host reports no events, and Go's scheduler then asks for the time again until it has passed. Virtual
/// time does not pass by itself, so it moves to the first deadline here.
pub(super) fn poll_oneoff(wasi: &mut Wasi, input: u32, _: u32, count: u32, nevents: u32) -> Errno {
    const SUBSCRIPTION: u32 = 48;
    let now = wasi.state.world.clock.monotonic_ns();
    let mut deadline: Option<u64> = None;
    for i in 0..count.min(1024) {
        let Some(at) = input.checked_add(i * SUBSCRIPTION) else { break };
        // Envoy 1.40 does not look at the subscriptions, so a bad pointer is none of its business.
        let Ok(bytes) = wasi.slice(at, SUBSCRIPTION) else { break };
        let subscription: [u8; 48] = bytes.try_into().map_err(|_| FAULT)?;
        if subscription[8] != 0 {
            continue;
        }
        let timeout = u64::from_le_bytes(subscription[24..32].try_into().map_err(|_| FAULT)?);
        let absolute = subscription[40] & 1 != 0;
        let realtime = subscription[16] == 0;
        let due = match (absolute, realtime) {
            (false, _) => now.saturating_add(timeout),
            (true, false) => now.saturating_add(timeout.saturating_sub(wasi.state.world.clock.uptime_ns())),
            (true, true) => {
                let ahead = timeout.saturating_sub(wasi.state.world.clock.realtime_ns());
                now.saturating_add(ahead)
            }
        };
        deadline = Some(deadline.map_or(due, |d| d.min(due)));
    }
    // An hour at the most: a guest can't push the clock to its end.
    const LONGEST_SLEEP_NS: u64 = 3_600_000_000_000;
    if let Some(deadline) = deadline {
        wasi.state.world.clock.advance_to(deadline.min(now.saturating_add(LONGEST_SLEEP_NS)));
    }
    wasi.write(nevents, &[0; 4])
}
