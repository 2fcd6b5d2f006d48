//! What time it is: read once per turn by the drivers and passed down to the machines.

use std::time::Instant;

/// One reading of the clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// For durations and deadlines.
    pub(crate) mono: Instant,
    /// The time of the run, in µs since 1970; see [`Clock`](crate::clock::Clock).
    pub(crate) us: u64,
}
