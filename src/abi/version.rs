//! The three published versions of the ABI and the marker exports that declare them.

use std::fmt;

/// A published version of the Proxy-Wasm ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    /// 0.1.0
    V0_1_0,
    /// 0.2.0
    V0_2_0,
    /// 0.2.1
    V0_2_1,
}

impl AbiVersion {
    /// All versions, oldest first.
    pub const ALL: [AbiVersion; 3] = [Self::V0_1_0, Self::V0_2_0, Self::V0_2_1];

    /// The function whose export declares this version. It is a marker and is never called.
    pub fn marker(self) -> &'static str {
        match self {
            Self::V0_1_0 => "proxy_abi_version_0_1_0",
            Self::V0_2_0 => "proxy_abi_version_0_2_0",
            Self::V0_2_1 => "proxy_abi_version_0_2_1",
        }
    }

    /// The version that an export of this name declares.
    pub fn from_marker(export: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.marker() == export)
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
        })
    }
}
