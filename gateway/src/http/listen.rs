//! Listening sockets: one per shard on the same address, so that the kernel spreads connections
//! over the shards.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted: a reconnecting crowd arrives at once. The kernel lowers
/// it to its own maximum.
const BACKLOG: i32 = 4096;

/// Binds an address `count` times.
///
/// Once without sharing first: two processes that share a port by accident would each get half
/// of the clients and never notice.
///
/// # Errors
/// The address is in use, or may not be used.
pub(crate) fn bind_shared(
    address: SocketAddr,
    count: usize,
) -> io::Result<Vec<std::net::TcpListener>> {
    let probe = bind(address, Sharing::Refused)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..count)
        .map(|_| {
            let socket = bind(address, Sharing::Allowed)?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

/// Binds an address once.
///
/// # Errors
/// The address is in use, or may not be used.
pub(crate) fn bind_one(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = bind(address, Sharing::Refused)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Hands a bound socket to the current runtime.
///
/// # Errors
/// The runtime has no room for it.
pub(crate) fn into_tokio(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Refused,
    Allowed,
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Lets a restarted gateway bind while connections of the last one linger.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Allowed {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_another_gateway_has_is_refused() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mine = bind_shared(any, 2).unwrap();
        let address = mine[0].local_addr().unwrap();
        assert_eq!(mine[1].local_addr().unwrap(), address);
        assert!(bind_shared(address, 1).is_err());
    }
}
