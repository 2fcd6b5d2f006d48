use bytes::Bytes;
use proptest::prelude::*;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::EventId;

use super::*;

fn boot(publisher: u8) -> BootId {
    BootId::from_bytes([publisher; 8])
}

fn event() -> Event {
    Event {
        id: EventId::from_bytes([0; 16]),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: 1,
        json: Bytes::from_static(b"{}"),
    }
}

/// The batch of a publisher with one event that follows `first` others.
fn batch(publisher: u8, first: u64) -> Batch {
    Batch { from: boot(publisher), counter: first + 1, first, origin_ms: 1, events: vec![event()] }
}

fn stored(seq: Seq, prev: Seq, batch: Batch) -> Stored {
    Stored { seq, prev, batch }
}

fn open_at(seq: Seq) -> Follow {
    Follow::open(Cursor { epoch: Epoch::random([1; 8]), seq }, &[])
}

/// What was delivered, in short.
fn told(out: &mut Vec<RoomDelivery>) -> Vec<String> {
    out.drain(..)
        .map(|delivery| match delivery {
            RoomDelivery::Entry { entry, .. } => {
                format!("{}<{} {}", entry.prev, entry.seq, entry.events.len())
            }
            RoomDelivery::Live { events, .. } => format!("live {}", events.len()),
            RoomDelivery::Lost { upto, events } => format!("lost {events} upto {upto}"),
            RoomDelivery::Silent { upto } => format!("silent upto {upto}"),
            other @ (RoomDelivery::Opened { .. }
            | RoomDelivery::Fetched { .. }
            | RoomDelivery::Counts { .. }
            | RoomDelivery::NodeGone { .. }) => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn entries_are_linked_to_what_was_delivered_before() {
    let (mut follow, mut out) = (open_at(7), Vec::new());
    assert_eq!(follow.stored(stored(9, 7, batch(1, 0)), &mut out), Verdict::Done);
    // The room's last entry lies before where the stream stood.
    assert_eq!(follow.stored(stored(12, 5, batch(1, 1)), &mut out), Verdict::Done);
    assert_eq!(told(&mut out), ["7<9 1", "9<12 1"]);
}

#[test]
fn what_is_linked_to_nothing_waits_until_the_log_is_known_to_be_the_same() {
    let (mut follow, mut out) = (open_at(7), Vec::new());
    assert_eq!(follow.stored(stored(9, 0, batch(1, 0)), &mut out), Verdict::Unlinked);
    assert_eq!(follow.stored(stored(12, 9, batch(1, 1)), &mut out), Verdict::Hole);
    assert_eq!(told(&mut out), [""; 0]);
    assert_eq!(follow.fetched(Vec::new(), &mut out), Verdict::Done);
    assert_eq!(told(&mut out), ["7<9 1", "9<12 1"]);
}

#[test]
fn a_repeat_is_dropped_and_a_stranger_behind_us_is_suspect() {
    let (mut follow, mut out) = (open_at(4), Vec::new());
    follow.stored(stored(5, 4, batch(1, 0)), &mut out);
    assert_eq!(told(&mut out).len(), 1);
    assert_eq!(follow.stored(stored(5, 0, batch(1, 0)), &mut out), Verdict::Done);
    assert_eq!(follow.stored(stored(1, 0, batch(2, 0)), &mut out), Verdict::Suspect);
    assert_eq!(told(&mut out), [""; 0]);
}

#[test]
fn what_is_behind_a_hole_waits_for_it() {
    let (mut follow, mut out) = (open_at(1), Vec::new());
    assert_eq!(follow.stored(stored(4, 3, batch(1, 2)), &mut out), Verdict::Hole);
    assert_eq!(follow.stored(stored(5, 4, batch(1, 3)), &mut out), Verdict::Hole);
    assert_eq!(told(&mut out), [""; 0]);
    let missing = vec![stored(2, 0, batch(1, 0)), stored(3, 0, batch(1, 1))];
    assert_eq!(follow.fetched(missing, &mut out), Verdict::Done);
    assert_eq!(told(&mut out), ["1<2 1", "2<3 1", "3<4 1", "4<5 1"]);
}

#[test]
fn a_late_entry_fills_its_hole_by_itself() {
    let (mut follow, mut out) = (open_at(1), Vec::new());
    follow.stored(stored(3, 2, batch(1, 1)), &mut out);
    assert_eq!(follow.stored(stored(2, 1, batch(1, 0)), &mut out), Verdict::Done);
    assert_eq!(told(&mut out), ["1<2 1", "2<3 1"]);
}

#[test]
fn what_the_stream_does_not_have_any_more_is_lost_at_once() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.stored(stored(9, 8, batch(1, 5)), &mut out);
    told(&mut out);
    // 2 to 8 were purged: the stream answers with what is behind the hole.
    assert_eq!(follow.fetched(vec![stored(9, 0, batch(1, 5))], &mut out), Verdict::Done);
    assert_eq!(told(&mut out), ["lost 4 upto 8", "8<9 1"]);
}

#[test]
fn what_cannot_be_had_in_time_is_lost_and_what_waited_goes_on() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.stored(stored(5, 4, batch(1, 2)), &mut out);
    follow.stored(stored(8, 7, batch(1, 5)), &mut out);
    told(&mut out);
    assert_eq!(follow.fetched(Vec::new(), &mut out), Verdict::Hole);
    follow.give_up(&mut out);
    assert_eq!(told(&mut out), ["lost 1 upto 4", "4<5 1", "lost 2 upto 7", "7<8 1"]);
    assert!(!follow.has_hole());
}

#[test]
fn a_loss_of_another_publisher_is_told_with_its_next_batch() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.stored(stored(2, 1, batch(2, 0)), &mut out);
    follow.stored(stored(5, 4, batch(1, 1)), &mut out);
    told(&mut out);
    follow.give_up(&mut out);
    assert_eq!(told(&mut out), ["lost 0 upto 4", "4<5 1"]);
    follow.stored(stored(6, 5, batch(2, 3)), &mut out);
    assert_eq!(told(&mut out), ["lost 2 upto 5", "5<6 1"]);
}

#[test]
fn a_live_batch_that_was_stored_after_all_shows_once() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.live(batch(1, 0), &mut out);
    follow.live(batch(1, 0), &mut out);
    follow.fetched(vec![stored(3, 0, batch(1, 0))], &mut out);
    assert_eq!(told(&mut out), ["live 1", "0<3 0"]);
    // And the other way round.
    follow.stored(stored(4, 3, batch(1, 1)), &mut out);
    follow.live(batch(1, 1), &mut out);
    assert_eq!(told(&mut out), ["3<4 1"]);
}

#[test]
fn a_live_batch_that_never_came_is_lost_and_stays_so() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.stored(stored(2, 1, batch(1, 2)), &mut out);
    follow.live(batch(1, 1), &mut out);
    assert_eq!(told(&mut out), ["0<1 1", "lost 1 upto 1", "1<2 1"]);
}

#[test]
fn what_is_missing_before_a_live_batch_may_still_come_from_the_log() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.live(batch(1, 2), &mut out);
    follow.live(batch(1, 4), &mut out);
    assert_eq!(told(&mut out), ["0<1 1", "live 1", "live 1"]);
    // One of the two was stored, the other one is known to be lost once the next one has come.
    follow.learn(3);
    follow.fetched(vec![stored(3, 0, batch(1, 1))], &mut out);
    follow.stored(stored(5, 3, batch(1, 5)), &mut out);
    assert_eq!(told(&mut out), ["1<3 1", "lost 1 upto 3", "3<5 1"]);
}

#[test]
fn the_first_batch_of_a_publisher_that_comes_late_does_not_begin_it_anew() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.live(batch(1, 1), &mut out);
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.stored(stored(2, 1, batch(1, 2)), &mut out);
    assert_eq!(told(&mut out), ["live 1", "0<1 1", "1<2 1"]);
}

#[test]
fn what_is_lost_before_a_fetched_batch_may_have_been_in_entries_that_are_gone() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    follow.learn(9);
    follow.fetched(vec![stored(9, 0, batch(1, 5))], &mut out);
    assert_eq!(told(&mut out), ["0<1 1", "lost 4 upto 8", "8<9 1"]);
}

#[test]
fn live_batches_behind_something_missing_are_bounded() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 0))], &mut out);
    (0..300).for_each(|nth| follow.live(batch(1, 2 + nth), &mut out));
    assert_eq!(told(&mut out).iter().filter(|told| told.starts_with("lost 1")).count(), 1);
}

#[test]
fn a_publisher_that_counts_from_0_again_has_lost_nothing() {
    let (mut follow, mut out) = (open_at(0), Vec::new());
    follow.fetched(vec![stored(1, 0, batch(1, 500))], &mut out);
    let again = Batch { counter: 900, ..batch(1, 0) };
    follow.stored(stored(2, 1, again), &mut out);
    follow.stored(stored(3, 2, Batch { counter: 901, ..batch(1, 1) }), &mut out);
    assert_eq!(told(&mut out), ["0<1 1", "1<2 1", "2<3 1"]);
}

#[test]
fn what_came_with_the_room_is_known() {
    let recent = [stored(4, 0, batch(1, 3)), stored(6, 0, batch(1, 4))];
    let head = Cursor { epoch: Epoch::random([1; 8]), seq: 6 };
    let (mut follow, mut out) = (Follow::open(head, &recent), Vec::new());
    assert_eq!(follow.stored(stored(6, 4, batch(1, 4)), &mut out), Verdict::Done);
    follow.stored(stored(8, 6, batch(1, 7)), &mut out);
    assert_eq!(told(&mut out), ["lost 2 upto 6", "6<8 1"]);
}

proptest! {
    /// Whatever order batches arrive in and however often, and whatever is fetched in between:
    /// each is delivered once, in the order of the log, and nothing is lost.
    #[test]
    fn any_order_of_arrival_gives_the_order_of_the_log(
        arrivals in prop::collection::vec((0_usize..30, any::<bool>()), 1..200),
    ) {
        let log: Vec<Stored> =
            (0..30).map(|nth| stored(nth * 3 + 1, (nth * 3).saturating_sub(2), batch(1, nth))).collect();
        let (mut follow, mut out) = (open_at(0), Vec::new());
        for (nth, is_fetched) in arrivals {
            follow.stored(log[nth].clone(), &mut out);
            if is_fetched && follow.has_hole() {
                let after = follow.last();
                let rest = log.iter().filter(|s| s.seq > after && s.seq <= follow.known);
                let rest = rest.cloned().map(|s| Stored { prev: 0, ..s }).collect();
                prop_assert_eq!(follow.fetched(rest, &mut out), Verdict::Done);
            }
        }
        let rest = log.iter().filter(|s| s.seq > follow.last()).cloned().collect();
        follow.fetched(rest, &mut out);
        let expected: Vec<String> = log.iter().map(|s| format!("{}<{} 1", s.prev, s.seq)).collect();
        prop_assert_eq!(told(&mut out), expected);
    }
}

#[test]
fn silence_is_told_only_where_nothing_is_missing_and_entries_follow_it() {
    let (mut follow, mut out) = (open_at(1), Vec::new());
    follow.stored(stored(2, 1, batch(1, 0)), &mut out);
    follow.silent(2, &mut out);
    follow.silent(9, &mut out);
    follow.silent(5, &mut out);
    assert_eq!(told(&mut out), ["1<2 1", "silent upto 9"]);
    assert_eq!((follow.last(), follow.entry()), (9, 2));
    // Its own link leads to before the silence.
    assert_eq!(follow.stored(stored(12, 2, batch(1, 1)), &mut out), Verdict::Done);
    assert_eq!(follow.stored(stored(20, 15, batch(1, 3)), &mut out), Verdict::Hole);
    follow.silent(30, &mut out);
    assert_eq!(told(&mut out), ["9<12 1"]);
    assert_eq!(open_at(7).entry(), 0, "whether there ever was one, nobody knows");
}
