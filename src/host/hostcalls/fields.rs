//! Header maps: request and response headers and trailers, and the headers of call responses.
//!
//! Whether a map can be reached depends on where the stream stands, and differs between hosts; `access` is the
//! only place that decides it.

mod of_request;

use super::row::{Cx, PairsArg, PairsOut, hostcall_rows};
use crate::abi::{AbiVersion, Callback, MapType, Status, pairs};
use crate::host::grpc::Readable;
use crate::host::state::{StreamRef, VmState};
use crate::host::world::World;
use crate::message::{Direction, Headers};
use crate::trace::{Effect, Entry, MapChange};
use bytes::Bytes;
use of_request::How;

hostcall_rows! {
    /// The size of a map. Envoy counts the bytes of names and values, not the serialised size (abi.md 0.4).
    proxy_get_header_map_size [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType } -> { word size } = size;
    /// The whole map, serialised.
    proxy_get_header_map_pairs [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType } -> { bytes pairs } = get_pairs;
    /// Replaces the whole map.
    proxy_set_header_map_pairs [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType, pairs pairs } -> {} = set_pairs;
    /// The first value of a name.
    proxy_get_header_map_value [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType, slice key } -> { bytes value } = get;
    /// Appends an entry.
    proxy_add_header_map_value [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType, slice key, slice value } -> {} = add;
    /// Leaves exactly one entry of the name.
    proxy_replace_header_map_value [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType, slice key, slice value } -> {} = replace;
    /// Removes every entry of the name.
    proxy_remove_header_map_value [V0_1_0 V0_2_0 V0_2_1] { word map_type: MapType, slice key } -> {} = remove;
}

/// How a map can be reached just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Read and write.
    Open,
    /// Trailers that do not exist yet; a write makes them.
    Creatable,
    /// Read only.
    Read,
    /// Known, but with nothing in it.
    Nothing,
    /// Out of reach.
    Closed,
}

fn access(cx: &Cx, map: MapType) -> Access {
    match map {
        MapType::HttpCallResponseHeaders => match cx.state.world.answer {
            Some(_) => Access::Read,
            None => Access::Closed,
        },
        // Envoy 1.40: without trailers there is no map.
        MapType::HttpCallResponseTrailers => match &cx.state.world.answer {
            Some(answer) if !answer.trailers.is_empty() => Access::Read,
            Some(_) | None => Access::Closed,
        },
        MapType::GrpcReceiveInitialMetadata => match cx.state.world.grpc_readable {
            Some(Readable::InitialMetadata(_)) => Access::Read,
            _ => Access::Closed,
        },
        MapType::GrpcReceiveTrailingMetadata => match cx.state.world.grpc_readable {
            Some(Readable::TrailingMetadata(_)) => Access::Read,
            _ => Access::Closed,
        },
        MapType::HttpRequestHeaders => stream_access(cx, Direction::Request, false),
        MapType::HttpResponseHeaders => stream_access(cx, Direction::Response, false),
        MapType::HttpRequestTrailers => stream_access(cx, Direction::Request, true),
        MapType::HttpResponseTrailers => stream_access(cx, Direction::Response, true),
    }
}

fn stream_access(cx: &Cx, direction: Direction, trailers: bool) -> Access {
    let world = &cx.state.world;
    let Some(StreamRef { exchange, filter }) = cx.state.acting_stream() else { return Access::Closed };
    // Envoy 1.40: a TCP stream has no maps, in on_log either.
    let Some(exchange) = world.exchanges.get(&exchange).filter(|e| e.tcp.is_none()) else { return Access::Closed };
    let Some(stage) = exchange.stage(filter, direction) else { return Access::Closed };
    let half = exchange.half(direction);
    let in_log = cx.state.current.entry == Entry::Callback(Callback::OnLog);
    if trailers {
        return match (stage.trailers_open, stage.in_last_body, &half.trailers) {
            (true, _, Some(_)) => Access::Open,
            (_, true, None) => Access::Creatable,
            // Envoy 1.40: the request's trailers are not there in on_log, even if the request had some.
            _ if in_log && world.profile.maps_in_log => match (direction, &half.trailers) {
                (Direction::Response, Some(_)) => Access::Read,
                (Direction::Request, Some(_)) if world.profile.request_trailers_in_log => Access::Read,
                _ => Access::Nothing,
            },
            _ => Access::Closed,
        };
    }
    if stage.headers_open || (world.profile.maps_always_open && half.arrived) {
        Access::Open
    } else if in_log && world.profile.maps_in_log {
        if half.arrived { Access::Read } else { Access::Nothing }
    } else {
        Access::Closed
    }
}

/// What it costs to look at one entry of a map.
const WORK_PER_HEADER: usize = 32;

/// The map itself, whatever its access. Whoever asks for it goes through it, and pays for that.
fn find<'a>(cx: &'a mut Cx, map: MapType) -> Option<&'a mut Headers> {
    let headers = entries(cx.state, map)?;
    *cx.work = cx.work.saturating_add(headers.len() * WORK_PER_HEADER);
    Some(headers)
}

fn entries(state: &mut VmState, map: MapType) -> Option<&mut Headers> {
    let stream = state.acting_stream();
    let World { answer, grpc_readable, exchanges, .. } = &mut *state.world;
    let exchange = stream.and_then(|stream| exchanges.get_mut(&stream.exchange));
    match map {
        MapType::HttpCallResponseHeaders => Some(&mut answer.as_mut()?.headers),
        MapType::HttpCallResponseTrailers => Some(&mut answer.as_mut()?.trailers),
        MapType::GrpcReceiveInitialMetadata | MapType::GrpcReceiveTrailingMetadata => match grpc_readable.as_mut()? {
            Readable::InitialMetadata(headers) | Readable::TrailingMetadata(headers) => Some(headers),
            Readable::Message(_) => None,
        },
        MapType::HttpRequestHeaders => Some(&mut exchange?.request.headers),
        MapType::HttpResponseHeaders => Some(&mut exchange?.response.headers),
        MapType::HttpRequestTrailers => exchange?.request.trailers.as_mut(),
        MapType::HttpResponseTrailers => exchange?.response.trailers.as_mut(),
    }
}

/// The map for writing, or for its size: Envoy makes no difference between the two.
fn writable<'a>(cx: &'a mut Cx, map: MapType) -> Result<&'a mut Headers, Status> {
    let closed = cx.state.world.profile.closed_map_write;
    match access(cx, map) {
        Access::Open => {}
        Access::Creatable => create_trailers(cx, map),
        Access::Read | Access::Nothing => {
            note_read_only(cx, map);
            return Err(closed);
        }
        Access::Closed => {
            note_closed(cx, map);
            return Err(closed);
        }
    }
    find(cx, map).ok_or(closed)
}

fn create_trailers(cx: &mut Cx, map: MapType) {
    let direction = match map {
        MapType::HttpResponseTrailers => Direction::Response,
        _ => Direction::Request,
    };
    let Some(stream) = cx.state.acting_stream() else { return };
    let Some(exchange) = cx.state.world.exchanges.get_mut(&stream.exchange) else { return };
    exchange.half_mut(direction).trailers = Some(Headers::new());
    if let Some(stage) = exchange.stage_mut(stream.filter, direction) {
        stage.trailers_open = true;
    }
}

/// Says why a map was out of reach: it is the most frequent surprise of plugin authors (abi.md 11.2).
fn note_closed(cx: &mut Cx, map: MapType) {
    let entry = cx.state.current.entry.name();
    note(
        cx,
        format!(
            "{map} was asked for in {entry}, where it can't be reached: on Envoy a header map is there in its own \
             callback, and after that only while the callback's Pause holds; APISIX has it in every phase; \
             read what you need in the headers callback and keep it"
        ),
    );
}

/// The map is there, but not for this.
fn note_read_only(cx: &mut Cx, map: MapType) {
    let entry = cx.state.current.entry.name();
    note(
        cx,
        format!(
            "{map} can only be read in {entry}: Envoy 1.40 refuses to change it there, and to say its size; take what \
             you need from its pairs"
        ),
    );
}

fn note(cx: &mut Cx, text: String) {
    let plugin = cx.state.current.plugin;
    cx.state.world.finding("hostcall-in-wrong-phase", Some(plugin), text);
}

fn size(cx: &mut Cx, map: MapType) -> Result<u32, Status> {
    Ok(writable(cx, map)?.byte_size() as u32)
}

fn get_pairs(cx: &mut Cx, map: MapType) -> Result<PairsOut, Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return of_request::get_pairs(cx, map);
    }
    match access(cx, map) {
        Access::Open | Access::Read => {}
        Access::Creatable | Access::Nothing => return Ok(PairsOut(Bytes::new())),
        Access::Closed => {
            note_closed(cx, map);
            return match cx.state.world.profile.closed_map_pairs {
                Status::Ok => Ok(PairsOut(Bytes::new())),
                status => Err(status),
            };
        }
    }
    let Some(headers) = find(cx, map) else { return Ok(PairsOut(Bytes::new())) };
    if headers.is_empty() {
        return Ok(PairsOut(Bytes::new()));
    }
    Ok(PairsOut(pairs::encode(headers.iter().map(|(k, v)| (&k[..], &v[..]))).into()))
}

fn get(cx: &mut Cx, map: MapType, key: &[u8]) -> Result<Bytes, Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return of_request::get(cx, map, key);
    }
    let old = cx.state.abi == AbiVersion::V0_1_0;
    let found = match access(cx, map) {
        Access::Open | Access::Read => {
            let key = name(cx, map, key);
            find(cx, map).and_then(|headers| headers.get(&key).cloned()).ok_or(Status::NotFound)
        }
        Access::Nothing => Err(Status::NotFound),
        Access::Creatable => Err(cx.state.world.profile.closed_map_value),
        Access::Closed => {
            note_closed(cx, map);
            Err(cx.state.world.profile.closed_map_value)
        }
    };
    // ABI 0.1.0 knows no "not found": the value is empty instead (abi.md 1.2). A map out of reach is still
    // BAD_ARGUMENT (Envoy 1.40).
    if old && found == Err(Status::NotFound) { Ok(Bytes::new()) } else { found }
}

fn name(cx: &Cx, map: MapType, key: &[u8]) -> Bytes {
    let profile = cx.state.world.profile;
    if profile.host_is_authority && map == MapType::HttpRequestHeaders && key.eq_ignore_ascii_case(b"host") {
        return Bytes::from_static(b":authority");
    }
    if profile.lowercases_names { key.to_ascii_lowercase().into() } else { Bytes::copy_from_slice(key) }
}

fn set_pairs(cx: &mut Cx, map: MapType, pairs: PairsArg) -> Result<(), Status> {
    let pairs = decoded(cx, pairs)?;
    for (key, value) in &pairs {
        check(cx, key, value)?;
    }
    let mut lowered = Headers::new();
    for (key, value) in &pairs {
        append(cx, &mut lowered, name(cx, map, key), value.clone());
    }
    *writable(cx, map)? = lowered;
    cx.effect(|| Effect::Map { map, change: MapChange::Set(pairs) });
    Ok(())
}

/// Whether a header can be written as it is.
fn check(cx: &Cx, key: &[u8], value: &[u8]) -> Result<(), Status> {
    let bad = key.is_empty() || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if bad && cx.state.world.profile.checks_header_bytes { Err(Status::BadArgument) } else { Ok(()) }
}

/// A header map from the guest, or what the host makes of bytes that are none.
pub fn decoded(cx: &mut Cx, pairs: PairsArg) -> Result<Vec<pairs::Pair>, Status> {
    match pairs.0 {
        Ok(pairs) => Ok(pairs),
        Err(error) => {
            let plugin = cx.state.current.plugin;
            cx.state.world.finding(
                "malformed-pairs",
                Some(plugin),
                format!(
                    "a header map that does not decode ({error}): Envoy takes it for an empty one and says ok, \
                     other hosts read past it; build it with your SDK"
                ),
            );
            if cx.state.world.profile.malformed_pairs_are_empty { Ok(Vec::new()) } else { Err(Status::BadArgument) }
        }
    }
}

fn add(cx: &mut Cx, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return of_request::set(cx, map, key, value, How::Add);
    }
    let (key, value) = (name(cx, map, key), Bytes::copy_from_slice(value));
    check(cx, &key, &value)?;
    let mut headers = std::mem::take(writable(cx, map)?);
    append(cx, &mut headers, key.clone(), value.clone());
    *writable(cx, map)? = headers;
    cx.effect(|| Effect::Map { map, change: MapChange::Add(key, value) });
    Ok(())
}

/// Adds an entry, or to the value of a header that can be there only once.
fn append(cx: &mut Cx, headers: &mut Headers, key: Bytes, value: Bytes) {
    if cx.state.world.profile.single_value_headers.iter().any(|single| single.as_bytes() == key) {
        let length = headers.join(key, value);
        cx.work(length);
    } else {
        headers.append(key, value);
    }
}

fn replace(cx: &mut Cx, map: MapType, key: &[u8], value: &[u8]) -> Result<(), Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        return of_request::set(cx, map, key, value, How::Replace);
    }
    let (key, value) = (name(cx, map, key), Bytes::copy_from_slice(value));
    check(cx, &key, &value)?;
    writable(cx, map)?.replace(key.clone(), value.clone());
    cx.effect(|| Effect::Map { map, change: MapChange::Replace(key, value) });
    Ok(())
}

fn remove(cx: &mut Cx, map: MapType, key: &[u8]) -> Result<(), Status> {
    if cx.state.world.profile.hostcalls_act_on_request {
        let count = of_request::count(cx, map, key);
        return of_request::set(cx, map, key, &[], How::Remove(count));
    }
    let key = name(cx, map, key);
    let removed = writable(cx, map)?.remove(&key);
    cx.effect(|| Effect::Map { map, change: MapChange::Remove(key, removed) });
    Ok(())
}
