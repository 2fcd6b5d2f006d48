//! How long a room's publications are collected: little in a quiet room, longer in a hot one.

/// Between two batches of a quiet room, in milliseconds.
const WINDOW_MS_MIN: u64 = 5;
/// Between two batches of the hottest room.
const WINDOW_MS_MAX: u64 = 250;
/// Up to so many events per second a room is quiet.
const QUIET_PER_S: f64 = 50.0;
/// From so many on it is as hot as can be. Ten nodes that publish 100 each into one room then send
/// some 150 batches per second, at which a server's CPU stays below a tenth of a core.
const HOT_PER_S: f64 = 250.0;
/// Over how long the rate is taken, in milliseconds.
const MEMORY_MS: f64 = 1_000.0;

/// Events per second that one node publishes into one room, forgetting exponentially.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    per_s: f64,
    at_ms: u64,
}

impl Rate {
    /// One more event.
    pub(super) fn note(&mut self, now_ms: u64) {
        self.per_s = self.at(now_ms) + 1_000.0 / MEMORY_MS;
        self.at_ms = now_ms;
    }

    fn at(&self, now_ms: u64) -> f64 {
        let since_ms = now_ms.saturating_sub(self.at_ms) as f64;
        self.per_s * (-since_ms / MEMORY_MS).exp()
    }

    /// How long after the last batch the next one may begin, in milliseconds.
    pub(super) fn window_ms(&self, now_ms: u64) -> u64 {
        let heat = (self.at(now_ms) - QUIET_PER_S) / (HOT_PER_S - QUIET_PER_S);
        let spread = (WINDOW_MS_MAX - WINDOW_MS_MIN) as f64;
        WINDOW_MS_MIN + (heat.clamp(0.0, 1.0) * spread) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The window after 10 s of so many events per second.
    fn window_at(per_s: u64) -> u64 {
        let mut rate = Rate::default();
        let times = (0..10 * per_s).map(|nth| nth * 1_000 / per_s);
        times.for_each(|now_ms| rate.note(now_ms));
        rate.window_ms(10_000)
    }

    #[test]
    fn the_window_follows_the_rate_between_its_bounds() {
        assert_eq!(window_at(1), 5);
        assert_eq!(window_at(40), 5);
        assert!((58..=74).contains(&window_at(100)), "{}", window_at(100));
        assert_eq!(window_at(350), 250);
    }

    #[test]
    fn a_room_cools_down() {
        let mut rate = Rate::default();
        (0..5_000).for_each(|_| rate.note(0));
        assert_eq!(rate.window_ms(0), 250);
        assert_eq!(rate.window_ms(10_000), 5);
    }
}
