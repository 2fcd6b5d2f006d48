//! The names of events.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use xxhash_rust::xxh3;

use super::{BootId, RoomId};

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
        bytes[..8].copy_from_slice(&node.to_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
