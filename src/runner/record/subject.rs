//! What requests pass, as it stands at the top of a file: one plugin where everything passes it, else a gateway with all
//! its objects.

use super::Setting;
use crate::gateway::model::{RequestPhase, Route, Upstream, UpstreamRef, WasmPlugin};
use crate::gateway::resources::Kind;
use crate::scenario::write::{Plugin, Subject};
use serde_json::{Map, Value, json};
use std::path::{Component, Path, PathBuf};

/// The top of a file in this folder, which has to be absolute; an error says why there is none.
pub(super) fn of(setting: &Setting, folder: &Path) -> Result<Subject, String> {
    let objects = Kind::ALL.into_iter().any(|kind| setting.resources.list(kind).next().is_some());
    if let (false, Some(route), [plugin]) = (objects, &setting.route, setting.resources.plugins())
        && let [used] = route.plugins.as_slice()
    {
        let name = plugin.name.to_string();
        let config = text(&used.conf)?;
        // apisix.md 4.2: the root id is the name.
        return Ok(Subject::Plugin(Plugin { file: file(plugin, folder)?, root_id: name.clone(), name, config }));
    }
    let mut document = Map::new();
    let plugins = setting.resources.plugins().iter().map(|plugin| {
        let phase = match plugin.http_request_phase {
            RequestPhase::Access => "access",
            RequestPhase::Rewrite => "rewrite",
        };
        let (name, file) = (&*plugin.name, file(plugin, folder)?);
        Ok(json!({ "name": name, "file": file, "priority": plugin.priority, "http_request_phase": phase }))
    });
    let plugins = plugins.collect::<Result<Vec<Value>, String>>()?;
    document.insert("wasm".to_owned(), json!({ "plugins": plugins }));
    for kind in Kind::ALL {
        let objects = setting.resources.in_order(kind).into_iter().map(|(_, entry)| {
            let mut object = entry.value.clone();
            // They are those of the run.
            object.retain(|key, _| !matches!(key.as_str(), "create_time" | "update_time"));
            Value::Object(object)
        });
        let mut objects: Vec<Value> = objects.collect();
        if let (Kind::Routes, Some(route)) = (kind, &setting.route) {
            objects.push(beside(route)?);
        }
        if !objects.is_empty() {
            document.insert(kind.name().to_owned(), Value::Array(objects));
        }
    }
    Ok(Subject::Gateway(Value::Object(document)))
}

/// The route of the command line, which takes what no other route takes.
fn beside(route: &Route) -> Result<Value, String> {
    let mut plugins = Map::new();
    for used in &route.plugins {
        plugins.insert(used.name.to_string(), json!({ "conf": text(&used.conf)? }));
    }
    let nodes = match &route.upstream {
        Some(UpstreamRef::Inline(upstream)) => nodes(upstream),
        Some(UpstreamRef::Id(_)) | None => Value::Array(Vec::new()),
    };
    let upstream = json!({ "type": "roundrobin", "nodes": nodes });
    // The lowest priority that JSON has for sure.
    let priority = -(1_i64 << 53);
    Ok(json!({ "id": &*route.id, "uri": "/*", "priority": priority, "plugins": plugins, "upstream": upstream }))
}

fn nodes(upstream: &Upstream) -> Value {
    let node =
        |node: &crate::gateway::model::Node| json!({ "host": &*node.host, "port": node.port, "weight": node.weight });
    Value::Array(upstream.nodes.iter().map(node).collect())
}

fn text(conf: &[u8]) -> Result<String, String> {
    String::from_utf8(conf.to_vec()).map_err(|_| "the configuration of a plugin is not text".to_owned())
}

fn file(plugin: &WasmPlugin, folder: &Path) -> Result<String, String> {
    let shown = plugin.file.display();
    let file = plugin.file.canonicalize().map_err(|error| format!("the module `{shown}`: {error}"))?;
    match relative(folder, &file).to_str() {
        Some(file) if !file.contains(char::is_control) => Ok(file.to_owned()),
        _ => Err(format!("the path of the module `{shown}` is not text")),
    }
}

/// A path as it is written in a file of a folder; both are absolute and have no links in them.
fn relative(folder: &Path, file: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (folder.components().collect(), file.components().collect());
    let same = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len().saturating_sub(same));
    up.chain(to.into_iter().skip(same)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_folder() {
        for (folder, file, expected) in [
            ("/a/b", "/a/b/c.wasm", "c.wasm"),
            ("/a/b", "/a/c.wasm", "../c.wasm"),
            ("/a/b/c", "/d/e.wasm", "../../../d/e.wasm"),
        ] {
            assert_eq!(relative(Path::new(folder), Path::new(file)), Path::new(expected));
        }
    }
}
