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
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<(TcpStream, SocketAddr), Unconnected>>>>;

/// A connection that was not made.
#[derive(Debug)]
pub(super) struct Unconnected {
    /// Why.
    pub(super) error: io::Error,
    /// Who was asked last; nobody where a name leads nowhere.
    pub(super) asked: Option<SocketAddr>,
}

impl From<Unconnected> for io::Error {
    fn from(failed: Unconnected) -> Self {
        failed.error
    }
}

/// Connects. The time that it takes is bounded by who waits for it, the name's look-up included.
pub(super) fn connect(address: &Address, resolve: &Resolve) -> Connecting {
    let (host, port) = address.clone();
    let known = resolve.known(&host, port);
    Box::pin(async move {
        if let Some(address) = known {
            return open(address).await.map_err(|error| Unconnected { error, asked: known });
        }
        let unresolved =
            |error: io::Error| Unconnected { error: errors::unresolved(&host, &error.to_string()), asked: None };
        let addresses = tokio::net::lookup_host((&*host, port)).await.map_err(unresolved)?;
        let mut last = unresolved(io::Error::other("it has no address"));
        for address in addresses {
            match open(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Unconnected { error, asked: Some(address) },
            }
        }
        Err(last)
    })
}

/// What an error of [`connect`] counts as.
pub(super) fn fault_of(of: &Unconnected) -> Fault {
    match of.asked {
        None => Fault::Unresolved,
        Some(_) => Fault::Refused,
    }
}

async fn open(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok((stream, address))
}
