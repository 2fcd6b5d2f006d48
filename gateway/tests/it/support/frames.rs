//! Frames made by hand, right or wrong.

/// A client's frame, byte by byte.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const RSV2: u8 = 0x20;
pub(crate) const RSV3: u8 = 0x10;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Frame {
    pub(crate) fn new(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { first, mask: Some(MASK), payload: payload.into() }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::new(FIN | TEXT, text)
    }

    pub(crate) fn close(code: u16) -> Self {
        Self::new(FIN | CLOSE, code.to_be_bytes())
    }

    pub(crate) fn unmasked(mut self) -> Self {
        self.mask = None;
        self
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![self.first];
        match self.payload.len() {
            short @ 0..=125 => bytes.push(masked | short as u8),
            medium @ 126..=0xffff => {
                bytes.push(masked | 126);
                bytes.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(masked | 127);
                bytes.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        let mask = self.mask.unwrap_or_default();
        bytes.extend_from_slice(if self.mask.is_some() { &mask } else { &[] });
        let payload = self.payload.iter().zip(mask.iter().cycle());
        bytes.extend(payload.map(|(byte, key)| byte ^ key));
        bytes
    }
}

/// The header of a masked frame that announces a length (in 8 bytes) and brings nothing.
pub(crate) fn announcing(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&MASK);
    bytes
}
