//! Which upstreams plugins can call by name.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The names that exist.
#[derive(Debug, Clone, Default)]
pub enum Upstreams {
    /// Every name: what answers is the driver's business.
    #[default]
    Any,
    /// These clusters; a call to another is refused by the hostcall (abi.md cases call.unknown-upstream and
    /// grpc.call.unknown).
    Named(Arc<BTreeSet<Bytes>>),
}

impl Upstreams {
    /// Whether there is one of this name.
    pub fn knows(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => names.contains(name),
        }
    }
}
