//! WebSocket frames (RFC 6455 section 5): those a gateway writes, and the headers of those that
//! it reads.
//!
//! A server frame is made once and written to everybody: one immutable [`Bytes`] with its header
//! in place. From clients only the header is read here; [`crate::message`] makes messages of what
//! follows it.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | FIN, RSV1 (compressed, RFC 7692), RSV2, RSV3, opcode (4 bits) |
//! | 1 | MASK, length (7 bits: up to 125, or 126, or 127) |
//! | 0, 2 or 8 | length, big-endian, if the 7 bits say 126 or 127 |
//! | 0 or 4 | masking key, on frames of clients |

mod client;

use bytes::Bytes;

use crate::close::CloseReason;

pub use client::{ClientHeader, FrameFault, FrameRules, read_close, unmask};

const FIN: u8 = 0b1000_0000;
const RSV1: u8 = 0b0100_0000;
const RSV2_AND_3: u8 = 0b0011_0000;
const OPCODE: u8 = 0b0000_1111;
const MASK: u8 = 0b1000_0000;
const LENGTH: u8 = 0b0111_1111;

/// The longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next part of a message that has begun.
    Continuation = 0x0,
    /// A text message, or its first part.
    Text = 0x1,
    /// A binary message, or its first part.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xa,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Whether frames of this kind may stand between the parts of a message.
    pub fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// A whole text message in one frame.
pub fn text(payload: &[u8]) -> Bytes {
    frame(FIN | Opcode::Text as u8, payload)
}

/// A whole text message in one frame, compressed by [`crate::deflate::Deflater`]. Only for
/// clients that have negotiated permessage-deflate.
pub fn deflated_text(deflated: &[u8]) -> Bytes {
    frame(FIN | RSV1 | Opcode::Text as u8, deflated)
}

/// A whole binary message in one frame.
pub fn binary(payload: &[u8]) -> Bytes {
    frame(FIN | Opcode::Binary as u8, payload)
}

/// A whole binary message in one frame, compressed like [`deflated_text`].
pub fn deflated_binary(deflated: &[u8]) -> Bytes {
    frame(FIN | RSV1 | Opcode::Binary as u8, deflated)
}

/// The first part of a text message; [`text_last`] is the other. So a large tail is framed once
/// for many clients, and each of them gets a small head of its own before it.
pub fn text_first(payload: &[u8]) -> Bytes {
    frame(Opcode::Text as u8, payload)
}

/// The last part of a text message that [`text_first`] began.
pub fn text_last(payload: &[u8]) -> Bytes {
    frame(FIN | Opcode::Continuation as u8, payload)
}

/// A ping. The payload is at most [`CONTROL_BYTES_MAX`] bytes.
pub fn ping(payload: &[u8]) -> Bytes {
    control(Opcode::Ping, payload)
}

/// A pong: the payload of the ping, which [`ClientHeader::parse`] has found short enough.
pub fn pong(payload: &[u8]) -> Bytes {
    control(Opcode::Pong, payload)
}

/// A close frame: code and text of the catalogue.
pub fn close(reason: CloseReason) -> Bytes {
    let mut payload = reason.code().to_be_bytes().to_vec();
    payload.extend_from_slice(reason.text().as_bytes());
    control(Opcode::Close, &payload)
}

/// The payload of a frame that was made here, to be sent in another way.
pub fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

/// The answer to a client's close frame: the same code, or none, as [`read_close`] gave it.
pub fn close_echo(code: Option<u16>) -> Bytes {
    match code {
        Some(code) => control(Opcode::Close, &code.to_be_bytes()),
        None => control(Opcode::Close, &[]),
    }
}

fn control(opcode: Opcode, payload: &[u8]) -> Bytes {
    debug_assert!(payload.len() <= CONTROL_BYTES_MAX, "a control frame is never cut short");
    frame(FIN | opcode as u8, payload)
}

fn frame(first: u8, payload: &[u8]) -> Bytes {
    let length = payload.len();
    // The capacity is exact, so that `Bytes` takes the buffer over as it is.
    let mut out;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => {
            out = Vec::with_capacity(2 + length);
            out.extend_from_slice(&[first, short]);
        }
        (_, Ok(medium)) => {
            out = Vec::with_capacity(4 + length);
            out.extend_from_slice(&[first, 126]);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out = Vec::with_capacity(10 + length);
            out.extend_from_slice(&[first, 127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out.into()
}

#[cfg(test)]
pub(crate) mod tests;
