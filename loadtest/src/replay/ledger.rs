//! The publisher's side of the account: which events the server API has acked for this run, and
//! in which order they can have happened.
//!
//! Several requests are in flight at once, so the run's own events have only a partial order. It
//! is kept in steps: a count that rises with every request sent and every answer received. An
//! event happened between the step at which it was first sent and the step at which it was acked;
//! of two events whose spans do not overlap it is known which came first.

use std::collections::HashMap;
use std::sync::Arc;

/// A point in the order of requests and answers; 0 is before the first request.
pub(crate) type Step = u64;

/// An event of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    /// It did not happen before this step.
    pub(crate) from: Step,
    /// It had happened at this step.
    pub(crate) to: Step,
    /// Its place among the events of the same request, if only that request can have made it.
    pub(crate) place: Option<usize>,
}

/// Everything that this run has published.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    events: HashMap<Arc<str>, Own>,
    step: Step,
    repeated_ids: u64,
}

impl Ledger {
    /// The step that has been reached.
    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// Begins the next step.
    pub(crate) fn advance(&mut self) -> Step {
        self.step += 1;
        self.step
    }

    /// Enters an acked event. An id that was entered before is counted: it was given out twice.
    pub(crate) fn enter(&mut self, id: Arc<str>, own: Own) {
        if self.events.insert(id, own).is_some() {
            self.repeated_ids += 1;
        }
    }

    /// How many different events were acked.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// How many acks carried the id of an event acked before.
    pub(crate) fn repeated_ids(&self) -> u64 {
        self.repeated_ids
    }

    /// The event of this id, if this run published it.
    pub(crate) fn find(&self, id: &str) -> Option<&Own> {
        self.events.get(id)
    }

    /// Every event.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Own)> {
        self.events.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_given_out_twice_is_one_event_and_is_told() {
        let mut ledger = Ledger::default();
        let own = Own { from: ledger.advance(), to: ledger.advance(), place: None };
        ledger.enter("a".into(), own);
        ledger.enter("b".into(), own);
        ledger.enter("a".into(), own);
        assert_eq!((ledger.len(), ledger.repeated_ids()), (2, 1));
        assert_eq!(ledger.find("b"), Some(&own));
        assert_eq!(ledger.find("c"), None);
    }
}
