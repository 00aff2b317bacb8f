//! What a hostcall is: one row with a typed handler.
//!
//! A row names the import, the ABI versions that have it, its arguments and results, and a handler. Decoding,
//! bounds checks, out pointers, status mapping and tracing are written once, in `hostcall_rows!`, and the
//! result is monomorphic: wasmtime calls a plain closure with the wasm signature. Handlers see neither
//! pointers nor the engine.
//!
//! Kinds of argument: `word` is one i32, `long` one i64, `slice` a pointer and a length, `pairs` a slice that
//! holds a header map. Kinds of result: `word` and `long` are pointers to 4 and 8 bytes, `bytes` is a pointer to
//! a pointer and a pointer to a size, filled through the guest's allocator, and an `outcome` is such
//! bytes or a failure, where a pointer 0 says that nobody wants to know. A `token` is a word that the host sets to
//! 0 before it acts, so that nothing is done where its pointer is bad (Envoy 1.40: calls).
//!
//! The order of checks is that of the C++ host (abi.md 3.1): enums, then slices, then the operation, then the
//! out pointers.

mod macros;

pub(crate) use macros::{
    check_out, decode_slice, decode_word, hostcall_rows, param, record_arg, record_slice, row_flag, row_link,
    row_params, write_out, zero_out,
};

use crate::abi::pairs::{self, Pair, PairsError};
use crate::abi::{
    AbiVersion, BufferType, CallId, ContextId, LogLevel, MapType, MetricId, MetricType, QueueId, Status, StreamType,
};
use crate::host::profile::Profile;
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
    /// Reads it; the profile says what becomes of a number that the type does not have.
    fn from_word(word: u32, profile: &Profile) -> Result<Self, Status>;
    /// As the trace shows it.
    fn value(self) -> Value;
}

impl Word for u32 {
    fn from_word(word: u32, _: &Profile) -> Result<Self, Status> {
        Ok(word)
    }
    fn value(self) -> Value {
        Value::U32(self)
    }
}

impl Word for i32 {
    fn from_word(word: u32, _: &Profile) -> Result<Self, Status> {
        Ok(word as i32)
    }
    fn value(self) -> Value {
        Value::I64(self.into())
    }
}

macro_rules! enum_words {
    ($($name:ident)*) => {$(
        impl Word for $name {
            fn from_word(word: u32, profile: &Profile) -> Result<Self, Status> {
                Self::from_u32(word).ok_or(profile.unknown_enum)
            }
            fn value(self) -> Value {
                Value::Name(self.name())
            }
        }
    )*};
}
enum_words! { BufferType MapType StreamType MetricType }

impl Word for LogLevel {
    fn from_word(word: u32, profile: &Profile) -> Result<Self, Status> {
        Self::from_u32(word).or(profile.unknown_log_level).ok_or(Status::BadArgument)
    }
    fn value(self) -> Value {
        Value::Name(self.name())
    }
}

/// An enum that the host looks at after the slices, not before them: the handler does it.
#[derive(Debug, Clone, Copy)]
pub struct Late<T>(pub Result<T, u32>);

impl<T: Word> Word for Late<T> {
    fn from_word(word: u32, profile: &Profile) -> Result<Self, Status> {
        Ok(Self(T::from_word(word, profile).map_err(|_| word)))
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
            fn from_word(word: u32, _: &Profile) -> Result<Self, Status> {
                Ok(Self(word))
            }
            fn value(self) -> Value {
                Value::U32(self.0)
            }
        }
    )*};
}
id_words! { ContextId CallId MetricId QueueId }

/// A header map that the guest sent, or why it is none, and whether there was not one byte of it.
pub struct PairsArg(pub Result<Vec<Pair>, PairsError>, bool);

impl PairsArg {
    /// Decodes a slice.
    pub fn new(bytes: &[u8]) -> Self {
        Self(pairs::decode(bytes), bytes.is_empty())
    }

    /// Whether the guest gave no bytes at all.
    pub fn is_nothing(&self) -> bool {
        self.1
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
/// What a function that a hostcall calls came to: bytes, for which it asked the guest's memory; none; or a failure,
/// which writes its out pointers nevertheless.
pub struct Outcome(pub Result<Option<Bytes>, Status>);

impl Out for Outcome {
    fn value(&self) -> Value {
        Value::Bytes(self.0.clone().ok().flatten().unwrap_or_default())
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
