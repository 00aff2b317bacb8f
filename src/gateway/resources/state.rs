//! Everything as one JSON, for `--state FILE`, and back.
//!
//! What is read back passes the same checks as everything else, so that a file somebody edited by hand is an error and
//! never a surprise later.

use super::{Checks, Entry, Kind, Refused, Resources, id_text, plain};
use crate::gateway::model::WasmPlugin;
use serde_json::{Map, Value, json};

/// The form of the file.
const VERSION: u64 = 1;

/// Why a state could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not one of ours at all.
    #[error("this is not a state of pwtest: {0}")]
    Shape(String),
    /// Written by another pwtest.
    #[error(
        "the state has version {0}, this pwtest reads version {VERSION}: remove the file, or use the pwtest that wrote it"
    )]
    Version(String),
    /// An object that is not valid.
    #[error("{kind}[{at}] of the state: {refused}")]
    Object {
        /// The kind of object.
        kind: &'static str,
        /// Its place in the list, from 0.
        at: usize,
        /// What is wrong with it.
        refused: Refused,
    },
}

impl Resources {
    /// Everything but the plugins, which come from the configuration.
    pub fn to_state(&self) -> Value {
        let mut objects = Map::new();
        for kind in Kind::ALL {
            let entries = self.in_order(kind).into_iter().map(|(_, entry)| entry_json(entry)).collect();
            objects.insert(kind.name().to_owned(), Value::Array(entries));
        }
        json!({ "pwtest_state": VERSION, "revision": self.revision, "objects": objects })
    }

    /// Reads back what [`Self::to_state`] wrote. Uses of plugins that are no more stay, and are left out of what runs.
    pub fn restore(plugins: Vec<WasmPlugin>, state: &Value) -> Result<Self, StateError> {
        let shape = |what: &str| StateError::Shape(what.to_owned());
        match state.get("pwtest_state") {
            None => return Err(shape("`pwtest_state` is missing")),
            Some(version) if version.as_u64() != Some(VERSION) => return Err(StateError::Version(version.to_string())),
            Some(_) => {}
        }
        let revision = state.get("revision").and_then(Value::as_u64);
        let mut restored = Self::new(plugins);
        restored.revision = revision.ok_or_else(|| shape("`revision` is not a number"))?;
        let objects = state.get("objects").and_then(Value::as_object);
        for (name, entries) in objects.ok_or_else(|| shape("`objects` is not an object"))? {
            let kind = Kind::from_name(name).ok_or_else(|| shape(&format!("`{name}` is no kind of object")))?;
            let entries = entries.as_array().ok_or_else(|| shape(&format!("`{name}` is not a list")))?;
            for (at, entry) in entries.iter().enumerate() {
                restored.take(kind, at, entry)?;
            }
        }
        Ok(restored)
    }

    fn take(&mut self, kind: Kind, at: usize, entry: &Value) -> Result<(), StateError> {
        let place = format!("{}[{at}]", kind.name());
        let number = |key: &str| entry.get(key).and_then(Value::as_u64);
        let shape = |what: &str| StateError::Shape(format!("{place}: {what}"));
        let mut value = entry.get("value").cloned().ok_or_else(|| shape("`value` is missing"))?;
        plain(&mut value);
        let (Some(created), Some(modified)) = (number("createdIndex"), number("modifiedIndex")) else {
            return Err(shape("`createdIndex` or `modifiedIndex` is missing"));
        };
        if created > modified || modified > self.revision {
            return Err(shape("its numbers are not older than `revision`"));
        }
        self.check(kind, &mut value, Checks::Synced).map_err(|refused| StateError::Object {
            kind: kind.name(),
            at,
            refused,
        })?;
        let Value::Object(value) = value else { return Err(shape("`value` is not an object")) };
        let id = value.get("id").and_then(id_text).ok_or_else(|| shape("its id is missing"))?;
        let entry = Entry { value, created, modified, expires: number("expires") };
        match self.kinds.entry(kind).or_default().insert(id, entry) {
            Some(_) => Err(shape("its id is there twice")),
            None => Ok(()),
        }
    }
}

fn entry_json(entry: &Entry) -> Value {
    let mut json = json!({
        "value": entry.value,
        "createdIndex": entry.created,
        "modifiedIndex": entry.modified,
    });
    if let (Some(end), Some(object)) = (entry.expires, json.as_object_mut()) {
        object.insert("expires".to_owned(), end.into());
    }
    json
}
