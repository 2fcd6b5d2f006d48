//! One client as the rules see it: what it may say, what it is owed, and where it is seated.
//!
//! Machines without clock, tasks or sockets; `conn` and `shard` drive them.

pub(crate) mod admission;
pub(crate) mod guests;
pub(crate) mod members;
pub(crate) mod missed;
pub(crate) mod outbox;
pub(crate) mod session;

use bytes::Bytes;
use protocol::cursor::Bookmark;
use protocol::{event_stream, frame};

/// The bytes in which a client wants batches. Each is made once per room and tick, and only if
/// somebody in the room wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// JSON text.
    Plain = 0,
    /// JSON text through permessage-deflate.
    Deflated = 1,
    /// An event of an event stream, with the JSON text in it.
    EventStream = 2,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Deflated, Self::EventStream];
}

impl Form {
    /// A message to one client, with the cursor that it leads to if there is one. `name` is its
    /// `type`.
    pub(crate) fn message(self, name: &str, cursor: Option<Bookmark>, json: &[&[u8]]) -> Bytes {
        match self {
            Self::Plain | Self::Deflated => frame::text(&json.concat()),
            Self::EventStream => event_stream::event(name, cursor, json),
        }
    }
}

/// One stay of a client in a room: a client that leaves and joins again has a new seat, so that
/// what was meant for the first stay cannot be taken for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seat {
    /// Counts the joins of this connection.
    pub(crate) number: u16,
    /// The form in which this client wants batches.
    pub(crate) form: Form,
}
