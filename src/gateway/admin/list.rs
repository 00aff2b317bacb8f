//! Lists of objects: filters, then pages.

use super::objects::{Call, read};
use super::{AdminReply, reply};
use crate::gateway::resources::{Entry, Resources};
use regex::Regex;
use serde_json::{Value, json};

pub(super) fn reply(resources: &Resources, call: &Call) -> AdminReply {
    let argument = |name| call.target.argument(name);
    let name = argument("name").map(Regex::new);
    let uri = argument("uri").map(Regex::new);
    let label = argument("label");
    let fits = |entry: &Entry| {
        let text = |key: &str| entry.value.get(key).and_then(Value::as_str);
        // A pattern that is none finds nothing.
        let found = |pattern: &Option<Result<Regex, _>>, texts: &[&str]| match pattern {
            None => true,
            Some(pattern) => texts.iter().any(|text| pattern.as_ref().is_ok_and(|pattern| pattern.is_match(text))),
        };
        let many = entry.value.get("uris").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let uris: Vec<&str> = many.chain(text("uri")).collect();
        let labelled = label.is_none_or(|label| entry.value.get("labels").is_some_and(|all| all.get(label).is_some()));
        let names: Vec<&str> = text("name").into_iter().collect();
        found(&name, &names) && labelled && found(&uri, &uris)
    };
    let number = |name| argument(name).and_then(|text| text.trim().parse::<f64>().ok()).filter(|n| n.is_finite());
    let pages = match (number("page"), number("page_size")) {
        (Some(_), Some(size)) if !(10.0..=500.0).contains(&size) => {
            return reply::text(400, "page_size must be between 10 and 500");
        }
        // The casts saturate.
        (Some(page), Some(size)) => Some((page.max(1.0) as usize, size as usize)),
        _ => None,
    };
    // etcd orders by key; pages are cut in the order of creation.
    let entries: Vec<_> = match pages {
        Some(_) => resources.in_order(call.kind).into_iter().filter(|(_, entry)| fits(entry)).collect(),
        None => resources.list(call.kind).filter(|(_, entry)| fits(entry)).collect(),
    };
    let total = entries.len();
    let (skip, take) = match pages {
        Some((page, size)) => (page.saturating_sub(1).saturating_mul(size), size),
        None => (0, usize::MAX),
    };
    let shown: Vec<Value> =
        entries.into_iter().skip(skip).take(take).map(|(id, entry)| read(call.kind, id, entry)).collect();
    reply::json(200, &json!({ "list": shown, "total": total }))
}
