//! Where a client's frames go.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::Rc;

use bytes::Bytes;
use protocol::ids::RoomId;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::client::Seat;
use crate::shard::cipher::Cipher;
use crate::shard::stream::EventStream;

/// A client's socket, shared by its reader (`conn`) and its writer (the shard): two tasks of one
/// thread.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// What encrypts and decrypts, if the connection is TLS.
    cipher: Option<Box<Cipher>>,
    heard_s: Cell<u32>,
    owed: Owed,
    /// Seats that were not taken after all, for the reader to give up.
    refused: RefCell<Option<Box<RefusedSeats>>>,
}

/// What a client is owed before it is sent elsewhere: a hearing, if it has just come, and the
/// answers that are under way.
#[derive(Debug, Default)]
pub(crate) struct Owed(Cell<u32>);

impl Owed {
    /// Notes that the client is owed one thing more.
    pub(crate) fn owe(&self) {
        self.0.update(|owed| owed.saturating_add(1));
    }

    /// Notes that the client has got one of them.
    pub(crate) fn settle(&self) {
        self.0.update(|owed| owed.saturating_sub(1));
    }

    fn is_any(&self) -> bool {
        self.0.get() > 0
    }
}

/// Boxed where it is kept: most clients never have one.
#[derive(Debug, Default)]
struct RefusedSeats(Vec<(RoomId, Seat)>);

impl Socket {
    /// A socket that carries frames as they are.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self {
            stream,
            cipher: None,
            heard_s: Cell::new(0),
            owed: Owed::default(),
            refused: RefCell::default(),
        }
    }

    /// A socket that carries them encrypted, after the handshake.
    pub(crate) fn tls(stream: TcpStream, session: rustls::ServerConnection) -> Self {
        let cipher = Some(Box::new(Cipher::new(session)));
        Self {
            stream,
            cipher,
            heard_s: Cell::new(0),
            owed: Owed::default(),
            refused: RefCell::default(),
        }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match &self.cipher {
            Some(cipher) if cipher.take_unread() => Ok(()),
            // There is one reader, and this way it holds nothing while it waits.
            _ => std::future::poll_fn(|cx| self.stream.poll_read_ready(cx)).await,
        }
    }

    /// Reads what is there.
    pub(crate) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match &self.cipher {
            None => self.stream.try_read(into),
            Some(cipher) => cipher.try_read(&self.stream, into),
        }
    }

    /// Notes that the client has said something.
    pub(crate) fn heard(&self, now_s: u32) {
        self.heard_s.set(now_s);
    }

    /// What the client is owed.
    pub(crate) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// The seats that were not taken since this was asked last.
    pub(crate) fn take_refused(&self) -> impl Iterator<Item = (RoomId, Seat)> {
        self.refused.take().into_iter().flat_map(|refused| refused.0)
    }

    fn try_write(&self, bytes: &[u8]) -> Written {
        let written = match &self.cipher {
            None => self.stream.try_write(bytes),
            Some(cipher) => cipher.try_write(&self.stream, bytes),
        };
        match written {
            Ok(taken) => Written::Bytes(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Bytes(0),
            Err(_) => Written::Broken,
        }
    }

    fn shut_down(&self, how: Shutdown) {
        // Fails only if the connection has ended by itself.
        let _ = SockRef::from(&self.stream).shutdown(how);
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// So many bytes were taken; 0 if none can be taken now.
    Bytes(usize),
    /// The connection is gone.
    Broken,
}

/// The write side of a client.
///
/// A socket takes the shared bytes of a frame as they are, or encrypts them on their way.
#[derive(Debug, Clone)]
pub(crate) enum ClientSink {
    /// A TCP socket that carries WebSocket frames, plain or through TLS.
    Socket(Rc<Socket>),
    /// The body of an HTTP answer that carries events.
    Events(Rc<EventStream>),
}

impl ClientSink {
    /// Writes as much of a frame as is taken without waiting, from where it was left.
    ///
    /// What is counted as taken is with the kernel. The rest of the frame, and nothing else, must
    /// be written next: a cipher may have begun to encrypt it.
    pub(crate) fn try_write(&self, frame: &Bytes, written: usize) -> Written {
        match self {
            Self::Socket(socket) => socket.try_write(&frame[written..]),
            // Whole or not at all, so there never is a rest.
            Self::Events(stream) => match stream.try_push(frame) {
                Some(true) => Written::Bytes(frame.len()),
                Some(false) => Written::Bytes(0),
                None => Written::Broken,
            },
        }
    }

    /// Waits until the socket may take more, or is gone.
    pub(crate) async fn writable(&self) {
        match self {
            // An error shows in the next write.
            Self::Socket(socket) => drop(socket.stream.writable().await),
            Self::Events(stream) => stream.free().await,
        }
    }

    /// When the client was last heard, in seconds of the monotonic clock.
    pub(crate) fn heard_s(&self) -> u32 {
        match self {
            Self::Socket(socket) => socket.heard_s.get(),
            // It has no way to say anything. One that is dead takes nothing, in the end.
            Self::Events(_) => u32::MAX,
        }
    }

    /// Whether answers are under way to the client.
    pub(crate) fn is_owed(&self) -> bool {
        match self {
            Self::Socket(socket) => socket.owed.is_any(),
            Self::Events(stream) => stream.owed().is_any(),
        }
    }

    /// Notes that an answer has come.
    pub(crate) fn answered(&self) {
        match self {
            Self::Socket(socket) => socket.owed.settle(),
            Self::Events(stream) => stream.owed().settle(),
        }
    }

    /// Notes that a seat is not taken, of which the reader does not know yet.
    pub(crate) fn refuse(&self, room: RoomId, seat: Seat) {
        if let Self::Socket(socket) = self {
            socket.refused.borrow_mut().get_or_insert_default().0.push((room, seat));
        }
    }

    /// Ends the stream after what was written; the client may still answer.
    pub(crate) fn finish(&self) {
        match self {
            Self::Socket(socket) => {
                if let Some(cipher) = &socket.cipher {
                    cipher.finish(&socket.stream);
                }
                socket.shut_down(Shutdown::Write);
            }
            Self::Events(stream) => stream.finish(),
        }
    }

    /// Ends the connection; its reader sees the end at once.
    pub(crate) fn abort(&self) {
        match self {
            Self::Socket(socket) => socket.shut_down(Shutdown::Both),
            Self::Events(stream) => stream.abort(),
        }
    }
}
