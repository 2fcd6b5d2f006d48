//! `batch` and `joined`: the messages that carry events.
//!
//! Both are made once and sent to many. What a viewer is told adds up at every moment: received
//! + Σ `left_out` + Σ `gap.count` + the last `held` − the `held` of `joined` = published.

use serde::Serialize;

use super::state::{State, StateChange};
use super::write_json;
use crate::cursor::Bookmark;
use crate::from_client::RequestId;
use crate::ids::RoomId;
use crate::select::LeftOut;

/// Room for everything in a message but its events, in bytes; more is allocated if it must be.
const ENVELOPE_BYTES: usize = 384;

/// What a room sends its members at the end of a slot.
///
/// `E` is whatever holds the final JSON of an event: [`crate::event::Event`], a reference to one,
/// or [`bytes::Bytes`].
#[derive(Debug)]
pub struct Batch<'a, E> {
    /// Which room.
    pub room: &'a RoomId,
    /// Where the last batch ended.
    pub prev: Bookmark,
    /// Where this one ends; its `held` is that of the message.
    pub cursor: Bookmark,
    /// The events that are sent.
    pub events: &'a [E],
    /// The events in between that are not.
    pub left_out: &'a LeftOut,
    /// What has changed of the room.
    pub state: Option<&'a StateChange>,
}

impl<E: AsRef<[u8]>> Batch<'_, E> {
    /// Appends the message as JSON.
    pub fn render(&self, out: &mut Vec<u8>) {
        out.reserve(ENVELOPE_BYTES + bytes_of(self.events));
        out.extend_from_slice(b"{\"type\":\"batch\"");
        field(out, "room", self.room);
        field(out, "prev", &self.prev);
        field(out, "cursor", &self.cursor);
        write_told(out, self.events, self.left_out, self.cursor.held());
        if let Some(state) = self.state.filter(|state| !state.is_empty()) {
            field(out, "state", state);
        }
        out.push(b'}');
    }
}

/// The answer to a join: where the client stands, and what it has missed.
#[derive(Debug)]
pub struct Joined<'a, E> {
    /// Which room.
    pub room: &'a RoomId,
    /// The head of the room's log; its `held` is that of the message.
    pub cursor: Bookmark,
    /// Whether nothing is missing after the client's `since`; absent if it gave none.
    pub recovered: Option<bool>,
    /// The events after `since`, or the newest ones.
    pub events: &'a [E],
    /// The events after `since` that are not sent.
    pub left_out: &'a LeftOut,
    /// The length of a slot, in milliseconds.
    pub tick_ms: u32,
    /// The room.
    pub state: &'a State,
}

impl<E: AsRef<[u8]>> Joined<'_, E> {
    /// Everything after the number of the command, to be put behind a [`joined_head`]. It is the
    /// same for all who join with the same cursor.
    pub fn render_tail(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENVELOPE_BYTES + bytes_of(self.events));
        out.extend_from_slice(b"\"room\":");
        write_json(&mut out, self.room);
        field(&mut out, "cursor", &self.cursor);
        if let Some(recovered) = self.recovered {
            field(&mut out, "recovered", &recovered);
        }
        write_told(&mut out, self.events, self.left_out, self.cursor.held());
        field(&mut out, "tick_ms", &self.tick_ms);
        field(&mut out, "state", self.state);
        out.push(b'}');
        out
    }
}

/// The beginning of a `joined`, up to and including the number of the command.
pub fn joined_head(id: Option<RequestId>) -> Vec<u8> {
    let mut out = b"{\"type\":\"joined\"".to_vec();
    if let Some(id) = id {
        field(&mut out, "id", &id);
    }
    out.push(b',');
    out
}

fn write_told<E: AsRef<[u8]>>(out: &mut Vec<u8>, events: &[E], left_out: &LeftOut, held: u32) {
    out.extend_from_slice(b",\"events\":[");
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(event.as_ref());
    }
    out.push(b']');
    if !left_out.is_empty() {
        field(out, "left_out", left_out);
    }
    if held > 0 {
        field(out, "held", &held);
    }
}

/// Appends `,"name":value`.
fn field(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_json(out, value);
}

fn bytes_of<E: AsRef<[u8]>>(events: &[E]) -> usize {
    events.iter().map(|event| event.as_ref().len() + 1).sum()
}
