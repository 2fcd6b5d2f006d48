//! What nodes say to each other: a batch of a room's events, and short notes.
//!
//! An envelope begins with its version and its kind, a byte each. Numbers are big-endian. A batch:
//!
//! | bytes | field |
//! | --- | --- |
//! | 1, 1 | version (1), kind (1) |
//! | 8 | boot id of the publisher |
//! | 8 | its counter: every envelope of one life of a node has another one, rising |
//! | 8 | how many events the publisher had put into this room before |
//! | 8 | when it was made, in milliseconds since 1970 |
//! | 2 | how many events follow, at least one |
//! | 16, 1, 1, 8, 4, n | of each: id, class, weight, time, length of its JSON, its JSON |
//!
//! The counts let every receiver know how many events of which publisher it missed. The
//! [`notes`] are everything else.

mod bytes;
pub mod notes;

use ::bytes::{BufMut, Bytes};

use self::bytes::Reader;
use crate::event::{Class, Event};
use crate::ids::{BootId, EventId};

/// The version that this node writes, and the only one that it reads.
const VERSION: u8 = 1;
const KIND_EVENTS: u8 = 1;

/// Bytes of a batch before its events.
const HEAD_BYTES: usize = 2 + 4 * 8 + 2;
/// Bytes of an event beside its JSON.
const EVENT_HEAD_BYTES: usize = 16 + 1 + 1 + 8 + 4;

/// The largest batch that is made, in bytes: a larger one would delay other rooms on its
/// connection, and it holds some 900 danmaku.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// The largest batch that is read: a single event is carried whatever its size.
pub const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;

/// Events of one room that one node publishes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The publisher.
    pub from: BootId,
    /// Tells this envelope from all others of the publisher.
    pub counter: u64,
    /// How many events the publisher had put into this room before these.
    pub first: u64,
    /// When the batch was made, in milliseconds since 1970; decides its slot.
    pub origin_ms: u64,
    /// The events, in order.
    pub events: Vec<Event>,
}

/// Why bytes are no envelope of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Of a version that this node does not read.
    #[error("version {0} is not known here")]
    Version(u8),
    /// Of a kind that is not expected here.
    #[error("kind {0} is not expected here")]
    Kind(u8),
    /// It ends too early.
    #[error("the envelope ends too early")]
    Short,
    /// There is something behind its end.
    #[error("there is something behind the envelope's end")]
    Long,
    /// Larger than [`ENVELOPE_BYTES_MAX`].
    #[error("the envelope is too large")]
    TooLarge,
    /// A field holds what it cannot hold.
    #[error("a field of the envelope holds what it cannot hold")]
    Field,
}

/// How many bytes an event takes in a batch.
pub fn event_bytes(event: &Event) -> usize {
    EVENT_HEAD_BYTES + event.json.len()
}

impl Batch {
    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        HEAD_BYTES + self.events.iter().map(event_bytes).sum::<usize>()
    }

    /// Writes it. The caller sees to it that there are at most 65,535 events.
    pub fn encode(&self) -> Bytes {
        let mut to = Vec::with_capacity(self.bytes());
        to.put_u8(VERSION);
        to.put_u8(KIND_EVENTS);
        to.put_slice(&self.from.to_bytes());
        to.put_u64(self.counter);
        to.put_u64(self.first);
        to.put_u64(self.origin_ms);
        to.put_u16(u16::try_from(self.events.len()).unwrap_or(u16::MAX));
        for event in &self.events {
            to.put_slice(&event.id.to_bytes());
            to.put_u8(event.class as u8);
            to.put_u8(event.weight);
            to.put_u64(event.ts_ms);
            to.put_u32(u32::try_from(event.json.len()).unwrap_or(u32::MAX));
            to.put_slice(&event.json);
        }
        to.into()
    }

    /// Reads it. The JSON of the events shares the memory of the envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`]: not a batch, or not a whole one.
    pub fn decode(envelope: Bytes) -> Result<Self, EnvelopeError> {
        let mut from = open(envelope, KIND_EVENTS)?;
        let publisher = BootId::from_bytes(from.array()?);
        let (counter, first, origin_ms) = (from.u64()?, from.u64()?, from.u64()?);
        let count = usize::from(from.u16()?);
        if count == 0 {
            return Err(EnvelopeError::Field);
        }
        if from.left() < count * EVENT_HEAD_BYTES {
            return Err(EnvelopeError::Short);
        }
        let events = (0..count).map(|_| read_event(&mut from)).collect::<Result<_, _>>()?;
        from.end()?;
        Ok(Self { from: publisher, counter, first, origin_ms, events })
    }
}

fn read_event(from: &mut Reader) -> Result<Event, EnvelopeError> {
    let id = EventId::from_bytes(from.array()?);
    let class = from.u8()?;
    let class = *Class::ALL.get(usize::from(class)).ok_or(EnvelopeError::Field)?;
    let weight = from.u8()?;
    let ts_ms = from.u64()?;
    let json_bytes = usize::try_from(from.u32()?).map_err(|_| EnvelopeError::Field)?;
    Ok(Event { id, class, weight, ts_ms, json: from.bytes(json_bytes)? })
}

/// Takes version and kind off.
fn open(envelope: Bytes, kind: u8) -> Result<Reader, EnvelopeError> {
    if envelope.len() > ENVELOPE_BYTES_MAX {
        return Err(EnvelopeError::TooLarge);
    }
    let mut from = Reader::new(envelope);
    match from.u8()? {
        VERSION => {}
        other => return Err(EnvelopeError::Version(other)),
    }
    match from.u8()? {
        found if found == kind => Ok(from),
        other => Err(EnvelopeError::Kind(other)),
    }
}

#[cfg(test)]
mod tests;
