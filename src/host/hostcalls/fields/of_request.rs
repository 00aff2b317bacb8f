//! Header maps as nginx has them: the request's pseudo headers are made up from the request, behind the headers; a
//! value can't be empty; and every map can be reached as long as there is a request (`apisix.md` 4.1).

use super::super::row::{Cx, PairsOut};
use super::find;
use crate::abi::{LogLevel, MapType, Status, pairs};
use crate::host::exchange::Exchange;
use crate::message::Headers;
use crate::trace::{Effect, MapChange};
use bytes::Bytes;

/// The whole map.
pub(super) fn get_pairs(cx: &mut Cx, map: MapType) -> Result<PairsOut, Status> {
    let shown = shown(cx, map)?;
    if shown.is_empty() {
        return Err(Status::NotFound);
    }
    Ok(PairsOut(pairs::encode(shown.iter().map(|(k, v)| (&k[..], &v[..]))).into()))
}

/// The first value of a name.
pub(super) fn get(cx: &mut Cx, map: MapType, key: &[u8]) -> Result<Bytes, Status> {
    if map == MapType::HttpRequestHeaders && key.eq_ignore_ascii_case(b":authority") {
        need_host(cx);
    }
    let shown = shown_for(cx, map)?;
    shown.get(key).cloned().ok_or(Status::NotFound)
}

/// Adds an entry, or leaves exactly one.
pub(super) fn set(cx: &mut Cx, map: MapType, key: &[u8], value: &[u8], how: How) -> Result<(), Status> {
    let exchange = request(cx)?;
    let (name, content) = (Bytes::from(key.to_ascii_lowercase()), Bytes::copy_from_slice(value));
    let refused = match map {
        MapType::HttpRequestHeaders => set_request(exchange, &name, &content, how),
        MapType::HttpResponseHeaders => set_response(exchange, &name, &content, how),
        _ => return Err(Status::Unimplemented),
    };
    if let Some(reason) = refused {
        let which = if map == MapType::HttpRequestHeaders { "request" } else { "response" };
        let key = String::from_utf8_lossy(key).into_owned();
        cx.state.world.log(LogLevel::Error, format!("failed to set {which} header {key}: {reason}"));
        return Err(Status::BadArgument);
    }
    cx.effect(|| {
        let change = match how {
            How::Add => MapChange::Add(name, content),
            How::Replace => MapChange::Replace(name, content),
            How::Remove(count) => MapChange::Remove(name, count),
        };
        Effect::Map { map, change }
    });
    Ok(())
}

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Another one.
    Add,
    /// Only this one.
    Replace,
    /// None; how many there were.
    Remove(usize),
}

/// How many entries of a name there are.
pub(super) fn count(cx: &mut Cx, map: MapType, key: &[u8]) -> usize {
    find(cx, map).map_or(0, |headers| headers.get_all(key).count())
}

fn request<'a>(cx: &'a mut Cx) -> Result<&'a mut Exchange, Status> {
    let stream = cx.state.acting_stream().ok_or(Status::BadArgument)?;
    cx.state.world.exchanges.get_mut(&stream.exchange).map(|e| &mut **e).ok_or(Status::BadArgument)
}

/// A map as plugins see it.
fn shown(cx: &mut Cx, map: MapType) -> Result<Headers, Status> {
    if map == MapType::HttpRequestHeaders {
        need_host(cx);
    }
    shown_for(cx, map)
}

fn shown_for(cx: &mut Cx, map: MapType) -> Result<Headers, Status> {
    let exchange = request(cx)?;
    let shown = match map {
        MapType::HttpRequestHeaders => of_request(exchange),
        MapType::HttpResponseHeaders => of_response(exchange),
        MapType::HttpCallResponseHeaders => {
            cx.state.world.answer.as_ref().map(|answer| answer.headers.clone()).unwrap_or_default()
        }
        _ => return Err(Status::Unimplemented),
    };
    cx.work(shown.len() * super::WORK_PER_HEADER);
    Ok(shown)
}

/// The request's authority is looked up without asking whether there is one.
fn need_host(cx: &mut Cx) {
    let Ok(exchange) = request(cx) else { return };
    if exchange.request.headers.get(b":authority").is_none() {
        cx.state.world.crash_after(
            "authority-without-host",
            "`:authority` or all headers of a request without a Host header were read: wasm-nginx-module reads the value \
             of a header that is not there; don't remove `host`",
        );
    }
}

/// Headers as they came, `host` among them, then the pseudo headers. The target is what came, whatever was written.
fn of_request(exchange: &Exchange) -> Headers {
    let headers = &exchange.request.headers;
    let pseudo = |name: &'static str| {
        headers.get(name.as_bytes()).map(|value| (Bytes::from_static(name.as_bytes()), value.clone()))
    };
    let host = headers.get(b":authority").map(|value| (Bytes::from_static(b"host"), value.clone()));
    let usual = |name: &[u8]| matches!(name, b":authority" | b":path" | b":method" | b":scheme");
    let rest = headers.iter().filter(|(name, _)| !usual(name)).map(|(k, v)| (k.clone(), v.clone()));
    let target = (Bytes::from_static(b":path"), exchange.phases.target.clone());
    host.into_iter()
        .chain(rest)
        .chain(pseudo(":scheme"))
        .chain([target])
        .chain(pseudo(":method"))
        .chain(pseudo(":authority"))
        .collect()
}

/// Headers as they came; then, in this order, the type, the length, what becomes of the connection, and the status.
fn of_response(exchange: &Exchange) -> Headers {
    let headers = &exchange.response.headers;
    const MADE: [&[u8]; 5] = [b":status", b"content-type", b"content-length", b"connection", b"transfer-encoding"];
    let rest = headers.iter().filter(|(name, _)| !MADE.contains(&&name[..])).map(|(k, v)| (k.clone(), v.clone()));
    let named = |name: &'static str| {
        headers.get(name.as_bytes()).map(|value| (Bytes::from_static(name.as_bytes()), value.clone()))
    };
    let closes = exchange.request.headers.get(b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    let connection = Bytes::from_static(if closes { b"close" } else { b"keep-alive" });
    rest.chain(named("content-type"))
        .chain(named("content-length"))
        .chain([(Bytes::from_static(b"connection"), connection)])
        .chain(named("transfer-encoding"))
        .chain(named(":status"))
        .collect()
}

const NO_PSEUDO: &str = "can't remove pseudo header";

fn set_request(exchange: &mut Exchange, name: &Bytes, value: &Bytes, how: How) -> Option<String> {
    let headers = &mut exchange.request.headers;
    if name.starts_with(b":") && value.is_empty() {
        return Some(NO_PSEUDO.to_owned());
    }
    match &name[..] {
        b":path" => {
            if let Some(byte) = value.iter().find(|byte| byte.is_ascii_control()) {
                return Some(format!("invalid char \"{byte}\""));
            }
            exchange.phases.rewritten = Some(value.clone());
        }
        // There is no way to write the authority: the value is taken for a method.
        b":method" | b":authority" => {
            if let Some(byte) = value.iter().find(|byte| !byte.is_ascii_alphabetic()) {
                return Some(format!("invalid char \"{byte}\""));
            }
            headers.replace(":method", value.clone());
        }
        b"host" => match (how, value.is_empty()) {
            (How::Add, true) => {}
            (How::Remove(_), _) | (How::Replace, true) => {
                headers.remove(b":authority");
            }
            (How::Add | How::Replace, false) => headers.replace(":authority", value.clone()),
        },
        // Nor the scheme: it becomes a header of that name.
        b":scheme" => headers.append(":scheme", value.clone()),
        _ => write(headers, name, value, how),
    }
    None
}

fn set_response(exchange: &mut Exchange, name: &Bytes, value: &Bytes, how: How) -> Option<String> {
    // What has gone out can't be changed any more, and nobody says so.
    if exchange.phases.head_sent {
        return None;
    }
    let headers = &mut exchange.response.headers;
    if &name[..] == b":status" {
        if matches!(how, How::Remove(_)) {
            return Some(NO_PSEUDO.to_owned());
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Some("invalid value".to_owned());
        }
        headers.replace(":status", value.clone());
        return None;
    }
    write(headers, name, value, how);
    None
}

/// An empty value removes what is there.
fn write(headers: &mut Headers, name: &Bytes, value: &Bytes, how: How) {
    match how {
        How::Add if value.is_empty() => {}
        How::Add => headers.append(name.clone(), value.clone()),
        How::Replace if !value.is_empty() => headers.put(name.clone(), value.clone()),
        How::Replace | How::Remove(_) => {
            headers.remove(name);
        }
    }
}
