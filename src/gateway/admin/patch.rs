//! What `PATCH` does to an object.

use serde_json::{Map, Value};

/// Objects merge, lists are replaced, `null` deletes.
pub(super) fn merge(into: &mut Value, change: Value) {
    let (Some(into), Value::Object(change)) = (into.as_object_mut(), change) else { return };
    for (key, value) in change {
        match (into.get_mut(&key), value) {
            (_, Value::Null) => {
                into.shift_remove(&key);
            }
            // An empty object is a list to Lua, and replaced like one.
            (Some(old @ Value::Object(_)), Value::Object(new))
                if old.as_object().is_some_and(|old| !old.is_empty()) =>
            {
                merge(old, Value::Object(new));
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// A path makes no more objects than this on its way.
const DEEPEST: usize = 32;

/// Replaces what stands at a path, and makes the objects on the way.
pub(super) fn replace(into: &mut Value, path: &str, change: Value) -> Result<(), String> {
    if path.split('/').count() > DEEPEST {
        return Err(format!("invalid sub-path: more than {DEEPEST} parts"));
    }
    let (parents, last): (Vec<&str>, _) = match path.rsplit_once('/') {
        Some((parents, last)) => (parents.split('/').collect(), last),
        None => (Vec::new(), path),
    };
    let invalid = |upto: usize| {
        let shown: Vec<&str> = parents.iter().take(upto).copied().collect();
        format!("invalid sub-path: /{}", shown.join("/"))
    };
    let mut place = into;
    for (at, name) in parents.iter().enumerate() {
        let Some(entries) = place.as_object_mut() else { return Err(invalid(at)) };
        place = entries.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        if !place.is_object() {
            return Err(invalid(at.saturating_add(1)));
        }
    }
    match place.as_object_mut() {
        Some(entries) => {
            entries.insert(last.to_owned(), change);
            Ok(())
        }
        None => Err(format!("invalid sub-path: /{path}")),
    }
}
