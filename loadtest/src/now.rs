//! What time it is: read once per turn by the drivers and passed down to the machines.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// For durations and deadlines.
    pub(crate) mono: Instant,
    /// For comparison with the server's times, in milliseconds since 1970.
    pub(crate) unix_ms: u64,
}

impl Now {
    /// Reads the clocks.
    pub(crate) fn read() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        Self { mono: Instant::now(), unix_ms }
    }
}
