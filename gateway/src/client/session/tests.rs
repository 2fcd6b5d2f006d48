//! One client's words, judged: every effect and every refusal.

use protocol::event::WEIGHT_DEFAULT;
use protocol::from_client::Decoder;
use protocol::ids::{EventId, UserId};

use super::*;
use crate::auth::Rights;

const RULES: SessionRules = SessionRules {
    publishes: Rate { burst: 5, period: Duration::from_secs(5) },
    commands: Rate { burst: 1_000, period: Duration::from_secs(1) },
    likes: Rate { burst: 2, period: Duration::from_secs(2) },
    paid_from_clients: PaidFromClients::Refused,
};

fn at(ms: u64) -> Now {
    Now { mono: Duration::from_millis(ms), unix_ms: 1_760_000_000_000 + ms }
}

fn session(rights: Rights) -> Session {
    let (user, grants) = (User::new(UserId::parse("42").unwrap()), Grants::Everywhere(rights));
    Session::new(user, grants, None, Form::Plain, Arc::default())
}

/// A session that sits in the room `demo`.
fn seated(rights: Rights) -> Session {
    let mut session = session(rights);
    say(&mut session, r#"{"type":"join","room":"demo"}"#, |effect| {
        assert!(matches!(effect, Effect::Join { .. }));
    });
    session
}

/// Has the session judge a message at the given moment.
fn say_at<T>(session: &mut Session, ms: u64, json: &str, judge: impl FnOnce(Effect<'_>) -> T) -> T {
    let mut decoder = Decoder::new();
    let decoded = decoder.decode(json.as_bytes());
    judge(session.handle(decoded, &RULES, &Keyring::default(), at(ms), [7; 16]))
}

fn say<T>(session: &mut Session, json: &str, judge: impl FnOnce(Effect<'_>) -> T) -> T {
    say_at(session, 0, json, judge)
}

/// The code of a refusal, the room in it, and when to try again in milliseconds.
fn refusal(effect: Effect<'_>) -> (Code, Option<String>, Option<u128>) {
    let Effect::Refuse { room, refusal, .. } = effect else { panic!("{effect:?}") };
    let room = room.map(|room| room.as_str().to_owned());
    (refusal.code, room, refusal.retry_after.map(|after| after.as_millis()))
}

fn seats(session: &Session) -> Vec<(&str, u16)> {
    session.seats().map(|(room, seat)| (room.as_str(), seat.number)).collect()
}

fn is_published(effect: &Effect<'_>) -> bool {
    matches!(effect, Effect::Publish { .. })
}

const CHAT: &str = r#"{"type":"publish","id":9,"room":"demo","body":{"text":"hi"}}"#;

#[test]
fn a_join_takes_a_seat_and_carries_what_the_client_asked_for() {
    let mut session = session(Rights::CHAT);
    let json = r#"{"type":"join","id":3,"room":"demo","since":"000000000000abcd:5","history":7}"#;
    say(&mut session, json, |effect| {
        let Effect::Join { room, seat, replaces, id, since, history } = effect else {
            panic!("{effect:?}")
        };
        assert_eq!((room.as_str(), seat.number, seat.form), ("demo", 1, Form::Plain));
        assert_eq!((replaces, id, history), (None, RequestId::new(3), 7));
        assert_eq!(since.map(|since| since.to_string()).as_deref(), Some("000000000000abcd:5"));
    });
    assert_eq!(seats(&session), [("demo", 1)]);
}

#[test]
fn joining_again_replaces_the_seat() {
    let mut session = seated(Rights::CHAT);
    say(&mut session, r#"{"type":"join","room":"demo"}"#, |effect| {
        let Effect::Join { seat, replaces, .. } = effect else { panic!("{effect:?}") };
        assert_eq!((seat.number, replaces.map(|seat| seat.number)), (2, Some(1)));
    });
    assert_eq!(seats(&session), [("demo", 2)]);
}

#[test]
fn a_leave_gives_up_the_seat_that_is_held() {
    let mut session = seated(Rights::CHAT);
    let json = r#"{"type":"leave","id":4,"room":"demo"}"#;
    say(&mut session, json, |effect| {
        let Effect::Leave { room, seat, id } = effect else { panic!("{effect:?}") };
        assert_eq!((room.as_str(), seat.number, id), ("demo", 1, RequestId::new(4)));
    });
    assert_eq!(seats(&session), []);
    assert_eq!(say(&mut session, json, refusal), (Code::NotJoined, None, None));
}

#[test]
fn every_stay_has_a_seat_of_its_own() {
    let mut session = seated(Rights::CHAT);
    session.joins = u16::MAX;
    for (join, number) in [("demo", 1), ("other", 2)] {
        let json = format!(r#"{{"type":"join","room":"{join}"}}"#);
        say(&mut session, &json, |effect| {
            let Effect::Join { seat, .. } = effect else { panic!("{effect:?}") };
            assert_eq!(seat.number, number, "0 is never drawn: it would read as no join yet");
        });
    }
}

#[test]
fn what_cannot_be_joined_is_refused_and_takes_no_seat() {
    let mut session = session(Rights::CHAT);
    let long = format!(r#"{{"type":"join","room":"{}"}}"#, "x".repeat(97));
    for (json, code) in [
        (r#"{"type":"join","room":"$canary"}"#, Code::BadRequest),
        (r#"{"type":"join","room":""}"#, Code::BadRequest),
        (r#"{"type":"join","room":"a\u202eb"}"#, Code::BadRequest),
        (long.as_str(), Code::BadRequest),
        (r#"{"type":"join","room":"demo","as":"peer"}"#, Code::Forbidden),
    ] {
        assert_eq!(say(&mut session, json, refusal), (code, None, None), "{json}");
    }
    assert_eq!(seats(&session), []);
    assert_eq!(session.message_bytes_max(), limits::PEER_FRAME_BYTES_MAX);
}

#[test]
fn a_connection_is_in_32_rooms_and_may_change_one() {
    let mut session = session(Rights::CHAT);
    let join = |n: usize| format!(r#"{{"type":"join","room":"r{n}"}}"#);
    let is_join = |effect: Effect<'_>| matches!(effect, Effect::Join { .. });
    for n in 0..limits::ROOMS_PER_CONNECTION_MAX {
        assert!(say(&mut session, &join(n), is_join));
    }
    assert_eq!(say(&mut session, &join(99), refusal), (Code::RoomsLimit, None, None));
    assert!(say(&mut session, &join(0), is_join), "who is in may join again");
    say(&mut session, r#"{"type":"leave","room":"r5"}"#, |_| ());
    assert!(say(&mut session, &join(99), is_join));
}

#[test]
fn the_first_join_narrows_what_a_message_may_be() {
    assert_eq!(session(Rights::CHAT).message_bytes_max(), limits::PEER_FRAME_BYTES_MAX);
    let mut session = seated(Rights::CHAT);
    assert_eq!(session.message_bytes_max(), limits::VIEWER_FRAME_BYTES_MAX);
    say(&mut session, r#"{"type":"leave","room":"demo"}"#, |_| ());
    assert_eq!(session.message_bytes_max(), limits::VIEWER_FRAME_BYTES_MAX);
}

#[test]
fn a_danmaku_becomes_an_event_of_its_user_and_moment() {
    let mut session = seated(Rights::CHAT);
    say_at(&mut session, 327, CHAT, |effect| {
        let Effect::Publish { room, event, id } = effect else { panic!("{effect:?}") };
        assert_eq!((room.as_str(), id), ("demo", RequestId::new(9)));
        assert_eq!((event.ts_ms, event.weight), (1_760_000_000_327, WEIGHT_DEFAULT));
        assert_eq!(event.id, EventId::random([7; 16]));
        let json = std::str::from_utf8(&event.json).unwrap();
        assert!(
            json.contains(r#""user":{"id":"42"}"#) && json.contains(r#""text":"hi""#),
            "{json}"
        );
    });
}

#[test]
fn a_key_gives_the_same_event_id_every_time() {
    let json = r#"{"type":"publish","room":"demo","key":"k","body":{"text":"hi"}}"#;
    let id = |effect: Effect<'_>| {
        let Effect::Publish { event, .. } = effect else { panic!("{effect:?}") };
        event.id
    };
    let expected = EventId::keyed("42", &RoomId::parse("demo").unwrap(), "k");
    assert_eq!(say(&mut seated(Rights::CHAT), json, id), expected);
    assert_eq!(say(&mut seated(Rights::CHAT), json, id), expected);
}

#[test]
fn publishing_needs_the_room() {
    let mut session = session(Rights::CHAT);
    assert_eq!(say(&mut session, CHAT, refusal), (Code::NotJoined, None, None));
}

#[test]
fn who_may_only_watch_publishes_nothing_and_is_told_so() {
    let mut session = seated(Rights::VIEW);
    let like = r#"{"type":"publish","room":"demo","kind":"like","body":{"count":1}}"#;
    for json in [CHAT, like] {
        assert_eq!(say(&mut session, json, refusal), (Code::Forbidden, Some("demo".into()), None));
    }
    say(&mut session, r#"{"type":"ping"}"#, |effect| {
        assert!(matches!(effect, Effect::Pong { .. }))
    });
}

#[test]
fn what_only_the_server_may_say_is_refused_from_clients() {
    let mut session = seated(Rights::CHAT);
    for kind in ["system", "notice", "gift", "paid"] {
        let json = format!(r#"{{"type":"publish","room":"demo","kind":"{kind}","body":{{}}}}"#);
        assert_eq!(say(&mut session, &json, refusal).0, Code::Forbidden, "{kind}");
    }
    assert!(
        say(&mut session, CHAT, |effect| is_published(&effect)),
        "no refusal has cost anything"
    );
}

#[test]
fn gifts_from_clients_pass_where_they_are_allowed() {
    let rules = SessionRules { paid_from_clients: PaidFromClients::Allowed, ..RULES };
    let mut session = seated(Rights::CHAT);
    for (kind, passes) in [("gift", true), ("paid", true), ("system", false), ("notice", false)] {
        let json = format!(r#"{{"type":"publish","room":"demo","kind":"{kind}","body":{{}}}}"#);
        let mut decoder = Decoder::new();
        let effect = session.handle(
            decoder.decode(json.as_bytes()),
            &rules,
            &Keyring::default(),
            at(0),
            [7; 16],
        );
        assert_eq!(is_published(&effect), passes, "{kind}");
    }
}

#[test]
fn five_in_five_seconds_may_be_published_and_the_sixth_is_told_when() {
    let mut session = seated(Rights::CHAT);
    for _ in 0..5 {
        assert!(say_at(&mut session, 100, CHAT, |effect| is_published(&effect)));
    }
    let too_soon = say_at(&mut session, 100, CHAT, refusal);
    assert_eq!(too_soon, (Code::RateLimited, Some("demo".into()), Some(1_000)));
    assert_eq!(say_at(&mut session, 600, CHAT, refusal).2, Some(500));
    assert!(say_at(&mut session, 1_100, CHAT, |effect| is_published(&effect)));
}

#[test]
fn likes_are_counted_apart_from_what_is_published() {
    let mut session = seated(Rights::CHAT);
    let like = r#"{"type":"publish","id":2,"room":"demo","kind":"like","body":{"count":30}}"#;
    for _ in 0..2 {
        say(&mut session, like, |effect| {
            let Effect::Like { room, likes, id } = effect else { panic!("{effect:?}") };
            assert_eq!((room.as_str(), likes, id), ("demo", 30, RequestId::new(2)));
        });
    }
    assert_eq!(say(&mut session, like, refusal).0, Code::RateLimited);
    assert!(say(&mut session, CHAT, |effect| is_published(&effect)));
}

#[test]
fn a_ping_is_answered_with_what_it_brought() {
    let mut session = session(Rights::VIEW);
    say(&mut session, r#"{"type":"ping","id":5,"ts":1.50}"#, |effect| {
        let Effect::Pong { id, ts } = effect else { panic!("{effect:?}") };
        assert_eq!((id, ts.map(RawValue::get)), (RequestId::new(5), Some("1.50")));
    });
}

#[test]
fn a_refusal_of_the_decoder_keeps_the_number_of_the_command() {
    let mut session = session(Rights::CHAT);
    say(&mut session, r#"{"type":"dance","id":5}"#, |effect| {
        let Effect::Refuse { id, refusal, .. } = effect else { panic!("{effect:?}") };
        assert_eq!((id, refusal.code), (RequestId::new(5), Code::UnknownType));
    });
}

#[test]
fn the_eighth_malformed_message_ends_the_connection() {
    let mut session = session(Rights::CHAT);
    for garbage in ["", "{", "[]", "null", "\"x\"", "{}", r#"{"type":7}"#] {
        assert_eq!(
            say(&mut session, garbage, refusal),
            (Code::BadRequest, None, None),
            "{garbage}"
        );
    }
    let ends = |effect: Effect<'_>| matches!(effect, Effect::Close(CloseReason::ProtocolAbuse));
    assert!(say(&mut session, "{", ends));
    assert_eq!(CloseReason::ProtocolAbuse.code(), 4502);
}

#[test]
fn the_eighth_within_ten_seconds_is_the_eighth_however_slowly_they_come() {
    let mut session = session(Rights::CHAT);
    for n in 0..7 {
        assert_eq!(say_at(&mut session, n * 1_428, "{", refusal).0, Code::BadRequest, "{n}");
    }
    let ends = |effect: Effect<'_>| matches!(effect, Effect::Close(CloseReason::ProtocolAbuse));
    assert!(say_at(&mut session, 9_999, "{", ends));
}

#[test]
fn a_seat_that_was_refused_is_free_and_a_later_one_is_kept() {
    let mut session = seated(Rights::CHAT);
    let first = session.seats().next().unwrap().clone();
    say(&mut session, r#"{"type":"join","room":"demo"}"#, |_| ());
    session.refused(&first.0, first.1);
    assert_eq!(seats(&session), [("demo", 2)], "joined anew since");
    let second = session.seats().next().unwrap().clone();
    session.refused(&second.0, second.1);
    assert!(seats(&session).is_empty());
}

#[test]
fn malformed_messages_are_forgiven_over_time_and_refusals_do_not_count() {
    let mut session = session(Rights::CHAT);
    for n in 0..50 {
        assert_eq!(say_at(&mut session, n * 1_500, "{", refusal).0, Code::BadRequest);
    }
    for _ in 0..50 {
        assert_eq!(say(&mut session, r#"{"type":"dance"}"#, refusal).0, Code::UnknownType);
    }
}
