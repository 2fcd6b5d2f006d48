//! How much a client may do, and when it may try again.

use std::time::Duration;

/// A rate: so many at once, and as many again in every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: u32,
    /// How long it takes until as many may come again.
    pub period: Duration,
}

/// The verdict on one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    /// Too many; the next one is accepted after this time.
    Wait(Duration),
}

/// A rate limiter in eight bytes: the generic cell rate algorithm (ITU-T I.371, annex A), which
/// keeps only the time at which the bucket would be full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limiter {
    full_at: Duration,
}

impl Limiter {
    /// Judges an action of the given cost, and counts it if it is accepted.
    ///
    /// A cost above the burst is never accepted.
    pub(crate) fn admit(&mut self, rate: Rate, cost: u32, now: Duration) -> Verdict {
        let interval = rate.period / rate.burst;
        let full_at = self.full_at.max(now) + interval * cost;
        let over = full_at.saturating_sub(now).saturating_sub(rate.period);
        if over.is_zero() {
            self.full_at = full_at;
            Verdict::Accept
        } else {
            Verdict::Wait(over)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 5, period: Duration::from_secs(5) };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_passes_and_the_next_is_told_when_to_come_back() {
        let mut limiter = Limiter::default();
        for _ in 0..5 {
            assert_eq!(limiter.admit(RATE, 1, at(100)), Verdict::Accept);
        }
        assert_eq!(limiter.admit(RATE, 1, at(100)), Verdict::Wait(at(1000)));
        assert_eq!(limiter.admit(RATE, 1, at(600)), Verdict::Wait(at(500)));
        assert_eq!(limiter.admit(RATE, 1, at(1100)), Verdict::Accept);
    }

    #[test]
    fn a_refused_action_costs_nothing() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.admit(RATE, 6, at(0)), Verdict::Wait(at(1000)));
        assert_eq!(limiter.admit(RATE, 5, at(0)), Verdict::Accept);
    }

    #[test]
    fn silence_is_not_saved_up_beyond_the_burst() {
        let mut limiter = Limiter::default();
        let late = at(3_600_000);
        let accepted = (0..10).filter(|_| limiter.admit(RATE, 1, late) == Verdict::Accept).count();
        assert_eq!(accepted, 5);
    }
}
