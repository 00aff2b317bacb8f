//! The objects that somebody configured, as they were written: JSON by kind and id, with the numbers that etcd would
//! have given them. What is in here has passed `check`, so that the typed [`Objects`] can always be made of it.
//!
//! No clock: who writes says what time it is.

mod check;
mod convert;
mod numbers;
mod state;
#[cfg(test)]
mod tests;
mod unknown;
mod unsupported;

pub use check::Refused;
pub use state::StateError;

pub(in crate::gateway) use convert::address;
pub(in crate::gateway) use numbers::plain;

use super::model::{Matching, Objects, Revision, WasmPlugin};
use super::schema::{Mismatch, Step};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Where requests go to, and through which plugins.
    Routes,
    /// What routes have in common.
    Services,
    /// Where requests end up.
    Upstreams,
    /// Plugins that routes share.
    PluginConfigs,
    /// Plugins of every request.
    GlobalRules,
}

impl Kind {
    /// All of them, in an order in which each one refers only to those before it.
    pub const ALL: [Kind; 5] = [Kind::Upstreams, Kind::Services, Kind::PluginConfigs, Kind::GlobalRules, Kind::Routes];

    /// The key in documents and in the paths of the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Routes => "routes",
            Kind::Services => "services",
            Kind::Upstreams => "upstreams",
            Kind::PluginConfigs => "plugin_configs",
            Kind::GlobalRules => "global_rules",
        }
    }

    /// One of them, in APISIX's texts.
    pub fn singular(self) -> &'static str {
        match self {
            Kind::Routes => "route",
            Kind::Services => "service",
            Kind::Upstreams => "upstream",
            Kind::PluginConfigs => "plugin config",
            Kind::GlobalRules => "global rule",
        }
    }

    /// By its key.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How much of an object is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// As the admin API does: what an object refers to has to be there.
    Admin,
    /// As APISIX does with what it is handed by etcd or by `apisix.yaml`: what an object refers to may come later, and
    /// plugins that are not known are left out (1.2).
    Synced,
}

/// An object as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The object, its id within.
    pub value: Map<String, Value>,
    /// The number of its first write.
    pub created: u64,
    /// The number of its last write.
    pub modified: u64,
    /// In seconds; from then on it is gone.
    pub expires: Option<u64>,
}

/// What is configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resources {
    plugins: Vec<WasmPlugin>,
    matching: Matching,
    revision: u64,
    kinds: BTreeMap<Kind, BTreeMap<String, Entry>>,
}

impl Resources {
    /// Nothing but plugins.
    pub fn new(plugins: Vec<WasmPlugin>) -> Self {
        Self { plugins, ..Self::default() }
    }

    /// The entries of `wasm.plugins`.
    pub fn plugins(&self) -> &[WasmPlugin] {
        &self.plugins
    }

    /// Other plugins with the same objects: uses of plugins that are no more are left out of [`Self::objects`].
    pub fn set_plugins(&mut self, plugins: Vec<WasmPlugin>) {
        self.plugins = plugins;
    }

    /// Routes are looked for in another way.
    pub fn set_matching(&mut self, matching: Matching) {
        self.matching = matching;
    }

    /// The number of the last write.
    pub fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// An object.
    pub fn get(&self, kind: Kind, id: &str) -> Option<&Entry> {
        self.kinds.get(&kind)?.get(id)
    }

    /// The objects of a kind, ordered by their ids as etcd does.
    pub fn list(&self, kind: Kind) -> impl Iterator<Item = (&str, &Entry)> {
        self.kinds.get(&kind).into_iter().flatten().map(|(id, entry)| (id.as_str(), entry))
    }

    /// The objects of a kind, in the order of their first write.
    pub fn in_order(&self, kind: Kind) -> Vec<(&str, &Entry)> {
        let mut entries: Vec<_> = self.list(kind).collect();
        entries.sort_by_key(|(_, entry)| entry.created);
        entries
    }

    /// Checks an object, its id within, and fills in its defaults.
    pub fn check(&self, kind: Kind, value: &mut Value, checks: Checks) -> Result<(), Refused> {
        check::object(self, kind, value, checks)
    }

    /// What is kept of an object and does nothing, in words for a log.
    pub fn idle_part(kind: Kind, value: &Map<String, Value>) -> Option<String> {
        unsupported::idle(kind, value)
    }

    /// Checks and keeps an object under the id that stands in it. Its first write's number stays.
    pub fn put(&mut self, kind: Kind, mut value: Value, checks: Checks) -> Result<(), Refused> {
        plain(&mut value);
        self.check(kind, &mut value, checks)?;
        if let Value::Object(value) = value {
            self.keep(kind, value, None);
        }
        Ok(())
    }

    /// Keeps an object that has been checked.
    pub(in crate::gateway) fn keep(&mut self, kind: Kind, value: Map<String, Value>, expires: Option<u64>) {
        let Some(id) = value.get("id").and_then(id_text) else { return };
        let modified = self.next_revision();
        let entries = self.kinds.entry(kind).or_default();
        let created = entries.get(&id).map_or(modified, |entry| entry.created);
        entries.insert(id, Entry { value, created, modified, expires });
    }

    /// Removes an object; says whether it was there.
    pub fn remove(&mut self, kind: Kind, id: &str) -> bool {
        let removed = self.kinds.get_mut(&kind).is_some_and(|entries| entries.remove(id).is_some());
        if removed {
            self.kinds.retain(|_, entries| !entries.is_empty());
            self.next_revision();
        }
        removed
    }

    /// The next number of a write.
    pub(in crate::gateway) fn next_revision(&mut self) -> u64 {
        self.revision = self.revision.saturating_add(1);
        self.revision
    }

    /// Removes what was written with a time to live that is over; says whether there was anything.
    pub fn expire(&mut self, now: u64) -> bool {
        let mut any = false;
        for entries in self.kinds.values_mut() {
            entries.retain(|_, entry| {
                let stays = entry.expires.is_none_or(|end| end > now);
                any |= !stays;
                stays
            });
        }
        if any {
            self.kinds.retain(|_, entries| !entries.is_empty());
            self.next_revision();
        }
        any
    }

    /// When the next object goes, in seconds.
    pub fn next_expiry(&self) -> Option<u64> {
        self.kinds.values().flat_map(BTreeMap::values).filter_map(|entry| entry.expires).min()
    }

    /// The route or service that keeps an object from being deleted.
    pub(in crate::gateway) fn user_of(&self, kind: Kind, id: &str) -> Option<(Kind, &str)> {
        let (key, users): (_, &[Kind]) = match kind {
            Kind::Upstreams => ("upstream_id", &[Kind::Routes, Kind::Services]),
            Kind::Services => ("service_id", &[Kind::Routes]),
            Kind::PluginConfigs => ("plugin_config_id", &[Kind::Routes]),
            Kind::Routes | Kind::GlobalRules => return None,
        };
        let uses = |entry: &Entry| entry.value.get(key).and_then(id_text).as_deref() == Some(id);
        users.iter().find_map(|user| {
            let (found, _) = self.list(*user).find(|(_, entry)| uses(entry))?;
            Some((*user, found))
        })
    }

    /// Everything, typed.
    pub fn objects(&self) -> Objects {
        let of = |kind| self.in_order(kind).into_iter();
        let known = convert::Known::new(&self.plugins);
        Objects {
            matching: self.matching,
            routes: of(Kind::Routes).map(|(id, entry)| Arc::new(convert::route(id, entry, &known))).collect(),
            services: of(Kind::Services).map(|(id, entry)| Arc::new(convert::service(id, entry, &known))).collect(),
            plugin_configs: of(Kind::PluginConfigs)
                .map(|(id, entry)| Arc::new(convert::plugin_config(id, entry, &known)))
                .collect(),
            global_rules: of(Kind::GlobalRules)
                .map(|(id, entry)| Arc::new(convert::global_rule(id, entry, &known)))
                .collect(),
            upstreams: of(Kind::Upstreams).map(|(id, entry)| Arc::new(convert::upstream_object(id, entry))).collect(),
        }
    }
}

/// Checks an object against the schema of its kind alone.
pub(in crate::gateway) fn check_schema(kind: Kind, value: &mut Value) -> Result<(), Mismatch> {
    check::schema_of(kind).check(value)
}

/// The property that somebody meant who wrote an object of a kind with the last step of this path.
pub(in crate::gateway) fn meant(kind: Kind, path: &[Step]) -> Option<&'static str> {
    check::schema_of(kind).meant(path)
}

/// An id as text: `1` and `"1"` are one object.
pub(in crate::gateway) fn id_text(id: &Value) -> Option<String> {
    match id {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
