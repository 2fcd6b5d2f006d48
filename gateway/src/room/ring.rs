//! What a room has lately sent, so that a client that comes back is told what it missed.

use std::collections::VecDeque;

use protocol::cursor::Seq;
use protocol::event::{Class, Event};

use crate::room::slots::ClosedSlot;

/// How long a closed slot is kept, in milliseconds.
const KEPT_MS: u64 = 60_000;
/// How many bytes of event JSON are kept per room.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What one left-out event costs: its sequence and class, and its share of the vector.
const LEFT_OUT_BYTES: usize = 16;

/// The closed slots of a room, oldest first, contiguous.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    slots: VecDeque<ClosedSlot>,
    bytes: usize,
}

impl Ring {
    pub(crate) fn push(&mut self, slot: ClosedSlot) {
        self.bytes += bytes_of(&slot);
        self.slots.push_back(slot);
    }

    /// Forgets what is too old or too much.
    pub(crate) fn trim(&mut self, now_ms: u64) {
        while let Some(oldest) = self.slots.front()
            && (oldest.ended_ms + KEPT_MS < now_ms || self.bytes > KEPT_BYTES_MAX)
        {
            self.bytes -= bytes_of(oldest);
            self.slots.pop_front();
        }
    }

    /// The cursor before the oldest slot kept; `None` if nothing is kept.
    pub(crate) fn start(&self) -> Option<Seq> {
        self.slots.front().map(|slot| slot.prev)
    }

    /// The slots that a client with this cursor has not seen, or not seen whole.
    pub(crate) fn after(&self, cursor: Seq) -> impl Iterator<Item = &ClosedSlot> {
        // A slot of nothing but held events ends where it begins, and paid events of a slot are
        // owed to whoever joined behind its last entry. A cursor cannot say whether they were
        // seen, so they are replayed, and clients drop events that they have by their id.
        let first = self.slots.partition_point(|slot| {
            slot.last < cursor
                || (slot.last == cursor
                    && slot.prev < cursor
                    && !slot.sent.iter().any(|logged| logged.event.class == Class::Paid))
        });
        self.slots.range(first..)
    }

    /// The newest events sent, newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Event> {
        self.slots.iter().rev().flat_map(|slot| slot.sent.iter().rev()).map(|l| &l.event)
    }
}

fn bytes_of(slot: &ClosedSlot) -> usize {
    let sent: usize = slot.sent.iter().map(|l| l.event.json.len()).sum();
    sent + slot.left_out.len() * LEFT_OUT_BYTES
}
