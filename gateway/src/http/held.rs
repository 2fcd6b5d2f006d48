//! A connection whose last answer is held back: the answer to an upgrade goes out with the first
//! words of what the connection becomes, in one packet instead of two.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Tells a connection to hold back what is written from now on.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold(Arc<AtomicBool>);

impl Hold {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that can hold back what is written to it.
#[derive(Debug)]
pub(super) struct Holding<Io> {
    io: Io,
    hold: Hold,
    /// The head of one answer at most: after that of an upgrade HTTP writes nothing.
    held: Vec<u8>,
}

impl<Io> Holding<Io> {
    pub(super) fn new(io: Io, hold: Hold) -> Self {
        Self { io, hold, held: Vec::new() }
    }

    /// The connection, and what was held back.
    pub(super) fn into_parts(self) -> (Io, Bytes) {
        (self.io, self.held.into())
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Holding<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Holding<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.hold.is_on() {
            self.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.hold.is_on() {
            parts.iter().for_each(|part| self.held.extend_from_slice(part));
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn what_is_written_from_then_on_is_kept_and_not_sent() {
        let (here, mut there) = tokio::io::duplex(64);
        let hold = Hold::default();
        let mut holding = Holding::new(here, hold.clone());
        holding.write_all(b"sent").await.unwrap();
        hold.begin();
        holding.write_all(b"ke").await.unwrap();
        let parts = [IoSlice::new(b"p"), IoSlice::new(b"t")];
        assert_eq!(holding.write_vectored(&parts).await.unwrap(), 2);
        holding.flush().await.unwrap();
        let (here, held) = holding.into_parts();
        assert_eq!(held, "kept");
        drop(here);
        let mut sent = Vec::new();
        there.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"sent");
    }
}
