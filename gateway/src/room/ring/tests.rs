//! What is kept of the past, for how long, and which of it a cursor has not seen.

use protocol::cursor::Seq;
use protocol::event::Class;
use protocol::limits::HISTORY_EVENTS_MAX;

use super::{ClosedSlot, KEPT_BYTES_MAX, Ring};
use crate::room::slots::{Logged, NotSent};
use crate::room::tests::fixtures::event;

/// A slot of chat, one event to an entry.
fn slot(ended_ms: u64, prev: Seq, last: Seq) -> ClosedSlot {
    let logged = |seq| Logged { seq, live: false, event: event(seq, Class::Chat) };
    let sent = (prev + 1..=last).map(logged).collect();
    ClosedSlot { prev, last, sent, left_out: Vec::new(), held: 0, ended_ms }
}

fn ring(slots: impl IntoIterator<Item = ClosedSlot>) -> Ring {
    let mut ring = Ring::default();
    slots.into_iter().for_each(|slot| ring.push(slot));
    ring
}

#[test]
fn the_newest_come_first_across_slots() {
    let ring = ring([slot(1_000, 0, 3), slot(2_000, 3, 3), slot(3_000, 3, 5)]);
    let newest: Vec<_> = ring.newest().map(|e| e.json.clone()).collect();
    let expected: Vec<_> = (1..=5).rev().map(|n| event(n, Class::Chat).json).collect();
    assert_eq!(newest, expected);
}

#[test]
fn slots_are_forgotten_a_minute_after_their_end() {
    let mut ring = ring([slot(1_000, 0, 1), slot(2_000, 1, 1 + HISTORY_EVENTS_MAX as Seq)]);
    ring.trim(61_000);
    assert_eq!(ring.start(), Some(0));
    ring.trim(61_001);
    assert_eq!(ring.start(), Some(1));
}

#[test]
fn the_events_that_a_join_may_ask_for_are_kept_whatever_their_age() {
    let count = HISTORY_EVENTS_MAX as Seq + 20;
    let mut ring = ring((1..=count).map(|seq| slot(seq * 1_000, seq - 1, seq)));
    ring.trim(u64::MAX);
    assert_eq!((ring.start(), ring.newest().count()), (Some(20), HISTORY_EVENTS_MAX));
}

#[test]
fn memory_is_bounded_whatever_a_slot_holds() {
    let left_out = |seq, count| ClosedSlot {
        sent: Vec::new(),
        left_out: vec![NotSent { seq, live: false, class: Class::Chat }; count],
        ..slot(1_000, seq - 1, seq)
    };
    let mut small = ring((1..=100_000).map(|seq| left_out(seq, 1)));
    let mut large = ring((1..=10).map(|seq| left_out(seq, 50_000)));
    for ring in [&mut small, &mut large] {
        ring.trim(1_000);
        assert!(
            (KEPT_BYTES_MAX - 900_000..=KEPT_BYTES_MAX).contains(&ring.bytes),
            "{}",
            ring.bytes
        );
    }
    assert_eq!((small.slots.len(), large.slots.len()), (29_127, 5));
}

#[test]
fn slots_in_which_nothing_happened_take_no_memory() {
    let empty = |seq| ClosedSlot { sent: Vec::new(), ..slot(seq * 1_000, seq - 1, seq) };
    let mut ring = ring((1..=1_000).map(empty));
    ring.push(slot(1_001_000, 1_000, 1_001));
    (1_002..=2_000).for_each(|seq| ring.push(empty(seq)));
    ring.trim(2_000_000);
    assert_eq!((ring.slots.len(), ring.start()), (2, Some(0)));
    assert_eq!(ring.slots().map(|slot| slot.last).collect::<Vec<_>>(), [1_000, 2_000]);
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let mut ring = ring((1..=500).map(|seq| slot(seq, seq - 1, seq)));
    let huge = ClosedSlot {
        left_out: vec![NotSent { seq: 501, live: false, class: Class::Chat }; 300_000],
        ..slot(501, 500, 501)
    };
    ring.push(huge);
    ring.trim(501);
    assert_eq!((ring.slots.len(), ring.bytes, ring.events, ring.start()), (0, 0, 0, None));
}
