//! One room's log: numbered entries, the newest of which are kept.
//!
//! In: events and the time. Out: entries, by cursor or from the newest backwards. Pure: it reads
//! no clock and draws nothing at random.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::cursor::{Cursor, Epoch};
use protocol::event::Event;

use crate::Entry;

/// What an entry costs beside the JSON of its event, in bytes: its slot in the deque (48, twice
/// that while the deque has room to grow), the shared slice with the event (16 + 64), and what
/// the allocator adds to those and to the JSON. Measured: 170 with danmaku of 256 bytes.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// What a log that holds anything costs beside its entries, in bytes: its place in the map of
/// rooms (twice that while the map has room to grow), the room's name (up to 112), its place in
/// the queue of ages (24), and the smallest deque. Measured: with one danmaku of 256 bytes in each
/// of a million rooms, logs that count as 256 MiB take 232 MiB.
const LOG_OVERHEAD_BYTES: usize = 512;

/// How much of the logs is kept. What is over any of these bounds goes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long an entry is kept, in milliseconds. Default 600,000: longer than a client may be
    /// away and still resume. Shorter: such clients start over. Longer: more memory.
    pub age_ms: u64,
    /// Entries kept of one room. Default 16,384: a minute at 273 events per second.
    pub room_entries_max: usize,
    /// Bytes kept of one room, overhead included. Default 8 MiB: 16,384 entries of 512 bytes, the
    /// size of a danmaku (about 256) with its overhead. The newest entry is kept in any case.
    pub room_bytes_max: usize,
    /// Bytes kept of all rooms together, overhead included. Default 256 MiB: 32 rooms at their
    /// bound, or 262,144 rooms with one danmaku each.
    pub bytes_max: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age_ms: 10 * 60 * 1_000,
            room_entries_max: 16_384,
            room_bytes_max: 8 * 1024 * 1024,
            bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// A room's log under one epoch. Entries are numbered from 1 without holes.
#[derive(Debug)]
pub(super) struct Log {
    head: Cursor,
    kept: VecDeque<Kept>,
    entries_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    stored_ms: u64,
    entry: Entry,
}

impl Log {
    /// An empty log. The epoch must be one that no cursor in the world carries yet.
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { head: Cursor { epoch, seq: 0 }, kept: VecDeque::new(), entries_bytes: 0 }
    }

    /// Appends an event as an entry of its own, and evicts what is over the room's bounds.
    pub(super) fn append(&mut self, event: Event, now_ms: u64, retention: &Retention) -> &Entry {
        let prev = self.head.seq;
        self.head.seq += 1;
        let entry =
            Entry { seq: self.head.seq, prev, origin_ms: event.ts_ms, events: Arc::from([event]) };
        self.entries_bytes += weigh(&entry);
        self.kept.push_back(Kept { stored_ms: now_ms, entry });
        while self.kept.len() > 1 && self.is_over(retention) {
            self.evict_oldest();
        }
        let newest = self.kept.back().expect("just pushed, and never evicted when alone");
        &newest.entry
    }

    /// The position of the last entry ever appended.
    pub(super) fn head(&self) -> Cursor {
        self.head
    }

    /// Every entry after the cursor, oldest first; `None` if that cannot be told completely: the
    /// cursor is of another epoch or beyond the head, or an entry after it is evicted.
    pub(super) fn since(&self, after: Cursor) -> Option<Vec<Entry>> {
        let missed = self.head.seq.checked_sub(after.seq)?;
        let missed = usize::try_from(missed).ok()?;
        let skipped = self.kept.len().checked_sub(missed)?;
        (after.epoch == self.head.epoch)
            .then(|| self.kept.range(skipped..).map(|kept| kept.entry.clone()).collect())
    }

    /// The newest entries, oldest first: as many as stay within both bounds.
    pub(super) fn recent(&self, entries_max: usize, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let fit = self.kept.iter().rev().take(entries_max).take_while(|kept| {
            bytes += json_bytes(&kept.entry);
            bytes <= bytes_max
        });
        let count = fit.count();
        self.kept.range(self.kept.len() - count..).map(|kept| kept.entry.clone()).collect()
    }

    /// Evicts every entry that was stored `age_ms` ago or earlier.
    pub(super) fn expire(&mut self, now_ms: u64, age_ms: u64) {
        while self.oldest_ms().is_some_and(|stored_ms| stored_ms.saturating_add(age_ms) <= now_ms) {
            self.evict_oldest();
        }
    }

    /// Evicts the oldest entry, if there is any.
    pub(super) fn evict_oldest(&mut self) {
        let Some(kept) = self.kept.pop_front() else { return };
        self.entries_bytes -= weigh(&kept.entry);
        // A room that was hot once gives its memory back; halving keeps this cheap.
        if self.kept.len() < self.kept.capacity() / 4 {
            self.kept.shrink_to(self.kept.len() * 2);
        }
    }

    /// When the oldest entry that is kept was stored.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.stored_ms)
    }

    /// What the kept entries cost in memory, overhead included; 0 if there are none.
    pub(super) fn bytes(&self) -> usize {
        if self.kept.is_empty() { 0 } else { LOG_OVERHEAD_BYTES + self.entries_bytes }
    }

    fn is_over(&self, retention: &Retention) -> bool {
        self.kept.len() > retention.room_entries_max || self.bytes() > retention.room_bytes_max
    }
}

fn weigh(entry: &Entry) -> usize {
    ENTRY_OVERHEAD_BYTES + json_bytes(entry)
}

fn json_bytes(entry: &Entry) -> usize {
    entry.events.iter().map(|event| event.json.len()).sum()
}

#[cfg(test)]
pub(super) mod tests;
