//! A room's log as this gateway follows it: the head, the open slots, and the recent past.

use ahash::AHashSet;
use broker_bridge::Entry;
use protocol::cursor::{Bookmark, Cursor, Owed, Seq};
use protocol::event::{Class, Event};
use protocol::ids::EventId;
use protocol::limits::{RESUME_BYTES_MAX, RESUME_EVENTS_MAX};
use protocol::select::{Budget, Candidate, Fate, LeftOut, select};
use protocol::slot::SlotClock;

use crate::room::ring::Ring;
use crate::room::seen::Seen;
use crate::room::slots::{ClosedSlot, Logged, Slots};

/// The log of one room.
#[derive(Debug)]
pub(crate) struct Log {
    head: Cursor,
    slots: Slots,
    ring: Ring,
    seen: Seen,
    /// The same of events that are in no log: whether one is there as well is the log's to tell.
    seen_live: Seen,
    /// Heads at which clients joined inside a slot that is still open, ascending.
    heads: Vec<Seq>,
    /// Up to here there are entries that did not reach this gateway, or without their events; the
    /// broker may have them.
    unknown_upto: Seq,
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
    /// Starts to follow a log at its head, knowing its newest entries, which members have been
    /// told of.
    pub(crate) fn open(head: Cursor, recent: Vec<Entry>, slots: Slots, now_ms: u64) -> Self {
        let mut log = Self::open_behind(head, recent, slots, now_ms);
        while log.close_due(now_ms).is_some() {}
        log
    }

    /// Starts to follow a log behind its newest entries, which come as if they were delivered now.
    pub(crate) fn open_behind(head: Cursor, recent: Vec<Entry>, slots: Slots, now_ms: u64) -> Self {
        let start = recent.first().map_or(head.seq, |entry| entry.prev);
        let mut log = Self {
            head: head.at(start),
            slots,
            ring: Ring::default(),
            seen: Seen::default(),
            seen_live: Seen::default(),
            heads: Vec::new(),
            unknown_upto: 0,
        };
        for entry in recent {
            log.add(entry, now_ms);
        }
        log.head = head;
        log
    }

    /// Takes the next entry; returns how many of its events were repeats, or `None` if the whole
    /// entry was.
    pub(crate) fn add(&mut self, entry: Entry, now_ms: u64) -> Option<usize> {
        if entry.seq <= self.head.seq {
            return None;
        }
        if entry.events.is_empty() {
            // They went out live, to those who were here: whoever comes back asks the broker.
            self.unknown_upto = entry.seq;
        }
        let admitted = self.seen.admitted(&entry);
        let repeats = entry.events.len() - admitted.len();
        self.slots.add(self.head.seq, entry.seq, entry.origin_ms, admitted.into_iter(), now_ms);
        self.head.seq = entry.seq;
        Some(repeats)
    }

    /// Takes events that are in no log; returns how many of them were repeats.
    pub(crate) fn add_live(&mut self, origin_ms: u64, events: &[Event], now_ms: u64) -> usize {
        let (seen, live) = (&self.seen, &mut self.seen_live);
        let is_new = |event: &&Event| !seen.has(event.id) && live.admit(event.id, origin_ms);
        let admitted: Vec<Event> = events.iter().filter(is_new).cloned().collect();
        if !admitted.is_empty() {
            self.slots.add_live(self.head.seq, origin_ms, &admitted, now_ms);
        }
        events.len() - admitted.len()
    }

    /// Nothing was stored up to a position.
    pub(crate) fn add_silence(&mut self, upto: Seq, now_ms: u64) {
        if upto > self.head.seq {
            self.slots.add(self.head.seq, upto, now_ms, std::iter::empty(), now_ms);
            self.head.seq = upto;
        }
    }

    /// Goes on at a later position, with nothing open but the pacing of held events.
    pub(crate) fn jump(&mut self, to: Seq) {
        self.slots.jump(to);
        self.heads.clear();
        self.head.seq = to;
        self.unknown_upto = to;
    }

    /// What clients hold at present: those who have been told of all closed slots, and those who
    /// joined at a head behind that.
    pub(crate) fn standing(&self) -> Vec<Bookmark> {
        let start = self.slots.start().unwrap_or(self.head.seq);
        let heads = self.heads.iter().copied().filter(|head| *head > start);
        std::iter::once(start).chain(heads).map(|head| self.bookmark(head)).collect()
    }

    /// Closes the first slot that is due; also returns what clients held until then.
    pub(crate) fn close_due(&mut self, now_ms: u64) -> Option<(ClosedSlot, Vec<Bookmark>)> {
        self.slots.follow(now_ms);
        self.due_ms(now_ms).filter(|due_ms| *due_ms <= now_ms)?;
        self.close_next(now_ms)
    }

    /// Closes the first slot in which there is anything, whether it is due or not.
    pub(crate) fn close_early(&mut self, now_ms: u64) -> Option<(ClosedSlot, Vec<Bookmark>)> {
        self.slots.has_news().then(|| self.close_next(now_ms)).flatten()
    }

    /// Closes the first slot as if there were no budget: it is the end of this log.
    pub(crate) fn close_last(&mut self, now_ms: u64) -> Option<(ClosedSlot, Vec<Bookmark>)> {
        self.slots.unlimit();
        self.close_next(now_ms)
    }

    fn close_next(&mut self, now_ms: u64) -> Option<(ClosedSlot, Vec<Bookmark>)> {
        let standing = self.standing();
        let closed = self.slots.close_next()?;
        self.heads.retain(|head| *head > closed.last);
        self.ring.push(closed.without_live());
        self.ring.trim(now_ms);
        Some((closed, standing))
    }

    /// When the next slot closes.
    pub(crate) fn due_ms(&self, now_ms: u64) -> Option<u64> {
        self.slots.due_ms(now_ms)
    }

    /// Cuts what is open, and what comes, by another clock and another budget.
    pub(crate) fn recut(&mut self, clock: SlotClock, budget: Budget, now_ms: u64) {
        self.slots.recut(clock, budget);
        // What had to close early may have closed far ahead, by a clock with shorter slots.
        self.slots.follow(now_ms);
    }

    /// Whether no slot is open.
    pub(crate) fn is_quiet(&self) -> bool {
        self.slots.start().is_none()
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

    /// What a client holds that was told of everything up to a cursor at or after all that has
    /// closed.
    pub(crate) fn bookmark(&self, cursor: Seq) -> Bookmark {
        Bookmark { at: self.head.at(cursor), owed: self.slots.owed_at(cursor) }
    }

    /// Remembers that somebody joined at the present head.
    pub(crate) fn mark_join(&mut self) {
        if !self.is_quiet() && self.heads.last() != Some(&self.head.seq) {
            self.heads.push(self.head.seq);
        }
    }

    /// What a client with this cursor has missed.
    pub(crate) fn since(&self, since: Bookmark) -> Past {
        if since.at.epoch != self.head.epoch {
            return Past::Lost;
        }
        if since.at.seq > self.head.seq {
            // Another gateway may be ahead of this one: the broker knows the log's end.
            return Past::Older;
        }
        let owed = if since.at.seq < self.start() { None } else { owed(since, self.paid()) };
        match owed {
            Some(owed) => self.known_since(since.at.seq, &owed).within_limits(),
            None => Past::Older,
        }
    }

    /// The same for a cursor before what is known here, with the entries from the broker that
    /// came after [`Bookmark::known_from`].
    pub(crate) fn since_fetched(&self, since: Bookmark, entries: &[Entry]) -> Past {
        let start = self.start();
        let older = entries.iter().take_while(|entry| entry.seq <= start);
        let mut seen = Seen::default();
        let older: Vec<(&Entry, Vec<Event>)> = older.map(|e| (e, seen.admitted(e))).collect();
        let paid_before = older.iter().flat_map(|(entry, events)| {
            let paid = events.iter().filter(|event| event.class == Class::Paid);
            paid.map(|event| Logged { seq: entry.seq, live: false, event: event.clone() })
        });
        let paid_before: Vec<Logged> = paid_before.collect();
        let known = self.paid().skip_while(|logged| logged.seq <= start);
        let Some(owed) = owed(since, paid_before.iter().chain(known)) else { return Past::Lost };

        // What was held into the slots that are known comes, or will come, with those.
        let after = paid_before.iter().filter(|logged| logged.seq > since.at.seq);
        let due: AHashSet<EventId> =
            after.map(|l| l.event.id).chain(owed.iter().copied()).collect();
        let later: AHashSet<EventId> = self.paid().map(|logged| logged.event.id).collect();
        let is_earlier = |logged: &&Logged| !later.contains(&logged.event.id);
        let mut missed = Missed::default();
        let paid = paid_before.iter().filter(|l| owed.contains(&l.event.id)).filter(is_earlier);
        missed.events.extend(paid.map(|logged| logged.event.clone()));
        let mut slots = Slots::new(self.slots.clock(), self.slots.budget(), 0);
        let (mut prev, mut latest_ms) = (since.at.seq, 0);
        for (entry, events) in older.into_iter().filter(|(entry, _)| entry.seq > since.at.seq) {
            latest_ms = entry.origin_ms.max(latest_ms);
            slots.add(prev, entry.seq, entry.origin_ms, events.into_iter(), latest_ms);
            prev = entry.seq;
        }
        while let Some(mut slot) = slots.close_next() {
            slot.sent.retain(|l| l.event.class != Class::Paid || is_earlier(&l));
            missed.add(&slot, since.at.seq, &owed);
        }
        let newer = self.known_since(start.max(since.at.seq), &due);
        missed.events.extend(newer.events);
        missed.left_out.merge(&newer.left_out);
        missed.within_limits()
    }

    /// What is known here and not to whoever was told of everything up to a cursor but what it is
    /// owed.
    fn known_since(&self, cursor: Seq, owed: &AHashSet<EventId>) -> Missed {
        let mut missed = Missed::default();
        for slot in self.ring.slots().filter(|slot| slot.last > cursor || !owed.is_empty()) {
            missed.add(slot, cursor, owed);
        }
        // The open slots are not selected yet: what a returning client gets of them is within
        // one slot's budget, and what it does not get is counted.
        let unsent: Vec<&Event> = self.slots.unsent_after(cursor).collect();
        let candidates: Vec<Candidate> = unsent.iter().map(|e| (*e).into()).collect();
        for (event, fate) in unsent.into_iter().zip(select(&candidates, self.slots.budget())) {
            match fate {
                Fate::Sent | Fate::Held => missed.events.push(event.clone()),
                Fate::LeftOut => missed.left_out.add(event.class),
            }
        }
        missed
    }

    /// The paid events that are known here, sent or not, in the order of the log.
    fn paid(&self) -> impl Iterator<Item = &Logged> {
        let sent = self.ring.slots().flat_map(|slot| &slot.sent);
        sent.filter(|logged| logged.event.class == Class::Paid).chain(self.slots.unsent_paid())
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
        let start = self.ring.start().or(self.slots.start()).unwrap_or(self.head.seq);
        start.max(self.unknown_upto)
    }
}

/// The events that the holder of a bookmark is owed, of paid events in the order of the log;
/// `None` if they are not all among those.
fn owed<'a>(
    bookmark: Bookmark,
    paid: impl Iterator<Item = &'a Logged>,
) -> Option<AHashSet<EventId>> {
    let Some(Owed { oldest, count }) = bookmark.owed else { return Some(AHashSet::new()) };
    let paid: Vec<&Logged> = paid.take_while(|logged| logged.seq <= bookmark.at.seq).collect();
    let newest = &paid[paid.len().checked_sub(count as usize)?..];
    let is_whole = newest.first().is_some_and(|first| first.seq == oldest);
    is_whole.then(|| newest.iter().map(|logged| logged.event.id).collect())
}

impl Missed {
    /// Adds what a slot has that came after a cursor, or is owed.
    fn add(&mut self, slot: &ClosedSlot, cursor: Seq, owed: &AHashSet<EventId>) {
        let is_news = |l: &&Logged| l.seq > cursor || owed.contains(&l.event.id);
        self.events.extend(slot.sent.iter().filter(is_news).map(|l| l.event.clone()));
        let left_out = slot.left_out.iter().filter(|it| it.seq > cursor);
        left_out.for_each(|it| self.left_out.add(it.class));
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
