//! The modules of a run: each file is loaded once for each profile, whoever asks first.

use crate::host::plugin::{LoadedPlugin, PluginError};
use crate::host::profile::Profile;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wasmtime::Engine;

type Slot = Arc<OnceLock<Result<Arc<LoadedPlugin>, Arc<PluginError>>>>;

/// Modules by path and profile.
pub struct Plugins {
    engine: Engine,
    loaded: Mutex<HashMap<(PathBuf, &'static str), Slot>>,
}

impl Plugins {
    /// None yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, loaded: Mutex::default() }
    }

    /// The module of a file. Two threads that ask for the same one wait for one compilation.
    pub fn get(&self, path: &Path, profile: &'static Profile) -> Result<Arc<LoadedPlugin>, Arc<PluginError>> {
        let key = (path.to_owned(), profile.name);
        let slot = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.entry(key).or_default().clone()
        };
        slot.get_or_init(|| LoadedPlugin::load(&self.engine, path, profile).map(Arc::new).map_err(Arc::new)).clone()
    }
}
