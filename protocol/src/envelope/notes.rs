//! Notes between nodes: signs of life, counts, and payloads past the logs.
//!
//! They are written like a [`Batch`](super::Batch): version, kind, fields in the order in which
//! they stand here; texts and payloads behind their lengths.

use bytes::{BufMut, Bytes};

use super::bytes::{Reader, put_text};
use super::{EnvelopeError, VERSION, open};
use crate::ids::{BootId, RoomId, UserId};

const KIND_HEARTBEAT: u8 = 2;
const KIND_COUNTS: u8 = 3;
const KIND_QUESTION: u8 = 4;
const KIND_PAYLOAD: u8 = 5;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    /// It takes new clients.
    Ready = 0,
    /// It is on its way out.
    Draining = 1,
    /// This is its last word.
    Gone = 2,
}

/// A node's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The node.
    pub from: BootId,
    /// When the next one is due, in milliseconds.
    pub interval_ms: u32,
    /// How it is.
    pub condition: Condition,
    /// Connections that it holds.
    pub connections: u32,
    /// Rooms that are open on it.
    pub rooms: u32,
    /// Its name.
    pub name: String,
    /// Where clients reach it; empty if it is not told.
    pub public: String,
    /// Where its admin port is; empty if it is not told.
    pub admin: String,
}

/// What one node counts in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The room.
    pub room: RoomId,
    /// The node; not the sender if that one speaks for a node that is gone.
    pub node: BootId,
    /// Viewers there now.
    pub online: u32,
    /// Likes received there so far.
    pub likes: u64,
}

/// What is counted in several rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Who says it.
    pub from: BootId,
    /// At most 65,535 of them.
    pub counts: Vec<Count>,
}

/// Asks what the others count in several rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub from: BootId,
    /// At most 65,535 of them.
    pub rooms: Vec<RoomId>,
}

/// Whom a payload is for, on the nodes that receive it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// The connection in this slot of this shard.
    Slot {
        /// The shard.
        shard: u16,
        /// The slot.
        slot: u32,
        /// Its generation.
        generation: u32,
    },
    /// Every connection of a user.
    User(UserId),
    /// Every connection.
    Everybody,
}

/// A payload past the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Who sends it.
    pub from: BootId,
    /// Rises with every payload of the sender on this way, so that stragglers are known.
    pub counter: u64,
    /// Whom it is for.
    pub to: Addressee,
    /// A complete message of the protocol.
    pub payload: Bytes,
}

impl Heartbeat {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let mut to = begin(KIND_HEARTBEAT, self.from);
        to.put_u32(self.interval_ms);
        to.put_u8(self.condition as u8);
        to.put_u32(self.connections);
        to.put_u32(self.rooms);
        for text in [&self.name, &self.public, &self.admin] {
            put_text(&mut to, text);
        }
        to.into()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`EnvelopeError`]: not a heartbeat, or not a whole one.
    pub fn decode(note: Bytes) -> Result<Self, EnvelopeError> {
        let (mut from, node) = begun(note, KIND_HEARTBEAT)?;
        let heartbeat = Self {
            from: node,
            interval_ms: from.u32()?,
            condition: match from.u8()? {
                0 => Condition::Ready,
                1 => Condition::Draining,
                2 => Condition::Gone,
                _ => return Err(EnvelopeError::Field),
            },
            connections: from.u32()?,
            rooms: from.u32()?,
            name: from.text()?,
            public: from.text()?,
            admin: from.text()?,
        };
        from.end()?;
        Ok(heartbeat)
    }
}

impl Counts {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let mut to = begin(KIND_COUNTS, self.from);
        to.put_u16(u16::try_from(self.counts.len()).unwrap_or(u16::MAX));
        for count in &self.counts {
            put_text(&mut to, count.room.as_str());
            to.put_slice(&count.node.to_bytes());
            to.put_u32(count.online);
            to.put_u64(count.likes);
        }
        to.into()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`EnvelopeError`]: no counts, or not whole.
    pub fn decode(note: Bytes) -> Result<Self, EnvelopeError> {
        let (mut from, node) = begun(note, KIND_COUNTS)?;
        let counts = (0..from.u16()?)
            .map(|_| {
                let room = read_room(&mut from)?;
                let node = BootId::from_bytes(from.array()?);
                Ok(Count { room, node, online: from.u32()?, likes: from.u64()? })
            })
            .collect::<Result<_, _>>()?;
        from.end()?;
        Ok(Self { from: node, counts })
    }
}

impl Question {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let mut to = begin(KIND_QUESTION, self.from);
        to.put_u16(u16::try_from(self.rooms.len()).unwrap_or(u16::MAX));
        self.rooms.iter().for_each(|room| put_text(&mut to, room.as_str()));
        to.into()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`EnvelopeError`]: no question, or not a whole one.
    pub fn decode(note: Bytes) -> Result<Self, EnvelopeError> {
        let (mut from, node) = begun(note, KIND_QUESTION)?;
        let count = from.u16()?;
        let rooms = (0..count).map(|_| read_room(&mut from)).collect::<Result<_, _>>()?;
        from.end()?;
        Ok(Self { from: node, rooms })
    }
}

impl Payload {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let mut to = begin(KIND_PAYLOAD, self.from);
        to.put_u64(self.counter);
        match &self.to {
            Addressee::Slot { shard, slot, generation } => {
                to.put_u8(0);
                to.put_u16(*shard);
                to.put_u32(*slot);
                to.put_u32(*generation);
            }
            Addressee::User(user) => {
                to.put_u8(1);
                put_text(&mut to, user.as_str());
            }
            Addressee::Everybody => to.put_u8(2),
        }
        to.put_slice(&self.payload);
        to.into()
    }

    /// Reads it. The payload shares the memory of the note.
    ///
    /// # Errors
    /// [`EnvelopeError`]: no payload, or not a whole one.
    pub fn decode(note: Bytes) -> Result<Self, EnvelopeError> {
        let (mut from, node) = begun(note, KIND_PAYLOAD)?;
        let counter = from.u64()?;
        let to = match from.u8()? {
            0 => Addressee::Slot { shard: from.u16()?, slot: from.u32()?, generation: from.u32()? },
            1 => {
                let user = from.text()?;
                Addressee::User(UserId::parse(&user).map_err(|_| EnvelopeError::Field)?)
            }
            2 => Addressee::Everybody,
            _ => return Err(EnvelopeError::Field),
        };
        Ok(Self { from: node, counter, to, payload: from.rest() })
    }
}

fn begin(kind: u8, from: BootId) -> Vec<u8> {
    let mut to = vec![VERSION, kind];
    to.put_slice(&from.to_bytes());
    to
}

fn begun(note: Bytes, kind: u8) -> Result<(Reader, BootId), EnvelopeError> {
    let mut from = open(note, kind)?;
    let node = BootId::from_bytes(from.array()?);
    Ok((from, node))
}

fn read_room(from: &mut Reader) -> Result<RoomId, EnvelopeError> {
    RoomId::of_the_fabric(&from.text()?).map_err(|_| EnvelopeError::Field)
}
