//! Names of things: rooms, users, events, sessions, nodes, peers, and where a peer sits now.
//!
//! Random ids are made from bytes that the caller draws, so this module stays pure.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use xxhash_rust::xxh3;

use crate::limits;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing between the quotes.
    #[error("an id cannot be empty")]
    Empty,
    /// Longer than the limit of its kind, in bytes of UTF-8.
    #[error("an id of at most {max} bytes is allowed")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// A control character, or a character that reorders or hides text.
    #[error("an id cannot hold control or invisible characters")]
    Invisible,
    /// Names that begin with `$` belong to the fabric itself.
    #[error("names that begin with `$` are reserved")]
    Reserved,
}

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

/// The id of a user, as the application knows it: 1 to 64 bytes of UTF-8, nothing invisible.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Parses a user id.
    ///
    /// # Errors
    /// [`IdError`]: empty, over 64 bytes, or holds invisible characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check(text, limits::USER_ID_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// Makes the id of an anonymous connection: `anon-` and 60 random bits in base64url.
    pub fn anonymous(random: [u8; 8]) -> Self {
        let tail = URL_SAFE_NO_PAD.encode(random);
        Self(format!("anon-{}", &tail[..10]).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn check(text: &str, bytes_max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > bytes_max {
        return Err(IdError::TooLong { max: bytes_max });
    }
    if text.chars().any(is_invisible) {
        return Err(IdError::Invisible);
    }
    Ok(())
}

/// Whether a character is a control, or hides or reorders the text around it: C0 and C1 controls,
/// line and paragraph separators, bidirectional overrides and isolates, zero-width marks that
/// join nothing, and the byte order mark.
///
/// Zero-width joiner and non-joiner (U+200C, U+200D) are visible in their effect and stay: emoji
/// and several scripts need them.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The id of one event: 128 bits, 22 characters of base64url on the wire.
///
/// The highest bit says where it comes from: 0 = random, 1 = hash of user, room and idempotency
/// key. Only keyed ids can occur twice, so only they are remembered for duplicate suppression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(u128);

impl EventId {
    const KEYED_BIT: u128 = 1 << 127;

    /// Makes the id of an event that was sent without an idempotency key.
    pub fn random(random: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(random) & !Self::KEYED_BIT)
    }

    /// The bytes of an id that a node makes: half of them are the node's own in this life of it,
    /// so that the ids of a batch have half of their characters in common and compress by as
    /// much. That is a fifth of a compressed batch; 64 random bits are more than enough for the
    /// events of one life of one node.
    pub fn random_bytes(node: BootId, random: [u8; 8]) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&node.0.to_be_bytes());
        bytes[8..].copy_from_slice(&random);
        bytes
    }

    /// Makes the id of an event that was sent with an idempotency key: the same sender, room and
    /// key give the same id on every node (xxh3-128 over the three, each preceded by its length).
    pub fn keyed(sender: &str, room: &RoomId, key: &str) -> Self {
        let mut hash = xxh3::Xxh3::new();
        for part in [sender, room.as_str(), key] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.digest128() | Self::KEYED_BIT)
    }

    /// Whether this id can occur twice (it was made from an idempotency key).
    pub fn is_keyed(self) -> bool {
        self.0 & Self::KEYED_BIT != 0
    }

    /// The id as 16 bytes, big-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id from its 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// The order in which events of equal weight are selected (xxh3-64 of the id): the same on
    /// every node, and unrelated to arrival.
    pub fn lot(self) -> u64 {
        xxh3::xxh3_64(&self.to_bytes())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One life of one node: drawn at random when the process starts, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BootId(u64);

impl BootId {
    /// Makes a boot id from random bytes.
    pub fn random(random: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(random))
    }

    /// The id as 8 bytes, big-endian.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The id from its 8 bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The public id of a peer in signaling: 96 random bits, stable across resumes, and telling
/// nothing about where the peer sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 12]);

impl PeerId {
    /// Makes a peer id from random bytes.
    pub fn random(random: [u8; 12]) -> Self {
        Self(random)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Where a client sits now: which life of which node, which shard, which slot, and which of the
/// clients that have sat in that slot.
///
/// Never shown to clients. A signal sent to an address whose slot has a new owner finds another
/// generation and is refused, so it cannot reach a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The node, in this life of it.
    pub boot: BootId,
    /// The shard of that node.
    pub shard: u16,
    /// The slot in that shard's connection map.
    pub slot: u32,
    /// How many clients have sat in that slot before.
    pub generation: u32,
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

    #[test]
    fn same_user_room_and_key_give_one_id_and_no_others_do() {
        let (a, b) = (RoomId::parse("a").unwrap(), RoomId::parse("b").unwrap());
        let id = EventId::keyed("42", &a, "k");
        assert_eq!(id, EventId::keyed("42", &a, "k"));
        assert!(id.is_keyed());
        assert_ne!(id, EventId::keyed("42", &b, "k"));
        assert_ne!(id, EventId::keyed("43", &a, "k"));
        assert_ne!(EventId::keyed("4", &a, "2k"), EventId::keyed("42", &a, "k"));
        assert!(!EventId::random([0xff; 16]).is_keyed());
    }

    #[test]
    fn an_event_id_is_22_characters_of_base64url() {
        assert_eq!(EventId::random([0; 16]).to_string(), "A".repeat(22));
        let id = EventId::random([7; 16]);
        assert_eq!(EventId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn ids_of_a_node_have_half_of_their_characters_in_common() {
        let node = BootId::random([0x5a; 8]);
        let id = |random| EventId::random(EventId::random_bytes(node, random)).to_string();
        let (a, b) = (id([0; 8]), id([0xff; 8]));
        assert_eq!(a[..10], b[..10]);
        assert_ne!(a[10..], b[10..]);
        let elsewhere = EventId::random_bytes(BootId::random([1; 8]), [0; 8]);
        assert_ne!(EventId::random(elsewhere).to_string()[..10], a[..10]);
    }

    #[test]
    fn anonymous_users_are_told_apart() {
        assert_ne!(UserId::anonymous([1; 8]), UserId::anonymous([2; 8]));
        assert_eq!(UserId::anonymous([0; 8]).as_str(), "anon-AAAAAAAAAA");
    }
}
