//! Messages of clients, made of their frames: parts collected, inflated, and checked to be UTF-8.
//!
//! A connection keeps one [`Assembler`], one pointer wide while no message is in parts. The
//! buffers that grow ([`Inflater`], scratch) are shared by all connections of a shard.

use crate::close::CloseReason;
use crate::deflate::{InflateFault, Inflater};
use crate::frame::{ClientHeader, Opcode};

/// A whole message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// Why frames make no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// A continuation of nothing, or a new message before the last one ended.
    #[error("the frames of the message are out of sequence")]
    Sequence,
    /// It does not inflate, or a text is not UTF-8.
    #[error("the message does not inflate, or is not UTF-8")]
    Payload,
    /// It is above the limit, before or after inflating.
    #[error("the message is above the connection's size limit")]
    TooLarge,
}

impl MessageFault {
    /// What the connection is closed with.
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::Sequence => CloseReason::Framing,
            Self::Payload => CloseReason::Payload,
            Self::TooLarge => CloseReason::TooLarge,
        }
    }
}

impl From<InflateFault> for MessageFault {
    fn from(fault: InflateFault) -> Self {
        match fault {
            InflateFault::Malformed => Self::Payload,
            InflateFault::TooLarge => Self::TooLarge,
        }
    }
}

/// The parts of one connection's message so far.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    kind: DataKind,
    compressed: bool,
    bytes: Vec<u8>,
    /// How much of an uncompressed text is known to be UTF-8.
    checked: usize,
}

#[derive(Debug, Clone, Copy)]
enum DataKind {
    Text,
    Binary,
}

impl Assembler {
    /// Takes the next data frame, unmasked; gives the message if this was its last part.
    ///
    /// An unfragmented message without compression is the payload itself, not copied. Others are
    /// put in `scratch`, whose content before does not matter. Neither the parts nor the message
    /// exceed `bytes_max`. A control frame, which may stand between two parts, is none of this
    /// function's business: it changes nothing and gives nothing.
    ///
    /// # Errors
    /// [`MessageFault`]; the connection cannot go on after one.
    pub fn push<'a>(
        &'a mut self,
        header: &ClientHeader,
        payload: &'a [u8],
        inflater: &mut Inflater,
        scratch: &'a mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Option<Message<'a>>, MessageFault> {
        let kind = match header.opcode {
            Opcode::Text => DataKind::Text,
            Opcode::Binary => DataKind::Binary,
            Opcode::Continuation => {
                return self.go_on(header.fin, payload, inflater, scratch, bytes_max);
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(None),
        };
        if self.partial.is_some() {
            return Err(MessageFault::Sequence);
        }
        if payload.len() > bytes_max {
            return Err(MessageFault::TooLarge);
        }
        if !header.fin {
            let bytes = payload.to_vec();
            let compressed = header.compressed;
            let mut partial = Partial { kind, compressed, bytes, checked: 0 };
            partial.check()?;
            self.partial = Some(Box::new(partial));
            return Ok(None);
        }
        if header.compressed {
            inflater.inflate(payload, bytes_max, scratch)?;
            return finish(kind, scratch).map(Some);
        }
        finish(kind, payload).map(Some)
    }

    /// Whether no message is in parts.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    fn go_on<'a>(
        &mut self,
        fin: bool,
        payload: &[u8],
        inflater: &mut Inflater,
        scratch: &'a mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Option<Message<'a>>, MessageFault> {
        let partial = self.partial.as_mut().ok_or(MessageFault::Sequence)?;
        partial.grow(payload, bytes_max)?;
        partial.check()?;
        if !fin {
            return Ok(None);
        }
        let Some(whole) = self.partial.take() else { return Ok(None) };
        if whole.compressed {
            inflater.inflate(&whole.bytes, bytes_max, scratch)?;
        } else {
            *scratch = whole.bytes;
        }
        finish(whole.kind, scratch).map(Some)
    }
}

impl Partial {
    /// Looks at what is new of a text: what can become no UTF-8 whatever follows is told at once
    /// (RFC 6455 section 8.1), and the end of a message may be far away.
    fn check(&mut self) -> Result<(), MessageFault> {
        if self.compressed || matches!(self.kind, DataKind::Binary) {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            // A character that is not whole yet.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(MessageFault::Payload),
        }
        Ok(())
    }

    /// Adds a part, and never has room for more than the limit.
    fn grow(&mut self, payload: &[u8], bytes_max: usize) -> Result<(), MessageFault> {
        let length = self.bytes.len();
        let needed = length.saturating_add(payload.len());
        if needed > bytes_max {
            return Err(MessageFault::TooLarge);
        }
        if needed > self.bytes.capacity() {
            let roomy = needed.max(self.bytes.capacity() * 2).min(bytes_max);
            self.bytes.reserve_exact(roomy - length);
        }
        self.bytes.extend_from_slice(payload);
        Ok(())
    }
}

fn finish(kind: DataKind, bytes: &[u8]) -> Result<Message<'_>, MessageFault> {
    match kind {
        DataKind::Text => {
            std::str::from_utf8(bytes).map(Message::Text).map_err(|_| MessageFault::Payload)
        }
        DataKind::Binary => Ok(Message::Binary(bytes)),
    }
}

#[cfg(test)]
mod tests;
