//! Objects to test with, each with its defaults.

use super::super::model::*;
use super::Config;
use bytes::Bytes;
use std::sync::Arc;

/// An entry of `wasm.plugins`.
pub fn entry(name: &str, priority: i64) -> WasmPlugin {
    WasmPlugin { name: name.into(), file: "x.wasm".into(), priority, http_request_phase: RequestPhase::Access }
}

/// A plugin where it is used.
pub fn conf(name: &str, text: &'static str) -> PluginConf {
    PluginConf { name: name.into(), conf: Bytes::from_static(text.as_bytes()), meta: Meta::default() }
}

/// A route of one path.
pub fn route(id: &str, uri: &str) -> Route {
    Route {
        id: id.into(),
        revision: Revision(1),
        uris: vec![uri.to_owned()],
        hosts: Vec::new(),
        methods: Vec::new(),
        remote_addrs: Vec::new(),
        vars: None,
        priority: 0,
        enabled: true,
        plugins: Vec::new(),
        plugin_config_id: None,
        service_id: None,
        upstream: Some(UpstreamRef::Inline(Arc::new(upstream(None, 1980)))),
        timeout: None,
        enable_websocket: false,
    }
}

/// A service without an upstream.
pub fn service(id: &str, plugins: Vec<PluginConf>) -> Service {
    let id = id.into();
    Service { id, revision: Revision(1), hosts: Vec::new(), plugins, upstream: None, enable_websocket: false }
}

/// An upstream of one node on this machine.
pub fn upstream(id: Option<&str>, port: u16) -> Upstream {
    let nodes = vec![Node::new("127.0.0.1", port)];
    Upstream { id: id.map(Into::into), revision: Revision(1), ..Upstream::of(nodes) }
}

/// A node of priority 0.
pub fn node(host: &str, port: u16, weight: u32) -> Node {
    Node { weight, ..Node::new(host, port) }
}

/// Routes and nothing else.
pub fn routes(routes: Vec<Route>) -> Objects {
    Objects { routes: routes.into_iter().map(Arc::new).collect(), ..Objects::default() }
}

/// The two plugins that APISIX's tests of contexts use.
pub fn plugins() -> Vec<WasmPlugin> {
    vec![entry("wasm_log", 7999), entry("wasm_log2", 7998)]
}

/// A configuration of these two.
pub fn compile(objects: Objects) -> Config {
    Config::compile(&plugins(), objects)
}
