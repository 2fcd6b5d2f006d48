//! Danmaku from one client to others, and what becomes of those that are not taken.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fabric::TestBus;
use crate::support::gateway::{TICK_MS, TestGateway};

#[tokio::test]
async fn two_clients_see_each_others_danmaku_soon() {
    const ROUNDS: usize = 15;
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let text = format!("第{round}条");
        std::mem::swap(&mut ann, &mut bob);
        let sent = Instant::now();
        let event = ann.publish("demo", &text).await;
        assert_eq!(bob.hears("demo", &text).await, event);
        delays.push(sent.elapsed());
        assert_eq!(ann.hears("demo", &text).await, event, "the sender gets it as well");
    }
    // Other work on the machine may delay some; what the gateway does shows in the median.
    delays.sort();
    let bound = Duration::from_millis(u64::from(TICK_MS) + 200);
    assert!(delays[ROUNDS / 2] <= bound, "{delays:?}");
    for client in [&ann, &bob] {
        client.memory.account("demo").assert_closes();
    }
    gateway.end().await;
}

#[tokio::test]
async fn the_ack_carries_the_event_as_it_is_published() {
    let gateway = TestGateway::start().await;
    let mut client = gateway.viewer("demo").await;
    let user = client.memory.first("welcome").unwrap()["user"].clone();
    let body = json!({
        "text": "  前方\u{7}高能\u{200b}  ", "mode": "top", "color": "#FFCC00", "size": "large",
        "emotes": [{ "code": "高能", "url": "https://example.test/a.png" }], "unknown": 1,
    });
    let command = json!({ "type": "publish", "room": "demo", "kind": "chat", "body": body });
    let ack = client.ask(command).await;
    let event = ack["event"].clone();
    assert_eq!(ack["stored"], true);
    assert_eq!(event["user"], user);
    assert_eq!(event["kind"], "chat");
    let expected = json!({
        "text": "前方高能", "mode": "top", "color": "#ffcc00", "size": "large",
        "emotes": [{ "code": "高能", "url": "https://example.test/a.png" }],
    });
    assert_eq!(event["body"], expected);
    assert!(event["ts"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(client.hears("demo", "前方高能").await, event);
    gateway.end().await;
}

#[tokio::test]
async fn events_of_every_kind_a_client_may_send_arrive_as_they_were_sent() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    for kind in ["gift", "paid", "enter", "x-poll.vote"] {
        let body = json!({ "text": kind, "deep": [{ "n": 1.5, "名": null }] });
        let command = json!({ "type": "publish", "room": "demo", "kind": kind, "body": body });
        let event = ann.ask(command).await["event"].clone();
        assert_eq!((&event["kind"], &event["body"]), (&json!(kind), &body));
        assert_eq!(bob.hears("demo", kind).await, event);
    }
    for kind in ["system", "notice"] {
        let command = json!({ "type": "publish", "room": "demo", "kind": kind, "body": {} });
        let error = ann.ask_in_vain(command, "forbidden").await;
        assert_eq!(error["room"], "demo");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_keyed_retry_shows_once() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    let keyed = |key: &str, text: &str| {
        let body = json!({ "text": text });
        json!({ "type": "publish", "room": "demo", "key": key, "body": body })
    };
    let first = ann.ask(keyed("k1", "同一条")).await;
    let second = ann.ask(keyed("k1", "同一条")).await;
    assert_eq!(first["event"]["id"], second["event"]["id"]);
    let other = ann.ask(keyed("k2", "另一条")).await;
    assert_ne!(first["event"]["id"], other["event"]["id"]);
    // A key belongs to its user: another user's event is another event.
    let theirs = bob.ask(keyed("k1", "别人的")).await;
    assert_ne!(first["event"]["id"], theirs["event"]["id"]);
    for client in [&mut ann, &mut bob] {
        client.reaches("demo", 4).await;
        let account = client.memory.account("demo");
        assert_eq!(account.texts(), ["同一条", "另一条", "别人的"]);
        account.assert_closes_but_for(1);
    }
    for key in [String::new(), "长".repeat(65), "a\u{7}b".to_owned()] {
        let error = ann.ask(keyed(&key, "x")).await;
        assert_eq!(error["type"], "error", "{key:?}");
    }
    gateway.until_metric("barrage_repeats_total", "", |count| count == 1.0).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_keyed_retry_through_another_gateway_shows_once() {
    let bus = TestBus::start();
    let one = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let two = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let (mut ann, mut bob) = (one.viewer("demo").await, two.viewer("demo").await);
    let body = json!({ "text": "只有一次" });
    let event = json!({ "user": { "id": "42" }, "key": "retry", "body": body });
    let first = one.api.publish("demo", event.clone()).await;
    let second = two.api.publish("demo", event).await;
    assert_eq!(first["id"], second["id"]);
    for client in [&mut ann, &mut bob] {
        client.reaches("demo", 2).await;
        assert_eq!(client.memory.account("demo").texts(), ["只有一次"]);
        client.memory.account("demo").assert_closes_but_for(1);
    }
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn likes_are_told_as_totals() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    let like = |count: Value| {
        let body = json!({ "count": count });
        json!({ "type": "publish", "room": "demo", "kind": "like", "body": body })
    };
    for (client, count) in [(&mut ann, 3), (&mut bob, 50)] {
        let ack = client.ask(like(json!(count))).await;
        assert_eq!((&ack["type"], &ack["stored"]), (&json!("ack"), &json!(false)), "{ack}");
        assert!(ack.get("event").is_none(), "{ack}");
    }
    let bare = json!({ "type": "publish", "room": "demo", "kind": "like" });
    assert_eq!(ann.ask(bare).await["type"], "ack", "one like unless it says more");
    for client in [&mut ann, &mut bob] {
        client.until("54 likes", |memory| (memory.account("demo").likes == 54).then_some(())).await;
        assert!(client.memory.account("demo").received.is_empty());
    }
    ann.ask_in_vain(like(json!(51)), "too_large").await;
    ann.ask_in_vain(like(json!(0)), "bad_request").await;
    let joined = gateway.client().await.join("demo").await;
    assert_eq!(joined["state"]["likes"], 54);
    gateway.end().await;
}

/// A room whose tick ends while its log still waits for stragglers tells its state with the batch.
#[tokio::test]
async fn likes_amid_chat_are_told_on_a_shared_bus() {
    let bus = TestBus::start();
    let gateway = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    let like = json!({ "type": "publish", "room": "demo", "kind": "like" });
    for likes in 1..=10 {
        ann.publish("demo", &format!("弹幕 {likes}")).await;
        ann.ask(like.clone()).await;
        for client in [&mut ann, &mut bob] {
            let told = format!("{likes} likes");
            client
                .until(&told, |memory| (memory.account("demo").likes == likes).then_some(()))
                .await;
        }
    }
    gateway.end().await;
}

#[tokio::test]
async fn mistakes_are_answered_and_the_connection_lives() {
    let gateway = TestGateway::start().await;
    let mut client = gateway.viewer("demo").await;
    client.ask_in_vain(json!({ "type": "dance" }), "unknown_type").await;
    client.assert_lives().await;
    let publish = |fields: Value| {
        let mut command = json!({ "type": "publish", "room": "demo", "body": { "text": "x" } });
        fields.as_object().unwrap().iter().for_each(|(k, v)| command[k] = v.clone());
        command
    };
    let cases = [
        (publish(json!({ "room": "elsewhere" })), "not_joined"),
        (publish(json!({ "body": { "text": "" } })), "bad_request"),
        (publish(json!({ "body": { "text": "字".repeat(201) } })), "too_large"),
        (publish(json!({ "body": { "text": "x", "mode": "spiral" } })), "bad_request"),
        (publish(json!({ "body": { "text": "x", "color": "red" } })), "bad_request"),
        (publish(json!({ "body": "x" })), "bad_request"),
        (publish(json!({ "kind": "dance" })), "bad_request"),
        (publish(json!({ "kind": "x-a", "body": { "text": "x".repeat(9_000) } })), "too_large"),
        (json!({ "type": "join", "room": "$canary" }), "bad_request"),
        (json!({ "type": "join", "room": "" }), "bad_request"),
        (json!({ "type": "join", "room": "间".repeat(33) }), "bad_request"),
        (json!({ "type": "join" }), "bad_request"),
        (json!({ "type": "join", "room": "demo", "as": "ghost" }), "bad_request"),
        (json!({ "type": "join", "room": "demo", "as": "peer" }), "forbidden"),
        (json!({ "type": "leave", "room": "elsewhere" }), "not_joined"),
        (json!({ "type": "ping", "ts": "soon" }), "bad_request"),
    ];
    for (command, code) in cases {
        let error = client.ask_in_vain(command, code).await;
        assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
        client.assert_lives().await;
    }
    client.publish("demo", &"字".repeat(200)).await;
    client.memory.account("demo").assert_closes();
    gateway.end().await;
}

#[tokio::test]
async fn a_command_whose_id_is_none_is_refused_without_one() {
    let gateway = TestGateway::start().await;
    let mut client = gateway.client().await;
    for id in ["0", "-1", "1.5", "9007199254740992", "\"7\"", "[]"] {
        let before = client.memory.messages.len();
        client.say(&format!(r#"{{"type":"ping","id":{id}}}"#)).await;
        let error = client.until("an error", |memory| memory.messages.get(before).cloned()).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("bad_request")));
        assert!(error.get("id").is_none(), "{error}");
    }
    client.say(r#"{"type":"ping","id":9007199254740991,"ts":1.50e1}"#).await;
    let pong = client.until("a pong", |memory| memory.first("pong").cloned()).await;
    assert_eq!(pong["id"], 9_007_199_254_740_991_u64);
    gateway.end().await;
}

#[tokio::test]
async fn who_publishes_too_often_is_told_when_to_try_again() {
    let gateway = TestGateway::with(|config| {
        config.session.publishes.burst = 5;
        config.session.publishes.period = Duration::from_secs(5);
    })
    .await;
    let mut client = gateway.viewer("demo").await;
    let publish = json!({ "type": "publish", "room": "demo", "body": { "text": "快" } });
    // A slow machine may take longer for five than the sixth has to wait.
    let error = loop {
        let reply = client.ask(publish.clone()).await;
        if reply["type"] == "error" {
            break reply;
        }
    };
    assert_eq!((&error["code"], &error["room"]), (&json!("rate_limited"), &json!("demo")));
    let wait = error["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{error}");
    client.assert_lives().await;
    tokio::time::sleep(Duration::from_millis(wait)).await;
    assert_eq!(client.ask(publish).await["type"], "ack", "as told");
    gateway.until_metric("barrage_refusals_total", "rate_limited", |count| count > 0.0).await;
    gateway.end().await;
}

#[tokio::test]
async fn the_eighth_malformed_message_closes() {
    let gateway = TestGateway::with(|config| config.shards = 1).await;
    let mut witness = gateway.viewer("demo").await;
    let mut client = gateway.viewer("demo").await;
    let malformed = ["", "null", "[]", "{", "{}", r#"{"type":7}"#, "{\"type\":\"ping\"} x", "\"\""];
    for text in &malformed[..7] {
        let before = client.memory.messages.len();
        client.say(text).await;
        let error = client.until("an error", |memory| memory.messages.get(before).cloned()).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("bad_request")));
        assert!(error.get("id").is_none());
    }
    client.assert_lives().await;
    client.say(malformed[7]).await;
    assert_eq!(client.ends().await, Some(4502));
    assert_eq!(client.memory.closed.as_ref().unwrap().1, "protocol_abuse");
    assert_eq!(gateway.metric("barrage_refusals_total", "bad_request").await, 7.0);
    assert_eq!(gateway.metric("barrage_closes_total", "protocol_abuse").await, 1.0);
    witness.publish("demo", "还在").await;
    gateway.end().await;
}
