//! The names of rooms.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use xxhash_rust::xxh3;

use super::{IdError, check};
use crate::limits;

/// The name of a room, as clients write it: 1 to 96 bytes of UTF-8, nothing invisible.
///
/// Cheap to clone (a shared string).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

impl RoomId {
    /// Parses the name of a room that a client may use.
    ///
    /// # Errors
    /// [`IdError`]: empty, over 96 bytes, holds invisible characters, or begins with `$`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.starts_with('$') {
            return Err(IdError::Reserved);
        }
        check(text, limits::ROOM_ID_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// Makes the name of a room of the fabric itself (`$` and the given name): no client can
    /// join it. The readiness canary lives in one.
    pub fn internal(name: &str) -> Self {
        Self(format!("${name}").into())
    }

    /// Parses the name of any room, of a client or of the fabric, as nodes tell it each other.
    ///
    /// # Errors
    /// [`IdError`]: empty, too long, or holds invisible characters.
    pub fn of_the_fabric(text: &str) -> Result<Self, IdError> {
        check(text, limits::ROOM_ID_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that places this room: partition, hub and tick phase are all taken from it, so
    /// it is the same on every node (xxh3-64 of the name).
    pub fn stable_hash(&self) -> u64 {
        xxh3::xxh3_64(self.0.as_bytes())
    }
}

impl Borrow<str> for RoomId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomId({})", self.0)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RoomId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_that_clients_may_use_and_may_not() {
        assert_eq!(RoomId::parse("直播间-1").map(|r| r.as_str().to_owned()), Ok("直播间-1".into()));
        assert_eq!(RoomId::parse(""), Err(IdError::Empty));
        assert_eq!(RoomId::parse("$canary"), Err(IdError::Reserved));
        assert_eq!(RoomId::parse("a\u{202e}b"), Err(IdError::Invisible));
        assert_eq!(RoomId::parse("a\nb"), Err(IdError::Invisible));
        assert_eq!(RoomId::parse(&"x".repeat(97)), Err(IdError::TooLong { max: 96 }));
        assert!(RoomId::parse(&"x".repeat(96)).is_ok());
        assert!(
            RoomId::parse("*").is_ok(),
            "hostile to brokers, harmless here: subject.rs encodes"
        );
    }
}
