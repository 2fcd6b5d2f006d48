//! What a broker counts of its own work, for the gateway's metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What one broker has counted from its start, and what waits in it now.
#[derive(Debug, Default)]
pub struct Stats {
    published: AtomicU64,
    busy: AtomicU64,
    dropped: AtomicU64,
    unstored: AtomicU64,
    received: AtomicU64,
    lost: AtomicU64,
    holes: AtomicU64,
    retries: AtomicU64,
    waiting: AtomicU64,
    lookups: AtomicUsize,
    overflows: AtomicU64,
}

impl Stats {
    /// Events that entered a room's log.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Verbs that were answered with [`Busy`](crate::Busy), and fetches that a log which is asked
    /// too much was not bothered with.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Payloads sent to an address whose node does not exist (any more).
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Events that went out live, since their log did not take them.
    pub fn unstored(&self) -> u64 {
        self.unstored.load(Ordering::Relaxed)
    }

    /// Events delivered to this node.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Events that could not be delivered to this node, as far as is known.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Entries that came with something missing before them.
    pub fn holes(&self) -> u64 {
        self.holes.load(Ordering::Relaxed)
    }

    /// Batches that were sent to a log once more, since it had not acked them.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Events that wait for their log now, sent or not.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Times that messages of the servers were dropped, since their subscription was full.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    /// Questions to the logs that wait for their turn now.
    pub(crate) fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }

    pub(crate) fn set_lookups(&self, questions: usize) {
        self.lookups.store(questions, Ordering::Relaxed);
    }

    pub(crate) fn count_overflow(&self) {
        self.overflows.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retries(&self, batches: u64) {
        self.retries.fetch_add(batches, Ordering::Relaxed);
    }

    pub(crate) fn set_waiting(&self, events: u64) {
        self.waiting.store(events, Ordering::Relaxed);
    }

    pub(crate) fn count_unstored(&self, events: u64) {
        self.unstored.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self, events: u64) {
        self.received.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn count_lost(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn count_hole(&self) {
        self.holes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_published(&self, events: u64) {
        self.published.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn count_busy(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}
