//! Who is told nothing when there is nothing to tell, and what is told of the room's state when.

use broker_bridge::{Counts, Entry, RoomDelivery};
use protocol::event::Class;
use protocol::ids::BootId;

use super::fixtures::{Driven, Told, cursor, join, one};
use crate::room::effect::{Effect, Join};

/// (online, likes) of frames that tell nothing else.
fn states(told: &[Told]) -> Vec<(Option<u64>, Option<u64>)> {
    assert!(
        told.iter().all(|t| t.events.is_empty() && t.left_out == 0 && t.prev == Some(t.cursor))
    );
    told.iter().map(|t| t.state).collect()
}

fn reports(driven: &mut Driven) -> Vec<Counts> {
    driven.take_if(|it| if let Effect::Report(counts) = it { Ok(counts) } else { Err(it) })
}

#[test]
fn a_silent_room_sends_nothing_to_its_only_viewer() {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(3_600_000);
    assert_eq!(driven.told(), []);
}

#[test]
fn a_lone_viewer_has_learned_the_state_from_the_answer() {
    let mut driven = Driven::opened(0).seated(1);
    driven.room.like(3, driven.now);
    driven.leave(1);
    driven.room.join(join(2));
    driven.wait_until(5);
    assert_eq!(Told::answer(&driven.take_answers()[0]).state, (Some(1), Some(3)));
    driven.wait_until(60_000);
    assert_eq!(driven.told(), []);
}

#[test]
fn online_is_told_at_most_every_five_seconds_at_the_ends_of_slots() {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(300);
    driven.room.join(join(2));
    driven.settle();
    assert_eq!(Told::answer(&driven.take_answers()[0]).state.0, Some(2));
    driven.wait_until(4_999);
    assert_eq!(driven.told(), []);
    driven.wait_until(5_000);
    assert_eq!(states(&driven.told()), [(Some(2), None)]);
    driven.leave(2);
    driven.wait_until(9_999);
    assert_eq!(driven.told(), []);
    driven.wait_until(10_000);
    assert_eq!(states(&driven.told()), [(Some(1), None)]);
}

#[test]
fn who_was_told_of_somebody_that_has_left_since_is_told_so() {
    let mut driven = Driven::opened(0).seated(1);
    driven.room.join(join(2));
    driven.wait_until(100);
    driven.room.join(join(3));
    driven.wait_until(200);
    assert_eq!(Told::answer(&driven.take_answers()[1]).state.0, Some(3));
    driven.leave(1);
    driven.leave(2);
    driven.wait_until(60_000);
    assert_eq!(states(&driven.told()), [(Some(1), None)], "as before, but 3 does not know it");
}

#[test]
fn likes_are_told_once_per_slot_at_its_end() {
    let mut driven = Driven::opened(0).seated(1);
    for offset_ms in [100, 200, 999] {
        driven.wait_until(offset_ms);
        driven.room.like(2, driven.now);
    }
    driven.settle();
    assert_eq!(driven.told(), []);
    driven.wait_until(1_000);
    driven.room.like(1, driven.now);
    assert_eq!(states(&driven.told()), [(None, Some(6))]);
    driven.wait_until(1_999);
    assert_eq!(driven.told(), []);
    driven.wait_until(10_000);
    assert_eq!(states(&driven.told()), [(None, Some(7))]);
}

#[test]
fn likes_do_not_wait_for_the_turn_of_online() {
    let mut driven = Driven::opened(0).seated(1);
    driven.room.join(join(2));
    driven.wait_until(100);
    driven.take_answers();
    driven.room.like(1, driven.now);
    driven.wait_until(1_000);
    assert_eq!(states(&driven.told()), [(None, Some(1))]);
    driven.wait_until(5_000);
    assert_eq!(states(&driven.told()), [(Some(2), None)]);
}

#[test]
fn the_state_goes_out_with_the_batch_of_a_slot_that_waits_for_its_grace() {
    let mut driven = Driven::opened(50).seated(1);
    driven.wait_until(100);
    driven.room.like(1, driven.now);
    driven.entry(one(1, 100, Class::Chat));
    driven.wait_until(1_049);
    assert_eq!(driven.told(), [], "a frame from the head would reach nobody: all stand before it");
    driven.wait_until(1_050);
    let told = driven.told();
    assert_eq!((told.len(), &told[0].events, told[0].state), (1, &vec![1], (None, Some(1))));
}

#[test]
fn online_that_falls_due_inside_a_busy_slot_waits_for_its_end() {
    let mut driven = Driven::opened(0);
    driven.wait_until(300);
    let mut driven = driven.seated(1);
    driven.room.join(join(2));
    driven.wait_until(5_200);
    driven.take_answers();
    driven.entry(one(1, 5_200, Class::Chat));
    driven.wait_until(5_999);
    assert_eq!(driven.told(), []);
    driven.wait_until(6_000);
    let told = driven.told();
    assert_eq!((told.len(), &told[0].events, told[0].state), (1, &vec![1], (Some(2), None)));
}

#[test]
fn members_of_a_silent_room_are_brought_to_a_younger_position_and_miss_nothing() {
    let mut driven = Driven::opened(50).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    driven.wait_until(1_050);
    assert_eq!(driven.told()[0].cursor, 1);
    driven.wait_until(5_300);
    driven.deliver(RoomDelivery::Silent { upto: 500 });
    driven.deliver(RoomDelivery::Silent { upto: 400 });
    driven.wait_until(6_049);
    assert_eq!(driven.told(), []);
    driven.wait_until(6_050);
    let told = driven.told();
    assert_eq!((told.len(), told[0].prev, told[0].cursor), (1, Some(1), 500));
    assert_eq!((told[0].events.as_slice(), told[0].left_out), ([].as_slice(), 0));
    // Whoever stood before, and whoever stands there now, has missed nothing.
    for (slot, since) in [(2, 1), (3, 500), (4, 300)] {
        driven.room.join(Join { since: Some(cursor(since).into()), ..join(slot) });
        driven.wait_until(driven.offset_ms() + 10);
        let answer = Told::answer(&driven.take_answers()[0]);
        let told = (answer.recovered, answer.cursor, answer.events);
        assert_eq!(told, (Some(true), 500, vec![]), "since {since}");
    }
    driven.entry(Entry { prev: 500, ..one(501, 6_500, Class::Chat) });
    driven.wait_until(8_000);
    let told = driven.told();
    assert_eq!((told[0].prev, told[0].cursor, &told[0].events), (Some(500), 501, &vec![501]));
}

#[test]
fn silence_takes_no_memory_however_long_it_is() {
    let mut driven = Driven::opened(0).seated(1);
    for n in 1..=5_000 {
        driven.deliver(RoomDelivery::Silent { upto: n });
        driven.wait_until(1_000 * n);
        assert_eq!(driven.told().len(), 1);
    }
    let held = format!("{:?}", driven.room).len();
    assert!(held < 4_000, "{held} characters of state");
}

#[test]
fn a_room_whose_last_viewer_has_left_comes_to_rest() {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(7_000);
    driven.leave(1);
    driven.wait_until(26_999);
    assert!(!driven.room.is_over(driven.now));
    driven.wait_until(27_000);
    assert_eq!(driven.told(), []);
    assert!(driven.room.is_over(driven.now));
}

#[test]
fn counts_of_other_nodes_do_not_stir_a_room_without_viewers() {
    let mut driven = Driven::opened(50);
    let node = BootId::random([9; 8]);
    driven.deliver(RoomDelivery::Counts { node, counts: Counts { online: 5, likes: 7 } });
    driven.wait_until(10_000);
    driven.deliver(RoomDelivery::NodeGone { node });
    driven.wait_until(19_999);
    assert_eq!((driven.told(), driven.room.due(driven.now).is_some()), (vec![], true));
}

#[test]
fn counts_of_other_nodes_are_told_like_our_own() {
    let mut driven = Driven::opened(50).seated(1);
    let node = BootId::random([9; 8]);
    driven.deliver(RoomDelivery::Counts { node, counts: Counts { online: 5, likes: 7 } });
    driven.wait_until(1_000);
    assert_eq!(states(&driven.told()), [(None, Some(7))]);
    driven.wait_until(5_000);
    assert_eq!(states(&driven.told()), [(Some(6), None)]);
    driven.deliver(RoomDelivery::NodeGone { node });
    driven.wait_until(60_000);
    assert_eq!(states(&driven.told()), [(Some(1), None)]);
}

#[test]
fn other_nodes_hear_of_a_change_at_most_every_five_seconds() {
    let mut driven = Driven::opened(50);
    driven.room.join(join(1));
    driven.settle();
    assert_eq!(reports(&mut driven), [Counts { online: 1, likes: 0 }]);
    driven.room.like(2, driven.now);
    driven.leave(1);
    driven.wait_until(4_999);
    assert_eq!(reports(&mut driven), []);
    driven.wait_until(5_000);
    assert_eq!(reports(&mut driven), [Counts { online: 0, likes: 2 }]);
    driven.wait_until(20_000);
    assert_eq!(reports(&mut driven), []);
}
