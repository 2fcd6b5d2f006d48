//! The frames in a stream of bytes that a server sends (RFC 6455 section 5.2): counted, not kept.

/// How far a stream has been read.
#[derive(Debug, Default)]
pub(super) struct Frames {
    count: u32,
    header: Vec<u8>,
    /// What is still to come of the payload, in bytes.
    rest: u64,
}

impl Frames {
    /// How many frames have come whole.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether the stream stands at the end of a frame.
    pub(super) fn are_whole(&self) -> bool {
        self.rest == 0 && self.header.is_empty()
    }

    /// Reads on.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let taken = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= taken as u64;
                bytes = &bytes[taken..];
            } else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                let Some(length) = payload_bytes(&self.header) else { continue };
                self.rest = length;
            }
            if self.rest == 0 {
                self.count += 1;
            }
            self.header.clear();
        }
    }
}

/// How long the payload is; `None` if the header is not whole.
fn payload_bytes(header: &[u8]) -> Option<u64> {
    let extended = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    match header.get(1)? & 0x7f {
        126 => header.get(2..4).map(extended),
        127 => header.get(2..10).map(extended),
        short => Some(u64::from(short)),
    }
}
