//! What the clients of a worker share, and what they add up to.

use rand::rngs::StdRng;

use crate::engine::tally::Tally;
use crate::plan::Plan;
use crate::truth::digest::Digests;
use crate::truth::ledger::Own;

/// What the clients of a worker share.
pub(crate) struct World {
    /// The part of the plan.
    pub(crate) plan: Plan,
    /// Messages understood so far.
    pub(crate) digests: Digests,
    /// Figures so far.
    pub(crate) tally: Tally,
    /// Own events with an answer or without, by room.
    pub(crate) sent: Vec<(usize, Own)>,
    /// Now, in µs since 1970.
    pub(crate) now_us: u64,
    /// When the run started, in µs since 1970.
    pub(crate) start_us: u64,
    /// When it began, in µs since 1970; `u64::MAX` before that.
    pub(crate) begin_us: u64,
    /// When each phase after the first begins, in µs since 1970.
    pub(crate) phases: Vec<u64>,
    /// When something about a room was heard last.
    pub(crate) told_last_us: u64,
    /// Clients that are in their rooms.
    pub(crate) joined: usize,
    /// Masks and pauses.
    pub(crate) random: StdRng,
}

/// The phase of a moment: 0 before the beginning.
pub(super) fn phase_of(phases: &[u64], at_us: u64) -> usize {
    phases.partition_point(|begin_us| *begin_us <= at_us)
}
