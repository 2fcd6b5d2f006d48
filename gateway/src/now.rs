//! Time, read once per turn of a driver and passed down to the rules.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// One moment, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Time since this process started its clock: never jumps, for deadlines and rates.
    pub(crate) mono: Duration,
    /// Milliseconds since 1970: shared by all nodes, for slots and timestamps.
    pub(crate) unix_ms: u64,
}

impl Now {
    /// Whole milliseconds on the monotonic clock.
    pub(crate) fn mono_ms(self) -> u64 {
        u64::try_from(self.mono.as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment on the monotonic clock at which the unix clock, going on as it does now, will
    /// show a time.
    pub(crate) fn mono_at(self, unix_ms: u64) -> Duration {
        self.mono.saturating_add(Duration::from_millis(unix_ms.saturating_sub(self.unix_ms)))
    }

    /// Whole seconds on the monotonic clock, for coarse bookkeeping per connection.
    pub(crate) fn mono_s(self) -> u32 {
        u32::try_from(self.mono.as_secs()).unwrap_or(u32::MAX)
    }
}

/// Reads the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// `Some`: unix time follows the monotonic clock from here, so tests may pause both at once.
    anchor_ms: Option<u64>,
}

impl Clock {
    /// The clock of the machine.
    pub(crate) fn system() -> Self {
        Self { start: Instant::now(), anchor_ms: None }
    }

    #[cfg(test)]
    /// A clock whose unix time starts at the given moment and follows the runtime's clock.
    pub(crate) fn anchored(unix_ms: u64) -> Self {
        Self { start: Instant::now(), anchor_ms: Some(unix_ms) }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Now {
        let mono = self.start.elapsed();
        let unix = match self.anchor_ms {
            Some(anchor_ms) => Duration::from_millis(anchor_ms) + mono,
            // A machine set before 1970 counts as 1970.
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        Now { mono, unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }
}
