//! `wasm.plugins` (1.1).

use super::Places;
use crate::diagnostic::Diagnostic;
use crate::gateway::model::{RequestPhase, WasmPlugin};
use crate::gateway::schema::{self, Step};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

/// Keys of an entry.
const ENTRY: [&str; 4] = ["name", "file", "priority", "http_request_phase"];

/// Reads the entries. A name that is there twice counts once, as it does for APISIX; a warning says so.
pub(in crate::gateway) fn read(
    document: &Map<String, Value>,
    base: &Path,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<Vec<WasmPlugin>, Diagnostic> {
    let mut wasm = match (document.get("wasm"), document.get("wasm.plugins")) {
        (None | Some(Value::Null), None) => return Ok(Vec::new()),
        (None | Some(Value::Null), Some(plugins)) => json!({ "plugins": plugins }),
        (Some(wasm), None) => wasm.clone(),
        (Some(_), Some(_)) => {
            let problem = places.at(&[key("wasm.plugins")], "the plugins are given twice");
            return Err(problem.hint("write them under `wasm: { plugins: [...] }`"));
        }
    };
    crate::gateway::resources::plain(&mut wasm);
    let mut whole = json!({ "wasm": wasm });
    if let Err(wrong) = schema::wasm().check(&mut whole) {
        return Err(places.at(&path(document, &wrong.path), format!("failed to validate config: {wrong}")));
    }
    said_for_nothing(whole.get("wasm"), "wasm", &["plugins"], warnings);
    let entries = whole.pointer("/wasm/plugins").and_then(Value::as_array);
    let mut plugins: Vec<WasmPlugin> = Vec::new();
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, file) = (text("name"), text("file"));
        said_for_nothing(Some(entry), &format!("wasm.plugins[{at}]"), &ENTRY, warnings);
        for (key, value) in [("name", name), ("file", file)] {
            if value.is_empty() {
                let inside = [Step::Key("wasm".to_owned()), self::key("plugins"), Step::Item(at), self::key(key)];
                return Err(places.at(&path(document, &inside), format!("a plugin needs a {key}")));
            }
        }
        if plugins.iter().any(|plugin| *plugin.name == *name) {
            warnings.push(format!("wasm.plugins[{at}]: `{name}` is there twice, and the first entry counts"));
            continue;
        }
        plugins.push(WasmPlugin {
            name: Arc::from(name),
            file: base.join(file),
            priority: entry.get("priority").and_then(Value::as_f64).map_or(0, |priority| priority as i64),
            http_request_phase: match text("http_request_phase") {
                "rewrite" => RequestPhase::Rewrite,
                _ => RequestPhase::Access,
            },
        });
    }
    Ok(plugins)
}

/// APISIX lets other keys be, which hides that one is misspelt.
fn said_for_nothing(within: Option<&Value>, place: &str, known: &[&str], warnings: &mut Vec<String>) {
    let keys = within.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for key in keys.filter(|key| !known.contains(&key.as_str())) {
        let close = known.iter().map(|name| (strsim::damerau_levenshtein(name, key), name)).min();
        let hint = match close {
            Some((distance, name)) if distance <= 3 => format!("; did you mean `{name}`?"),
            _ => String::new(),
        };
        warnings.push(format!("{place}: `{key}` means nothing here{hint}"));
    }
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// The path as it was written: `wasm.plugins` can be one key.
fn path(document: &Map<String, Value>, path: &[Step]) -> Vec<Step> {
    match path {
        [wasm, plugins, rest @ ..]
            if document.contains_key("wasm.plugins") && *wasm == key("wasm") && *plugins == key("plugins") =>
        {
            let mut written = vec![key("wasm.plugins")];
            written.extend_from_slice(rest);
            written
        }
        _ => path.to_vec(),
    }
}
