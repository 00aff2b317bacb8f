//! The frames of a trap as people read them: functions with file and line, the frames of the panic itself left out.
//!
//! Files and lines come from the module's DWARF, which is slow to read and needed for few traps: it is read when a trap
//! is shown, once for all traps at the same places.

use super::symbols::{Location, Symbols};
use crate::trace::Trap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More modules than this are not remembered: a server that reloads sees ever new ones.
const MOST_MODULES: usize = 8;

/// How functions of Rust's panic machinery begin: the frames on top that say nothing about the plugin.
const MACHINERY: &[&str] = &[
    "__rust",
    "rust_panic",
    "rust_begin_unwind",
    "core::panicking::",
    "core::result::unwrap_failed",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::Result",
    "core::option::Option",
    "core::cell::panic",
    "core::slice::index::",
    "core::str::slice_error_fail",
    "std::panicking::",
    "std::panic::",
    "std::sys::",
    "std::process::",
    "std::alloc::",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::",
    "__rg_",
    "panic_abort",
    "abort",
];

/// One function of a backtrace; those that were inlined are listed, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub function: String,
    /// `src/lib.rs:12:5`, where the module knows.
    pub place: Option<String>,
}

/// What is known of one module: the places of its frames that were asked for.
struct Module {
    wasm: Arc<Vec<u8>>,
    places: BTreeMap<usize, Vec<Location>>,
}

/// Looks up the frames of traps.
#[derive(Default)]
pub struct Backtraces {
    modules: Vec<Module>,
}

impl Backtraces {
    /// The functions of a trap, innermost first, and how many of them are the panic's own.
    pub fn calls(&mut self, trap: &Trap, wasm: Option<&Arc<Vec<u8>>>) -> (Vec<Call>, usize) {
        let offsets: Vec<usize> = trap.frames.iter().filter_map(|frame| frame.offset).collect();
        let empty = BTreeMap::new();
        let places = wasm.map_or(&empty, |wasm| self.places(wasm, &offsets));
        let mut calls = Vec::new();
        for frame in &trap.frames {
            let inlined = frame.offset.and_then(|offset| places.get(&offset)).map(Vec::as_slice).unwrap_or_default();
            if inlined.is_empty() {
                calls.push(Call { function: frame.function.clone(), place: None });
            }
            for location in inlined {
                let function = location.function.clone().unwrap_or_else(|| frame.function.clone());
                calls.push(Call { function, place: place(location) });
            }
        }
        let machinery = calls.iter().take_while(|call| is_machinery(&call.function)).count();
        // A trap inside the machinery and nowhere else is shown as it is.
        let skipped = if machinery == calls.len() { 0 } else { machinery };
        (calls, skipped)
    }

    fn places(&mut self, wasm: &Arc<Vec<u8>>, offsets: &[usize]) -> &BTreeMap<usize, Vec<Location>> {
        let at = match self.modules.iter().position(|module| Arc::ptr_eq(&module.wasm, wasm)) {
            Some(at) => at,
            None => {
                if self.modules.len() == MOST_MODULES {
                    self.modules.remove(0);
                }
                self.modules.push(Module { wasm: wasm.clone(), places: BTreeMap::new() });
                self.modules.len() - 1
            }
        };
        let module = &mut self.modules[at];
        let unknown: Vec<usize> =
            offsets.iter().copied().filter(|offset| !module.places.contains_key(offset)).collect();
        if !unknown.is_empty() {
            let symbols = Symbols::load(wasm);
            module.places.extend(unknown.into_iter().map(|offset| (offset, symbols.locate(offset))));
        }
        &module.places
    }
}

/// Names of methods may begin with a bracket: `<core::result::Result<T, E>>::unwrap`.
fn is_machinery(function: &str) -> bool {
    let function = function.trim_start_matches('<');
    MACHINERY.iter().any(|start| function.starts_with(start))
}

fn place(location: &Location) -> Option<String> {
    let file = location.file.as_ref()?;
    Some(match (location.line, location.column) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        (None, _) => file.clone(),
    })
}
