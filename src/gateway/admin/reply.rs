//! Answers, with the headers that all of them have.

use crate::abi::LogLevel;
use crate::host;
use crate::message::Headers;
use bytes::Bytes;
use serde_json::{Value, json};

/// An answer of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminReply {
    /// Its status.
    pub status: u16,
    /// Its headers, without `Content-Length`.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// What has to be done now.
    pub effect: AdminEffect,
    /// What APISIX writes to its log.
    pub logs: Vec<AdminLog>,
}

/// What has to be done after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminEffect {
    /// Nothing.
    None,
    /// The objects are others now.
    Changed,
    /// The modules are to be loaded anew.
    ReloadPlugins,
}

/// A line of the error log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminLog {
    /// Its level.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
}

impl AdminReply {
    pub(super) fn effect(mut self, effect: AdminEffect) -> Self {
        self.effect = effect;
        self
    }

    pub(super) fn log(mut self, level: LogLevel, message: String) -> Self {
        self.logs.push(AdminLog { level, message });
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(name, value);
        self
    }
}

const SERVER: (&str, &str) = ("Server", "APISIX/3.11.0");

fn reply(status: u16, body: impl Into<Bytes>) -> AdminReply {
    let fixed = [
        SERVER,
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "*"),
        ("Access-Control-Max-Age", "3600"),
    ];
    AdminReply {
        status,
        headers: fixed.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        body: body.into(),
        effect: AdminEffect::None,
        logs: Vec::new(),
    }
}

/// JSON ends with a line break.
pub(super) fn json(status: u16, value: &Value) -> AdminReply {
    reply(status, format!("{value}\n")).header("Content-Type", "application/json")
}

/// Text does not; APISIX calls it JSON all the same.
pub(super) fn text(status: u16, text: &'static str) -> AdminReply {
    reply(status, text).header("Content-Type", "application/json")
}

pub(super) fn empty(status: u16) -> AdminReply {
    text(status, "")
}

pub(super) fn error(status: u16, message: &str) -> AdminReply {
    json(status, &json!({ "error_msg": message }))
}

/// What etcd says of an id that it does not know.
pub(super) fn missing() -> AdminReply {
    json(404, &json!({ "message": "Key not found" }))
}

/// nginx's own page.
pub(super) fn page(status: u16) -> AdminReply {
    let page = host::error_page(u32::from(status)).unwrap_or_default();
    reply(status, page).header("Content-Type", "text/html; charset=utf-8")
}

/// What a browser asks before it asks.
pub(super) fn options() -> AdminReply {
    let headers = [
        SERVER,
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "POST, GET, PUT, OPTIONS, DELETE, PATCH"),
        ("Access-Control-Max-Age", "3600"),
        ("Access-Control-Allow-Headers", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Content-Type", "text/plain"),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    AdminReply { status: 200, headers, body: Bytes::new(), effect: AdminEffect::None, logs: Vec::new() }
}
