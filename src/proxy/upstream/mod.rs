//! The other end: connecting to an upstream, and what can go wrong there.

mod http1;

pub(super) use http1::Http1;

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
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in tokio::net::lookup_host((&*host, port)).await? {
            match open(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    })
}

async fn open(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok((stream, address))
}
