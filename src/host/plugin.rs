//! A module that has been looked at, compiled and linked: shared by all VMs that run it, on all threads.

use super::hostcalls::{self, row};
use super::inspect::{
    self, Import, ImportTable, Inspection, Known, LinkRules, LinkedHostcalls, LoadError, MemoryExport,
    MissingAllocator, MissingMarker, SeveralMarkers, ValKind,
};
use super::memory;
use super::profile::{Deviation, Profile};
use super::state::VmState;
use crate::abi::{ALL_CALLBACKS, AbiVersion, Callback, Status};
use crate::trace::HostcallResult;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use wasmtime::{Engine, FuncType, InstancePre, Linker, Module, ModuleExport, Val, ValType};

/// A module may not be larger than this.
const LARGEST: u64 = 512 << 20;

/// A plugin's code, ready to be instantiated.
pub struct LoadedPlugin {
    /// Where it came from.
    pub path: PathBuf,
    /// What it is.
    pub inspection: Inspection,
    /// The binary, for symbols.
    pub wasm: Arc<Vec<u8>>,
    pub(super) pre: InstancePre<VmState>,
    pub(super) exports: Vec<Option<ModuleExport>>,
    pub(super) memory: Option<ModuleExport>,
    pub(super) allocator: Option<ModuleExport>,
    pub(super) module: Module,
}

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The file could not be read.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// It is not a plugin that this host can run; every reason.
    #[error("{}", reasons(.0))]
    Refused(LoadError),
    /// The engine does not take it.
    #[error("does not compile: {0}")]
    Engine(String),
}

fn reasons(error: &LoadError) -> String {
    error.reasons().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What the rows offer, in the form that an inspection takes.
static TABLE: LazyLock<ImportTable> =
    LazyLock::new(|| ImportTable { known: hostcalls::rows().flat_map(known).collect::<Vec<_>>().into() });
/// The same with one signature for each.
static STRICT_TABLE: LazyLock<ImportTable> = LazyLock::new(|| {
    let known = TABLE.known.iter().map(|known| Known { alternatives: &[], ..*known });
    ImportTable { known: known.collect::<Vec<_>>().into() }
});

/// The hostcalls of one host.
pub(super) fn table(profile: &Profile) -> &'static ImportTable {
    if profile.links_without_result { &TABLE } else { &STRICT_TABLE }
}

fn known(row: &'static row::Row) -> impl Iterator<Item = Known> {
    // Leaked once for the life of the process: the table is static data that is computed from the rows.
    let params: &'static [ValKind] = Vec::leak(
        row.wasm_params()
            .into_iter()
            .map(|p| match p {
                row::Wasm::I32 => ValKind::I32,
                row::Wasm::I64 => ValKind::I64,
            })
            .collect(),
    );
    let (results, alternatives): (&'static [ValKind], &'static [inspect::Shape]) = match row.returns {
        row::Returns::Status => (&[ValKind::I32], &[]),
        row::Returns::StatusOrNothing => (&[ValKind::I32], &[(&[], &[])]),
        row::Returns::Nothing => (&[], &[]),
    };
    row.modules.iter().map(move |module| Known {
        module,
        name: row.name,
        params,
        results,
        versions: row.versions,
        alternatives,
    })
}

/// Reads a file that may be a module.
pub fn read(path: &Path) -> Result<Vec<u8>, PluginError> {
    let unreadable = |error: std::io::Error| PluginError::Unreadable(error.to_string());
    // A path may name a device that never ends.
    let mut bytes = Vec::new();
    let mut file = std::fs::File::open(path).map_err(unreadable)?.take(LARGEST + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(PluginError::Unreadable(format!("larger than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

impl LoadedPlugin {
    /// Reads, inspects, compiles and links a file.
    pub fn load(engine: &Engine, path: &Path, profile: &'static Profile) -> Result<Self, PluginError> {
        Self::from_bytes(engine, path, read(path)?, profile)
    }

    /// The same, for bytes that are already there.
    pub fn from_bytes(
        engine: &Engine,
        path: &Path,
        bytes: Vec<u8>,
        profile: &'static Profile,
    ) -> Result<Self, PluginError> {
        let wasm = inspect::to_wasm(bytes, path).map_err(PluginError::Refused)?;
        let inspection = inspect::inspect(&wasm, table(profile), &link_rules(profile)).map_err(PluginError::Refused)?;
        let engine_error = |error: wasmtime::Error| PluginError::Engine(format!("{error:#}"));
        let module = Module::new(engine, &wasm).map_err(engine_error)?;
        let mut linker = Linker::new(engine);
        for import in &inspection.imports {
            link(&mut linker, import, profile).map_err(engine_error)?;
        }
        let pre = linker.instantiate_pre(&module).map_err(engine_error)?;
        let exports = ALL_CALLBACKS
            .iter()
            .map(|callback| {
                let wanted = inspection.callbacks.contains(callback);
                wanted.then(|| module.get_export_index(callback.export())).flatten()
            })
            .collect();
        let memory = module.get_export_index(&inspection.memory.export);
        let allocator = profile
            .allocators
            .iter()
            .find(|a| inspection.allocators.contains(a))
            .and_then(|a| module.get_export_index(a.export()));
        let path = path.to_owned();
        Ok(Self { path, inspection, wasm: Arc::new(wasm), pre, exports, memory, allocator, module })
    }

    /// The ABI that it declares.
    pub fn abi(&self) -> AbiVersion {
        self.inspection.abi
    }

    /// Whether it exports a callback.
    pub fn has(&self, callback: Callback) -> bool {
        self.inspection.callbacks.contains(&callback)
    }
}

fn link(linker: &mut Linker<VmState>, import: &Import, profile: &'static Profile) -> wasmtime::Result<()> {
    if let Some(Deviation::Signature(known)) = profile.deviation(&import.name) {
        return link_dummy(linker, import, known);
    }
    let row = hostcalls::rows().find(|row| row.name == import.name && row.modules.contains(&import.module.as_str()));
    let Some(row) = row else {
        return Err(wasmtime::Error::msg(format!("{}.{} is not defined", import.module, import.name)));
    };
    let shape = if import.signature.results.is_empty() && row.returns == row::Returns::StatusOrNothing {
        row::Shape::NoResult
    } else {
        row::Shape::Status
    };
    (row.link)(linker, &import.module, shape)
}

/// A function that the host defines in a shape of its own: it says OK, and nothing happens.
fn link_dummy(linker: &mut Linker<VmState>, import: &Import, known: &'static Known) -> wasmtime::Result<()> {
    let kinds = |kinds: &[ValKind]| kinds.iter().map(|kind| wasm_type(*kind)).collect::<Vec<_>>();
    let shape = FuncType::new(linker.engine(), kinds(known.params), kinds(known.results));
    linker.func_new(&import.module, &import.name, shape, move |mut caller, _, results| {
        memory::before(&mut caller, known.name)?;
        let call = memory::Call::new(&caller, known.name);
        memory::after(&mut caller, call, HostcallResult::Status(Status::Ok))?;
        if let Some(result) = results.first_mut() {
            *result = Val::I32(Status::Ok as i32);
        }
        Ok(())
    })?;
    Ok(())
}

fn wasm_type(kind: ValKind) -> ValType {
    match kind {
        ValKind::I32 => ValType::I32,
        ValKind::I64 => ValType::I64,
        ValKind::F32 => ValType::F32,
        ValKind::F64 => ValType::F64,
        ValKind::V128 => ValType::V128,
        ValKind::Ref => ValType::EXTERNREF,
    }
}

pub(super) fn link_rules(profile: &'static Profile) -> LinkRules {
    let undefined = profile.hostcalls.iter().filter_map(|(name, deviation)| match deviation {
        Deviation::Undefined => Some(*name),
        Deviation::Signature(_) | Deviation::Answers(_) => None,
    });
    let redefined = profile.hostcalls.iter().filter_map(|(_, deviation)| match deviation {
        Deviation::Signature(known) => Some(*known),
        Deviation::Undefined | Deviation::Answers(_) => None,
    });
    LinkRules {
        host: profile.name,
        missing_marker: match profile.requires_marker {
            true => MissingMarker::Refuse,
            false => MissingMarker::Assume(AbiVersion::V0_2_1),
        },
        several_markers: match profile.newest_marker_counts {
            true => SeveralMarkers::Newest,
            false => SeveralMarkers::FirstExported,
        },
        hostcalls: match profile.links_by_version {
            true => LinkedHostcalls::OfItsVersion,
            false => LinkedHostcalls::All,
        },
        missing_allocator: match profile.requires_allocator {
            true => MissingAllocator::Refuse,
            false => MissingAllocator::Load,
        },
        wrong_export: profile.wrong_callback,
        memory: match profile.memory_by_name {
            true => MemoryExport::Named,
            false => MemoryExport::Any,
        },
        required: &[],
        undefined: undefined.collect(),
        redefined: redefined.collect(),
        start: profile.start_functions,
    }
}
