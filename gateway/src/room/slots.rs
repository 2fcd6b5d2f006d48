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
    /// Its entry; of a live event the one before it.
    pub(crate) seq: Seq,
    /// Whether it is in no log: it comes behind that entry, once, and is not told again.
    pub(crate) live: bool,
    pub(crate) event: Event,
}

impl Logged {
    /// Whether whoever is told of its entry before it goes out is owed it.
    fn is_owed(&self) -> bool {
        self.event.class == Class::Paid && !self.live
    }
}

/// An event that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSent {
    pub(crate) seq: Seq,
    pub(crate) live: bool,
    pub(crate) class: Class,
}

/// The slots of a room that have not closed yet, and the paid events that wait for a free place.
#[derive(Debug)]
pub(crate) struct Slots {
    clock: SlotClock,
    budget: Budget,
    grace_ms: u64,
    open: VecDeque<OpenSlot>,
    held: Vec<Logged>,
    /// When the last slot that has closed ended, in milliseconds since 1970.
    closed_ms: Option<u64>,
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
    pub(crate) left_out: Vec<NotSent>,
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
        let after = self.left_out.iter().filter(|it| is_after(it.seq, it.live, cursor));
        after.for_each(|it| left_out.add(it.class));
        let whole = cursor <= self.prev;
        let is_news = move |l: &&Logged| whole || is_after(l.seq, l.live, cursor) || l.is_owed();
        (self.sent.iter().filter(is_news).map(|l| &l.event), left_out)
    }

    /// Whether nothing happened in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.left_out.is_empty()
    }

    /// What of it can be told again.
    pub(crate) fn without_live(&self) -> Self {
        let mut slot = self.clone();
        slot.sent.retain(|logged| !logged.live);
        slot.left_out.retain(|it| !it.live);
        slot
    }
}

/// Whether an event came after a cursor.
fn is_after(seq: Seq, live: bool, cursor: Seq) -> bool {
    seq > cursor || (live && seq == cursor)
}

impl Slots {
    pub(crate) fn new(clock: SlotClock, budget: Budget, grace_ms: u64) -> Self {
        Self { clock, budget, grace_ms, open: VecDeque::new(), held: Vec::new(), closed_ms: None }
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
        let open = self.open_for(prev, origin_ms, now_ms);
        open.last = seq;
        open.events.extend(events.map(|event| Logged { seq, live: false, event }));
    }

    /// Puts events that are in no log behind the last entry.
    pub(crate) fn add_live(&mut self, head: Seq, origin_ms: u64, events: &[Event], now_ms: u64) {
        let live = |event: &Event| Logged { seq: head, live: true, event: event.clone() };
        self.open_for(head, origin_ms, now_ms).events.extend(events.iter().map(live));
    }

    fn open_for(&mut self, prev: Seq, origin_ms: u64, now_ms: u64) -> &mut OpenSlot {
        self.follow(now_ms);
        let slot = self.slot_for(origin_ms, now_ms);
        if self.open.back().is_none_or(|open| open.slot < slot) {
            self.open.push_back(OpenSlot { slot, prev, last: prev, events: Vec::new() });
        }
        self.open.back_mut().expect("pushed above if it was empty")
    }

    /// If the clock was set back, what is open belongs to the present slot from now on: nobody
    /// waits until the old time has come again.
    pub(crate) fn follow(&mut self, now_ms: u64) {
        let current = self.clock.slot_of(now_ms);
        if self.closed().is_some_and(|closed| is_ahead(closed, current)) {
            self.closed_ms = current.checked_sub(1).map(|slot| self.clock.end_of(slot));
        }
        if self.open.back().is_some_and(|open| is_ahead(open.slot, current)) {
            self.open.iter_mut().for_each(|open| open.slot = open.slot.min(current));
        }
    }

    fn slot_for(&self, origin_ms: u64, now_ms: u64) -> Slot {
        let current = self.clock.slot_of(now_ms);
        // A publisher whose clock is ahead cannot hold a batch back.
        let mut slot = self.clock.slot_of(origin_ms).min(current);
        if let Some(closed) = self.closed()
            && slot <= closed
        {
            // The first that is still open: within its grace, others may come for it on time.
            let open = self.clock.slot_of(now_ms.saturating_sub(self.grace_ms));
            slot = open.max(closed + 1);
        }
        self.open.back().map_or(slot, |open| open.slot.max(slot))
    }

    /// The last slot that has closed. By another clock than at that time, the next one may have
    /// begun before.
    fn closed(&self) -> Option<Slot> {
        self.closed_ms.and_then(|ms| self.clock.slot_of(ms).checked_sub(1))
    }

    /// When the next slot closes, in milliseconds since 1970; at once if its time is not to come
    /// for long, because the clock was set back.
    pub(crate) fn due_ms(&self, now_ms: u64) -> Option<u64> {
        let open = self.open.front()?;
        if is_ahead(open.slot, self.clock.slot_of(now_ms)) {
            return Some(now_ms);
        }
        Some(self.clock.end_of(open.slot).saturating_add(self.grace_ms))
    }

    /// Closes the first slot.
    pub(crate) fn close_next(&mut self) -> Option<ClosedSlot> {
        let open = self.open.pop_front()?;
        let slot = open.slot;
        self.closed_ms = Some(self.clock.end_of(slot));
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

    /// Whether a slot is open for more than the pacing of held events.
    pub(crate) fn has_news(&self) -> bool {
        self.open.iter().any(|open| open.last > open.prev || !open.events.is_empty())
    }

    /// Has what is open, nothing but the pacing of held events, go on at another position.
    pub(crate) fn jump(&mut self, to: Seq) {
        self.open.iter_mut().for_each(|open| (open.prev, open.last) = (to, to));
    }

    /// Ends the budget: nothing is left out or held any more.
    pub(crate) fn unlimit(&mut self) {
        self.budget = Budget::UNLIMITED;
    }

    /// Goes on by another clock and another budget. What has closed stays closed; what is open
    /// keeps its order, and pieces that fall into one slot go out together.
    pub(crate) fn recut(&mut self, clock: SlotClock, budget: Budget) {
        let before = std::mem::replace(&mut self.clock, clock);
        self.budget = budget;
        let first = self.closed().map_or(0, |closed| closed + 1);
        for mut piece in std::mem::take(&mut self.open) {
            let begin_ms = before.end_of(piece.slot).saturating_sub(before.tick_ms());
            piece.slot = clock.slot_of(begin_ms).max(first);
            match self.open.back_mut().filter(|open| open.slot >= piece.slot) {
                Some(open) => {
                    open.last = piece.last;
                    open.events.append(&mut piece.events);
                }
                None => self.open.push_back(piece),
            }
        }
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
                // What is in no log cannot be owed to anybody.
                Fate::Held if logged.live => sent.push(logged),
                Fate::Held => self.held.push(logged),
                Fate::LeftOut => {
                    let Logged { seq, live, event } = logged;
                    left_out.push(NotSent { seq, live, class: event.class });
                }
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
        self.held.iter().chain(open.filter(|l| l.is_owed()))
    }

    /// What a client that is told of everything up to a cursor is owed: the accepted paid events
    /// that have not been sent, those of open slots up to the cursor.
    pub(crate) fn owed_at(&self, cursor: Seq) -> Option<Owed> {
        let open = self.open.iter().flat_map(|o| &o.events);
        let paid = open.filter(|l| l.seq <= cursor && l.is_owed());
        let mut unsent = self.held.iter().chain(paid);
        let oldest = unsent.next()?.seq;
        Some(Owed { oldest, count: count(1 + unsent.count()) })
    }

    /// The events of open slots after a cursor, except paid ones (those are held until their slot
    /// closes).
    pub(crate) fn unsent_after(&self, cursor: Seq) -> impl DoubleEndedIterator<Item = &Event> {
        let open = self.open.iter().flat_map(|o| &o.events);
        let unsent =
            open.filter(move |l| l.seq > cursor && !l.live && l.event.class != Class::Paid);
        unsent.map(|l| &l.event)
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

/// Whether a slot is later than any that should exist; one ahead it may be for an instant, since
/// clocks are adjusted by milliseconds all the time.
fn is_ahead(slot: Slot, current: Slot) -> bool {
    slot > current + 1
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
