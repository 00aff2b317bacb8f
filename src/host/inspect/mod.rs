//! Looks at a file before the engine does, and says everything that is wrong with it at once.
//!
//! An engine stops at the first import it can't satisfy and names it in its own words. Here a module is held
//! against what the host defines ([`ImportTable`]) and how a profile links ([`LinkRules`]), without an engine:
//! [`to_wasm`] translates the text format, [`inspect`] returns what the module is, or every [`Reason`] why it
//! can't be loaded. Function bodies are not looked at; the engine validates them when it compiles.

mod exports;
mod facts;
mod imports;
mod lookalike;
mod origin;
mod refusal;
mod sections;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod warning;
mod words;

pub use exports::{Allocator, Entry, Memory, callback_signature};
pub use facts::{Facts, Sdk, mentions};
pub use imports::Import;
pub use origin::Origin;
pub use refusal::{Feature, Instead, ItemKind, LoadError, Lookalike, Reason, Unlinked};
pub use source::to_wasm;
pub use table::{
    ImportTable, Known, LinkRules, LinkedHostcalls, MemoryExport, MissingAllocator, MissingMarker, SeveralMarkers,
    Shape, Signature, StartFunctions, ValKind, WrongExport,
};
pub use warning::Warning;

use crate::abi::{AbiVersion, Callback};
use sections::Sections;
use std::collections::BTreeSet;

/// What a module is, as far as the host cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The version of the ABI that counts.
    pub abi: AbiVersion,
    /// The versions that are declared, in the order of the exports; none where the profile assumes one.
    pub markers: Vec<AbiVersion>,
    /// The entry points, in the order of the exports.
    pub entries: Vec<Entry>,
    /// Whether there is a start section: code that runs while the module is instantiated.
    pub start_section: bool,
    /// The allocators, in the order of the exports.
    pub allocators: Vec<Allocator>,
    /// The memory that the host uses.
    pub memory: Memory,
    /// The functions that are imported, in the module's order, each once.
    pub imports: Vec<Import>,
    /// The callbacks that the host will call.
    pub callbacks: BTreeSet<Callback>,
    /// Whether there is a name section, so that backtraces have names.
    pub names: bool,
    /// Whether there is DWARF, so that backtraces have lines.
    pub dwarf: bool,
    /// The features that the compiler was told to use, by LLVM's names.
    pub target_features: Vec<String>,
    /// What looks like a mistake.
    pub warnings: Vec<Warning>,
}

impl Inspection {
    /// Whether the module has this entry point.
    pub fn has(&self, entry: Entry) -> bool {
        self.entries.contains(&entry)
    }
}

/// Holds a binary module against what the host defines and how the profile links.
pub fn inspect(bytes: &[u8], table: &ImportTable, rules: &LinkRules) -> Result<Inspection, LoadError> {
    source::sniff(bytes)?;
    let sections = Sections::read(bytes)?;
    // Everything else about an unlinked file follows from its not being linked.
    if let Some(unlinked) = sections.unlinked {
        return Err(Reason::Unlinked(unlinked).into());
    }
    let mut reasons: Vec<Reason> = sections.features.iter().map(|f| Reason::Feature(*f)).collect();
    let mut warnings = Vec::new();
    let (markers, version) = exports::markers(&sections, rules, &mut reasons, &mut warnings);
    let imports = imports::check(&sections, table, rules, version, &mut reasons);
    let mut exports = exports::Exports::new(&sections, rules);
    let memory = exports.memory();
    let allocators = exports.allocators();
    let entries = exports.entries();
    let callbacks = exports.callbacks(version);
    exports.lookalikes();
    reasons.append(&mut exports.reasons);
    warnings.append(&mut exports.warnings);
    match (LoadError::of(reasons), version, memory) {
        (None, Some(abi), Some(memory)) => Ok(Inspection {
            abi,
            markers,
            entries,
            start_section: sections.start,
            allocators,
            memory,
            imports,
            callbacks,
            names: sections.names,
            dwarf: sections.dwarf,
            target_features: sections.target_features.iter().map(|f| (*f).to_owned()).collect(),
            warnings,
        }),
        (Some(error), _, _) => Err(error),
        // Each of the two says why it is missing, so this has nothing left to stand for.
        (None, _, _) => Err(Reason::NoMemory.into()),
    }
}
