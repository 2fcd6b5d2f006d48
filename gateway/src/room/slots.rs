//! Which batch an entry of the log belongs to, and what a slot becomes at its end.
//!
//! A stored entry belongs to the slot of its origin time, or to the open slot if that one has
//! closed, and never to an earlier slot than the entry before it: so every batch is a contiguous
//! piece of the log, and its last entry is its cursor.

use std::collections::VecDeque;

use protocol::cursor::{Owed, Seq};
use protocol::event::{Class, Event};
use protocol::select::{Budget, Candidate, Fate, LeftOut, select};
use protocol::slot::{Slot, SlotClock};

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) seq: Seq,
    pub(crate) event: Event,
}

/// The slots of a room that have not closed yet, and the paid events that wait for a free place.
#[derive(Debug)]
pub(crate) struct Slots {
    clock: SlotClock,
    budget: Budget,
    grace_ms: u64,
    open: VecDeque<OpenSlot>,
    held: Vec<Logged>,
    closed: Option<Slot>,
}

#[derive(Debug)]
struct OpenSlot {
    slot: Slot,
    prev: Seq,
    last: Seq,
    events: Vec<Logged>,
}

/// A slot after its end: what was sent, what was left out, what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedSlot {
    /// The cursor before it.
    pub(crate) prev: Seq,
    /// The cursor after it: its last entry.
    pub(crate) last: Seq,
    /// What was sent, in log order; paid events held from earlier slots come first.
    pub(crate) sent: Vec<Logged>,
    /// What was left out, in log order.
    pub(crate) left_out: Vec<(Seq, Class)>,
    /// Accepted paid events up to `last` that are still to come.
    pub(crate) held: u32,
    /// When it ended, in milliseconds since 1970.
    pub(crate) ended_ms: u64,
}

impl ClosedSlot {
    /// What somebody still has to get who joined inside this slot, or behind it while it was open:
    /// what came after, and every paid event, since those are owed at any such cursor.
    pub(crate) fn after(&self, cursor: Seq) -> (impl Iterator<Item = &Event>, LeftOut) {
        let mut left_out = LeftOut::default();
        self.left_out.iter().filter(|(seq, _)| *seq > cursor).for_each(|(_, c)| left_out.add(*c));
        let whole = cursor <= self.prev;
        let sent = self
            .sent
            .iter()
            .filter(move |l| whole || l.seq > cursor || l.event.class == Class::Paid)
            .map(|l| &l.event);
        (sent, left_out)
    }
}

impl Slots {
    pub(crate) fn new(clock: SlotClock, budget: Budget, grace_ms: u64) -> Self {
        Self { clock, budget, grace_ms, open: VecDeque::new(), held: Vec::new(), closed: None }
    }

    /// Puts the events of one log entry into their slot.
    pub(crate) fn add(
        &mut self,
        prev: Seq,
        seq: Seq,
        origin_ms: u64,
        events: impl Iterator<Item = Event>,
        now_ms: u64,
    ) {
        let slot = self.slot_for(origin_ms, now_ms);
        if self.open.back().is_none_or(|open| open.slot < slot) {
            self.open.push_back(OpenSlot { slot, prev, last: seq, events: Vec::new() });
        }
        let open = self.open.back_mut().expect("pushed above if it was empty");
        open.last = seq;
        open.events.extend(events.map(|event| Logged { seq, event }));
    }

    fn slot_for(&self, origin_ms: u64, now_ms: u64) -> Slot {
        let current = self.clock.slot_of(now_ms);
        // A publisher whose clock is ahead cannot hold a batch back.
        let mut slot = self.clock.slot_of(origin_ms).min(current);
        if let Some(closed) = self.closed
            && slot <= closed
        {
            // The first that is still open: within its grace, others may come for it on time.
            let open = self.clock.slot_of(now_ms.saturating_sub(self.grace_ms));
            slot = open.max(closed + 1);
        }
        self.open.back().map_or(slot, |open| open.slot.max(slot))
    }

    /// When the next slot closes, in milliseconds since 1970.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.open.front().map(|open| self.clock.end_of(open.slot).saturating_add(self.grace_ms))
    }

    /// Closes the first slot whose end and grace have passed.
    pub(crate) fn close_due(&mut self, now_ms: u64) -> Option<ClosedSlot> {
        self.due_ms().filter(|due_ms| *due_ms <= now_ms)?;
        let open = self.open.pop_front()?;
        let slot = open.slot;
        self.closed = Some(slot);
        let closed = self.close(open);
        let next = self.open.front().map(|open| open.slot);
        if !self.held.is_empty() && next.is_none_or(|next| next > slot + 1) {
            // Held events go out in the very next slot, on every gateway, however late its turn.
            let last = closed.last;
            let paced = OpenSlot { slot: slot + 1, prev: last, last, events: Vec::new() };
            self.open.push_front(paced);
        }
        Some(closed)
    }

    fn close(&mut self, open: OpenSlot) -> ClosedSlot {
        let mut waiting = std::mem::take(&mut self.held);
        waiting.extend(open.events);
        let candidates: Vec<Candidate> = waiting.iter().map(|l| (&l.event).into()).collect();
        let mut sent = Vec::new();
        let mut left_out = Vec::new();
        for (logged, fate) in waiting.into_iter().zip(select(&candidates, self.budget)) {
            match fate {
                Fate::Sent => sent.push(logged),
                Fate::LeftOut => left_out.push((logged.seq, logged.event.class)),
                Fate::Held => self.held.push(logged),
            }
        }
        ClosedSlot {
            prev: open.prev,
            last: open.last,
            sent,
            left_out,
            held: count(self.held.len()),
            ended_ms: self.clock.end_of(open.slot),
        }
    }

    /// The cursor before the first open slot.
    pub(crate) fn start(&self) -> Option<Seq> {
        self.open.front().map(|open| open.prev)
    }

    /// Paid events that have not been sent, in the order of the log.
    pub(crate) fn unsent_paid(&self) -> impl Iterator<Item = &Logged> {
        let open = self.open.iter().flat_map(|o| &o.events);
        self.held.iter().chain(open.filter(|l| l.event.class == Class::Paid))
    }

    /// What a client that is told of everything up to a cursor is owed: the accepted paid events
    /// that have not been sent, those of open slots up to the cursor.
    pub(crate) fn owed_at(&self, cursor: Seq) -> Option<Owed> {
        let open = self.open.iter().flat_map(|o| &o.events);
        let paid = open.filter(|l| l.seq <= cursor && l.event.class == Class::Paid);
        let mut unsent = self.held.iter().chain(paid);
        let oldest = unsent.next()?.seq;
        Some(Owed { oldest, count: count(1 + unsent.count()) })
    }

    /// The events of open slots after a cursor, except paid ones (those are held until their slot
    /// closes).
    pub(crate) fn unsent_after(&self, cursor: Seq) -> impl DoubleEndedIterator<Item = &Event> {
        let open = self.open.iter().flat_map(|o| &o.events);
        open.filter(move |l| l.seq > cursor && l.event.class != Class::Paid).map(|l| &l.event)
    }

    /// The clock of these slots.
    pub(crate) fn clock(&self) -> SlotClock {
        self.clock
    }

    /// The budget of each of these slots.
    pub(crate) fn budget(&self) -> Budget {
        self.budget
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
