//! What looks like a mistake in a module that loads all the same.

use super::table::Signature;
use super::words::Shown;
use crate::abi::{AbiVersion, Callback};
use std::fmt;

/// One thing worth saying about a module that loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Several versions of the ABI are declared, and hosts choose differently.
    SeveralMarkers {
        /// The one that counts here.
        chosen: AbiVersion,
        /// All, in the order of the exports.
        declared: Vec<AbiVersion>,
    },
    /// No version is declared, and this host assumes one.
    AssumedVersion(AbiVersion),
    /// A version that hosts do not know is declared too.
    UnknownMarker(String),
    /// Higress's own version is declared, and no other.
    HigressMarker,
    /// An export that looks like a callback and is none.
    UnknownCallback {
        /// The export.
        name: String,
        /// What was most likely meant.
        meant: Option<Callback>,
        /// The host or draft that has the name.
        known_to: Option<&'static str>,
    },
    /// An export that is named like a callback and is no function.
    NotAFunction(String),
    /// A callback or entry point that this host ignores because of its signature.
    Ignored {
        /// The export.
        name: String,
        /// What the host calls.
        wanted: Signature,
        /// What the module has.
        found: Signature,
    },
    /// A callback that this host calls with arguments that do not fit: every call fails.
    FailsWhenCalled {
        /// The export.
        name: String,
        /// What the host calls.
        wanted: Signature,
        /// What the module has.
        found: Signature,
    },
    /// No allocator: each hostcall that returns data fails.
    NoAllocator,
    /// No callback at all: the plugin will never be called.
    NoCallback,
}

impl Warning {
    /// A stable name of the kind of warning, for machines.
    pub fn id(&self) -> &'static str {
        match self {
            Self::SeveralMarkers { .. } => "several-abi-versions",
            Self::AssumedVersion(_) => "assumed-abi-version",
            Self::UnknownMarker(_) => "unknown-abi-version",
            Self::HigressMarker => "higress-abi",
            Self::UnknownCallback { .. } => "unknown-callback",
            Self::NotAFunction(_) => "export-not-a-function",
            Self::Ignored { .. } => "export-ignored",
            Self::FailsWhenCalled { .. } => "export-fails-when-called",
            Self::NoAllocator => "no-allocator",
            Self::NoCallback => "no-callback",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralMarkers { chosen, declared } => {
                f.write_str("the module declares ABI ")?;
                for (i, version) in declared.iter().enumerate() {
                    write!(f, "{}{version}", if i == 0 { "" } else { " and " })?;
                }
                write!(f, "; this host takes {chosen}, and others may choose differently")
            }
            Self::AssumedVersion(version) => {
                write!(
                    f,
                    "no version of the ABI is declared; this host assumes {version}, and others refuse the module"
                )
            }
            Self::HigressMarker => f.write_str(
                "the module declares `proxy_abi_version_0_2_100`, which is Higress's own: Envoy 1.40 refuses it (`Missing or \
                 unknown Proxy-Wasm ABI version`), APISIX takes it for the newest version; pwtest runs it as 0.2.1; for \
                 other hosts build without the tag `proxy_wasm_version_0_2_100`",
            ),
            Self::UnknownMarker(name) => write!(f, "hosts do not know the version that `{}` declares", Shown(name)),
            Self::UnknownCallback { name, meant, known_to } => {
                write!(f, "the export `{}` is never called", Shown(name))?;
                if let Some(host) = known_to {
                    write!(f, ": it belongs to {host}")?;
                }
                match meant {
                    Some(meant) => write!(f, "; did you mean `{}`", meant.export()),
                    None => Ok(()),
                }
            }
            Self::NotAFunction(name) => write!(f, "the export `{}` is not a function and is never called", Shown(name)),
            Self::Ignored { name, wanted, found } => {
                write!(
                    f,
                    "the export `{}` is never called: its signature is {found}, and hosts call {wanted}",
                    Shown(name)
                )
            }
            Self::FailsWhenCalled { name, wanted, found } => {
                write!(
                    f,
                    "every call of the export `{}` fails: its signature is {found}, and this host calls {wanted}",
                    Shown(name)
                )
            }
            Self::NoAllocator => f.write_str(
                "neither `malloc` nor `proxy_on_memory_allocate` is exported; every hostcall that returns data fails",
            ),
            Self::NoCallback => f.write_str("no callback is exported; the plugin is never called"),
        }
    }
}
