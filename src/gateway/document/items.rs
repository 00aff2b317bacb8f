//! The objects of a kind: a list, in which those without an id are `arr_N` (7.6), or a mapping by id.

use super::Places;
use crate::diagnostic::Diagnostic;
use crate::gateway::resources::{self, Checks, Kind, Refused, Resources, id_text};
use crate::gateway::schema::Step;
use serde_json::{Map, Value};

/// What becomes of an object that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Wrong {
    /// Nothing is served.
    IsAnError,
    /// It is left out, with APISIX's line for its log (7.6).
    IsDropped,
}

/// Reads the objects of a kind.
pub(in crate::gateway) fn read(
    resources: &mut Resources,
    kind: Kind,
    items: Value,
    places: &Places,
    wrong: Wrong,
    warnings: &mut Vec<String>,
) -> Result<(), Diagnostic> {
    let mut named = Vec::new();
    match items {
        Value::Null => {}
        Value::Array(items) => {
            for (at, item) in items.into_iter().enumerate() {
                let usual = format!("arr_{}", at.saturating_add(1));
                named.push((Step::Item(at), usual, item));
            }
        }
        Value::Object(items) => {
            for (id, item) in items {
                named.push((Step::Key(id.clone()), id, item));
            }
        }
        _ => {
            let problem = places.at(&[Step::Key(kind.name().to_owned())], "expected a list, or a mapping by id");
            return Err(problem);
        }
    }
    for (step, usual, item) in named {
        let path = vec![Step::Key(kind.name().to_owned()), step];
        let shown = if wrong == Wrong::IsDropped { item.to_string() } else { String::new() };
        let by_id = matches!(path.last(), Some(Step::Key(_)));
        let put = put(resources, kind, &usual, by_id, item, wrong);
        if let Ok(id) = &put {
            let entry = resources.get(kind, id);
            warnings.extend(entry.and_then(|entry| Resources::idle_part(kind, &entry.value)));
        }
        match (put, wrong) {
            (Ok(id), Wrong::IsDropped) => warnings.extend(resources.unknown_plugins_of(kind, &id)),
            (Ok(_), Wrong::IsAnError) => {}
            (Err(refused), Wrong::IsDropped) => warnings.push(match refused {
                Item::NotAnObject => {
                    format!("invalid item data of [{}/{usual}], val: {shown}, it shoud be a object", kind.name())
                }
                Item::Refused(refused) => {
                    let why = refused.mismatch;
                    format!("failed to check item data of [{}] err:{why} ,val: {shown}", kind.name())
                }
            }),
            (Err(refused), Wrong::IsAnError) => return Err(problem(resources, kind, places, path, refused)),
        }
    }
    Ok(())
}

enum Item {
    NotAnObject,
    Refused(Refused),
}

impl From<Refused> for Item {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn put(
    resources: &mut Resources,
    kind: Kind,
    usual: &str,
    by_id: bool,
    item: Value,
    wrong: Wrong,
) -> Result<String, Item> {
    let Value::Object(mut item) = item else { return Err(Item::NotAnObject) };
    name(&mut item, usual, by_id)?;
    let id = item.get("id").and_then(id_text).unwrap_or_default();
    if resources.get(kind, &id).is_some() {
        let text = format!("the id {id} is there twice");
        return Err(Refused::because(text, &["id"]).into());
    }
    let checks = match wrong {
        Wrong::IsAnError => {
            slashes(kind, &item)?;
            Checks::Admin
        }
        Wrong::IsDropped => Checks::Synced,
    };
    resources.put(kind, Value::Object(item), checks)?;
    Ok(id)
}

/// APISIX takes a path that no request has. Who writes one in a document of pwtest's own has made a mistake.
fn slashes(kind: Kind, item: &Map<String, Value>) -> Result<(), Refused> {
    let many = item.get("uris").and_then(Value::as_array).into_iter().flatten();
    let uris = item.get("uri").into_iter().map(|uri| ("uri", uri)).chain(many.map(|uri| ("uris", uri)));
    for (key, uri) in uris.filter(|_| kind == Kind::Routes).filter_map(|(key, uri)| Some((key, uri.as_str()?))) {
        if !uri.starts_with('/') && uri != "*" && !uri.is_empty() {
            let text = format!("{key} \"{uri}\" matches no request, since it does not begin with \"/\"");
            return Err(Refused::because(text, &[key]));
        }
    }
    Ok(())
}

fn name(item: &mut Map<String, Value>, usual: &str, by_id: bool) -> Result<(), Refused> {
    match item.get("id") {
        None => {
            item.insert("id".to_owned(), usual.into());
        }
        Some(id) if by_id && id_text(id).as_deref() != Some(usual) => {
            let text = format!("this object is listed as {usual}, and its id says something else");
            return Err(Refused::because(text, &["id"]));
        }
        Some(_) => {}
    }
    Ok(())
}

fn problem(resources: &Resources, kind: Kind, places: &Places, mut path: Vec<Step>, refused: Item) -> Diagnostic {
    let refused = match refused {
        Item::NotAnObject => return places.at(&path, "expected a mapping"),
        Item::Refused(refused) => refused,
    };
    path.extend(refused.mismatch.path.iter().cloned());
    let text = &refused.mismatch.text;
    let problem = places.at(&path, text);
    if text.contains("additional properties forbidden") {
        return match resources::meant(kind, &refused.mismatch.path) {
            Some(name) => problem.hint(format!("did you mean `{name}`?")),
            None => problem,
        };
    }
    if text.contains("property \"conf\" ") && text.contains("the configuration of plugin ") {
        return problem.hint("`conf` is what the plugin is configured with: text or a mapping, and not an empty one");
    }
    let Some(name) = text.strip_prefix("unknown plugin [").and_then(|text| text.strip_suffix(']')) else {
        return problem;
    };
    let names = resources.plugins().iter().map(|plugin| &*plugin.name);
    match names.map(|known| (strsim::damerau_levenshtein(known, name), known)).min() {
        Some((distance, known)) if distance <= 3 => problem.hint(format!("did you mean `{known}`?")),
        _ => problem.hint("plugins are named in `wasm.plugins`; APISIX's own plugins are not part of pwtest"),
    }
}
