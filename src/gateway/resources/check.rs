//! Whether an object is one: APISIX's order of checks, with its words.

use super::{Checks, Kind, Resources, convert, id_text, unsupported};
use crate::gateway::schema::{self, Mismatch, Schema, Step};
use crate::gateway::vars;
use serde_json::{Map, Value};
use std::fmt;

/// Why an object was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// APISIX's admin API says `invalid configuration: ` before what a schema says, and nothing before the rest.
    pub from_schema: bool,
    /// The words, and where.
    pub mismatch: Mismatch,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_schema {
            f.write_str("invalid configuration: ")?;
        }
        write!(f, "{}", self.mismatch)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    pub(in crate::gateway) fn because(text: impl Into<String>, path: &[&str]) -> Self {
        let path = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
        Self { from_schema: false, mismatch: Mismatch { text: text.into(), path } }
    }

    fn schema(mismatch: Mismatch) -> Self {
        Self { from_schema: true, mismatch }
    }

    fn below(mut self, key: &str) -> Self {
        self.mismatch = self.mismatch.below(key);
        self
    }
}

/// Checks an object and fills in its defaults.
pub(super) fn object(known: &Resources, kind: Kind, value: &mut Value, checks: Checks) -> Result<(), Refused> {
    // What is synced goes to the schema at once, which has other words for it.
    let first = kind == Kind::Routes && checks == Checks::Admin;
    for (one, many) in [("host", "hosts"), ("remote_addr", "remote_addrs")] {
        if first && value.get(one).is_some() && value.get(many).is_some() {
            return Err(Refused::because(format!("only one of {one} or {many} is allowed"), &[many]));
        }
    }
    schema_of(kind).check(value).map_err(Refused::schema)?;
    let Some(entries) = value.as_object() else {
        return Err(Refused::schema("wrong type: expected object, got table".into()));
    };
    unsupported::object(entries)?;
    match kind {
        Kind::Upstreams => upstream(entries)?,
        Kind::Routes | Kind::Services => {
            if let Some(inline) = entries.get("upstream").and_then(Value::as_object) {
                upstream(inline).map_err(|refused| refused.below("upstream"))?;
            }
        }
        Kind::PluginConfigs | Kind::GlobalRules => {}
    }
    if checks == Checks::Admin {
        references(known, entries)?;
    }
    if let Some(used) = entries.get("plugins").and_then(Value::as_object) {
        plugins(known, used, checks).map_err(|refused| refused.below("plugins"))?;
    }
    if let Some(rules) = entries.get("vars") {
        condition(rules).map_err(|refused| refused.below("vars"))?;
    }
    Ok(())
}

pub(super) fn schema_of(kind: Kind) -> &'static Schema {
    match kind {
        Kind::Routes => schema::route(),
        Kind::Services => schema::service(),
        Kind::Upstreams => schema::upstream(),
        Kind::PluginConfigs => schema::plugin_config(),
        Kind::GlobalRules => schema::global_rule(),
    }
}

fn condition(rules: &Value) -> Result<(), Refused> {
    vars::check(rules)
        .map_err(|error| Refused::because(format!("failed to validate the 'vars' expression: {error}"), &[]))
}

/// What APISIX checks of an upstream beside its schema.
fn upstream(upstream: &Map<String, Value>) -> Result<(), Refused> {
    unsupported::upstream(upstream)?;
    let text = |key: &str| upstream.get(key).and_then(Value::as_str);
    if text("pass_host") == Some("rewrite") && text("upstream_host").is_none_or(str::is_empty) {
        let text = "`upstream_host` can't be empty when `pass_host` is `rewrite`";
        return Err(Refused::because(text, &["pass_host"]));
    }
    if let Some(Value::Object(nodes)) = upstream.get("nodes") {
        for address in nodes.keys() {
            convert::address(address).map_err(|error| Refused::because(error, &["nodes", address]))?;
        }
    }
    if text("type") != Some("chash") || text("hash_on") == Some("consumer") {
        return Ok(());
    }
    let Some(key) = upstream.get("key") else { return Err(Refused::because("missing key", &["type"])) };
    let schema = match text("hash_on") {
        Some("vars") => schema::hash_variable(),
        Some("header" | "cookie") => schema::hash_name(),
        _ => return Ok(()),
    };
    schema.check(&mut key.clone()).map_err(|mismatch| Refused::schema(mismatch).below("key"))
}

fn references(known: &Resources, entries: &Map<String, Value>) -> Result<(), Refused> {
    for (key, kind) in
        [("upstream_id", Kind::Upstreams), ("service_id", Kind::Services), ("plugin_config_id", Kind::PluginConfigs)]
    {
        let Some(id) = entries.get(key).and_then(id_text) else { continue };
        if known.get(kind, &id).is_none() {
            let name = kind.singular();
            let text = format!("failed to fetch {name} info by {name} id [{id}], response code: 404");
            return Err(Refused::because(text, &[key]));
        }
    }
    Ok(())
}

fn plugins(known: &Resources, used: &Map<String, Value>, checks: Checks) -> Result<(), Refused> {
    for (name, conf) in used {
        if !conf.is_object() && !conf.as_array().is_some_and(Vec::is_empty) {
            return Err(Refused::because(format!("invalid plugin conf {conf} for plugin [{name}]"), &[name]));
        }
        if !known.plugins().iter().any(|plugin| *plugin.name == **name) {
            match checks {
                Checks::Admin => return Err(Refused::because(format!("unknown plugin [{name}]"), &[name])),
                Checks::Synced => continue,
            }
        }
        schema::plugin().check(&mut conf.clone()).map_err(|wrong| {
            let text = format!("failed to check the configuration of plugin {name} err: {wrong}");
            Refused { from_schema: false, mismatch: Mismatch { text, path: wrong.path } }.below(name)
        })?;
        if let Some(filter) = conf.pointer("/_meta/filter") {
            condition(filter).map_err(|refused| refused.below("filter").below("_meta").below(name))?;
        }
    }
    Ok(())
}
