//! The viewer's side of the account: what one viewer of one room has been given and told.
//!
//! A machine: messages in, sums and faults out. Whether they close against what was published is
//! decided in [`verdict`](crate::replay::verdict).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use protocol::event::Class;

use crate::replay::ledger::Step;
use crate::wire::message::{Batch, EventHead, Gap, Joined, LeftOut};

/// An event as this viewer got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Its id.
    pub(crate) id: Arc<str>,
    /// Its class.
    pub(crate) class: Class,
    /// From the server's time of acceptance to receipt by our clock, in milliseconds; negative
    /// if the clocks differ. None if it came after a broken connection: then it says how long
    /// the viewer was away.
    pub(crate) latency_ms: Option<i64>,
}

/// The sums of one unbroken stretch: from a `joined` that starts the account to now, or to the
/// `joined` that says that the stretch could not be continued.
#[derive(Debug, Default)]
pub(crate) struct Span {
    /// What the publisher sent after this step happened after the stretch began.
    pub(crate) since: Step,
    /// Events, in order of receipt, each id once.
    pub(crate) received: Vec<Received>,
    /// Σ `left_out`.
    pub(crate) left_out: LeftOut,
    /// Σ `gap.count`.
    pub(crate) gap: u64,
    /// `held` when it began.
    pub(crate) held_at_join: u64,
    /// `held` as last told.
    pub(crate) held: u64,
    /// Whether `held` was ever above zero.
    pub(crate) held_ever: bool,
}

/// What no gateway should ever do; each with how often.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Faults {
    /// An event came twice.
    pub(crate) duplicates: u64,
    /// The id of the first of them.
    pub(crate) first_duplicate: Option<Arc<str>>,
    /// A batch or gap did not begin where the one before it ended.
    pub(crate) chain_breaks: u64,
    /// The first of them, in words.
    pub(crate) first_chain_break: Option<String>,
    /// A message was not what the protocol says.
    pub(crate) malformed: u64,
    /// The first of them, in words.
    pub(crate) first_malformed: Option<String>,
}

/// The account of one viewer in one room.
#[derive(Debug, Default)]
pub(crate) struct Account {
    spans: Vec<Span>,
    seen: HashSet<Arc<str>>,
    cursor: Option<String>,
    /// Faults so far.
    pub(crate) faults: Faults,
    /// Batches received.
    pub(crate) batches: u64,
    /// Gaps received, by reason.
    pub(crate) gaps: BTreeMap<String, u64>,
    /// Times that the connection broke.
    pub(crate) breaks: u64,
    /// Times that everything missed in between was told.
    pub(crate) recoveries: u64,
    /// The last slot length told, in milliseconds.
    pub(crate) tick_ms: Option<u64>,
    /// Why this viewer has given up, if it has.
    pub(crate) failed: Option<String>,
}

impl Account {
    /// Takes a `joined`: the first starts the account, `recovered: true` continues it, anything
    /// else starts it anew. `step` is what the publisher has reached.
    pub(crate) fn joined(&mut self, joined: &Joined, step: Step) {
        self.tick_ms = joined.tick_ms.or(self.tick_ms);
        self.cursor = Some(joined.cursor.clone());
        if joined.recovered == Some(true) && !self.spans.is_empty() {
            self.recoveries += 1;
            self.take(&joined.events, &joined.left_out, joined.held, None);
            return;
        }
        // History lies before the cursor: not part of the account, and not to come again.
        self.seen.extend(joined.events.iter().map(|event| event.id.clone()));
        self.spans.push(Span {
            since: step,
            held_at_join: joined.held,
            held: joined.held,
            held_ever: joined.held > 0,
            ..Span::default()
        });
    }

    /// Takes a batch.
    pub(crate) fn batch(&mut self, batch: &Batch, unix_ms: u64) {
        self.batches += 1;
        self.follow("batch", &batch.prev, &batch.cursor);
        self.take(&batch.events, &batch.left_out, batch.held, Some(unix_ms));
    }

    /// Takes a gap.
    pub(crate) fn gap(&mut self, gap: &Gap) {
        self.follow("gap", &gap.from, &gap.to);
        *self.gaps.entry(gap.reason.clone()).or_default() += 1;
        if let Some(span) = self.spans.last_mut() {
            span.gap += gap.count;
        }
    }

    /// Notes a message that is not one.
    pub(crate) fn malformed(&mut self, what: String) {
        self.faults.malformed += 1;
        self.faults.first_malformed.get_or_insert(what);
    }

    /// Whether the viewer has been in the room.
    pub(crate) fn has_joined(&self) -> bool {
        !self.spans.is_empty()
    }

    /// Whether this viewer was given this event.
    pub(crate) fn has_seen(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// How many events were received or told as missing in the last stretch.
    pub(crate) fn told(&self) -> u64 {
        self.spans.last().map_or(0, |span| {
            span.received.len() as u64 + span.left_out.values().sum::<u64>() + span.gap
        })
    }

    /// The stretch that is judged: the last.
    pub(crate) fn span(&self) -> Option<&Span> {
        self.spans.last()
    }

    /// Every stretch.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn follow(&mut self, what: &str, prev: &str, cursor: &str) {
        let expected = self.cursor.replace(cursor.to_owned());
        if expected.as_deref() == Some(prev) {
            return;
        }
        self.faults.chain_breaks += 1;
        self.faults.first_chain_break.get_or_insert_with(|| {
            let expected = expected.as_deref().unwrap_or("nothing");
            format!("a {what} follows {prev} where {expected} was the last")
        });
    }

    /// Takes events and counts; `live_ms` is the time of receipt if they came as they happened.
    fn take(&mut self, events: &[EventHead], left_out: &LeftOut, held: u64, live_ms: Option<u64>) {
        let Some(span) = self.spans.last_mut() else { return };
        for event in events {
            if !self.seen.insert(event.id.clone()) {
                self.faults.duplicates += 1;
                self.faults.first_duplicate.get_or_insert_with(|| event.id.clone());
                continue;
            }
            span.received.push(Received {
                id: event.id.clone(),
                class: event.class(),
                latency_ms: live_ms
                    .map(|now_ms| now_ms.cast_signed().saturating_sub(event.ts.cast_signed())),
            });
        }
        for (class, count) in left_out {
            *span.left_out.entry(class.clone()).or_default() += count;
        }
        span.held = held;
        span.held_ever |= held > 0;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::message::tests::chat;

    /// A `joined` at this position.
    pub(crate) fn joined(cursor: u64) -> Joined {
        Joined {
            room: "demo".into(),
            cursor: format!("e:{cursor}"),
            recovered: None,
            events: Vec::new(),
            left_out: LeftOut::new(),
            held: 0,
            tick_ms: Some(250),
        }
    }

    /// A batch from one position to the next.
    pub(crate) fn batch(prev: u64, events: Vec<EventHead>) -> Batch {
        Batch {
            room: "demo".into(),
            prev: format!("e:{prev}"),
            cursor: format!("e:{}", prev + 1),
            events,
            left_out: LeftOut::new(),
            held: 0,
        }
    }

    /// A gap from one position to the next.
    pub(crate) fn gap(from: u64, count: u64) -> Gap {
        let (from, to) = (format!("e:{from}"), format!("e:{}", from + 1));
        Gap { room: "demo".into(), from, to, count, reason: "slow".into() }
    }

    fn ids(span: &Span) -> Vec<&str> {
        span.received.iter().map(|received| &*received.id).collect()
    }

    #[test]
    fn batches_and_gaps_that_follow_each_other_are_added_up() {
        let mut account = Account::default();
        account.joined(&joined(7), 0);
        account.batch(&batch(7, vec![chat("a"), chat("b")]), 1_005);
        account.gap(&gap(8, 3));
        let mut last = batch(9, vec![chat("c")]);
        last.left_out = LeftOut::from([("chat".into(), 2)]);
        account.batch(&last, 999);

        let span = account.span().unwrap();
        assert_eq!(ids(span), ["a", "b", "c"]);
        assert_eq!(span.received[0].latency_ms, Some(5));
        assert_eq!(span.received[2].latency_ms, Some(-1));
        assert_eq!((span.gap, span.left_out["chat"]), (3, 2));
        assert_eq!((account.batches, account.gaps["slow"]), (2, 1));
        assert_eq!(account.faults, Faults::default());
    }

    #[test]
    fn a_batch_that_does_not_follow_is_a_chain_break() {
        let mut account = Account::default();
        account.joined(&joined(0), 0);
        account.batch(&batch(1, vec![chat("b")]), 0);
        account.batch(&batch(0, vec![chat("a")]), 0);
        account.batch(&batch(2, vec![chat("c")]), 0);
        assert_eq!(account.faults.chain_breaks, 3);
        assert_eq!(
            account.faults.first_chain_break.as_deref(),
            Some("a batch follows e:1 where e:0 was the last")
        );
        assert_eq!(ids(account.span().unwrap()), ["b", "a", "c"], "the events still count");
    }

    #[test]
    fn an_event_that_comes_twice_is_received_once_and_a_fault() {
        let mut account = Account::default();
        let mut first = joined(0);
        first.events = vec![chat("old")];
        account.joined(&first, 0);
        account.batch(&batch(0, vec![chat("a"), chat("a")]), 0);
        account.batch(&batch(1, vec![chat("a"), chat("old")]), 0);
        assert_eq!(ids(account.span().unwrap()), ["a"]);
        assert_eq!(account.faults.duplicates, 3);
        assert_eq!(account.faults.first_duplicate.as_deref(), Some("a"));
    }

    #[test]
    fn a_recovery_continues_the_account() {
        let mut account = Account::default();
        account.joined(&joined(0), 0);
        account.batch(&batch(0, vec![chat("a")]), 0);
        let mut again = joined(5);
        again.recovered = Some(true);
        again.events = vec![chat("b")];
        again.left_out = LeftOut::from([("chat".into(), 4)]);
        account.joined(&again, 9);
        account.batch(&batch(5, vec![chat("c")]), 0);
        let span = account.span().unwrap();
        assert_eq!((ids(span), span.left_out["chat"], span.since), (vec!["a", "b", "c"], 4, 0));
        assert_eq!((account.spans().len(), account.recoveries), (1, 1));
        assert_eq!(span.received[1].latency_ms, None, "b is late because we were away");
        assert_eq!(account.faults, Faults::default());
    }

    #[test]
    fn without_recovery_the_account_starts_anew() {
        let mut account = Account::default();
        account.joined(&joined(0), 0);
        account.batch(&batch(0, vec![chat("a")]), 0);
        let mut again = joined(5);
        again.recovered = Some(false);
        again.events = vec![chat("a"), chat("b")];
        again.held = 2;
        account.joined(&again, 9);
        let span = account.span().unwrap();
        assert_eq!((ids(span), span.since, span.held_at_join), (vec![], 9, 2));
        assert_eq!((account.spans().len(), account.recoveries), (2, 0));
        assert_eq!(account.faults, Faults::default(), "history may repeat what was received");
    }
}
