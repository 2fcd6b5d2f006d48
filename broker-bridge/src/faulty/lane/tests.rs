use std::collections::BTreeSet;

use proptest::prelude::*;
use protocol::cursor::Epoch;

use super::*;
use crate::Entry;

fn room(name: &str) -> RoomId {
    RoomId::internal(name)
}

fn entry(seq: u64) -> RoomDelivery {
    let entry = Entry { seq, prev: seq - 1, origin_ms: 0, events: [].into() };
    RoomDelivery::Entry { epoch: Epoch::random([1; 8]), entry }
}

fn seq(delivery: &RoomDelivery) -> u64 {
    let RoomDelivery::Entry { entry, .. } = delivery else {
        panic!("expected an entry, got {delivery:?}");
    };
    entry.seq
}

/// Takes out everything that is due.
fn due(lane: &mut Lane, now_ms: u64) -> Vec<u64> {
    std::iter::from_fn(|| lane.take(now_ms)).map(|(_, delivery)| seq(&delivery)).collect()
}

fn put(lane: &mut Lane, fates: impl IntoIterator<Item = Fate>) {
    for (fate, seq) in fates.into_iter().zip(1..) {
        lane.put_entry(room("a"), entry(seq), fate, 0);
    }
}

const FINE: Fate =
    Fate { is_lost: false, is_told_lost: false, delay_ms: 0, overtaken_by: 0, copy_after: None };

#[test]
fn what_nothing_happens_to_passes_at_once_and_in_order() {
    let mut lane = Lane::default();
    put(&mut lane, [FINE, FINE, FINE]);
    assert_eq!(lane.next_due_ms(), Some(0));
    assert_eq!(due(&mut lane, 0), [1, 2, 3]);
    assert_eq!(lane.next_due_ms(), None);
}

#[test]
fn a_lost_entry_is_gone() {
    let mut lane = Lane::default();
    put(&mut lane, [FINE, Fate { is_lost: true, copy_after: Some(1), ..FINE }, FINE]);
    assert_eq!(due(&mut lane, 9_999), [1, 3]);
    assert_eq!(lane.next_due_ms(), None);
}

#[test]
fn a_delayed_entry_holds_up_the_line() {
    let mut lane = Lane::default();
    put(&mut lane, [FINE, Fate { delay_ms: 20, ..FINE }, FINE]);
    assert_eq!(due(&mut lane, 19), [1]);
    assert_eq!(lane.next_due_ms(), Some(20));
    assert_eq!(due(&mut lane, 20), [2, 3]);
}

#[test]
fn an_entry_is_overtaken_by_as_many_of_its_room_as_its_fate_says() {
    let mut lane = Lane::default();
    put(&mut lane, [Fate { overtaken_by: 2, ..FINE }]);
    lane.put_entry(room("b"), entry(7), FINE, 0);
    lane.put_entry(room("a"), entry(2), FINE, 0);
    assert_eq!(due(&mut lane, 0), [7, 2]);
    lane.put_entry(room("a"), entry(3), FINE, 0);
    lane.put_entry(room("a"), entry(4), FINE, 0);
    assert_eq!(due(&mut lane, 0), [3, 1, 4]);
}

#[test]
fn an_entry_that_nobody_overtakes_goes_on_after_a_while() {
    let mut lane = Lane::default();
    put(&mut lane, [Fate { overtaken_by: 2, ..FINE }]);
    assert_eq!(due(&mut lane, OVERTAKING_MS_MAX - 1), Vec::<u64>::new());
    assert_eq!(lane.next_due_ms(), Some(OVERTAKING_MS_MAX));
    assert_eq!(due(&mut lane, OVERTAKING_MS_MAX), [1]);
    assert_eq!(lane.next_due_ms(), None);
}

#[test]
fn a_copy_comes_at_once_or_after_some_others() {
    let mut lane = Lane::default();
    let copied = |after| Fate { copy_after: Some(after), ..FINE };
    put(&mut lane, [copied(0), copied(1), FINE, FINE]);
    assert_eq!(due(&mut lane, 0), [1, 1, 2, 3, 2, 4]);
}

#[test]
fn only_so_many_are_held_back() {
    let mut lane = Lane::default();
    put(&mut lane, std::iter::repeat_n(Fate { overtaken_by: 4, ..FINE }, HELD_MAX));
    assert_eq!(lane.held.len(), HELD_MAX - 1);
    assert_eq!(lane.moving.len(), 1, "the last one found no place and passes");
}

#[test]
fn a_line_that_is_full_says_so() {
    let mut lane = Lane::default();
    put(&mut lane, std::iter::repeat_n(Fate { delay_ms: 1, ..FINE }, LANE_MAX - 1));
    assert!(!lane.is_full());
    put(&mut lane, [FINE]);
    assert!(lane.is_full());
}

fn fate() -> impl Strategy<Value = Fate> {
    (prop::bool::weighted(0.1), 0u64..50, 0..=OVERTAKEN_BY_MAX, prop::option::of(0..5u64)).prop_map(
        |(is_lost, delay_ms, overtaken_by, copy_after)| Fate {
            is_lost,
            delay_ms,
            overtaken_by,
            copy_after,
            ..FINE
        },
    )
}

proptest! {
    /// Whatever the fates: what is not lost arrives, once or twice as told, and no entry is
    /// overtaken by more than the bound says.
    #[test]
    fn faults_stay_within_their_bounds(fates in prop::collection::vec(fate(), 1..100)) {
        let mut lane = Lane::default();
        let mut expected = Vec::new();
        for (fate, seq) in fates.into_iter().zip(1u64..) {
            let fate = lane.put_entry(room("a"), entry(seq), fate, seq);
            let times = if fate.is_lost { 0 } else { 1 + usize::from(fate.copy_after.is_some()) };
            expected.extend(std::iter::repeat_n(seq, times));
        }
        let arrived = due(&mut lane, 100_000);
        prop_assert_eq!(lane.next_due_ms(), None);
        let mut sorted = arrived.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, expected);
        for (at, seq) in arrived.iter().enumerate() {
            let is_first = !arrived[..at].contains(seq);
            let overtakers: BTreeSet<_> = arrived[..at].iter().filter(|s| *s > seq).collect();
            prop_assert!(
                !is_first || overtakers.len() <= OVERTAKEN_BY_MAX as usize,
                "{} after {:?}", seq, overtakers
            );
        }
    }
}
