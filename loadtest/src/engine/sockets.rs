//! The sockets of a worker: opened, read and written without ever waiting.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

/// A socket and what is known of it.
#[derive(Debug)]
pub(crate) struct Line {
    /// The socket.
    pub(crate) stream: TcpStream,
    /// Whether there may be something to read that nobody has wanted to read.
    pub(crate) unread: bool,
}

/// What came of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// This many bytes; there may be more.
    More(usize),
    /// This many bytes, and no more for now.
    All(usize),
    /// Nothing for now.
    Nothing,
    /// The connection is gone.
    End,
}

/// What the system keeps for a client that will not read, in bytes; usually it would keep so much
/// that the gateway did not notice.
const SLOW_BYTES: usize = 8 * 1024;

/// Begins to connect; a slow client's system keeps little for it.
///
/// # Errors
/// There is no socket, no port, or nobody there.
pub(crate) fn connect(to: SocketAddr, from: Option<IpAddr>, slow: bool) -> io::Result<Line> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if slow {
        socket.set_recv_buffer_size(SLOW_BYTES)?;
    }
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if is_on_its_way(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(Line { stream: TcpStream::from_std(socket.into()), unread: false })
}

fn is_on_its_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}

/// `connect` goes on in the background (Linux).
const EINPROGRESS: i32 = 115;

impl Line {
    /// Reads into the buffer, or less of it.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Came {
        match self.stream.read(buffer) {
            Ok(0) => Came::End,
            Ok(length) if length == buffer.len() => Came::More(length),
            Ok(length) => Came::All(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Came::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Came::More(0),
            Err(_) => Came::End,
        }
    }

    /// Writes what the socket takes and keeps the rest; says whether the socket is alive.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> bool {
        while !out.is_empty() {
            match self.stream.write(out) {
                Ok(0) => return false,
                Ok(length) if length == out.len() => *out = Vec::new(),
                Ok(length) => drop(out.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Ends the connection at once, as a crash would: no port is kept from use.
    pub(crate) fn cut(self) {
        let socket = socket2::SockRef::from(&self.stream);
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
}
