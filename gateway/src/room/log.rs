//! A room's log as this gateway follows it: the head, the open slots, and the recent past.

use ahash::AHashSet;
use broker_bridge::Entry;
use protocol::cursor::{Cursor, Seq};
use protocol::event::{Class, Event};
use protocol::ids::EventId;
use protocol::limits::{RESUME_BYTES_MAX, RESUME_EVENTS_MAX};
use protocol::select::{Candidate, Fate, LeftOut, select};

use crate::room::ring::Ring;
use crate::room::seen::Seen;
use crate::room::slots::{ClosedSlot, Slots};

/// The log of one room.
#[derive(Debug)]
pub(crate) struct Log {
    head: Cursor,
    slots: Slots,
    ring: Ring,
    seen: Seen,
    /// Heads at which clients joined inside a slot that is still open, ascending.
    heads: Vec<Seq>,
}

/// What a client that comes back has missed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Missed {
    pub(crate) events: Vec<Event>,
    pub(crate) left_out: LeftOut,
}

/// Whether this gateway knows what a client has missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Past {
    /// All of it.
    Known(Missed),
    /// The broker may still have it.
    Older,
    /// Too much, too long ago, or of another log.
    Lost,
}

impl Log {
    /// Starts to follow a log at its head, knowing its newest entries.
    pub(crate) fn open(head: Cursor, recent: Vec<Entry>, slots: Slots, now_ms: u64) -> Self {
        let start = recent.first().map_or(head.seq, |entry| entry.prev);
        let mut log = Self {
            head: head.at(start),
            slots,
            ring: Ring::default(),
            seen: Seen::default(),
            heads: Vec::new(),
        };
        for entry in recent {
            log.add(entry, now_ms);
        }
        while log.close_due(now_ms).is_some() {}
        log.head = head;
        log
    }

    /// Takes the next entry; returns how many of its events were repeats, or `None` if the whole
    /// entry was.
    pub(crate) fn add(&mut self, entry: Entry, now_ms: u64) -> Option<usize> {
        if entry.seq <= self.head.seq {
            return None;
        }
        let admitted = self.seen.admitted(&entry);
        let repeats = entry.events.len() - admitted.len();
        self.slots.add(self.head.seq, entry.seq, entry.origin_ms, admitted.into_iter(), now_ms);
        self.head.seq = entry.seq;
        Some(repeats)
    }

    /// Closes the first slot that is due; also returns the heads after its beginning at which
    /// somebody joined.
    pub(crate) fn close_due(&mut self, now_ms: u64) -> Option<(ClosedSlot, Vec<Seq>)> {
        let mut closed = self.slots.close_due(now_ms)?;
        let heads: Vec<Seq> =
            self.heads.iter().copied().filter(|head| *head > closed.prev).collect();
        if closed.sent.iter().any(|logged| logged.event.class == Class::Paid) {
            closed.joined = heads.iter().copied().filter(|head| *head >= closed.last).collect();
        }
        self.heads.retain(|head| *head > closed.last);
        self.ring.push(closed.clone());
        self.ring.trim(now_ms);
        Some((closed, heads))
    }

    /// When the next slot closes.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.slots.due_ms()
    }

    /// When the present slot ends.
    pub(crate) fn slot_end_ms(&self, now_ms: u64) -> u64 {
        let clock = self.slots.clock();
        clock.end_of(clock.slot_of(now_ms))
    }

    /// The last entry.
    pub(crate) fn head(&self) -> Cursor {
        self.head
    }

    /// Accepted paid events up to the head that are still to come.
    pub(crate) fn held(&self) -> u32 {
        self.held_at(self.head.seq)
    }

    /// Accepted paid events up to a cursor, at or after all that has closed, that are still to
    /// come.
    pub(crate) fn held_at(&self, cursor: Seq) -> u32 {
        self.slots.held_at(cursor)
    }

    /// Remembers that somebody joined at the present head.
    pub(crate) fn mark_join(&mut self) {
        if self.slots.due_ms().is_some() && self.heads.last() != Some(&self.head.seq) {
            self.heads.push(self.head.seq);
        }
    }

    /// What a client with this cursor has missed.
    pub(crate) fn since(&self, since: Cursor) -> Past {
        if since.epoch != self.head.epoch || since.seq > self.head.seq {
            return Past::Lost;
        }
        if since.seq < self.start() {
            return Past::Older;
        }
        let mut missed = Missed::default();
        for slot in self.ring.after(since.seq) {
            missed.add(slot, since.seq);
        }
        // The open slots are not selected yet: what a returning client gets of them is within
        // one slot's budget, and what it does not get is counted.
        let unsent: Vec<&Event> = self.slots.unsent_after(since.seq).collect();
        let candidates: Vec<Candidate> = unsent.iter().map(|e| (*e).into()).collect();
        for (event, fate) in unsent.into_iter().zip(select(&candidates, self.slots.budget())) {
            match fate {
                Fate::Sent | Fate::Held => missed.events.push(event.clone()),
                Fate::LeftOut => missed.left_out.add(event.class),
            }
        }
        missed.within_limits()
    }

    /// The same for a cursor before the ring, with the entries after it from the broker.
    pub(crate) fn since_fetched(&self, since: Cursor, entries: Vec<Entry>) -> Past {
        let start = self.start();
        let mut older = Slots::new(self.slots.clock(), self.slots.budget(), 0);
        let mut seen = Seen::default();
        let mut prev = since.seq;
        for entry in entries.into_iter().take_while(|entry| entry.seq <= start) {
            let events = seen.admitted(&entry).into_iter();
            older.add(prev, entry.seq, entry.origin_ms, events, entry.origin_ms);
            prev = entry.seq;
        }
        // Gifts that were held into the slots that are known come with those.
        let later = self.ring.sent().chain(self.slots.held());
        let later: AHashSet<EventId> = later.map(|logged| logged.event.id).collect();
        let mut missed = Missed::default();
        while let Some(mut slot) = older.close_due(u64::MAX) {
            slot.sent.retain(|l| l.event.class != Class::Paid || !later.contains(&l.event.id));
            missed.add(&slot, since.seq);
        }
        match self.since(self.head.at(start.max(since.seq))) {
            Past::Known(newer) => {
                missed.events.extend(newer.events);
                missed.left_out.merge(&newer.left_out);
                missed.within_limits()
            }
            Past::Older | Past::Lost => Past::Lost,
        }
    }

    /// The newest events up to the head, oldest first: at most so many, and no more bytes than a
    /// resume may replay.
    pub(crate) fn newest(&self, count: usize) -> Vec<Event> {
        let open = self.slots.unsent_after(0).rev();
        let mut bytes_left = RESUME_BYTES_MAX;
        let fits = |event: &&Event| {
            let left = bytes_left.checked_sub(event.json.len());
            bytes_left = left.unwrap_or_default();
            left.is_some()
        };
        let newest = open.chain(self.ring.newest()).take(count).take_while(fits);
        let mut newest: Vec<Event> = newest.cloned().collect();
        newest.reverse();
        newest
    }

    /// The oldest cursor after which this gateway knows everything.
    fn start(&self) -> Seq {
        self.ring.start().or(self.slots.start()).unwrap_or(self.head.seq)
    }
}

impl Missed {
    fn add(&mut self, slot: &ClosedSlot, since: Seq) {
        let (sent, left_out) = slot.after(since);
        self.events.extend(sent.cloned());
        self.left_out.merge(&left_out);
    }

    fn within_limits(self) -> Past {
        let bytes: usize = self.events.iter().map(|e| e.json.len()).sum();
        if self.events.len() > RESUME_EVENTS_MAX || bytes > RESUME_BYTES_MAX {
            return Past::Lost;
        }
        Past::Known(self)
    }
}

#[cfg(test)]
mod tests;
