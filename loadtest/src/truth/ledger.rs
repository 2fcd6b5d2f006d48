//! The publishers' side of the account: what was published into each room, and when.
//!
//! Many connections publish at once, so the events of a run have only a partial order: an event
//! happened between the moment when it was first sent and the moment when it was acked. Of two
//! events whose spans do not overlap it is known which came first, and so it is of two events of
//! one speaker, whose connection keeps their order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::truth::told::EventNo;

/// What became of an event that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// Published.
    Acked,
    /// Nobody knows whether it was published.
    Unanswered,
}

/// An event of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    /// Its number.
    pub(crate) number: EventNo,
    /// It did not happen before this moment, in µs since 1970.
    pub(crate) from_us: u64,
    /// It had happened at this moment, if it was published.
    pub(crate) to_us: u64,
    /// Who published it: events of one speaker keep their order.
    pub(crate) speaker: u32,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// What was published into one room.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomLedger {
    events: BTreeMap<EventNo, Own>,
    /// Sorted `to_us` of what was acked.
    #[serde(skip)]
    ended: Vec<u64>,
    /// Sorted `from_us` of everything.
    #[serde(skip)]
    begun: Vec<u64>,
}

impl RoomLedger {
    /// Enters an event.
    pub(crate) fn enter(&mut self, own: Own) {
        self.events.insert(own.number, own);
    }

    /// Takes over what another part of the run has published.
    pub(crate) fn merge(&mut self, other: Self) {
        self.events.extend(other.events);
    }

    /// Closes the ledger: it can be asked for ranks from now on.
    pub(crate) fn close(&mut self) {
        self.begun = self.events.values().map(|own| own.from_us).collect();
        self.begun.sort_unstable();
        let acked = self.events.values().filter(|own| own.fate == Fate::Acked);
        self.ended = acked.map(|own| own.to_us).collect();
        self.ended.sort_unstable();
    }

    /// What a moment is to this ledger: how many events had been acked before it, and how many
    /// had been sent. Two moments of equal rank are the same to every account.
    pub(crate) fn rank(&self, asked_us: u64, answered_us: u64) -> (usize, usize) {
        let before = self.ended.partition_point(|to| *to < asked_us);
        (before, self.begun.partition_point(|from| *from <= answered_us))
    }

    /// The event of this number.
    pub(crate) fn find(&self, number: EventNo) -> Option<&Own> {
        self.events.get(&number)
    }

    /// Every event.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Own> {
        self.events.values()
    }

    /// How many events were surely published.
    pub(crate) fn acked(&self) -> u64 {
        self.iter().filter(|own| own.fate == Fate::Acked).count() as u64
    }
}
