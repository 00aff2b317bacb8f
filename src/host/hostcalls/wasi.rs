//! WASI preview 1, as much of it as Proxy-Wasm hosts give: no files, no sockets, output becomes log lines.
//!
//! The errnos are the C++ host's (abi.md 3.12). Time and randomness are the world's.

mod extras;
mod functions;

use super::row::{Kind, Param, Returns, Row};
use crate::host::memory;
use crate::host::state::VmState;
use crate::trace::{Effect, HostcallResult, Value};
use extras::{MEMORY_GROWTH, PROC_EXIT, PTHREAD_EQUAL};
use functions::*;
use wasmtime::Caller;

const SUCCESS: u16 = 0;
const BADF: u16 = 8;
const FAULT: u16 = 21;
const INVAL: u16 = 28;
const NOENT: u16 = 44;
const NOSYS: u16 = 52;
const NOTDIR: u16 = 54;
const NOTSUP: u16 = 58;

/// Whether start functions may call it: Envoy 1.40 was asked for each of these, and refused `proc_exit`,
/// `sched_yield` and `fd_close`.
const fn starts(name: &str) -> bool {
    !matches!(name.as_bytes(), b"sched_yield" | b"fd_close")
}

/// What a WASI function works on.
struct Wasi<'a> {
    memory: &'a mut [u8],
    state: &'a mut VmState,
    effects: &'a mut Vec<Effect>,
    work: &'a mut usize,
    returned: &'a mut Vec<(&'static str, Value)>,
}

type Errno = Result<(), u16>;

impl Wasi<'_> {
    fn word(&self, at: u32) -> Result<u32, u16> {
        let at = at as usize;
        let bytes = self.memory.get(at..at.saturating_add(4)).and_then(|b| b.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or(FAULT)
    }

    fn slice(&self, at: u32, length: u32) -> Result<&[u8], u16> {
        let at = at as usize;
        self.memory.get(at..at.saturating_add(length as usize)).ok_or(FAULT)
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Errno {
        let at = at as usize;
        let target = self.memory.get_mut(at..at.saturating_add(bytes.len())).ok_or(FAULT)?;
        target.copy_from_slice(bytes);
        Ok(())
    }

    /// Envoy 1.40 writes 0 through the out pointer of some functions that it does not have.
    fn nothing(&mut self, at: u32, errno: u16) -> Errno {
        self.write(at, &[0; 4])?;
        Err(errno)
    }
}

macro_rules! wasi_rows {
    ($($(#[$doc:meta])* $name:ident [$($module:literal)+] ($($arg:ident: $ty:ident),*) = $handler:expr;)*) => {
        /// The rows of this family.
        pub static ROWS: &[Row] = &[
            $(Row {
                name: stringify!($name),
                modules: &[$($module),+],
                versions: &[],
                params: &[$(Param { name: stringify!($arg), kind: wasi_rows!(@kind $ty) }),*],
                returns: Returns::Status,
                at_start: starts(stringify!($name)),
                link: |linker, module, _| {
                    linker.func_wrap(
                        module,
                        stringify!($name),
                        |mut caller: Caller<'_, VmState>, $($arg: $ty),*| -> wasmtime::Result<i32> {
                            memory::before(&mut caller, stringify!($name))?;
                            let mut call = memory::Call::new(&caller, stringify!($name));
                            if call.is_recorded() {
                                $(call.args.push((stringify!($arg), wasi_rows!(@value $ty $arg)));)*
                            }
                            let result = match memory::split(&mut caller) {
                                Some((memory, state)) => {
                                    let handler: fn(&mut Wasi $(, wasi_rows!(@arg $ty))*) -> Errno = $handler;
                                    let mut wasi = Wasi {
                                        memory,
                                        state,
                                        effects: &mut call.effects,
                                        work: &mut call.work,
                                        returned: &mut call.returned,
                                    };
                                    handler(&mut wasi $(, $arg as wasi_rows!(@arg $ty))*)
                                }
                                None => Err(FAULT),
                            };
                            let errno = result.err().unwrap_or(SUCCESS);
                            call.bytes = call.effects.iter().map(|effect| match effect {
                                Effect::Log { message, .. } => message.len(),
                                _ => 0,
                            }).sum();
                            memory::after(&mut caller, call, HostcallResult::Errno(errno))?;
                            Ok(i32::from(errno))
                        },
                    )?;
                    Ok(())
                },
            },)*
            PROC_EXIT,
            PTHREAD_EQUAL,
            MEMORY_GROWTH,
        ];
    };
    (@kind i32) => { Kind::Word };
    (@kind i64) => { Kind::Long };
    (@arg i32) => { u32 };
    (@arg i64) => { u64 };
    (@value i32 $arg:ident) => { Value::U32($arg as u32) };
    (@value i64 $arg:ident) => { Value::I64($arg) };
}

wasi_rows! {
    /// Output: fd 1 is logged at info, fd 2 at error.
    fd_write ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, iovs: i32, iovs_len: i32, nwritten: i32) = fd_write;
    /// No input.
    fd_read ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, iovs: i32, iovs_len: i32, nread: i32) = |_, _, _, _, _| Err(NOSYS);
    /// Accepted, without effect.
    fd_seek ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, offset: i64, whence: i32, newoffset: i32) = |_, _, _, _, _| Ok(());
    /// Accepted, without effect.
    fd_close ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32) = |_, _| Ok(());
    /// Standard output and error can be written, nothing else is there.
    fd_fdstat_get ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, stat: i32) = fd_fdstat_get;
    /// Not there.
    fd_fdstat_set_flags ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, flags: i32) = |_, _, _| Err(NOSYS);
    /// Accepted for standard output and error.
    fd_fdstat_set_rights ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, base: i64, inheriting: i64) = |_, fd, _, _| output_only(fd);
    /// No folders.
    fd_prestat_get ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, prestat: i32) = |_, _, _| Err(BADF);
    /// No folders.
    fd_prestat_dir_name ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, path: i32, path_len: i32) = |_, _, _, _| Err(NOSYS);
    /// No files.
    path_open ["wasi_snapshot_preview1" "wasi_unstable"]
        (fd: i32, dirflags: i32, path: i32, path_len: i32, oflags: i32, base: i64, inheriting: i64, fdflags: i32, opened: i32)
        = |_, _, _, _, _, _, _, _, _, _| Err(NOENT);
    /// Accepted, without effect.
    fd_advise ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, offset: i64, len: i64, advice: i32) = |_, _, _, _, _| Ok(());
    /// Accepted for standard output and error.
    fd_allocate ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, offset: i64, len: i64) = |_, fd, _, _| output_only(fd);
    /// Accepted for standard output and error.
    fd_datasync ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32) = |_, fd| output_only(fd);
    /// Accepted for standard output and error.
    fd_sync ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32) = |_, fd| output_only(fd);
    /// Accepted for standard output and error.
    fd_filestat_set_size ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, size: i64) = |_, fd, _| output_only(fd);
    /// Accepted for standard output and error.
    fd_filestat_set_times ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, atim: i64, mtim: i64, flags: i32) = |_, fd, _, _, _| output_only(fd);
    /// Standard output and error are at 0.
    fd_tell ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, offset: i32) = fd_tell;
    /// No input.
    fd_pread ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, iovs: i32, iovs_len: i32, offset: i64, nread: i32) = |_, _, _, _, _, _| Err(NOSYS);
    /// Like `fd_write`.
    fd_pwrite ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, iovs: i32, iovs_len: i32, offset: i64, nwritten: i32) = |wasi, fd, iovs, len, _, nwritten| fd_write(wasi, fd, iovs, len, nwritten);
    /// No folders; the number is the C++ host's.
    fd_readdir ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, buf: i32, buf_len: i32, cookie: i64, used: i32) = |wasi, _, _, _, _, used| wasi.nothing(used, 20);
    /// Not supported.
    fd_renumber ["wasi_snapshot_preview1" "wasi_unstable"] (from: i32, to: i32) = |_, fd, _| output_only(fd).and(Err(NOTSUP));
    /// Nothing is known of any descriptor.
    fd_filestat_get ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, stat: i32) = |_, _, _| Err(BADF);
    /// No files.
    path_filestat_get ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, flags: i32, path: i32, path_len: i32, stat: i32) = |_, _, _, _, _, _| Err(NOTSUP);
    /// No files.
    path_filestat_set_times ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, flags: i32, path: i32, path_len: i32, atim: i64, mtim: i64, fst_flags: i32) = |_, _, _, _, _, _, _, _| Err(NOTSUP);
    /// No files.
    path_create_directory ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, path: i32, path_len: i32) = |_, _, _, _| Err(NOTSUP);
    /// No files.
    path_remove_directory ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, path: i32, path_len: i32) = |_, _, _, _| Err(NOTSUP);
    /// No files.
    path_unlink_file ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, path: i32, path_len: i32) = |_, _, _, _| Err(NOTSUP);
    /// No files. Envoy 1.40 has one parameter too few, so a module that imports WASI's own signature does not load.
    path_link ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, flags: i32, path: i32, path_len: i32, to: i32, to_path: i32) = |_, _, _, _, _, _, _| Err(NOTSUP);
    /// No files.
    path_rename ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, path: i32, path_len: i32, to: i32, to_path: i32, to_len: i32) = |_, _, _, _, _, _, _| Err(NOTSUP);
    /// No files. Envoy 1.40 has one parameter too few here, too.
    path_symlink ["wasi_snapshot_preview1" "wasi_unstable"] (path: i32, path_len: i32, fd: i32, to_path: i32) = |_, _, _, _, _| Err(NOTSUP);
    /// No files.
    path_readlink ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, path: i32, path_len: i32, buf: i32, buf_len: i32, used: i32) = |wasi, _, _, _, _, _, used| wasi.nothing(used, NOTSUP);
    /// No sockets.
    sock_accept ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, flags: i32, opened: i32) = |wasi, _, _, opened| wasi.nothing(opened, NOTSUP);
    /// No sockets. The flags are 16 bits.
    sock_recv ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, iovs: i32, iovs_len: i32, flags: i32, read: i32, out_flags: i32) = |wasi, _, _, _, _, read, out_flags| {
        wasi.write(read, &[0; 4])?;
        wasi.write(out_flags, &[0; 2])?;
        Err(NOTSUP)
    };
    /// No sockets.
    sock_send ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, iovs: i32, iovs_len: i32, flags: i32, sent: i32) = |wasi, _, _, _, _, sent| wasi.nothing(sent, NOTSUP);
    /// No sockets.
    sock_shutdown ["wasi_snapshot_preview1" "wasi_unstable"] (fd: i32, how: i32) = |_, _, _| Err(NOTSUP);
    /// No arguments.
    args_get ["wasi_snapshot_preview1" "wasi_unstable"] (argv: i32, buf: i32) = |_, _, _| Ok(());
    /// No arguments.
    args_sizes_get ["wasi_snapshot_preview1" "wasi_unstable"] (argc: i32, size: i32) = |wasi, argc, size| {
        wasi.write(argc, &[0; 4])?;
        wasi.write(size, &[0; 4])
    };
    /// The variables of the scenario, nothing of this machine.
    environ_get ["wasi_snapshot_preview1" "wasi_unstable"] (environ: i32, buf: i32) = environ_get;
    /// Number and size of the variables.
    environ_sizes_get ["wasi_snapshot_preview1" "wasi_unstable"] (count: i32, size: i32) = environ_sizes_get;
    /// Real time (0) and monotonic time (1).
    clock_time_get ["wasi_snapshot_preview1" "wasi_unstable"] (id: i32, precision: i64, time: i32) = clock_time_get;
    /// One nanosecond.
    clock_res_get ["wasi_snapshot_preview1" "wasi_unstable"] (id: i32, resolution: i32) = clock_res_get;
    /// Seeded randomness.
    random_get ["wasi_snapshot_preview1" "wasi_unstable"] (buf: i32, len: i32) = random_get;
    /// Nothing to yield to.
    sched_yield ["wasi_snapshot_preview1" "wasi_unstable"] () = |_| Ok(());
    /// No events; time passes as if the guest had slept.
    poll_oneoff ["wasi_snapshot_preview1" "wasi_unstable"] (input: i32, output: i32, count: i32, nevents: i32) = poll_oneoff;
}

/// Whether an errno stands for a function that this host has only so that modules load.
pub fn is_stub(errno: u16) -> bool {
    matches!(errno, NOSYS | NOTSUP | NOENT | NOTDIR)
}
