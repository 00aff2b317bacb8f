//! The engine: one wasmtime configuration for all modules, and the cache of compiled ones.

use anyhow::Context as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
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

/// How guests that don't come back are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// Fuel is counted: the same input stops at the same instruction on every machine.
    Fuel,
    /// A deadline in beats of a [`Heart`].
    Beats,
}

/// The time between two beats of a heart.
pub const BEAT: Duration = Duration::from_millis(10);

/// Lets time pass for the guests of an engine, until it is dropped.
#[derive(Debug)]
pub struct Heart {
    stopped: Arc<AtomicBool>,
}

impl Heart {
    /// Begins to beat.
    pub fn of(engine: &Engine) -> std::io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (engine, seen) = (engine.weak(), stopped.clone());
        std::thread::Builder::new().name("heart".to_owned()).spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(BEAT);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stopped })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Builds the engine of the runner, which counts fuel.
pub fn engine(cache: &ModuleCache) -> anyhow::Result<Engine> {
    metered_engine(cache, Metering::Fuel)
}

/// Builds an engine.
pub fn metered_engine(cache: &ModuleCache, metering: Metering) -> anyhow::Result<Engine> {
    let mut config = Config::new();
    match metering {
        Metering::Fuel => config.consume_fuel(true),
        Metering::Beats => config.epoch_interruption(true),
    };
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
        // A module that is loaded often would be compressed once more, better: some 170 MB and minutes of a processor, at
        // some load of a server that has been reloaded for weeks.
        settings.with_optimized_compression_usage_counter_threshold(u64::MAX);
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
