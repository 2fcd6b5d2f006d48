//! What a broker counts of its own work, for the gateway's metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one broker, from its start; only ever rising.
#[derive(Debug, Default)]
pub struct Stats {
    published: AtomicU64,
    busy: AtomicU64,
    dropped: AtomicU64,
}

impl Stats {
    /// Events that entered a room's log.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Verbs that were answered with [`Busy`](crate::Busy).
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Payloads sent to an address whose node does not exist (any more).
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn count_published(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_busy(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}
