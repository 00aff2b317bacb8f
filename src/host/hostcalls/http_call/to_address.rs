//! Calls to an address: one at a time, from the request only, made when the callback has returned (`apisix.md` 4.3).

use super::{Cx, PairsArg};
use crate::abi::{CallId, LogLevel, Status};
use crate::host::exchange::phases::Registered;
use crate::host::hostcalls::fields::decoded;
use crate::message::Headers;
use crate::trace::{Effect, HttpCall};
use bytes::Bytes;
use std::sync::Arc;

pub(super) fn register(
    cx: &mut Cx,
    upstream: &[u8],
    headers: PairsArg,
    body: &[u8],
    timeout_ms: u32,
) -> Result<u32, Status> {
    let without_headers = headers.is_nothing();
    let given = decoded(cx, headers)?;
    let stream = cx.state.acting_stream().ok_or(Status::BadArgument)?;
    let world = &mut cx.state.world;
    let Some(exchange) = world.exchanges.get(&stream.exchange) else { return Err(Status::BadArgument) };
    let (responding, busy) = (exchange.phases.responding, exchange.phases.call.is_some());
    let name = String::from_utf8_lossy(upstream).into_owned();
    if responding {
        world.log(LogLevel::Error, "http call is only supported during processing HTTP request");
        return Err(Status::BadArgument);
    }
    if !is_address(&name) {
        world.log(LogLevel::Error, format!("http call gets invalid host: {name}"));
        return Err(Status::BadArgument);
    }
    if busy {
        world.log(LogLevel::Error, "multiple calls are not supported");
        return Err(Status::InternalFailure);
    }
    let timeout = timeout_ms as i32;
    if timeout < 0 {
        world.log(LogLevel::Error, format!("invalid timeout: {timeout}"));
        return Err(Status::InternalFailure);
    }
    let token = world.token_count;
    world.token_count = world.token_count.wrapping_add(1);
    world.log(LogLevel::Info, format!("register http call callout id: {token}, host: {name}"));
    let call = Arc::new(HttpCall {
        id: CallId(token),
        upstream: Bytes::copy_from_slice(upstream),
        headers: completed(given, upstream),
        body: Bytes::copy_from_slice(body),
        trailers: Vec::new(),
        timeout_ms,
    });
    if let Some(exchange) = world.exchanges.get_mut(&stream.exchange) {
        exchange.phases.call = Some(Registered { call: call.clone(), without_headers });
    }
    cx.effect(|| Effect::HttpCall(call));
    Ok(token)
}

/// What the guest did not say is the client library's: GET, http, `/`, and the address.
fn completed(given: Vec<crate::abi::pairs::Pair>, upstream: &[u8]) -> Vec<crate::abi::pairs::Pair> {
    let mut headers: Headers = given.into_iter().collect();
    let defaults: [(&'static str, &[u8]); 4] =
        [(":method", b"GET"), (":scheme", b"http"), (":path", b"/"), (":authority", upstream)];
    for (name, value) in defaults {
        let missing = headers.get(name.as_bytes()).is_none_or(|value| value.is_empty());
        if missing && !(name == ":authority" && headers.get(b"host").is_some()) {
            headers.replace(name, Bytes::copy_from_slice(value));
        }
    }
    headers.into_iter().collect()
}

/// `host` or `host:port`; a host in brackets is IPv6. Nothing is looked up.
fn is_address(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((host, rest)) = rest.split_once(']') else { return false };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (host, if rest.is_empty() { None } else { rest.strip_prefix(':').or(Some("")) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    // apisix.md 4.3: empty, port out of range, malformed IPv6.
    #[test]
    fn addresses() {
        for good in ["web_service", "127.0.0.1:1980", "[::1]:80", "[::1]", "a.test:65535"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a:65536", "a:0", "a:", "[::1", "[x]:80", ":80", "a:b"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
