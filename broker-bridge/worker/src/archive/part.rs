//! The parts that a segment is made of: a header that says what is in it, and one zstd frame.
//!
//! The header is a *skippable frame* of the zstd format (RFC 8878, section 3.1.2), so that a
//! segment is an ordinary `.zst` file to every other tool. All numbers are little-endian:
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..4 | `0x184D2A5B`, a skippable frame |
//! | 4..8 | bytes that follow: 80 |
//! | 8..16 | `barrage1` |
//! | 16..24 | epoch of the log |
//! | 24..32, 32..40 | sequence of the first and of the last entry |
//! | 40..48, 48..56 | earliest and latest time of an event, milliseconds since 1970 |
//! | 56..60 | events, one line each |
//! | 60..64 | bytes of the lines |
//! | 64..68 | bytes of the zstd frame that follows the header |
//! | 68..72 | 0 |
//! | 72..80 | xxh3-64 of that frame |
//! | 80..88 | xxh3-64 of bytes 0..80 |

use std::io;

use bytes::{Buf as _, BufMut as _};
use protocol::cursor::{Epoch, Seq};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: u32 = 0x184D_2A5B;
const TAG: &[u8; 8] = b"barrage1";
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 88;
/// Lines of one part, in bytes; an entry that alone is larger has a part of its own.
pub(crate) const LINES_BYTES_AIM: usize = 1024 * 1024;
/// Lines of one part that are believed, in bytes: what reading one takes of memory. The largest
/// entry is 1 MiB on the wire, and what a line adds to an event is less than the event.
const LINES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How hard zstd tries: 3 is its own default.
const LEVEL: i32 = 3;

/// What is in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) epoch: Epoch,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    /// The earliest and the latest time of an event, in milliseconds since 1970.
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    pub(crate) events: u32,
}

impl Span {
    /// What is in two parts of one epoch together.
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            epoch: self.epoch,
            first: self.first.min(later.first),
            last: self.last.max(later.last),
            from_ms: self.from_ms.min(later.from_ms),
            to_ms: self.to_ms.max(later.to_ms),
            events: self.events + later.events,
        }
    }
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) span: Span,
    /// Bytes of the lines.
    pub(crate) lines_bytes: u32,
    /// Bytes of the frame after the header.
    pub(crate) frame_bytes: u32,
    frame_hash: u64,
}

impl Header {
    /// Bytes of the whole part.
    pub(crate) fn part_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.frame_bytes)
    }

    /// Reads a header; `None` if these bytes are none.
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (said, mut hash) = bytes.split_at(HEADER_BYTES - 8);
        if hash.get_u64_le() != xxh3_64(said) {
            return None;
        }
        let mut rest = said;
        let is_ours = rest.get_u32_le() == MAGIC
            && rest.get_u32_le() as usize == HEADER_BYTES - 8
            && rest.copy_to_bytes(TAG.len()) == TAG[..];
        if !is_ours {
            return None;
        }
        let epoch = Epoch::from_bytes(rest.get_u64_le().to_be_bytes());
        let (first, last) = (rest.get_u64_le(), rest.get_u64_le());
        let (from_ms, to_ms) = (rest.get_u64_le(), rest.get_u64_le());
        let events = rest.get_u32_le();
        let (lines_bytes, frame_bytes) = (rest.get_u32_le(), rest.get_u32_le());
        let _reserved = rest.get_u32_le();
        let span = Span { epoch, first, last, from_ms, to_ms, events };
        Some(Self { span, lines_bytes, frame_bytes, frame_hash: rest.get_u64_le() })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32_le(MAGIC);
        out.put_u32_le(HEADER_BYTES as u32 - 8);
        out.put_slice(TAG);
        let Span { epoch, first, last, from_ms, to_ms, events } = self.span;
        out.put_u64_le(u64::from_be_bytes(epoch.to_bytes()));
        for number in [first, last, from_ms, to_ms] {
            out.put_u64_le(number);
        }
        for number in [events, self.lines_bytes, self.frame_bytes, 0] {
            out.put_u32_le(number);
        }
        out.put_u64_le(self.frame_hash);
        let hash = xxh3_64(&out[start..]);
        out.put_u64_le(hash);
    }

    /// Whether these bytes are the frame that the header speaks of.
    pub(crate) fn is_of(&self, frame: &[u8]) -> bool {
        frame.len() == self.frame_bytes as usize && xxh3_64(frame) == self.frame_hash
    }

    /// The lines in a part's frame, each ending in a line feed.
    ///
    /// # Errors
    /// It is not the frame that the header speaks of, or it is larger than any part we write.
    pub(crate) fn unpack(&self, frame: &[u8]) -> io::Result<Vec<u8>> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let bytes = self.lines_bytes as usize;
        if !self.is_of(frame) || bytes > LINES_BYTES_MAX {
            return Err(damaged("the part is damaged"));
        }
        let lines = zstd::bulk::decompress(frame, bytes)?;
        if lines.len() != bytes {
            return Err(damaged("the part is shorter than its header says"));
        }
        Ok(lines)
    }
}

/// Appends a part with these lines to `out`.
///
/// # Errors
/// zstd failed, or there are more than 4 GiB of lines.
pub(crate) fn pack(span: Span, lines: &[u8], out: &mut Vec<u8>) -> io::Result<Header> {
    let frame = zstd::bulk::compress(lines, LEVEL)?;
    let too_large = |_| io::Error::new(io::ErrorKind::InvalidInput, "the part is too large");
    let header = Header {
        span,
        lines_bytes: lines.len().try_into().map_err(too_large)?,
        frame_bytes: frame.len().try_into().map_err(too_large)?,
        frame_hash: xxh3_64(&frame),
    };
    header.write(out);
    out.extend_from_slice(&frame);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn span(first: Seq, last: Seq) -> Span {
        let epoch = Epoch::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]);
        Span { epoch, first, last, from_ms: 10, to_ms: 20, events: 2 }
    }

    fn split(part: &[u8]) -> (Option<Header>, &[u8]) {
        let (header, frame) = part.split_first_chunk().unwrap();
        (Header::read(header), frame)
    }

    #[test]
    fn part_is_found_again_as_it_was() {
        let mut part = Vec::new();
        let header = pack(span(3, 9), b"one\ntwo\n", &mut part).unwrap();
        assert_eq!(part.len() as u64, header.part_bytes());
        let (read, frame) = split(&part);
        assert_eq!(read, Some(header));
        assert_eq!(header.unpack(frame).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn other_tools_read_parts_as_one_zstd_stream() {
        let mut file = Vec::new();
        pack(span(1, 1), b"one\n", &mut file).unwrap();
        pack(span(2, 2), b"two\n", &mut file).unwrap();
        assert_eq!(zstd::decode_all(&file[..]).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn part_that_claims_to_be_huge_is_not_unpacked() {
        let mut part = Vec::new();
        let header = pack(span(1, 1), &vec![b'a'; LINES_BYTES_MAX + 1], &mut part).unwrap();
        assert!(header.unpack(&part[HEADER_BYTES..]).is_err());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(lines: Vec<u8>, at: prop::sample::Index, bit in 0..8u32) {
            let mut part = Vec::new();
            pack(span(1, 2), &lines, &mut part).unwrap();
            let at = at.index(part.len());
            part[at] ^= 1 << bit;
            let (header, frame) = split(&part);
            prop_assert!(header.is_none_or(|header| header.unpack(frame).is_err()));
        }

        #[test]
        fn garbage_is_no_header(bytes in prop::array::uniform32(any::<u8>())) {
            let mut header = [0; HEADER_BYTES];
            header[..32].copy_from_slice(&bytes);
            prop_assert_eq!(Header::read(&header), None);
        }
    }
}
