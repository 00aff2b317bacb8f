//! The other end: connecting to an upstream, and what can go wrong there.

mod http1;

pub(super) use http1::Http1;

use super::errors;
use super::pool::Address;
use super::resolve::Resolve;
pub(super) use crate::gateway::way::Fault;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::net::TcpStream;

/// A connection that is being made.
pub(super) type Connecting = Pin<Box<dyn Future<Output = io::Result<(TcpStream, SocketAddr)>>>>;

/// Connects. The time that it takes is bounded by who waits for it, the name's look-up included.
pub(super) fn connect(address: &Address, resolve: &Resolve) -> Connecting {
    let (host, port) = address.clone();
    let known = resolve.known(&host, port);
    Box::pin(async move {
        if let Some(address) = known {
            return open(address).await;
        }
        let unresolved = |error: io::Error| errors::unresolved(&host, &error.to_string());
        let addresses = tokio::net::lookup_host((&*host, port)).await.map_err(unresolved)?;
        let mut last = errors::unresolved(&host, "it has no address");
        for address in addresses {
            match open(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    })
}

/// What an error of [`connect`] counts as. Only a name that leads nowhere is one of ours, without a number of the system.
pub(super) fn fault_of(error: &io::Error) -> Fault {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, None) => Fault::Unresolved,
        _ => Fault::Refused,
    }
}

async fn open(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok((stream, address))
}
