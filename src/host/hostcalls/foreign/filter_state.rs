//! `set_envoy_filter_state`: objects that Envoy's other filters look for, by name. Each has a factory that knows what
//! it can be made of.

use super::Answer;
use crate::abi::Status;
use crate::host::hostcalls::row::Cx;
use crate::host::protobuf::{are_text, bytes, fields};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// Fields of `SetEnvoyFilterStateArguments`.
const PATH: u64 = 1;
const VALUE: u64 = 2;

/// What an object can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// Any text.
    Anything,
    /// A number of 32 bits.
    Number,
    /// A number of 64 bits.
    LongNumber,
    /// An IP address.
    Address,
    /// An IP address and a port.
    AddressAndPort,
}

/// ENVOY.md 31: the paths that Envoy 1.40 was seen to have a factory for.
const FACTORIES: &[(&str, Made)] = &[
    ("envoy.string", Made::Anything),
    ("envoy.hashable_string", Made::Anything),
    ("envoy.tcp_proxy.cluster", Made::Anything),
    ("envoy.network.upstream_server_name", Made::Anything),
    ("envoy.network.application_protocols", Made::Anything),
    ("envoy.network.upstream_subject_alt_names", Made::Anything),
    ("envoy.upstream.dynamic_host", Made::Anything),
    ("envoy.network.network_namespace", Made::Anything),
    ("envoy.tcp_proxy.disable_tunneling", Made::Anything),
    ("envoy.upstream.dynamic_port", Made::Number),
    ("envoy.ratelimit.hits_addend", Made::Number),
    ("envoy.tcp_proxy.per_connection_idle_timeout_ms", Made::LongNumber),
    ("envoy.network.ip", Made::Address),
    ("envoy.network.transport_socket.original_dst_address", Made::AddressAndPort),
    ("envoy.filters.listener.original_dst.local_ip", Made::AddressAndPort),
    ("envoy.filters.listener.original_dst.remote_ip", Made::AddressAndPort),
];

pub(super) fn set(cx: &mut Cx, arguments: &[u8]) -> Answer {
    let text = fields(arguments).filter(|fields| are_text(fields, &[PATH, VALUE])).ok_or(Status::BadArgument)?;
    let (path, value) = (bytes(&text, PATH), bytes(&text, VALUE));
    let factory = FACTORIES.iter().find(|(name, _)| name.as_bytes() == path);
    let Some((name, made)) = factory else {
        if path.starts_with(b"envoy.") {
            let plugin = Some(cx.state.current.plugin);
            let message = format!(
                "pwtest knows of no `{}` in Envoy's filter state and answered NOT_FOUND; Envoy may know it",
                String::from_utf8_lossy(path)
            );
            cx.state.world.finding("foreign-not-modelled", plugin, message);
        }
        return Err(Status::NotFound);
    };
    if !can_be_made(*made, value) {
        return Err(Status::BadArgument);
    }
    let stream = cx.state.acting_stream().ok_or(Status::NotFound)?;
    let exchange = cx.state.world.exchanges.get_mut(&stream.exchange).ok_or(Status::NotFound)?;
    exchange.filter_state.insert(name, Bytes::copy_from_slice(value));
    Ok(None)
}

fn can_be_made(made: Made, value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    match made {
        Made::Anything => true,
        // Envoy 1.40 looks past blanks around a number.
        Made::Number => text.trim_ascii().parse::<u32>().is_ok(),
        Made::LongNumber => text.trim_ascii().parse::<u64>().is_ok(),
        Made::Address => text.parse::<IpAddr>().is_ok(),
        Made::AddressAndPort => text.parse::<SocketAddr>().is_ok(),
    }
}
