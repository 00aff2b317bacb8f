//! Properties: what the host knows of the plugin, the request, the response and the connection.
//!
//! The scenario's `properties` come first, then what follows from the messages, then what plugins have set.

use super::row::{Cx, hostcall_rows};
use crate::abi::{Callback, Status, property_path};
use crate::host::exchange::Exchange;
use crate::host::store::properties::Property;
use crate::message::Headers;
use crate::trace::{Effect, Entry};
use bytes::Bytes;

hostcall_rows! {
    /// The value at a path.
    proxy_get_property [V0_1_0 V0_2_0 V0_2_1] { slice path } -> { bytes value } = get;
    /// Keeps a value for the rest of the stream.
    proxy_set_property [V0_1_0 V0_2_0 V0_2_1] { slice path, slice value } -> {} = set;
}

fn get(cx: &mut Cx, path: &[u8]) -> Result<Bytes, Status> {
    let profile = cx.state.world.profile;
    let found = given(cx, path)
        .or_else(|| of_plugin(cx, path))
        .or_else(|| of_stream(cx, path))
        .ok_or(Status::NotFound)?;
    found.encode(profile)
}

fn set(cx: &mut Cx, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let stream = cx.state.acting_stream().ok_or(Status::NotFound)?;
    let exchange = cx.state.world.exchanges.get_mut(&stream.exchange).ok_or(Status::NotFound)?;
    let (key, value) = (Bytes::copy_from_slice(path), Bytes::copy_from_slice(value));
    match exchange.properties.iter_mut().find(|(k, _)| *k == key) {
        Some(entry) => entry.1 = value.clone(),
        None => exchange.properties.push((key, value.clone())),
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
    (1..=segments.len()).rev().find_map(|count| {
        let prefix = segments[..count].iter().map(|s| String::from_utf8_lossy(s)).collect::<Vec<_>>().join(".");
        let mut value = given.get(&prefix)?;
        for key in &segments[count..] {
            value = value.entry(key)?;
        }
        Some(value.clone())
    })
}

fn of_plugin(cx: &Cx, path: &[u8]) -> Option<Property> {
    let root = cx.state.roots.get(&cx.state.acting_root()?)?;
    let bytes = match path.strip_suffix(b"\0").unwrap_or(path) {
        b"plugin_name" => root.name.clone(),
        b"plugin_root_id" => root.root_id.clone(),
        // Scenarios give no VM ids.
        b"plugin_vm_id" => Bytes::new(),
        _ => return None,
    };
    Some(Property::Bytes(bytes))
}

fn of_stream(cx: &Cx, path: &[u8]) -> Option<Property> {
    let stream = cx.state.acting_stream()?;
    let exchange = cx.state.world.exchanges.get(&stream.exchange)?;
    let in_log = cx.state.current.entry == Entry::Callback(Callback::OnLog);
    let mut segments = property_path::segments(path);
    let first = segments.next()?;
    let rest: Vec<&[u8]> = segments.collect();
    let known = match first {
        b"request" => request(cx, exchange, &rest, in_log),
        b"response" => response(exchange, &rest),
        _ => None,
    };
    known.or_else(|| {
        // Envoy looks for what plugins set by the first segment, so the whole path as it was set, or that.
        let trimmed = path.strip_suffix(b"\0").unwrap_or(path);
        let by = |key: &[u8]| exchange.properties.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        by(trimmed).or_else(|| by(first)).map(Property::Bytes)
    })
}

fn request(cx: &Cx, exchange: &Exchange, rest: &[&[u8]], in_log: bool) -> Option<Property> {
    let headers = &exchange.request.headers;
    let header = |name: &[u8]| headers.get(name).cloned().map(Property::Bytes);
    let path = || headers.get(b":path").cloned();
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
        [b"headers"] => Some(map(headers)),
        [b"headers", name] => header(name),
        [b"time"] => Some(Property::Int(exchange.started_ns as i64)),
        [b"protocol"] => Some(Property::text(exchange.info.protocol)),
        [b"size"] => Some(Property::Int(exchange.request.body_bytes as i64)),
        [b"total_size"] if in_log => {
            Some(Property::Int((exchange.request.body_bytes as usize + headers.byte_size()) as i64))
        }
        [b"headers_bytes"] => Some(Property::Int(headers.byte_size() as i64)),
        [b"duration"] if in_log => {
            Some(Property::Int((cx.state.world.clock.realtime_ns() - exchange.started_ns) as i64))
        }
        _ => None,
    }
}

fn response(exchange: &Exchange, rest: &[&[u8]]) -> Option<Property> {
    let headers = &exchange.response.headers;
    if !exchange.response.arrived {
        return None;
    }
    match rest {
        [b"code"] => {
            let code = headers.get(b":status").and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
            Some(Property::Int(code.unwrap_or(0)))
        }
        [b"code_details"] => Some(Property::Bytes(exchange.details.clone())),
        [b"headers"] => Some(map(headers)),
        [b"headers", name] => headers.get(name).cloned().map(Property::Bytes),
        [b"trailers"] => Some(map(exchange.response.trailers.as_ref()?)),
        [b"size"] => Some(Property::Int(exchange.response.body_bytes as i64)),
        _ => None,
    }
}

fn query_at(path: &[u8]) -> Option<usize> {
    path.iter().position(|b| *b == b'?')
}

fn map(headers: &Headers) -> Property {
    Property::Map(headers.iter().map(|(k, v)| (k.clone(), Property::Bytes(v.clone()))).collect())
}
