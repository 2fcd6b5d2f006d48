//! What all clients count together, by the fault that was on at the time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use protocol::ids::EventId;

/// Counts of one phase of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Connections that ended, and why.
    pub(crate) ends: BTreeMap<String, u64>,
    /// Rooms that were joined again with everything that was missed.
    pub(crate) recovered: u64,
    /// Rooms that were joined again without it, though nobody was away for long.
    pub(crate) not_recovered: u64,
    /// … after so long that more was missed than is told again.
    pub(crate) too_late: u64,
    /// How long each return took: from the end of a connection to both rooms.
    pub(crate) away: Vec<Duration>,
    /// Events that clients were told to be lost, each as often as it was told.
    pub(crate) told_lost: u64,
    /// The longest time in which no gateway acked an event as stored.
    pub(crate) silence: Duration,
    /// … in which any one gateway did not.
    pub(crate) silence_of_one: Duration,
    /// Events that were offered.
    pub(crate) offered: u64,
    /// … and acked as stored.
    pub(crate) stored: u64,
    /// … and acked as not stored.
    pub(crate) live: u64,
    /// … and refused, by code.
    pub(crate) refused: BTreeMap<String, u64>,
    /// … and never answered.
    pub(crate) unanswered: u64,
}

impl Phase {
    /// Rooms that were joined again with a cursor.
    pub(crate) fn returns(&self) -> u64 {
        self.recovered + self.not_recovered + self.too_late
    }

    /// How many of a thousand returns were complete.
    pub(crate) fn recovered_permille(&self) -> u64 {
        (self.recovered * 1_000).checked_div(self.returns()).unwrap_or(1_000)
    }

    /// How long returns took: the median, the 95th of a hundred, the longest.
    pub(crate) fn away_quantiles(&self) -> Option<[Duration; 3]> {
        let mut away = self.away.clone();
        away.sort_unstable();
        let last = away.len().checked_sub(1)?;
        Some([last / 2, last * 95 / 100, last].map(|at| away[at]))
    }
}

/// The counts of a run, written by many tasks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    now: AtomicUsize,
    phases: Mutex<Vec<Phase>>,
    acked: Mutex<Vec<(EventId, usize)>>,
    live: Mutex<HashSet<EventId>>,
    /// Danmaku of clients that have no answer yet.
    speaking: AtomicU64,
}

impl Tally {
    /// Begins the next phase.
    pub(crate) fn begin(&self) -> usize {
        let mut phases = self.phases.lock().unwrap();
        phases.push(Phase::default());
        self.now.store(phases.len() - 1, Ordering::Relaxed);
        phases.len() - 1
    }

    /// The phase that is on.
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Counts something in a phase.
    pub(crate) fn count(&self, phase: usize, change: impl FnOnce(&mut Phase)) {
        change(&mut self.phases.lock().unwrap()[phase]);
    }

    /// Notes events that were sent.
    pub(crate) fn offer(&self, phase: usize, events: u64) {
        self.count(phase, |phase| phase.offered += events);
    }

    /// Notes that a client waits for the answer to a danmaku.
    pub(crate) fn speak(&self) {
        self.speaking.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that it has it.
    pub(crate) fn spoken(&self) {
        self.speaking.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes an acked event.
    pub(crate) fn ack(&self, phase: usize, id: EventId, stored: bool) {
        match stored {
            true => self.acked.lock().unwrap().push((id, phase)),
            false => drop(self.live.lock().unwrap().insert(id)),
        }
        self.count(phase, |phase| match stored {
            true => phase.stored += 1,
            false => phase.live += 1,
        });
    }

    /// Notes a refusal.
    pub(crate) fn refuse(&self, phase: usize, code: &str) {
        self.count(phase, |phase| *phase.refused.entry(code.to_owned()).or_default() += 1);
    }

    /// The counts of a phase.
    pub(crate) fn phase(&self, phase: usize) -> Phase {
        self.phases.lock().unwrap()[phase].clone()
    }

    /// Everything that was acked as stored, and the phase in which it was offered.
    pub(crate) fn acked(&self) -> Vec<(EventId, usize)> {
        self.acked.lock().unwrap().clone()
    }

    /// Everything that was acked as sent live.
    pub(crate) fn live(&self) -> HashSet<EventId> {
        self.live.lock().unwrap().clone()
    }

    /// How many events may or may not have gone out: refused since the log could not be reached,
    /// perhaps after they were sent there, or never answered.
    pub(crate) fn uncertain(&self) -> u64 {
        let phases = self.phases.lock().unwrap();
        let of = |phase: &Phase| {
            phase.unanswered + phase.refused.get("unavailable").copied().unwrap_or(0)
        };
        let told: u64 = phases.iter().map(of).sum();
        told + self.speaking.load(Ordering::Relaxed)
    }
}
