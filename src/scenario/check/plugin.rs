//! `plugin`, `plugins` and their configurations.

use super::context::{Cx, quote};
use super::file::wanted;
use super::keys::PLUGIN;
use super::read::Fields;
use crate::diagnostic::Span;
use crate::scenario::model::{PluginSpec, RequestPhase};
use crate::scenario::yaml::{Node, Value, to_json};
use bytes::Bytes;
use std::path::PathBuf;

const PHASES: &[(&str, RequestPhase)] = &[("rewrite", RequestPhase::Rewrite), ("access", RequestPhase::Access)];

/// The chain of the file.
pub(super) fn plugins(cx: &mut Cx, file: &Fields) -> Option<Vec<PluginSpec>> {
    let present = file.present(&["plugin", "plugins"]);
    let top_config = file.entry("config");
    let (key, node) = match present.as_slice() {
        [(key, node), ..] => (key, node),
        [] => {
            if !file.misspelt(&["plugin", "plugins", "gateway"]) {
                let hint = "name the module: `plugin: path/to/plugin.wasm`, or a chain of them under `plugins`, or a \
                            `gateway`";
                cx.push(cx.at(&start(file), "`plugin` is missing").hint(hint));
            }
            return None;
        }
    };
    if key.text == "plugin" {
        let mut spec = plugin(cx, node);
        if let Some((config_key, config_node)) = top_config {
            if let Some((inner, _)) =
                node.as_map().and_then(|entries| entries.iter().find(|(key, _)| key.text == "config"))
            {
                let problem = cx.at(&config_key.span, "`config` is given twice");
                cx.push(problem.label("for the same plugin").also(inner.span.clone(), "first"));
            }
            let bytes = config(cx, config_node, "`config`");
            spec = spec.and_then(|spec| Some(PluginSpec { config: bytes?, configured: true, ..spec }));
        }
        return Some(vec![spec?]);
    }
    if let Some((config_key, config_node)) = top_config {
        config(cx, config_node, "`config`");
        let problem = cx.at(&config_key.span, "`config` stands beside `plugins`").label("for which of them?");
        cx.push(problem.hint("give each entry of `plugins` its own `config`"));
    }
    let items = cx.items(node, "`plugins`")?;
    if items.is_empty() {
        cx.push(cx.at(&node.span, "`plugins` is an empty list"));
        return None;
    }
    let specs: Vec<_> = items.iter().filter_map(|item| plugin(cx, item)).collect();
    (specs.len() == items.len()).then_some(specs)
}

/// A gateway's plugins stand in its document, with their configurations.
pub(super) fn none(cx: &mut Cx, file: &Fields) -> Option<Vec<PluginSpec>> {
    if let Some((key, _)) = file.entry("config") {
        let problem = cx.at(&key.span, "`config` stands beside `gateway`").label("for which plugin?");
        cx.push(
            problem.hint("routes, services and global rules have the configurations: `plugins: { name: { conf: … } }`"),
        );
    }
    Some(Vec::new())
}

/// The beginning of the file: where something is missing there is no better place.
fn start(file: &Fields) -> Span {
    let start = file.node.span.start;
    start..start
}

fn plugin(cx: &mut Cx, node: &Node) -> Option<PluginSpec> {
    if !matches!(node.value, Value::Map(_)) {
        let (file, name) = module(cx, node)?;
        return Some(PluginSpec {
            file,
            file_span: node.span.clone(),
            name,
            root_id: String::new(),
            config: Bytes::new(),
            configured: false,
            vm_config: Bytes::new(),
            priority: None,
            http_request_phase: None,
            allow_on_headers_stop_iteration: false,
            env: Vec::new(),
        });
    }
    let fields = cx.fields(node, "`plugin`", &PLUGIN)?;
    let file_node = cx.required(&fields, "file", "name the module: `file: path/to/plugin.wasm`");
    let module = file_node.and_then(|node| module(cx, node));
    let name = fields.get("name").map(|node| cx.word(node, "`name`"));
    let root_id = fields.get("root_id").map(|node| cx.text(node, "`root_id`"));
    let plugin_config = fields.get("config").map(|node| config(cx, node, "`config`"));
    let vm_config = fields.get("vm_config").map(|node| config(cx, node, "`vm_config`"));
    let priority = fields.get("priority").map(|node| cx.number(node, "`priority`", "a whole number"));
    let phase = fields.get("http_request_phase").map(|node| cx.one_of(node, "`http_request_phase`", PHASES));
    let holds_headers =
        fields.get("allow_on_headers_stop_iteration").map(|node| cx.flag(node, "`allow_on_headers_stop_iteration`"));
    let env = match fields.get("env") {
        Some(node) => env(cx, node),
        None => Some(Vec::new()),
    };
    let (file, stem) = module?;
    Some(PluginSpec {
        file,
        file_span: file_node?.span.clone(),
        name: wanted(name)?.map_or(stem, str::to_string),
        root_id: wanted(root_id)?.unwrap_or_default().to_string(),
        configured: plugin_config.is_some(),
        config: wanted(plugin_config)?.unwrap_or_default(),
        vm_config: wanted(vm_config)?.unwrap_or_default(),
        priority: wanted(priority)?,
        http_request_phase: wanted(phase)?,
        allow_on_headers_stop_iteration: wanted(holds_headers)?.unwrap_or(false),
        env: env?,
    })
}

/// The path of a module that is there, and the name it gives the plugin. Its content is the loader's business.
fn module(cx: &mut Cx, node: &Node) -> Option<(PathBuf, String)> {
    let text = cx.word(node, "the path of a plugin")?;
    let path = cx.resolve(text);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => {
            let problem = cx.at(&node.span, format!("{} is a folder", quote(&path.to_string_lossy())));
            cx.push(problem.hint("name the `.wasm` file in it"));
            None
        }
        Ok(_) => {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            Some((path, stem))
        }
        Err(error) => {
            cx.no_file(node, &path, &error);
            None
        }
    }
}

/// A configuration as the plugin reads it: text as it is, a mapping or list as compact JSON.
pub(super) fn config(cx: &mut Cx, node: &Node, name: &str) -> Option<Bytes> {
    match &node.value {
        Value::Text(text) => Some(Bytes::from(text.text.clone())),
        Value::Null => Some(Bytes::new()),
        Value::Nothing => {
            cx.push(
                cx.at(&node.span, format!("{name} has no value")).hint("`null` or `\"\"` is the empty configuration"),
            );
            None
        }
        Value::List(_) | Value::Map(_) => json(cx, node).map(|json| Bytes::from(json.to_string())),
    }
}

/// A tree as JSON.
pub(super) fn json(cx: &mut Cx, node: &Node) -> Option<serde_json::Value> {
    match to_json(node) {
        Ok(json) => Some(json),
        Err(span) => {
            let problem = cx.at(&span, "JSON has no such number");
            cx.push(problem.hint("quote it if text is meant"));
            None
        }
    }
}

fn env(cx: &mut Cx, node: &Node) -> Option<Vec<(String, String)>> {
    let entries = cx.entries(node, "`env`")?;
    let mut variables = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if key.text.is_empty() || key.text.contains(['=', '\0']) {
            cx.push(cx.at(&key.span, format!("{} is not the name of an environment variable", quote(&key.text))));
        }
        let Some(value_text) = cx.text(value, "`env`") else { continue };
        if value_text.contains('\0') {
            cx.push(cx.at(&value.span, "an environment variable can't hold a NUL byte"));
        }
        variables.push((key.text.clone(), value_text.to_string()));
    }
    (variables.len() == entries.len()).then_some(variables)
}
