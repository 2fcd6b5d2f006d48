//! Who joins while slots are open: told once, at the head, and then only what came after it.

use protocol::event::Class;

use super::fixtures::{Driven, Told, join, one};
use crate::room::effect::RoomFrame;

/// What a frame tells those whose cursor is `prev`; `None` if it is not for them.
fn told(frame: &RoomFrame, prev: u64) -> Option<Told> {
    frame.variants.iter().find(|variant| variant.prev.at.seq == prev).map(Told::of)
}

fn answer(driven: &mut Driven) -> Told {
    let answers = driven.take_answers();
    assert_eq!(answers.len(), 1);
    Told::answer(&answers[0])
}

/// A room with a viewer since the beginning, and another who has joined at 600 ms behind the
/// given entries of the first slot.
fn joined_behind(classes: &[Class]) -> (Driven, Told) {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(500);
    for (seq, class) in (1..).zip(classes) {
        driven.entry(one(seq, 500, *class));
    }
    driven.wait_until(600);
    driven.room.join(join(2));
    driven.settle();
    let answer = answer(&mut driven);
    (driven, answer)
}

#[test]
fn a_joiner_inside_a_slot_is_told_only_what_came_after_its_head() {
    let (mut driven, answer) = joined_behind(&[Class::Chat, Class::Chat]);
    assert_eq!((answer.cursor, answer.events, answer.held), (2, vec![], 0));
    driven.entry(one(3, 700, Class::Chat));
    driven.wait_until(1_000);
    let frames = driven.take_frames();
    assert_eq!((frames.len(), frames[0].variants.len()), (1, 2));
    assert_eq!(told(&frames[0], 0).unwrap().events, [1, 2, 3]);
    let late = told(&frames[0], 2).unwrap();
    assert_eq!((late.events, late.cursor, late.left_out), (vec![3], 3, 0));
}

#[test]
fn what_was_left_out_before_a_joiner_came_is_not_counted_for_it() {
    let (mut driven, _) = joined_behind(&[Class::Ambient, Class::Ambient]);
    for seq in 3..=6 {
        driven.entry(one(seq, 700, Class::Chat));
    }
    driven.wait_until(1_000);
    let frames = driven.take_frames();
    let all = told(&frames[0], 0).unwrap();
    assert_eq!((all.events.len(), all.left_out), (3, 3));
    let late = told(&frames[0], 2).unwrap();
    assert_eq!((late.events.len(), late.left_out), (3, 1));
}

#[test]
fn joiners_at_one_head_share_a_batch() {
    let (mut driven, _) = joined_behind(&[Class::Chat]);
    driven.room.join(join(3));
    driven.room.join(join(4));
    driven.wait_until(700);
    assert_eq!(driven.take_answers()[0].joins.len(), 2);
    driven.entry(one(2, 700, Class::Chat));
    driven.wait_until(1_000);
    assert_eq!(driven.take_frames()[0].variants.len(), 2);
}

#[test]
fn a_joiner_who_has_all_of_the_slot_is_told_nothing_of_it() {
    let (mut driven, _) = joined_behind(&[Class::Chat]);
    driven.wait_until(1_000);
    assert_eq!(told(&driven.take_frames()[0], 1), None);
    driven.entry(one(2, 1_100, Class::Chat));
    driven.wait_until(2_000);
    assert_eq!(told(&driven.take_frames()[0], 1).unwrap().events, [2]);
}

#[test]
fn a_joiner_behind_a_gift_of_its_slot_gets_the_gift() {
    let (mut driven, answer) = joined_behind(&[Class::Chat, Class::Paid]);
    assert_eq!((answer.cursor, answer.held), (2, 1));
    driven.wait_until(1_000);
    let late = told(&driven.take_frames()[0], 2).unwrap();
    assert_eq!((late.events, late.cursor, late.held), (vec![2], 2, 0));
}

#[test]
fn a_joiner_behind_the_slot_is_told_what_changes_in_the_state() {
    let (mut driven, answer) = joined_behind(&[Class::Chat]);
    assert_eq!(answer.state, (Some(2), Some(0)));
    driven.room.like(1, driven.now);
    driven.wait_until(1_000);
    let late = told(&driven.take_frames()[0], 1).unwrap();
    assert_eq!((late.events, late.cursor, late.state), (vec![], 1, (None, Some(1))));
}

#[test]
fn a_joiner_in_the_grace_of_a_slot_gets_its_gifts_and_the_state() {
    let mut driven = Driven::opened(50).seated(1);
    driven.wait_until(900);
    driven.entry(one(1, 900, Class::Paid));
    driven.room.like(1, driven.now);
    driven.wait_until(1_020);
    driven.entry(one(2, 1_010, Class::Paid));
    driven.room.join(join(2));
    driven.settle();
    let joined = answer(&mut driven);
    assert_eq!((joined.cursor, joined.held), (2, 2));
    driven.room.like(1, driven.now);
    driven.wait_until(1_050);
    let frames = driven.take_frames();
    assert_eq!(told(&frames[0], 0).unwrap().held, 0);
    let late = told(&frames[0], 2).unwrap();
    assert_eq!((late.events, late.cursor, late.held), (vec![1], 2, 1));
    assert_eq!(late.state, (None, Some(2)));
    driven.wait_until(2_050);
    let late = told(&driven.take_frames()[0], 2).unwrap();
    assert_eq!((late.events, late.cursor, late.held), (vec![2], 2, 0));
}
