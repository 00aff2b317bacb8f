//! What a driver says of a plugin when it adds it to a host, and why the host may refuse it.
//!
//! Values alone: what a scenario, a configuration file or the command line says of plugins is turned into these by
//! their readers. Whoever makes one names what differs from [`PluginConfig::new`] and nothing else.

use super::plugin::LoadedPlugin;
use crate::trace::Entry;
use bytes::Bytes;
use std::sync::Arc;

/// One plugin of the chain, as the driver configures it.
#[derive(Clone)]
pub struct PluginConfig {
    /// The code.
    pub code: Arc<LoadedPlugin>,
    /// Its name.
    pub name: String,
    /// Its root id.
    pub root_id: String,
    /// Its configuration.
    pub config: Bytes,
    /// Whether one was given at all, be it an empty one.
    pub configured: bool,
    /// The configuration of its VM.
    pub vm_config: Bytes,
    /// Envoy's `allow_on_headers_stop_iteration`: a Pause in a headers callback holds the headers alone.
    pub holds_only_headers: bool,
    /// WASI environment, each `KEY=value`.
    pub environment: Vec<Bytes>,
    /// The body of the host's answer where this plugin fails, in place of the host's own (APISIX's
    /// `_meta.error_response`).
    pub error_response: Option<Bytes>,
}

impl PluginConfig {
    /// A plugin of which nothing more is said: no root id, no configuration.
    pub fn new(name: impl Into<String>, code: Arc<LoadedPlugin>) -> Self {
        Self {
            code,
            name: name.into(),
            root_id: String::new(),
            config: Bytes::new(),
            configured: false,
            vm_config: Bytes::new(),
            holds_only_headers: false,
            environment: Vec::new(),
            error_response: None,
        }
    }

    /// An entry of APISIX's `wasm.plugins`: its name is its root id (apisix.md 4.2), its configurations come from the
    /// objects that use it.
    pub fn gateway_entry(name: &str, code: Arc<LoadedPlugin>) -> Self {
        Self { root_id: name.to_owned(), ..Self::new(name, code) }
    }

    /// The same, with this configuration, which may be an empty one.
    pub fn with_config(self, config: impl Into<Bytes>) -> Self {
        Self { config: config.into(), configured: true, ..self }
    }
}

/// Why a plugin did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It broke; the trace has the trap.
    #[error("trapped in {}", .0.name())]
    Trapped(Entry),
    /// `proxy_on_vm_start` returned false.
    #[error("proxy_on_vm_start returned false")]
    VmStart,
    /// `proxy_on_configure` returned false.
    #[error("proxy_on_configure returned false: the plugin refused its configuration")]
    Configure,
}
