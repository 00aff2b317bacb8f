//! What APISIX can do and pwtest does not: said when it is configured, never ignored. What would change where a request
//! goes is refused.

use super::{Kind, Refused, id_text};
use serde_json::{Map, Value};

/// Keys of routes and services.
pub(super) fn object(entries: &Map<String, Value>) -> Result<(), Refused> {
    for (key, what) in [
        ("script", "scripts in Lua"),
        ("script_id", "scripts in Lua"),
        ("filter_func", "functions in Lua; write the condition as `vars`"),
    ] {
        if entries.contains_key(key) {
            return Err(refused(format!("`{key}`: {what}"), key));
        }
    }
    Ok(())
}

/// Keys of upstreams, and values of theirs.
pub(super) fn upstream(upstream: &Map<String, Value>) -> Result<(), Refused> {
    for (key, what) in [
        ("tls", "TLS to upstreams"),
        ("service_name", "service discovery; list the `nodes`"),
        ("discovery_type", "service discovery; list the `nodes`"),
        ("discovery_args", "service discovery; list the `nodes`"),
    ] {
        if upstream.contains_key(key) {
            return Err(refused(format!("`{key}`: {what}"), key));
        }
    }
    let allowed: [(&str, &[&str]); 2] =
        [("scheme", &["http"]), ("type", &["roundrobin", "chash", "ewma", "least_conn"])];
    for (key, words) in allowed {
        match upstream.get(key).and_then(Value::as_str) {
            Some(word) if !words.contains(&word) => {
                return Err(refused(format!("{key} \"{word}\" of an upstream, only {}", words.join(", ")), key));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is kept of an object and does nothing, in words for a log.
pub(super) fn idle(kind: Kind, entries: &Map<String, Value>) -> Option<String> {
    let upstream = match kind {
        Kind::Upstreams => Some(entries),
        Kind::Routes | Kind::Services => entries.get("upstream").and_then(Value::as_object),
        Kind::PluginConfigs | Kind::GlobalRules => None,
    };
    upstream?.get("checks")?;
    let id = entries.get("id").and_then(id_text).unwrap_or_default();
    Some(format!("pwtest makes no health checks: every node of {}/{id} counts as healthy", kind.name()))
}

fn refused(what: String, key: &str) -> Refused {
    Refused::because(format!("pwtest does not support {what}"), &[key])
}
