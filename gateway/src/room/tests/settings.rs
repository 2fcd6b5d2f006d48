//! How a room's settings change: at the end of the running slot, for everybody, once.

use broker_bridge::RoomDelivery;
use protocol::cursor::{Cursor, Epoch};
use protocol::event::Class;
use protocol::select::Budget;

use super::fixtures::{BUDGET, Driven, SETTINGS, Told, at, cursor, join, one};
use crate::now::Now;
use crate::room::RoomSettings;
use crate::room::effect::{Effect, Join, Question};

fn tick(tick_ms: u32) -> RoomSettings {
    RoomSettings { tick_ms, ..SETTINGS }
}

/// (offset, tick) of what is told until then, millisecond by millisecond.
fn ticks_told(driven: &mut Driven, until_ms: u64) -> Vec<(u64, Option<u64>)> {
    let mut told = Vec::new();
    for offset_ms in driven.offset_ms()..=until_ms {
        driven.wait_until(offset_ms);
        told.extend(driven.told().iter().map(|t| (offset_ms, t.tick_ms)));
    }
    told
}

#[test]
fn a_change_comes_into_force_at_the_end_of_the_running_slot_and_is_told_with_it() {
    for grace_ms in [0, 50] {
        let mut driven = Driven::opened(grace_ms).seated(1);
        driven.wait_until(100);
        driven.entry(one(1, 100, Class::Chat));
        driven.room.set(tick(300), driven.now);
        assert_eq!(ticks_told(&mut driven, 1_200), [(1_000 + grace_ms, Some(300))]);
        // The new clock has a phase of its own: the next slot is at most one new tick away.
        driven.entry(one(2, 1_200, Class::Chat));
        let told = ticks_told(&mut driven, 1_600);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 <= 1_500 + grace_ms && told[0].1.is_none(), "{told:?}");
    }
}

#[test]
fn a_silent_room_tells_a_change_all_the_same_and_once() {
    for grace_ms in [0, 50] {
        let mut driven = Driven::opened(grace_ms).seated(1);
        driven.wait_until(400);
        driven.room.set(tick(2_000), driven.now);
        assert_eq!(ticks_told(&mut driven, 10_000), [(1_000 + grace_ms, Some(2_000))]);
    }
}

#[test]
fn whoever_joins_before_a_change_learns_both_and_whoever_joins_later_the_new_one() {
    let mut driven = Driven::opened(0).seated(1);
    driven.room.set(tick(500), driven.now);
    driven.wait_until(300);
    driven.room.join(join(2));
    driven.settle();
    assert_eq!(Told::answer(&driven.take_answers()[0]).tick_ms, Some(1_000));
    driven.wait_until(1_000);
    assert_eq!(driven.told()[0].tick_ms, Some(500));
    driven.room.join(join(3));
    driven.wait_until(1_010);
    let answer = driven.take_answers().remove(0);
    assert_eq!(Told::answer(&answer).tick_ms, Some(500));
    let json = String::from_utf8(answer.tail).unwrap();
    assert!(json.contains("\"tick_ms\":500,\"state\""), "{json}");
}

#[test]
fn the_last_of_several_changes_counts_and_none_puts_the_first_off() {
    let mut driven = Driven::opened(50).seated(1);
    for offset_ms in [100, 500, 990, 1_010, 1_040] {
        driven.wait_until(offset_ms);
        driven.room.set(tick(offset_ms as u32), driven.now);
    }
    assert_eq!(ticks_told(&mut driven, 3_000), [(1_050, Some(1_040))]);
    driven.room.set(tick(77), driven.now);
    driven.room.set(tick(1_040), driven.now);
    assert_eq!(ticks_told(&mut driven, 6_000), [], "all is as it was");
}

#[test]
fn another_budget_counts_from_the_next_slot_on() {
    let mut driven = Driven::opened(0).seated(1);
    let budget = Budget { chat: 1, ..BUDGET };
    driven.room.set(RoomSettings { budget, ..SETTINGS }, driven.now);
    (1..=5).for_each(|seq| driven.entry(one(seq, 0, Class::Chat)));
    driven.wait_until(1_000);
    assert_eq!((driven.told()[0].events.len(), driven.effects.len()), (3, 0), "as it was");
    (6..=10).for_each(|seq| driven.entry(one(seq, 1_000, Class::Chat)));
    driven.wait_until(2_000);
    let told = driven.told();
    assert_eq!((told[0].events.len(), told[0].left_out), (1, 4));
}

#[test]
fn a_room_that_is_not_open_yet_opens_with_the_last_settings() {
    let mut driven = Driven::unopened(0);
    driven.room.join(join(1));
    driven.room.set(tick(100), driven.now);
    driven.deliver(RoomDelivery::Opened { head: cursor(0), recent: Vec::new() });
    driven.settle();
    assert_eq!(Told::answer(&driven.take_answers()[0]).tick_ms, Some(100));
    driven.effects.clear();
    driven.wait_until(60_000);
    assert_eq!(driven.told(), []);
}

#[test]
fn a_clock_that_is_set_back_does_not_put_a_change_off() {
    let mut driven = Driven::opened(0).seated(1);
    driven.room.set(tick(100), driven.now);
    let back = |offset_ms: u64| {
        let now = at(offset_ms);
        Now { unix_ms: now.unix_ms - 3_600_000, ..now }
    };
    let mut out = Vec::new();
    // The turn that was booked for the end of the slot, by the monotonic clock.
    driven.room.turn(back(1_000), &mut out);
    let due = driven.room.due(back(1_000)).unwrap();
    assert!(due <= at(2_000).mono, "{due:?}");
    driven.room.turn(back(due.as_millis() as u64), &mut out);
    let told = out.iter().filter_map(|effect| {
        let Effect::Frame(frame) = effect else { return None };
        Told::of(&frame.variants[0]).tick_ms
    });
    assert_eq!(told.collect::<Vec<_>>(), [100]);
}

#[test]
fn a_room_shows_no_more_of_its_past_than_its_settings_say() {
    let recent: Vec<_> = (1..=20).map(|seq| one(seq, seq * 1_000, Class::Chat)).collect();
    let mut driven = Driven::unopened(0);
    driven.room.set(RoomSettings { history_events: 3, ..SETTINGS }, driven.now);
    driven.now = at(30_000);
    driven.deliver(RoomDelivery::Opened { head: cursor(20), recent });
    let lost = Cursor { epoch: Epoch::random([9; 8]), ..cursor(0) };
    driven.room.join(Join { history: 10, ..join(1) });
    driven.room.join(Join { since: Some(lost.into()), ..join(2) });
    driven.room.ask(Question { ticket: 1, events: 10 });
    driven.settle();
    let answers = driven.take_answers();
    let told: Vec<_> = answers.iter().map(|a| Told::answer(a).events).collect();
    assert_eq!(told, [[18, 19, 20], [18, 19, 20]]);
    let info = driven.take_if(|it| if let Effect::Info(_, i) = it { Ok(i) } else { Err(it) });
    assert_eq!(info[0].events.len(), 3);
}
