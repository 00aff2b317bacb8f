//! The only code that touches guest memory for hostcalls: slices in, values out through the allocator.
//!
//! Addresses are u32 and sums are taken in 64 bits, so nothing wraps. A host slice is never kept across a call
//! of the allocator, which may grow the memory.

use super::hostcalls::row::Outcome;
use super::state::{RestrictedPhase, VmState};
use crate::abi::Status;
use crate::trace::{Effect, Event, HostcallRecord, HostcallResult, Recorder, Value};
use bytes::Bytes;
use wasmtime::{AsContext, AsContextMut, Caller};

/// What a hostcall costs in fuel beside the guest's own instructions, so that a loop of hostcalls ends too.
const FUEL_PER_CALL: u64 = 200;
/// What a byte that crosses the border costs.
const FUEL_PER_BYTE: u64 = 1;

/// A hostcall that stops the guest instead of returning.
#[derive(Debug, thiserror::Error)]
pub enum HostTrap {
    /// Hosts allow few hostcalls while a module starts or allocates.
    #[error("restricted_callback: {name} may not be called from {phase}")]
    Restricted {
        /// The hostcall.
        name: &'static str,
        /// Where it was called.
        phase: &'static str,
    },
    /// What one case may log, record or hold is bounded.
    #[error("{0}")]
    Limit(String),
    /// The guest ended itself.
    #[error("proc_exit({0})")]
    Exit(u32),
}

/// One hostcall under way: collects what the trace will show.
pub struct Call {
    name: &'static str,
    recorded: bool,
    /// Decoded arguments.
    pub args: Vec<(&'static str, Value)>,
    /// Values written to out pointers.
    pub returned: Vec<(&'static str, Value)>,
    /// What was done.
    pub effects: Vec<Effect>,
    /// Bytes that the guest passed in.
    pub bytes: usize,
    /// What the host did beside, in steps of a loop or bytes moved: it is paid for like the guest's own work.
    pub work: usize,
}

impl Call {
    /// Begins a call.
    pub fn new(caller: &Caller<'_, VmState>, name: &'static str) -> Self {
        Self {
            name,
            recorded: caller.data().world.recorder.is_on(),
            args: Vec::new(),
            returned: Vec::new(),
            effects: Vec::new(),
            bytes: 0,
            work: 0,
        }
    }

    /// Whether the trace wants to know.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }
}

/// Checks that the hostcall may be made now, and charges for it.
pub fn before(caller: &mut Caller<'_, VmState>, name: &'static str) -> wasmtime::Result<()> {
    if let Some(phase) = caller.data().restricted {
        let allowed = super::hostcalls::allowed_when_restricted(name, phase);
        if !allowed {
            let phase = match phase {
                RestrictedPhase::Section => "the start section: Envoy crashes there; export _initialize instead",
                RestrictedPhase::Start => "a start function",
                RestrictedPhase::Allocator => "the allocator",
            };
            return Err(wasmtime::Error::new(HostTrap::Restricted { name, phase }));
        }
    }
    charge(caller, FUEL_PER_CALL)
}

/// Takes fuel for work that the host does on behalf of the guest.
pub fn charge(caller: &mut Caller<'_, VmState>, fuel: u64) -> wasmtime::Result<()> {
    if !caller.data().metered {
        return Ok(());
    }
    match caller.get_fuel()?.checked_sub(fuel) {
        Some(left) => caller.set_fuel(left),
        None => {
            caller.set_fuel(0)?;
            Err(wasmtime::Trap::OutOfFuel.into())
        }
    }
}

/// Charges for the bytes that a call moves.
pub fn charge_bytes(caller: &mut Caller<'_, VmState>, bytes: usize) -> wasmtime::Result<()> {
    charge(caller, FUEL_PER_BYTE.saturating_mul(bytes as u64))
}

/// Charges for the bytes that came in and for the work, and writes the call into the trace.
pub fn after(caller: &mut Caller<'_, VmState>, call: Call, result: HostcallResult) -> wasmtime::Result<()> {
    let charged = charge_bytes(caller, call.bytes.saturating_add(call.work));
    if !call.recorded {
        return charged;
    }
    // What came in is in the arguments and in the effect.
    let kept = 2 * call.bytes + call.returned.iter().map(|(_, value)| value.kept()).sum::<usize>();
    let state = caller.data_mut();
    let context = state.acting_context();
    let record = HostcallRecord {
        plugin: state.current.plugin,
        context,
        exchange: state.acting_stream().map(|stream| stream.exchange),
        name: call.name,
        args: call.args,
        result,
        returned: call.returned,
        effects: call.effects,
    };
    state.world.recorder.push(|| Event::Hostcall(record));
    if !state.world.recorder.charge(kept) {
        let message = format!("the trace of this case passed {} MiB", Recorder::LIMIT >> 20);
        return Err(wasmtime::Error::new(HostTrap::Limit(message)));
    }
    charged
}

/// The guest's memory beside the VM's state. `None` before the module has a memory.
pub fn split<'a>(caller: &'a mut Caller<'_, VmState>) -> Option<(&'a mut [u8], &'a mut VmState)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        // The start section runs before the host has the instance.
        None => caller.get_export("memory")?.into_memory()?,
    };
    Some(memory.data_and_store_mut(caller))
}

/// A slice of the guest's memory; `None` where it goes past the end.
pub fn slice(data: &[u8], pointer: i32, length: i32) -> Option<&[u8]> {
    let start = pointer as u32 as usize;
    let end = start.checked_add(length as u32 as usize)?;
    data.get(start..end)
}

fn write(caller: &mut Caller<'_, VmState>, pointer: i32, bytes: &[u8]) -> bool {
    let Some((data, _)) = split(caller) else { return false };
    let start = pointer as u32 as usize;
    let Some(target) = start.checked_add(bytes.len()).and_then(|end| data.get_mut(start..end)) else {
        return false;
    };
    target.copy_from_slice(bytes);
    true
}

/// What becomes of a result that is written to an out pointer.
pub type Written = Result<(), Status>;

fn within(written: bool) -> Written {
    if written { Ok(()) } else { Err(Status::InvalidMemoryAccess) }
}

/// Writes 4 bytes.
pub fn write_word(caller: &mut Caller<'_, VmState>, value: u32, pointer: i32) -> wasmtime::Result<Written> {
    Ok(within(write(caller, pointer, &value.to_le_bytes())))
}

/// Writes 8 bytes.
pub fn write_long(caller: &mut Caller<'_, VmState>, value: u64, pointer: i32) -> wasmtime::Result<Written> {
    Ok(within(write(caller, pointer, &value.to_le_bytes())))
}

/// Copies bytes into memory that the guest allocates and writes pointer and size. For no bytes the allocator is not
/// called (abi.md 2.5: Go's allocator panics on size 0).
pub fn write_bytes(
    caller: &mut Caller<'_, VmState>,
    value: impl Into<Bytes>,
    pointer_out: i32,
    size_out: i32,
) -> wasmtime::Result<Written> {
    let value = value.into();
    let size = (value.len() as u32).to_le_bytes();
    if value.is_empty() {
        let keeps = caller.data().world.profile.empty_keeps_pointer;
        return Ok(within((keeps || write(caller, pointer_out, &[0; 4])) && write(caller, size_out, &size)));
    }
    charge_bytes(caller, value.len())?;
    let pointer = match allocate(caller, value.len() as u32)? {
        Ok(pointer) => pointer,
        Err(status) => return Ok(Err(status)),
    };
    let pointer_bytes = pointer.to_le_bytes();
    Ok(within(
        write(caller, pointer as i32, &value)
            && write(caller, pointer_out, &pointer_bytes)
            && write(caller, size_out, &size),
    ))
}

/// Writes what a function came to. A pointer 0 says that nobody wants to know, and a failure writes pointer 0 and size
/// 0 (Envoy 1.40: the pointer first).
pub fn write_outcome(
    caller: &mut Caller<'_, VmState>,
    outcome: Outcome,
    pointer_out: i32,
    size_out: i32,
) -> wasmtime::Result<Written> {
    let Outcome(result) = outcome;
    let results = result.as_ref().ok().and_then(Option::as_ref);
    let size = results.map_or(0, |bytes| bytes.len() as u32);
    let mut pointer = 0;
    // Envoy 1.40 asks for memory even for no bytes, but not where nobody wants them.
    if let Some(bytes) = results.filter(|_| pointer_out != 0) {
        charge_bytes(caller, bytes.len())?;
        let memory = allocate(caller, size)?;
        if memory.is_err() && size > 0 && caller.data().world.profile.foreign_results_need_memory {
            caller.data_mut().world.crash_after(
                "foreign-result-without-memory",
                "the allocator gave no memory for the result of a foreign function: Envoy writes to address 0 and dies",
            );
        }
        pointer = match memory {
            Ok(pointer) => pointer,
            Err(_) if size == 0 => 0,
            Err(status) => return Ok(Err(status)),
        };
        if !write(caller, pointer as i32, bytes) {
            return Ok(Err(Status::InvalidMemoryAccess));
        }
    }
    let wanted = [(pointer_out, pointer), (size_out, size)];
    for (out, word) in wanted {
        if out != 0 && !write(caller, out, &word.to_le_bytes()) {
            return Ok(Err(Status::InvalidMemoryAccess));
        }
    }
    Ok(result.map(drop))
}

/// Asks the guest for memory. This is guest execution inside a hostcall: it may trap, and the memory may grow.
fn allocate(caller: &mut Caller<'_, VmState>, size: u32) -> wasmtime::Result<Result<u32, Status>> {
    let profile = caller.data().world.profile;
    let failed = Err(profile.allocation_failure);
    // Taken and put back: a copy would count references in the engine. A hostcall that needs it in between gets none.
    let Some(allocator) = caller.data_mut().allocator.take() else { return Ok(failed) };
    let before = caller.data().restricted;
    if profile.restricts_start {
        caller.data_mut().restricted = Some(RestrictedPhase::Allocator);
    }
    let result = allocator.call(caller.as_context_mut(), size);
    let state = caller.data_mut();
    state.allocator = Some(allocator);
    state.restricted = before;
    let pointer = match result {
        Ok(pointer) => pointer,
        // APISIX: the hostcall fails, and that is all. Running out of fuel is no matter of the host's.
        Err(error) if !profile.allocator_trap_fails_vm && !is_limit(&error) => return Ok(failed),
        // Envoy 1.40: the hostcall returns INVALID_MEMORY_ACCESS and the guest runs on to the end of the callback;
        // only then has the VM failed.
        Err(error) => {
            caller.data_mut().broken.get_or_insert(error);
            return Ok(failed);
        }
    };
    if pointer == 0 {
        return Ok(failed);
    }
    let end = u64::from(pointer) + u64::from(size);
    let length = caller.data().memory.map_or(0, |m| m.data_size(caller.as_context()) as u64);
    Ok(if end <= length { Ok(pointer) } else { Err(Status::InvalidMemoryAccess) })
}

fn is_limit(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref::<wasmtime::Trap>(), Some(wasmtime::Trap::OutOfFuel))
        || matches!(error.downcast_ref::<HostTrap>(), Some(HostTrap::Limit(_)))
}
