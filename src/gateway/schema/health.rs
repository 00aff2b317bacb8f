//! The schema of an upstream's `checks`. Nobody makes them here; that they are checked as in APISIX 3.11 is all.

use serde_json::{Value, json};

/// Whether 0 turns a counter off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zero {
    TurnsItOff,
    IsRefused,
}

fn counter(zero: Zero, usual: u64) -> Value {
    let least = u8::from(zero == Zero::IsRefused);
    json!({ "type": "integer", "minimum": least, "maximum": 254, "default": usual })
}

fn statuses(usual: &[u16]) -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "items": { "type": "integer", "minimum": 200, "maximum": 599 },
        "uniqueItems": true,
        "default": usual,
    })
}

fn kind() -> Value {
    json!({ "type": "string", "enum": ["http", "https", "tcp"], "default": "http" })
}

fn active(host: &Value) -> Value {
    use Zero::IsRefused;
    let interval = json!({ "type": "integer", "minimum": 1, "default": 1 });
    json!({
        "type": "object",
        "properties": {
            "type": kind(),
            "timeout": { "type": "number", "default": 1 },
            "concurrency": { "type": "integer", "default": 10 },
            "host": host,
            "port": { "type": "integer", "minimum": 1, "maximum": 65_535 },
            "http_path": { "type": "string", "default": "/" },
            "https_verify_certificate": { "type": "boolean", "default": true },
            "healthy": { "type": "object", "properties": {
                "interval": interval,
                "http_statuses": statuses(&[200, 302]),
                "successes": counter(IsRefused, 2),
            } },
            "unhealthy": { "type": "object", "properties": {
                "interval": interval,
                "http_statuses": statuses(&[429, 404, 500, 501, 502, 503, 504, 505]),
                "http_failures": counter(IsRefused, 5),
                "tcp_failures": counter(IsRefused, 2),
                "timeouts": counter(IsRefused, 3),
            } },
            "req_headers": { "type": "array", "minItems": 1, "items": { "type": "string" } },
        },
    })
}

fn passive() -> Value {
    use Zero::TurnsItOff;
    let good: Vec<u16> = (200..=208).chain([226]).chain(300..=308).collect();
    json!({
        "type": "object",
        "properties": {
            "type": kind(),
            "healthy": { "type": "object", "properties": {
                "http_statuses": statuses(&good),
                "successes": counter(TurnsItOff, 5),
            } },
            "unhealthy": { "type": "object", "properties": {
                "http_statuses": statuses(&[429, 500, 503]),
                "tcp_failures": counter(TurnsItOff, 2),
                "timeouts": counter(TurnsItOff, 7),
                "http_failures": counter(TurnsItOff, 5),
            } },
        },
    })
}

/// `checks`; `host` is the schema of a host.
pub(super) fn checks(host: &Value) -> Value {
    json!({
        "type": "object",
        "properties": { "active": active(host), "passive": passive() },
        "additionalProperties": false,
        "anyOf": [{ "required": ["active"] }, { "required": ["active", "passive"] }],
    })
}
