//! Joins and questions: each is answered once, at the head of the log, or refused.

use broker_bridge::{Entry, RoomDelivery};
use protocol::event::Class;
use protocol::refusal::Code;

use super::fixtures::{Driven, Told, address, cursor, join, one, seat};
use crate::room::effect::{Answer, Effect, Join, Question};

fn since(slot: u32, seq: u64) -> Join {
    Join { since: Some(cursor(seq).into()), ..join(slot) }
}

/// A room that opened with the entries after `after` of twenty, one per second since its start;
/// the time is 30 s.
fn opened_after(after: u64) -> Driven {
    let recent = entries(after);
    let mut driven = Driven::unopened(0);
    driven.now = super::fixtures::at(30_000);
    driven.deliver(RoomDelivery::Opened { head: cursor(20), recent });
    driven
}

fn entries(after: u64) -> Vec<Entry> {
    (after + 1..=20).map(|seq| one(seq, seq * 1_000, Class::Chat)).collect()
}

/// Who is answered, by slot.
fn answered(answers: &[Answer]) -> Vec<Vec<u32>> {
    answers.iter().map(|a| a.joins.iter().map(|join| join.address.slot).collect()).collect()
}

fn settled_answer(driven: &mut Driven) -> Told {
    driven.settle();
    let answers = driven.take_answers();
    assert_eq!(answers.len(), 1, "{answers:?}");
    Told::answer(&answers[0])
}

#[test]
fn a_join_is_answered_at_once_at_the_head() {
    let mut driven = opened_after(0);
    driven.room.join(join(1));
    driven.settle();
    let answers = driven.take_answers();
    assert_eq!((answers.len(), answers[0].joins.as_slice()), (1, [join(1)].as_slice()));
    let told = Told::answer(&answers[0]);
    assert_eq!((told.cursor, told.events, told.recovered), (20, vec![], None));
    driven.wait_until(90_000);
    assert_eq!(driven.take_answers().len(), 0, "each is answered once");
}

#[test]
fn joins_within_five_milliseconds_share_a_turn_and_those_alike_an_answer() {
    let mut driven = opened_after(0);
    driven.room.join(join(1));
    driven.settle();
    assert_eq!(answered(&driven.take_answers()), [[1]]);
    let history = |slot, history| Join { history, ..join(slot) };
    for (offset_ms, join) in [
        (30_001, join(2)),
        (30_002, history(3, 5)),
        (30_003, since(4, 19)),
        (30_004, join(5)),
        (30_004, history(6, 5)),
        (30_004, history(7, 6)),
    ] {
        driven.wait_until(offset_ms);
        driven.room.join(join);
    }
    driven.settle();
    assert_eq!(driven.take_answers().len(), 0);
    driven.wait_until(30_005);
    let answers = driven.take_answers();
    assert_eq!(answered(&answers), [vec![2, 5], vec![3, 6], vec![7], vec![4]]);
    let events: Vec<_> = answers.iter().map(|a| Told::answer(a).events.len()).collect();
    assert_eq!(events, [0, 5, 6, 1]);
}

#[test]
fn joins_before_the_room_is_open_are_answered_when_it_is() {
    let mut driven = Driven::unopened(0);
    driven.room.join(join(1));
    driven.wait_until(3_000);
    assert_eq!(driven.take().len(), 0);
    driven.deliver(RoomDelivery::Opened { head: cursor(0), recent: Vec::new() });
    assert_eq!(settled_answer(&mut driven).cursor, 0);
}

#[test]
fn entries_before_the_room_is_open_are_of_an_earlier_subscription() {
    let mut driven = Driven::unopened(0);
    driven.entry(one(5, 0, Class::Chat));
    driven.deliver(RoomDelivery::Opened { head: cursor(7), recent: Vec::new() });
    driven.room.join(Join { history: 9, ..join(1) });
    let told = settled_answer(&mut driven);
    assert_eq!((told.cursor, told.events), (7, vec![]));
}

#[test]
fn entries_of_another_log_are_dropped() {
    let mut driven = Driven::opened(0).seated(1);
    let epoch = protocol::cursor::Epoch::random([8; 8]);
    driven.deliver(RoomDelivery::Entry { epoch, entry: one(1, 0, Class::Chat) });
    driven.wait_until(10_000);
    assert_eq!(driven.told(), []);
}

#[test]
fn who_leaves_before_the_answer_gets_none() {
    let mut driven = Driven::unopened(0);
    driven.room.join(join(1));
    driven.room.join(join(2));
    driven.leave(1);
    driven.deliver(RoomDelivery::Opened { head: cursor(0), recent: Vec::new() });
    driven.settle();
    assert_eq!(answered(&driven.take_answers()), [[2]]);
}

#[test]
fn a_leave_of_one_seat_is_not_taken_for_another() {
    let mut driven = Driven::opened(0).seated(1);
    driven.leave(1);
    driven.room.join(Join { seat: seat(2), ..join(1) });
    driven.wait_until(5);
    assert_eq!(driven.take_answers().len(), 1);
    driven.leave(1);
    driven.entry(one(1, 5, Class::Chat));
    driven.wait_until(1_000);
    assert_eq!(driven.told().len(), 1, "the second seat is still taken");
    driven.room.leave(address(1), seat(2), driven.now);
    driven.entry(one(2, 1_000, Class::Chat));
    driven.wait_until(2_000);
    assert_eq!(driven.told(), []);
}

#[test]
fn a_room_that_does_not_open_refuses_those_who_wait() {
    let mut driven = Driven::unopened(0);
    driven.room.join(join(1));
    driven.room.ask(Question { ticket: 7, events: 0 });
    driven.wait_until(4_999);
    assert_eq!(driven.take().len(), 0);
    driven.wait_until(5_000);
    let effects = driven.take();
    let [Effect::Refuse { joins, refusal }, Effect::NoInfo(7)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!((joins.as_slice(), refusal.code), ([join(1)].as_slice(), Code::Unavailable));
    assert!(refusal.retry_after.is_some());
}

#[test]
fn a_room_that_did_not_open_refuses_at_once_and_is_forgotten_in_time() {
    let mut driven = Driven::unopened(0);
    driven.wait_until(6_000);
    driven.room.join(join(1));
    driven.settle();
    assert!(matches!(driven.take().as_slice(), [Effect::Refuse { .. }]));
    driven.wait_until(19_999);
    assert!(!driven.room.is_over(driven.now));
    driven.wait_until(20_000);
    assert!(driven.room.is_over(driven.now), "so that the next join subscribes again");
    assert_eq!(driven.take().len(), 0);
}

#[test]
fn a_room_that_opens_late_serves_whoever_comes_then() {
    let mut driven = Driven::unopened(0);
    driven.room.join(join(1));
    driven.wait_until(7_000);
    driven.take();
    driven.deliver(RoomDelivery::Opened { head: cursor(0), recent: Vec::new() });
    driven.settle();
    assert_eq!(driven.take().len(), 0, "the refused one is not seated after all");
    driven.room.join(join(2));
    driven.settle();
    assert_eq!(answered(&driven.take_answers()), [[2]]);
}

#[test]
fn a_cursor_that_is_known_is_recovered_with_what_came_after_it() {
    let mut driven = opened_after(0);
    driven.room.join(Join { history: 100, ..since(1, 17) });
    let told = settled_answer(&mut driven);
    assert_eq!((told.cursor, told.recovered, told.events), (20, Some(true), vec![18, 19, 20]));
}

#[test]
fn a_cursor_that_is_lost_is_told_so_with_the_newest_instead() {
    let lost = || RoomDelivery::Fetched { after: cursor(21), entries: None };
    let mut driven = opened_after(0);
    driven.room.join(since(1, 21));
    driven.settle();
    driven.deliver(lost());
    let told = settled_answer(&mut driven);
    assert_eq!((told.recovered, told.events), (Some(false), (1..=20).collect()));
    driven.wait_until(30_005);
    driven.room.join(Join { history: 2, ..since(2, 21) });
    driven.settle();
    driven.deliver(lost());
    assert_eq!(settled_answer(&mut driven).events, [19, 20]);
}

#[test]
fn a_cursor_of_a_gateway_that_is_ahead_is_complete_if_the_broker_says_so() {
    let mut driven = opened_after(0);
    driven.room.join(since(1, 21));
    driven.settle();
    driven.deliver(RoomDelivery::Fetched { after: cursor(21), entries: Some(Vec::new()) });
    let told = settled_answer(&mut driven);
    assert_eq!((told.recovered, told.events), (Some(true), Vec::new()));
}

#[test]
fn older_cursors_are_asked_of_the_broker_once_each() {
    let mut driven = opened_after(15);
    for (slot, seq) in [(1, 5), (2, 6), (3, 5)] {
        driven.room.join(since(slot, seq));
    }
    driven.settle();
    driven.wait_until(30_100);
    driven.room.join(since(4, 5));
    driven.settle();
    let fetches = driven.take();
    let [Effect::Fetch(first), Effect::Fetch(second)] = fetches.as_slice() else {
        panic!("{fetches:?}");
    };
    assert_eq!((*first, *second), (cursor(5), cursor(6)));

    driven.deliver(RoomDelivery::Fetched { after: cursor(5), entries: Some(entries(5)) });
    let answers = driven.take_answers();
    assert_eq!(answered(&answers), [[1, 3, 4]]);
    let told = Told::answer(&answers[0]);
    assert_eq!((told.recovered, told.events), (Some(true), (6..=20).collect()));
    driven.deliver(RoomDelivery::Fetched { after: cursor(6), entries: Some(entries(6)) });
    assert_eq!(answered(&driven.take_answers()), [[2]]);
    driven.deliver(RoomDelivery::Fetched { after: cursor(5), entries: Some(entries(5)) });
    assert_eq!(driven.take_answers().len(), 0);
}

#[test]
fn what_the_broker_has_lost_is_not_recovered_and_who_cannot_be_told_may_try_again() {
    let mut driven = opened_after(15);
    driven.room.join(since(1, 5));
    driven.room.join(since(2, 6));
    driven.settle();
    driven.take();
    driven.deliver(RoomDelivery::Fetched { after: cursor(5), entries: None });
    let answers = driven.take_answers();
    assert_eq!(answered(&answers), [[1]]);
    let told = Told::answer(&answers[0]);
    assert_eq!((told.recovered, told.events), (Some(false), (16..=20).collect()));
    driven.room.fetch_refused(cursor(6), driven.now, &mut driven.effects);
    let effects = driven.take();
    let [Effect::Refuse { joins, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(joins[0].address.slot, 2);
}

#[test]
fn what_arrives_during_a_fetch_is_in_the_answer_once() {
    let mut driven = opened_after(15);
    driven.room.join(since(1, 10));
    driven.settle();
    driven.take();
    driven.entry(one(21, 30_000, Class::Chat));
    let fetched: Vec<_> = entries(10).into_iter().chain([one(21, 30_000, Class::Chat)]).collect();
    driven.deliver(RoomDelivery::Fetched { after: cursor(10), entries: Some(fetched) });
    let told = Told::answer(&driven.take_answers()[0]);
    assert_eq!((told.cursor, told.events), (21, (11..=21).collect()));
    driven.wait_until(31_000);
    let frames = driven.take_frames();
    assert!(frames[0].variants.iter().all(|variant| variant.prev.at.seq != 21));
}

#[test]
fn who_leaves_during_a_fetch_gets_no_answer_and_leaves_no_room_behind() {
    let mut driven = opened_after(15);
    driven.room.join(since(1, 5));
    driven.settle();
    driven.leave(1);
    driven.deliver(RoomDelivery::Fetched { after: cursor(5), entries: Some(entries(5)) });
    assert_eq!(driven.take_answers().len(), 0);
    driven.wait_until(50_000);
    assert!(driven.room.is_over(driven.now));
}

#[test]
fn a_room_lingers_after_its_last_viewer_and_a_join_keeps_it() {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(100_000);
    assert!(!driven.room.is_over(driven.now), "somebody is here");
    driven.leave(1);
    driven.wait_until(119_999);
    driven.room.join(join(2));
    driven.settle();
    driven.take();
    driven.wait_until(200_000);
    assert!(!driven.room.is_over(driven.now));
    driven.leave(2);
    driven.wait_until(220_000);
    assert!(driven.room.is_over(driven.now));
}

#[test]
fn a_question_is_answered_from_an_open_room() {
    let mut driven = Driven::unopened(0);
    driven.room.ask(Question { ticket: 7, events: 2 });
    driven.wait_until(1_000);
    assert_eq!(driven.take().len(), 0);
    let recent = (1..=3).map(|seq| one(seq, 0, Class::Chat)).collect();
    driven.deliver(RoomDelivery::Opened { head: cursor(3), recent });
    driven.settle();
    let effects = driven.take();
    let [Effect::Info(7, info)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!((info.cursor, info.events.len(), info.state.online), (cursor(3).into(), 2, 0));
    driven.wait_until(19_999);
    assert!(!driven.room.is_over(driven.now));
    driven.wait_until(20_000);
    assert!(driven.room.is_over(driven.now), "questions are no viewers");
}
