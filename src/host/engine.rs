//! The engine: one wasmtime configuration for all modules, and the cache of compiled ones.

use anyhow::Context as _;
use std::path::PathBuf;
use wasmtime::{Cache, CacheConfig, Config, Engine, WasmBacktraceDetails};

/// Where compiled modules are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleCache {
    /// In the user's cache folder.
    User,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// Builds the engine. Fuel is counted, so that the same input stops at the same instruction on every machine.
pub fn engine(cache: &ModuleCache) -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(true);
    // Symbols are looked up when a trap is shown, not when it happens.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.cranelift_nan_canonicalization(true);
    config.max_wasm_stack(1 << 20);
    let folder = match cache {
        ModuleCache::Off => None,
        ModuleCache::User => Some(None),
        ModuleCache::Folder(folder) => Some(Some(folder)),
    };
    if let Some(folder) = folder {
        let mut settings = CacheConfig::new();
        if let Some(folder) = folder {
            settings.with_directory(folder);
        }
        // A cache that can't be had is not worth a failure: modules are compiled then.
        if let Ok(cache) = Cache::new(settings) {
            config.cache(Some(cache));
        }
    }
    Engine::new(&config).map_err(|error| anyhow::anyhow!("{error:#}")).context("the wasm engine does not start")
}
