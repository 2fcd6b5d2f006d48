//! What a client with a cursor has missed, from this gateway's memory and from the broker's.

use broker_bridge::Entry;
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::cursor::{Bookmark, Cursor, Epoch, Owed, Seq};
use protocol::event::{Class, Event};
use protocol::limits::{RESUME_BYTES_MAX, RESUME_EVENTS_MAX};
use protocol::select::Budget;

use super::{Log, Missed, Past};
use crate::room::ring::Ring;
use crate::room::slots::{ClosedSlot, Slots};
use crate::room::tests::fixtures::{BUDGET, clock, cursor, entry, event, keyed, one, start_ms};

fn empty(budget: Budget) -> Log {
    let slots = Slots::new(clock(), budget, 0);
    Log::open(cursor(0), Vec::new(), slots, start_ms())
}

/// A log of one chat event per entry, made at the given offsets and seen at the last of them.
fn log(offsets_ms: &[u64]) -> Log {
    let mut log = empty(BUDGET);
    for (seq, offset_ms) in (1..).zip(offsets_ms) {
        close(&mut log, *offset_ms);
        log.add(one(seq, *offset_ms, Class::Chat), start_ms() + offset_ms);
    }
    log
}

/// A client that is owed nothing.
fn mark(seq: Seq) -> Bookmark {
    cursor(seq).into()
}

/// A client that is owed so many gifts, the oldest of which is that of an entry.
fn owing(seq: Seq, oldest: Seq, count: u32) -> Bookmark {
    Bookmark { owed: Some(Owed { oldest, count }), ..mark(seq) }
}

fn close(log: &mut Log, offset_ms: u64) {
    while log.close_due(start_ms() + offset_ms).is_some() {}
}

fn number(event: &Event) -> u64 {
    let digits: String =
        event.json.iter().map(|b| char::from(*b)).filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn numbers<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u64> {
    events.into_iter().map(number).collect()
}

/// What is known to be missed: events and how many were left out.
fn known(past: Past) -> (Vec<u64>, u32) {
    let Past::Known(missed) = past else { panic!("{past:?}") };
    (numbers(&missed.events), missed.left_out.total())
}

#[test]
fn a_cursor_at_the_head_has_missed_nothing() {
    assert_eq!(log(&[]).since(mark(0)), Past::Known(Missed::default()));
    assert_eq!(log(&[10, 1_010]).since(mark(2)), Past::Known(Missed::default()));
}

#[test]
fn a_cursor_is_answered_from_closed_and_open_slots() {
    let log = log(&[10, 20, 1_010, 2_010]);
    assert_eq!(known(log.since(mark(0))), (vec![1, 2, 3, 4], 0));
    assert_eq!(known(log.since(mark(2))), (vec![3, 4], 0));
    assert_eq!(known(log.since(mark(3))), (vec![4], 0));
}

#[test]
fn a_cursor_inside_a_slot_is_owed_the_rest_of_it() {
    assert_eq!(known(log(&[10, 20, 30, 1_010]).since(mark(1))), (vec![2, 3, 4], 0));
}

#[test]
fn a_cursor_of_another_log_is_lost_and_one_beyond_the_head_is_asked_for() {
    let log = log(&[10]);
    let other = Cursor { epoch: Epoch::random([8; 8]), seq: 0 };
    assert_eq!(log.since(other.into()), Past::Lost);
    assert_eq!(log.since(mark(2)), Past::Older);
    assert_eq!(log.since(mark(u64::MAX)), Past::Older);
    assert_eq!(known(log.since_fetched(mark(2), &[])), (vec![], 0));
}

#[test]
fn a_cursor_before_what_is_known_may_be_known_to_the_broker() {
    let recent = vec![one(6, 10, Class::Chat), one(7, 1_010, Class::Chat)];
    let log = Log::open(cursor(7), recent, Slots::new(clock(), BUDGET, 0), start_ms() + 1_500);
    assert_eq!(log.since(mark(4)), Past::Older);
    assert_eq!(known(log.since(mark(5))), (vec![6, 7], 0));
    let log = Log::open(cursor(7), Vec::new(), Slots::new(clock(), BUDGET, 0), start_ms());
    assert_eq!(log.since(mark(6)), Past::Older);
    assert_eq!(known(log.since(mark(7))), (vec![], 0));
}

#[test]
fn what_is_missed_of_open_slots_is_within_one_slots_budget_and_the_rest_is_told() {
    let mut log = empty(BUDGET);
    for seq in 1..=7 {
        log.add(one(seq, 10, Class::Chat), start_ms() + 10);
    }
    let (events, left_out) = known(log.since(mark(0)));
    assert_eq!((events.len(), left_out), (BUDGET.chat, 4));
    assert!(events.is_sorted());
    let (events, left_out) = known(log.since(mark(5)));
    assert_eq!((events, left_out), (vec![6, 7], 0));
}

#[test]
fn gifts_of_open_slots_are_held_and_not_missed() {
    let mut log = empty(BUDGET);
    log.add(one(1, 10, Class::Paid), start_ms() + 10);
    log.add(one(2, 10, Class::Chat), start_ms() + 10);
    assert_eq!((known(log.since(mark(0))), log.bookmark(2)), ((vec![2], 0), owing(2, 1, 1)));
    close(&mut log, 1_000);
    assert_eq!((known(log.since(mark(0))), log.bookmark(2)), ((vec![1, 2], 0), mark(2)));
    assert_eq!(known(log.since(mark(2))), (vec![], 0));
    assert_eq!(known(log.since(owing(2, 1, 1))), (vec![1], 0));
}

#[test]
fn gifts_are_missed_by_whoever_was_owed_them_and_was_gone_before_they_went_out() {
    let slots = Slots::new(clock(), BUDGET, 50);
    let mut log = Log::open(cursor(0), Vec::new(), slots, start_ms());
    log.add(one(1, 990, Class::Paid), start_ms() + 990);
    let first = log.bookmark(1);
    log.add(one(2, 1_010, Class::Paid), start_ms() + 1_010);
    let second = log.bookmark(2);
    assert_eq!((first, second), (owing(1, 1, 1), owing(2, 1, 2)));
    close(&mut log, 1_050);
    assert_eq!((known(log.since(first)), log.bookmark(2)), ((vec![1], 0), owing(2, 2, 1)));
    assert_eq!(known(log.since(second)), (vec![1], 0));
    close(&mut log, 2_050);
    assert_eq!(known(log.since(first)), (vec![1, 2], 0));
    assert_eq!(known(log.since(second)), (vec![1, 2], 0));
    assert_eq!(known(log.since(owing(2, 2, 1))), (vec![2], 0));
    assert_eq!(known(log.since(mark(2))), (vec![], 0));
}

#[test]
fn what_is_owed_of_an_entry_is_its_newest_gifts() {
    let mut log = empty(BUDGET);
    let gifts = (1..=9).map(|n| event(n, Class::Paid)).collect();
    log.add(entry(1, 10, gifts), start_ms() + 10);
    close(&mut log, 1_000);
    let told = log.bookmark(1);
    assert_eq!(told, owing(1, 1, 4));
    assert_eq!(known(log.since(told)), (vec![], 0));
    close(&mut log, 2_000);
    assert_eq!(known(log.since(told)), ((6..=9).collect(), 0));
}

#[test]
fn what_is_owed_from_before_what_is_known_is_asked_of_the_broker() {
    let entries: Vec<_> = (1..=9).map(|seq| one(seq, 10, Class::Paid)).collect();
    let recent = entries[7..].to_vec();
    let slots = Slots::new(clock(), BUDGET, 0);
    let mut log = Log::open(cursor(9), recent, slots, start_ms() + 1_500);
    assert_eq!(log.since(owing(9, 6, 4)), Past::Older);
    assert_eq!(owing(9, 6, 4).known_from(), cursor(5));
    assert_eq!(known(log.since_fetched(owing(9, 6, 4), &entries[5..])), ((6..=9).collect(), 0));
    assert_eq!(log.since_fetched(owing(9, 6, 5), &entries[5..]), Past::Lost, "not so many");
    log.add(one(10, 1_600, Class::Chat), start_ms() + 1_600);
    assert_eq!(known(log.since(owing(9, 9, 1))), (vec![9, 10], 0));
}

#[test]
fn a_thousand_events_are_replayed_and_one_more_is_too_much() {
    let max = RESUME_EVENTS_MAX as u64;
    let mut log = empty(Budget::UNLIMITED);
    let events =
        |numbers: std::ops::RangeInclusive<u64>| numbers.map(|n| event(n, Class::Chat)).collect();
    log.add(entry(1, 10, events(1..=max)), start_ms() + 10);
    assert_eq!(known(log.since(mark(0))).0.len(), RESUME_EVENTS_MAX);
    log.add(entry(2, 10, events(max + 1..=max + 1)), start_ms() + 10);
    assert_eq!(log.since(mark(0)), Past::Lost);
    assert_eq!(known(log.since(mark(1))).0, [max + 1]);
    close(&mut log, 1_000);
    assert_eq!(log.since(mark(0)), Past::Lost);
}

#[test]
fn a_quarter_mebibyte_is_replayed_and_one_byte_more_is_too_much() {
    let sized = |n, bytes: usize| Event { json: vec![b'1'; bytes].into(), ..event(n, Class::Chat) };
    let mut log = empty(Budget::UNLIMITED);
    let half = RESUME_BYTES_MAX / 2;
    log.add(entry(1, 10, vec![sized(1, half), sized(2, half)]), start_ms() + 10);
    assert!(matches!(log.since(mark(0)), Past::Known(_)));
    log.add(entry(2, 10, vec![sized(3, 1)]), start_ms() + 10);
    assert_eq!(log.since(mark(0)), Past::Lost);
}

#[test]
fn the_newest_come_oldest_first_and_include_the_open_slot() {
    let log = log(&[10, 20, 1_010, 2_010, 2_020]);
    assert_eq!(numbers(&log.newest(2)), [4, 5]);
    assert_eq!(numbers(&log.newest(4)), [2, 3, 4, 5]);
    assert_eq!(numbers(&log.newest(100)), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&log.newest(0)), Vec::<u64>::new());
}

#[test]
fn the_newest_reach_back_as_far_as_the_broker_remembers() {
    let recent = (1..=60).map(|seq| one(seq, seq * 1_000, Class::Chat)).collect();
    let an_hour_later = start_ms() + 3_600_000;
    let log = Log::open(cursor(60), recent, Slots::new(clock(), BUDGET, 0), an_hour_later);
    assert_eq!(numbers(&log.newest(50)), (11..=60).collect::<Vec<_>>());
    assert_eq!(log.due_ms(an_hour_later), None);
}

#[test]
fn an_event_with_a_key_comes_once_and_its_repeats_count_for_nothing() {
    let mut log = empty(BUDGET);
    let first = vec![keyed(1, Class::Chat, "a"), event(2, Class::Chat)];
    assert_eq!(log.add(entry(1, 10, first), start_ms() + 10), Some(0));
    let again = vec![keyed(3, Class::Chat, "a"), keyed(4, Class::Chat, "b")];
    assert_eq!(log.add(entry(2, 1_010, again), start_ms() + 1_010), Some(1));
    assert_eq!(
        log.add(entry(3, 2_010, vec![keyed(5, Class::Paid, "b")]), start_ms() + 2_010),
        Some(1)
    );
    assert_eq!(
        (log.head().seq, log.bookmark(log.head().seq).held()),
        (3, 0),
        "an entry of repeats moves the head on"
    );
    close(&mut log, 3_000);
    assert_eq!(known(log.since(mark(0))), (vec![1, 2, 4], 0));
    assert_eq!(known(log.since(mark(2))), (vec![], 0));
}

#[test]
fn an_entry_that_was_delivered_before_is_dropped() {
    let mut log = log(&[10, 20]);
    assert_eq!(log.add(one(2, 20, Class::Chat), start_ms() + 30), None);
    assert_eq!(log.add(one(1, 10, Class::Chat), start_ms() + 30), None);
    assert_eq!((log.head().seq, known(log.since(mark(0)))), (2, (vec![1, 2], 0)));
}

#[test]
fn what_is_fetched_comes_before_what_is_known_and_nothing_twice() {
    let recent = vec![one(3, 1_010, Class::Chat), one(4, 2_010, Class::Chat)];
    let log = Log::open(cursor(4), recent, Slots::new(clock(), BUDGET, 0), start_ms() + 2_500);
    let all = vec![one(2, 20, Class::Chat), one(3, 1_010, Class::Chat), one(4, 2_010, Class::Chat)];
    assert_eq!(known(log.since_fetched(mark(1), &all)), (vec![2, 3, 4], 0));
}

#[test]
fn what_is_fetched_for_a_room_without_a_past_is_all_there_is() {
    let log = Log::open(cursor(9), Vec::new(), Slots::new(clock(), BUDGET, 0), start_ms() + 5_000);
    let gifts: Vec<_> = (1..=9).map(|seq| one(seq, 10, Class::Paid)).collect();
    assert_eq!(known(log.since_fetched(mark(0), &gifts)), ((1..=9).collect(), 0));
}

#[test]
fn gifts_that_were_held_into_the_known_slots_are_not_fetched_as_well() {
    let mut log = empty(BUDGET);
    let entries: Vec<Entry> = (1..=7).map(|seq| one(seq, 10, Class::Paid)).collect();
    entries.iter().for_each(|e| assert!(log.add(e.clone(), start_ms() + 10).is_some()));
    let first = log.close_due(start_ms() + 1_000).unwrap().0;
    assert_eq!((first.sent.len(), first.held), (5, 2));
    log.ring = Ring::default();
    assert_eq!(known(log.since_fetched(mark(0), &entries)), ((1..=5).collect(), 0));
    assert_eq!(log.bookmark(log.head().seq).held(), 2);
}

#[test]
fn a_key_is_honoured_among_what_is_fetched() {
    let log = Log::open(cursor(2), Vec::new(), Slots::new(clock(), BUDGET, 0), start_ms() + 5_000);
    let repeated =
        [(1, 10), (2, 20)].map(|(seq, ms)| entry(seq, ms, vec![keyed(seq, Class::Chat, "a")]));
    assert_eq!(known(log.since_fetched(mark(0), &repeated)), (vec![1], 0));
}

#[test]
fn what_is_fetched_is_bounded_together_with_what_is_known() {
    let mut log = empty(Budget::UNLIMITED);
    let events = |from: u64| (from..from + 600).map(|n| event(n, Class::Chat)).collect::<Vec<_>>();
    let entries = vec![entry(1, 10, events(0)), entry(2, 1_010, events(600))];
    log.add(entries[0].clone(), start_ms() + 10);
    close(&mut log, 1_000);
    log.ring = Ring::default();
    assert!(matches!(log.since_fetched(mark(0), &entries[..1]), Past::Known(_)));
    log.add(entries[1].clone(), start_ms() + 1_010);
    assert_eq!(log.since_fetched(mark(0), &entries), Past::Lost);
}

proptest! {
    /// A log that has forgotten its beginning, and one that has not, say the same.
    #[test]
    fn what_is_fetched_makes_up_for_what_is_forgotten(
        steps in vec((prop_oneof![8 => 0..400u64, 1 => 400..9_000u64],
            vec(0..Class::ALL.len(), 1..6)), 1..60),
        forgotten in 0..1_000usize, from in 0..1_000usize
    ) {
        let mut log = empty(BUDGET);
        let (mut now_ms, mut events) = (10_000, 0);
        let mut slots: Vec<(ClosedSlot, Bookmark)> = Vec::new();
        let mut entries = Vec::new();
        for (seq, (pause, classes)) in (1..).zip(&steps) {
            now_ms += pause;
            while let Some((closed, _)) = log.close_due(start_ms() + now_ms) {
                let told = log.bookmark(closed.last);
                slots.push((closed, told));
            }
            let made = classes.iter().map(|class| { events += 1; event(events, Class::ALL[*class]) });
            entries.push(entry(seq, now_ms, made.collect()));
            log.add(entries.last().unwrap().clone(), start_ms() + now_ms);
        }
        let from = slots.get(from % slots.len().max(1));
        let (since, held) = from.map_or((mark(0), 0), |(slot, told)| (*told, slot.held));
        let slots: Vec<_> = slots.into_iter().map(|(closed, _)| closed).collect();
        let ring = |from: usize| {
            let mut ring = Ring::default();
            slots[from..].iter().for_each(|slot| ring.push(slot.clone()));
            ring
        };
        let forgotten = forgotten % (slots.len() + 1);
        log.ring = ring(forgotten);
        let after: Vec<_> =
            entries.iter().filter(|entry| entry.seq > since.known_from().seq).cloned().collect();
        let fetched = log.since_fetched(since, &after);
        log.ring = ring(0);
        let Past::Known(all) = log.since(since) else { panic!("it knows all") };
        let Past::Known(fetched) = fetched else { panic!("all was fetched") };
        if held == 0 {
            prop_assert_eq!(fetched, all);
        } else {
            // How gifts were paced before what was fetched nobody knows, and so which chat made
            // room for them.
            let gifts = |missed: &Missed| {
                let gifts = missed.events.iter().filter(|event| event.class == Class::Paid);
                gifts.cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(gifts(&fetched), gifts(&all));
            let total = |missed: &Missed| missed.events.len() as u32 + missed.left_out.total();
            prop_assert_eq!(total(&fetched), total(&all));
        }
    }
}
