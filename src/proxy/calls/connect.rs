//! Looks an address up and connects to it.

use super::clusters::Address;
use crate::proxy::resolve::Resolve;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Envoy's default for a cluster; an address that swallows everything must not hold a call without a timeout for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the first of a name's addresses that takes a connection.
pub(super) async fn connect(address: &Address, resolve: &Resolve) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_TIMEOUT, first(address, resolve)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn first(address: &Address, resolve: &Resolve) -> io::Result<TcpStream> {
    // An address needs no thread that asks the resolver.
    if let Some(known) = resolve.known(&address.host, address.port) {
        return TcpStream::connect(known).await;
    }
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for found in lookup_host((address.host.as_str(), address.port)).await? {
        match TcpStream::connect(found).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
