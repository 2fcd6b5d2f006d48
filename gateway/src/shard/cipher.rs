//! The TLS session of one socket, after its handshake.
//!
//! rustls keeps both directions in one object. Its two users, the reader and the shard, are tasks
//! of one thread and never wait while they use it, so a `RefCell` is enough: no lock.
//!
//! What the shard writes is encrypted one record at a time, and the next record only when the
//! kernel has the last one whole. So a connection holds at most one record of 16 KiB beside its
//! outbox, and a full socket shows at once, as it does without TLS.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read as _, Write as _};

use rustls::ServerConnection;
use tokio::net::TcpStream;

/// What is encrypted at once: the most that fits one record (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 16 * 1024;
/// One read of ciphertext brings at most two records' worth of plaintext; with less room than
/// this the reader comes back for more.
const ROOM_BYTES: usize = 2 * RECORD_BYTES;

/// A TLS session.
#[derive(Debug)]
pub(super) struct Cipher {
    state: RefCell<State>,
    /// Whether decrypted bytes may wait here, which no event of the socket will tell.
    unread: Cell<bool>,
}

#[derive(Debug)]
struct State {
    session: ServerConnection,
    /// So many bytes at the start of the next write were encrypted by the last one, and were not
    /// counted as taken because the socket was full.
    ahead: usize,
}

impl Cipher {
    /// Goes on after the handshake, in which the first bytes may have come already.
    pub(super) fn new(session: ServerConnection) -> Self {
        Self { state: RefCell::new(State { session, ahead: 0 }), unread: Cell::new(true) }
    }

    /// Whether to read without waiting for the socket.
    pub(super) fn take_unread(&self) -> bool {
        self.unread.take()
    }

    /// Reads what is there, decrypted; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; others if the connection is gone or was tampered with.
    pub(super) fn try_read(&self, stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        let State { session, .. } = &mut *self.state.borrow_mut();
        let mut filled = 0;
        loop {
            while filled < into.len() {
                match session.reader().read(&mut into[filled..]) {
                    Ok(0) => {
                        // The client has ended its side politely. If something came before, the
                        // next read finds this end.
                        self.unread.set(filled > 0);
                        return Ok(filled);
                    }
                    Ok(bytes) => filled += bytes,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if filled > 0 && into.len() - filled < ROOM_BYTES {
                self.unread.set(filled == into.len());
                return Ok(filled);
            }
            match session.read_tls(&mut Raw(stream)) {
                Ok(0) => return Ok(filled),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && filled > 0 => {
                    return Ok(filled);
                }
                Err(error) => return Err(error),
            }
            let processed = session.process_new_packets();
            // An alert, or the answer to a change of keys. What does not fit now goes out before
            // the next record.
            let _ = flush(session, stream);
            processed.map_err(io::Error::other)?;
        }
    }

    /// Encrypts and writes until all is written or the socket takes no more; returns how many
    /// bytes are with the kernel. The next write must begin with those that are not.
    ///
    /// # Errors
    /// Those of the socket, but for `WouldBlock`.
    pub(super) fn try_write(&self, stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let State { session, ahead } = &mut *self.state.borrow_mut();
        let mut taken = 0;
        while flush(session, stream)? == Flushed::All {
            taken += std::mem::take(ahead);
            debug_assert!(taken <= bytes.len(), "a frame is finished before the next is begun");
            let rest = bytes.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            *ahead = session.writer().write(&rest[..rest.len().min(RECORD_BYTES)])?;
        }
        Ok(taken)
    }

    /// Says that nothing more will be written.
    pub(super) fn finish(&self, stream: &TcpStream) {
        let State { session, .. } = &mut *self.state.borrow_mut();
        session.send_close_notify();
        // The socket may be gone or full; its end is shown by the kernel then.
        let _ = flush(session, stream);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flushed {
    All,
    /// The socket takes no more.
    Full,
}

/// Hands what is encrypted to the kernel.
fn flush(session: &mut ServerConnection, stream: &TcpStream) -> io::Result<Flushed> {
    while session.wants_write() {
        match session.write_tls(&mut Raw(stream)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Full),
            Err(error) => return Err(error),
        }
    }
    Ok(Flushed::All)
}

/// The socket as rustls wants it: it never waits.
struct Raw<'a>(&'a TcpStream);

impl io::Read for Raw<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl io::Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
