//! What a log could not give: events without a number, entries that are gone, a log that has
//! begun anew, answers that never come, a clock that was set back.

use broker_bridge::{Entry, RoomDelivery};
use protocol::cursor::{Cursor, Epoch};
use protocol::event::Class;
use protocol::refusal::Code;
use serde_json::{Value, json};

use super::fixtures::{
    Driven, SETTINGS, TICK_MS, Told, at, cursor, entry, event, join, keyed, one, start_ms,
};
use crate::room::RoomSettings;
use crate::room::effect::{Effect, Join, RoomFrame};

fn live(driven: &mut Driven, numbers: &[u64], class: Class) {
    let events = numbers.iter().map(|n| event(*n, class)).collect();
    let origin_ms = driven.now.unix_ms;
    driven.deliver(RoomDelivery::Live { origin_ms, events });
}

/// The gap that a frame tells to those at each cursor.
fn gaps(frame: &RoomFrame) -> Vec<Value> {
    assert_eq!(frame.name, "gap");
    let told = frame.variants.iter().map(|variant| {
        let gap: Value = serde_json::from_slice(&variant.payload).unwrap();
        assert_eq!(gap["from"], variant.prev.to_string());
        assert_eq!(gap["to"], variant.cursor.to_string());
        assert_eq!(gap["count"], variant.count);
        gap
    });
    told.collect()
}

fn told(frame: &RoomFrame) -> Vec<Told> {
    frame.variants.iter().map(Told::of).collect()
}

fn other_log(seq: u64) -> Cursor {
    Cursor { epoch: Epoch::random([8; 8]), seq }
}

fn other_entry(driven: &mut Driven, entry: Entry) {
    driven.deliver(RoomDelivery::Entry { epoch: other_log(0).epoch, entry });
}

#[test]
fn live_events_go_out_with_their_slot_and_move_no_cursor() {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(100);
    driven.entry(one(1, 100, Class::Chat));
    live(&mut driven, &[21], Class::Chat);
    driven.wait_until(1_000);
    let batch = &driven.told()[0];
    assert_eq!((batch.prev, batch.cursor, &batch.events[..]), (Some(0), 1, &[1, 21][..]));
    live(&mut driven, &[22], Class::Chat);
    driven.wait_until(2_000);
    let batch = &driven.told()[0];
    assert_eq!((batch.prev, batch.cursor, &batch.events[..]), (Some(1), 1, &[22][..]));
    assert_eq!(driven.told(), [], "once");
}

#[test]
fn a_live_event_with_a_key_shows_once_unless_the_log_brings_it() {
    let mut driven = Driven::opened(0).seated(1);
    let live = |driven: &mut Driven, n: u64, key: &str| {
        let events = [keyed(n, Class::Chat, key)].into();
        driven.deliver(RoomDelivery::Live { origin_ms: start_ms(), events });
    };
    driven.entry(entry(1, 0, vec![keyed(1, Class::Chat, "stored")]));
    live(&mut driven, 2, "stored");
    live(&mut driven, 3, "live");
    live(&mut driven, 4, "live");
    driven.entry(entry(2, 0, vec![keyed(3, Class::Chat, "live")]));
    let repeats =
        driven.take_if(|it| if let Effect::Repeats(count) = it { Ok(count) } else { Err(it) });
    assert_eq!(repeats, [1, 1]);
    driven.wait_until(TICK_MS);
    assert_eq!(driven.told()[0].events, [1, 3, 3], "its place in the log is its own");
    live(&mut driven, 5, "live");
    driven.wait_until(2 * TICK_MS);
    assert_eq!(driven.take_frames().len(), 0);
}

#[test]
fn live_events_share_the_budget_and_are_counted_when_left_out() {
    let mut driven = Driven::opened(0).seated(1);
    live(&mut driven, &[21, 22, 23, 24, 25], Class::Chat);
    driven.wait_until(1_000);
    let batch = &driven.told()[0];
    assert_eq!((batch.events.len(), batch.left_out), (3, 2));
}

#[test]
fn live_gifts_over_the_budget_go_out_at_once_since_nobody_can_be_owed_them() {
    let mut driven = Driven::opened(0).seated(1);
    live(&mut driven, &(21..=28).collect::<Vec<_>>(), Class::Paid);
    driven.wait_until(1_000);
    let batch = &driven.told()[0];
    assert_eq!((batch.events.len(), batch.held), (8, 0));
}

#[test]
fn live_events_are_for_those_who_stand_before_or_at_their_place_and_are_not_told_again() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    driven.room.join(Join { history: 9, ..join(2) });
    driven.wait_until(5);
    assert_eq!(Told::answer(&driven.take_answers()[0]).cursor, 1);
    live(&mut driven, &[21], Class::Chat);
    driven.entry(one(2, 10, Class::Chat));
    driven.room.join(Join { history: 9, ..join(3) });
    driven.wait_until(20);
    let late = Told::answer(&driven.take_answers()[0]);
    assert_eq!((late.cursor, late.events), (2, vec![1, 2]));
    driven.wait_until(1_000);
    let batches = told(&driven.take_frames()[0]);
    let told: Vec<_> = batches.iter().map(|b| (b.prev.unwrap(), b.events.clone())).collect();
    assert_eq!(told, [(0, vec![1, 21, 2]), (1, vec![21, 2])], "none for who stands behind it");
    driven.room.join(Join { since: Some(cursor(0).into()), ..join(4) });
    driven.wait_until(1_010);
    assert_eq!(Told::answer(&driven.take_answers()[0]).events, [1, 2]);
}

#[test]
fn entries_that_are_gone_are_a_gap_at_once_behind_everything_that_came_before() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    driven.room.join(join(2));
    driven.wait_until(10);
    driven.take_answers();
    driven.deliver(RoomDelivery::Lost { upto: 5, events: 7 });
    let frames = driven.take_frames();
    let before = told(&frames[0]);
    assert_eq!((before[0].prev, before[0].cursor, &before[0].events[..]), (Some(0), 1, &[1][..]));
    let (from, to) = (cursor(1).to_string(), cursor(5).to_string());
    let gap = json!({
        "type": "gap", "room": "demo", "from": from, "to": to, "count": 7, "reason": "lost"
    });
    assert_eq!(gaps(&frames[1]), [gap]);
    driven.entry(one(6, 20, Class::Chat));
    // Its slot has been closed.
    driven.wait_until(2_000);
    let batches = told(&driven.take_frames()[0]);
    assert_eq!((batches[0].prev, batches[0].cursor), (Some(5), 6));
    assert_eq!(batches[0].events, [6]);
}

/// Otherwise it would be told of them and get them as well, from a gateway that has them.
#[test]
fn who_was_told_of_lost_entries_stands_behind_them_at_once() {
    let mut driven = Driven::opened(0).seated(1);
    driven.deliver(RoomDelivery::Lost { upto: 5, events: 7 });
    let frames = driven.take_frames();
    assert_eq!((gaps(&frames[0]).len(), frames[0].variants[0].cursor.at), (1, cursor(5)));
    driven.settle();
    assert_eq!(driven.told(), [], "there is nothing else to tell");
}

#[test]
fn who_comes_back_from_before_a_hole_is_told_by_the_broker_or_not_at_all() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    driven.deliver(RoomDelivery::Lost { upto: 3, events: 2 });
    driven.entry(one(4, 10, Class::Chat));
    driven.wait_until(1_000);
    driven.take();
    driven.room.join(Join { since: Some(cursor(1).into()), ..join(2) });
    driven.wait_until(1_010);
    assert!(matches!(driven.take().as_slice(), [Effect::Fetch(after)] if *after == cursor(1)));
    let entries = (2..=4).map(|seq| one(seq, 10, Class::Chat)).collect();
    driven.deliver(RoomDelivery::Fetched { after: cursor(1), entries: Some(entries) });
    let answer = Told::answer(&driven.take_answers()[0]);
    assert_eq!((answer.recovered, answer.events), (Some(true), vec![2, 3, 4]));
}

/// Every gap closes the open slot before its time, so what comes next is in one ahead.
#[test]
fn slots_that_closed_early_do_not_hold_up_the_shorter_ones_that_follow() {
    let mut driven = Driven::opened(0).seated(1);
    for seq in [1, 3, 5] {
        driven.entry(one(seq, 0, Class::Chat));
        driven.deliver(RoomDelivery::Lost { upto: seq + 1, events: 1 });
    }
    driven.room.set(RoomSettings { tick_ms: 100, ..SETTINGS }, driven.now);
    driven.entry(one(7, 0, Class::Chat));
    driven.take();
    driven.wait_until(TICK_MS + 200);
    let told: Vec<Told> = driven.take_frames().iter().flat_map(told).collect();
    assert!(told.iter().any(|told| told.events == [7]), "{told:?}");
}

/// They are in the log after all: their ack was lost, not they.
#[test]
fn who_comes_back_from_before_an_entry_whose_events_came_live_is_told_them_by_the_broker() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    live(&mut driven, &[2], Class::Chat);
    driven.entry(entry(2, 0, Vec::new()));
    driven.entry(one(3, 10, Class::Chat));
    driven.wait_until(1_000);
    assert_eq!(driven.told()[0].events, [1, 2, 3], "once, for those who are here");
    driven.room.join(Join { since: Some(cursor(1).into()), ..join(2) });
    driven.wait_until(1_010);
    assert!(matches!(driven.take().as_slice(), [Effect::Fetch(after)] if *after == cursor(1)));
    let entries = (2..=3).map(|seq| one(seq, 10, Class::Chat)).collect();
    driven.deliver(RoomDelivery::Fetched { after: cursor(1), entries: Some(entries) });
    let answer = Told::answer(&driven.take_answers()[0]);
    assert_eq!((answer.recovered, answer.events), (Some(true), vec![2, 3]));
}

/// No entry holds them, so they went out live: to those who were there, and to nobody later.
#[test]
fn what_is_lost_at_the_last_entry_is_told_to_those_who_are_here_and_missed_by_nobody_else() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    driven.entry(one(2, 0, Class::Chat));
    driven.deliver(RoomDelivery::Lost { upto: 2, events: 3 });
    assert_eq!(gaps(&driven.take_frames()[0])[0]["count"], 3);
    driven.wait_until(1_000);
    assert_eq!(driven.told()[0].events, [1, 2]);
    for (since, missed) in [(1, vec![2]), (2, vec![])] {
        driven.wait_until(1_000 + since * 10);
        driven.room.join(Join { since: Some(cursor(since).into()), ..join(2) });
        driven.settle();
        let answer = Told::answer(&driven.take_answers()[0]);
        assert_eq!((answer.recovered, answer.events), (Some(true), missed));
    }
}

#[test]
fn a_room_that_is_opened_again_where_it_stands_goes_on_without_a_word() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    let recent = vec![one(1, 0, Class::Chat), one(2, 10, Class::Chat), one(3, 10, Class::Chat)];
    driven.deliver(RoomDelivery::Opened { head: cursor(3), recent });
    driven.entry(one(4, 20, Class::Chat));
    driven.wait_until(1_000);
    let batch = &driven.told()[0];
    assert_eq!((batch.prev, batch.cursor, batch.events.len()), (Some(0), 4, 3));
    assert_eq!(batch.left_out, 1);
}

#[test]
fn a_room_that_was_cut_off_for_too_long_tells_a_gap_and_goes_on_with_what_is_known() {
    let mut driven = Driven::opened(0).seated(1);
    (1..=7).for_each(|seq| driven.entry(one(seq, 0, Class::Paid)));
    let recent = vec![one(30, 500, Class::Chat), one(31, 500, Class::Chat)];
    driven.deliver(RoomDelivery::Opened { head: cursor(31), recent });
    let frames = driven.take_frames();
    let before = Told::of(&frames[0].variants[0]);
    assert_eq!((before.cursor, before.events, before.held), (7, vec![1, 2, 3, 4, 5], 2));
    let gap = &gaps(&frames[1])[0];
    assert_eq!((&gap["count"], &gap["reason"]), (&json!(0), &json!("expired")));
    assert_eq!(frames[1].variants[0].cursor.at, cursor(29));
    assert_eq!(frames[1].variants[0].cursor.held(), 2, "those are still owed");
    driven.wait_until(3_000);
    let batches = driven.told();
    assert_eq!(batches[0].prev, Some(29));
    let events: Vec<u64> = batches.iter().flat_map(|batch| batch.events.clone()).collect();
    assert_eq!((events, batches.last().unwrap().held), (vec![6, 7, 30, 31], 0));
}

#[test]
fn a_log_that_begins_anew_is_followed_and_what_was_held_goes_out_before() {
    let mut driven = Driven::opened(0).seated(1);
    (1..=7).for_each(|seq| driven.entry(one(seq, 0, Class::Paid)));
    driven.wait_until(1_000);
    assert_eq!(driven.told()[0].held, 2);
    driven.entry(one(8, 1_000, Class::Chat));
    let recent = vec![one(1, 1_100, Class::Chat)];
    driven.deliver(RoomDelivery::Opened { head: other_log(1), recent });
    let frames = driven.take_frames();
    let last = frames[..frames.len() - 1].iter().flat_map(told).last().unwrap();
    assert_eq!((last.cursor, last.held), (8, 0));
    let gap = frames.last().unwrap();
    assert_eq!(gaps(gap)[0]["reason"], "expired");
    assert_eq!((gap.variants[0].prev.at, gap.variants[0].cursor.at), (cursor(8), other_log(0)));

    other_entry(&mut driven, one(2, 1_200, Class::Chat));
    driven.wait_until(2_000);
    let batch = &driven.told()[0];
    assert_eq!((batch.prev, batch.cursor, &batch.events[..]), (Some(0), 2, &[1, 2][..]));
    assert_eq!(batch.bookmarks.1.at, other_log(2));
    driven.room.join(Join { since: Some(cursor(8).into()), ..join(2) });
    driven.wait_until(2_010);
    assert_eq!(driven.take_answers()[0].recovered, Some(false));
}

#[test]
fn a_log_of_the_same_name_that_has_gone_back_leaves_no_room_deaf() {
    let mut driven = Driven::opened(0).seated(1);
    driven.entry(one(1, 0, Class::Chat));
    driven.entry(one(2, 0, Class::Chat));
    driven.deliver(RoomDelivery::Opened { head: cursor(1), recent: Vec::new() });
    assert_eq!(driven.take_frames().len(), 2);
    driven.entry(one(2, 100, Class::Chat));
    driven.wait_until(1_000);
    assert_eq!(driven.told()[0].events, [2]);
}

#[test]
fn who_waits_for_a_past_of_a_log_that_is_gone_is_answered() {
    let mut driven = Driven::opened_with(0, 9, Vec::new()).seated(1);
    driven.wait_until(10);
    driven.room.join(Join { since: Some(cursor(5).into()), ..join(2) });
    driven.settle();
    assert!(matches!(driven.take().as_slice(), [.., Effect::Fetch(_)]));
    driven.deliver(RoomDelivery::Opened { head: other_log(0), recent: Vec::new() });
    let answer = &driven.take_answers()[0];
    assert_eq!((answer.recovered, answer.head.at), (Some(false), other_log(0)));
}

#[test]
fn a_past_that_is_never_told_is_not_waited_for_longer_than_five_seconds() {
    let mut driven = Driven::opened_with(0, 9, Vec::new());
    driven.room.join(Join { since: Some(cursor(5).into()), ..join(1) });
    driven.wait_until(2_000);
    driven.room.join(Join { since: Some(cursor(5).into()), ..join(2) });
    driven.wait_until(4_999);
    assert!(matches!(driven.take().as_slice(), [Effect::Fetch(_)]));
    driven.wait_until(5_000);
    let effects = driven.take();
    let [Effect::Refuse { joins, refusal }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((joins.len(), refusal.code), (2, Code::Unavailable));
    assert!(refusal.retry_after.is_some());
    let entries = (6..=9).map(|seq| one(seq, 0, Class::Chat)).collect();
    driven.deliver(RoomDelivery::Fetched { after: cursor(5), entries: Some(entries) });
    assert_eq!(driven.take_answers().len(), 0, "each is answered once");
    driven.wait_until(30_000);
    assert!(driven.room.is_over(driven.now), "nobody is here");
}

/// The same moment on the monotonic clock, an hour earlier on the other.
fn set_back(driven: &mut Driven) {
    driven.now.unix_ms -= 3_600_000;
}

/// Turns whenever one is due, with a unix clock that is an hour late.
fn wait_set_back(driven: &mut Driven, until_ms: u64) {
    while let Some(due) = driven.room.due(driven.now).filter(|due| *due <= at(until_ms).mono) {
        let offset_ms = (due.as_millis() as u64).max(driven.now.mono_ms());
        driven.now = at(offset_ms);
        set_back(driven);
        driven.room.turn(driven.now, &mut driven.effects);
    }
}

#[test]
fn a_clock_that_is_set_back_delays_no_slot_by_more_than_a_tick() {
    let mut driven = Driven::opened(0).seated(1);
    driven.wait_until(1_500);
    driven.entry(one(1, 1_500, Class::Chat));
    set_back(&mut driven);
    wait_set_back(&mut driven, 1_500 + TICK_MS);
    assert_eq!(driven.told()[0].events, [1]);
    let origin_ms = driven.now.unix_ms;
    driven.entry(entry(2, origin_ms.wrapping_sub(start_ms()), vec![event(2, Class::Chat)]));
    wait_set_back(&mut driven, 1_500 + 3 * TICK_MS);
    assert_eq!(driven.told()[0].events, [2], "slots go on in the new time");
}

#[test]
fn a_clock_that_is_set_back_delays_no_answer_and_no_refusal() {
    let mut driven = Driven::unopened(0);
    driven.room.join(join(1));
    set_back(&mut driven);
    wait_set_back(&mut driven, 5_000);
    assert!(matches!(driven.take().as_slice(), [Effect::Refuse { .. }]));
}
