//! The admin API (7.2) as a function from a request to an answer: what APISIX 3.11 does on port 9180, for the objects
//! that pwtest has.
//!
//! The proxy's admin listener and the `admin` steps of scenarios both call [`handle`]. It tells no time and reads no
//! socket; whoever calls it says what time it is and carries out the [`AdminEffect`].

mod access;
mod json;
mod list;
mod objects;
mod patch;
mod reply;
mod target;
#[cfg(test)]
mod tests;

pub use access::{AdminKey, Allowed, Role};
pub use reply::{AdminEffect, AdminLog, AdminReply};

use super::resources::{Kind, Resources, plain};
use super::schema;
use crate::abi::LogLevel;
use crate::message::Headers;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use target::Target;

/// Longer bodies are refused.
pub const MAX_BODY: usize = 1_572_864;

/// Kinds of APISIX's objects that pwtest has none of.
const FOREIGN: [&str; 7] =
    ["consumers", "credentials", "ssls", "protos", "plugin_metadata", "consumer_groups", "secrets"];

/// A request to the admin API.
#[derive(Debug, Clone, Copy)]
pub struct AdminRequest<'a> {
    /// `PUT`
    pub method: &'a str,
    /// The path with the query, as it was sent.
    pub target: &'a str,
    /// Its headers.
    pub headers: &'a Headers,
    /// Its body.
    pub body: &'a [u8],
    /// In seconds since 1970.
    pub now: u64,
    /// Who may ask. Nobody needs a key where there are none.
    pub keys: &'a [AdminKey],
    /// From where.
    pub allowed: &'a Allowed,
    /// Who asks.
    pub client: IpAddr,
}

/// Answers a request.
pub fn handle(resources: &mut Resources, request: &AdminRequest) -> AdminReply {
    let expired = resources.expire(request.now);
    let mut reply = answer(resources, request);
    if expired && reply.effect == AdminEffect::None {
        reply.effect = AdminEffect::Changed;
    }
    if request.method == "HEAD" {
        reply.body = bytes::Bytes::new();
    }
    reply
}

fn answer(resources: &mut Resources, request: &AdminRequest) -> AdminReply {
    if !request.allowed.admits(request.client) {
        return reply::page(403);
    }
    if request.method == "OPTIONS" {
        return reply::options();
    }
    let target = Target::read(request.target);
    let path: Vec<&str> = target.segments.iter().map(String::as_str).collect();
    let known = matches!(request.method, "GET" | "PUT" | "POST" | "DELETE" | "PATCH");
    match path.as_slice() {
        ["apisix", "admin"] if request.method == "HEAD" => reply::empty(200),
        ["apisix", "admin", rest @ ..] if known && (!rest.is_empty() || target.slash) => {
            match access::check(request, &target) {
                Ok(()) => below(resources, request, &target, rest),
                Err(why) => reply::json(401, &json!({ "error_msg": "failed to check token", "description": why }))
                    .log(LogLevel::Warn, format!("failed to check token: {why}")),
            }
        }
        _ => reply::page(404),
    }
}

fn below(resources: &mut Resources, request: &AdminRequest, target: &Target, path: &[&str]) -> AdminReply {
    match (request.method, path) {
        ("GET", ["plugins", "list"]) => match target.argument("subsystem") {
            // Only Lua plugins are listed, and here are none.
            None | Some("http" | "stream") => reply::json(200, &json!([])),
            Some(_) => reply::text(400, "invalid subsystem passed"),
        },
        ("PUT", ["plugins", "reload"]) => reply::text(200, "done").effect(AdminEffect::ReloadPlugins),
        (method, ["plugins", "reload"]) => {
            let text = format!("please use PUT method to reload the plugins, {method} method is not allowed.");
            reply::error(405, &text)
        }
        ("POST", ["schema", "validate", name]) => validate(request, name),
        (_, ["schema", "plugins", rest @ ..]) => run(resources, request, target, "plugins", rest),
        (_, [name, rest @ ..]) => run(resources, request, target, name, rest),
        (_, []) => run(resources, request, target, "", &[]),
    }
}

fn run(resources: &mut Resources, request: &AdminRequest, target: &Target, name: &str, path: &[&str]) -> AdminReply {
    if name == "stream_routes" {
        return reply::error(400, "stream mode is disabled, can not add stream routes");
    }
    let kind = Kind::from_name(name);
    let foreign = FOREIGN.contains(&name);
    if kind.is_none() && !foreign && !matches!(name, "schema" | "plugins") {
        return reply::error(404, &format!("Unsupported resource type: {name}"));
    }
    if matches!(name, "schema" | "plugins") && request.method != "GET" {
        return reply::error(404, "not found");
    }
    let body = match body(request) {
        Ok(body) => body,
        Err(reply) => return *reply,
    };
    let Ok(lifetime) = target.argument("ttl").map(lifetime).transpose() else {
        return reply::error(400, "invalid argument ttl: should be a number");
    };
    let id = path.first().copied();
    let reply = match (kind, name) {
        (Some(kind), _) => {
            let sub_path = path.get(1..).unwrap_or_default().join("/");
            let expires = lifetime.flatten().map(|seconds| request.now.saturating_add(seconds));
            let call = objects::Call { kind, id, sub_path: &sub_path, target, now: request.now, expires };
            objects::run(resources, request.method, &call, body)
        }
        (None, "plugins") => plugin(resources, target, id),
        (None, "schema") => schema(id),
        (None, _) => foreign_object(request.method, name, id),
    };
    reply.header("X-API-VERSION", "v3")
}

/// The body as JSON, if there is one.
fn body(request: &AdminRequest) -> Result<Option<Value>, Box<AdminReply>> {
    let body = request.body;
    if body.is_empty() {
        return Ok(None);
    }
    if body.len() > MAX_BODY {
        let (size, most) = (body.len(), MAX_BODY);
        let text = format!("request size {size} is greater than the maximum size {most} allowed");
        return Err(Box::new(
            reply::error(400, &format!("invalid request body: {text}"))
                .log(LogLevel::Error, format!("failed to read request body: {text}")),
        ));
    }
    match json::read(body) {
        Ok(mut value) => {
            plain(&mut value);
            Ok(Some(value))
        }
        Err(error) => {
            let raw = String::from_utf8_lossy(body);
            let json = json!({ "error_msg": format!("invalid request body: {error}"), "req_body": raw });
            let line = format!("invalid request body: {raw} err: {error}");
            Err(Box::new(reply::json(400, &json).log(LogLevel::Error, line)))
        }
    }
}

/// A time to live in seconds; none for 0. `Err` is what is no such time.
fn lifetime(text: &str) -> Result<Option<u64>, ()> {
    let seconds: f64 = text.trim().parse().map_err(|_| ())?;
    if !seconds.is_finite() || seconds < 0.0 {
        return Err(());
    }
    // The cast saturates.
    let whole = seconds.ceil() as u64;
    Ok((whole > 0).then_some(whole))
}

fn validate(request: &AdminRequest, name: &str) -> AdminReply {
    let Some(kind) = Kind::from_name(name) else {
        return reply::error(404, &format!("Unsupported resource type: {name}"));
    };
    let value = match body(request) {
        Ok(value) => value,
        Err(reply) => return *reply,
    };
    let Some(mut value) = value else { return reply::error(400, "wrong type: expected object, got nil") };
    match super::resources::check_schema(kind, &mut value) {
        Ok(()) => reply::empty(200),
        Err(wrong) => reply::error(400, &wrong.text),
    }
}

fn plugin(resources: &Resources, target: &Target, name: Option<&str>) -> AdminReply {
    let subsystem = match target.argument("subsystem") {
        None => "http",
        Some(subsystem @ ("http" | "stream")) => subsystem,
        Some(other) => return reply::error(400, &format!("unsupported subsystem: {other}")),
    };
    let plugins = if subsystem == "http" { resources.plugins() } else { &[] };
    if target.argument("all") == Some("true") {
        let about = |priority| json!({ "version": 0.1, "priority": priority, "schema": schema::wasm_plugin_schema() });
        let all: Map<_, _> = plugins.iter().map(|p| (p.name.to_string(), about(p.priority))).collect();
        return reply::json(200, &Value::Object(all)).header("Deprecation", "true");
    }
    match plugins.iter().any(|plugin| Some(&*plugin.name) == name) {
        true => reply::json(200, &schema::wasm_plugin_schema()),
        false => reply::error(404, &format!("plugin not found in subsystem {subsystem}")),
    }
}

fn schema(name: Option<&str>) -> AdminReply {
    let name = name.unwrap_or_default();
    match Kind::ALL.into_iter().find(|kind| kind.singular().replace(' ', "_") == name) {
        Some(kind) => reply::json(200, &schema::written(kind)),
        None => reply::error(400, &format!("not found schema: {name}")),
    }
}

/// Of what pwtest has not, there is none; and nothing is silently thrown away.
fn foreign_object(method: &str, name: &str, id: Option<&str>) -> AdminReply {
    match (method, id) {
        ("GET", None) => reply::json(200, &json!({ "list": [], "total": 0 })),
        ("GET" | "DELETE", Some(_)) => reply::missing(),
        _ => reply::error(400, &format!("pwtest does not support {name}")),
    }
}
