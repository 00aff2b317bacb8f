//! Sockets that clients connect to. With several workers each has its own, and the system spreads connections.

use super::server::ServeError;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

/// Connections that wait to be accepted.
pub(super) const BACKLOG: i32 = 1024;

/// One set of listening sockets for each worker, and the addresses with ports filled in.
pub(super) fn bind(
    addresses: &[SocketAddr],
    workers: NonZeroUsize,
) -> Result<(Vec<Vec<TcpListener>>, Vec<SocketAddr>), ServeError> {
    let mut sets: Vec<Vec<TcpListener>> = (0..workers.get()).map(|_| Vec::new()).collect();
    let mut bound = Vec::new();
    for address in addresses {
        // The first one finds the port that the others share.
        let mut actual = *address;
        for set in &mut sets {
            let wrong = |error| ServeError::Listen { address: *address, error };
            let listener = open(actual, workers.get() > 1).map_err(wrong)?;
            actual = listener.local_addr().map_err(wrong)?;
            set.push(listener);
        }
        bound.push(actual);
    }
    Ok((sets, bound))
}

fn open(address: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait for the last connections of the run before.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if shared {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(unix))]
    let _ = shared;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
