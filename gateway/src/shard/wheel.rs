//! One timer per client, in one-second buckets.
//!
//! A timer is set once per look at a client, not once per frame: a frame only notes when it was
//! sent, and the look finds out what is due.

/// Buckets, one second each; longer delays are looked at early and set again.
const SECONDS: usize = 64;

/// Which clients (slot and generation: a slot may have a new owner by then) to look at in which
/// second.
#[derive(Debug)]
pub(crate) struct Wheel {
    buckets: Vec<Vec<(u32, u32)>>,
    /// The last second that was looked at.
    at_s: u32,
}

impl Wheel {
    pub(crate) fn new(now_s: u32) -> Self {
        Self { buckets: vec![Vec::new(); SECONDS], at_s: now_s }
    }

    /// Asks for a look at a client at the given second: at the earliest in the next one, at the
    /// latest a round from now. Returns the second of the look.
    pub(crate) fn set(&mut self, slot: u32, generation: u32, at_s: u32) -> u32 {
        let last = self.at_s.saturating_add(SECONDS as u32 - 1);
        let at_s = at_s.clamp(self.at_s.saturating_add(1), last);
        self.buckets[at_s as usize % SECONDS].push((slot, generation));
        at_s
    }

    /// Takes the clients (slot, generation) to be looked at up to the present second.
    pub(crate) fn due(&mut self, now_s: u32) -> Vec<(u32, u32)> {
        let mut due = Vec::new();
        // After a pause longer than a round every bucket is due once.
        let rounds = (now_s.saturating_sub(self.at_s) as usize).min(SECONDS);
        for step in 1..=rounds {
            // Taken whole: a busy second leaves no memory behind.
            due.extend(std::mem::take(&mut self.buckets[(self.at_s as usize + step) % SECONDS]));
        }
        self.at_s = self.at_s.max(now_s);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_in_its_second_and_once() {
        let mut wheel = Wheel::new(100);
        assert_eq!(wheel.set(1, 0, 103), 103);
        assert_eq!(wheel.set(2, 0, 90), 101);
        assert_eq!(wheel.due(101), [(2, 0)]);
        assert_eq!(wheel.due(102), []);
        assert_eq!(wheel.due(103), [(1, 0)]);
        assert_eq!(wheel.due(200), []);
    }

    #[test]
    fn the_second_of_the_look_is_told() {
        let mut wheel = Wheel::new(100);
        assert_eq!(wheel.set(1, 0, 103), 103);
        assert_eq!(wheel.set(1, 0, 50), 101, "in the next second at the earliest");
        assert_eq!(wheel.set(1, 0, u32::MAX), 163, "within a round at the latest");
    }

    #[test]
    fn a_busy_second_leaves_no_memory_behind() {
        let mut wheel = Wheel::new(0);
        for slot in 0..100_000 {
            wheel.set(slot, 0, 25);
        }
        assert_eq!(wheel.due(25).len(), 100_000);
        assert_eq!(wheel.buckets.iter().map(Vec::capacity).sum::<usize>(), 0);
    }

    #[test]
    fn a_far_timer_fires_early_and_a_long_pause_loses_nobody() {
        let mut wheel = Wheel::new(0);
        assert_eq!(wheel.set(1, 0, 1_000), 63);
        wheel.set(2, 0, 5);
        let mut due = wheel.due(500);
        due.sort_unstable();
        assert_eq!(due, [(1, 0), (2, 0)]);
        wheel.set(3, 0, 501);
        assert_eq!(wheel.due(501), [(3, 0)]);
    }
}
