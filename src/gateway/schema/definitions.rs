//! The schemas of APISIX's objects, as far as 7.3-7.5 describe them, and of `wasm.plugins` (1.1) and a plugin's
//! configuration (1.3).
//!
//! What APISIX has and pwtest does not do is in them too, so that `resources::unsupported` can say so in plain words
//! instead of "additional properties forbidden".

use super::{Schema, health};
use crate::gateway::resources::Kind;
use serde_json::{Value, json};
use std::sync::LazyLock;

const HOST: &str = r"^\*?[0-9a-zA-Z-._\[\]:]+$";
const HASH_VARIABLE: &str = "^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|\
     mqtt_client_id)|arg_[0-9a-zA-z_-]+)$";
const IPV4: &str = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

fn id() -> Value {
    json!({ "anyOf": [
        { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-_.]+$" },
        { "type": "integer", "minimum": 1 },
    ] })
}

fn host() -> Value {
    json!({ "type": "string", "pattern": HOST })
}

fn address() -> Value {
    let v4 = format!(r"^{IPV4}(\.{IPV4}){{3}}/([12]?[0-9]|3[0-2])$");
    let v6 = "^[a-fA-F0-9:.]*:[a-fA-F0-9:.]*/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$";
    json!({ "type": "string", "anyOf": [
        { "title": "IPv4", "type": "string", "format": "ipv4" },
        { "title": "IPv4/CIDR", "type": "string", "pattern": v4 },
        { "title": "IPv6", "type": "string", "format": "ipv6" },
        { "title": "IPv6/CIDR", "type": "string", "pattern": v6 },
    ] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1, "uniqueItems": true })
}

fn timeout() -> Value {
    let seconds = json!({ "type": "number", "exclusiveMinimum": 0 });
    json!({
        "type": "object",
        "properties": { "connect": seconds, "send": seconds, "read": seconds },
        "required": ["connect", "send", "read"],
    })
}

fn labels() -> Value {
    let label = json!({ "type": "string", "pattern": r"^\S+$", "maxLength": 256, "minLength": 1 });
    json!({ "type": "object", "patternProperties": { ".*": label } })
}

fn name() -> Value {
    json!({ "type": "string", "maxLength": 256, "minLength": 1 })
}

fn description() -> Value {
    json!({ "type": "string", "maxLength": 256 })
}

fn script() -> Value {
    json!({ "type": "string", "minLength": 10, "maxLength": 102_400 })
}

fn nodes() -> Value {
    let weight = json!({ "type": "integer", "minimum": 0 });
    json!({ "anyOf": [
        { "type": "object", "patternProperties": { ".*": weight } },
        { "type": "array", "items": {
            "type": "object",
            "properties": {
                "host": host(),
                "port": { "type": "integer", "minimum": 1, "maximum": 65_535 },
                "weight": weight,
                "priority": { "type": "integer", "default": 0 },
                "metadata": { "type": "object" },
            },
            "required": ["host", "weight"],
        } },
    ] })
}

fn upstream_json() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": id(),
            "create_time": { "type": "integer" },
            "update_time": { "type": "integer" },
            "nodes": nodes(),
            "retries": { "type": "integer", "minimum": 0 },
            "retry_timeout": { "type": "number", "minimum": 0 },
            "timeout": timeout(),
            "tls": { "type": "object" },
            "type": { "type": "string", "default": "roundrobin" },
            "checks": health::checks(&host()),
            "hash_on": {
                "type": "string",
                "default": "vars",
                "enum": ["vars", "header", "cookie", "consumer", "vars_combinations"],
            },
            "key": { "type": "string" },
            "scheme": {
                "default": "http",
                "enum": ["grpc", "grpcs", "http", "https", "tcp", "tls", "udp", "kafka"],
            },
            "labels": labels(),
            "discovery_type": { "type": "string" },
            "discovery_args": { "type": "object" },
            "pass_host": { "type": "string", "enum": ["pass", "node", "rewrite"], "default": "pass" },
            "upstream_host": host(),
            "service_name": { "type": "string", "maxLength": 256, "minLength": 1 },
            "keepalive_pool": {
                "type": "object",
                "properties": {
                    "size": { "type": "integer", "default": 320, "minimum": 1 },
                    "idle_timeout": { "type": "number", "default": 60, "minimum": 0 },
                    "requests": { "type": "integer", "default": 1000, "minimum": 1 },
                },
            },
            "name": name(),
            "desc": description(),
        },
        "oneOf": [{ "required": ["nodes"] }, { "required": ["service_name", "discovery_type"] }],
        "additionalProperties": false,
    })
}

fn route_json() -> Value {
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE"];
    let either = |one: &str, many: &str| {
        json!({ "oneOf": [
            { "not": { "anyOf": [{ "required": [one] }, { "required": [many] }] } },
            { "required": [one] },
            { "required": [many] },
        ] })
    };
    let mut targets = Vec::new();
    for uri in ["uri", "uris"] {
        for target in ["plugins", "upstream", "upstream_id", "service_id"] {
            targets.push(json!({ "required": [target, uri] }));
        }
    }
    targets.push(json!({ "required": ["script", "uri"] }));
    targets.push(json!({ "required": ["script", "uris"] }));
    json!({
        "type": "object",
        "properties": {
            "id": id(),
            "create_time": { "type": "integer" },
            "update_time": { "type": "integer" },
            "uri": { "type": "string", "minLength": 1, "maxLength": 4096 },
            "uris": list(json!({ "type": "string" })),
            "name": name(),
            "desc": description(),
            "priority": { "type": "integer", "default": 0 },
            "methods": { "type": "array", "items": { "type": "string", "enum": methods }, "uniqueItems": true },
            "host": host(),
            "hosts": list(host()),
            "remote_addr": address(),
            "remote_addrs": list(address()),
            "timeout": timeout(),
            "vars": { "type": "array" },
            "filter_func": { "type": "string", "minLength": 10, "pattern": "^function" },
            "script": script(),
            "script_id": id(),
            "plugins": { "type": "object" },
            "plugin_config_id": id(),
            "upstream": upstream_json(),
            "labels": labels(),
            "service_id": id(),
            "upstream_id": id(),
            "enable_websocket": { "type": "boolean" },
            "status": { "type": "integer", "enum": [1, 0], "default": 1 },
        },
        "allOf": [
            { "oneOf": [{ "required": ["uri"] }, { "required": ["uris"] }] },
            either("host", "hosts"),
            either("remote_addr", "remote_addrs"),
        ],
        "anyOf": targets,
        "not": { "anyOf": [
            { "required": ["script", "plugins"] },
            { "required": ["script", "plugin_config_id"] },
        ] },
        "additionalProperties": false,
    })
}

fn service_json() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": id(),
            "plugins": { "type": "object" },
            "upstream": upstream_json(),
            "upstream_id": id(),
            "name": name(),
            "desc": description(),
            "labels": labels(),
            "script": script(),
            "create_time": { "type": "integer" },
            "update_time": { "type": "integer" },
            "enable_websocket": { "type": "boolean" },
            "hosts": list(host()),
        },
        "additionalProperties": false,
    })
}

fn plugin_config_json() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": id(),
            "name": name(),
            "desc": description(),
            "plugins": { "type": "object" },
            "labels": labels(),
            "create_time": { "type": "integer" },
            "update_time": { "type": "integer" },
        },
        "required": ["id", "plugins"],
        "additionalProperties": false,
    })
}

fn global_rule_json() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": id(),
            "plugins": { "type": "object" },
            "create_time": { "type": "integer" },
            "update_time": { "type": "integer" },
        },
        "required": ["id", "plugins"],
        "additionalProperties": false,
    })
}

/// What a wasm plugin's configuration has to be, with what APISIX adds to every plugin's.
pub(in crate::gateway) fn wasm_plugin_schema() -> Value {
    json!({
        "$comment": "this is a mark for our injected plugin schema",
        "type": "object",
        "properties": {
            "conf": { "oneOf": [
                { "type": "object", "minProperties": 1 },
                { "type": "string", "minLength": 1 },
            ] },
            "_meta": {
                "type": "object",
                "properties": {
                    "disable": { "type": "boolean" },
                    "error_response": { "oneOf": [{ "type": "string" }, { "type": "object" }] },
                    "priority": { "type": "integer", "description": "priority of plugins by customized order" },
                    "filter": {
                        "type": "array",
                        "description": "filter determines whether the plugin needs to be executed at runtime",
                    },
                },
                "additionalProperties": false,
            },
        },
        "required": ["conf"],
    })
}

fn wasm_json() -> Value {
    json!({
        "type": "object",
        "properties": { "wasm": {
            "type": "object",
            "properties": { "plugins": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "file": { "type": "string" },
                        "priority": { "type": "integer" },
                        "http_request_phase": { "enum": ["access", "rewrite"], "default": "access" },
                    },
                    "required": ["name", "file", "priority"],
                },
            } },
        } },
    })
}

/// The schema of a kind of object, as JSON.
pub(in crate::gateway) fn written(kind: Kind) -> Value {
    match kind {
        Kind::Routes => route_json(),
        Kind::Services => service_json(),
        Kind::Upstreams => upstream_json(),
        Kind::PluginConfigs => plugin_config_json(),
        Kind::GlobalRules => global_rule_json(),
    }
}

macro_rules! ready {
    ($($(#[$doc:meta])* $name:ident = $json:expr;)*) => {$(
        $(#[$doc])*
        pub(in crate::gateway) fn $name() -> &'static Schema {
            static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::build(&$json));
            &SCHEMA
        }
    )*};
}

ready! {
    /// A route (7.3).
    route = route_json();
    /// A service (7.5).
    service = service_json();
    /// An upstream (7.4).
    upstream = upstream_json();
    /// A plugin_config (7.5).
    plugin_config = plugin_config_json();
    /// A global rule (7.5).
    global_rule = global_rule_json();
    /// A plugin's configuration (1.3).
    plugin = wasm_plugin_schema();
    /// The `wasm` of a `config.yaml` (1.1).
    wasm = wasm_json();
    /// The `key` of a `chash` over a variable.
    hash_variable = json!({ "type": "string", "pattern": HASH_VARIABLE });
    /// The `key` of a `chash` over a header or a cookie.
    hash_name = json!({ "type": "string", "pattern": "^[a-zA-Z0-9-_]+$" });
}
