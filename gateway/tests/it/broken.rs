//! Clients that break the protocol: each is told how, and nobody else on its shard notices.

use std::collections::BTreeMap;

use protocol::close::CloseReason;
use protocol::deflate::Deflater;
use rand::{Rng as _, RngExt as _};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::events;
use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, RSV1, RSV2, RSV3, TEXT, announcing,
};
use crate::support::raw::RawClient;
use crate::support::scene::{ROOM, Scene, deflated};
use crate::support::seed::seeded;

/// What is sent, and the reason for which it must be closed.
type Case = (&'static str, Vec<u8>, CloseReason);

const CLOSES: &str = "barrage_closes_total";

/// Everything that breaks RFC 6455, whether compression was negotiated or not.
fn framing_cases() -> Vec<Case> {
    use CloseReason::{Binary, Framing, Payload, TooLarge};
    let ping = br#"{"type":"ping"}"#;
    let mut half_text = Frame::new(TEXT, *b"{").bytes();
    half_text.extend(Frame::new(FIN | TEXT, *ping).bytes());
    vec![
        ("RSV2", Frame::new(FIN | RSV2 | TEXT, *ping).bytes(), Framing),
        ("RSV3", Frame::new(FIN | RSV3 | TEXT, *ping).bytes(), Framing),
        ("unmasked", Frame::new(FIN | TEXT, *ping).unmasked().bytes(), Framing),
        ("unmasked ping", Frame::new(FIN | PING, *b"").unmasked().bytes(), Framing),
        ("opcode 3", Frame::new(FIN | 0x3, *ping).bytes(), Framing),
        ("opcode 7", Frame::new(FIN | 0x7, *ping).bytes(), Framing),
        ("opcode 11", Frame::new(FIN | 0xb, *b"").bytes(), Framing),
        ("opcode 15", Frame::new(FIN | 0xf, *b"").bytes(), Framing),
        ("a long ping", Frame::new(FIN | PING, vec![0; 126]).bytes(), Framing),
        ("a ping in parts", Frame::new(PING, *b"a").bytes(), Framing),
        ("a compressed ping", Frame::new(FIN | RSV1 | PING, *b"a").bytes(), Framing),
        ("a continuation of nothing", Frame::new(FIN | CONTINUATION, *b"a").bytes(), Framing),
        ("a message inside a message", half_text, Framing),
        ("a length with its highest bit", announcing(FIN | TEXT, 1 << 63), Framing),
        ("a length longer than it must be", announcing(FIN | TEXT, 65_535), Framing),
        ("a length beyond memory", announcing(FIN | TEXT, 1 << 40), TooLarge),
        ("a length above the limit", announcing(FIN | TEXT, 64 * 1024 + 1), TooLarge),
        ("half a close code", Frame::new(FIN | CLOSE, [3]).bytes(), Framing),
        ("a close code that cannot be sent", Frame::close(1005).bytes(), Framing),
        ("a close code out of range", Frame::close(999).bytes(), Framing),
        (
            "a close reason that is no text",
            Frame::new(FIN | CLOSE, [3, 232, 0xff]).bytes(),
            Payload,
        ),
        ("a text that is no text", Frame::new(FIN | TEXT, [0xc3, 0x28]).bytes(), Payload),
        ("a surrogate as UTF-8", Frame::new(FIN | TEXT, [0xed, 0xa0, 0x80]).bytes(), Payload),
        ("a binary message", Frame::new(FIN | BINARY, *ping).bytes(), Binary),
        ("an empty binary message", Frame::new(FIN | BINARY, *b"").bytes(), Binary),
    ]
}

#[tokio::test]
async fn every_break_of_the_framing_is_answered_with_its_code_and_felt_by_nobody_else() {
    let mut scene = Scene::set().await;
    for compressing in [false, true] {
        for (what, bytes, reason) in framing_cases() {
            let mut client = scene.client(compressing, false).await;
            client.write(&bytes).await;
            // What comes behind it is not listened to.
            client.write_in_vain(&Frame::text(r#"{"type":"ping","id":9}"#).bytes()).await;
            client.ends().await;
            assert!(client.memory.reply(9).is_none(), "{what}");
            scene.closes(client, reason, &format!("{what}, compressing: {compressing}")).await;
        }
    }
    scene.end().await;
}

#[tokio::test]
async fn a_compressed_frame_without_negotiation_is_a_broken_one() {
    let mut scene = Scene::set().await;
    let mut client = scene.client(false, true).await;
    client.send(&deflated(r#"{"type":"ping"}"#)).await;
    scene.closes(client, CloseReason::Framing, "not negotiated").await;
    // Only the first frame of a message says that it is compressed.
    let mut client = scene.client(true, true).await;
    client.send(&Frame::new(RSV1 | TEXT, *b"a")).await;
    client.send(&Frame::new(FIN | RSV1 | CONTINUATION, *b"a")).await;
    scene.closes(client, CloseReason::Framing, "compressed in the middle").await;
    scene.end().await;
}

#[tokio::test]
async fn what_does_not_inflate_or_inflates_too_far_closes_its_sender_only() {
    const ZEROS: usize = 16 * 1024 * 1024;
    let mut scene = Scene::set().await;
    let bomb = Deflater::new().deflate(&vec![b' '; ZEROS]);
    assert!(bomb.len() < 64 * 1024, "{} bytes pass the limit of a frame", bomb.len());
    let half = Deflater::new().deflate(&[b'a'; 4_000]);
    let small_bomb = Deflater::new().deflate(&vec![b' '; 1024 * 1024]);
    let joined = 16 * 1024;
    assert!(small_bomb.len() < joined);
    let cases: Vec<(&str, bool, Vec<u8>, CloseReason)> = vec![
        ("no deflate", false, vec![0xff; 40], CloseReason::Payload),
        ("half of it", false, half[..half.len() / 2].to_vec(), CloseReason::Payload),
        ("a stored block cut short", false, vec![1, 9, 0, 246, 255, 65], CloseReason::Payload),
        (
            "invalid UTF-8 inside",
            false,
            Deflater::new().deflate(&[0xff; 600]),
            CloseReason::Payload,
        ),
        ("a bomb", false, bomb, CloseReason::TooLarge),
        ("a bomb in a room", true, small_bomb, CloseReason::TooLarge),
        (
            "one byte too many",
            true,
            Deflater::new().deflate(&vec![b' '; joined + 1]),
            CloseReason::TooLarge,
        ),
    ];
    for (what, is_joined, payload, reason) in cases {
        let mut client = scene.client(true, is_joined).await;
        client.send(&Frame::new(FIN | RSV1 | TEXT, payload.clone())).await;
        scene.closes(client, reason, what).await;
        // The same in parts.
        let mut client = scene.client(true, is_joined).await;
        let (first, last) = payload.split_at(payload.len() / 2);
        client.send(&Frame::new(RSV1 | TEXT, first)).await;
        client.write_in_vain(&Frame::new(FIN | CONTINUATION, last).bytes()).await;
        scene.closes(client, reason, &format!("{what}, in parts")).await;
    }
    scene.end().await;
}

#[tokio::test]
async fn the_size_limit_is_wider_before_the_first_join_and_told_in_welcome() {
    let mut scene = Scene::set().await;
    let welcome = scene.plain.memory.first("welcome").unwrap()["limits"].clone();
    let limits = ["frame_bytes", "peer_frame_bytes"].map(|n| welcome[n].as_u64().unwrap() as usize);
    let ping = |bytes: usize| {
        let ping = r#"{"type":"ping","id":9}"#;
        format!("{ping}{}", " ".repeat(bytes - ping.len()))
    };
    for (is_joined, limit) in [(true, limits[0]), (false, limits[1])] {
        for compressing in [false, true] {
            let mut client = scene.client(compressing, is_joined).await;
            let frame = |bytes: usize| {
                if compressing { deflated(&ping(bytes)) } else { Frame::text(&ping(bytes)) }
            };
            client.send(&frame(limit)).await;
            client.until("a pong", |memory| memory.reply(9).cloned()).await;
            client.write_in_vain(&frame(limit + 1).bytes()).await;
            scene.closes(client, CloseReason::TooLarge, &format!("joined: {is_joined}")).await;
        }
    }
    // Parts count together.
    let mut client = scene.client(false, true).await;
    client.send(&Frame::new(TEXT, vec![b' '; limits[0]])).await;
    client.write_in_vain(&Frame::new(CONTINUATION, *b" ").bytes()).await;
    scene.closes(client, CloseReason::TooLarge, "parts that are too large together").await;
    scene.end().await;
}

#[tokio::test]
async fn half_frames_wait_without_holding_anybody_up() {
    let mut scene = Scene::set().await;
    let whole = Frame::text(r#"{"type":"ping","id":9}"#).bytes();
    let mut halves = Vec::new();
    for length in [1, 2, 5, 6, whole.len() - 1] {
        let mut client = scene.client(length % 2 == 0, false).await;
        client.write(&whole[..length]).await;
        halves.push((client, length));
    }
    let mut half_message = scene.client(false, false).await;
    half_message.send(&Frame::new(TEXT, *br#"{"type":"#)).await;
    for _ in 0..3 {
        scene.goes_on().await;
    }
    for (mut client, length) in halves {
        client.write(&whole[length..]).await;
        client.until("a pong", |memory| memory.reply(9).cloned()).await;
    }
    // A control frame may stand between the parts of a message.
    half_message.send(&Frame::new(FIN | PING, *b"mid")).await;
    half_message.until("a pong", |memory| memory.pongs.first().cloned()).await;
    half_message.send(&Frame::new(FIN | CONTINUATION, *br#""ping","id":9}"#)).await;
    half_message.until("a pong", |memory| memory.reply(9).cloned()).await;
    scene.end().await;
}

#[tokio::test]
async fn bytes_may_come_one_by_one_or_all_at_once() {
    let mut scene = Scene::set().await;
    let mut slowly = scene.client(false, false).await;
    for byte in Frame::text(r#"{"type":"join","room":"小房间","id":9}"#).bytes() {
        slowly.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    slowly.until("joined", |memory| memory.reply(9).cloned()).await;

    // As many as may be unread at a time.
    let mut at_once = scene.client(true, false).await;
    let mut bytes = Vec::new();
    for id in 1..=200 {
        let ping = json!({ "type": "ping", "id": id }).to_string();
        let frame = if id % 3 == 0 { deflated(&ping) } else { Frame::text(&ping) };
        bytes.extend(frame.bytes());
    }
    at_once.write(&bytes).await;
    at_once.until("200 pongs", |memory| memory.reply(200).cloned()).await;
    let ids = at_once.memory.messages.iter().filter_map(|message| message["id"].as_u64());
    assert!(ids.eq(1..=200), "replies come in order");
    scene.goes_on().await;
    scene.end().await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code() {
    let scene = Scene::set().await;
    for code in [1000, 1001, 1003, 1011, 3000, 4999] {
        let mut client = scene.client(false, true).await;
        client.send(&Frame::close(code)).await;
        assert_eq!(client.ends().await, Some(code));
    }
    let mut client = scene.client(false, true).await;
    client.send(&Frame::new(FIN | CLOSE, *b"")).await;
    assert_eq!(client.ends().await, Some(1005), "no code is answered with none");
    drop(client);
    scene.until_alone().await;
    scene.end().await;
}

#[tokio::test]
async fn pings_are_answered_with_what_they_hold_and_pongs_with_nothing() {
    let mut scene = Scene::set().await;
    let mut client = scene.client(true, true).await;
    for payload in [Vec::new(), b"x".to_vec(), vec![0xff; 125]] {
        client.memory.pongs.clear();
        client.send(&Frame::new(FIN | PING, payload.clone())).await;
        let pong = client.until("a pong", |memory| memory.pongs.first().cloned()).await;
        assert_eq!(pong, payload);
    }
    client.send(&Frame::new(FIN | PONG, *b"unasked")).await;
    let pong = client.ask(json!({ "type": "ping", "ts": 12.5 })).await;
    assert_eq!(pong["ts"], 12.5);
    scene.goes_on().await;
    scene.end().await;
}

#[tokio::test]
async fn clients_that_vanish_at_any_point_leave_nothing_behind() {
    let mut random = seeded();
    let mut scene = Scene::set().await;
    let join = Frame::text(&json!({ "type": "join", "room": ROOM }).to_string()).bytes();
    let lost = scene.gateway.metric(CLOSES, "lost").await;
    for _ in 0..60 {
        let mut client = scene.client(random.random(), random.random()).await;
        let length = random.random_range(0..=join.len());
        client.write_in_vain(&join[..length]).await;
        if random.random() {
            // With a reset instead of an end.
            client.stream.set_zero_linger().unwrap();
        }
        drop(client);
    }
    scene.goes_on().await;
    scene.until_alone().await;
    assert_eq!(scene.gateway.metric(CLOSES, "lost").await - lost, 60.0);
    scene.end().await;
}

#[tokio::test]
async fn garbage_of_any_kind_closes_its_sender_with_a_code_and_harms_nobody() {
    let mut random = seeded();
    let mut scene = Scene::set().await;
    let mut closed: BTreeMap<&str, f64> = BTreeMap::new();
    for round in 0..150 {
        let mut client = scene.client(random.random(), random.random()).await;
        let mut bytes = vec![0; random.random_range(1..300)];
        random.fill_bytes(&mut bytes);
        if random.random() {
            // Garbage that begins like a frame.
            bytes[0] = FIN | (bytes[0] & (RSV1 | 0x0f));
            bytes.insert(1, 0x80 | random.random_range(0..126_u8));
        }
        client.write_in_vain(&bytes).await;
        // If it was the beginning of something, this is the end of it.
        client.stream.shutdown().await.ok();
        let code = client.ends().await;
        // A close that says why is ours; one that does not answers a close, which garbage can be.
        let reason = match client.memory.closed.as_ref().map(|(_, why)| why.as_str()) {
            None => "lost",
            Some("") => "normal",
            Some(why) => {
                let ours = CloseReason::ALL.iter().find(|reason| reason.text() == why);
                let ours =
                    ours.filter(|reason| Some(reason.code()) == code && reason.code() < 1011);
                ours.unwrap_or_else(|| panic!("{code:?} {why} for {bytes:x?}")).text()
            }
        };
        *closed.entry(reason).or_default() += 1.0;
        if round % 10 == 0 {
            scene.goes_on().await;
        }
    }
    scene.until_alone().await;
    for (reason, count) in closed {
        assert_eq!(scene.gateway.metric(CLOSES, reason).await, count, "{reason}");
    }
    scene.end().await;
}

#[tokio::test]
async fn many_broken_clients_at_once_do_not_hold_up_a_room() {
    let mut random = seeded();
    let mut scene = Scene::set().await;
    let cases = framing_cases();
    let mut attacks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let to = scene.gateway.public;
        let mut picks: Vec<Case> = Vec::new();
        for _ in 0..40 {
            picks.push(cases[random.random_range(0..cases.len())].clone());
        }
        attacks.spawn(async move {
            for (what, bytes, reason) in picks {
                let mut client = RawClient::compressing(to).await;
                client.write(&bytes).await;
                assert_eq!(client.ends().await, Some(reason.code()), "{what}");
            }
        });
    }
    while !attacks.is_empty() {
        scene.goes_on().await;
        while attacks.try_join_next().map(Result::unwrap).is_some() {}
    }
    scene.gateway.api.publish(ROOM, events::chat(ROOM, "完")).await;
    scene.plain.hears(ROOM, "完").await;
    scene.said += 1;
    scene.end().await;
}
