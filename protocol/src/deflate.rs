//! permessage-deflate (RFC 7692) without context takeover: what was negotiated, messages
//! compressed once for everybody, and messages of clients inflated within a bound.
//!
//! Without context takeover every message stands alone, so that one compressed batch serves all
//! clients, and neither side keeps a window per connection.

mod negotiate;

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{CompressionLvl, Compressor};

pub use negotiate::negotiate;

/// Payloads shorter than this, in bytes, are better sent as they are.
///
/// A batch of one event, about 320 bytes, shrinks by a quarter and needs one packet either way,
/// while every receiver has to inflate it. From two events on, about 520 bytes, what is saved is
/// 40 % and rising: repeated names and fields are what compresses.
pub const DEFLATE_BYTES_MIN: usize = 512;

/// The least effort of libdeflate: 5x on a batch of 100 events in 24 µs; its level 6 takes two to
/// four times as long to make it 10 to 15 % smaller.
const LEVEL: i32 = 1;

/// Compresses messages; one serves a whole shard.
pub struct Deflater {
    compressor: Compressor,
    scratch: Vec<u8>,
}

impl Deflater {
    /// Makes a compressor with a buffer that grows to the largest message.
    pub fn new() -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        Self { compressor: Compressor::new(level), scratch: Vec::new() }
    }

    /// Compresses a message to what follows the header of its frame
    /// ([`crate::frame::deflated_text`]).
    ///
    /// The last DEFLATE block has BFINAL set. RFC 7692 section 7.2.3.4 then asks for one more
    /// byte 0x00, the head of the empty block that receivers complete; Chromium closes with 1002
    /// without it.
    pub fn deflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let bound = self.compressor.deflate_compress_bound(payload.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let length = self
            .compressor
            .deflate_compress(payload, &mut self.scratch)
            .expect("the buffer is as long as the library's own bound");
        let mut deflated = Vec::with_capacity(length + 1);
        deflated.extend_from_slice(&self.scratch[..length]);
        deflated.push(0);
        deflated
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}

/// Why a message cannot be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateFault {
    /// It is not DEFLATE, or it ends inside a block.
    #[error("the message is not permessage-deflate")]
    Malformed,
    /// It holds more than the limit.
    #[error("the inflated message is above the limit")]
    TooLarge,
}

/// What is read after a message.
///
/// First what the sender has removed from the end (RFC 7692 section 7.2.2), then an empty block
/// with BFINAL set, of our own: the stream ends exactly there if, and only if, the message ended
/// at the end of a block.
const TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];

/// The first guess of how long a message becomes: this many times as long.
const USUAL_RATIO: usize = 4;

/// The least room for an inflated message, in bytes.
const ROOM_BYTES_MIN: usize = 256;

/// Inflates messages; one serves a whole shard.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// Makes a decompressor with a window of 32 KiB.
    pub fn new() -> Self {
        Self { stream: Decompress::new(false) }
    }

    /// Inflates one message into `out`, whose content before is dropped.
    ///
    /// `out` never becomes longer than `bytes_max`, and nothing beyond it is allocated. A message
    /// may hold several blocks, also after one with BFINAL set (sections 7.2.3.4 and 7.2.3.5);
    /// one that ends with such a block and lacks the byte 0x00 after it is accepted as well.
    ///
    /// # Errors
    /// [`InflateFault`]; `out` then holds something that is not the message.
    pub fn inflate(
        &mut self,
        compressed: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateFault> {
        out.clear();
        self.stream.reset(false);
        let mut output = Output { out, length: 0, bytes_max };
        output.grow(compressed.len().saturating_mul(USUAL_RATIO).max(ROOM_BYTES_MIN));
        let mut input = compressed;
        while self.run(&mut input, &mut output)? == Status::StreamEnd {
            if input.is_empty() {
                output.finish();
                return Ok(());
            }
            self.stream.reset(false);
        }
        let mut input = TAIL.as_slice();
        let end = self.run(&mut input, &mut output)?;
        output.finish();
        if end == Status::StreamEnd && input.is_empty() {
            Ok(())
        } else {
            Err(InflateFault::Malformed)
        }
    }

    /// Inflates until the stream ends, or all of the input is taken and nothing is pending.
    fn run(&mut self, input: &mut &[u8], output: &mut Output<'_>) -> Result<Status, InflateFault> {
        loop {
            let full = output.is_full();
            // At the bound, one byte of room is enough to see whether anything is to come.
            let mut beyond = [0];
            let room = if full { &mut beyond[..] } else { output.room() };
            let room_bytes = room.len();
            let (taken, made) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(input, room, FlushDecompress::None)
                .map_err(|_| InflateFault::Malformed)?;
            let taken = (self.stream.total_in() - taken) as usize;
            let made = (self.stream.total_out() - made) as usize;
            *input = &input[taken..];
            if full && made > 0 {
                return Err(InflateFault::TooLarge);
            }
            output.length += made;
            if status == Status::StreamEnd || (input.is_empty() && made < room_bytes) {
                return Ok(status);
            }
            if made == room_bytes {
                output.grow(output.length * 2);
            } else if taken == 0 && made == 0 {
                return Err(InflateFault::Malformed);
            }
        }
    }
}

/// Where an inflated message goes: a buffer that grows, but not beyond the limit.
struct Output<'a> {
    out: &'a mut Vec<u8>,
    length: usize,
    bytes_max: usize,
}

impl Output<'_> {
    fn is_full(&self) -> bool {
        self.length >= self.bytes_max
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.out[self.length..]
    }

    fn grow(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes_max);
        self.out.reserve_exact(bytes.saturating_sub(self.out.len()));
        self.out.resize(bytes, 0);
    }

    fn finish(&mut self) {
        self.out.truncate(self.length);
    }
}

#[cfg(test)]
mod tests;
