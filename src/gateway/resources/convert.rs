//! From an object that was checked to what the router reads. Nothing here fails: what a check let through and this does
//! not know has its default.

use super::numbers::{count, integer, milliseconds};
use super::{Entry, id_text};
use crate::gateway::model::{
    Balance, GlobalRule, HashOn, KeepalivePool, Meta, Node, PassHost, PluginConf, PluginConfig, Revision, Route,
    Scheme, Service, Timeout, Upstream, UpstreamRef, WasmPlugin,
};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The names of the plugins that there are, shared by all that use them.
pub(super) struct Known<'a>(HashMap<&'a str, &'a Arc<str>>);

impl<'a> Known<'a> {
    pub fn new(plugins: &'a [WasmPlugin]) -> Self {
        Self(plugins.iter().map(|plugin| (&*plugin.name, &plugin.name)).collect())
    }
}

type Object = Map<String, Value>;

pub(super) fn route(id: &str, entry: &Entry, known: &Known) -> Route {
    let value = &entry.value;
    let revision = Revision(entry.modified);
    Route {
        id: id.into(),
        revision,
        uris: one_or_many(value, "uri", "uris"),
        hosts: lower(one_or_many(value, "host", "hosts")),
        methods: one_or_many(value, "", "methods").iter().map(|method| method.to_ascii_uppercase()).collect(),
        remote_addrs: one_or_many(value, "remote_addr", "remote_addrs"),
        vars: value.get("vars").filter(|vars| vars.as_array().is_some_and(|rules| !rules.is_empty())).cloned(),
        priority: value.get("priority").and_then(integer).unwrap_or(0),
        enabled: value.get("status").and_then(integer) != Some(0),
        plugins: plugins(value, known),
        plugin_config_id: reference(value, "plugin_config_id"),
        service_id: reference(value, "service_id"),
        upstream: upstream_ref(value, revision),
        timeout: value.get("timeout").map(timeout),
        enable_websocket: flag(value, "enable_websocket"),
    }
}

pub(super) fn service(id: &str, entry: &Entry, known: &Known) -> Service {
    let value = &entry.value;
    let revision = Revision(entry.modified);
    Service {
        id: id.into(),
        revision,
        hosts: lower(one_or_many(value, "", "hosts")),
        plugins: plugins(value, known),
        upstream: upstream_ref(value, revision),
        enable_websocket: flag(value, "enable_websocket"),
    }
}

pub(super) fn plugin_config(id: &str, entry: &Entry, known: &Known) -> PluginConfig {
    PluginConfig { id: id.into(), revision: Revision(entry.modified), plugins: plugins(&entry.value, known) }
}

pub(super) fn global_rule(id: &str, entry: &Entry, known: &Known) -> GlobalRule {
    GlobalRule { id: id.into(), revision: Revision(entry.modified), plugins: plugins(&entry.value, known) }
}

pub(super) fn upstream_object(id: &str, entry: &Entry) -> Upstream {
    upstream(&entry.value, Some(id.into()), Revision(entry.modified))
}

fn upstream(value: &Object, id: Option<Arc<str>>, revision: Revision) -> Upstream {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let scheme = if text("scheme") == Some("grpc") { Scheme::Grpc } else { Scheme::Http };
    let balance = match text("type") {
        Some("chash") => Balance::Chash {
            hash_on: match text("hash_on") {
                Some("header") => HashOn::Header,
                Some("cookie") => HashOn::Cookie,
                Some("vars_combinations") => HashOn::VarsCombinations,
                Some("consumer") => HashOn::Consumer,
                _ => HashOn::Vars,
            },
            key: text("key").unwrap_or_default().to_owned(),
        },
        _ => Balance::RoundRobin,
    };
    Upstream {
        id,
        revision,
        balance,
        nodes: value.get("nodes").map(nodes).unwrap_or_default(),
        scheme,
        pass_host: match text("pass_host") {
            Some("node") => PassHost::Node,
            Some("rewrite") => PassHost::Rewrite(text("upstream_host").unwrap_or_default().to_owned()),
            _ => PassHost::Pass,
        },
        retries: value.get("retries").and_then(count),
        retry_timeout: value.get("retry_timeout").and_then(Value::as_f64).filter(|seconds| *seconds > 0.0),
        timeout: value.get("timeout").map(timeout).unwrap_or_default(),
        keepalive_pool: value.get("keepalive_pool").map(keepalive).unwrap_or_default(),
    }
}

fn nodes(value: &Value) -> Vec<Node> {
    match value {
        Value::Object(nodes) => nodes
            .iter()
            .filter_map(|(name, weight)| {
                let (host, port) = address(name).ok()?;
                Some(Node { weight: count(weight).unwrap_or(0), ..Node::new(host, port) })
            })
            .collect(),
        Value::Array(nodes) => nodes
            .iter()
            .filter_map(|node| {
                let host = node.get("host")?.as_str()?;
                let port = node.get("port").and_then(count).and_then(|port| u16::try_from(port).ok());
                Some(Node {
                    host: host.trim_start_matches('[').trim_end_matches(']').into(),
                    port: port.unwrap_or(DEFAULT_PORT),
                    weight: node.get("weight").and_then(count).unwrap_or(0),
                    priority: node.get("priority").and_then(integer).unwrap_or(0),
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Without TLS there is only one.
const DEFAULT_PORT: u16 = 80;

/// `host:port`, `host`, `[::1]:port` or `[::1]`: the key of a node.
pub(in crate::gateway) fn address(text: &str) -> Result<(&str, u16), String> {
    let invalid = || format!("invalid node address \"{text}\", expected `host:port`");
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']').ok_or_else(invalid)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if host.is_empty() || !host.chars().all(allowed) {
        return Err(invalid());
    }
    let port = match (rest.strip_prefix(':'), rest) {
        (_, "") => return Ok((host, DEFAULT_PORT)),
        (None, _) => return Err(invalid()),
        (Some(port), _) => port,
    };
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok((host, number)),
        _ => Err(format!("invalid port {port}")),
    }
}

fn timeout(value: &Value) -> Timeout {
    let usual = Timeout::default();
    let of = |key: &str, usual| value.get(key).and_then(milliseconds).unwrap_or(usual);
    Timeout {
        connect_ms: of("connect", usual.connect_ms),
        send_ms: of("send", usual.send_ms),
        read_ms: of("read", usual.read_ms),
    }
}

fn keepalive(value: &Value) -> KeepalivePool {
    let usual = KeepalivePool::default();
    let of = |key: &str, usual| value.get(key).and_then(count).unwrap_or(usual);
    KeepalivePool {
        size: of("size", usual.size),
        idle_timeout_ms: value.get("idle_timeout").and_then(milliseconds).unwrap_or(usual.idle_timeout_ms),
        requests: of("requests", usual.requests),
    }
}

fn upstream_ref(value: &Object, revision: Revision) -> Option<UpstreamRef> {
    // Where both are written, APISIX looks the id up and never at the other.
    reference(value, "upstream_id").map(UpstreamRef::Id).or_else(|| {
        let inline = value.get("upstream")?.as_object()?;
        Some(UpstreamRef::Inline(Arc::new(upstream(inline, None, revision))))
    })
}

fn reference(value: &Object, key: &str) -> Option<Arc<str>> {
    value.get(key).and_then(id_text).map(Into::into)
}

fn flag(value: &Object, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn one_or_many(value: &Object, one: &str, many: &str) -> Vec<String> {
    let many = value.get(many).and_then(Value::as_array).into_iter().flatten();
    value.get(one).into_iter().chain(many).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn lower(hosts: Vec<String>) -> Vec<String> {
    hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()
}

fn plugins(value: &Object, known: &Known) -> Vec<PluginConf> {
    let used = value.get("plugins").and_then(Value::as_object).into_iter().flatten();
    used.filter_map(|(name, value)| {
        let name = Arc::clone(known.0.get(name.as_str())?);
        let conf = match value.get("conf")? {
            Value::String(text) => Bytes::from(text.clone()),
            other => Bytes::from(other.to_string()),
        };
        Some(PluginConf { name, conf, meta: value.get("_meta").map(meta).unwrap_or_default() })
    })
    .collect()
}

fn meta(value: &Value) -> Meta {
    Meta {
        disable: value.get("disable").and_then(Value::as_bool).unwrap_or(false),
        priority: value.get("priority").and_then(integer),
        error_response: value.get("error_response").map(|body| match body {
            Value::String(text) => Bytes::from(text.clone()),
            // APISIX ends every JSON that it answers with a line break.
            other => Bytes::from(format!("{other}\n")),
        }),
        filter: value.get("filter").filter(|filter| filter.as_array().is_some_and(|rules| !rules.is_empty())).cloned(),
    }
}
