//! What the host offers to modules and how a profile links them: the two inputs of an inspection, plain data.
//!
//! The engine has types for this too; these exist so that a module can be judged without an engine, and so
//! that the rows of the hostcalls can state their signatures as constants.

use crate::abi::{AbiVersion, Callback};
use std::borrow::Cow;
use std::fmt;

/// The type of one parameter or result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValKind {
    /// 32-bit integer, and every pointer and size of the ABI.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector. No hostcall has one; a module may still ask for it.
    V128,
    /// A reference. No hostcall has one; a module may still ask for it.
    Ref,
}

impl fmt::Display for ValKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::Ref => "ref",
        })
    }
}

/// Parameters and results of a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    /// The parameters.
    pub params: Cow<'static, [ValKind]>,
    /// The results.
    pub results: Cow<'static, [ValKind]>,
}

impl Signature {
    /// A signature from constants.
    pub const fn of(params: &'static [ValKind], results: &'static [ValKind]) -> Self {
        Self { params: Cow::Borrowed(params), results: Cow::Borrowed(results) }
    }
}

impl fmt::Display for Signature {
    /// `(i32, i32) -> i32`, and `(i32)` where there is no result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hostile type may have a thousand parameters, and messages are one line.
        const SHOWN: usize = 16;
        let list = |f: &mut fmt::Formatter<'_>, kinds: &[ValKind]| {
            f.write_str("(")?;
            for (i, kind) in kinds.iter().take(SHOWN).enumerate() {
                write!(f, "{}{kind}", if i == 0 { "" } else { ", " })?;
            }
            match kinds.len().saturating_sub(SHOWN) {
                0 => f.write_str(")"),
                more => write!(f, ", and {more} more)"),
            }
        };
        list(f, &self.params)?;
        match &*self.results {
            [] => Ok(()),
            [one] => write!(f, " -> {one}"),
            many => {
                f.write_str(" -> ")?;
                list(f, many)
            }
        }
    }
}

/// Parameters and results, as constants.
pub type Shape = (&'static [ValKind], &'static [ValKind]);

/// One function that the host defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The module that it is imported from: `env`, `wasi_snapshot_preview1`.
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [ValKind],
    /// Its results.
    pub results: &'static [ValKind],
    /// The versions of the ABI that have it; none listed means all.
    pub versions: &'static [AbiVersion],
    /// Further shapes under which it may be imported: `proxy_continue_request` has no result in the text of
    /// 0.1.0 and one in every host.
    pub alternatives: &'static [Shape],
}

impl Known {
    /// Every signature under which it may be imported, the usual one first.
    pub fn signatures(&self) -> impl Iterator<Item = Signature> {
        std::iter::once((self.params, self.results))
            .chain(self.alternatives.iter().copied())
            .map(|(params, results)| Signature::of(params, results))
    }

    /// Whether a module of this version has it.
    pub fn exists_in(&self, version: AbiVersion) -> bool {
        self.versions.is_empty() || self.versions.contains(&version)
    }
}

/// Every function that some host defines. One name may have several rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportTable {
    /// The rows, in any order.
    pub known: Cow<'static, [Known]>,
}

/// What happens to a module that declares no version of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingMarker {
    /// It is refused (Envoy, Kong).
    Refuse,
    /// It is taken for a module of this version (APISIX).
    Assume(AbiVersion),
}

/// Which of several declared versions counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeveralMarkers {
    /// The first in the order of the exports (Envoy, Kong).
    FirstExported,
    /// The highest (APISIX).
    Newest,
}

/// Which hostcalls a module can import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkedHostcalls {
    /// Those of the version that the module declares (Envoy).
    OfItsVersion,
    /// All (APISIX, Kong).
    All,
}

/// What happens to a module that exports no allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingAllocator {
    /// It is refused (Envoy, Kong).
    Refuse,
    /// It loads, and each hostcall that returns data fails (APISIX).
    Load,
}

/// What happens to an export that the host looks for and that has another signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongExport {
    /// The module is refused (Envoy with V8).
    Refuse,
    /// It counts as absent, with a warning (Envoy with Wasmtime).
    Ignore,
    /// It is called all the same, and the call fails (APISIX). Entry points and allocators that do not fit are refused
    /// or absent, for there the call fails before the module has loaded.
    FailWhenCalled,
}

/// Which entry points a host calls, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFunctions {
    /// `_initialize` and then `main` or `__main_void`; `_start` only where there is no `_initialize` (the
    /// specification, Envoy).
    ReactorFirst,
    /// `_start`, or else `_initialize`; never `main` (APISIX).
    CommandFirst,
}

/// Which memory the host uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryExport {
    /// The one named `memory`, or else the first that is exported (Envoy, Kong).
    Any,
    /// Only the one named `memory` (APISIX).
    Named,
}

/// How a host loads modules: the part of a profile that an inspection needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRules {
    /// The host, as messages name it: `envoy`.
    pub host: &'static str,
    /// No version declared.
    pub missing_marker: MissingMarker,
    /// Several versions declared.
    pub several_markers: SeveralMarkers,
    /// The hostcalls that can be imported.
    pub hostcalls: LinkedHostcalls,
    /// No allocator exported.
    pub missing_allocator: MissingAllocator,
    /// A callback or entry point with another signature.
    pub wrong_export: WrongExport,
    /// The memory.
    pub memory: MemoryExport,
    /// Callbacks without which a module is refused (Kong has three).
    pub required: &'static [Callback],
    /// Rows of the table that this host does not define, by name (APISIX has no `proxy_get_buffer_status`).
    pub undefined: Cow<'static, [&'static str]>,
    /// Rows that this host defines otherwise; they take the place of the table's rows of the same name (APISIX's
    /// `proxy_get_metric` takes an i64).
    pub redefined: Cow<'static, [Known]>,
    /// Which entry points the host calls.
    pub start: StartFunctions,
}

impl LinkRules {
    /// The strictest reading: what Envoy does with V8, and the specification wherever it speaks.
    pub const STRICT: LinkRules = LinkRules {
        host: "envoy",
        missing_marker: MissingMarker::Refuse,
        several_markers: SeveralMarkers::FirstExported,
        hostcalls: LinkedHostcalls::OfItsVersion,
        missing_allocator: MissingAllocator::Refuse,
        wrong_export: WrongExport::Refuse,
        memory: MemoryExport::Any,
        required: &[],
        undefined: Cow::Borrowed(&[]),
        redefined: Cow::Borrowed(&[]),
        start: StartFunctions::ReactorFirst,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValKind::{F64, I32, I64};

    #[test]
    fn signatures_read_like_types() {
        assert_eq!(Signature::of(&[], &[]).to_string(), "()");
        assert_eq!(Signature::of(&[I32, I64], &[I32]).to_string(), "(i32, i64) -> i32");
        assert_eq!(Signature::of(&[F64], &[I32, I32]).to_string(), "(f64) -> (i32, i32)");
        let many = Signature { params: vec![I32; 1000].into(), results: Vec::new().into() };
        assert!(many.to_string().ends_with("i32, and 984 more)"), "{many}");
    }
}
