//! How much a client may do, and when it may try again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A rate: so many at once, and as many again in every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: u32,
    /// How long it takes until as many may come again.
    pub period: Duration,
}

impl Rate {
    /// How many come in the long run over a time, rounded down.
    pub(crate) fn over(self, time: Duration) -> u32 {
        (f64::from(self.burst) * time.as_secs_f64() / self.period.as_secs_f64()) as u32
    }

    /// The time over which a burst comes again, in milliseconds.
    pub(crate) fn period_ms(self) -> u64 {
        u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX)
    }
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
    /// In nanoseconds: 584 years of them.
    full_at_ns: u64,
}

impl Limiter {
    /// Judges an action of the given cost, and counts it if it is accepted.
    ///
    /// A cost above the burst is never accepted.
    pub(crate) fn admit(&mut self, rate: Rate, cost: u32, now: Duration) -> Verdict {
        let interval = rate.period / rate.burst;
        let full_at = Duration::from_nanos(self.full_at_ns).max(now) + interval * cost;
        let over = full_at.saturating_sub(now).saturating_sub(rate.period);
        if over.is_zero() {
            self.full_at_ns = u64::try_from(full_at.as_nanos()).unwrap_or(u64::MAX);
            Verdict::Accept
        } else {
            Verdict::Wait(over)
        }
    }

    /// Whether everything is allowed again: the same as a new one.
    pub(crate) fn is_full(&self, now: Duration) -> bool {
        Duration::from_nanos(self.full_at_ns) <= now
    }
}

/// Says exactly whether fewer than `N` have come within a period, by the times of the last `N`.
/// Takes memory only once something has come: it is for what should not happen.
#[derive(Debug, Default)]
pub(crate) struct Recent<const N: usize>(Option<Box<Last<N>>>);

/// Times in a ring; `oldest` is the next to be forgotten.
#[derive(Debug)]
struct Last<const N: usize> {
    times: [Option<Duration>; N],
    oldest: usize,
}

impl<const N: usize> Recent<N> {
    /// Counts one more, unless `N` have come within the period before it; returns whether it was
    /// counted.
    pub(crate) fn admit(&mut self, period: Duration, now: Duration) -> bool {
        let last = self.0.get_or_insert_with(|| Box::new(Last { times: [None; N], oldest: 0 }));
        let oldest = &mut last.times[last.oldest];
        if oldest.is_some_and(|time| now.saturating_sub(time) < period) {
            return false;
        }
        *oldest = Some(now);
        last.oldest = (last.oldest + 1) % N;
        true
    }
}

/// A [`Limiter`] that several threads use at once, without waiting for each other.
#[derive(Debug, Default)]
pub(crate) struct SharedLimiter {
    full_at_ns: AtomicU64,
}

impl SharedLimiter {
    /// Judges an action of the given cost, and counts it if it is accepted.
    pub(crate) fn admit(&self, rate: Rate, cost: u32, now: Duration) -> Verdict {
        let mut verdict = Verdict::Accept;
        // Refused actions change nothing: the result says only which it was.
        let _ = self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at_ns| {
            let mut limiter = Limiter { full_at_ns };
            verdict = limiter.admit(rate, cost, now);
            (verdict == Verdict::Accept).then_some(limiter.full_at_ns)
        });
        verdict
    }

    /// Whether everything is allowed again.
    pub(crate) fn is_full(&self, now: Duration) -> bool {
        Limiter { full_at_ns: self.full_at_ns.load(Ordering::Relaxed) }.is_full(now)
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
    fn so_many_in_any_period_and_not_one_more() {
        const PERIOD: Duration = Duration::from_secs(10);
        let mut recent = Recent::<3>::default();
        assert!(recent.0.is_none(), "nothing is kept of those who do nothing");
        for (ms, admitted) in [
            (0, true),
            (4_000, true),
            (9_000, true),
            (9_999, false),
            (10_000, true),
            (13_999, false),
            (14_000, true),
            (14_001, false),
            (60_000, true),
        ] {
            assert_eq!(recent.admit(PERIOD, at(ms)), admitted, "{ms}");
        }
    }

    #[test]
    fn those_who_share_a_limiter_have_one_rate_together() {
        let shared = &SharedLimiter::default();
        let accepted: usize = std::thread::scope(|scope| {
            let accepts = move |_: &u32| shared.admit(RATE, 1, at(7)) == Verdict::Accept;
            let threads = [(); 4].map(|()| scope.spawn(move || (0..100).filter(accepts).count()));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(accepted, 5);
        assert_eq!(shared.admit(RATE, 1, at(7)), Verdict::Wait(at(1000)));
        assert!(!shared.is_full(at(5_006)) && shared.is_full(at(5_007)));
    }

    #[test]
    fn silence_is_not_saved_up_beyond_the_burst() {
        let mut limiter = Limiter::default();
        let late = at(3_600_000);
        let accepted = (0..10).filter(|_| limiter.admit(RATE, 1, late) == Verdict::Accept).count();
        assert_eq!(accepted, 5);
    }
}
