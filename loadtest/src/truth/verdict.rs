//! The judgement: does what a viewer was given and told equal what was published?
//!
//! The protocol promises, over everything after a viewer's `joined`:
//!
//! > received + Σ left_out + Σ gap.count + held now − held at join = published
//!
//! Received and published are known by number, so they are compared by number: the run's **own**
//! events that this viewer never got are `missing`, and each of them must have been told. What was
//! told has no names, only counts, so how much can be said depends on who else was in the room:
//!
//! | others | judged |
//! | --- | --- |
//! | no sign of any | `missing` = left out + gaps + held now − held at join + received of it: the promise itself |
//! | seen, but no chat of theirs | left out chat ≤ `missing` ≤ left out chat + gaps |
//! | seen with chat | `missing` ≤ left out chat + gaps |
//!
//! What is received of the events that were held at the join was published before it, and pays back
//! what the join had told.
//!
//! An event that was on its way while the viewer joined may lie before or after its cursor, and
//! one that was never answered may not exist: both are `uncertain`. `missing` then has a lower and
//! an upper bound, and each comparison takes the one that can be proven. A viewer that was in
//! before the first event has nothing uncertain. A stretch that could not be continued is judged
//! up to the last event of it that was received.

use std::collections::HashMap;

use crate::truth::account::{Account, Span};
pub(crate) use crate::truth::balance::{Rule, Sums};
use crate::truth::ledger::{Fate, RoomLedger};
use crate::truth::told::EventNo;

/// What is to be known of a life beside its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    /// This run publishes nothing but chat: any other class is a sign of others.
    pub(crate) only_chat: bool,
    /// The viewer was away at the end, so its last stretch has an end of its own.
    pub(crate) ended: bool,
}

/// The judgement of one life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How it was judged: the weakest rule of its stretches.
    pub(crate) rule: Rule,
    /// What was compared.
    pub(crate) sums: Sums,
    /// Own events that were neither received nor told.
    pub(crate) lost: u64,
    /// Events told as missing that are not.
    pub(crate) over_told: u64,
    /// Events that came twice.
    pub(crate) duplicates: u64,
    /// Batches or gaps that do not follow each other.
    pub(crate) chain_breaks: u64,
    /// Own events that came after events that were published later.
    pub(crate) disorder: u64,
    /// Joins that told everything missed in between.
    pub(crate) recoveries: u64,
    /// Events that a resume brought again, as it may.
    pub(crate) repeats: u64,
    /// Joins after the first that had to start anew.
    pub(crate) restarts: u64,
    /// Whether the viewer was ever in.
    pub(crate) joined: bool,
}

impl Verdict {
    /// Judges an account.
    pub(crate) fn of(account: &Account, ledger: &RoomLedger, terms: Terms) -> Self {
        let mut verdict = Self {
            rule: Rule::Exact,
            sums: Sums::default(),
            lost: 0,
            over_told: 0,
            duplicates: account.faults.duplicates,
            chain_breaks: account.faults.chain_breaks + account.faults.early,
            disorder: 0,
            recoveries: account.recoveries,
            repeats: account.repeats,
            restarts: account.spans.len().saturating_sub(1) as u64,
            joined: !account.spans.is_empty(),
        };
        for (at, span) in account.spans.iter().enumerate() {
            let is_open = at + 1 == account.spans.len() && !terms.ended;
            let sums = Sums::of(span, account, ledger, is_open);
            verdict.add(span, &sums, ledger, terms);
        }
        verdict
    }

    /// Whether the account closes.
    pub(crate) fn closes(&self) -> bool {
        let wrong =
            self.lost + self.over_told + self.duplicates + self.chain_breaks + self.disorder;
        self.joined && wrong == 0
    }

    fn add(&mut self, span: &Span, sums: &Sums, ledger: &RoomLedger, terms: Terms) {
        let rule = Rule::of(span, terms.only_chat);
        let (lost, over_told) = sums.balance(rule);
        self.lost += lost;
        self.over_told += over_told;
        self.disorder += disorder(&span.own, ledger);
        self.rule = self.rule.max(rule);
        self.sums.add(sums);
    }
}

/// Counts own events that came after an event which is known to have been published later.
fn disorder(received: &[EventNo], ledger: &RoomLedger) -> u64 {
    let mut latest_from = 0;
    let mut last_of_speaker: HashMap<u32, EventNo> = HashMap::new();
    let mut count = 0;
    for own in received.iter().filter_map(|number| ledger.find(*number)) {
        let last = last_of_speaker.entry(own.speaker).or_default();
        let is_overtaken = own.number < *last;
        *last = own.number.max(*last);
        let is_known_late = own.fate == Fate::Acked && own.to_us < latest_from;
        count += u64::from(is_known_late || is_overtaken);
        latest_from = latest_from.max(own.from_us);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::account::tests::{batch, joined, life, told};
    use crate::truth::ledger::Own;
    use crate::truth::told::{FOREIGN, FOREIGN_OTHER, Kind, Told};

    const TERMS: Terms = Terms { only_chat: true, ended: false };

    /// Events 1 to `count`, sent at 100, 200 … µs and acked 10 µs later, by one speaker each.
    fn ledger(count: u32) -> RoomLedger {
        let mut ledger = RoomLedger::default();
        for number in 1..=count {
            let from_us = u64::from(number) * 100;
            let to_us = from_us + 10;
            ledger.enter(Own { number, from_us, to_us, speaker: number, fate: Fate::Acked });
        }
        ledger.close();
        ledger
    }

    fn judge(all: &[Told], ledger: &RoomLedger) -> Verdict {
        Verdict::of(&Account::of(&life(all), all), ledger, TERMS)
    }

    #[test]
    fn what_is_received_or_told_closes() {
        let left_out = Told { left_out_chat: 1, ..batch(1, &[2]) };
        let gap = Told { gap: 1, ..told(Kind::Gap, 2, 3, &[]) };
        let verdict = judge(&[joined(0, None, &[]), batch(0, &[1]), left_out, gap], &ledger(4));
        assert!(verdict.closes(), "{verdict:?}");
        assert_eq!((verdict.sums.published, verdict.sums.received), (4, 2));
        assert_eq!((verdict.sums.missing, verdict.sums.uncertain), (2, 0));
    }

    #[test]
    fn loss_and_surplus_are_exact() {
        let verdict = judge(&[joined(0, None, &[]), batch(0, &[1])], &ledger(4));
        assert_eq!((verdict.lost, verdict.over_told), (3, 0));
        let much = Told { left_out_chat: 5, ..batch(0, &[1]) };
        let verdict = judge(&[joined(0, None, &[]), much], &ledger(4));
        assert_eq!((verdict.lost, verdict.over_told), (0, 2));
    }

    #[test]
    fn loss_is_not_hidden_by_a_count_that_comes_twice() {
        let twice = Told { left_out_chat: 1, ..batch(0, &[1]) };
        let all = [joined(0, None, &[]), twice.clone(), twice, batch(2, &[4])];
        let verdict = judge(&all, &ledger(4));
        assert_eq!((verdict.lost, verdict.duplicates, verdict.chain_breaks), (1, 1, 2));
    }

    #[test]
    fn an_event_that_was_on_its_way_during_the_join_may_be_on_either_side() {
        let mut ledger = RoomLedger::default();
        // The join is asked for at 10 and answered at 15.
        for (number, from_us, to_us) in [(1, 2, 8), (2, 9, 12), (3, 14, 20), (4, 16, 20)] {
            ledger.enter(Own { number, from_us, to_us, speaker: 0, fate: Fate::Acked });
        }
        ledger.close();
        let verdict = judge(&[joined(0, None, &[]), batch(0, &[3, 4])], &ledger);
        assert!(verdict.closes(), "{verdict:?}");
        assert_eq!((verdict.sums.published, verdict.sums.uncertain), (1, 1));
        assert!(judge(&[joined(0, None, &[2]), batch(0, &[3, 4])], &ledger).closes());
        assert_eq!(judge(&[joined(0, None, &[]), batch(0, &[3])], &ledger).lost, 1);
    }

    #[test]
    fn what_was_held_at_the_join_and_came_later_is_neither_loss_nor_surplus() {
        let mut ledger = RoomLedger::default();
        // The join is asked for at 10 and answered at 15.
        for (number, from_us, to_us) in [(1, 2, 8), (2, 9, 12), (3, 20, 30), (4, 40, 50)] {
            ledger.enter(Own { number, from_us, to_us, speaker: 0, fate: Fate::Acked });
        }
        ledger.close();
        let after = |held, events: &[EventNo], left_out_chat| {
            let joined = Told { held, ..joined(0, None, &[]) };
            let all = [joined, Told { left_out_chat, ..batch(0, events) }];
            let terms = Terms { only_chat: false, ..TERMS };
            Verdict::of(&Account::of(&life(&all), &all), &ledger, terms)
        };
        for (held, events) in [(1, &[1, 3][..]), (2, &[1, 2, 3]), (1, &[1, 2, 3])] {
            let verdict = after(held, events, 1);
            assert!(verdict.closes(), "{held} held: {verdict:?}");
            assert_eq!(after(held, events, 0).lost, 1, "4 is gone");
            assert!(after(held, events, 3).over_told > 0);
        }
        assert_eq!(after(1, &[3], 1).lost, 1, "1 was held and never came");
    }

    #[test]
    fn an_event_without_an_answer_may_be_or_not() {
        let mut ledger = ledger(2);
        ledger.enter(Own {
            number: 3,
            from_us: 300,
            to_us: 310,
            speaker: 3,
            fate: Fate::Unanswered,
        });
        ledger.close();
        assert!(judge(&[joined(0, None, &[]), batch(0, &[1, 2])], &ledger).closes());
        assert!(judge(&[joined(0, None, &[]), batch(0, &[1, 2, 3])], &ledger).closes());
    }

    #[test]
    fn a_stretch_that_ended_is_judged_up_to_its_last_event() {
        let all =
            [joined(0, None, &[]), batch(0, &[1]), batch(1, &[3]), joined(9, Some(false), &[])];
        let mut life = life(&all);
        life.joins[1].asked_us = 10_000;
        life.joins[1].answered_us = 10_000;
        let verdict = Verdict::of(&Account::of(&life, &all), &ledger(5), TERMS);
        assert_eq!((verdict.lost, verdict.restarts), (1, 1), "{verdict:?}");
    }

    #[test]
    fn a_viewer_that_left_is_judged_up_to_its_last_event() {
        let all = [joined(0, None, &[]), batch(0, &[1]), batch(1, &[3])];
        let ended = Terms { ended: true, ..TERMS };
        let verdict = Verdict::of(&Account::of(&life(&all), &all), &ledger(9), ended);
        assert_eq!((verdict.lost, verdict.sums.uncertain), (1, 6), "4 to 9 may come after it");
    }

    #[test]
    fn others_leave_only_what_can_be_proven() {
        let chat = Told { left_out_chat: 3, ..batch(0, &[FOREIGN, 1]) };
        let verdict = judge(&[joined(0, None, &[]), chat], &ledger(2));
        assert_eq!((verdict.rule, verdict.closes()), (Rule::NothingUntold, true));
        let gift = Told { left_out_chat: 3, ..batch(0, &[FOREIGN | FOREIGN_OTHER, 1]) };
        let verdict = judge(&[joined(0, None, &[]), gift], &ledger(2));
        assert_eq!((verdict.rule, verdict.over_told), (Rule::ChatExact, 2));
    }

    #[test]
    fn disorder_is_what_is_known_to_have_been_overtaken() {
        let swapped = [joined(0, None, &[]), batch(1, &[3, 4]), batch(0, &[1, 2])];
        assert_eq!(judge(&swapped, &ledger(4)).disorder, 2);
        let mut ledger = RoomLedger::default();
        for (number, speaker) in [(1, 0), (2, 0), (3, 1)] {
            ledger.enter(Own { number, from_us: 100, to_us: 900, speaker, fate: Fate::Acked });
        }
        ledger.close();
        let of_one_speaker = [joined(0, None, &[]), batch(0, &[3, 2, 1])];
        assert_eq!(judge(&of_one_speaker, &ledger).disorder, 1, "only 2 and 1 have an order");
    }

    #[test]
    fn who_was_never_in_does_not_close() {
        let verdict = judge(&[], &ledger(0));
        assert!(!verdict.closes() && !verdict.joined);
    }
}
