//! What stands for the real Envoy in a build without the network.

#[path = "error.rs"]
mod error;

pub use error::EnvoyError;

use super::case::Job;
use super::{CaseResult, Plugins, RunOptions};
use std::path::{Path, PathBuf};

/// The path in `envoy@PATH`.
pub fn path_of(host: &str) -> Option<PathBuf> {
    host.strip_prefix("envoy@").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A binary that nobody can run.
#[derive(Debug)]
pub struct Binary {
    /// Nothing.
    pub warning: Option<String>,
}

impl Binary {
    /// Says that there is nothing to run it with.
    pub fn open(_: &Path) -> Result<Self, EnvoyError> {
        Err(EnvoyError::NotBuilt)
    }

    /// Says that there is nothing to run it with.
    pub fn run(
        &self,
        _: &[(usize, &Job<'_>)],
        _: &Plugins,
        _: &RunOptions,
        _: &mut dyn FnMut(usize, CaseResult),
    ) -> Result<(), EnvoyError> {
        Err(EnvoyError::NotBuilt)
    }
}
