//! Properties that are variables of nginx: looked up by the bytes of the path, all of them text (`apisix.md` 4.2).

use super::Cx;
use crate::abi::{LogLevel, Status};
use crate::host::exchange::Exchange;
use crate::host::store::properties::Property;
use crate::trace::Effect;
use bytes::Bytes;
use std::net::SocketAddr;

/// Variables that APISIX declares with `set`: they can be written, and are there from the beginning.
const DECLARED: &[(&[u8], &str)] = &[
    (b"wasm_process_req_body", ""),
    (b"wasm_process_resp_body", ""),
    (b"upstream_scheme", "http"),
    (b"upstream_host", ""),
    (b"upstream_uri", ""),
    (b"upstream_mirror_host", ""),
    (b"upstream_upgrade", ""),
    (b"upstream_connection", ""),
];

/// The name of the plugin as it is configured, or a variable of the request.
pub(super) fn get(cx: &mut Cx, path: &[u8]) -> Result<Bytes, Status> {
    if path == b"plugin_root_id" {
        return plugin_name(cx);
    }
    let name = path.to_ascii_lowercase();
    let given = given(cx, &name);
    let exchange = exchange(cx)?;
    if let Some((_, value)) = exchange.properties.iter().find(|(key, _)| *key == name) {
        return Ok(value.clone());
    }
    if let Some(given) = given {
        return given;
    }
    let declared = DECLARED.iter().find(|(declared, _)| *declared == name);
    built_in(exchange, &name)
        .or(declared.map(|(_, value)| Bytes::from_static(value.as_bytes())))
        .ok_or(Status::NotFound)
}

/// Only what is declared can be written.
pub(super) fn set(cx: &mut Cx, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let name = path.to_ascii_lowercase();
    let declared = DECLARED.iter().any(|(declared, _)| *declared == name) || given(cx, &name).is_some();
    let exchange = exchange(cx)?;
    let shown = String::from_utf8_lossy(path).into_owned();
    if !declared {
        let known = built_in(exchange, &name).is_some() || BUILT_IN.contains(&name.as_slice());
        let world = &mut cx.state.world;
        if known {
            world.log(LogLevel::Error, format!("variable \"{shown}\" not changeable"));
            return Err(Status::InternalFailure);
        }
        world.log(LogLevel::Error, format!("variable \"{shown}\" not found for writing"));
        return Err(Status::NotFound);
    }
    let (key, value) = (Bytes::from(name), Bytes::copy_from_slice(value));
    match exchange.properties.iter_mut().find(|(k, _)| *k == key) {
        Some(entry) => entry.1 = value.clone(),
        None => exchange.properties.push((key, value.clone())),
    }
    cx.effect(|| Effect::PropertySet { path: shown, value });
    Ok(())
}

fn plugin_name(cx: &mut Cx) -> Result<Bytes, Status> {
    // Where no state is set there is nothing to take the name from.
    if matches!(
        cx.state.current.entry,
        crate::trace::Entry::Callback(crate::abi::Callback::OnDone | crate::abi::Callback::OnDelete)
    ) {
        cx.state.world.crash_after(
            "plugin-name-at-end",
            "plugin_root_id was read in on_done or on_delete: wasm-nginx-module has no state there and reads through \
             address 0; read it earlier and keep it",
        );
        return Err(Status::NotFound);
    }
    let root = cx.state.acting_root().and_then(|root| cx.state.roots.get(&root));
    root.map(|root| root.name.clone()).ok_or(Status::NotFound)
}

fn exchange<'a>(cx: &'a mut Cx) -> Result<&'a mut Exchange, Status> {
    let stream = cx.state.acting_stream().ok_or(Status::BadArgument)?;
    cx.state.world.exchanges.get_mut(&stream.exchange).map(|e| &mut **e).ok_or(Status::BadArgument)
}

/// What the scenario says of a variable; paths with several segments name none.
fn given(cx: &Cx, name: &[u8]) -> Option<Result<Bytes, Status>> {
    let name = std::str::from_utf8(name).ok().filter(|name| !name.contains(['\0', '.']))?;
    let found: &Property = cx.state.world.properties.get(name)?;
    Some(found.encode(cx.state.world.profile))
}

/// Variables of nginx that are there and have no value before something happens.
const BUILT_IN: &[&[u8]] =
    &[b"status", b"args", b"query_string", b"body_bytes_sent", b"content_length", b"content_type"];

fn built_in(exchange: &Exchange, name: &[u8]) -> Option<Bytes> {
    let headers = &exchange.request.headers;
    let header = |name: &str| headers.get(name.as_bytes()).cloned();
    let target = &exchange.phases.target;
    let query = target.iter().position(|b| *b == b'?');
    let path = target.slice(..query.unwrap_or(target.len()));
    let authority = header(":authority").unwrap_or_default();
    let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    match name {
        b"scheme" => header(":scheme"),
        b"host" => Some(host_of(&authority)),
        b"http_host" => header(":authority"),
        b"uri" | b"document_uri" => Some(exchange.phases.rewritten.clone().unwrap_or(path)),
        b"request_uri" => Some(target.clone()),
        b"args" | b"query_string" => query.map(|at| target.slice(at + 1..)),
        b"is_args" => Some(Bytes::from_static(if query.is_some() { b"?" } else { b"" })),
        b"request_method" => header(":method"),
        b"request" => {
            let (method, protocol) = (header(":method")?, protocol(exchange).as_bytes());
            Some([&method[..], target, protocol].join(&b' ').into())
        }
        b"server_protocol" => text(protocol(exchange)),
        b"remote_addr" => Some(address(exchange.info.client)),
        b"server_addr" => Some(address(exchange.info.server)),
        b"remote_port" => Some(port(exchange.info.client, 50000)),
        b"server_port" => Some(port(exchange.info.server, 9080)),
        b"server_name" => text("_"),
        b"content_length" => header("content-length"),
        b"content_type" => header("content-type"),
        b"status" => exchange.response.headers.get(b":status").cloned(),
        b"body_bytes_sent" => Some(exchange.response.body_bytes.to_string().into()),
        b"request_body" => None,
        _ => {
            if let Some(name) = name.strip_prefix(b"http_") {
                return headers.get(&dashes(name)).cloned();
            }
            if let Some(name) = name.strip_prefix(b"arg_") {
                return argument(&target.slice(query? + 1..), name);
            }
            if let Some(name) = name.strip_prefix(b"sent_http_").or(name.strip_prefix(b"upstream_http_")) {
                return exchange.response.headers.get(&dashes(name)).cloned();
            }
            let name = name.strip_prefix(b"cookie_")?;
            cookie(&header("cookie")?, name)
        }
    }
}

/// As nginx names it.
fn protocol(exchange: &Exchange) -> &'static str {
    match exchange.info.protocol {
        "HTTP/2" => "HTTP/2.0",
        other => other,
    }
}

/// The address of one end, which is this machine where there is no connection.
fn address(end: Option<SocketAddr>) -> Bytes {
    end.map_or(Bytes::from_static(b"127.0.0.1"), |end| end.ip().to_canonical().to_string().into())
}

fn port(end: Option<SocketAddr>, otherwise: u16) -> Bytes {
    end.map_or(otherwise, |end| end.port()).to_string().into()
}

/// The name without the port, in lower case.
fn host_of(authority: &Bytes) -> Bytes {
    let bytes = authority.to_ascii_lowercase();
    let end = match bytes.iter().rposition(|b| *b == b':') {
        Some(colon) if !bytes[colon..].contains(&b']') => colon,
        Some(_) | None => bytes.len(),
    };
    Bytes::copy_from_slice(&bytes[..end])
}

fn dashes(name: &[u8]) -> Vec<u8> {
    name.iter().map(|b| if *b == b'_' { b'-' } else { *b }).collect()
}

fn argument(query: &Bytes, name: &[u8]) -> Option<Bytes> {
    pair(query.split(|b| *b == b'&'), name)
}

fn cookie(header: &Bytes, name: &[u8]) -> Option<Bytes> {
    pair(header.split(|b| *b == b';').map(<[u8]>::trim_ascii), name)
}

fn pair<'a>(mut parts: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Option<Bytes> {
    parts.find_map(|part| {
        let at = part.iter().position(|b| *b == b'=')?;
        part[..at].eq_ignore_ascii_case(name).then(|| Bytes::copy_from_slice(&part[at + 1..]))
    })
}
