//! Envoy's configuration: a listener for each case and way of reaching its origin, all in one process.
//!
//! Whatever Envoy would add by itself is turned off where it can be, so that both ends see what plugins did and
//! nothing else (`t/hostcalls/ENVOY.md`).

use crate::scenario::{PluginSpec, Scenario, TrapRequest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The listener that answers by itself: who gets its answer knows that the worker has done everything before.
pub const BARRIER: &str = "pwtest-barrier";

/// How a case reaches its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Over HTTP/1.1.
    Http1,
    /// Over HTTP/2: a response without a body has no `content-length` there, as in a scenario.
    Http2,
    /// Nobody listens.
    Refused,
    /// A TCP connection.
    Tcp,
    /// A TCP connection, and nobody listens.
    TcpRefused,
}

impl Origin {
    /// Whether it is not HTTP at all.
    pub fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::TcpRefused)
    }

    fn cluster(self) -> &'static str {
        match self {
            Self::Http1 => "cluster",
            Self::Http2 => "cluster-h2",
            Self::Refused => "cluster-refused",
            Self::Tcp => "cluster-tcp",
            Self::TcpRefused => "cluster-tcp-refused",
        }
    }
}

/// An upstream that plugins call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub port: u16,
    /// Whether it speaks HTTP/2.
    pub http2: bool,
}

/// One case, as Envoy is to know it.
pub struct Entry<'a> {
    /// Its number in this process; names its listeners.
    pub number: usize,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// One for each plugin: the module's file and the VM's id.
    pub modules: Vec<(String, String)>,
    /// The ways to the origin that it needs.
    pub origins: Vec<Origin>,
    /// Milliseconds until Envoy gives up on the origin.
    pub route_timeout_ms: u64,
}

/// The listener of a case.
pub fn listener_name(number: usize, origin: Origin) -> String {
    format!("case-{number}-{}", origin.cluster())
}

/// The whole configuration.
pub fn config(
    entries: &[Entry<'_>],
    origins: &BTreeMap<Origin, u16>,
    upstreams: &BTreeMap<String, Upstream>,
) -> String {
    let mut listeners = vec![barrier()];
    for entry in entries {
        for origin in &entry.origins {
            listeners.push(listener(entry, *origin));
        }
    }
    let own = origins
        .iter()
        .map(|(origin, port)| cluster(origin.cluster(), Upstream { port: *port, http2: *origin == Origin::Http2 }));
    let clusters: Vec<Value> = own.chain(upstreams.iter().map(|(name, upstream)| cluster(name, *upstream))).collect();
    json!({
        "node": { "id": "pwtest", "cluster": "pwtest" },
        "admin": { "address": address(0) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
    .to_string()
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn typed(kind: &str, mut fields: Value) -> Value {
    if let Some(map) = fields.as_object_mut() {
        map.insert("@type".to_owned(), json!(format!("type.googleapis.com/{kind}")));
    }
    fields
}

fn manager(route: Value, filters: Vec<Value>) -> Value {
    let fields = json!({
        "stat_prefix": "pwtest",
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        // A connection that is to be closed is closed soon; the default waits a second.
        "delayed_close_timeout": "0.05s",
        "http_protocol_options": { "enable_trailers": true },
        "http2_protocol_options": { "allow_metadata": true },
        "route_config": { "name": "rc", "virtual_hosts": [{ "name": "virtual_host", "domains": ["*"], "routes": [route] }] },
        "http_filters": filters,
    });
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": typed(kind, fields) })
}

fn router() -> Value {
    // Its headers are not what the plugins did.
    let config = typed("envoy.extensions.filters.http.router.v3.Router", json!({ "suppress_envoy_headers": true }));
    json!({ "name": "envoy.filters.http.router", "typed_config": config })
}

fn barrier() -> Value {
    let route = json!({ "name": "rt", "match": { "prefix": "/" }, "direct_response": { "status": 200 } });
    json!({ "name": BARRIER, "address": address(0), "filter_chains": [{ "filters": [manager(route, vec![router()])] }] })
}

fn listener(entry: &Entry<'_>, origin: Origin) -> Value {
    if origin.is_tcp() {
        return tcp_listener(entry, origin);
    }
    let timeout = format!("{}.{:03}s", entry.route_timeout_ms / 1000, entry.route_timeout_ms % 1000);
    let route = json!({
        "name": "route",
        "match": { "prefix": "/" },
        "route": { "cluster": origin.cluster(), "timeout": timeout },
    });
    let plugins = entry.scenario.plugins.iter().zip(&entry.modules);
    let mut filters: Vec<Value> = plugins.map(|(spec, module)| filter(entry.scenario, spec, module, "http")).collect();
    filters.push(router());
    bound_listener(entry, origin, vec![manager(route, filters)])
}

/// The plugins as network filters, with nothing but the connection behind them.
fn tcp_listener(entry: &Entry<'_>, origin: Origin) -> Value {
    let plugins = entry.scenario.plugins.iter().zip(&entry.modules);
    let mut filters: Vec<Value> =
        plugins.map(|(spec, module)| filter(entry.scenario, spec, module, "network")).collect();
    let fields = json!({ "stat_prefix": "pwtest", "cluster": origin.cluster() });
    let proxy = typed("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", fields);
    filters.push(json!({ "name": "envoy.filters.network.tcp_proxy", "typed_config": proxy }));
    bound_listener(entry, origin, filters)
}

fn bound_listener(entry: &Entry<'_>, origin: Origin, filters: Vec<Value>) -> Value {
    let mut listener = json!({
        "name": listener_name(entry.number, origin),
        "address": address(0),
        "filter_chains": [{ "filters": filters }],
    });
    if let (Some(limit), Some(map)) = (entry.scenario.limits.buffer, listener.as_object_mut()) {
        map.insert("per_connection_buffer_limit_bytes".to_owned(), json!(limit.min(u64::from(u32::MAX))));
    }
    listener
}

fn bytes_value(bytes: &[u8]) -> Value {
    // A message of plain text is handed on as it is; other bytes have a type of their own.
    match std::str::from_utf8(bytes) {
        Ok(text) => typed("google.protobuf.StringValue", json!({ "value": text })),
        Err(_) => typed("google.protobuf.BytesValue", json!({ "value": base64(bytes) })),
    }
}

fn filter(scenario: &Scenario, spec: &PluginSpec, (file, vm_id): &(String, String), kind: &str) -> Value {
    let mut vm = json!({
        "vm_id": vm_id,
        "runtime": "envoy.wasm.runtime.v8",
        "code": { "local": { "filename": file } },
    });
    let mut plugin = json!({ "name": spec.name, "root_id": spec.root_id });
    if let Some(map) = vm.as_object_mut() {
        if !spec.vm_config.is_empty() {
            map.insert("configuration".to_owned(), bytes_value(&spec.vm_config));
        }
        if !spec.env.is_empty() {
            let values: serde_json::Map<String, Value> =
                spec.env.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
            map.insert("environment_variables".to_owned(), json!({ "key_values": values }));
        }
    }
    if let Some(map) = plugin.as_object_mut() {
        map.insert("vm_config".to_owned(), vm);
        if !spec.config.is_empty() {
            map.insert("configuration".to_owned(), bytes_value(&spec.config));
        }
        if spec.allow_on_headers_stop_iteration {
            map.insert("allow_on_headers_stop_iteration".to_owned(), json!(true));
        }
        if scenario.on_trap.request == Some(TrapRequest::FailOpen) {
            map.insert("fail_open".to_owned(), json!(true));
        }
        if spec.allow_on_headers_stop_iteration {
            map.insert("allow_on_headers_stop_iteration".to_owned(), json!(true));
        }
    }
    let config = typed(&format!("envoy.extensions.filters.{kind}.wasm.v3.Wasm"), json!({ "config": plugin }));
    json!({ "name": format!("envoy.filters.{kind}.wasm"), "typed_config": config })
}

fn cluster(name: &str, upstream: Upstream) -> Value {
    let protocol = match upstream.http2 {
        true => json!({ "explicit_http_config": { "http2_protocol_options": { "allow_metadata": true } } }),
        false => json!({ "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } } }),
    };
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        // A case that ends connections must not keep the next one from being served.
        "circuit_breakers": { "thresholds": [{ "max_retries": 1000 }] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(upstream.port) } }] }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(kind, protocol),
        },
    })
}

/// A module whose bytes nobody else has: Envoy tells VMs apart by their code, too.
pub fn with_mark(module: &[u8], mark: &str) -> Vec<u8> {
    let name = "pwtest";
    let mut section = vec![name.len() as u8];
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(mark.as_bytes());
    let mut out = module.to_vec();
    out.push(0);
    let mut size = section.len();
    loop {
        let byte = (size & 0x7f) as u8;
        size >>= 7;
        out.push(if size == 0 { byte } else { byte | 0x80 });
        if size == 0 {
            break;
        }
    }
    out.extend_from_slice(&section);
    out
}

/// Writes a module.
pub fn write_module(folder: &Path, name: &str, module: &[u8]) -> std::io::Result<String> {
    let file = folder.join(name);
    std::fs::write(&file, module)?;
    Ok(file.to_string_lossy().into_owned())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three.iter_mut().zip(group).for_each(|(to, from)| *to = *from);
        let all = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for i in 0..4 {
            let digit = DIGITS.get((all >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_base64() {
        let all =
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfd\xfc", "//79/A==")];
        for (bytes, text) in all {
            assert_eq!(base64(bytes), text);
        }
    }

    #[test]
    fn a_marked_module_is_a_module() {
        let module = wat::parse_str("(module)").unwrap();
        let marked = with_mark(&module, &"x".repeat(200));
        assert!(wasmparser::Parser::new(0).parse_all(&marked).all(|payload| payload.is_ok()));
        assert_ne!(with_mark(&module, "a"), with_mark(&module, "b"));
    }
}
