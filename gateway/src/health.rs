//! Whether the loops of this gateway turn, and whether clients may come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker_bridge::Status;
use tokio::sync::watch;

use crate::now::Now;

/// A loop that has not turned for this long is stuck: loops turn at least once a second.
const STUCK: Duration = Duration::from_secs(5);

/// Set by a loop at every turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub(crate) fn beat(&self, now: Now) {
        self.0.store(now.mono.as_millis() as u64, Ordering::Relaxed);
    }

    fn is_stuck(&self, now: Now) -> bool {
        let beat = Duration::from_millis(self.0.load(Ordering::Relaxed));
        now.mono.saturating_sub(beat) > STUCK
    }
}

/// Where a gateway is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The canary has not come back yet.
    Starting,
    /// Clients may come.
    Ready,
    /// Clients are told to go elsewhere.
    Draining,
}

/// The health of a gateway.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    stage: watch::Sender<Stage>,
    pulses: Vec<Pulse>,
    broker: watch::Receiver<Status>,
}

impl Health {
    pub(crate) fn new(pulses: Vec<Pulse>, broker: watch::Receiver<Status>) -> Self {
        Self { stage: watch::Sender::new(Stage::Starting), pulses, broker }
    }

    /// What the broker can do at the moment.
    pub(crate) fn broker(&self) -> Status {
        *self.broker.borrow()
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The stage, to be waited for.
    pub(crate) fn stages(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// How many loops have not turned lately.
    pub(crate) fn stuck_loops(&self, now: Now) -> usize {
        self.pulses.iter().filter(|pulse| pulse.is_stuck(now)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_is_found() {
        let (turning, standing) = (Pulse::default(), Pulse::default());
        let health = Health::new(vec![turning.clone(), standing], watch::channel(Status::WELL).1);
        let now = Now { mono: Duration::from_secs(6), unix_ms: 0 };
        turning.beat(now);
        assert_eq!(health.stuck_loops(now), 1);
    }
}
