//! Where a client's frames go.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::SockRef;
use tokio::net::TcpStream;

/// A client's socket, shared by its reader (`conn`) and its writer (the shard).
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    heard_s: AtomicU32,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, heard_s: AtomicU32::new(0) }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Reads what is there.
    pub(crate) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(into)
    }

    /// Notes that the client has said something.
    pub(crate) fn heard(&self, now_s: u32) {
        self.heard_s.store(now_s, Ordering::Relaxed);
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
/// `Plain` writes the shared bytes of a frame as they are; sinks that encrypt, or that speak
/// HTTP, will stand beside it.
#[derive(Debug, Clone)]
pub(crate) enum ClientSink {
    /// A TCP socket that carries WebSocket frames.
    Plain(Arc<Socket>),
}

impl ClientSink {
    /// Writes as much as the socket takes without waiting.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> Written {
        let Self::Plain(socket) = self;
        match socket.stream.try_write(bytes) {
            Ok(taken) => Written::Bytes(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Bytes(0),
            Err(_) => Written::Broken,
        }
    }

    /// Waits until the socket may take more, or is gone.
    pub(crate) async fn writable(&self) {
        let Self::Plain(socket) = self;
        // An error shows in the next write.
        let _ = socket.stream.writable().await;
    }

    /// When the client was last heard, in seconds of the monotonic clock.
    pub(crate) fn heard_s(&self) -> u32 {
        let Self::Plain(socket) = self;
        socket.heard_s.load(Ordering::Relaxed)
    }

    /// Ends the stream after what was written; the client may still answer.
    pub(crate) fn finish(&self) {
        self.shut_down(Shutdown::Write);
    }

    /// Ends the connection; its reader sees the end at once.
    pub(crate) fn abort(&self) {
        self.shut_down(Shutdown::Both);
    }

    fn shut_down(&self, how: Shutdown) {
        let Self::Plain(socket) = self;
        // Fails only if the connection has ended by itself.
        let _ = SockRef::from(&socket.stream).shutdown(how);
    }
}
