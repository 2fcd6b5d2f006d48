//! Frames of clients: everything that can be known from the header alone, and refused from it
//! before a byte of the payload is read.

use super::{CONTROL_BYTES_MAX, FIN, LENGTH, MASK, OPCODE, Opcode, RSV1, RSV2_AND_3};
use crate::close::CloseReason;

/// What a connection allows its client to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRules {
    /// The longest payload of a data frame, in bytes as they are on the wire. Control frames
    /// have their own limit.
    pub payload_bytes_max: usize,
    /// Whether permessage-deflate was negotiated.
    pub compression: bool,
}

/// Why a frame is refused from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// It breaks RFC 6455: unmasked, a reserved bit, an unknown opcode, a control frame that is
    /// long or in parts, a length not in its shortest form.
    #[error("the frame breaks RFC 6455")]
    Framing,
    /// Its payload is above the connection's limit.
    #[error("the frame is above the connection's size limit")]
    TooLarge,
}

impl FrameFault {
    /// What the connection is closed with.
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::Framing => CloseReason::Framing,
            Self::TooLarge => CloseReason::TooLarge,
        }
    }
}

/// The header of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHeader {
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether it ends its message.
    pub fin: bool,
    /// Whether its message is compressed; set on the first frame of a message only.
    pub compressed: bool,
    /// The length of the header, masking key included: 6 to 14 bytes.
    pub header_bytes: usize,
    /// The length of the payload.
    pub payload_bytes: usize,
    /// The masking key, the header's last 4 bytes; see [`unmask`].
    pub mask: [u8; 4],
}

impl ClientHeader {
    /// Reads the header of the frame that begins with the first of the given bytes; `None` if
    /// more of them are needed. A fault is told as soon as the bytes that hold it are there.
    ///
    /// # Errors
    /// [`FrameFault`]; the connection cannot go on after one.
    pub fn parse(bytes: &[u8], rules: FrameRules) -> Result<Option<Self>, FrameFault> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::from_bits(first & OPCODE).ok_or(FrameFault::Framing)?;
        let fin = first & FIN != 0;
        let compressed = first & RSV1 != 0;
        let short = second & LENGTH;
        let may_compress = rules.compression && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & RSV2_AND_3 != 0
            || second & MASK == 0
            || (compressed && !may_compress)
            || (opcode.is_control() && (!fin || usize::from(short) > CONTROL_BYTES_MAX))
        {
            return Err(FrameFault::Framing);
        }
        let Some((length_bytes, length)) = extended_length(short, rest)? else {
            return Ok(None);
        };
        let payload_bytes = usize::try_from(length).map_err(|_| FrameFault::TooLarge)?;
        if !opcode.is_control() && payload_bytes > rules.payload_bytes_max {
            return Err(FrameFault::TooLarge);
        }
        let mask = rest.get(length_bytes..).and_then(|rest| rest.first_chunk::<4>());
        Ok(mask.map(|mask| Self {
            opcode,
            fin,
            compressed,
            header_bytes: 2 + length_bytes + 4,
            payload_bytes,
            mask: *mask,
        }))
    }

    /// The length of the whole frame.
    pub fn frame_bytes(&self) -> usize {
        self.header_bytes.saturating_add(self.payload_bytes)
    }
}

/// How many bytes the length takes after the 7 bits, and the length; `None` if they are not all
/// there. Only the shortest form is legal (RFC 6455 section 5.2).
fn extended_length(short: u8, rest: &[u8]) -> Result<Option<(usize, u64)>, FrameFault> {
    let (bytes, length, shortest) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(length) => (2, u64::from(u16::from_be_bytes(*length)), 126),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(length) => (8, u64::from_be_bytes(*length), 1 << 16),
            None => return Ok(None),
        },
        short => (0, u64::from(short), 0),
    };
    if length < shortest || length >> 63 != 0 {
        return Err(FrameFault::Framing);
    }
    Ok(Some((bytes, length)))
}

/// Removes the mask from a whole payload (RFC 6455 section 5.3).
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    // Eight bytes at a time; the rest begins at a multiple of four, so at the key's first byte.
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Reads the payload of a client's close frame: its code, or `None` if it gives none (1005 to
/// those who ask).
///
/// # Errors
/// What to close with instead of the echo: a code that cannot stand on the wire, half a code, or
/// a reason that is not UTF-8 (RFC 6455 sections 5.5.1 and 7.4).
pub fn read_close(payload: &[u8]) -> Result<Option<u16>, CloseReason> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(CloseReason::Framing) };
    };
    let code = u16::from_be_bytes(*code);
    // 1004 is reserved; 1005, 1006 and 1015 are only for reports; 1012 to 1014 came later.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(CloseReason::Framing);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(CloseReason::Payload);
    }
    Ok(Some(code))
}
