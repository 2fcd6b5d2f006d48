//! What a client is told in place of batches that it is not sent.

use bytes::Bytes;
use protocol::cursor::Bookmark;
use protocol::ids::RoomId;
use protocol::select::LeftOut;
use protocol::to_client::{Batch, GapReason, ServerMessage, StateChange};

use crate::client::Form;

/// Events that are not told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) from: Bookmark,
    pub(crate) to: Bookmark,
    pub(crate) count: u32,
    pub(crate) form: Form,
}

impl Gap {
    pub(crate) fn frame(&self, room: &RoomId) -> Bytes {
        let message = ServerMessage::Gap {
            room,
            from: self.from,
            to: self.to,
            count: u64::from(self.count),
            reason: GapReason::Slow,
        };
        self.form.message("gap", Some(self.to), &[&message.render()])
    }
}

/// What such batches would have told of the room's state, as of the last of them.
#[derive(Debug)]
pub(crate) struct Untold {
    pub(crate) at: Bookmark,
    pub(crate) form: Form,
    pub(crate) state: StateChange,
}

impl Untold {
    /// A batch without events.
    pub(crate) fn frame(&self, room: &RoomId) -> Bytes {
        let mut message = Vec::new();
        Batch::<Bytes> {
            room,
            prev: self.at,
            cursor: self.at,
            events: &[],
            left_out: &LeftOut::default(),
            state: Some(&self.state),
        }
        .render(&mut message);
        self.form.message("batch", Some(self.at), &[&message])
    }
}
