//! Listening sockets: one per shard on the same address, so that the kernel spreads connections
//! over the shards.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted: a reconnecting crowd arrives at once. The kernel lowers
/// it to its own maximum.
const BACKLOG: i32 = 4096;

/// What the kernel keeps of frames that were not sent yet, per connection, in bytes: what is
/// beyond it waits in the outbox, where it is counted and can be dropped.
const NOT_SENT_BYTES_MAX: u32 = 16 * 1024;
/// What was sent must be acknowledged by the client's kernel within this time.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Binds an address `count` times.
///
/// A port that is named is bound once without sharing first: two processes that share a port by
/// accident would each get half of the clients and never notice. Port 0 is one that nobody has.
///
/// # Errors
/// The address is in use, or may not be used.
pub(crate) fn bind_shared(
    address: SocketAddr,
    count: usize,
) -> io::Result<Vec<std::net::TcpListener>> {
    if address.port() != 0 {
        drop(bind(address, Sharing::Refused)?);
    }
    let mut address = address;
    (0..count)
        .map(|_| {
            let socket = bind(address, Sharing::Allowed)?;
            address = socket.local_addr()?.as_socket().unwrap_or(address);
            prepare(&socket)?;
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

/// Sets what bounds the kernel's share of a slow or dead client. What is accepted has it from the
/// socket that listens, at no cost.
fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn what_is_accepted_has_the_bounds_of_the_kernels_share() {
        let listener = bind_shared(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap().remove(0);
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), NOT_SENT_BYTES_MAX);
        assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
    }

    #[test]
    fn ports_that_nobody_named_are_shared_with_nobody() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let gateways: Vec<_> = (0..200).map(|_| bind_shared(any, 2).unwrap()).collect();
        let ports: std::collections::HashSet<_> =
            gateways.iter().map(|shards| shards[0].local_addr().unwrap()).collect();
        assert_eq!(ports.len(), gateways.len());
    }

    #[test]
    fn a_port_that_another_gateway_has_is_refused() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mine = bind_shared(any, 2).unwrap();
        let address = mine[0].local_addr().unwrap();
        assert_eq!(mine[1].local_addr().unwrap(), address);
        assert!(bind_shared(address, 1).is_err());
    }
}
