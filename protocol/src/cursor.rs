//! What a cursor means: a position in a room's log, opaque to clients.
//!
//! On the wire a cursor is `epoch:sequence`, or `epoch:sequence:oldest:count` while paid events at
//! or before it are still to come. A client that holds cursor `c` has been told about every event
//! of that epoch up to and including sequence `c`: received it, had it counted in a `left_out` or
//! a `gap`, or is owed it. A log that loses its numbering starts a new epoch, so that an old
//! cursor is never mistaken for a position in the new log.
//!
//! Gateways among themselves speak of a [`Cursor`], a mere position; what a client holds is a
//! [`Bookmark`].

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

    /// The epoch as 8 bytes, big-endian.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The epoch from its 8 bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl FromStr for Epoch {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() != 16 || !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| CursorError)
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

/// Paid events that were accepted at or before a position and had not been sent when the client
/// was told so: the newest ones there, since they go out in the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owed {
    /// The entry of the oldest of them.
    pub oldest: Seq,
    /// How many they are, at least one.
    pub count: u32,
}

/// What a client holds on to, so that any gateway can tell it what it has missed: a position, and
/// what it is owed of the time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bookmark {
    /// Everything up to here was told.
    pub at: Cursor,
    /// Except these.
    pub owed: Option<Owed>,
}

impl Bookmark {
    /// How many paid events are still to come: the `held` of messages.
    pub fn held(&self) -> u32 {
        self.owed.map_or(0, |owed| owed.count)
    }

    /// The position after which everything must be known to tell its holder what it has missed.
    pub fn known_from(&self) -> Cursor {
        let before_owed = self.owed.map(|owed| owed.oldest.saturating_sub(1));
        self.at.at(before_owed.unwrap_or(self.at.seq).min(self.at.seq))
    }
}

impl From<Cursor> for Bookmark {
    /// A position at which nothing is owed.
    fn from(at: Cursor) -> Self {
        Self { at, owed: None }
    }
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)?;
        match self.owed {
            Some(Owed { oldest, count }) => write!(f, ":{oldest}:{count}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Bookmark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not a cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: use one as a gateway has told it")]
pub struct CursorError;

impl FromStr for Bookmark {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let Some((position, owed)) =
            text.match_indices(':').nth(1).map(|(at, _)| text.split_at(at))
        else {
            return text.parse().map(Cursor::into);
        };
        let at: Cursor = position.parse()?;
        let (oldest, count) = owed[1..].split_once(':').ok_or(CursorError)?;
        let owed = Owed { oldest: number(oldest)?, count: number(count)? };
        if owed.count == 0 || owed.oldest == 0 || owed.oldest > at.seq {
            return Err(CursorError);
        }
        Ok(Self { at, owed: Some(owed) })
    }
}

/// A decimal number without a sign.
fn number<N: FromStr>(text: &str) -> Result<N, CursorError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(CursorError)
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, seq) = text.split_once(':').ok_or(CursorError)?;
        Ok(Self { epoch: epoch.parse()?, seq: number(seq)? })
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
    fn a_bookmark_adds_what_is_owed() {
        let at = Cursor { epoch: Epoch::random([0, 0, 0, 0, 0, 0, 0xab, 0xcd]), seq: 42 };
        let owing = Bookmark { at, owed: Some(Owed { oldest: 17, count: 3 }) };
        assert_eq!(owing.to_string(), "000000000000abcd:42:17:3");
        assert_eq!((owing.held(), owing.known_from().seq), (3, 16));
        assert_eq!(Bookmark::from(at).to_string(), "000000000000abcd:42");
        assert_eq!((Bookmark::from(at).held(), Bookmark::from(at).known_from()), (0, at));
    }

    #[test]
    fn what_is_not_a_bookmark_is_refused() {
        for owed in [":", ":1", ":1:", "::1", ":0:1", ":1:0", ":43:1", ":1:+1", ":1:1:1", ":-1:1"] {
            let text = format!("000000000000abcd:42{owed}");
            assert_eq!(text.parse::<Bookmark>(), Err(CursorError), "{text}");
        }
        assert!("000000000000abcd:42:42:1".parse::<Bookmark>().is_ok());
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
            assert_eq!(text.parse::<Bookmark>(), Err(CursorError), "{text}");
        }
    }

    #[test]
    fn epoch_is_the_same_in_bytes_and_in_text() {
        let epoch = Epoch::from_bytes([0, 1, 2, 3, 4, 5, 6, 0xff]);
        assert_eq!(epoch.to_string(), "00010203040506ff");
        assert_eq!(Epoch::from_bytes(epoch.to_bytes()), epoch);
    }

    proptest! {
        #[test]
        fn cursors_survive_the_wire(epoch: u64, seq: u64, oldest: u64, count: u32) {
            let at = Cursor { epoch: Epoch(epoch), seq };
            prop_assert_eq!(at.to_string().parse::<Cursor>(), Ok(at));
            let owed = (count > 0 && seq > 0)
                .then(|| Owed { oldest: oldest % seq + 1, count });
            let bookmark = Bookmark { at, owed };
            prop_assert_eq!(bookmark.to_string().parse::<Bookmark>(), Ok(bookmark));
        }
    }
}
