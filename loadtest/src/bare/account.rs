//! What was measured of one side: turns, added up to values.

use std::time::Duration;

use crate::bare::side::Round;

/// One frame to everybody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// The size of the frame.
    pub(crate) bytes: u32,
    /// From the first byte that somebody had to the last.
    pub(crate) spread: Duration,
    /// From the order to the last byte.
    pub(crate) took: Duration,
    /// Run time of the server's threads.
    pub(crate) cpu: Duration,
}

impl Turn {
    /// A turn; none if there was more than one frame in it.
    pub(crate) fn of_one_frame(round: &Round, cpu: Duration) -> Option<Self> {
        let spread = Duration::from_micros(round.seen.spread_us);
        let turn = Self { bytes: round.seen.bytes, spread, took: round.took, cpu };
        (round.seen.frames == 1).then_some(turn)
    }
}

/// The turns of one value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    frames: u64,
    spread: Duration,
    took: Duration,
    cpu: Duration,
}

impl Account {
    /// Adds a turn with so many connections.
    pub(crate) fn add(&mut self, turn: &Turn, connections: u32) {
        self.frames += u64::from(connections);
        self.spread += turn.spread;
        self.took += turn.took;
        self.cpu += turn.cpu;
    }

    /// Frames per second, from the order to the last byte.
    pub(crate) fn frames_per_s(&self) -> f64 {
        self.frames as f64 / self.took.as_secs_f64()
    }

    /// Frames per second, from the first byte to the last.
    pub(crate) fn spread_frames_per_s(&self) -> f64 {
        self.frames as f64 / self.spread.as_secs_f64()
    }

    /// Microseconds of server CPU per frame.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.frames as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_add_up() {
        let ms = Duration::from_millis;
        let mut account = Account::default();
        for took in [60, 140] {
            let turn = Turn { bytes: 200, spread: ms(took - 20), took: ms(took), cpu: ms(70) };
            account.add(&turn, 10_000);
        }
        assert!((account.frames_per_s() - 100_000.0).abs() < 1e-6);
        assert!((account.spread_frames_per_s() - 125_000.0).abs() < 1e-6);
        assert!((account.cpu_us() - 7.0).abs() < 1e-9);
    }
}
