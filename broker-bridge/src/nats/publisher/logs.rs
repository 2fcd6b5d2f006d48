//! Which logs ack, as their publisher sees it: one that stays silent is down, and is probed until
//! it acks again.

use protocol::subject::{STREAMS, StreamIndex};

use super::{FLIGHT_MS_MAX, SILENCE_MS_MAX};

/// Between two probes of a log that is down.
const PROBE_EVERY_MS: u64 = 500;

/// How a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Up { acked_ms: u64 },
    Down { probe: u64, probed_ms: u64 },
}

/// All logs, by the number of their stream.
pub(super) struct Logs([Health; STREAMS as usize]);

impl Logs {
    /// All are up, as if they had just acked.
    pub(super) fn new(now_ms: u64) -> Self {
        Self([Health::Up { acked_ms: now_ms }; STREAMS as usize])
    }

    /// Whether all of them ack.
    pub(super) fn are_up(&self) -> bool {
        self.0.iter().all(|health| matches!(health, Health::Up { .. }))
    }

    /// When a log acked last; nothing if it is down.
    pub(super) fn acked_ms(&self, at: usize) -> Option<u64> {
        match self.0[at] {
            Health::Up { acked_ms } => Some(acked_ms),
            Health::Down { .. } => None,
        }
    }

    /// A log has acked a batch.
    pub(super) fn acked(&mut self, at: usize, now_ms: u64) {
        self.0[at] = Health::Up { acked_ms: now_ms };
    }

    /// The way to a log is new: what it did not ack before does not count.
    pub(super) fn pardon(&mut self, at: usize, now_ms: u64) {
        if let Health::Up { acked_ms } = &mut self.0[at] {
            *acked_ms = now_ms;
        }
    }

    /// Whether a batch that was first sent at a time waits in vain for its ack.
    pub(super) fn ignores(&self, at: usize, first_ms: u64, now_ms: u64) -> bool {
        self.acked_ms(at).is_none_or(|acked_ms| {
            acked_ms.max(first_ms) + SILENCE_MS_MAX <= now_ms || first_ms + FLIGHT_MS_MAX <= now_ms
        })
    }

    /// Whether a log that counts as up has been silent for too long to be.
    pub(super) fn is_silent(&self, at: usize, now_ms: u64) -> bool {
        self.acked_ms(at).is_some_and(|acked_ms| acked_ms + SILENCE_MS_MAX <= now_ms)
    }

    /// A log is down, and is probed under this counter.
    pub(super) fn probed(&mut self, at: usize, probe: u64, now_ms: u64) {
        self.0[at] = Health::Down { probe, probed_ms: now_ms };
    }

    /// A probe is acked. Returns whose it was: that log is up again.
    pub(super) fn probe_acked(&mut self, counter: u64, now_ms: u64) -> Option<usize> {
        let is_it =
            |health: &Health| matches!(health, Health::Down { probe, .. } if *probe == counter);
        let at = self.0.iter().position(is_it)?;
        self.acked(at, now_ms);
        Some(at)
    }

    /// The logs that are to be probed again.
    pub(super) fn due_for_a_probe(&self, now_ms: u64) -> Vec<StreamIndex> {
        let is_due = |stream: &StreamIndex| matches!(self.0[stream.number()], Health::Down { probed_ms, .. } if probed_ms + PROBE_EVERY_MS <= now_ms);
        StreamIndex::all().filter(is_due).collect()
    }

    /// When the next probe is due.
    pub(super) fn next_probe_ms(&self) -> Option<u64> {
        let due_ms = |health: &Health| match health {
            Health::Up { .. } => None,
            Health::Down { probed_ms, .. } => Some(probed_ms + PROBE_EVERY_MS),
        };
        self.0.iter().filter_map(due_ms).min()
    }
}
