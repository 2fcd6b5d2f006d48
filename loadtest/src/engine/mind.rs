//! What a client is set to do, and how long it waits before it comes back.

/// The first pause before coming back is below this, in µs.
const RETURN_FIRST_US: u64 = 500_000;
/// The longest pause before coming back, in µs.
const RETURN_MAX_US: u64 = 30_000_000;

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reading {
    /// As fast as it can.
    #[default]
    All,
    /// Not at all.
    Nothing,
    /// So many bytes a second.
    Trickle(u32),
}

/// What a client is to do, as its plan and its luck have it.
#[derive(Debug, Default)]
pub(super) struct Mind {
    /// Whether it is to be connected.
    pub(super) wanted: bool,
    /// Whether it asks for what it has missed.
    pub(super) resume: bool,
    /// How it reads.
    pub(super) reading: Reading,
    /// Counts connections, so that a deadline knows which one it is for.
    pub(super) attempt: u32,
    /// Bytes that a trickle may still read.
    pub(super) thirst: usize,
}

/// The pause before coming back, in µs: up to 500 ms first, then full jitter below 1, 2, 4 … 30 s.
/// `random` is between 0 and 1.
pub(super) fn pause(failures: u32, random: f64) -> u64 {
    let ceiling = RETURN_FIRST_US.saturating_mul(1 << failures.min(16)).min(RETURN_MAX_US);
    (ceiling as f64 * random) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pause(0, 1.0), 500_000);
        assert_eq!(pause(3, 0.5), 2_000_000);
        assert_eq!(pause(100, 1.0), RETURN_MAX_US);
        assert_eq!(pause(100, 0.0), 0);
    }
}
