//! A trap as people read it: what the plugin said, what the engine said, and the frames with file and line.
//!
//! Files and lines come from the module's DWARF, which is slow to read and needed for few cases: it is read when a
//! trap is shown, once for all traps at the same places.

use super::paint::Paint;
use crate::host::symbols::{Location, Symbols};
use crate::trace::Trap;
use crate::trace::show::clipped;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// More frames than this are not shown.
const MOST_FRAMES: usize = 30;

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

/// What is known of one module: the places of its frames that were asked for.
struct Module {
    wasm: Arc<Vec<u8>>,
    places: BTreeMap<usize, Vec<Location>>,
}

/// Looks up the frames of traps.
#[derive(Default)]
pub(super) struct Backtraces {
    modules: Vec<Module>,
}

impl Backtraces {
    /// The trap in full, indented, each line ended.
    pub fn render(&mut self, trap: &Trap, modules: &[Arc<Vec<u8>>], paint: Paint) -> String {
        let mut out = String::new();
        if let Some(panic) = &trap.panic {
            out += "  the plugin's last words:\n";
            for line in last_lines(panic, 20) {
                let _ = writeln!(out, "    {}", clipped(line, 500));
            }
        }
        let _ = writeln!(out, "  the engine says: {}", clipped(&trap.message, 500));
        if !trap.frames.is_empty() {
            let _ = writeln!(out, "  in {}, innermost function first:", trap.callback.name());
            out += &self.frames(trap, modules.get(trap.plugin.0), paint);
        }
        out
    }

    fn frames(&mut self, trap: &Trap, wasm: Option<&Arc<Vec<u8>>>, paint: Paint) -> String {
        let offsets: Vec<usize> = trap.frames.iter().filter_map(|frame| frame.offset).collect();
        let empty = BTreeMap::new();
        let places = wasm.map_or(&empty, |wasm| self.places(wasm, &offsets));
        // One entry for each function, the inlined ones too: (name, place).
        let mut calls: Vec<(String, Option<String>)> = Vec::new();
        for frame in &trap.frames {
            let inlined = frame.offset.and_then(|offset| places.get(&offset)).map(Vec::as_slice).unwrap_or_default();
            if inlined.is_empty() {
                calls.push((frame.function.clone(), None));
            }
            for location in inlined {
                calls.push((location.function.clone().unwrap_or_else(|| frame.function.clone()), place(location)));
            }
        }
        let machinery = calls.iter().take_while(|(name, _)| is_machinery(name)).count();
        // A trap inside the machinery and nowhere else is shown as it is.
        let skipped = if machinery == calls.len() { 0 } else { machinery };
        let mut out = String::new();
        if skipped > 0 {
            let _ = writeln!(
                out,
                "{}",
                paint.dim(format_args!(
                    "       ({} of the panic itself left out)",
                    super::count(skipped, "frame", "frames")
                ))
            );
        }
        for (nth, (name, place)) in calls.iter().enumerate().skip(skipped).take(MOST_FRAMES) {
            let _ = writeln!(out, "    {nth:>2}: {}", clipped(name, 200));
            if let Some(place) = place {
                let _ = writeln!(out, "{}", paint.dim(format_args!("          at {}", clipped(place, 200))));
            }
        }
        if let Some(more @ 1..) = calls.len().checked_sub(skipped + MOST_FRAMES) {
            let _ = writeln!(out, "        and {more} more");
        }
        if calls.iter().all(|(_, place)| place.is_none()) {
            out += "        (the module has no line tables; a build with debug information shows files and lines)\n";
        }
        out
    }

    fn places(&mut self, wasm: &Arc<Vec<u8>>, offsets: &[usize]) -> &BTreeMap<usize, Vec<Location>> {
        let at = match self.modules.iter().position(|module| Arc::ptr_eq(&module.wasm, wasm)) {
            Some(at) => at,
            None => {
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

fn last_lines(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(most);
    lines.into_iter().skip(skipped)
}
