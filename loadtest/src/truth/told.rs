//! What one message tells a viewer about its room, in numbers instead of texts.

use std::rc::Rc;

/// An event: those of the run by the number of their mark, others from [`FOREIGN`] on.
pub(crate) type EventNo = u32;
/// A cursor that was seen in this process.
pub(crate) type CursorNo = u32;
/// A message that was seen in this process.
pub(crate) type ToldNo = u32;

/// Events that this run did not publish have numbers from here on.
pub(crate) const FOREIGN: EventNo = 1 << 31;
/// Set in the number of a foreign event of another class than chat.
pub(crate) const FOREIGN_OTHER: EventNo = 1 << 30;

/// Whether the event is one of this run.
pub(crate) fn is_own(event: EventNo) -> bool {
    event < FOREIGN
}

/// What kind of message it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer to a join; `recovered` as it says.
    Joined {
        /// Whether everything since the asked cursor is told; `None` if none was asked.
        recovered: Option<bool>,
    },
    /// What happened in a slot.
    Batch,
    /// What this viewer will not get.
    Gap,
}

/// What a message tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// The kind of message.
    pub(crate) kind: Kind,
    /// The room's name.
    pub(crate) room: Rc<str>,
    /// The cursor that it follows; of a `joined`, its own.
    pub(crate) prev: CursorNo,
    /// The cursor that it leads to.
    pub(crate) cursor: CursorNo,
    /// The same as text, to come back with.
    pub(crate) cursor_text: Rc<str>,
    /// Its events, in order.
    pub(crate) events: Vec<EventNo>,
    /// When own events among them were to be sent, in µs since 1970.
    pub(crate) intended_us: Vec<u64>,
    /// Chat that was left out.
    pub(crate) left_out_chat: u64,
    /// Left out of all other classes.
    pub(crate) left_out_other: u64,
    /// Of a gap: how many events.
    pub(crate) gap: u64,
    /// Paid events that are still to come.
    pub(crate) held: u64,
    /// The slot length, if it tells it, in ms.
    pub(crate) tick_ms: Option<u64>,
}
