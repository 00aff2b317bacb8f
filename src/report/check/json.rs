//! The report of `pwtest check` for machines. Keys are only ever added; `format` counts changes of meaning.

use crate::host::check::{Checked, Problem, Verdict};
use crate::host::inspect::Facts;
use serde_json::{Value, json};
use std::path::Path;

/// The report for machines, on one page. What could not be read, with the reason, does not load either.
pub fn json(files: &[(&Path, &Checked)], unreadable: &[(&Path, String)]) -> String {
    let loads = unreadable.is_empty() && files.iter().all(|(_, checked)| checked.loads());
    let unreadable: Vec<Value> = unreadable
        .iter()
        .map(|(path, reason)| json!({ "file": path.display().to_string(), "message": reason }))
        .collect();
    let files: Vec<Value> = files.iter().map(|(path, checked)| file(path, checked)).collect();
    let page = json!({ "format": 1, "loads": loads, "files": files, "unreadable": unreadable });
    serde_json::to_string_pretty(&page).unwrap_or_default() + "\n"
}

fn file(path: &Path, checked: &Checked) -> Value {
    json!({
        "file": path.display().to_string(),
        "loads": checked.loads(),
        "module": checked.facts.as_ref().map(module),
        "problems": checked.file.iter().map(problem).collect::<Vec<_>>(),
        "hosts": checked.hosts.iter().map(|verdict| host(verdict, checked.file.is_empty())).collect::<Vec<_>>(),
    })
}

fn module(facts: &Facts) -> Value {
    let imports = facts.imports.iter().map(
        |import| json!({ "module": import.module, "name": import.name, "signature": import.signature.to_string() }),
    );
    json!({
        "size": facts.size,
        "abi_versions": facts.markers.iter().map(|marker| version(marker)).collect::<Vec<_>>(),
        "sdk": facts.sdk.map(|sdk| sdk.name()),
        "memory": facts.memory.as_ref().map(|memory| json!({
            "export": memory.export,
            "initial_pages": memory.min_pages,
            "maximum_pages": memory.max_pages,
        })),
        "start_section": facts.start_section,
        "entry_points": facts.entries.iter().map(|entry| entry.export()).collect::<Vec<_>>(),
        "allocators": facts.allocators.iter().map(|allocator| allocator.export()).collect::<Vec<_>>(),
        "callbacks": facts.callbacks.iter().map(|callback| callback.export()).collect::<Vec<_>>(),
        "imports": imports.collect::<Vec<_>>(),
        "names": facts.names,
        "dwarf": facts.dwarf,
    })
}

fn version(marker: &str) -> String {
    marker.trim_start_matches("proxy_abi_version_").replace('_', ".")
}

fn host(verdict: &Verdict, valid: bool) -> Value {
    json!({
        "host": verdict.host,
        "loads": verdict.loads() && valid,
        "problems": verdict.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn problem(problem: &Problem) -> Value {
    json!({
        "level": problem.level.name(),
        "id": problem.id,
        "names": problem.names,
        "message": problem.message,
        "help": problem.hint,
        "source": problem.source,
    })
}
