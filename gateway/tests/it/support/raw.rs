//! A client that speaks bytes: for frames that no library would send, for compression, and for
//! reading slowly or not at all. It answers nothing by itself.

use std::net::SocketAddr;

use protocol::deflate::Inflater;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::frames::{CLOSE, CONTINUATION, FIN, Frame, PING, PONG, RSV1, TEXT};
use super::listens::listens;
use super::memory::Memory;
use super::soon;

/// The offer of every browser.
pub(crate) const DEFLATE: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
/// What a whole message may have after inflating.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A client of bytes.
pub(crate) struct RawClient {
    pub(crate) stream: TcpStream,
    /// The head of the upgrade's answer.
    pub(crate) head: String,
    buffer: Vec<u8>,
    parts: Vec<u8>,
    inflater: Inflater,
    pub(crate) memory: Memory,
    /// Messages that came compressed.
    pub(crate) compressed: usize,
    /// Bytes read so far.
    pub(crate) bytes: usize,
    /// Frames read so far, fragments included.
    pub(crate) frames: usize,
    next_id: u64,
}

/// A frame as it came.
struct ServerFrame {
    first: u8,
    payload: Vec<u8>,
}

listens!(RawClient);

impl RawClient {
    /// Connects without compression.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::dial(to, "", None).await
    }

    /// Connects with compression.
    pub(crate) async fn compressing(to: SocketAddr) -> Self {
        let client = Self::dial(to, DEFLATE, None).await;
        assert!(client.head.to_lowercase().contains("permessage-deflate"), "{}", client.head);
        client
    }

    /// Connects with more headers, and with a receive buffer of a given size.
    pub(crate) async fn dial(to: SocketAddr, headers: &str, buffer: Option<usize>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            SockRef::from(&socket).set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = soon("connecting", socket.connect(to)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self::over(stream).await
    }

    /// Goes on with a connection on which the upgrade was asked for.
    pub(crate) async fn over(stream: TcpStream) -> Self {
        let mut client = Self {
            stream,
            head: String::new(),
            buffer: Vec::new(),
            parts: Vec::new(),
            inflater: Inflater::new(),
            memory: Memory::default(),
            compressed: 0,
            bytes: 0,
            frames: 0,
            next_id: 1,
        };
        client.read_head().await;
        client
    }

    async fn read_head(&mut self) {
        const END: &[u8] = b"\r\n\r\n";
        soon("the answer to the upgrade", async {
            loop {
                if let Some(at) = self.buffer.windows(END.len()).position(|part| part == END) {
                    let head = self.buffer.drain(..at + END.len()).collect();
                    self.head = String::from_utf8(head).unwrap();
                    return;
                }
                assert!(self.fill().await, "no answer: {:?}", self.buffer);
            }
        })
        .await;
        assert!(self.head.starts_with("HTTP/1.1 101 "), "{}", self.head);
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon("writing", self.stream.write_all(bytes)).await.expect("the connection is open");
    }

    /// Sends bytes that the gateway may no longer want.
    pub(crate) async fn write_in_vain(&mut self, bytes: &[u8]) {
        // A reset is as good as being ignored.
        let _ = soon("writing", self.stream.write_all(bytes)).await;
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        self.write(&frame.bytes()).await;
    }

    /// Sends a command with a number of its own; returns the number.
    pub(crate) async fn command(&mut self, command: Value) -> u64 {
        let id = self.next_id;
        self.command_with_id(id, command).await;
        id
    }

    /// Sends a command with a given number.
    pub(crate) async fn command_with_id(&mut self, id: u64, mut command: Value) {
        self.next_id = id + 1;
        command["id"] = json!(id);
        self.send(&Frame::text(&command.to_string())).await;
    }

    /// Joins a room.
    pub(crate) async fn join(&mut self, room: &str) -> Value {
        let joined = self.ask(json!({ "type": "join", "room": room })).await;
        assert_eq!(joined["type"], "joined", "{joined}");
        joined
    }

    /// Reads one frame.
    pub(crate) async fn read(&mut self) {
        let frame = loop {
            if let Some(frame) = self.frame() {
                break frame;
            }
            if !self.fill().await {
                self.memory.ended = true;
                return;
            }
        };
        let ServerFrame { first, payload } = frame;
        self.frames += 1;
        match first & 0x0f {
            TEXT | CONTINUATION if first & FIN == 0 => self.parts.extend_from_slice(&payload),
            TEXT | CONTINUATION => {
                let mut message = std::mem::take(&mut self.parts);
                message.extend_from_slice(&payload);
                if first & RSV1 != 0 {
                    self.compressed += 1;
                    let compressed = std::mem::take(&mut message);
                    self.inflater
                        .inflate(&compressed, MESSAGE_BYTES_MAX, &mut message)
                        .expect("compressed messages inflate");
                }
                let text = std::str::from_utf8(&message).expect("texts are UTF-8");
                self.memory.take(text);
            }
            PING => self.memory.pings += 1,
            PONG => self.memory.pongs.push(payload),
            CLOSE => {
                let code = payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
                let text = payload.get(2..).unwrap_or_default();
                let text = String::from_utf8(text.to_vec()).unwrap();
                self.memory.closed = Some((code.unwrap_or(1005), text));
            }
            other => panic!("not a frame of this protocol: {other:x}"),
        }
    }

    /// A whole frame from what was read.
    fn frame(&mut self) -> Option<ServerFrame> {
        let &[first, second, ref rest @ ..] = self.buffer.as_slice() else { return None };
        assert_eq!(second & 0x80, 0, "servers do not mask");
        let (length_bytes, length) = match second {
            126 => (2, usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk::<8>()?) as usize),
            short => (0, usize::from(short)),
        };
        let end = 2 + length_bytes + length;
        if self.buffer.len() < end {
            return None;
        }
        let payload = self.buffer[2 + length_bytes..end].to_vec();
        self.buffer.drain(..end);
        Some(ServerFrame { first, payload })
    }

    /// Reads what is there; whether there was something.
    async fn fill(&mut self) -> bool {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) if count > 0 => {
                self.bytes += count;
                true
            }
            // The end, or a reset.
            Ok(_) | Err(_) => false,
        }
    }
}
