//! The modules of a configuration: each file is compiled once for each of its versions.

use crate::gateway::model::WasmPlugin;
use crate::host::plugin::{LoadedPlugin, PluginError};
use crate::host::profile::Profile;
use crate::proxy::reload::Stamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::Engine;

/// Modules that were compiled, by file.
pub struct Modules {
    engine: Engine,
    profile: &'static Profile,
    kept: BTreeMap<PathBuf, (Stamp, Arc<LoadedPlugin>)>,
}

/// A module that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to load plugin [{name}] err: {}: {error}", file.display())]
pub struct ModuleError {
    /// The plugin's name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Why.
    pub error: PluginError,
}

/// Whether a file that has not changed is compiled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What is known of it is used.
    Kept,
    /// It is read again in any case.
    Anew,
}

impl Modules {
    /// None yet.
    pub fn new(engine: Engine, profile: &'static Profile) -> Self {
        Self { engine, profile, kept: BTreeMap::new() }
    }

    /// The modules of these plugins, in their order. What none of them uses is forgotten, if all of them load.
    pub fn load(
        &mut self,
        plugins: &[WasmPlugin],
        freshness: Freshness,
    ) -> Result<Vec<Arc<LoadedPlugin>>, Box<ModuleError>> {
        let mut kept: BTreeMap<PathBuf, (Stamp, Arc<LoadedPlugin>)> = BTreeMap::new();
        let mut modules = Vec::new();
        for plugin in plugins {
            let file = &plugin.file;
            // Looked at before it is read: what is written meanwhile is a later version.
            let stamp = Stamp::of(file);
            let known = match freshness {
                Freshness::Kept => self.kept.get(file),
                Freshness::Anew => None,
            };
            let known = kept.get(file).or(known).filter(|(of, _)| Some(*of) == stamp).map(|(_, module)| module.clone());
            let module = match known {
                Some(module) => module,
                None => {
                    let loaded = LoadedPlugin::load(&self.engine, file, self.profile);
                    Arc::new(loaded.map_err(|error| ModuleError {
                        name: plugin.name.to_string(),
                        file: file.clone(),
                        error,
                    })?)
                }
            };
            if let Some(stamp) = stamp {
                kept.insert(file.clone(), (stamp, module.clone()));
            }
            modules.push(module);
        }
        self.kept = kept;
        Ok(modules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::model::RequestPhase;
    use crate::host::engine::{Metering, ModuleCache, metered_engine};
    use crate::host::profile::APISIX;

    #[test]
    fn a_file_is_compiled_once_for_each_of_its_versions() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.wat");
        let text = |word: &str| {
            format!(
                r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (data (i32.const 0) "{word}"))"#
            )
        };
        std::fs::write(&file, text("one")).expect("a file");
        let plugin = |name: &str, file: &std::path::Path| WasmPlugin {
            name: name.into(),
            file: file.to_owned(),
            priority: 1,
            http_request_phase: RequestPhase::Access,
        };
        let engine = metered_engine(&ModuleCache::Off, Metering::Beats).expect("an engine");
        let mut modules = Modules::new(engine, &APISIX);
        let plugins = [plugin("a", &file), plugin("b", &file)];
        let first = modules.load(&plugins, Freshness::Kept).expect("it loads");
        assert!(Arc::ptr_eq(&first[0], &first[1]));
        let again = modules.load(&plugins, Freshness::Kept).expect("it loads");
        assert!(Arc::ptr_eq(&first[0], &again[0]));
        let anew = modules.load(&plugins, Freshness::Anew).expect("it loads");
        assert!(!Arc::ptr_eq(&first[0], &anew[0]) && Arc::ptr_eq(&anew[0], &anew[1]));
        std::fs::write(&file, text("another")).expect("a file");
        let changed = modules.load(&plugins, Freshness::Kept).expect("it loads");
        assert!(!Arc::ptr_eq(&anew[0], &changed[0]));
        let missing = [plugin("a", &file), plugin("c", &folder.path().join("none.wasm"))];
        let error = modules.load(&missing, Freshness::Kept).err().expect("no such file");
        assert!(error.to_string().starts_with("failed to load plugin [c] err: "), "{error}");
        assert!(Arc::ptr_eq(&changed[0], &modules.load(&plugins, Freshness::Kept).expect("it loads")[0]));
    }
}
