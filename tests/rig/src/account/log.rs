//! A room's log as it is kept: the truth that accounts are judged by.

use std::collections::HashMap;
use std::ops::Range;

use protocol::cursor::Seq;
use protocol::ids::EventId;

/// The events of a room in the order of its log, each once: a repeat of an event is no event.
#[derive(Debug, Default)]
pub struct Log {
    seqs: Vec<Seq>,
    places: HashMap<EventId, usize>,
}

impl Log {
    /// Appends an entry. Entries come in the order of their numbers.
    ///
    /// # Panics
    /// It does not.
    pub fn append(&mut self, seq: Seq, ids: impl IntoIterator<Item = EventId>) {
        assert!(self.seqs.last().is_none_or(|last| *last <= seq), "a log only grows");
        for id in ids {
            let place = self.seqs.len();
            if *self.places.entry(id).or_insert(place) == place {
                self.seqs.push(seq);
            }
        }
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.seqs.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    /// Where an event is, if it is there.
    pub fn place(&self, id: EventId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// All of its events, in no order.
    pub fn ids(&self) -> impl Iterator<Item = EventId> {
        self.places.keys().copied()
    }

    /// The places of the events after one number, up to and including another.
    pub fn between(&self, after: Seq, upto: Seq) -> Range<usize> {
        let before = |bound: Seq| self.seqs.partition_point(|seq| *seq <= bound);
        before(after)..before(upto).max(before(after))
    }
}
