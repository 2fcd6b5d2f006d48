//! From a socket's bytes to messages: one reader for all connections of a shard.
//!
//! fastwebsockets allocates 8 KiB for every reader it makes. Here one `WebSocketRead` serves a
//! whole shard: the boundary of a frame is found from its header, and the reader is fed whole
//! frames only, so it never waits and keeps nothing. A connection owns a buffer only while a
//! frame of its is incomplete.
//!
//! Everything that could poison the reader for the next client is checked from the header before
//! (mask, reserved bits, opcode, control frames, size), and any error of the reader makes a new
//! one.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use fastwebsockets::{Frame, Role, WebSocketRead, after_handshake_split};
use futures_util::FutureExt as _;
use protocol::close::CloseReason;
use protocol::deflate::Inflater;
use protocol::frame::{ClientHeader, FrameRules, Opcode, read_close};
use protocol::from_client::Decoder;
use protocol::message::{Assembler, Message};
use tokio::io::{AsyncRead, ReadBuf};

/// What is read from a socket at once.
const READ_BYTES: usize = 64 * 1024;
/// What a shard's reader keeps for the next read; more, which only an echo needs, is given back.
const KEPT_BYTES: usize = 256 * 1024;
/// The largest message that any connection may be allowed, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// FIN and the opcode of a binary frame: how every frame is fed, whatever it is. The reader then
/// only unmasks; meaning, inflating and UTF-8 are decided per message, once.
const FED_AS: u8 = 0x82;

/// Reads for all connections of one shard.
pub(crate) struct Reader {
    buffer: Vec<u8>,
    feed: Feed,
    websocket: WebSocketRead<Feed>,
    inflater: Inflater,
    scratch: Vec<u8>,
    pub(crate) decoder: Decoder,
}

/// What a connection keeps between two reads: nothing, usually.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    /// The beginning of a frame.
    bytes: Vec<u8>,
    /// The beginning of a message.
    assembler: Assembler,
}

/// Something that a client sent, whole.
pub(crate) enum Inbound<'a> {
    Text(&'a str),
    Ping(&'a [u8]),
    Pong,
    /// Its close frame, with the code in it.
    Close(Option<u16>),
}

/// What became of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes, all of them dealt with.
    Bytes(usize),
    /// Nothing is there.
    Nothing,
    /// The client is gone.
    Ended,
    /// The client broke the protocol.
    Fault(CloseReason),
}

impl Reader {
    pub(crate) fn new() -> Self {
        let feed = Feed::default();
        let websocket = websocket(&feed);
        Self {
            buffer: vec![0; READ_BYTES],
            feed,
            websocket,
            inflater: Inflater::new(),
            scratch: Vec::new(),
            decoder: Decoder::new(),
        }
    }

    /// Reads what a socket has and hands over every whole message.
    ///
    /// `rules` is asked before each frame (joining narrows the size limit); `take` returns
    /// whether to go on.
    pub(crate) fn read(
        &mut self,
        source: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        carry: &mut Carry,
        client: &mut impl Client,
    ) -> Read {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(READ_BYTES, 0);
        let read = match source(&mut buffer) {
            Ok(0) => Read::Ended,
            Ok(bytes) => self.go_on(&buffer[..bytes], carry, client),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
            Err(_) => Read::Ended,
        };
        self.buffer = buffer;
        self.give_back();
        read
    }

    /// Frees what an unusually large message has needed.
    fn give_back(&mut self) {
        if self.scratch.capacity() > KEPT_BYTES {
            self.scratch = Vec::new();
        }
        let (fed, _) = &mut *self.feed.0.borrow_mut();
        if fed.capacity() > KEPT_BYTES {
            *fed = Vec::new();
        }
    }

    /// Goes on with what was kept, and keeps what is not a whole frame yet: nothing, usually. A
    /// frame that comes in many pieces is copied once, not once per piece.
    fn go_on(&mut self, fresh: &[u8], carry: &mut Carry, client: &mut impl Client) -> Read {
        let Carry { bytes: kept, assembler } = carry;
        let mut joined = std::mem::take(kept);
        let bytes = if joined.is_empty() {
            fresh
        } else {
            joined.extend_from_slice(fresh);
            &joined
        };
        match self.frames(bytes, assembler, client) {
            Ok(0) if !joined.is_empty() => *kept = joined,
            Ok(taken) => *kept = bytes[taken..].to_vec(),
            Err(None) => {}
            Err(Some(reason)) => return Read::Fault(reason),
        }
        Read::Bytes(fresh.len())
    }

    /// Takes the whole frames that stand at the beginning; returns how many bytes they are, or
    /// with what to close (nothing, if the client has been told already).
    fn frames(
        &mut self,
        bytes: &[u8],
        assembler: &mut Assembler,
        client: &mut impl Client,
    ) -> Result<usize, Option<CloseReason>> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let rules = client.rules();
            let header = match ClientHeader::parse(rest, rules) {
                Ok(Some(header)) if header.frame_bytes() <= rest.len() => header,
                Ok(Some(_) | None) => return Ok(taken),
                Err(fault) => return Err(Some(fault.close_reason())),
            };
            let frame = &rest[..header.frame_bytes()];
            taken += frame.len();
            match self.frame(&header, frame, rules, assembler, client) {
                Ok(Next::GoOn) => {}
                Ok(Next::Stop) => return Err(None),
                Err(reason) => return Err(Some(reason)),
            }
        }
    }

    fn frame(
        &mut self,
        header: &ClientHeader,
        frame: &[u8],
        rules: FrameRules,
        assembler: &mut Assembler,
        client: &mut impl Client,
    ) -> Result<Next, CloseReason> {
        self.feed.fill(frame);
        let read = self.websocket.read_frame(&mut no_replies).now_or_never();
        let Some(Ok(Frame { payload, .. })) = read else {
            self.websocket = websocket(&self.feed);
            return Err(CloseReason::Framing);
        };
        let decoder = &mut self.decoder;
        Ok(match header.opcode {
            Opcode::Ping => client.take(Inbound::Ping(&payload), decoder),
            Opcode::Pong => client.take(Inbound::Pong, decoder),
            Opcode::Close => client.take(Inbound::Close(read_close(&payload)?), decoder),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                let max = rules.payload_bytes_max;
                let (inflater, scratch) = (&mut self.inflater, &mut self.scratch);
                match assembler
                    .push(header, &payload, inflater, scratch, max)
                    .map_err(|fault| fault.close_reason())?
                {
                    None => Next::GoOn,
                    Some(Message::Text(text)) => client.take(Inbound::Text(text), decoder),
                    Some(Message::Binary(bytes)) => client.take_binary(bytes)?,
                }
            }
        })
    }
}

/// Whose bytes are read.
pub(crate) trait Client {
    /// What its next frame may be.
    fn rules(&self) -> FrameRules;
    /// Takes a binary message; nobody who speaks JSON has a use for one.
    ///
    /// # Errors
    /// What to close with.
    fn take_binary(&mut self, _bytes: &[u8]) -> Result<Next, CloseReason> {
        Err(CloseReason::Binary)
    }
    /// Takes what it sent.
    fn take(&mut self, inbound: Inbound<'_>, decoder: &mut Decoder) -> Next;
}

/// Whether to go on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Stop,
}

fn websocket(feed: &Feed) -> WebSocketRead<Feed> {
    feed.fill(&[]);
    let (mut read, _) = after_handshake_split(feed.clone(), tokio::io::sink(), Role::Server);
    read.set_auto_close(false);
    read.set_auto_pong(false);
    // The limit of each connection is checked from the header; this one is exclusive.
    read.set_max_message_size(MESSAGE_BYTES_MAX + 1);
    read
}

/// Nothing is to be answered by the reader: the shard writes.
fn no_replies(_: Frame<'_>) -> std::future::Ready<Result<(), Infallible>> {
    std::future::ready(Ok(()))
}

/// The bytes of one whole frame, as something that can be read without waiting.
#[derive(Debug, Clone, Default)]
struct Feed(Rc<RefCell<(Vec<u8>, usize)>>);

impl Feed {
    fn fill(&self, frame: &[u8]) {
        let (bytes, taken) = &mut *self.0.borrow_mut();
        bytes.clear();
        bytes.extend_from_slice(frame);
        if let Some(first) = bytes.first_mut() {
            *first = FED_AS;
        }
        *taken = 0;
    }
}

impl AsyncRead for Feed {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (bytes, taken) = &mut *self.0.borrow_mut();
        let count = into.remaining().min(bytes.len() - *taken);
        into.put_slice(&bytes[*taken..*taken + count]);
        *taken += count;
        // Nothing left reads as the end, which is an error inside a frame: never reached, since
        // frames are whole.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
