//! Properties: what the host knows of the plugin, the request, the response and the connection.
//!
//! The scenario's `properties` come first, then what follows from the messages, then what plugins have set.

mod variables;

use super::row::{Cx, hostcall_rows};
use crate::abi::{Callback, Status, property_path};
use crate::host::exchange::Exchange;
use crate::host::store::properties::Property;
use crate::message::{Direction, Headers};
use crate::trace::{Effect, Entry};
use bytes::Bytes;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

hostcall_rows! {
    /// The value at a path.
    proxy_get_property [V0_1_0 V0_2_0 V0_2_1] { slice path } -> { bytes value } = get;
    /// Keeps a value for the rest of the stream.
    proxy_set_property [V0_1_0 V0_2_0 V0_2_1] { slice path, slice value } -> {} = set;
}

/// What it costs to look at one entry of a list.
const WORK_PER_ENTRY: usize = 32;

fn get(cx: &mut Cx, path: &[u8]) -> Result<Bytes, Status> {
    let profile = cx.state.world.profile;
    cx.work(entries_of_stream(cx) * WORK_PER_ENTRY);
    if profile.hostcalls_act_on_request {
        return variables::get(cx, path);
    }
    match given(cx, path).or_else(|| of_plugin(cx, path)) {
        Some(found) => found.encode(profile),
        None => match read_back(cx, path) {
            Some(found) => found.encode(profile),
            None => of_stream(cx, path)?.encode(profile),
        },
    }
}

/// What a plugin has set under this very path, on hosts that give it back.
fn read_back(cx: &Cx, path: &[u8]) -> Option<Property> {
    if !cx.state.world.profile.reads_back_paths {
        return None;
    }
    let stream = cx.state.acting_stream()?;
    set_by_plugin(cx.state.world.exchanges.get(&stream.exchange)?, path.strip_suffix(b"\0").unwrap_or(path))
}

/// What a look-up may have to go through.
fn entries_of_stream(cx: &Cx) -> usize {
    let stream = cx.state.acting_stream();
    let exchange = stream.and_then(|stream| cx.state.world.exchanges.get(&stream.exchange));
    exchange.map_or(0, |e| e.request.headers.len() + e.response.headers.len() + e.properties.len())
}

fn set(cx: &mut Cx, path: &[u8], value: &[u8]) -> Result<(), Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return variables::set(cx, path, value);
    }
    let stream = cx.state.acting_stream().ok_or(Status::NotFound)?;
    let root = cx.state.acting_root().and_then(|root| cx.state.contexts.get(&root));
    let readonly = root.and_then(|root| root.declared.get(path)).copied().unwrap_or(false);
    let exchange = cx.state.world.exchanges.get_mut(&stream.exchange).ok_or(Status::NotFound)?;
    *cx.work += exchange.properties.len() * WORK_PER_ENTRY;
    // Envoy 1.40: a read-only one can be set once.
    if exchange.readonly_properties.contains(path) {
        return Err(Status::BadArgument);
    }
    let (key, value) = (Bytes::copy_from_slice(path), Bytes::copy_from_slice(value));
    match exchange.properties.iter_mut().find(|(k, _)| *k == key) {
        Some(entry) => entry.1 = value.clone(),
        None => {
            if readonly {
                exchange.readonly_properties.insert(key.clone());
            }
            exchange.properties.push((key, value.clone()));
        }
    }
    cx.effect(|| Effect::PropertySet { path: property_path::dotted(path), value });
    Ok(())
}

/// What the scenario says: the exact path, or a key of a mapping that stands at a shorter path.
fn given(cx: &Cx, path: &[u8]) -> Option<Property> {
    let given = &cx.state.world.properties;
    if given.is_empty() {
        return None;
    }
    let segments: Vec<&[u8]> = property_path::segments(path).collect();
    // Envoy 1.40: in on_tick and in other callbacks of a root nothing is known of any stream.
    if cx.state.acting_stream().is_none() && segments.first().is_some_and(|first| OF_STREAMS.contains(first)) {
        return None;
    }
    // A scenario that gives an address gives the port with it.
    if let [side @ (b"source" | b"destination" | b"upstream"), b"port"] = segments.as_slice() {
        let side = String::from_utf8_lossy(side);
        if !given.contains_key(&format!("{side}.port"))
            && let Some(Property::Bytes(address)) = given.get(&format!("{side}.address"))
        {
            let port = std::str::from_utf8(address).ok()?.rsplit_once(':')?.1.parse().ok()?;
            return Some(Property::Int(port));
        }
    }
    (1..=segments.len()).rev().find_map(|count| {
        let prefix = segments[..count].iter().map(|s| String::from_utf8_lossy(s)).collect::<Vec<_>>().join(".");
        let mut value = given.get(&prefix)?;
        for key in &segments[count..] {
            value = value.entry(key)?;
        }
        Some(value.clone())
    })
}

/// What only streams have.
const OF_STREAMS: [&[u8]; 9] = [
    b"request",
    b"response",
    b"connection",
    b"connection_id",
    b"source",
    b"destination",
    b"upstream",
    b"filter_state",
    b"upstream_filter_state",
];

fn of_plugin(cx: &Cx, path: &[u8]) -> Option<Property> {
    let root = cx.state.roots.get(&cx.state.acting_root()?)?;
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let bytes = match path {
        b"plugin_name" => root.name.clone(),
        b"plugin_root_id" => root.root_id.clone(),
        // Scenarios give no VM ids.
        b"plugin_vm_id" => Bytes::new(),
        // Envoy 1.40: a protobuf message, which is empty where nothing is configured. Root contexts have it, too.
        b"xds\0node" => Bytes::new(),
        _ => return None,
    };
    Some(Property::Bytes(bytes))
}

fn of_stream(cx: &Cx, path: &[u8]) -> Result<Property, Status> {
    let missing = Status::NotFound;
    if path.is_empty() {
        return Err(Status::SerializationFailure);
    }
    let stream = cx.state.acting_stream().ok_or(missing)?;
    let exchange = cx.state.world.exchanges.get(&stream.exchange).ok_or(missing)?;
    let in_log = cx.state.current.entry == Entry::Callback(Callback::OnLog);
    let mut segments = property_path::segments(path);
    let first = segments.next().ok_or(missing)?;
    let rest: Vec<&[u8]> = segments.collect();
    // Envoy 1.40: an attribute that is an object has no bytes.
    const OBJECTS: [&[u8]; 7] =
        [b"request", b"response", b"connection", b"source", b"destination", b"upstream", b"filter_state"];
    let without_bytes = match rest.as_slice() {
        [] => OBJECTS.contains(&first) || (first == b"upstream_filter_state" && exchange.upstream_answered),
        [b"upstream_host_metadata" | b"upstream_host_locality_metadata"] => {
            first == b"xds" && exchange.upstream_answered
        }
        _ => false,
    };
    if without_bytes {
        return Err(Status::SerializationFailure);
    }
    // Envoy 1.40: what follows from the request's headers is there while the map is, and in on_log.
    let shown = in_log || exchange.stage(stream.filter, Direction::Request).is_some_and(|s| s.headers_open);
    let found = match first {
        b"request" => request(cx, exchange, &rest, shown, in_log),
        b"response" => response(exchange, &rest, in_log),
        b"connection" => connection(exchange, &rest),
        b"connection_id" if rest.is_empty() => Some(Property::Int(i64::from(exchange.id.0) - 1)),
        b"source" => endpoint(&rest, exchange.info.client.unwrap_or(NO_CLIENT)),
        b"destination" => endpoint(&rest, exchange.info.server.unwrap_or(NO_SERVER)),
        b"upstream" => upstream(exchange, &rest),
        b"xds" => xds(exchange, &rest),
        // Envoy 1.40: the dynamic metadata, a message without a field.
        b"metadata" if rest.is_empty() => Some(Property::Bytes(Bytes::new())),
        b"filter_state" => match rest.as_slice() {
            [name] => match name.strip_prefix(b"wasm.") {
                Some(name) => set_by_plugin(exchange, name),
                None => std::str::from_utf8(name)
                    .ok()
                    .and_then(|name| exchange.filter_state.get(name))
                    .map(|value| Property::Bytes(value.clone())),
            },
            _ => None,
        },
        // Envoy 1.40: only paths of one segment can be read back, whatever was set.
        name if rest.is_empty() => set_by_plugin(exchange, name),
        _ => None,
    };
    found.ok_or(missing)
}

fn set_by_plugin(exchange: &Exchange, name: &[u8]) -> Option<Property> {
    let found = exchange.properties.iter().find(|(key, _)| key.strip_suffix(b"\0").unwrap_or(key) == name);
    found.map(|(_, value)| Property::Bytes(value.clone()))
}

fn request(cx: &Cx, exchange: &Exchange, rest: &[&[u8]], shown: bool, in_log: bool) -> Option<Property> {
    let all = &exchange.request.headers;
    let headers = Some(all).filter(|_| shown);
    let header = |name: &[u8]| headers?.get(name).cloned().map(Property::Bytes);
    let path = || headers?.get(b":path").cloned();
    let size = match all.get(b"content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse().ok()) {
        Some(announced) if exchange.request.body_bytes == 0 => announced,
        _ => exchange.request.body_bytes as i64,
    };
    match rest {
        [b"path"] => header(b":path"),
        [b"url_path"] => path().map(|p| Property::Bytes(p.slice(..query_at(&p).unwrap_or(p.len())))),
        [b"query"] => path().map(|p| Property::Bytes(query_at(&p).map_or(Bytes::new(), |at| p.slice(at + 1..)))),
        [b"host"] => header(b":authority"),
        [b"scheme"] => header(b":scheme"),
        [b"method"] => header(b":method"),
        [b"referer"] => header(b"referer"),
        [b"useragent"] => header(b"user-agent"),
        [b"id"] => header(b"x-request-id"),
        [b"headers"] => Some(headers.map_or(Property::Map(Vec::new()), map)),
        [b"headers", name] => joined(headers?, name),
        [b"time"] => Some(Property::Int(exchange.started_ns as i64)),
        [b"protocol"] if exchange.tcp.is_none() => Some(Property::text(exchange.info.protocol)),
        [b"size"] => Some(Property::Int(size)),
        [b"total_size"] => {
            let head = if shown { all.byte_size() } else { 0 };
            Some(Property::Int((exchange.request.body_bytes as usize + head) as i64))
        }
        [b"headers_bytes"] => Some(Property::Int(if shown { all.byte_size() as i64 } else { 0 })),
        [b"duration"] if in_log && exchange.tcp.is_none() => {
            let now = cx.state.world.clock.realtime_ns();
            Some(Property::Int(now.saturating_sub(exchange.started_ns) as i64))
        }
        _ => None,
    }
}

fn response(exchange: &Exchange, rest: &[&[u8]], in_log: bool) -> Option<Property> {
    let headers = Some(&exchange.response.headers).filter(|_| exchange.response.arrived);
    match rest {
        [b"code"] => {
            let code = headers?.get(b":status").and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
            Some(Property::Int(code.unwrap_or(0)))
        }
        [b"grpc_status"] => Some(Property::Int(grpc_status(exchange, headers?))),
        // What the upstream took: scripted upstreams take no time of their own.
        [b"backend_latency"] if in_log && exchange.upstream_answered && exchange.tcp.is_none() => {
            Some(Property::Int(0))
        }
        [b"code_details"] => {
            let known = headers.is_some() || !exchange.details.is_empty();
            known.then(|| Property::Bytes(exchange.details.clone()))
        }
        [b"headers"] => Some(headers.map_or(Property::Map(Vec::new()), map)),
        [b"headers", name] => joined(headers?, name),
        [b"headers_bytes"] => Some(Property::Int(headers.map_or(0, Headers::byte_size) as i64)),
        [b"trailers"] => Some(exchange.response.trailers.as_ref().map_or(Property::Map(Vec::new()), map)),
        [b"flags"] => Some(Property::Int(exchange.flags as i64)),
        [b"size"] => Some(Property::Int(exchange.response.body_bytes as i64)),
        [b"total_size"] => {
            let head = headers.map_or(0, Headers::byte_size);
            Some(Property::Int((exchange.response.body_bytes as usize + head) as i64))
        }
        _ => None,
    }
}

/// Envoy makes one out of the HTTP status where the response carries none (1.40: 2, unknown, for a plain 200).
fn grpc_status(exchange: &Exchange, headers: &Headers) -> i64 {
    let number = |value: &Bytes| std::str::from_utf8(value).ok()?.parse::<i64>().ok();
    let trailers = exchange.response.trailers.as_ref();
    let carried = trailers.and_then(|t| t.get(b"grpc-status")).or_else(|| headers.get(b"grpc-status"));
    if let Some(status) = carried.and_then(number) {
        return status;
    }
    // https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
    match headers.get(b":status").and_then(number) {
        Some(400) => 13,
        Some(401) => 16,
        Some(403) => 7,
        Some(404) => 12,
        Some(429 | 502 | 503 | 504) => 14,
        _ => 2,
    }
}

/// Envoy 1.40: most of it is known when the upstream has answered.
fn upstream(exchange: &Exchange, rest: &[&[u8]]) -> Option<Property> {
    let answered = exchange.upstream_answered;
    match (rest, exchange.tcp.is_some()) {
        ([b"num_endpoints"], true) if !answered => return None,
        ([b"transport_failure_reason"], true) => return Some(Property::Bytes(Bytes::new())),
        _ => {}
    }
    match rest {
        [b"num_endpoints"] => Some(Property::Int(1)),
        [b"request_attempt_count"] => Some(Property::Int(i64::from(answered))),
        _ if !answered => None,
        [b"local_address"] => Some(Property::text("127.0.0.1:50001")),
        [b"transport_failure_reason" | b"locality"] => Some(Property::Bytes(Bytes::new())),
        [b"cx_pool_ready_duration"] => Some(Property::Int(0)),
        _ => endpoint(rest, NO_UPSTREAM),
    }
}

/// What Envoy was configured with. The names are those of no configuration in particular: a scenario that needs
/// others gives them as `properties`.
fn xds(exchange: &Exchange, rest: &[&[u8]]) -> Option<Property> {
    let name = rest.first().copied().unwrap_or_default();
    // Envoy 1.40: a TCP connection has no route, and its cluster is known with the upstream.
    let of_route = name.starts_with(b"route_") || name.starts_with(b"virtual_host_");
    if exchange.tcp.is_some() && (of_route || (name.starts_with(b"cluster_") && !exchange.upstream_answered)) {
        return None;
    }
    match rest {
        [b"cluster_name"] => Some(Property::text("cluster")),
        [b"route_name"] => Some(Property::text("route")),
        [b"virtual_host_name"] => Some(Property::text("virtual_host")),
        [b"listener_direction"] => Some(Property::Int(0)),
        // Envoy 1.40: protobuf messages without a field, and an unnamed filter chain.
        [b"cluster_metadata" | b"route_metadata" | b"virtual_host_metadata" | b"listener_metadata"]
        | [b"filter_chain_name"] => Some(Property::Bytes(Bytes::new())),
        _ => None,
    }
}

fn connection(exchange: &Exchange, rest: &[&[u8]]) -> Option<Property> {
    match rest {
        // Every exchange comes on a connection of its own; Envoy counts from 0.
        [b"id"] => Some(Property::Int(i64::from(exchange.id.0) - 1)),
        [b"mtls"] => Some(Property::Bool(false)),
        [b"requested_server_name"] => Some(Property::Bytes(Bytes::new())),
        _ => None,
    }
}

/// Addresses that no scenario gave, where there is no connection.
const NO_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50000);
const NO_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10000);
const NO_UPSTREAM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

fn endpoint(rest: &[&[u8]], address: SocketAddr) -> Option<Property> {
    match rest {
        [b"address"] => Some(Property::text(address.to_string())),
        [b"port"] => Some(Property::Int(i64::from(address.port()))),
        _ => None,
    }
}

fn joined(headers: &Headers, name: &[u8]) -> Option<Property> {
    let values: Vec<&[u8]> = headers.get_all(name).map(|v| &v[..]).collect();
    (!values.is_empty()).then(|| Property::Bytes(values.join(&b","[..]).into()))
}

fn query_at(path: &[u8]) -> Option<usize> {
    path.iter().position(|b| *b == b'?')
}

/// A map of headers, each name once. Envoy's order is that of a hash table; here it is that of the message.
fn map(headers: &Headers) -> Property {
    // One pass: a plugin can add thousands of headers and ask for the map again and again.
    let mut places: HashMap<&Bytes, usize> = HashMap::new();
    let mut entries: Vec<(Bytes, Vec<&[u8]>)> = Vec::new();
    for (name, value) in headers.iter() {
        let place = *places.entry(name).or_insert(entries.len());
        match entries.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => entries.push((name.clone(), vec![value])),
        }
    }
    let joined = |(name, values): (Bytes, Vec<&[u8]>)| (name, Property::Bytes(values.join(&b","[..]).into()));
    Property::Map(entries.into_iter().map(joined).collect())
}
