//! The judgement: does what a client was told equal what the log holds?
//!
//! Over every unbroken stretch of a client's life
//!
//! > received from the log + told missing = events in the log,
//!
//! but for events that were never stored: those that came are known, since they are not in the
//! log, and of those that were told missing there are at most as many as were published.
//!
//! An event that was not acked as stored may have gone out live, past the log, and have entered
//! the log all the same (its first ack was lost): it counts as received, wherever it came.

use std::collections::HashSet;
use std::ops::AddAssign;

use protocol::ids::EventId;

use crate::account::log::Log;
use crate::account::{Account, Stretch};

/// What was compared, over any number of stretches.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Events in the log from the beginnings to the ends.
    pub owed: u64,
    /// Those that were received.
    pub received: u64,
    /// Received events that are not in the log.
    pub live: u64,
    /// Events that were told to be missing.
    pub told_missing: u64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.owed += other.owed;
        self.received += other.received;
        self.live += other.live;
        self.told_missing += other.told_missing;
    }
}

/// What is wrong with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// So many events of the log were neither received nor told missing.
    Untold(u64),
    /// More were told missing than there can have been.
    OverTold(u64),
    /// An event came with a message that does not cover its place in the log.
    OutOfPlace(EventId),
    /// An event came after one that is behind it in the log.
    OutOfOrder(EventId),
    /// What the account noted when it happened.
    Fault(String),
}

/// What publishers were told.
#[derive(Debug)]
pub struct Acks {
    /// The events that were acked as stored: these come at their places in the log.
    pub stored: HashSet<EventId>,
    /// How many events can have been published and are not in the log.
    pub unstored_max: u64,
}

impl Acks {
    /// Everything in the log was acked as stored, and nothing was published past it.
    pub fn all(log: &Log) -> Self {
        Self { stored: log.ids().collect(), unstored_max: 0 }
    }
}

/// Judges the account of one client.
pub fn judge(account: &Account, log: &Log, acks: &Acks) -> (Sums, Vec<Finding>) {
    let mut sums = Sums::default();
    let mut findings: Vec<_> = account.faults.iter().cloned().map(Finding::Fault).collect();
    for stretch in &account.stretches {
        sums += judge_stretch(stretch, log, acks, &mut findings);
    }
    (sums, findings)
}

fn judge_stretch(stretch: &Stretch, log: &Log, acks: &Acks, findings: &mut Vec<Finding>) -> Sums {
    let mut sums = Sums::default();
    let mut next_place = 0;
    for step in &stretch.steps {
        let covered = log.between(step.from, step.to);
        for id in &step.ids {
            let Some(place) = log.place(*id) else {
                sums.live += 1;
                continue;
            };
            sums.received += 1;
            if !acks.stored.contains(id) {
                continue;
            }
            if !covered.contains(&place) {
                findings.push(Finding::OutOfPlace(*id));
            } else if place < next_place {
                findings.push(Finding::OutOfOrder(*id));
            }
            next_place = next_place.max(place + 1);
        }
        sums.told_missing += step.told_missing;
    }
    sums.owed = log.between(stretch.start.seq, stretch.end()).len() as u64;
    let told = sums.received + sums.told_missing;
    if told < sums.owed {
        findings.push(Finding::Untold(sums.owed - told));
    } else if told - sums.owed > acks.unstored_max {
        findings.push(Finding::OverTold(told - sums.owed - acks.unstored_max));
    }
    sums
}

/// Which events were acked as stored and are not in the log.
pub fn lost(acked: &[EventId], log: &Log) -> Vec<EventId> {
    acked.iter().copied().filter(|id| log.place(*id).is_none()).collect()
}

#[cfg(test)]
mod tests;
