mod batch;

use std::time::Duration;

use super::*;
use crate::cursor::{Cursor, Owed};
use crate::event::{Body, Draft, Event, Kind, WEIGHT_DEFAULT};
use crate::ids::{EventId, UserId};

fn room() -> RoomId {
    RoomId::parse("demo").unwrap()
}

fn cursor(seq: u64) -> Bookmark {
    owing(seq, 0)
}

/// A cursor behind entry 2, which began what is still owed.
fn owing(seq: u64, count: u32) -> Bookmark {
    let at = "00000000000000ff:0".parse::<Cursor>().unwrap().at(seq);
    Bookmark { at, owed: (count > 0).then_some(Owed { oldest: 2, count }) }
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
            r#""publish_per_5s":5,"publish_burst":5,"publish_period_ms":5000,"#,
            r#""likes_burst":5,"likes_period_ms":2000,"commands_per_s":50,"commands_burst":200,"#,
            r#""connections_per_user":16,"rooms":32,"history_events":100,"room_bytes":96,"#,
            r#""token_bytes":8192,"control_messages":256,"control_bytes":1048576,"#,
            r#""unsent_bytes":524288}}"#
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
