//! What a module exports for the host: markers, entry points, allocators, memory and callbacks.

use super::refusal::{Instead, Reason};
use super::sections::Sections;
use super::table::{
    LinkRules, MemoryExport, MissingAllocator, MissingMarker, SeveralMarkers, Signature, StartFunctions, ValKind,
    WrongExport,
};
use super::warning::Warning;
use crate::abi::{ALL_CALLBACKS, AbiVersion, Callback, Returns};
use std::collections::BTreeSet;
use wasmparser::ExternalKind;

const I32: ValKind = ValKind::I32;
/// More warnings about names than this help nobody.
const MOST: usize = 16;

/// A function that the host calls once, before the first callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// `_initialize`
    Initialize,
    /// `_start`
    Start,
    /// `main(i32, i32) -> i32`
    Main,
    /// `__main_void() -> i32`
    MainVoid,
}

impl Entry {
    /// Every entry point.
    pub const ALL: [Entry; 4] = [Self::Initialize, Self::Start, Self::Main, Self::MainVoid];

    /// The name of the export.
    pub fn export(self) -> &'static str {
        match self {
            Self::Initialize => "_initialize",
            Self::Start => "_start",
            Self::Main => "main",
            Self::MainVoid => "__main_void",
        }
    }

    fn signature(self) -> Signature {
        match self {
            Self::Initialize | Self::Start => Signature::of(&[], &[]),
            Self::Main => Signature::of(&[I32, I32], &[I32]),
            Self::MainVoid => Signature::of(&[], &[I32]),
        }
    }
}

/// A function by which the host gets memory for what it hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allocator {
    /// `malloc`
    Malloc,
    /// `proxy_on_memory_allocate`
    MemoryAllocate,
}

impl Allocator {
    /// Every allocator.
    pub const ALL: [Allocator; 2] = [Self::Malloc, Self::MemoryAllocate];

    /// The name of the export.
    pub fn export(self) -> &'static str {
        match self {
            Self::Malloc => "malloc",
            Self::MemoryAllocate => "proxy_on_memory_allocate",
        }
    }
}

/// The memory that the host uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The name of the export.
    pub export: String,
    /// Pages of 64 KiB at the start.
    pub min_pages: u64,
    /// The module's own limit.
    pub max_pages: Option<u64>,
}

/// What Higress's SDKs write in place of a published version.
pub(super) const HIGRESS_MARKER: &str = "proxy_abi_version_0_2_100";

/// The versions that the module declares, in the order of the exports, and the one that counts.
pub(super) fn markers(
    sections: &Sections<'_>,
    rules: &LinkRules,
    reasons: &mut Vec<Reason>,
    warnings: &mut Vec<Warning>,
) -> (Vec<AbiVersion>, Option<AbiVersion>) {
    let declared: Vec<_> = sections.functions().filter_map(|(name, _)| AbiVersion::from_marker(name)).collect();
    let unknown = sections
        .functions()
        .map(|(name, _)| name)
        .find(|name| name.starts_with("proxy_abi_version_") && AbiVersion::from_marker(name).is_none());
    let chosen = match rules.several_markers {
        SeveralMarkers::FirstExported => declared.first().copied(),
        SeveralMarkers::Newest => declared.iter().max().copied(),
    };
    // Higress's SDKs build modules that no other host takes by this marker; but for its hostcalls they are of 0.2.1.
    if chosen.is_none() && unknown == Some(HIGRESS_MARKER) {
        warnings.push(Warning::HigressMarker);
        return (declared, Some(AbiVersion::V0_2_1));
    }
    let Some(chosen) = chosen else {
        return match rules.missing_marker {
            MissingMarker::Assume(version) => {
                warnings.push(Warning::AssumedVersion(version));
                (declared, Some(version))
            }
            MissingMarker::Refuse => {
                reasons.push(Reason::NoMarker { instead: instead(sections, unknown) });
                (declared, None)
            }
        };
    };
    if declared.len() > 1 {
        warnings.push(Warning::SeveralMarkers { chosen, declared: declared.clone() });
    }
    if let Some(unknown) = unknown {
        warnings.push(Warning::UnknownMarker(unknown.to_owned()));
    }
    (declared, Some(chosen))
}

fn instead(sections: &Sections<'_>, unknown: Option<&str>) -> Instead {
    let mut names = sections.exports.iter().map(|e| e.name);
    if let Some(name) = unknown {
        Instead::Marker(name.to_owned())
    } else if let Some(name) = names.clone().find(|n| AbiVersion::from_marker(n).is_some()) {
        Instead::NotAFunction(name.to_owned())
    } else if names.clone().any(|n| n.starts_with("proxy_")) {
        Instead::Callbacks
    } else if names.any(|n| n == Entry::Start.export()) {
        Instead::Command
    } else {
        Instead::Nothing
    }
}

/// Checks the functions that the host looks for by name.
pub(super) struct Exports<'a> {
    sections: &'a Sections<'a>,
    rules: &'a LinkRules,
    pub reasons: Vec<Reason>,
    pub warnings: Vec<Warning>,
}

impl<'a> Exports<'a> {
    pub(super) fn new(sections: &'a Sections<'a>, rules: &'a LinkRules) -> Self {
        Self { sections, rules, reasons: Vec::new(), warnings: Vec::new() }
    }

    /// The callbacks that the host will call. Without a version, the arities of all versions will do.
    pub(super) fn callbacks(&mut self, version: Option<AbiVersion>) -> BTreeSet<Callback> {
        let versions = version.map_or(AbiVersion::ALL.to_vec(), |v| vec![v]);
        let sections = self.sections;
        let mut found = BTreeSet::new();
        for (name, function) in sections.functions() {
            let Some(callback) = ALL_CALLBACKS.iter().copied().find(|c| c.export() == name) else { continue };
            let mut wanted = versions
                .iter()
                .filter(|v| callback.exists_in(**v))
                .map(|v| callback_signature(callback, *v))
                .peekable();
            let Some(usual) = wanted.peek().cloned() else { continue };
            let signature = sections.signature(function);
            if wanted.any(|wanted| wanted == signature) {
                found.insert(callback);
            } else if self.rules.wrong_export == WrongExport::FailWhenCalled {
                found.insert(callback);
                let name = name.to_owned();
                self.warnings.push(Warning::FailsWhenCalled { name, wanted: usual, found: signature });
            } else {
                self.wrong(name, usual, signature);
            }
        }
        for callback in self.rules.required.iter().filter(|c| !found.contains(c)) {
            self.reasons.push(Reason::MissingCallback { callback: *callback, host: self.rules.host });
        }
        if found.is_empty() && version.is_some() {
            self.warnings.push(Warning::NoCallback);
        }
        found
    }

    /// The entry points, in the order of the exports: Kong takes the first.
    ///
    /// A wrong signature matters only where the host would call: `main` after `_initialize`, `_start` without.
    pub(super) fn entries(&mut self) -> Vec<Entry> {
        let sections = self.sections;
        let has = |name| sections.functions().any(|(n, _)| n == name);
        let (reactor, main) = (has(Entry::Initialize.export()), has(Entry::Main.export()));
        let command = has(Entry::Start.export());
        let mut entries = Vec::new();
        for (name, function) in sections.functions() {
            let Some(entry) = Entry::ALL.into_iter().find(|e| e.export() == name) else { continue };
            let called = match (entry, self.rules.start) {
                (Entry::Initialize, StartFunctions::ReactorFirst) | (Entry::Start, StartFunctions::CommandFirst) => {
                    true
                }
                (Entry::Start, StartFunctions::ReactorFirst) => !reactor,
                (Entry::Main, StartFunctions::ReactorFirst) => reactor,
                (Entry::MainVoid, StartFunctions::ReactorFirst) => reactor && !main,
                (Entry::Initialize, StartFunctions::CommandFirst) => !command,
                (Entry::Main | Entry::MainVoid, StartFunctions::CommandFirst) => false,
            };
            let signature = sections.signature(function);
            if signature == entry.signature() {
                entries.push(entry);
            } else if called {
                self.wrong(name, entry.signature(), signature);
            }
        }
        entries
    }

    /// The allocators, in the order of the exports.
    pub(super) fn allocators(&mut self) -> Vec<Allocator> {
        let wanted = Signature::of(&[I32], &[I32]);
        let sections = self.sections;
        let mut allocators = Vec::new();
        let mut wrong = false;
        for (name, function) in sections.functions() {
            let Some(allocator) = Allocator::ALL.into_iter().find(|a| a.export() == name) else { continue };
            let signature = sections.signature(function);
            if signature == wanted {
                allocators.push(allocator);
            } else {
                wrong = true;
                self.wrong(name, wanted.clone(), signature);
            }
        }
        match self.rules.missing_allocator {
            _ if !allocators.is_empty() => {}
            // The wrong signature has been reported as the reason already.
            MissingAllocator::Refuse if wrong && self.rules.wrong_export != WrongExport::Ignore => {}
            MissingAllocator::Refuse => self.reasons.push(Reason::NoAllocator),
            MissingAllocator::Load => self.warnings.push(Warning::NoAllocator),
        }
        allocators
    }

    /// The memory.
    pub(super) fn memory(&mut self) -> Option<Memory> {
        let exported = || self.sections.exports.iter().filter(|e| e.kind == ExternalKind::Memory);
        let named = exported().find(|e| e.name == "memory");
        let chosen = match (named, self.rules.memory, exported().next()) {
            (Some(named), _, _) => named,
            (None, MemoryExport::Any, Some(first)) => first,
            (None, MemoryExport::Named, Some(first)) => {
                self.reasons.push(Reason::MemoryName { found: first.name.to_owned(), host: self.rules.host });
                return None;
            }
            (None, _, None) => {
                self.reasons.push(Reason::NoMemory);
                return None;
            }
        };
        let memory = self.sections.memory(chosen.index)?;
        Some(Memory { export: chosen.name.to_owned(), min_pages: memory.initial, max_pages: memory.maximum })
    }

    /// Exports that look like callbacks and are none.
    pub(super) fn lookalikes(&mut self) {
        // Comparing names takes time, and a hostile module has a million exports.
        let exports = self.sections.exports.iter().take(4096);
        let unknown = exports.filter_map(|e| super::lookalike::warning(e.name, e.kind));
        self.warnings.extend(unknown.take(MOST));
    }

    fn wrong(&mut self, name: &str, wanted: Signature, found: Signature) {
        let name = name.to_owned();
        match self.rules.wrong_export {
            WrongExport::Ignore => self.warnings.push(Warning::Ignored { name, wanted, found }),
            // An allocator is looked for when it is needed, where none is asked for before.
            WrongExport::FailWhenCalled
                if Allocator::ALL.iter().any(|a| a.export() == name)
                    && self.rules.missing_allocator == MissingAllocator::Load =>
            {
                self.warnings.push(Warning::Ignored { name, wanted, found });
            }
            WrongExport::Refuse | WrongExport::FailWhenCalled => {
                self.reasons.push(Reason::ExportSignature { name, wanted, found });
            }
        }
    }
}

/// The signature of a callback: all parameters are i32, and so is the result where there is one.
pub fn callback_signature(callback: Callback, version: AbiVersion) -> Signature {
    let results: &'static [ValKind] = match callback.returns() {
        Returns::Nothing => &[],
        Returns::Bool | Returns::Action => &[I32],
    };
    Signature { params: vec![I32; callback.arity(version)].into(), results: results.into() }
}
