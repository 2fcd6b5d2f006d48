//! What one client was told of one room over its whole life, however often its connection ended;
//! [`verdict`] holds it against the room's [`log`].

pub mod log;
pub mod message;
pub mod verdict;

use std::collections::HashSet;

use protocol::cursor::{Cursor, Seq};
use protocol::ids::EventId;

use crate::account::message::{Batch, Gap, Head, Joined};

/// One message that moved the client's cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// From here …
    pub from: Seq,
    /// … to here.
    pub to: Seq,
    /// The events that it brought, but for those that had come before.
    pub ids: Vec<EventId>,
    /// How many it says are missing: left out, or behind a gap.
    pub told_missing: u64,
}

/// What was told without a break: from a `joined` to the next one that does not go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub start: Cursor,
    /// Each begins where the last one ended.
    pub steps: Vec<Step>,
}

impl Stretch {
    /// Where it ends.
    pub fn end(&self) -> Seq {
        self.steps.last().map_or(self.start.seq, |step| step.to)
    }
}

/// The account of one client in one room.
#[derive(Debug, Default)]
pub struct Account {
    /// One, unless something could not be recovered.
    pub stretches: Vec<Stretch>,
    /// How many gaps were told.
    pub gaps: u64,
    /// Events that came again.
    pub repeats: Vec<EventId>,
    /// What no gateway may do, in words.
    pub faults: Vec<String>,
    seen: HashSet<EventId>,
}

/// Faults that are kept in words; further ones would say the same.
const FAULTS_MAX: usize = 20;

impl Account {
    /// Where the client is, and will go on.
    pub fn cursor(&self) -> Option<Cursor> {
        self.stretches.last().map(|last| last.start.at(last.end()))
    }

    /// Takes a `joined`. `since` is the cursor that was asked for.
    pub fn joined(&mut self, joined: &Joined, since: Option<Cursor>) {
        if joined.recovered == Some(true) && since.is_some() {
            let from = self.cursor().unwrap_or(joined.cursor);
            if since != Some(from) {
                self.fault(format!("recovered from {since:?}, asked from {from}"));
            }
            let left_out = joined.left_out.values().sum();
            return self.step("joined", from, joined.cursor, &joined.events, left_out);
        }
        // History lies before the cursor; it is not part of the account.
        self.seen.extend(joined.events.iter().map(|event| event.id));
        self.stretches.push(Stretch { start: joined.cursor, steps: Vec::new() });
    }

    /// Takes a batch.
    pub fn batch(&mut self, batch: &Batch) {
        let left_out = batch.left_out.values().sum();
        self.step("batch", batch.prev, batch.cursor, &batch.events, left_out);
    }

    /// Takes a gap. One that is expired, or leads into another numbering, begins a new stretch:
    /// nobody can count what is in it.
    pub fn gap(&mut self, gap: &Gap) {
        self.gaps += 1;
        if gap.from.epoch != gap.to.epoch || gap.reason == "expired" {
            return self.stretches.push(Stretch { start: gap.to, steps: Vec::new() });
        }
        self.step(&format!("gap ({})", gap.reason), gap.from, gap.to, &[], gap.count);
    }

    fn step(&mut self, what: &str, from: Cursor, to: Cursor, events: &[Head], missing: u64) {
        if self.cursor() != Some(from) || to.epoch != from.epoch || to.seq < from.seq {
            let was = self.cursor().map(|cursor| cursor.to_string()).unwrap_or_default();
            self.fault(format!("a {what} from {from} to {to} where {was} was the last"));
        }
        let mut ids = Vec::with_capacity(events.len());
        for event in events {
            if self.seen.insert(event.id) {
                ids.push(event.id);
            } else {
                self.repeats.push(event.id);
            }
        }
        let step = Step { from: from.seq, to: to.seq, ids, told_missing: missing };
        match self.stretches.last_mut() {
            Some(last) => last.steps.push(step),
            None => self.fault(format!("a {what} before any joined")),
        }
    }

    /// Notes what no gateway may do.
    pub fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}
