//! The time of a run: µs since 1970, never turned back.
//!
//! Read from the wall clock once and counted on from there by the monotonic clock, so that all
//! processes of a machine agree and no adjustment of the clock falls into a run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base: Instant,
    base_us: u64,
}

impl Clock {
    /// A clock that agrees with the wall clock now.
    pub(crate) fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { base: Instant::now(), base_us: micros(since_1970) }
    }

    /// Now, in µs since 1970.
    pub(crate) fn now_us(&self) -> u64 {
        self.base_us + micros(self.base.elapsed())
    }
}

/// A duration in µs.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
