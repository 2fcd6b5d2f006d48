//! What a room has lately sent, so that a client that comes back is told what it missed.

use std::collections::VecDeque;

use protocol::cursor::Seq;
use protocol::event::Event;
use protocol::limits::HISTORY_EVENTS_MAX;

use crate::room::slots::{ClosedSlot, Logged};

/// How long a closed slot is kept, in milliseconds. The newest events that a join may ask for are
/// kept whatever their age.
const KEPT_MS: u64 = 60_000;
/// How many bytes are kept per room.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a slot costs beside its events.
const SLOT_BYTES: usize = 128;
/// What one event costs beside its JSON: its sequence, id, weight and time, and the handle of the
/// JSON.
const EVENT_BYTES: usize = 80;
/// What one left-out event costs: its sequence and class, and its share of the vector.
const LEFT_OUT_BYTES: usize = 16;

/// The closed slots of a room, oldest first, contiguous.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    slots: VecDeque<ClosedSlot>,
    bytes: usize,
    /// How many events of these slots were sent.
    events: usize,
}

impl Ring {
    pub(crate) fn push(&mut self, slot: ClosedSlot) {
        if slot.is_empty()
            && let Some(newest) = self.slots.back_mut()
        {
            // However long nothing happens, it takes no memory.
            newest.last = slot.last;
            return;
        }
        self.bytes += bytes_of(&slot);
        self.events += slot.sent.len();
        self.slots.push_back(slot);
    }

    /// Forgets what is too old or too much.
    pub(crate) fn trim(&mut self, now_ms: u64) {
        while let Some(oldest) = self.slots.front() {
            let others = self.events - oldest.sent.len();
            let is_old = oldest.ended_ms + KEPT_MS < now_ms && others >= HISTORY_EVENTS_MAX;
            if !is_old && self.bytes <= KEPT_BYTES_MAX {
                return;
            }
            self.bytes -= bytes_of(oldest);
            self.events = others;
            self.slots.pop_front();
        }
    }

    /// The cursor before the oldest slot kept; `None` if nothing is kept.
    pub(crate) fn start(&self) -> Option<Seq> {
        self.slots.front().map(|slot| slot.prev)
    }

    /// All events sent, in the order in which they were.
    pub(crate) fn sent(&self) -> impl DoubleEndedIterator<Item = &Logged> {
        self.slots.iter().flat_map(|slot| &slot.sent)
    }

    /// The closed slots, oldest first.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &ClosedSlot> {
        self.slots.iter()
    }

    /// The newest events sent, newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Event> {
        self.sent().rev().map(|logged| &logged.event)
    }
}

fn bytes_of(slot: &ClosedSlot) -> usize {
    let sent: usize = slot.sent.iter().map(|l| EVENT_BYTES + l.event.json.len()).sum();
    SLOT_BYTES + sent + slot.left_out.len() * LEFT_OUT_BYTES
}

#[cfg(test)]
mod tests;
