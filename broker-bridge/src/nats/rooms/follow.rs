//! One room's log as this node follows it, as a machine: order, repeats, holes and losses.
//!
//! In: stored and live batches as they arrive, what was fetched, the decision to give up. Out:
//! deliveries in the order of the log, each linked to the one before.
//!
//! Every stored batch names the one before it in its room. If that one is not behind us yet,
//! there is a hole: what is behind it waits while the hole is fetched. Every batch also tells how
//! many events its publisher had put into the room before, so whatever is missing of a publisher
//! is known with its next batch that is stored ([`told`](super::told)).

use std::collections::VecDeque;

use protocol::cursor::{Cursor, Epoch, Seq};
use protocol::envelope::Batch;
use protocol::ids::BootId;

use super::told::Told;
use crate::{Entry, RoomDelivery};

/// Batches behind a hole that wait; more are fetched with the hole.
const PARKED_MAX: usize = 256;
/// Batches remembered, to know repeats: a minute of a busy room.
const SEEN_MAX: usize = 1_000;
/// A batch that the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) seq: Seq,
    /// The last one of the room when it was stored; 0 if there was none any more.
    pub(super) prev: Seq,
    pub(super) batch: Batch,
}

/// What is to be done about a batch that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is delivered, or known.
    Done,
    /// Something before it is missing: fetch what comes after [`Follow::last`].
    Hole,
    /// Nothing was before it when it was stored: the room was empty, or the log is another one.
    /// Ask which it is, and fetch as with a hole.
    Unlinked,
    /// It is behind us and yet new: the log may be another one.
    Suspect,
}

/// The state of one open room.
#[derive(Debug)]
pub(super) struct Follow {
    epoch: Epoch,
    last: Seq,
    /// The last entry that there was, of which others may have heard at another time: 0 if none is
    /// known. Behind it nothing was stored up to `last`.
    entry: Seq,
    parked: VecDeque<Stored>,
    /// How far the log is known to go.
    known: Seq,
    seen: VecDeque<(BootId, u64)>,
    told: Told,
}

/// What is known of what was stored before a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It names the one delivered last.
    Linked,
    /// Nothing.
    Unknown,
}

impl Follow {
    /// Follows a log from its head on, knowing its newest batches.
    pub(super) fn open(head: Cursor, recent: &[Stored]) -> Self {
        let mut follow = Self {
            epoch: head.epoch,
            last: head.seq,
            entry: recent.last().map_or(0, |newest| newest.seq),
            parked: VecDeque::new(),
            known: head.seq,
            seen: VecDeque::new(),
            told: Told::default(),
        };
        for stored in recent {
            follow.remember(&stored.batch);
            follow.told.stored(&stored.batch);
        }
        follow
    }

    /// The numbering.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last entry delivered.
    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// The last entry that there was; 0 if none is known.
    pub(super) fn entry(&self) -> Seq {
        self.entry
    }

    /// Nothing was stored up to here.
    pub(super) fn silent(&mut self, upto: Seq, out: &mut Vec<RoomDelivery>) {
        if upto > self.last && !self.has_hole() && self.parked.is_empty() {
            (self.last, self.known) = (upto, upto);
            out.push(RoomDelivery::Silent { upto });
        }
    }

    /// Whether something before what is known is missing.
    pub(super) fn has_hole(&self) -> bool {
        self.known > self.last
    }

    /// Whether something waits of which it is not known whether it belongs to this log.
    pub(super) fn is_unlinked(&self) -> bool {
        self.parked.front().is_some_and(|first| first.prev == 0)
    }

    /// The log is known to go so far.
    pub(super) fn learn(&mut self, seq: Seq) -> Verdict {
        self.known = self.known.max(seq);
        if self.has_hole() { Verdict::Hole } else { Verdict::Done }
    }

    /// A stored batch has arrived.
    pub(super) fn stored(&mut self, stored: Stored, out: &mut Vec<RoomDelivery>) -> Verdict {
        if stored.seq <= self.last {
            let is_known = self.has_seen(&stored.batch);
            return if is_known { Verdict::Done } else { Verdict::Suspect };
        }
        if 0 < stored.prev && stored.prev <= self.last {
            self.append(stored, Before::Linked, out);
            self.unpark(1, out);
            return self.learn(0);
        }
        let verdict = if stored.prev == 0 { Verdict::Unlinked } else { Verdict::Hole };
        self.known = self.known.max(stored.seq);
        if self.parked.len() < PARKED_MAX
            && self.parked.back().is_none_or(|last| last.seq < stored.seq)
        {
            self.parked.push_back(stored);
        }
        verdict
    }

    /// What the stream holds after the last entry, in order, has been fetched; it is still the
    /// stream that is followed.
    pub(super) fn fetched(&mut self, batches: Vec<Stored>, out: &mut Vec<RoomDelivery>) -> Verdict {
        for stored in batches {
            self.unpark(0, out);
            if stored.seq <= self.last {
                continue;
            }
            // What is parked knows what came before it, what is fetched does not.
            if let Some(first) = self.parked.front()
                && first.seq <= stored.seq
            {
                self.skip_hole(out);
            }
            if stored.seq > self.last {
                self.append(stored, Before::Unknown, out);
            }
        }
        self.unpark(0, out);
        self.learn(0)
    }

    /// The hole cannot be filled: goes on behind it.
    pub(super) fn give_up(&mut self, out: &mut Vec<RoomDelivery>) {
        while !self.parked.is_empty() {
            self.skip_hole(out);
        }
        if self.has_hole() {
            self.last = self.known;
            out.push(RoomDelivery::Lost { upto: self.last, events: 0 });
        }
    }

    /// A batch that no log holds has arrived.
    pub(super) fn live(&mut self, batch: Batch, out: &mut Vec<RoomDelivery>) {
        if self.has_seen(&batch) {
            return;
        }
        // One that was told as lost already, when a later one overtook it, stays so.
        let Some(lost) = self.told.live(&batch) else { return };
        self.remember(&batch);
        tell_lost(lost, self.last, out);
        out.push(RoomDelivery::Live { origin_ms: batch.origin_ms, events: batch.events.into() });
    }

    /// Delivers the next entry. What is lost before it went out live if it names the one delivered
    /// last as the one before it; else there may have been entries between.
    fn append(&mut self, stored: Stored, before: Before, out: &mut Vec<RoomDelivery>) {
        let Stored { seq, batch, .. } = stored;
        let origin_ms = batch.origin_ms;
        let events = if self.has_seen(&batch) {
            // It went out live before. Its place in the log is kept, without its events.
            Vec::new()
        } else {
            self.remember(&batch);
            let lost = self.told.stored(&batch);
            if lost > 0 && before == Before::Unknown {
                self.last = seq - 1;
            }
            tell_lost(lost, self.last, out);
            batch.events
        };
        let entry = Entry { seq, prev: self.last, origin_ms, events: events.into() };
        out.push(RoomDelivery::Entry { epoch: self.epoch, entry });
        (self.last, self.entry) = (seq, seq);
        self.known = self.known.max(seq);
    }

    /// Delivers what is parked, as far as it is linked to what was delivered. `prev_min` is 0 if
    /// what is linked to nothing may go too.
    fn unpark(&mut self, prev_min: Seq, out: &mut Vec<RoomDelivery>) {
        while let Some(first) = self.parked.front()
            && (prev_min..=self.last).contains(&first.prev)
        {
            let stored = self.parked.pop_front().expect("looked at above");
            if stored.seq > self.last {
                self.append(stored, Before::Linked, out);
            }
        }
    }

    /// Tells that what lies before the first parked batch is lost, and delivers that one.
    fn skip_hole(&mut self, out: &mut Vec<RoomDelivery>) {
        let Some(first) = self.parked.pop_front() else { return };
        if first.seq <= self.last {
            return;
        }
        if first.prev > self.last {
            self.last = first.prev;
            let is_known = self.has_seen(&first.batch);
            let events = if is_known { 0 } else { self.told.stored(&first.batch) };
            out.push(RoomDelivery::Lost { upto: first.prev, events });
        }
        self.append(first, Before::Linked, out);
    }

    fn has_seen(&self, batch: &Batch) -> bool {
        self.seen.iter().rev().any(|seen| *seen == (batch.from, batch.counter))
    }

    fn remember(&mut self, batch: &Batch) {
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((batch.from, batch.counter));
    }
}

fn tell_lost(events: u64, upto: Seq, out: &mut Vec<RoomDelivery>) {
    if events > 0 {
        out.push(RoomDelivery::Lost { upto, events });
    }
}

#[cfg(test)]
mod tests;
