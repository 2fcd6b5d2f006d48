use std::collections::HashSet;

use proptest::prelude::*;

use super::super::log::tests::event;
use super::*;
use crate::Entry;

const AGE_MS: u64 = 1_000;

fn rooms(retention: Retention) -> Rooms {
    let mut drawn = 0_u64;
    let fresh_epoch = move || {
        drawn += 1;
        Epoch::random(drawn.to_be_bytes())
    };
    Rooms::new(Retention { age_ms: AGE_MS, ..retention }, Box::new(fresh_epoch))
}

fn epoch(nth: u64) -> Epoch {
    Epoch::random(nth.to_be_bytes())
}

fn cursor(nth: u64, seq: u64) -> Cursor {
    Cursor { epoch: epoch(nth), seq }
}

fn node(n: u8) -> BootId {
    BootId::random([n; 8])
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn counts(online: u32, likes: u64) -> Counts {
    Counts { online, likes }
}

/// What one step hands out, in words.
fn handed(step: impl FnOnce(&mut Out)) -> Vec<(BootId, String, RoomDelivery)> {
    let mut out = Out::new();
    step(&mut out);
    out.into_iter().map(|h| (h.to, h.room.to_string(), h.delivery)).collect()
}

fn opened(nth: u64, seq: u64, recent: Vec<Entry>) -> RoomDelivery {
    RoomDelivery::Opened { head: cursor(nth, seq), recent }
}

fn entry(seq: u64) -> Entry {
    entry_of(10, seq)
}

fn entry_of(json_bytes: usize, seq: u64) -> Entry {
    let event = event(json_bytes);
    Entry { seq, prev: seq - 1, origin_ms: event.ts_ms, events: [event].into() }
}

#[test]
fn a_published_event_is_handed_to_everybody_who_listens_and_to_nobody_else() {
    let mut rooms = rooms(Retention::default());
    let a = room("a");
    assert_eq!(
        handed(|out| {
            rooms.subscribe(node(1), &a, out);
            rooms.subscribe(node(2), &a, out);
            rooms.subscribe(node(3), &room("b"), out);
        }),
        [
            (node(1), "a".into(), opened(1, 0, vec![])),
            (node(2), "a".into(), opened(1, 0, vec![])),
            (node(3), "b".into(), opened(2, 0, vec![])),
        ]
    );
    let delivery = RoomDelivery::Entry { epoch: epoch(1), entry: entry(1) };
    assert_eq!(
        handed(|out| rooms.publish(&a, event(10), 0, out)),
        [(node(1), "a".into(), delivery.clone()), (node(2), "a".into(), delivery)]
    );
    rooms.unsubscribe(node(1), &a);
    let delivery = RoomDelivery::Entry { epoch: epoch(1), entry: entry(2) };
    assert_eq!(
        handed(|out| rooms.publish(&a, event(10), 0, out)),
        [(node(2), "a".into(), delivery)]
    );
}

#[test]
fn whoever_subscribes_late_gets_the_newest_entries_and_the_counts_of_the_others() {
    let mut rooms = rooms(Retention::default());
    let a = room("a");
    handed(|out| {
        rooms.subscribe(node(1), &a, out);
        rooms.publish(&a, event(10), 0, out);
        rooms.report(node(1), &a, counts(5, 1), out);
        rooms.report(node(1), &a, counts(7, 2), out);
        rooms.report(node(2), &a, counts(3, 3), out);
    });
    assert_eq!(
        handed(|out| rooms.subscribe(node(2), &a, out)),
        [
            (node(2), "a".into(), opened(1, 1, vec![entry(1)])),
            (node(2), "a".into(), RoomDelivery::Counts { node: node(1), counts: counts(7, 2) }),
        ]
    );
}

#[test]
fn counts_are_told_to_the_others_only() {
    let mut rooms = rooms(Retention::default());
    let a = room("a");
    handed(|out| (1..=3).for_each(|n| rooms.subscribe(node(n), &a, out)));
    let delivery = RoomDelivery::Counts { node: node(2), counts: counts(1, 0) };
    assert_eq!(
        handed(|out| rooms.report(node(2), &a, counts(1, 0), out)),
        [(node(1), "a".into(), delivery.clone()), (node(3), "a".into(), delivery)]
    );
}

#[test]
fn a_node_that_leaves_is_told_where_it_counted_and_its_likes_stay() {
    let mut rooms = rooms(Retention::default());
    let (a, b) = (room("a"), room("b"));
    handed(|out| {
        for n in 1..=2 {
            rooms.subscribe(node(n), &a, out);
            rooms.subscribe(node(n), &b, out);
        }
        rooms.report(node(2), &a, counts(4, 9), out);
    });
    assert_eq!(
        handed(|out| rooms.leave(node(2), out)),
        [(node(1), "a".into(), RoomDelivery::NodeGone { node: node(2) })]
    );
    assert_eq!(
        handed(|out| rooms.subscribe(node(3), &a, out))[1..],
        [(node(3), "a".into(), RoomDelivery::Counts { node: node(2), counts: counts(0, 9) })]
    );
    let delivery = RoomDelivery::Entry { epoch: epoch(2), entry: entry(1) };
    assert_eq!(
        handed(|out| rooms.publish(&b, event(10), 0, out)),
        [(node(1), "b".into(), delivery)],
        "a node that left hears nothing any more"
    );
}

#[test]
fn a_fetch_is_answered_once_with_everything_or_nothing() {
    let mut rooms = rooms(Retention::default());
    let a = room("a");
    handed(|out| {
        rooms.subscribe(node(1), &a, out);
        (0..3).for_each(|_| rooms.publish(&a, event(10), 0, out));
    });
    let fetched = |after, entries| RoomDelivery::Fetched { after, entries };
    let (known, foreign) = (cursor(1, 1), cursor(9, 1));
    assert_eq!(
        handed(|out| rooms.fetch(node(1), &a, known, out)),
        [(node(1), "a".into(), fetched(known, Some(vec![entry(2), entry(3)])))]
    );
    assert_eq!(
        handed(|out| rooms.fetch(node(1), &a, foreign, out)),
        [(node(1), "a".into(), fetched(foreign, None))]
    );
    assert_eq!(
        handed(|out| rooms.fetch(node(2), &a, known, out)),
        [(node(2), "a".into(), fetched(known, None))],
        "a node that does not listen cannot tell what would be complete"
    );
}

#[test]
fn a_forgotten_room_comes_back_under_another_epoch() {
    let mut rooms = rooms(Retention::default());
    let a = room("a");
    handed(|out| {
        rooms.subscribe(node(1), &a, out);
        rooms.publish(&a, event(10), 0, out);
    });
    rooms.unsubscribe(node(1), &a);
    rooms.expire(AGE_MS - 1);
    assert_eq!(
        handed(|out| rooms.subscribe(node(1), &a, out)),
        [(node(1), "a".into(), opened(1, 1, vec![entry(1)]))],
        "as long as an entry is kept, the numbering is"
    );
    rooms.expire(AGE_MS);
    rooms.unsubscribe(node(1), &a);
    assert!(rooms.rooms.is_empty());
    assert_eq!(
        handed(|out| rooms.subscribe(node(1), &a, out)),
        [(node(1), "a".into(), opened(2, 0, vec![]))]
    );
}

#[test]
fn names_used_once_leave_nothing_behind() {
    let mut rooms = rooms(Retention::default());
    let mut out = Out::new();
    for n in 0..10_000 {
        let id = room(&format!("once-{n}"));
        rooms.subscribe(node(1), &id, &mut out);
        rooms.publish(&id, event(10), n, &mut out);
        rooms.unsubscribe(node(1), &id);
        out.clear();
        rooms.expire(n);
    }
    assert_eq!(rooms.rooms.len(), 1_000, "those of the last second");
    assert_eq!(rooms.next_expiry_ms(), Some(10_000));
    rooms.expire(20_000);
    assert_eq!((rooms.rooms.len(), rooms.ages.len(), rooms.bytes), (0, 0, 0));
    assert_eq!(rooms.next_expiry_ms(), None);
}

#[test]
fn oldest_entries_of_all_rooms_go_first_when_memory_is_full() {
    // Three logs of one entry each fit: 512 + 256 + 100 bytes.
    let mut rooms = rooms(Retention { bytes_max: 3 * 868, ..Retention::default() });
    let mut out = Out::new();
    for (now_ms, name) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
        rooms.publish(&room(name), event(100), now_ms as u64, &mut out);
    }
    // The fourth event cost `a` its first entry, the fifth cost `b` its only one.
    let mut names: Vec<_> = rooms.rooms.keys().map(RoomId::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "c", "d"]);
    assert_eq!(rooms.rooms["a"].log.recent(9, 999), vec![entry_of(100, 2)]);
}

#[derive(Debug, Clone)]
enum Op {
    Publish { room: u8, json_bytes: usize },
    Subscribe { node: u8, room: u8 },
    Unsubscribe { node: u8, room: u8 },
    Report { node: u8, room: u8, counts: (u32, u64) },
    Leave { node: u8 },
    Wait { ms: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u8..6, 0usize..900)
            .prop_map(|(room, json_bytes)| Op::Publish { room, json_bytes }),
        3 => (0u8..3, 0u8..6).prop_map(|(node, room)| Op::Subscribe { node, room }),
        3 => (0u8..3, 0u8..6).prop_map(|(node, room)| Op::Unsubscribe { node, room }),
        1 => (0u8..3, 0u8..6, (0u32..3, 0u64..3))
            .prop_map(|(node, room, counts)| Op::Report { node, room, counts }),
        1 => (0u8..3).prop_map(|node| Op::Leave { node }),
        2 => (0u64..AGE_MS).prop_map(|ms| Op::Wait { ms }),
    ]
}

proptest! {
    /// Whatever the nodes do: memory is accounted for exactly and stays within its bound, what is
    /// kept is young enough, and no room exists without a reason.
    #[test]
    fn rooms_stay_within_their_bounds(ops in prop::collection::vec(op(), 0..200)) {
        let bytes_max = 8_000;
        let bounds = Retention { bytes_max, room_entries_max: 5, ..Retention::default() };
        let mut rooms = rooms(bounds);
        let mut out = Out::new();
        let mut now_ms = 0;
        for op in ops {
            let id = |n: u8| room(&n.to_string());
            match op {
                Op::Publish { room, json_bytes } => {
                    rooms.publish(&id(room), event(json_bytes), now_ms, &mut out);
                }
                Op::Subscribe { node: n, room } => rooms.subscribe(node(n), &id(room), &mut out),
                Op::Unsubscribe { node: n, room } => rooms.unsubscribe(node(n), &id(room)),
                Op::Report { node: n, room, counts: (online, likes) } => {
                    rooms.report(node(n), &id(room), counts(online, likes), &mut out);
                }
                Op::Leave { node: n } => rooms.leave(node(n), &mut out),
                Op::Wait { ms } => {
                    now_ms += ms;
                    rooms.expire(now_ms);
                    prop_assert!(rooms.next_expiry_ms().is_none_or(|due_ms| due_ms > now_ms));
                }
            }
            out.clear();
            let bytes: usize = rooms.rooms.values().map(|room| room.log.bytes()).sum();
            prop_assert_eq!(rooms.bytes, bytes);
            prop_assert!(rooms.bytes <= bytes_max);
            prop_assert!(rooms.rooms.values().all(|room| !room.is_idle()));
            let records: HashSet<_> = rooms.ages.iter().map(|Reverse((_, id))| id.clone()).collect();
            prop_assert_eq!(records.len(), rooms.ages.len(), "one record per log");
            for (id, room) in &rooms.rooms {
                prop_assert_eq!(records.contains(id), room.log.oldest_ms().is_some());
            }
        }
    }
}

#[test]
fn a_crowd_of_rooms_that_has_gone_leaves_no_memory() {
    const CROWD: usize = 10_000;
    let mut rooms = rooms(Retention::default());
    let names: Vec<_> = (0..CROWD).map(|n| room(&n.to_string())).collect();
    handed(|out| {
        for id in &names {
            rooms.subscribe(node(1), id, out);
            rooms.publish(id, event(10), 0, out);
        }
    });
    for id in &names {
        rooms.unsubscribe(node(1), id);
    }
    assert_eq!(rooms.rooms.len(), CROWD, "their logs are kept");
    rooms.expire(AGE_MS);
    assert_eq!((rooms.rooms.len(), rooms.bytes), (0, 0));
    assert!(rooms.rooms.capacity() <= 2 * SPARE, "{}", rooms.rooms.capacity());
    assert!(rooms.ages.capacity() <= 2 * SPARE, "{}", rooms.ages.capacity());
}
