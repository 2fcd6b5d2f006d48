//! What a room asks its hub to do.

use broker_bridge::Counts;
use bytes::Bytes;
use protocol::cursor::{Bookmark, Cursor};
use protocol::from_client::RequestId;
use protocol::ids::{Address, RoomId};
use protocol::refusal::Refusal;
use protocol::select::LeftOut;
use protocol::to_client::{State, StateChange};

use crate::client::Seat;

/// Somebody who wants in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// Where they sit.
    pub(crate) address: Address,
    /// Which of their joins this is.
    pub(crate) seat: Seat,
    /// The id of their command.
    pub(crate) id: Option<RequestId>,
    /// What they have already.
    pub(crate) since: Option<Bookmark>,
    /// How many of the newest events they want.
    pub(crate) history: usize,
}

/// Somebody asks what the room is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    /// By which the hub finds the asker.
    pub(crate) ticket: u64,
    /// How many of the newest events they want.
    pub(crate) events: usize,
}

/// What a room is like.
#[derive(Debug, Clone)]
pub(crate) struct Info {
    pub(crate) room: RoomId,
    pub(crate) cursor: Bookmark,
    pub(crate) state: State,
    /// The newest events, oldest first, as final JSON.
    pub(crate) events: Vec<Bytes>,
}

/// Something for the hub to carry out.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Tell the shards that these clients are seated.
    Answer(Answer),
    /// Tell these clients that they are not.
    Refuse { joins: Vec<Join>, refusal: Refusal },
    /// Put out everybody who sits on these shards.
    Dismiss { shards: Vec<u16>, refusal: Refusal },
    /// Send a frame to the shards.
    Frame(RoomFrame),
    /// Ask the broker for the entries after a cursor.
    Fetch(Cursor),
    /// Tell other nodes what is counted here.
    Report(Counts),
    /// Answer a question.
    Info(u64, Box<Info>),
    /// A question cannot be answered.
    NoInfo(u64),
    /// A slot has ended, and could have been closed from `due_ms` on; so many paid events wait for
    /// the next one: for the metrics.
    Closed { sent: usize, left_out: LeftOut, held: u32, due_ms: u64 },
    /// So many events had been seen before: for the metrics.
    Repeats(usize),
}

/// One `joined` for all who asked for the same.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) joins: Vec<Join>,
    /// The message after its `id`.
    pub(crate) tail: Vec<u8>,
    /// The cursor in it.
    pub(crate) head: Bookmark,
    /// What it says about recovery.
    pub(crate) recovered: Option<bool>,
}

/// The batch of one slot, or a gap, for every listener of a room.
#[derive(Debug)]
pub(crate) struct RoomFrame {
    /// The `type` of the message.
    pub(crate) name: &'static str,
    /// For those who were here all along, and others for those who joined inside the slot.
    pub(crate) variants: Vec<Variant>,
    /// The shards that have listeners.
    pub(crate) shards: Vec<u16>,
    /// Whether anybody wants it plain.
    pub(crate) plain: bool,
    /// Whether anybody wants it deflated.
    pub(crate) deflated: bool,
    /// Whether anybody wants it as an event.
    pub(crate) event_stream: bool,
}

/// A batch or a gap for those whose cursor is `prev`.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) prev: Bookmark,
    pub(crate) cursor: Bookmark,
    /// The JSON of the message.
    pub(crate) payload: Vec<u8>,
    /// How many events it accounts for: sent and left out.
    pub(crate) count: u32,
    /// What it tells of the room's state, for whom it cannot be sent to.
    pub(crate) state: StateChange,
}
