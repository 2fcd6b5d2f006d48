//! The viewer's side of the account: the sums of what one viewer was given and told.
//!
//! A machine: messages in, sums and faults out. Whether they close against what was published is
//! decided in [`verdict`](crate::truth::verdict).

use ahash::AHashSet;

use crate::truth::life::{Join, Life};
use crate::truth::told::{CursorNo, EventNo, FOREIGN_OTHER, Kind, Told, is_own};

/// The sums of one unbroken stretch: from a `joined` that starts the account to now, or to the
/// `joined` that says that the stretch could not be continued.
#[derive(Debug)]
pub(crate) struct Span {
    /// When it began.
    pub(crate) join: Join,
    /// Own events, in order of receipt, each once.
    pub(crate) own: Vec<EventNo>,
    /// Events of others.
    pub(crate) foreign: u64,
    /// Whether one of them was chat.
    pub(crate) foreign_chat: bool,
    /// Σ `left_out` of chat.
    pub(crate) left_out_chat: u64,
    /// Σ `left_out` of all other classes.
    pub(crate) left_out_other: u64,
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
    /// Events that came again, and not as the beginning of a resume.
    pub(crate) duplicates: u64,
    /// Batches or gaps that did not begin where the one before them ended.
    pub(crate) chain_breaks: u64,
    /// Batches or gaps before the first `joined`.
    pub(crate) early: u64,
}

/// The account of one viewer in one room.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Its stretches; all but the last could not be continued.
    pub(crate) spans: Vec<Span>,
    /// Every event that this viewer got in any way.
    pub(crate) seen: AHashSet<EventNo>,
    /// Faults so far.
    pub(crate) faults: Faults,
    /// Joins that told everything missed in between.
    pub(crate) recoveries: u64,
    /// Events that a resume brought again, as the protocol allows.
    pub(crate) repeats: u64,
    cursor: Option<CursorNo>,
    /// Pieces of the log that were told, to know one that comes again.
    pieces: AHashSet<(CursorNo, CursorNo)>,
}

impl Account {
    /// The account of a life.
    pub(crate) fn of(life: &Life, told: &[Told]) -> Self {
        let mut account = Self::default();
        let mut joins = life.joins.iter();
        for no in &life.told {
            account.take(&told[*no as usize], &mut joins);
        }
        account
    }

    fn take<'a>(&mut self, told: &Told, joins: &mut impl Iterator<Item = &'a Join>) {
        match told.kind {
            Kind::Joined { recovered } => {
                let Some(join) = joins.next() else { return };
                self.joined(told, recovered == Some(true), *join);
            }
            Kind::Batch | Kind::Gap => self.piece(told),
        }
    }

    /// Takes a `joined`: the first starts the account, `recovered: true` continues it, anything
    /// else starts it anew.
    fn joined(&mut self, told: &Told, recovered: bool, join: Join) {
        self.cursor = Some(told.cursor);
        if recovered && !self.spans.is_empty() {
            self.recoveries += 1;
            self.add(told, Again::Allowed);
            return;
        }
        // History lies before the cursor: not part of the account, and not to come again.
        self.seen.extend(&told.events);
        self.spans.push(Span {
            join,
            own: Vec::new(),
            foreign: 0,
            foreign_chat: false,
            left_out_chat: 0,
            left_out_other: 0,
            gap: 0,
            held_at_join: told.held,
            held: told.held,
            held_ever: told.held > 0,
        });
    }

    /// Takes a batch or a gap.
    fn piece(&mut self, told: &Told) {
        if self.cursor.replace(told.cursor) != Some(told.prev) {
            self.faults.chain_breaks += 1;
        }
        if self.spans.is_empty() {
            self.faults.early += 1;
            return;
        }
        let is_new = told.prev == told.cursor || self.pieces.insert((told.prev, told.cursor));
        match is_new {
            true => self.add(told, Again::Fault),
            // What it tells has been told: adding it up again would hide what is missing.
            false => self.faults.duplicates += told.events.len() as u64,
        }
    }

    fn add(&mut self, told: &Told, again: Again) {
        let Some(span) = self.spans.last_mut() else { return };
        for event in &told.events {
            if !self.seen.insert(*event) {
                match again {
                    Again::Allowed => self.repeats += 1,
                    Again::Fault => self.faults.duplicates += 1,
                }
            } else if is_own(*event) {
                span.own.push(*event);
            } else {
                span.foreign += 1;
                span.foreign_chat |= event & FOREIGN_OTHER == 0;
            }
        }
        span.left_out_chat += told.left_out_chat;
        span.left_out_other += told.left_out_other;
        span.gap += told.gap;
        if told.kind != Kind::Gap {
            span.held = told.held;
            span.held_ever |= told.held > 0;
        }
    }
}

/// What an event is that comes again.
#[derive(Debug, Clone, Copy)]
enum Again {
    /// A resume may replay a slot that was seen in part.
    Allowed,
    /// Nothing else may.
    Fault,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::truth::told::FOREIGN;

    /// A message from one position of the log to another.
    pub(crate) fn told(kind: Kind, prev: u32, cursor: u32, events: &[EventNo]) -> Told {
        Told {
            kind,
            room: "a".into(),
            prev,
            cursor,
            cursor_text: "".into(),
            events: events.to_vec(),
            intended_us: Vec::new(),
            left_out_chat: 0,
            left_out_other: 0,
            gap: 0,
            held: 0,
            tick_ms: None,
        }
    }

    /// A `joined` at this position.
    pub(crate) fn joined(cursor: u32, recovered: Option<bool>, events: &[EventNo]) -> Told {
        told(Kind::Joined { recovered }, cursor, cursor, events)
    }

    /// A batch from one position to the next.
    pub(crate) fn batch(prev: u32, events: &[EventNo]) -> Told {
        told(Kind::Batch, prev, prev + 1, events)
    }

    /// A life that got all of these, with joins at 10, 20, 30 … µs that took 5 µs each.
    pub(crate) fn life(told: &[Told]) -> Life {
        let joins = told.iter().filter(|told| matches!(told.kind, Kind::Joined { .. })).count();
        let join = |n| Join { asked_us: 10 * n as u64 + 10, answered_us: 10 * n as u64 + 15 };
        Life {
            told: (0..told.len() as u32).collect(),
            joins: (0..joins).map(join).collect(),
            ..Life::default()
        }
    }

    fn account(told: &[Told]) -> Account {
        Account::of(&life(told), told)
    }

    #[test]
    fn batches_and_gaps_that_follow_each_other_are_added_up() {
        let gap = Told { gap: 3, ..told(Kind::Gap, 8, 9, &[]) };
        let last = Told { left_out_chat: 2, held: 1, ..batch(9, &[3]) };
        let account = account(&[joined(7, None, &[]), batch(7, &[1, FOREIGN]), gap, last]);
        let span = &account.spans[0];
        assert_eq!((span.own.as_slice(), span.foreign, span.foreign_chat), (&[1, 3][..], 1, true));
        assert_eq!((span.gap, span.left_out_chat, span.held), (3, 2, 1));
        assert_eq!(account.faults, Faults::default());
    }

    #[test]
    fn a_lost_batch_breaks_the_chain_once_and_swapped_ones_three_times() {
        let lost = account(&[joined(0, None, &[]), batch(1, &[2]), batch(2, &[3])]);
        assert_eq!(lost.faults, Faults { chain_breaks: 1, ..Faults::default() });
        let swapped =
            account(&[joined(0, None, &[]), batch(1, &[2]), batch(0, &[1]), batch(2, &[3])]);
        assert_eq!(swapped.faults, Faults { chain_breaks: 3, ..Faults::default() });
        assert_eq!(swapped.spans[0].own, [2, 1, 3]);
    }

    #[test]
    fn a_batch_that_comes_twice_counts_once() {
        let batch = Told { left_out_chat: 4, ..batch(0, &[1, 2]) };
        let account = account(&[joined(0, None, &[]), batch.clone(), batch]);
        assert_eq!(account.faults, Faults { duplicates: 2, chain_breaks: 1, early: 0 });
        assert_eq!(
            (account.spans[0].own.as_slice(), account.spans[0].left_out_chat),
            (&[1, 2][..], 4)
        );
    }

    #[test]
    fn an_event_in_two_batches_is_a_duplicate_and_in_a_resume_a_repeat() {
        let all = [
            joined(0, None, &[9]),
            batch(0, &[1, 1]),
            batch(1, &[9]),
            joined(5, Some(true), &[1, 4]),
        ];
        let account = account(&all);
        assert_eq!((account.faults.duplicates, account.repeats, account.recoveries), (2, 1, 1));
        assert_eq!((account.spans.len(), account.spans[0].own.as_slice()), (1, &[1, 4][..]));
    }

    #[test]
    fn without_recovery_a_new_stretch_begins() {
        let again = Told { held: 2, ..joined(5, Some(false), &[1, 2]) };
        let account = account(&[joined(0, None, &[]), batch(0, &[1]), again, batch(5, &[3])]);
        assert_eq!(account.spans.len(), 2);
        let span = &account.spans[1];
        assert_eq!((span.own.as_slice(), span.held_at_join, span.join.asked_us), (&[3][..], 2, 20));
        assert_eq!(account.faults, Faults::default(), "history may repeat what was received");
    }

    #[test]
    fn a_batch_without_a_join_is_early() {
        let account = account(&[batch(0, &[1])]);
        assert_eq!((account.faults.early, account.spans.len()), (1, 0));
    }
}
