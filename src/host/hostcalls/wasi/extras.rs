//! Rows that give no errno: the one function of WASI that does not return, and what Emscripten's modules import beside it.

use crate::host::hostcalls::row::{Kind, Param, Returns, Row, Shape};
use crate::host::memory::{self, HostTrap};
use crate::host::state::VmState;
use crate::trace::{HostcallResult, Value};
use wasmtime::{Caller, Linker};

/// Returns to the guest on Envoy, ends it elsewhere.
pub(super) const PROC_EXIT: Row = Row {
    name: "proc_exit",
    modules: &["wasi_snapshot_preview1", "wasi_unstable"],
    versions: &[],
    params: &[Param { name: "code", kind: Kind::Word }],
    returns: Returns::Nothing,
    at_start: false,
    link: link_proc_exit,
};

fn link_proc_exit(linker: &mut Linker<VmState>, module: &str, _: Shape) -> wasmtime::Result<()> {
    linker.func_wrap(module, "proc_exit", |mut caller: Caller<'_, VmState>, code: i32| {
        memory::before(&mut caller, "proc_exit")?;
        let mut call = memory::Call::new(&caller, "proc_exit");
        call.args.push(("code", Value::U32(code as u32)));
        memory::after(&mut caller, call, HostcallResult::None)?;
        if caller.data().world.profile.exit_returns {
            return Ok(());
        }
        Err(wasmtime::Error::new(HostTrap::Exit(code as u32)))
    })?;
    Ok(())
}

/// An extra of the C++ host for Emscripten's modules (abi.md 1.3).
pub(super) const PTHREAD_EQUAL: Row = Row {
    name: "pthread_equal",
    modules: &["env"],
    versions: &[],
    params: &[Param { name: "left", kind: Kind::Word }, Param { name: "right", kind: Kind::Word }],
    returns: Returns::Status,
    at_start: true,
    link: |linker, module, _| {
        linker.func_wrap(module, "pthread_equal", |_: Caller<'_, VmState>, a: i32, b: i32| i32::from(a == b))?;
        Ok(())
    },
};

/// An extra of the C++ host for Emscripten's modules (abi.md 1.3).
pub(super) const MEMORY_GROWTH: Row = Row {
    name: "emscripten_notify_memory_growth",
    modules: &["env"],
    versions: &[],
    params: &[Param { name: "memory_index", kind: Kind::Word }],
    returns: Returns::Nothing,
    at_start: true,
    link: |linker, module, _| {
        linker.func_wrap(module, "emscripten_notify_memory_growth", |_: Caller<'_, VmState>, _: i32| {})?;
        Ok(())
    },
};
