//! Which slot an entry belongs to, when slots close, and what becomes of every event.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::cursor::{Owed, Seq};
use protocol::event::{Class, Event};
use protocol::slot::SlotClock;

use super::{ClosedSlot, Slots};
use crate::room::tests::fixtures::{BUDGET, TICK_MS, clock, event, room_id, start_ms};

/// Slots, and the numbers of what was put into them: each event has the number of its entry.
struct Driven {
    slots: Slots,
    head: Seq,
}

impl Driven {
    fn new(grace_ms: u64) -> Self {
        Self { slots: Slots::new(clock(), BUDGET, grace_ms), head: 0 }
    }

    fn add(&mut self, origin_ms: u64, class: Class, now_ms: u64) {
        self.add_all(origin_ms, vec![event(self.head + 1, class)], now_ms);
    }

    fn add_all(&mut self, origin_ms: u64, events: Vec<Event>, now_ms: u64) {
        let (prev, start) = (self.head, start_ms());
        self.head += 1;
        self.slots.add(prev, self.head, start + origin_ms, events.into_iter(), start + now_ms);
    }

    fn close(&mut self, now_ms: u64) -> Option<Closed> {
        close_due(&mut self.slots, start_ms() + now_ms).map(Closed::from)
    }

    /// Closes everything up to a moment.
    fn close_until(&mut self, now_ms: u64) -> Vec<Closed> {
        std::iter::from_fn(|| self.close(now_ms)).collect()
    }

    /// When the next slot closes.
    fn due_ms(&self) -> Option<u64> {
        self.slots.due_ms(u64::MAX).map(|due_ms| due_ms - start_ms())
    }
}

fn close_due(slots: &mut Slots, now_ms: u64) -> Option<ClosedSlot> {
    slots.follow(now_ms);
    slots.due_ms(now_ms).filter(|due_ms| *due_ms <= now_ms)?;
    slots.close_next()
}

/// A closed slot in short.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Closed {
    /// When it ended.
    at: u64,
    prev: Seq,
    last: Seq,
    sent: Vec<Seq>,
    left_out: Vec<Seq>,
    held: u32,
}

impl From<ClosedSlot> for Closed {
    fn from(slot: ClosedSlot) -> Self {
        Self {
            at: slot.ended_ms - start_ms(),
            prev: slot.prev,
            last: slot.last,
            sent: slot.sent.iter().map(|l| l.seq).collect(),
            left_out: slot.left_out.iter().map(|it| it.seq).collect(),
            held: slot.held,
        }
    }
}

fn closed(at: u64, prev: Seq, sent: impl IntoIterator<Item = Seq>) -> Closed {
    let sent: Vec<Seq> = sent.into_iter().collect();
    let last = sent.last().copied().unwrap_or(prev);
    Closed { at, prev, last, sent, left_out: Vec::new(), held: 0 }
}

#[test]
fn an_entry_belongs_to_the_slot_in_which_it_was_made() {
    let mut driven = Driven::new(50);
    driven.add(999, Class::Chat, 1_020);
    driven.add(1_000, Class::Chat, 1_020);
    assert_eq!(driven.close_until(1_050), [closed(1_000, 0, [1])]);
    assert_eq!(driven.close_until(2_050), [closed(2_000, 1, [2])]);
    assert_eq!(driven.close_until(u64::MAX - start_ms()), []);
}

#[test]
fn a_slot_stays_open_for_its_grace() {
    let mut driven = Driven::new(50);
    driven.add(10, Class::Chat, 30);
    assert_eq!((driven.due_ms(), driven.close(1_049)), (Some(1_050), None));
    driven.add(999, Class::Chat, 1_049);
    assert_eq!(driven.close(1_050), Some(closed(1_000, 0, [1, 2])));
    assert_eq!(driven.due_ms(), None);
}

#[test]
fn an_entry_whose_slot_has_closed_goes_to_the_open_one() {
    let mut driven = Driven::new(0);
    driven.add(10, Class::Chat, 10);
    assert_eq!(driven.close_until(1_000), [closed(1_000, 0, [1])]);
    driven.add(990, Class::Chat, 3_500);
    assert_eq!(driven.close_until(4_000), [closed(4_000, 1, [2])]);
}

#[test]
fn a_late_entry_does_not_push_those_behind_it_out_of_their_slot() {
    let mut driven = Driven::new(50);
    driven.add(10, Class::Chat, 10);
    driven.close_until(1_050);
    driven.add(1_500, Class::Chat, 1_500);
    driven.add(900, Class::Chat, 2_020);
    driven.add(1_990, Class::Chat, 2_030);
    assert_eq!(driven.close_until(2_050), [closed(2_000, 1, [2, 3, 4])]);
}

#[test]
fn no_entry_goes_to_an_earlier_slot_than_the_one_before_it() {
    let mut driven = Driven::new(50);
    driven.add(1_005, Class::Chat, 1_010);
    driven.add(990, Class::Chat, 1_020);
    assert_eq!(driven.close_until(2_050), [closed(2_000, 0, [1, 2])]);
}

#[test]
fn a_publisher_whose_clock_is_ahead_cannot_hold_its_entries_back() {
    let mut driven = Driven::new(0);
    driven.add(3_600_000, Class::Chat, 500);
    assert_eq!(driven.close_until(1_000), [closed(1_000, 0, [1])]);
}

#[test]
fn paid_events_beyond_the_budget_are_paced_without_anything_new_to_wake_them() {
    let mut driven = Driven::new(0);
    (0..12).for_each(|_| driven.add(10, Class::Paid, 10));
    assert_eq!(driven.slots.owed_at(12), Some(Owed { oldest: 1, count: 12 }));
    let paced = |at, prev, sent, held| Closed { last: 12, held, ..closed(at, prev, sent) };
    assert_eq!(driven.close_until(1_000), [paced(1_000, 0, 1..=5, 7)]);
    assert_eq!(driven.due_ms(), Some(2_000));
    assert_eq!(driven.close_until(2_000), [paced(2_000, 12, 6..=10, 2)]);
    assert_eq!(driven.close_until(3_000), [paced(3_000, 12, 11..=12, 0)]);
    assert_eq!((driven.due_ms(), driven.slots.owed_at(12)), (None, None));
}

#[test]
fn held_events_go_out_in_the_very_next_slot_however_late_the_turn() {
    let mut on_time = Driven::new(0);
    let mut late = Driven::new(0);
    for driven in [&mut on_time, &mut late] {
        (0..7).for_each(|_| driven.add(10, Class::Paid, 10));
    }
    let first = on_time.close_until(1_000);
    let second = on_time.close_until(2_000);
    for driven in [&mut on_time, &mut late] {
        driven.add(4_200, Class::Chat, 4_200);
    }
    let third = on_time.close_until(5_000);
    assert_eq!(second, [Closed { last: 7, ..closed(2_000, 7, [6, 7]) }]);
    assert_eq!(late.close_until(5_000), [first, second, third].concat());
}

#[test]
fn what_is_open_goes_out_together_where_another_clock_makes_it_one_slot() {
    let mut driven = Driven::new(50);
    driven.add(10, Class::Chat, 10);
    driven.add(1_010, Class::Chat, 1_010);
    driven.add(2_010, Class::Chat, 2_010);
    let long = SlotClock::new(&room_id(), 60_000);
    driven.slots.recut(long, BUDGET);
    let end_ms = long.end_of(long.slot_of(start_ms())) - start_ms();
    assert!(end_ms > 2_010, "they do not fall into one slot of this room");
    assert_eq!(driven.close_until(end_ms + 50), [closed(end_ms, 0, [1, 2, 3])]);
}

#[test]
fn a_cursor_inside_a_slot_is_owed_what_came_after_it_and_every_gift() {
    let mut driven = Driven::new(0);
    let classes = [Class::Paid, Class::Chat, Class::Ambient, Class::Chat, Class::Chat, Class::Chat];
    classes.into_iter().for_each(|class| driven.add(10, class, 10));
    let slot = close_due(&mut driven.slots, start_ms() + 1_000).unwrap();
    assert_eq!((slot.sent.len(), slot.left_out.len()), (4, 2));
    let after = |cursor: Seq| {
        let (sent, left_out) = slot.after(cursor);
        (sent.count(), left_out.total())
    };
    assert_eq!(after(0), (4, 2));
    let owed = |cursor| slot.sent.iter().filter(|l| l.seq == 1 || l.seq > cursor).count();
    let missed = |cursor| slot.left_out.iter().filter(|l| l.seq > cursor).count() as u32;
    for cursor in 1..=6 {
        assert_eq!(after(cursor), (owed(cursor), missed(cursor)), "at {cursor}");
    }
}

/// An entry: how long after the last one, its origin before that, and its events by class.
type Step = (u64, u64, Vec<usize>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly dense, sometimes with a pause over many slots.
    let pause = prop_oneof![8 => 0..300u64, 1 => 300..8_000u64];
    vec((pause, 0..2_000u64, vec(0..Class::ALL.len(), 0..6)), 1..60)
}

/// Sometimes another tick.
fn recuts() -> impl Strategy<Value = Vec<Option<u32>>> {
    vec(prop::option::weighted(0.1, 1..3_000u32), 60)
}

fn made(step: &[usize], next: &mut u64) -> Vec<Event> {
    let numbered = step.iter().map(|class| {
        *next += 1;
        event(*next, Class::ALL[*class])
    });
    numbered.collect()
}

proptest! {
    /// Late entries, pauses and storms of gifts: nothing is lost, nothing comes twice.
    #[test]
    fn every_event_has_one_fate_and_every_slot_adds_up(
        grace_ms in prop_oneof![Just(0u64), Just(50)], steps in steps(), recuts in recuts()
    ) {
        let mut driven = Driven::new(grace_ms);
        let (mut now_ms, mut events) = (10_000, 0);
        let mut added: Vec<Vec<Event>> = vec![Vec::new()];
        let mut slots = Vec::new();
        for ((pause, age_ms, classes), tick_ms) in steps.into_iter().zip(recuts) {
            now_ms += pause;
            slots.extend(std::iter::from_fn(|| close_due(&mut driven.slots, start_ms() + now_ms)));
            if let Some(tick_ms) = tick_ms {
                driven.slots.recut(SlotClock::new(&room_id(), tick_ms), BUDGET);
            }
            added.push(made(&classes, &mut events));
            driven.add_all(now_ms - age_ms, added.last().unwrap().clone(), now_ms);
        }
        let until = now_ms + 1_000_000;
        slots.extend(std::iter::from_fn(|| close_due(&mut driven.slots, start_ms() + until)));
        prop_assert_eq!(driven.due_ms(), None, "all slots close in the end");

        let (mut last, mut held, mut ended_ms) = (0, 0, 0);
        let mut sent = Vec::new();
        let mut left_out = 0;
        for slot in &slots {
            prop_assert_eq!(slot.prev, last, "slots are contiguous");
            prop_assert!(slot.ended_ms > ended_ms, "and each ends after the one before");
            let new: usize = added[last as usize + 1..=slot.last as usize].iter().map(Vec::len).sum();
            let told = slot.sent.len() + slot.left_out.len() + slot.held as usize;
            prop_assert_eq!(new + held, told);
            prop_assert!(slot.left_out.iter().all(|it| it.class >= Class::Staff));
            for paid in [true, false] {
                let of_kind = |l: &&super::Logged| (l.event.class == Class::Paid) == paid;
                let seqs: Vec<_> = slot.sent.iter().filter(of_kind).map(|l| l.seq).collect();
                prop_assert!(seqs.is_sorted(), "sent in log order");
            }
            sent.extend(slot.sent.iter().map(|l| l.event.id));
            left_out += slot.left_out.len();
            (last, held, ended_ms) = (slot.last, slot.held as usize, slot.ended_ms);
        }
        prop_assert_eq!((last, held), (driven.head, 0));
        let count = sent.len();
        sent.sort_unstable();
        sent.dedup();
        prop_assert_eq!(sent.len(), count, "nothing is sent twice");
        prop_assert_eq!((count + left_out) as u64, events);
    }

    /// Two gateways that get the same entries within the grace, each at its own pace, cut them
    /// into the same slots.
    #[test]
    fn gateways_cut_the_same_slots_whatever_the_jitter(
        steps in vec((prop_oneof![8 => 0..300u64, 1 => 300..4_000u64], 0..25u64,
            [0..25u64, 0..25u64], vec(0..Class::ALL.len(), 0..6)), 1..60),
        lags_ms in [0..3_000u64, 0..40u64]
    ) {
        let cut = |node: usize| {
            let mut driven = Driven::new(50);
            let (mut base_ms, mut now_ms, mut events) = (10_000, 0, 0);
            let mut slots = Vec::new();
            for (pause, skew_ms, jitter_ms, classes) in &steps {
                base_ms += pause;
                now_ms = now_ms.max(base_ms + jitter_ms[node]);
                // This node's turns come late by its lag, but not later than its entries.
                while driven.due_ms().is_some_and(|due_ms| due_ms + lags_ms[node] <= now_ms) {
                    slots.extend(driven.close(now_ms));
                }
                driven.add_all(base_ms - skew_ms, made(classes, &mut events), now_ms);
            }
            slots.extend(driven.close_until(now_ms + 100 * TICK_MS));
            slots
        };
        prop_assert_eq!(cut(0), cut(1));
    }
}
