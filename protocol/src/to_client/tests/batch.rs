//! Messages that carry events.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::Class;
use crate::frame;
use crate::ids::EventId;
use crate::select::LeftOut;

#[test]
fn a_batch_splices_its_events() {
    let mut left_out = LeftOut::default();
    left_out.add(Class::Chat);
    left_out.add(Class::Chat);
    left_out.add(Class::Ambient);
    let state = StateChange { online: Some(12), ..StateChange::default() };
    let mut out = b"before ".to_vec();
    Batch {
        room: &room(),
        prev: cursor(3),
        cursor: owing(9, 1),
        events: &[event(1), event(2)],
        left_out: &left_out,
        state: Some(&state),
    }
    .render(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"before {"type":"batch","room":"demo","prev":"00000000000000ff:3","#,
            r#""cursor":"00000000000000ff:9:2:1","events":["#,
            r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","kind":"gift","ts":1,"body":{"n" : 1.0}},"#,
            r#"{"id":"AgICAgICAgICAgICAgICAg","kind":"gift","ts":2,"body":{"n" : 2.0}}],"#,
            r#""left_out":{"chat":2,"ambient":1},"held":1,"state":{"online":12}}"#
        )
    );
}

#[test]
fn a_batch_leaves_out_what_there_is_nothing_to_tell_of() {
    for state in [None, Some(&StateChange::default())] {
        let mut out = Vec::new();
        Batch::<Bytes> {
            room: &room(),
            prev: cursor(3),
            cursor: cursor(3),
            events: &[],
            left_out: &LeftOut::default(),
            state,
        }
        .render(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"type":"batch","room":"demo","prev":"00000000000000ff:3","#,
                r#""cursor":"00000000000000ff:3","events":[]}"#
            )
        );
    }
}

fn state() -> State {
    let settings = Settings {
        tick_ms: 1000,
        chat_per_s: 40,
        higher_per_s: 10,
        history_events: 100,
        ephemeral: false,
    };
    State { online: 3, likes: 99, settings, pinned: Vec::new() }
}

fn joined_tail(recovered: Option<bool>, events: &[&Event], held: u32) -> Vec<u8> {
    let mut left_out = LeftOut::default();
    if held > 0 {
        left_out.add(Class::Staff);
    }
    let tail = Joined {
        room: &room(),
        cursor: owing(9, held),
        recovered,
        events,
        left_out: &left_out,
        tick_ms: 1000,
        state: &state(),
    };
    tail.render_tail()
}

#[test]
fn joined_is_a_head_of_ones_own_and_a_tail_for_all() {
    let message = [joined_head(id(7)), joined_tail(None, &[], 0)].concat();
    assert_eq!(
        String::from_utf8(message).unwrap(),
        concat!(
            r#"{"type":"joined","id":7,"room":"demo","cursor":"00000000000000ff:9","events":[],"#,
            r#""tick_ms":1000,"state":{"online":3,"likes":99,"#,
            r#""settings":{"tick_ms":1000,"chat_per_s":40,"higher_per_s":10,"#,
            r#""history_events":100,"ephemeral":false},"pinned":[]}}"#
        )
    );
    let message = [joined_head(None), joined_tail(Some(true), &[&event(1)], 2)].concat();
    assert_eq!(
        String::from_utf8(message).unwrap(),
        concat!(
            r#"{"type":"joined","room":"demo","cursor":"00000000000000ff:9:2:2","recovered":true,"#,
            r#""events":[{"id":"AQEBAQEBAQEBAQEBAQEBAQ","kind":"gift","ts":1,"body":{"n" : 1.0}}],"#,
            r#""left_out":{"staff":1},"held":2,"tick_ms":1000,"state":{"online":3,"likes":99,"#,
            r#""settings":{"tick_ms":1000,"chat_per_s":40,"higher_per_s":10,"#,
            r#""history_events":100,"ephemeral":false},"pinned":[]}}"#
        )
    );
}

#[test]
fn the_head_stays_small_and_the_two_frames_make_one_message() {
    let head = frame::text_first(&joined_head(Some(RequestId::MAX)));
    assert!(head.len() <= 48, "{}", head.len());
    let tail = frame::text_last(&joined_tail(None, &[], 0));
    let message = [&head[2..], &tail[4..]].concat();
    let parsed: Value = serde_json::from_slice(&message).unwrap();
    assert_eq!(parsed["id"], 9_007_199_254_740_991u64);
}

#[test]
fn only_what_changed_of_a_room_is_told() {
    let old = state();
    assert!(old.change_since(&old).is_empty());
    let new = State { likes: 100, online: 3, ..old.clone() };
    let change = new.change_since(&old);
    assert!(!change.is_empty());
    assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"likes":100}"#);
    let settings = Settings { tick_ms: 250, ..old.settings };
    let pinned = vec![EventId::random([0; 16])];
    let new = State { online: 4, likes: 99, settings, pinned };
    assert_eq!(
        serde_json::to_string(&new.change_since(&old)).unwrap(),
        concat!(
            r#"{"online":4,"settings":{"tick_ms":250,"chat_per_s":40,"higher_per_s":10,"#,
            r#""history_events":100,"ephemeral":false},"#,
            r#""pinned":["AAAAAAAAAAAAAAAAAAAAAA"]}"#
        )
    );
}

proptest! {
    #[test]
    fn a_batch_of_anything_is_json_that_says_the_same(
        name in "[^\\p{C}$\u{ad}\u{2028}\u{2029}][^\\p{C}\u{2028}\u{2029}]{0,20}",
        seqs in (0u64.., 2u64..), numbers: Vec<u8>, held: u32, online: Option<u32>
    ) {
        let room = RoomId::parse(&name).unwrap();
        let events: Vec<Event> = numbers.iter().map(|n| event(*n)).collect();
        let online = online.map(u64::from);
        let state = StateChange { online, ..StateChange::default() };
        let batch = Batch {
            room: &room,
            prev: cursor(seqs.0),
            cursor: owing(seqs.1, held),
            events: &events,
            left_out: &LeftOut::default(),
            state: Some(&state),
        };
        let mut out = Vec::new();
        batch.render(&mut out);
        let parsed: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(&parsed["room"], room.as_str());
        prop_assert_eq!(&parsed["prev"], &cursor(seqs.0).to_string());
        prop_assert_eq!(&parsed["cursor"], &owing(seqs.1, held).to_string());
        prop_assert_eq!(parsed["held"].as_u64().unwrap_or(0), u64::from(held));
        prop_assert_eq!(parsed["state"]["online"].as_u64(), online);
        let told = parsed["events"].as_array().unwrap();
        prop_assert_eq!(told.len(), events.len());
        for (told, event) in told.iter().zip(&events) {
            let event: Value = serde_json::from_slice(&event.json).unwrap();
            prop_assert_eq!(told, &event);
        }
    }
}
