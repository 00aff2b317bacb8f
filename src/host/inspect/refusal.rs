//! Why a file is not a plugin that the host can load: every reason at once, each with its usual cause.
//!
//! A reason is one line; what to do about it is its hint. Texts that come out of the module (names, mostly) are
//! escaped and cut, because a module can be anything.

use super::origin::Origin;
use super::table::Signature;
use crate::abi::{AbiVersion, Callback};
use std::fmt;

/// A file could not be loaded as a plugin. There is always at least one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    reasons: Vec<Reason>,
}

impl LoadError {
    /// The error with these reasons, if there are any.
    pub(super) fn of(reasons: Vec<Reason>) -> Option<Self> {
        (!reasons.is_empty()).then_some(Self { reasons })
    }

    /// Every reason, in the order of the module.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// The hints of all reasons, each once: forty imports of one toolchain need one explanation.
    pub fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.reasons.iter().filter_map(Reason::hint) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }
}

impl From<Reason> for LoadError {
    fn from(reason: Reason) -> Self {
        Self { reasons: vec![reason] }
    }
}

impl fmt::Display for LoadError {
    /// All reasons on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// One reason why a file is not a plugin that the host can load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The file has no bytes.
    Empty,
    /// The file is something else.
    NotWasm {
        /// What it seems to be.
        looks: Lookalike,
        /// Its first bytes.
        first: Vec<u8>,
    },
    /// The text format has a mistake.
    Text {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's words.
        message: String,
        /// The text around the place.
        excerpt: String,
    },
    /// The module ends too early.
    Truncated {
        /// The length of the file.
        size: usize,
        /// The section it ends in.
        section: Option<&'static str>,
        /// The number of bytes missing at least.
        missing: Option<u64>,
    },
    /// A component, not a module.
    Component,
    /// A version of the binary format that does not exist.
    Version(u32),
    /// The module breaks the rules of WebAssembly.
    Invalid {
        /// Where.
        offset: Option<usize>,
        /// The validator's words.
        message: String,
    },
    /// The module is not yet linked.
    Unlinked(Unlinked),
    /// The module needs a feature that the engine does not have.
    Feature(Feature),
    /// No version of the ABI is declared.
    NoMarker {
        /// What is exported instead.
        instead: Instead,
    },
    /// The host defines no such function.
    UnknownImport {
        /// The module it is imported from.
        module: String,
        /// Its name.
        name: String,
        /// A similar import that exists, as `module.name`.
        nearest: Option<String>,
        /// The usual cause.
        origin: Option<Origin>,
    },
    /// A hostcall that exists, but not on this host.
    UndefinedHere {
        /// Its name.
        name: String,
        /// The host.
        host: &'static str,
    },
    /// Further imports that are not listed.
    MoreImports(usize),
    /// A hostcall of another version of the ABI.
    OtherVersion {
        /// Its name.
        name: String,
        /// The version that the module declares.
        declared: AbiVersion,
        /// The versions that have it.
        exists_in: Vec<AbiVersion>,
    },
    /// An import with another signature than the host's function.
    ImportSignature {
        /// The module it is imported from.
        module: String,
        /// Its name.
        name: String,
        /// The host's signatures.
        wanted: Vec<Signature>,
        /// The module's.
        found: Signature,
    },
    /// An import as the ABI has it, of a function that this host defines with another signature.
    RedefinedHere {
        /// Its name.
        name: String,
        /// The host.
        host: &'static str,
        /// The host's signatures.
        wanted: Vec<Signature>,
        /// The module's, which is the ABI's.
        found: Signature,
    },
    /// An import that is no function.
    ImportKind {
        /// The module it is imported from.
        module: String,
        /// Its name.
        name: String,
        /// What it is.
        kind: ItemKind,
    },
    /// No memory is exported.
    NoMemory,
    /// A memory is exported, but not as `memory`, and this host looks for that name.
    MemoryName {
        /// The name that it has.
        found: String,
        /// The host.
        host: &'static str,
    },
    /// No allocator is exported.
    NoAllocator,
    /// A callback that this host insists on.
    MissingCallback {
        /// The callback.
        callback: Callback,
        /// The host.
        host: &'static str,
    },
    /// A callback, allocator or entry point with a signature that the host does not call.
    ExportSignature {
        /// The export.
        name: String,
        /// What the host calls.
        wanted: Signature,
        /// What the module has.
        found: Signature,
    },
}

impl Reason {
    /// The imports or exports that it is about, as they are in the module.
    pub fn names(&self) -> Vec<String> {
        let one = match self {
            Self::UnknownImport { module, name, .. }
            | Self::ImportSignature { module, name, .. }
            | Self::ImportKind { module, name, .. } => format!("{module}.{name}"),
            Self::UndefinedHere { name, .. } | Self::OtherVersion { name, .. } | Self::RedefinedHere { name, .. } => {
                format!("env.{name}")
            }
            Self::MemoryName { found: name, .. } | Self::ExportSignature { name, .. } => name.clone(),
            Self::MissingCallback { callback, .. } => callback.export().to_owned(),
            _ => return Vec::new(),
        };
        vec![one]
    }

    /// A stable name of the kind of reason, for machines.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Empty => "empty-file",
            Self::NotWasm { .. } => "not-a-module",
            Self::Text { .. } => "syntax-error",
            Self::Truncated { .. } => "truncated",
            Self::Component => "component",
            Self::Version(_) => "format-version",
            Self::Invalid { .. } => "invalid-module",
            Self::Unlinked(_) => "unlinked",
            Self::Feature(_) => "unsupported-feature",
            Self::NoMarker { .. } => "no-abi-version",
            Self::UnknownImport { .. } => "unknown-import",
            Self::UndefinedHere { .. } => "undefined-hostcall",
            Self::MoreImports(_) => "more-unknown-imports",
            Self::OtherVersion { .. } => "hostcall-of-other-version",
            Self::ImportSignature { .. } => "import-signature",
            Self::RedefinedHere { .. } => "redefined-hostcall",
            Self::ImportKind { .. } => "import-not-a-function",
            Self::NoMemory => "no-memory",
            Self::MemoryName { .. } => "memory-name",
            Self::NoAllocator => "no-allocator",
            Self::MissingCallback { .. } => "missing-callback",
            Self::ExportSignature { .. } => "export-signature",
        }
    }
}

/// What a file that is no module seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum Lookalike {
    Elf,
    MachO,
    Windows,
    Gzip,
    Zstd,
    Zip,
    Tar,
    StaticLibrary,
    Bitcode,
    GitLfs,
    Base64,
    Utf16,
    Html,
    Json,
    Text,
    Unknown,
}

/// A stage before linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlinked {
    /// The output of a compiler.
    Object,
    /// A library for dynamic linking.
    SharedLibrary,
}

/// A feature of WebAssembly that the engine is not configured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Shared memory.
    Threads,
    /// 64-bit memory.
    Memory64,
    /// Exception handling.
    Exceptions,
    /// Structs and arrays.
    Gc,
    /// Continuations.
    StackSwitching,
    /// Pages of another size than 64 KiB.
    CustomPageSizes,
}

/// What a module without a marker exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// A marker of a version that is none of the three.
    Marker(String),
    /// A marker that is no function.
    NotAFunction(String),
    /// Callbacks.
    Callbacks,
    /// `_start` and no callback: a command.
    Command,
    /// Nothing that has to do with Proxy-Wasm.
    Nothing,
}

/// Kinds of import that hosts do not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub enum ItemKind {
    Memory,
    Table,
    Global,
    Tag,
}
