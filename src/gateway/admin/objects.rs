//! The verbs on objects.

use super::target::Target;
use super::{AdminEffect, AdminReply, list, patch, reply};
use crate::abi::LogLevel;
use crate::gateway::resources::{Checks, Entry, Kind, Resources, id_text};
use serde_json::{Map, Value, json};

/// What is asked of which object.
pub(super) struct Call<'a> {
    pub kind: Kind,
    pub id: Option<&'a str>,
    /// Below the object, for `PATCH`.
    pub sub_path: &'a str,
    pub target: &'a Target,
    pub now: u64,
    pub expires: Option<u64>,
}

pub(super) fn run(resources: &mut Resources, method: &str, call: &Call, body: Option<Value>) -> AdminReply {
    match method {
        "GET" => get(resources, call),
        "PUT" => put(resources, call, body),
        "POST" if matches!(call.kind, Kind::GlobalRules | Kind::PluginConfigs) => {
            reply::error(405, &format!("not supported `POST` method for {}", call.kind.singular()))
        }
        "POST" => post(resources, call, body),
        "DELETE" => delete(resources, call),
        "PATCH" => patch(resources, call, body),
        _ => reply::error(404, "not found"),
    }
}

fn get(resources: &Resources, call: &Call) -> AdminReply {
    let Some(id) = call.id else { return list::reply(resources, call) };
    match resources.get(call.kind, id) {
        Some(entry) => reply::json(200, &read(call.kind, id, entry)),
        None => reply::missing(),
    }
}

fn put(resources: &mut Resources, call: &Call, body: Option<Value>) -> AdminReply {
    let name = call.kind.singular();
    let Some(mut conf) = body else { return reply::error(400, "missing configurations") };
    let written = conf.get("id").cloned();
    let Some(id) = call.id.map(Value::from).or_else(|| written.clone()) else {
        return reply::error(400, &format!("missing {name} id"));
    };
    if written.is_some_and(|written| id_text(&written) != id_text(&id)) {
        return reply::error(400, &format!("wrong {name} id"));
    }
    if let Some(conf) = conf.as_object_mut() {
        conf.insert("id".to_owned(), id.clone());
    }
    if let Some(why) = forbidden(&conf) {
        return reply::error(400, &why);
    }
    let before = id_text(&id).and_then(|id| resources.get(call.kind, &id));
    let created = before.and_then(|entry| entry.value.get("create_time").cloned());
    let status = if before.is_some() { 200 } else { 201 };
    let times = [("create_time", created.unwrap_or_else(|| call.now.into())), ("update_time", call.now.into())];
    store(resources, call, conf, times, status)
}

fn post(resources: &mut Resources, call: &Call, body: Option<Value>) -> AdminReply {
    let name = call.kind.singular();
    let Some(mut conf) = body else { return reply::error(400, "missing configurations") };
    if call.id.is_some() || conf.get("id").is_some() {
        return reply::error(400, &format!("wrong {name} id, do not need it"));
    }
    if let Some(why) = forbidden(&conf) {
        return reply::error(400, &why);
    }
    // The id is the number of a write that APISIX makes for nothing else.
    let mut number = resources.revision().0.saturating_add(1);
    let mut id = format!("{number:020}");
    while resources.get(call.kind, &id).is_some() && number < u64::MAX {
        number = number.saturating_add(1);
        id = format!("{number:020}");
    }
    if let Some(conf) = conf.as_object_mut() {
        conf.insert("id".to_owned(), id.into());
    }
    let reply = store(resources, call, conf, [("create_time", call.now.into()), ("update_time", call.now.into())], 201);
    if reply.effect == AdminEffect::Changed {
        resources.next_revision();
    }
    reply
}

fn delete(resources: &mut Resources, call: &Call) -> AdminReply {
    let name = call.kind.singular();
    let Some(id) = call.id else { return reply::error(400, &format!("missing {name} id")) };
    if call.target.argument("force") != Some("true")
        && let Some((user, used_by)) = resources.user_of(call.kind, id)
    {
        let directly = if call.kind == Kind::Services { " directly" } else { "" };
        let user = user.singular();
        let text = format!("can not delete this {name}{directly}, {user} [{used_by}] is still using it now");
        return reply::error(400, &text);
    }
    if !resources.remove(call.kind, id) {
        return reply::missing();
    }
    reply::json(200, &json!({ "deleted": "1", "key": key(call.kind, id) })).effect(AdminEffect::Changed)
}

fn patch(resources: &mut Resources, call: &Call, body: Option<Value>) -> AdminReply {
    let name = call.kind.singular();
    let Some(id) = call.id else { return reply::error(400, &format!("missing {name} id")) };
    let Some(change) = body else { return reply::error(400, "missing new configuration") };
    let whole = call.sub_path.is_empty();
    if whole && !change.is_object() && !change.is_array() {
        return reply::error(400, "invalid configuration");
    }
    let Some(entry) = resources.get(call.kind, id) else { return reply::missing() };
    let mut conf = Value::Object(entry.value.clone());
    let asked_time = change.get("update_time").filter(|time| whole && !time.is_null()).cloned();
    if whole {
        patch::merge(&mut conf, change);
    } else if let Err(why) = patch::replace(&mut conf, call.sub_path, change) {
        return reply::error(400, &why);
    }
    match conf.get("id").filter(|written| id_text(written).as_deref() != Some(id)) {
        Some(_) => return reply::error(400, &format!("wrong {name} id")),
        None => {
            if let Some(conf) = conf.as_object_mut() {
                conf.insert("id".to_owned(), id.into());
            }
        }
    }
    let created = conf.get("create_time").cloned().unwrap_or_else(|| call.now.into());
    let updated = asked_time.unwrap_or_else(|| call.now.into());
    store(resources, call, conf, [("create_time", created), ("update_time", updated)], 200)
}

/// Checks and keeps, and shows what was kept.
fn store(
    resources: &mut Resources,
    call: &Call,
    mut conf: Value,
    times: [(&str, Value); 2],
    status: u16,
) -> AdminReply {
    if is_deeper(&conf, DEEPEST) {
        return reply::error(400, &format!("invalid configuration: nested more than {DEEPEST} deep"));
    }
    if let Err(refused) = resources.check(call.kind, &mut conf, Checks::Admin) {
        return reply::error(400, &refused.to_string());
    }
    let Value::Object(mut conf) = conf else { return reply::error(400, "invalid configuration") };
    let Some(id) = conf.get("id").and_then(id_text) else { return reply::error(400, "missing id") };
    for (key, time) in times {
        conf.insert(key.to_owned(), time);
    }
    let shown = json!({ "key": key(call.kind, &id), "value": conf });
    let idle = Resources::idle_part(call.kind, &conf);
    resources.keep(call.kind, conf, call.expires);
    let reply = reply::json(status, &shown).effect(AdminEffect::Changed);
    idle.into_iter().fold(reply, |reply, line| reply.log(LogLevel::Warn, line))
}

/// Objects are no deeper, so that a state that holds them can be read again, and no walk over one is too deep.
const DEEPEST: usize = 100;

fn is_deeper(value: &Value, most: usize) -> bool {
    let Some(most) = most.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, most)),
        Value::Object(entries) => entries.values().any(|item| is_deeper(item, most)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Times are APISIX's to write.
fn forbidden(conf: &Value) -> Option<String> {
    let has = |below: Option<&Value>, key: &str| below.and_then(|below| below.get(key)).is_some();
    for (below, shown) in [(Some(conf), ""), (conf.get("upstream"), "upstream."), (conf.get("plugins"), "plugins.")] {
        for key in ["create_time", "update_time"] {
            if has(below, key) {
                // The two spaces are APISIX's.
                return Some(format!("the property is forbidden:  {shown}{key}"));
            }
        }
    }
    None
}

/// An object as it is shown to those who ask for it.
pub(super) fn read(kind: Kind, id: &str, entry: &Entry) -> Value {
    let mut shown = Map::new();
    shown.insert("key".to_owned(), key(kind, id).into());
    shown.insert("value".to_owned(), Value::Object(entry.value.clone()));
    shown.insert("createdIndex".to_owned(), entry.created.into());
    shown.insert("modifiedIndex".to_owned(), entry.modified.into());
    Value::Object(shown)
}

fn key(kind: Kind, id: &str) -> String {
    format!("/apisix/{}/{id}", kind.name())
}
