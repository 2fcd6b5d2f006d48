//! Where things are: nodes, and what sits on them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
