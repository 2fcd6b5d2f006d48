//! Which events of each publisher have come, by the running counts in its batches, and so how many
//! never will.
//!
//! In: batches, as they are delivered. Out: how many events are lost. A publisher stores one batch
//! after another, and the log keeps their order; so once a later one of it has come from the log,
//! what is still missing was in no log, and is lost. A live batch says nothing of what was stored
//! before it: that may still be on its way.

use std::ops::Range;

use protocol::envelope::Batch;
use protocol::ids::BootId;

/// Publishers that are remembered: twice the gateways of the largest fabric thought of.
const PUBLISHERS_MAX: usize = 1_024;
/// Pieces of one publisher that came live behind something that is missing: more than it sends
/// in the seconds that a log needs for another leader.
const AHEAD_MAX: usize = 256;

/// What has come of all publishers.
#[derive(Debug, Default)]
pub(super) struct Told {
    publishers: Vec<Publisher>,
}

#[derive(Debug)]
struct Publisher {
    boot: BootId,
    /// The newest batch.
    counter: u64,
    /// Every event before this one has come, or was told as lost.
    next: u64,
    /// What has come live beyond, ascending.
    ahead: Vec<Range<u64>>,
}

impl Told {
    /// A batch comes from the log, in its order. Returns how many events of its publisher are lost
    /// before it.
    pub(super) fn stored(&mut self, batch: &Batch) -> u64 {
        let Some(publisher) = self.known(batch) else { return 0 };
        let missing = publisher.settle(batch.first);
        publisher.next = publisher.next.max(end(batch));
        missing
    }

    /// A batch comes live. Returns how many events of its publisher are taken for lost before it;
    /// `None` if it was itself, before it came.
    pub(super) fn live(&mut self, batch: &Batch) -> Option<u64> {
        let Some(publisher) = self.known(batch) else { return Some(0) };
        if batch.first < publisher.next {
            return None;
        }
        let at = publisher.ahead.partition_point(|piece| piece.start < batch.first);
        publisher.ahead.insert(at, batch.first..end(batch));
        let is_full = publisher.ahead.len() > AHEAD_MAX;
        Some(if is_full { publisher.settle(batch.first) } else { 0 })
    }

    /// The publisher of a batch; `None` if nothing can be missing before this batch, since it is
    /// the first that is known, or its publisher has forgotten the room and counts from 0 again.
    fn known(&mut self, batch: &Batch) -> Option<&mut Publisher> {
        let Some(at) = self.publishers.iter().position(|known| known.boot == batch.from) else {
            if self.publishers.len() == PUBLISHERS_MAX {
                self.publishers.remove(0);
            }
            self.publishers.push(Publisher::new(batch));
            return None;
        };
        let known = &mut self.publishers[at];
        if batch.first == 0 && batch.counter > known.counter {
            *known = Publisher::new(batch);
            return None;
        }
        known.counter = known.counter.max(batch.counter);
        Some(known)
    }
}

impl Publisher {
    fn new(batch: &Batch) -> Self {
        Self { boot: batch.from, counter: batch.counter, next: end(batch), ahead: Vec::new() }
    }

    /// Everything before this has come or never will; returns how many never will.
    fn settle(&mut self, upto: u64) -> u64 {
        let mut missing = 0;
        for piece in self.ahead.extract_if(.., |piece| piece.start < upto) {
            missing += piece.start.saturating_sub(self.next);
            self.next = self.next.max(piece.end);
        }
        missing += upto.saturating_sub(self.next);
        self.next = self.next.max(upto);
        missing
    }
}

fn end(batch: &Batch) -> u64 {
    batch.first + batch.events.len() as u64
}
