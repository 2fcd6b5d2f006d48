//! Reading and writing numbers and lengths, big-endian. Reading takes nothing on trust.

use bytes::{Buf, BufMut, Bytes};

use super::EnvelopeError;

/// Takes fields from the front of a message.
pub(super) struct Reader(Bytes);

impl Reader {
    pub(super) fn new(message: Bytes) -> Self {
        Self(message)
    }

    pub(super) fn u8(&mut self) -> Result<u8, EnvelopeError> {
        self.0.try_get_u8().map_err(|_| EnvelopeError::Short)
    }

    pub(super) fn u16(&mut self) -> Result<u16, EnvelopeError> {
        self.0.try_get_u16().map_err(|_| EnvelopeError::Short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, EnvelopeError> {
        self.0.try_get_u32().map_err(|_| EnvelopeError::Short)
    }

    pub(super) fn u64(&mut self) -> Result<u64, EnvelopeError> {
        self.0.try_get_u64().map_err(|_| EnvelopeError::Short)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], EnvelopeError> {
        let mut array = [0; N];
        self.0.try_copy_to_slice(&mut array).map_err(|_| EnvelopeError::Short)?;
        Ok(array)
    }

    /// So many bytes, shared with the message.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Bytes, EnvelopeError> {
        if self.0.len() < count {
            return Err(EnvelopeError::Short);
        }
        Ok(self.0.split_to(count))
    }

    /// A text behind its length in 16 bits.
    pub(super) fn text(&mut self) -> Result<String, EnvelopeError> {
        let count = usize::from(self.u16()?);
        String::from_utf8(self.bytes(count)?.into()).map_err(|_| EnvelopeError::Field)
    }

    /// Everything that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), EnvelopeError> {
        if self.0.is_empty() { Ok(()) } else { Err(EnvelopeError::Long) }
    }
}

/// Writes a text behind its length in 16 bits; one that is too long becomes empty.
pub(super) fn put_text(to: &mut Vec<u8>, text: &str) {
    let text = if u16::try_from(text.len()).is_ok() { text } else { "" };
    to.put_u16(text.len() as u16);
    to.put_slice(text.as_bytes());
}
