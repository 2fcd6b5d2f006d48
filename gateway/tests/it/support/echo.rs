//! A client of the echo that speaks bytes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames::{CLOSE, FIN, Frame};
use super::raw::DEFLATE;
use super::soon;

/// A frame of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// A client of the echo.
pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn dial(to: SocketAddr, path: &str, headers: &str) -> (String, Self) {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut caller = Self { stream, buffer: Vec::new() };
        let end = loop {
            if let Some(at) = caller.buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(caller.fill().await, "no answer");
        };
        let head = String::from_utf8(caller.buffer.drain(..end).collect()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (head.to_ascii_lowercase(), caller)
    }

    pub(crate) async fn plain(to: SocketAddr) -> Self {
        Self::dial(to, "/echo?max=1048576", "").await.1
    }

    pub(crate) async fn deflating(to: SocketAddr) -> Self {
        let (head, caller) = Self::dial(to, "/echo?max=1048576", DEFLATE).await;
        assert!(head.contains("permessage-deflate"), "{head}");
        caller
    }

    pub(crate) async fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        // After a fault the rest may not be wanted.
        let _ = soon("writing", self.stream.write_all(&bytes)).await;
    }

    pub(crate) async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match soon("bytes", self.stream.read(&mut buffer)).await {
            Ok(count) if count > 0 => {
                self.buffer.extend_from_slice(&buffer[..count]);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// The next frame; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some((said, length)) = read(&self.buffer) {
                self.buffer.drain(..length);
                return Some(said);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    pub(crate) async fn hears(&mut self, first: u8, payload: &[u8], what: &str) {
        let said = self.next().await.unwrap_or_else(|| panic!("{what}: the end came first"));
        assert_eq!(said.first, first, "{what}");
        assert!(said.payload == payload, "{what}: another payload");
    }

    /// The code of the close that must come next, and the end behind it.
    pub(crate) async fn is_closed(&mut self, what: &str) -> u16 {
        let said = self.next().await.unwrap_or_else(|| panic!("{what}: the end without a close"));
        assert_eq!(said.first, FIN | CLOSE, "{what}: {said:?}");
        self.stream.shutdown().await.ok();
        assert_eq!(self.next().await, None, "{what}: more after the close");
        match *said.payload {
            [] => 1005,
            [high, low, ..] => u16::from_be_bytes([high, low]),
            [_] => panic!("{what}: half a code"),
        }
    }
}

fn read(bytes: &[u8]) -> Option<(Said, usize)> {
    let &[first, second, ref rest @ ..] = bytes else { return None };
    assert!(second & 0x80 == 0, "servers do not mask");
    let (header, length) = match second {
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    let end = header + usize::try_from(length).unwrap();
    Some((Said { first, payload: bytes.get(header..end)?.to_vec() }, end))
}
