//! Whose connection it is: the other end of the socket, or whom a trusted proxy speaks for.
//!
//! A proxy tells it before the first byte (PROXY protocol version 2, as HAProxy, Envoy and
//! cloud load balancers speak it) or in each request (`X-Forwarded-For`). Either is believed
//! only from a network that the operator has named; anybody may send anything.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;
use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::documented::documented;

/// Signature, version, family and length of a PROXY header of version 2.
const PREAMBLE_BYTES: usize = 16;
/// Addresses and extensions behind the preamble: 216 bytes of addresses at most, and room for
/// what clouds add.
const REST_BYTES_MAX: usize = 2048;

documented! {
/// The proxies in front of this gateway.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The networks of the proxies in front of this gateway. They are believed when they say whose
    /// connection they bring. Default: none, so that what anybody claims is ignored. A network that
    /// holds more than proxies lets its other machines pass for anybody.
    pub networks: Vec<IpNet>,
    /// What a trusted proxy says before the first byte of a connection. Default: nothing. With the
    /// PROXY protocol a trusted connection that does not begin with its header is closed; without
    /// it, one that does is answered 400.
    pub preface: Preface,
}
}

/// What a trusted proxy says before the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preface {
    /// Nothing; it may put `X-Forwarded-For` into requests.
    #[default]
    Nothing,
    /// The PROXY protocol, version 2. A trusted connection without it is closed.
    ProxyV2,
}

impl Proxies {
    /// Whether what comes from this address is believed.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The address of a new connection, from which a PROXY header is read if one is due.
    ///
    /// # Errors
    /// The header is not there, or is none.
    pub(crate) async fn address(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
    ) -> io::Result<IpAddr> {
        let peer = peer.ip().to_canonical();
        if self.preface == Preface::ProxyV2 && self.trust(peer) {
            return Ok(read_proxy_v2(stream).await?.unwrap_or(peer));
        }
        Ok(peer)
    }

    /// The address behind a request: the rightmost hop of `X-Forwarded-For` that is not one of
    /// our proxies, if the connection comes from one of them.
    ///
    /// What stands left of it was sent by that hop and may be invented.
    pub(crate) fn behind(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut known = connection;
        let values = headers.get_all("x-forwarded-for").iter().rev();
        for hop in values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')) {
            if !self.trust(known) {
                break;
            }
            match parse_hop(hop.trim()) {
                Some(address) => known = address.to_canonical(),
                None => break,
            }
        }
        known
    }
}

/// An address, with a port or without.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

/// Reads exactly one header. `None`: the proxy speaks for itself.
async fn read_proxy_v2(stream: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut bytes = vec![0; PREAMBLE_BYTES];
    stream.read_exact(&mut bytes).await?;
    let rest = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if !bytes.starts_with(PROTOCOL_PREFIX) || rest > REST_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no PROXY header of version 2"));
    }
    bytes.resize(PREAMBLE_BYTES + rest, 0);
    stream.read_exact(&mut bytes[PREAMBLE_BYTES..]).await?;
    let header = Header::try_from(bytes.as_slice())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error:?}")))?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(v4)) => Some(v4.source_address.into()),
        (Command::Proxy, Addresses::IPv6(v6)) => {
            Some(IpAddr::from(v6.source_address).to_canonical())
        }
        (Command::Proxy, Addresses::Unix(_) | Addresses::Unspecified) | (Command::Local, _) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        Proxies { networks, preface: Preface::Nothing }
    }

    fn behind(connection: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        proxies().behind(connection.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_claims() {
        assert_eq!(behind("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(behind("192.0.2.1", &["10.0.0.1"]), "192.0.2.1");
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_of_ours_is_the_client() {
        assert_eq!(behind("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(behind("10.0.0.1", &["1.1.1.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(behind("10.0.0.1", &["198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(behind("10.0.0.1", &["1.1.1.1", "198.51.100.7 , 10.0.0.2"]), "198.51.100.7");
        assert_eq!(behind("::ffff:10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(behind("fd00::1", &["[2001:db8::7]:443"]), "2001:db8::7");
    }

    #[test]
    fn without_a_hop_that_can_be_read_it_is_the_proxy_before_it() {
        assert_eq!(behind("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(behind("10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(behind("10.0.0.1", &["198.51.100.7, _hidden, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(behind("10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
    }
}
