use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::{Body, Class, Draft, Event, Kind, WEIGHT_DEFAULT};
use crate::frame;
use crate::ids::{EventId, UserId};
use crate::select::LeftOut;

fn room() -> RoomId {
    RoomId::parse("demo").unwrap()
}

fn cursor(seq: u64) -> Cursor {
    "00000000000000ff:0".parse::<Cursor>().unwrap().at(seq)
}

fn id(number: u64) -> Option<RequestId> {
    RequestId::new(number)
}

fn rendered(message: &ServerMessage<'_>) -> String {
    String::from_utf8(message.render()).unwrap()
}

fn event(n: u8) -> Event {
    let body: Box<RawValue> = serde_json::from_str(&format!(r#"{{"n" : {n}.0}}"#)).unwrap();
    Draft {
        id: EventId::random([n; 16]),
        kind: Kind::Gift,
        ts_ms: u64::from(n),
        user: None,
        body: Body::Opaque(&body),
        weight: WEIGHT_DEFAULT,
    }
    .render()
}

#[test]
fn a_welcome_tells_who_the_client_is_and_what_it_may_send() {
    let user = User::new(UserId::parse("42").unwrap());
    let welcome = ServerMessage::Welcome {
        node: "gw-1",
        user: &user,
        resumed: false,
        ping_interval_ms: 25_000,
        ping_timeout_ms: 60_000,
        limits: Limits::default(),
    };
    assert_eq!(
        rendered(&welcome),
        concat!(
            r#"{"type":"welcome","node":"gw-1","user":{"id":"42"},"resumed":false,"#,
            r#""ping_interval_ms":25000,"ping_timeout_ms":60000,"#,
            r#""limits":{"frame_bytes":16384,"peer_frame_bytes":65536,"text_chars":200,"#,
            r#""body_bytes":8192,"emotes":16,"key_chars":64,"likes_per_publish":50,"#,
            r#""publish_per_5s":5,"rooms":32,"history_events":100}}"#
        )
    );
}

#[test]
fn an_ack_carries_the_event_unchanged() {
    let event = event(7);
    let mut ack = ServerMessage::Ack { id: id(3), event: Some(RawJson(&event.json)), stored: true };
    assert_eq!(
        rendered(&ack),
        concat!(
            r#"{"type":"ack","id":3,"stored":true,"event":{"id":"BwcHBwcHBwcHBwcHBwcHBw","#,
            r#""kind":"gift","ts":7,"body":{"n" : 7.0}}}"#
        )
    );
    ack = ServerMessage::Ack { id: None, event: None, stored: false };
    assert_eq!(rendered(&ack), r#"{"type":"ack","stored":false}"#);
}

#[test]
fn a_pong_echoes_the_number_as_it_was_written() {
    for ts in ["1.50", "1e3", "18446744073709551615"] {
        let raw: &RawValue = serde_json::from_str(ts).unwrap();
        let pong = ServerMessage::Pong { id: id(1), ts: Some(raw), now: 9 };
        assert_eq!(rendered(&pong), format!(r#"{{"type":"pong","id":1,"ts":{ts},"now":9}}"#));
    }
    let pong = ServerMessage::Pong { id: None, ts: None, now: 1_760_000_000_000 };
    assert_eq!(rendered(&pong), r#"{"type":"pong","now":1760000000000}"#);
}

#[test]
fn left_and_gap_name_the_room() {
    let room = RoomId::parse("say \"hi\" \\ 弹幕").unwrap();
    assert_eq!(
        rendered(&ServerMessage::Left { id: id(5), room: &room }),
        r#"{"type":"left","id":5,"room":"say \"hi\" \\ 弹幕"}"#
    );
    for (reason, text) in
        [(GapReason::Slow, "slow"), (GapReason::Lost, "lost"), (GapReason::Expired, "expired")]
    {
        let gap =
            ServerMessage::Gap { room: &room, from: cursor(3), to: cursor(9), count: 4, reason };
        assert_eq!(
            rendered(&gap),
            format!(
                concat!(
                    r#"{{"type":"gap","room":"say \"hi\" \\ 弹幕","from":"00000000000000ff:3","#,
                    r#""to":"00000000000000ff:9","count":4,"reason":"{}"}}"#
                ),
                text
            )
        );
    }
}

#[test]
fn a_refusal_is_an_error_with_what_is_known_of_it() {
    let refusal = Refusal::until(Code::SlowMode, "wait", Duration::from_micros(1_500_100));
    assert_eq!(
        rendered(&ServerMessage::refusal(id(8), Some("demo"), &refusal)),
        concat!(
            r#"{"type":"error","id":8,"code":"slow_mode","message":"wait","#,
            r#""retry_after_ms":1501,"room":"demo"}"#
        )
    );
    let refusal = Refusal::bad_request("the message is not JSON");
    assert_eq!(
        rendered(&ServerMessage::refusal(None, None, &refusal)),
        r#"{"type":"error","code":"bad_request","message":"the message is not JSON"}"#
    );
    for code in Code::ALL {
        let error = rendered(&ServerMessage::refusal(None, None, &Refusal::new(*code, "")));
        assert!(error.contains(&format!(r#""code":"{}""#, code.text())), "{error}");
    }
}

#[test]
fn a_goodbye_says_what_the_close_frame_says() {
    assert_eq!(
        rendered(&ServerMessage::goodbye(CloseReason::Draining, Some(730))),
        r#"{"type":"goodbye","reason":"draining","reconnect":true,"reconnect_after_ms":730}"#
    );
    assert_eq!(
        rendered(&ServerMessage::goodbye(CloseReason::Kicked, None)),
        r#"{"type":"goodbye","reason":"kicked","reconnect":false}"#
    );
    for reason in CloseReason::ALL {
        let goodbye = rendered(&ServerMessage::goodbye(reason, None));
        assert!(goodbye.contains(&format!(r#""reason":"{}""#, reason.text())), "{goodbye}");
    }
}

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
        cursor: cursor(9),
        events: &[event(1), event(2)],
        left_out: &left_out,
        held: 1,
        state: Some(&state),
    }
    .render(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            r#"before {"type":"batch","room":"demo","prev":"00000000000000ff:3","#,
            r#""cursor":"00000000000000ff:9","events":["#,
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
            held: 0,
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
    let settings = Settings { tick_ms: 1000, chat_per_s: 40, higher_per_s: 10 };
    State { online: 3, likes: 99, settings, pinned: Vec::new() }
}

fn joined_tail(recovered: Option<bool>, events: &[&Event], held: u32) -> Vec<u8> {
    let mut left_out = LeftOut::default();
    if held > 0 {
        left_out.add(Class::Staff);
    }
    let tail = Joined {
        room: &room(),
        cursor: cursor(9),
        recovered,
        events,
        left_out: &left_out,
        held,
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
            r#""settings":{"tick_ms":1000,"chat_per_s":40,"higher_per_s":10},"pinned":[]}}"#
        )
    );
    let message = [joined_head(None), joined_tail(Some(true), &[&event(1)], 2)].concat();
    assert_eq!(
        String::from_utf8(message).unwrap(),
        concat!(
            r#"{"type":"joined","room":"demo","cursor":"00000000000000ff:9","recovered":true,"#,
            r#""events":[{"id":"AQEBAQEBAQEBAQEBAQEBAQ","kind":"gift","ts":1,"body":{"n" : 1.0}}],"#,
            r#""left_out":{"staff":1},"held":2,"tick_ms":1000,"state":{"online":3,"likes":99,"#,
            r#""settings":{"tick_ms":1000,"chat_per_s":40,"higher_per_s":10},"pinned":[]}}"#
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
            r#"{"online":4,"settings":{"tick_ms":250,"chat_per_s":40,"higher_per_s":10},"#,
            r#""pinned":["AAAAAAAAAAAAAAAAAAAAAA"]}"#
        )
    );
}

proptest! {
    #[test]
    fn a_batch_of_anything_is_json_that_says_the_same(
        name in "[^\\p{C}$\u{ad}\u{2028}\u{2029}][^\\p{C}\u{2028}\u{2029}]{0,20}",
        seqs: (u64, u64), numbers: Vec<u8>, held: u32, online: Option<u32>
    ) {
        let room = RoomId::parse(&name).unwrap();
        let events: Vec<Event> = numbers.iter().map(|n| event(*n)).collect();
        let online = online.map(u64::from);
        let state = StateChange { online, ..StateChange::default() };
        let batch = Batch {
            room: &room,
            prev: cursor(seqs.0),
            cursor: cursor(seqs.1),
            events: &events,
            left_out: &LeftOut::default(),
            held,
            state: Some(&state),
        };
        let mut out = Vec::new();
        batch.render(&mut out);
        let parsed: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(&parsed["room"], room.as_str());
        prop_assert_eq!(&parsed["prev"], &cursor(seqs.0).to_string());
        prop_assert_eq!(&parsed["cursor"], &cursor(seqs.1).to_string());
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
