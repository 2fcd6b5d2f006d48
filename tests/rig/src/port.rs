//! Ports that stay ours while the process that listens on them is down.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// A port of 127.0.0.1 that nobody else is given while this lives.
///
/// Held by a socket that is bound and never listens. The kernel hands out no such port, but lets
/// a listener that reuses addresses, as servers do, bind it beside us: so a server can be killed
/// and started again on the port that its clients know.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _holder: Socket,
}

impl Port {
    /// Takes a free one.
    ///
    /// # Panics
    /// There is none.
    pub fn reserve() -> Self {
        let holder = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        holder.set_reuse_address(true).unwrap();
        holder.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("there are free ports");
        let address = holder.local_addr().unwrap().as_socket().unwrap();
        Self { address, _holder: holder }
    }

    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_can_be_listened_on_again_and_again() {
        let port = Port::reserve();
        for _ in 0..3 {
            // Reuses addresses, as the standard library does on Unix.
            let listener = TcpListener::bind(port.address()).unwrap();
            let client = TcpStream::connect(port.address()).unwrap();
            drop(listener.accept().unwrap());
            drop((listener, client));
            assert!(TcpStream::connect(port.address()).is_err(), "nobody listens");
        }
    }

    #[test]
    fn a_reserved_port_is_given_to_nobody_who_asks_for_a_free_one() {
        let port = Port::reserve();
        let others: Vec<_> = (0..500).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != port.address()));
    }
}
