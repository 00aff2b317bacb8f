//! One document with everything: `wasm.plugins`, the objects, and what of APISIX's `config.yaml` is honoured here. It is
//! what `pwtest serve FILE` reads, and `gateway:` of a scenario.
//!
//! Whoever writes one wants all of it to work, so anything that is wrong is an error, with its place. `files` reads the
//! same parts the way APISIX reads its own two files, which drops objects that are wrong.

mod items;
mod options;
mod places;
mod plugins;
#[cfg(test)]
mod tests;

pub use options::{Admin, Options, Provider};

pub(in crate::gateway) use items::{Wrong, read as items};
pub(in crate::gateway) use options::read as options;
pub(in crate::gateway) use places::{Places, parse};
pub(in crate::gateway) use plugins::read as plugins;

use super::resources::{Kind, Resources};
use crate::diagnostic::{Diagnostic, Source};
use crate::scenario::yaml::{self, Node};
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;

/// A gateway as it was configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gateway {
    /// The plugins and the objects.
    pub resources: Resources,
    /// Everything else.
    pub options: Options,
}

/// Reads a document from its text, in YAML or JSON. Modules are looked up from `base`.
pub fn gateway(text: &str, base: &Path) -> Result<(Gateway, Vec<String>), Diagnostic> {
    read(&Arc::new(Source { path: "gateway".into(), text: text.to_owned() }), base)
}

/// Reads a document that has a name, for its mistakes to point into.
pub fn read(source: &Arc<Source>, base: &Path) -> Result<(Gateway, Vec<String>), Diagnostic> {
    let (value, places) = parse(source)?;
    of(value, &places, base)
}

/// Reads a document that is a part of another file, for its mistakes to point into that.
pub(crate) fn within(source: &Arc<Source>, tree: &Node, base: &Path) -> Result<(Gateway, Vec<String>), Diagnostic> {
    let value = yaml::to_json(tree).map_err(|span| Diagnostic::new("JSON has no such number").at(source, span))?;
    of(value, &Places::within(source, tree), base)
}

/// Reads a document that was parsed already.
pub fn from_value(value: Value, base: &Path) -> Result<(Gateway, Vec<String>), Diagnostic> {
    of(value, &Places::none(), base)
}

/// Keys beside the objects.
const KEYS: [&str; 6] = ["wasm", "wasm.plugins", "apisix", "deployment", "nginx_config", "clusters"];

/// What APISIX has at the top of its files, and pwtest has not.
const FOREIGN: [&str; 10] = [
    "consumers",
    "ssls",
    "ssl",
    "protos",
    "plugin_metadata",
    "consumer_groups",
    "secrets",
    "stream_routes",
    "discovery",
    "stream_plugins",
];

/// Reads a document whose places are known, or are not.
pub(in crate::gateway) fn of(value: Value, places: &Places, base: &Path) -> Result<(Gateway, Vec<String>), Diagnostic> {
    let Value::Object(mut document) = value else {
        let problem = places.at(&[], "a gateway document is a mapping");
        return Err(problem.hint("it has `wasm: { plugins: [...] }`, `routes`, `upstreams` and so on"));
    };
    unknown_keys(&document, places)?;
    let mut warnings = Vec::new();
    let plugins = plugins(&document, base, places, &mut warnings)?;
    let options = options(&document, base, places)?;
    let mut resources = Resources::new(plugins);
    resources.set_matching(options.matching);
    for kind in Kind::ALL {
        let of_kind = document.remove(kind.name()).unwrap_or_default();
        items(&mut resources, kind, of_kind, places, Wrong::IsAnError, &mut warnings)?;
    }
    Ok((Gateway { resources, options }, warnings))
}

fn unknown_keys(document: &Map<String, Value>, places: &Places) -> Result<(), Diagnostic> {
    let kinds = Kind::ALL.into_iter().map(Kind::name);
    let known: Vec<&str> = KEYS.into_iter().chain(kinds).collect();
    let Some(key) = document.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let step = [super::schema::Step::Key(key.clone())];
    if FOREIGN.contains(&key.as_str()) {
        return Err(places.at(&step, format!("pwtest does not support `{key}`")).hint("remove it"));
    }
    let close = known.iter().map(|name| (strsim::damerau_levenshtein(name, key), *name)).min();
    let hint = match close {
        Some((distance, name)) if distance <= 3 => format!("did you mean `{name}`?"),
        _ => format!("a gateway document has {}", known.join(", ")),
    };
    Err(places.at(&step, format!("unknown key `{key}`")).hint(hint))
}
