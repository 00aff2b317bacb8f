//! What a module says of itself, whether or not any host takes it: for `pwtest check`.
//!
//! Where [`super::inspect`] answers "does this host load it", this answers "what is it", and so works on modules that
//! every host refuses. The SDK is recognised by texts that only it writes into modules; a module without them has
//! none, as far as anybody can tell.

use super::exports::{Allocator, Entry, Memory};
use super::imports::Import;
use super::sections::Sections;
use super::{LoadError, source};
use crate::abi::{ALL_CALLBACKS, Callback};
use std::collections::BTreeSet;
use wasmparser::{ExternalKind, TypeRef};

/// More imports than this are not listed: a hostile module has a million.
const MOST_IMPORTS: usize = 1000;
/// The longest name that is kept.
const LONGEST: usize = 200;

/// The SDK that a plugin was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sdk {
    /// proxy-wasm-rust-sdk.
    Rust,
    /// proxy-wasm-go-sdk, with Go or TinyGo.
    Go,
}

impl Sdk {
    /// The name for people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust SDK",
            Self::Go => "Go SDK",
        }
    }

    /// A text that the SDK leaves in every module: the beginning of its error messages.
    fn text(self) -> &'static [u8] {
        match self {
            Self::Rust => b"unexpected status: ",
            Self::Go => b"error status returned by host",
        }
    }
}

/// What a module is, without asking whether a host takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Bytes of the binary module.
    pub size: usize,
    /// The exports that begin as markers of an ABI version do, in order.
    pub markers: Vec<String>,
    /// The functions that are imported, in order, each once.
    pub imports: Vec<Import>,
    /// The callbacks that are exported under their names.
    pub callbacks: BTreeSet<Callback>,
    /// The entry points that are exported under their names, in order.
    pub entries: Vec<Entry>,
    /// Whether there is a start section.
    pub start_section: bool,
    /// The allocators that are exported under their names, in order.
    pub allocators: Vec<Allocator>,
    /// The first memory that is exported.
    pub memory: Option<Memory>,
    /// Whether backtraces have names.
    pub names: bool,
    /// Whether backtraces have lines.
    pub dwarf: bool,
    /// The SDK, where it can be told.
    pub sdk: Option<Sdk>,
}

impl Facts {
    /// Reads a binary module.
    pub fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        source::sniff(bytes)?;
        let sections = Sections::read(bytes)?;
        let named = |name: &str| sections.functions().any(|(n, _)| n == name);
        let markers = sections.functions().map(|(name, _)| name).filter(|name| name.starts_with("proxy_abi_version_"));
        let memory = sections.exports.iter().find(|e| e.kind == ExternalKind::Memory).and_then(|export| {
            let memory = sections.memory(export.index)?;
            Some(Memory { export: cut(export.name), min_pages: memory.initial, max_pages: memory.maximum })
        });
        Ok(Self {
            size: bytes.len(),
            markers: markers.take(16).map(cut).collect(),
            imports: imports(&sections),
            callbacks: ALL_CALLBACKS.iter().copied().filter(|c| named(c.export())).collect(),
            entries: Entry::ALL.into_iter().filter(|e| named(e.export())).collect(),
            start_section: sections.start,
            allocators: Allocator::ALL.into_iter().filter(|a| named(a.export())).collect(),
            memory,
            names: sections.names,
            dwarf: sections.dwarf,
            sdk: [Sdk::Rust, Sdk::Go].into_iter().find(|sdk| mentions(bytes, sdk.text())),
        })
    }

    /// Whether it imports this hostcall of the ABI.
    pub fn imports_hostcall(&self, name: &str) -> bool {
        self.imports.iter().any(|import| import.module == "env" && import.name == name)
    }
}

/// Whether a module holds these bytes anywhere: its data is not looked at by segments, for texts may lie in any of them.
pub fn mentions(bytes: &[u8], text: &[u8]) -> bool {
    let Some(first) = text.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(text) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

fn imports(sections: &Sections<'_>) -> Vec<Import> {
    let mut seen = BTreeSet::new();
    let functions = sections.imports.iter().filter_map(|import| match import.ty {
        TypeRef::Func(index) | TypeRef::FuncExact(index) => Some((import.module, import.name, index)),
        _ => None,
    });
    let first = functions.filter(|(module, name, _)| seen.insert((*module, *name))).take(MOST_IMPORTS);
    first
        .map(|(module, name, index)| Import {
            module: cut(module),
            name: cut(name),
            signature: sections.signature_of_type(index),
        })
        .collect()
}

fn cut(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Facts {
        Facts::read(&wat::parse_str(text).expect("valid text")).expect("a module")
    }

    #[test]
    fn a_module_that_no_host_takes_has_facts() {
        let found = facts(
            r#"(module
                (import "env" "nonsense" (func (param i64)))
                (import "env" "nonsense" (func (param i64)))
                (memory (export "mem") 3 5)
                (func (export "proxy_abi_version_9_9_9"))
                (func (export "proxy_on_log") (param i32 i32))
                (func (export "main")) (func (export "_start"))
                (data (i32.const 0) "unexpected status: "))"#,
        );
        assert_eq!(found.markers, ["proxy_abi_version_9_9_9"]);
        assert_eq!(found.imports.len(), 1);
        assert!(found.imports_hostcall("nonsense") && !found.imports_hostcall("proxy_log"));
        assert!(found.callbacks.contains(&Callback::OnLog));
        assert_eq!(found.entries, [Entry::Start, Entry::Main]);
        assert_eq!(found.memory, Some(Memory { export: "mem".into(), min_pages: 3, max_pages: Some(5) }));
        assert_eq!(found.sdk, Some(Sdk::Rust));
    }

    #[test]
    fn texts_are_found_anywhere() {
        assert!(mentions(b"aaab", b"aab") && mentions(b"ab", b"ab") && mentions(b"", b""));
        assert!(!mentions(b"aa", b"aab") && !mentions(b"", b"a"));
    }
}
