//! Uses of plugins that nobody has. APISIX 3.11 leaves them out and says nothing (1.2), so that a route without its
//! authentication looks like any other; here the log has a line, in the words of later versions.

use super::{Kind, Resources};

impl Resources {
    /// A line for each use of a plugin that is not known.
    pub fn unknown_plugins(&self) -> Vec<String> {
        let of_kind = |kind| self.list(kind).flat_map(move |(id, _)| self.unknown_plugins_of(kind, id));
        Kind::ALL.into_iter().flat_map(of_kind).collect()
    }

    /// Those of one object.
    pub(in crate::gateway) fn unknown_plugins_of(&self, kind: Kind, id: &str) -> Vec<String> {
        let entry = self.get(kind, id);
        let used = entry.and_then(|entry| entry.value.get("plugins")?.as_object()).into_iter().flatten();
        let unknown = used.filter(|(name, _)| !self.plugins().iter().any(|plugin| *plugin.name == ***name));
        let said = |name: &String| {
            format!(
                "skipping check schema for disabled or unknown plugin [{name}]. Enable the plugin or modify configuration \
                 (in {}/{id})",
                kind.name()
            )
        };
        unknown.map(|(name, _)| said(name)).collect()
    }
}
