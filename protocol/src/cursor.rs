//! What a cursor means: a position in a room's log, opaque to clients.
//!
//! On the wire a cursor is `epoch:sequence`. A client that holds cursor `c` has been told about
//! every event of that epoch up to and including sequence `c`: received it, or had it counted in
//! a `left_out` or a `gap`. A log that loses its numbering starts a new epoch, so that an old
//! cursor is never mistaken for a position in the new log.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// One numbering of a room's log: 64 random bits, 16 hexadecimal digits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Makes an epoch from random bytes.
    pub fn random(random: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(random))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number of an entry in a room's log. 0 is the position before the first entry.
pub type Seq = u64;

/// A position in a room's log: everything up to and including `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which numbering.
    pub epoch: Epoch,
    /// The last entry told.
    pub seq: Seq,
}

impl Cursor {
    /// The same epoch at another sequence.
    pub fn at(self, seq: Seq) -> Self {
        Self { seq, ..self }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not a cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: expected 16 hexadecimal digits, a colon and a sequence number")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, seq) = text.split_once(':').ok_or(CursorError)?;
        let digits = |s: &str, radix| s.chars().all(|c| c.is_digit(radix));
        if epoch.len() != 16 || !digits(epoch, 16) || seq.is_empty() || !digits(seq, 10) {
            return Err(CursorError);
        }
        Ok(Self {
            epoch: Epoch(u64::from_str_radix(epoch, 16).map_err(|_| CursorError)?),
            seq: seq.parse().map_err(|_| CursorError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_epoch_and_sequence() {
        let cursor = Cursor { epoch: Epoch::random([0, 0, 0, 0, 0, 0, 0xab, 0xcd]), seq: 42 };
        assert_eq!(cursor.to_string(), "000000000000abcd:42");
    }

    #[test]
    fn what_is_not_a_cursor_is_refused() {
        for text in [
            "",
            ":",
            "abc:1",
            "000000000000abcd:",
            "000000000000abcd:-1",
            "+00000000000abcd:1",
            "000000000000abcd:18446744073709551616",
            "000000000000abcd:1:2",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn cursors_survive_the_wire(epoch: u64, seq: u64) {
            let cursor = Cursor { epoch: Epoch(epoch), seq };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        }
    }
}
