//! Which faults there are, how often, and how many there were.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often things go wrong. Rates are in thousandths; the default is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Entries that are never delivered. They are in the log, so a fetch finds them.
    pub loss_permille: u16,
    /// Entries that cannot be had: a `Lost` stands for each, in its place.
    pub told_loss_permille: u16,
    /// Entries that are delivered twice, the second time up to 4 entries of the room later.
    pub duplication_permille: u16,
    /// Entries that up to 4 later entries of their room overtake. If as many do not come within
    /// a second, the entry goes on all the same.
    pub reorder_permille: u16,
    /// The longest that an entry holds up the line of deliveries, in milliseconds: each draws a
    /// time from 0 up to this, and nothing overtakes it.
    pub delay_ms_max: u64,
    /// Verbs that are refused as busy.
    pub busy_permille: u16,
    /// Publications that are stored but answered as unavailable.
    pub lost_ack_permille: u16,
    /// How much later every ack comes, in milliseconds.
    pub ack_delay_ms: u64,
}

/// How many faults there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Injected {
    /// Entries not delivered.
    pub lost: u64,
    /// Entries that a `Lost` stands for.
    pub told_lost: u64,
    /// Entries delivered twice.
    pub duplicated: u64,
    /// Entries held back for others to overtake.
    pub reordered: u64,
    /// Entries that held up the line for a time other than 0.
    pub delayed: u64,
    /// Verbs refused.
    pub refused: u64,
    /// Publications stored without an ack.
    pub acks_lost: u64,
}

/// The counters behind [`Injected`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) lost: AtomicU64,
    pub(super) told_lost: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) reordered: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) acks_lost: AtomicU64,
}

impl Tally {
    pub(super) fn read(&self) -> Injected {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Injected {
            lost: read(&self.lost),
            told_lost: read(&self.told_lost),
            duplicated: read(&self.duplicated),
            reordered: read(&self.reordered),
            delayed: read(&self.delayed),
            refused: read(&self.refused),
            acks_lost: read(&self.acks_lost),
        }
    }
}

/// Counts one if it happened.
pub(super) fn count(counter: &AtomicU64, happened: bool) {
    counter.fetch_add(u64::from(happened), Ordering::Relaxed);
}
