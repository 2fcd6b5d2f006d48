//! What all clients count together, by the fault that was on at the time.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use protocol::ids::EventId;

/// Counts of one phase of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Connections that ended, and why.
    pub(crate) ends: BTreeMap<String, u64>,
    /// Rooms that were joined again with everything that was missed.
    pub(crate) recovered: u64,
    /// Rooms that were joined again without it.
    pub(crate) not_recovered: u64,
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
    /// How many of a thousand returns were complete.
    pub(crate) fn recovered_permille(&self) -> u64 {
        let returns = self.recovered + self.not_recovered;
        (self.recovered * 1_000).checked_div(returns).unwrap_or(1_000)
    }
}

/// The counts of a run, written by many tasks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    now: AtomicUsize,
    phases: Mutex<Vec<Phase>>,
    acked: Mutex<Vec<EventId>>,
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
        if stored {
            self.acked.lock().unwrap().push(id);
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

    /// Everything that was acked as stored.
    pub(crate) fn acked(&self) -> Vec<EventId> {
        self.acked.lock().unwrap().clone()
    }

    /// How many events can have been published and be in no log: those that were acked so, and
    /// those whose fate nobody was told.
    pub(crate) fn unstored_max(&self) -> u64 {
        let phases = self.phases.lock().unwrap();
        let told: u64 = phases.iter().map(|phase| phase.live + phase.unanswered).sum();
        told + self.speaking.load(Ordering::Relaxed)
    }
}
