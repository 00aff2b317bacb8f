//! Connects as the proxy does to its upstreams, for as long as a call may wait for it.

use super::clusters::Address;
use crate::proxy::resolve::Resolve;
use crate::proxy::upstream;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Envoy's default for a cluster; an address that swallows everything must not hold a call without a timeout for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the first of a name's addresses that takes a connection.
pub(super) async fn connect(address: &Address, resolve: &Resolve) -> io::Result<TcpStream> {
    let connecting = upstream::connect(&(address.host.as_str().into(), address.port), resolve);
    let (stream, _) = timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(stream)
}
