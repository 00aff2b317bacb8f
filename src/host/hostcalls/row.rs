//! What a hostcall is: one row with a typed handler.
//!
//! A row names the import, the ABI versions that have it, its arguments and results, and a handler. Decoding,
//! bounds checks, out pointers, status mapping and tracing are written once, in [`hostcall_rows!`], and the
//! result is monomorphic: wasmtime calls a plain closure with the wasm signature. Handlers see neither
//! pointers nor the engine.
//!
//! Kinds of argument: `word` is one i32, `long` one i64, `slice` a pointer and a length, `pairs` a slice that
//! holds a header map. Kinds of result: `word` and `long` are pointers to 4 and 8 bytes, `bytes` is a pointer to
//! a pointer and a pointer to a size, filled through the guest's allocator. A `token` is a word that the host sets to
//! 0 before it acts, so that nothing is done where its pointer is bad (Envoy 1.40: calls).
//!
//! The order of checks is that of the C++ host (abi.md 3.1): enums, then slices, then the operation, then the
//! out pointers.

use crate::abi::pairs::{self, Pair, PairsError};
use crate::abi::{
    AbiVersion, BufferType, CallId, ContextId, LogLevel, MapType, MetricId, MetricType, QueueId, Status, StreamType,
};
use crate::host::state::VmState;
use crate::trace::{Effect, Value};
use bytes::Bytes;
use wasmtime::Linker;

/// The wasm type of a parameter or result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wasm {
    /// i32
    I32,
    /// i64
    I64,
}

/// How a row's parameter is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One i32.
    Word,
    /// One i64.
    Long,
    /// Pointer and length.
    Slice,
    /// Pointer and length of a header map.
    Pairs,
    /// Pointer to 4 bytes that the host writes.
    OutWord,
    /// Pointer to 8 bytes that the host writes.
    OutLong,
    /// Pointer to a pointer and pointer to a size, both written by the host.
    OutBytes,
}

impl Kind {
    /// The wasm parameters that it takes.
    pub fn wasm(self) -> &'static [Wasm] {
        match self {
            Self::Word | Self::OutWord | Self::OutLong => &[Wasm::I32],
            Self::Long => &[Wasm::I64],
            Self::Slice | Self::Pairs | Self::OutBytes => &[Wasm::I32, Wasm::I32],
        }
    }
}

/// A named parameter of a row.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// The specification's name.
    pub name: &'static str,
    /// How it is passed.
    pub kind: Kind,
}

/// What the wasm function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An i32 status.
    Status,
    /// Nothing: the 0.1.0 specification's text for a few functions.
    NoResult,
}

/// What a row's function can return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// An i32 status or errno.
    Status,
    /// An i32 status, or nothing, as the import says.
    StatusOrNothing,
    /// Nothing.
    Nothing,
}

/// The signature of what links a row.
pub type Link = fn(&mut Linker<VmState>, module: &str, Shape) -> wasmtime::Result<()>;

/// One hostcall.
pub struct Row {
    /// The import's name.
    pub name: &'static str,
    /// The modules that it is imported from.
    pub modules: &'static [&'static str],
    /// The versions of the ABI that have it; empty for what is not of the ABI.
    pub versions: &'static [AbiVersion],
    /// Arguments, then results.
    pub params: &'static [Param],
    /// What the function returns.
    pub returns: Returns,
    /// Whether it may be called from start functions, on hosts that check it.
    pub at_start: bool,
    /// Whether pwtest answers it with UNIMPLEMENTED for now.
    pub unimplemented: bool,
    /// Defines it in a linker.
    pub link: Link,
}

impl Row {
    /// The wasm parameters, in order.
    pub fn wasm_params(&self) -> Vec<Wasm> {
        self.params.iter().flat_map(|p| p.kind.wasm()).copied().collect()
    }
}

/// A word that has a type of its own.
pub trait Word: Sized + Copy {
    /// Reads it; BAD_ARGUMENT for a number that the type does not have.
    fn from_word(word: u32) -> Result<Self, Status>;
    /// As the trace shows it.
    fn value(self) -> Value;
}

impl Word for u32 {
    fn from_word(word: u32) -> Result<Self, Status> {
        Ok(word)
    }
    fn value(self) -> Value {
        Value::U32(self)
    }
}

impl Word for i32 {
    fn from_word(word: u32) -> Result<Self, Status> {
        Ok(word as i32)
    }
    fn value(self) -> Value {
        Value::I64(self.into())
    }
}

macro_rules! enum_words {
    ($($name:ident)*) => {$(
        impl Word for $name {
            fn from_word(word: u32) -> Result<Self, Status> {
                Self::from_u32(word).ok_or(Status::BadArgument)
            }
            fn value(self) -> Value {
                Value::Name(self.name())
            }
        }
    )*};
}
enum_words! { LogLevel BufferType MapType StreamType MetricType }

/// An enum that the host looks at after the slices, not before them: the handler does it.
#[derive(Debug, Clone, Copy)]
pub struct Late<T>(pub Result<T, u32>);

impl<T: Word> Word for Late<T> {
    fn from_word(word: u32) -> Result<Self, Status> {
        Ok(Self(T::from_word(word).map_err(|_| word)))
    }
    fn value(self) -> Value {
        match self.0 {
            Ok(value) => value.value(),
            Err(word) => Value::U32(word),
        }
    }
}

macro_rules! id_words {
    ($($name:ident)*) => {$(
        impl Word for $name {
            fn from_word(word: u32) -> Result<Self, Status> {
                Ok(Self(word))
            }
            fn value(self) -> Value {
                Value::U32(self.0)
            }
        }
    )*};
}
id_words! { ContextId CallId MetricId QueueId }

/// A header map that the guest sent, or why it is none.
pub struct PairsArg(pub Result<Vec<Pair>, PairsError>);

impl PairsArg {
    /// Decodes a slice.
    pub fn new(bytes: &[u8]) -> Self {
        Self(pairs::decode(bytes))
    }

    /// As the trace shows it.
    pub fn value(&self) -> Value {
        match &self.0 {
            Ok(pairs) => Value::Pairs(pairs.clone()),
            Err(error) => Value::BadPairs(error.to_string()),
        }
    }
}

/// What a handler works on: the state of its VM, and the record of this call.
pub struct Cx<'a> {
    /// The VM, with the world inside.
    pub state: &'a mut VmState,
    /// What the call did so far.
    pub effects: &'a mut Vec<Effect>,
    /// What the call costs beside the bytes that it is given and gives.
    pub work: &'a mut usize,
}

impl Cx<'_> {
    /// Charges for work that grows with what the host holds, about one for each nanosecond: without it a guest
    /// with little fuel could keep the host busy for hours.
    pub fn work(&mut self, amount: usize) {
        *self.work = self.work.saturating_add(amount);
    }

    /// Records an effect, if anything is recorded.
    pub fn effect(&mut self, make: impl FnOnce() -> Effect) {
        if self.state.world.recorder.is_on() {
            self.effects.push(make());
        }
    }
}

/// A result that is written through an out pointer.
pub trait Out {
    /// As the trace shows it.
    fn value(&self) -> Value;
}

impl Out for u32 {
    fn value(&self) -> Value {
        Value::U32(*self)
    }
}
impl Out for u64 {
    fn value(&self) -> Value {
        Value::U64(*self)
    }
}
/// A serialised header map, which the trace shows decoded.
pub struct PairsOut(pub Bytes);

impl From<PairsOut> for Bytes {
    fn from(pairs: PairsOut) -> Self {
        pairs.0
    }
}

impl Out for PairsOut {
    fn value(&self) -> Value {
        PairsArg::new(&self.0).value()
    }
}

impl Out for Bytes {
    fn value(&self) -> Value {
        Value::Bytes(self.clone())
    }
}

/// Builds the table of one family; see the module's documentation for the kinds.
macro_rules! hostcall_rows {
    ($($(#[$doc:meta])* $name:ident [$($version:ident)*] $(($flag:ident))* { $($args:tt)* } -> { $($outs:tt)* } = $handler:path;)*) => {
        /// The rows of this family.
        pub static ROWS: &[$crate::host::hostcalls::row::Row] = &[$(
            $crate::host::hostcalls::row::Row {
                name: stringify!($name),
                modules: &["env"],
                versions: &[$($crate::abi::AbiVersion::$version),*],
                params: $crate::host::hostcalls::row::row_params!([] { $($args)* } { $($outs)* }),
                returns: if $crate::host::hostcalls::row::row_flag!(may_return_nothing $($flag)*) {
                    $crate::host::hostcalls::row::Returns::StatusOrNothing
                } else {
                    $crate::host::hostcalls::row::Returns::Status
                },
                at_start: $crate::host::hostcalls::row::row_flag!(at_start $($flag)*),
                unimplemented: $crate::host::hostcalls::row::row_flag!(unimplemented $($flag)*),
                link: |linker, module, shape| $crate::host::hostcalls::row::row_link!(
                    @take linker module shape $name $handler
                    [p0 p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12]
                    (params) (words) (slices) (outs)
                    { $($args)* } { $($outs)* }
                ),
            },
        )*];
    };
}

/// Whether a flag is among those of a row.
macro_rules! row_flag {
    (may_return_nothing may_return_nothing $($rest:ident)*) => { true };
    (at_start at_start $($rest:ident)*) => { true };
    (unimplemented unimplemented $($rest:ident)*) => { true };
    ($wanted:ident) => { false };
    ($wanted:ident $other:ident $($rest:ident)*) => {
        $crate::host::hostcalls::row::row_flag!($wanted $($rest)*)
    };
}

/// The `Param` list of a row.
macro_rules! row_params {
    ([$($done:tt)*] {} {}) => { &[$($done)*] };
    ([$($done:tt)*] { word $name:ident : $ty:ty $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Word),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] { long $name:ident : $ty:ty $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Long),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] { slice $name:ident $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Slice),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] { pairs $name:ident $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Pairs),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] {} { word $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutWord),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { token $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutWord),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { long $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutLong),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { bytes $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutBytes),] {} { $($($rest)*)? })
    };
}

/// One `Param`.
macro_rules! param {
    ($name:ident $kind:ident) => {
        $crate::host::hostcalls::row::Param { name: stringify!($name), kind: $crate::host::hostcalls::row::Kind::$kind }
    };
}

/// The closure that wasmtime calls: takes identifiers for the wasm parameters from a pool, one by one, and then
/// writes decode, call and encode around the handler.
macro_rules! row_link {
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) $slices:tt $outs:tt
     { word $name:ident : $ty:ty $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) (words $($words)* [word $name $p $ty]) $slices $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) $slices:tt $outs:tt
     { long $name:ident : $ty:ty $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i64]) (words $($words)* [long $name $p $ty]) $slices $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) (slices $($slices:tt)*) $outs:tt
     { slice $name:ident $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) (words $($words)* [arg $name]) (slices $($slices)* [slice $name $p $q]) $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) (slices $($slices:tt)*) $outs:tt
     { pairs $name:ident $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) (words $($words)* [arg $name]) (slices $($slices)* [pairs $name $p $q]) $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { word $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) $words $slices (outs $($outs)* [write_word $name $p])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { token $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) $words $slices (outs $($outs)* [token $name $p])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { long $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) $words $slices (outs $($outs)* [write_long $name $p])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { bytes $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) $words $slices (outs $($outs)* [write_bytes $name $p $q])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$($pool:ident)*]
     (params $([$p:ident $pty:ty])*) (words $([$wkind:ident $wname:ident $($wrest:tt)*])*)
     (slices $([$skind:ident $sname:ident $sp:ident $sq:ident])*) (outs $([$okind:ident $oname:ident $($optr:ident)+])*)
     {} {}) => {{
        use $crate::host::hostcalls::row::*;
        use $crate::host::{memory, state::VmState};
        // As many as the wasm signature has.
        #[allow(clippy::too_many_arguments)]
        fn run(mut caller: wasmtime::Caller<'_, VmState>, $($p: $pty),*) -> wasmtime::Result<i32> {
            #[allow(unused_imports)]
            use $crate::abi::*;
            memory::before(&mut caller, stringify!($n))?;
            let mut call = memory::Call::new(&caller, stringify!($n));
            #[allow(unused_mut)]
            let mut started = false;
            let result = 'call: {
                $( $crate::host::hostcalls::row::decode_word!('call call $wkind $wname $($wrest)*); )*
                let Some((data, state)) = memory::split(&mut caller) else {
                    break 'call Err(Status::InvalidMemoryAccess)
                };
                let _ = &data;
                $( $crate::host::hostcalls::row::decode_slice!('call call data state $skind $sname $sp $sq); )*
                if call.is_recorded() {
                    $( $crate::host::hostcalls::row::record_arg!(call $wkind $wname); )*
                    $( $crate::host::hostcalls::row::record_slice!(call $skind $sname); )*
                    // As the specification orders them.
                    let order: &[&str] = &[$(stringify!($wname)),*];
                    call.args.sort_by_key(|(name, _)| order.iter().position(|n| n == name));
                }
                $( $crate::host::hostcalls::row::check_out!('call data started $okind $($optr)+); )*
                let mut cx = Cx { state, effects: &mut call.effects, work: &mut call.work };
                $h(&mut cx, $($wname),*)
            };
            // A row without results has no pattern to name and nothing to break out of.
            #[allow(unused_labels, unused_parens)]
            let status = match result {
                Ok(($($oname),*)) => 'write: {
                    $(
                        if call.is_recorded() {
                            call.returned.push((stringify!($oname), Out::value(&$oname)));
                        }
                        if !$crate::host::hostcalls::row::write_out!(caller $okind $oname $($optr)+) {
                            break 'write Status::InvalidMemoryAccess;
                        }
                    )*
                    Status::Ok
                }
                Err(status) => {
                    if started {
                        $( $crate::host::hostcalls::row::zero_out!(caller $okind $($optr)+); )*
                    }
                    status
                }
            };
            memory::after(&mut caller, call, $crate::trace::HostcallResult::Status(status))?;
            Ok(status as i32)
        }
        match $s {
            Shape::Status => $l.func_wrap($m, stringify!($n), run)?,
            Shape::NoResult => $l.func_wrap(
                $m,
                stringify!($n),
                |caller: wasmtime::Caller<'_, VmState>, $($p: $pty),*| -> wasmtime::Result<()> {
                    run(caller, $($p),*).map(drop)
                },
            )?,
        };
        Ok(())
    }};
}

macro_rules! decode_word {
    ($label:lifetime $call:ident word $name:ident $p:ident $ty:ty) => {
        let $name = match <$ty as Word>::from_word($p as u32) {
            Ok(value) => value,
            Err(status) => {
                $call.args.push((stringify!($name), $crate::trace::Value::U32($p as u32)));
                break $label Err(status);
            }
        };
    };
    ($label:lifetime $call:ident long $name:ident $p:ident $ty:ty) => {
        let $name = $p as $ty;
    };
    ($label:lifetime $call:ident arg $name:ident) => {};
}

macro_rules! decode_slice {
    ($label:lifetime $call:ident $data:ident $state:ident slice $name:ident $p:ident $q:ident) => {
        let Some($name) = memory::slice($data, $p, $q) else {
            break $label Err(Status::InvalidMemoryAccess)
        };
        $call.bytes += $name.len();
    };
    ($label:lifetime $call:ident $data:ident $state:ident pairs $name:ident $p:ident $q:ident) => {
        let Some($name) = memory::slice($data, $p, $q) else {
            break $label Err(Status::InvalidMemoryAccess)
        };
        $call.bytes += $name.len();
        let $name = PairsArg::new($name);
    };
}

/// A token's pointer has to be good before anything is done.
macro_rules! check_out {
    ($label:lifetime $data:ident $started:ident token $p:ident) => {
        if memory::slice($data, $p, 4).is_none() {
            break $label Err(Status::InvalidMemoryAccess);
        }
        $started = true;
    };
    ($label:lifetime $data:ident $started:ident $kind:ident $($p:ident)+) => {};
}

/// What a token is where the call came to nothing.
macro_rules! zero_out {
    ($caller:ident token $p:ident) => {
        memory::write_word(&mut $caller, 0, $p)?;
    };
    ($caller:ident $kind:ident $($p:ident)+) => {};
}

macro_rules! write_out {
    ($caller:ident token $name:ident $p:ident) => {
        memory::write_word(&mut $caller, $name, $p)?
    };
    ($caller:ident $kind:ident $name:ident $($p:ident)+) => {
        memory::$kind(&mut $caller, $name, $($p),+)?
    };
}

macro_rules! record_arg {
    ($call:ident word $name:ident) => {
        $call.args.push((stringify!($name), Word::value($name)));
    };
    ($call:ident long $name:ident) => {
        $call.args.push((stringify!($name), $crate::trace::Value::I64($name as i64)));
    };
    ($call:ident arg $name:ident) => {};
}

macro_rules! record_slice {
    ($call:ident slice $name:ident) => {
        $call.args.push((stringify!($name), $crate::trace::Value::Bytes(::bytes::Bytes::copy_from_slice($name))));
    };
    ($call:ident pairs $name:ident) => {
        $call.args.push((stringify!($name), $name.value()));
    };
}

pub(crate) use {
    check_out, decode_slice, decode_word, hostcall_rows, param, record_arg, record_slice, row_flag, row_link,
    row_params, write_out, zero_out,
};
