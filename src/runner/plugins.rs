//! The modules of a run: each file is loaded once for each profile, whoever asks first.

use crate::host::plugin::{LoadedPlugin, PluginError};
use crate::host::profile::Profile;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wasmtime::Engine;

type Slot = Arc<OnceLock<Result<Arc<LoadedPlugin>, Arc<PluginError>>>>;

/// Hears of a large module, by path and size, before it is loaded.
type Tell = Box<dyn Fn(&Path, u64) + Send + Sync>;

/// Modules by path and profile.
pub struct Plugins {
    engine: Engine,
    loaded: Mutex<HashMap<(PathBuf, &'static str), Slot>>,
    on_large: Tell,
}

/// Compiling a module of this size takes long enough for a word to the user.
const LARGE: u64 = 8 << 20;

impl Plugins {
    /// None yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, loaded: Mutex::default(), on_large: Box::new(|_, _| {}) }
    }

    /// Calls `tell` with path and size before a large module is loaded.
    pub fn telling(mut self, tell: impl Fn(&Path, u64) + Send + Sync + 'static) -> Self {
        self.on_large = Box::new(tell);
        self
    }

    /// The module of a file. Two threads that ask for the same one wait for one compilation.
    pub fn get(&self, path: &Path, profile: &'static Profile) -> Result<Arc<LoadedPlugin>, Arc<PluginError>> {
        let key = (path.to_owned(), profile.name);
        let slot = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.entry(key).or_default().clone()
        };
        slot.get_or_init(|| {
            if let Some(size) = std::fs::metadata(path).ok().map(|m| m.len()).filter(|size| *size >= LARGE) {
                (self.on_large)(path, size);
            }
            LoadedPlugin::load(&self.engine, path, profile).map(Arc::new).map_err(Arc::new)
        })
        .clone()
    }
}
