//! The judgement: does what a client was told equal what the log holds?
//!
//! Over every unbroken stretch of a client's life
//!
//! > received from the log + told missing = events in the log,
//!
//! and every event comes once, at its place in the log. All of that is judged by what a witness
//! of the log has seen, not by what publishers were told: an event that nobody was told the fate
//! of comes in the order of the log like any other.
//!
//! The one exception are events that went out live, past a log that did not answer, as somebody
//! saw. They come where they are heard, to whoever is there. If one of them has entered the log
//! all the same (only its ack was lost, or it was published again under the same key), it may come
//! again at its place there to a client that was told of it elsewhere, and whoever joined between
//! the two may get it at neither. (Seen in full runs of the survival suite: after the crash of a
//! server up to a few dozen of some thousand live events are in the log too.) How many such events there were bounds what an account may be
//! off by.

use std::collections::HashSet;
use std::ops::{AddAssign, Range};

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
    /// Received events that are in no log, or at another place of it.
    pub live: u64,
    /// Received events of the log that had gone out live and came elsewhere than at their places.
    pub early: u64,
    /// Events that were told to be missing.
    pub told_missing: u64,
    /// Events that were told missing beyond what the log holds: live ones.
    pub beyond: u64,
    /// Events of the log that were neither received nor told missing, and had been live.
    pub between: u64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.owed += other.owed;
        self.received += other.received;
        self.live += other.live;
        self.early += other.early;
        self.told_missing += other.told_missing;
        self.beyond += other.beyond;
        self.between += other.between;
    }
}

/// What is wrong with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// So many events of the log were neither received nor told missing.
    Untold(u64),
    /// More were told missing than there can have been.
    OverTold(u64),
    /// An event came that is in no log and was not seen live.
    Unknown(EventId),
    /// An event came with a message that does not cover its place in the log.
    OutOfPlace(EventId),
    /// An event came after one that is behind it in the log.
    OutOfOrder(EventId),
    /// An event came again.
    Twice(EventId),
    /// What the account noted when it happened.
    Fault(String),
}

/// What is known of events beside the log.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The events that went out live: seen past the log, or acked so.
    pub live: HashSet<EventId>,
    /// How many events may or may not have gone out: refused, perhaps after they were sent, or
    /// never answered. What of them is in no log may be told as lost.
    pub uncertain: u64,
}

/// Judges the account of one client.
pub fn judge(account: &Account, log: &Log, evidence: &Evidence) -> (Sums, Vec<Finding>) {
    let mut sums = Sums::default();
    let mut findings: Vec<_> = account.faults.iter().cloned().map(Finding::Fault).collect();
    let repeats = account.repeats.iter().filter(|id| !evidence.live.contains(id));
    findings.extend(repeats.map(|id| Finding::Twice(*id)));
    for stretch in &account.stretches {
        sums += judge_stretch(stretch, log, evidence, &mut findings);
    }
    (sums, findings)
}

fn judge_stretch(
    stretch: &Stretch,
    log: &Log,
    evidence: &Evidence,
    findings: &mut Vec<Finding>,
) -> Sums {
    let owed = log.between(stretch.start.seq, stretch.end());
    let mut sums = Sums { owed: owed.len() as u64, ..Sums::default() };
    let mut next_place = 0;
    for step in &stretch.steps {
        let covered = log.between(step.from, step.to);
        sums.told_missing += step.told_missing;
        for id in &step.ids {
            let is_live = evidence.live.contains(id);
            let Some(place) = log.place(*id).filter(|at| !is_live || owed.contains(at)) else {
                sums.live += 1;
                if !is_live {
                    findings.push(Finding::Unknown(*id));
                }
                continue;
            };
            sums.received += 1;
            if is_live {
                sums.early += u64::from(!covered.contains(&place));
                continue;
            }
            if !covered.contains(&place) {
                findings.push(Finding::OutOfPlace(*id));
            } else if place < next_place {
                findings.push(Finding::OutOfOrder(*id));
            }
            next_place = next_place.max(place + 1);
        }
    }
    close(&mut sums, Doubt::of(stretch, log, &owed, evidence), findings);
    sums
}

/// By how much a stretch may be off.
struct Doubt {
    /// Events of the log that may not have been told, since they had gone out before.
    untold: u64,
    /// Events that may have been told missing and are in no log, or were told of twice.
    beyond: u64,
}

impl Doubt {
    fn of(stretch: &Stretch, log: &Log, owed: &Range<usize>, evidence: &Evidence) -> Self {
        let came: HashSet<_> = stretch.steps.iter().flat_map(|step| &step.ids).collect();
        let mut doubt = Self { untold: 0, beyond: evidence.uncertain };
        for id in &evidence.live {
            let is_owed = log.place(*id).is_some_and(|place| owed.contains(&place));
            let has_come = came.contains(id);
            doubt.untold += u64::from(is_owed && !has_come);
            doubt.beyond += u64::from(is_owed || !has_come);
        }
        doubt
    }
}

fn close(sums: &mut Sums, doubt: Doubt, findings: &mut Vec<Finding>) {
    let told = sums.received + sums.told_missing;
    sums.between = sums.owed.saturating_sub(told);
    sums.beyond = told.saturating_sub(sums.owed);
    if sums.between > doubt.untold {
        findings.push(Finding::Untold(sums.between - doubt.untold));
    }
    if sums.beyond > doubt.beyond {
        findings.push(Finding::OverTold(sums.beyond - doubt.beyond));
    }
}

#[cfg(test)]
mod tests;
