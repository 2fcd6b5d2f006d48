//! Danmaku from one client to others, and everything that a client is told on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use gateway::config::{Args, Config};
use protocol::select::Budget;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use support::client::{Dial, TestClient};
use support::fabric::TestBus;
use support::frames::Frame;
use support::gateway::{TICK_MS, TestGateway};
use support::memory::Memory;
use support::raw::RawClient;
use support::seed::seeded;
use support::{events, http, until};

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
async fn a_join_brings_as_much_history_as_it_asks_for_oldest_first() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let mut ann = gateway.viewer("demo").await;
    let mut said = Vec::new();
    for n in 0..12 {
        said.push(ann.publish("demo", &format!("历史 {n}")).await);
    }
    let mut bob = gateway.client().await;
    for (asked, got) in [(5, 5), (12, 12), (100, 12), (0, 0)] {
        let joined = bob.join_with("demo", json!({ "history": asked })).await;
        assert_eq!(joined["events"].as_array().unwrap(), &said[said.len() - got..]);
        assert!(joined.get("recovered").is_none(), "{joined}");
        assert_eq!(
            joined["cursor"].as_str(),
            Some(ann.memory.account("demo").start.at(12).as_str())
        );
    }
    assert_eq!(bob.join("demo").await["events"], json!([]), "none unless asked for");
    let join = |history: Value| json!({ "type": "join", "room": "demo", "history": history });
    bob.ask_in_vain(join(json!(101)), "too_large").await;
    bob.ask_in_vain(join(json!(-1)), "bad_request").await;
    bob.ask_in_vain(join(json!("5")), "bad_request").await;
    // What came as history does not come again.
    ann.publish("demo", "新的").await;
    bob.hears("demo", "新的").await;
    assert_eq!(bob.memory.account("demo").texts(), ["新的"]);
    gateway.end().await;
}

/// Long answers are shared, and come in two parts behind a head of each client's own.
#[tokio::test]
async fn a_long_history_comes_whole_to_many_at_once() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let long: Vec<Value> =
        (0..100).map(|n| events::chat("demo", &format!("{n:03}{}", "长".repeat(190)))).collect();
    let said = gateway.api.publish_all(&long).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(gateway.client().await);
    }
    for client in &mut clients {
        let join = json!({ "type": "join", "room": "demo", "history": 100 });
        client.command(join).await;
        client.command(json!({ "type": "ping" })).await;
    }
    for client in &mut clients {
        let joined = client.until("joined", |memory| memory.first("joined").cloned()).await;
        assert_eq!(joined["events"].as_array().unwrap(), &said);
        assert!(joined.to_string().len() > 50_000);
        client.assert_lives().await;
    }
    let mut compressing = RawClient::compressing(gateway.public).await;
    let join = json!({ "type": "join", "room": "demo", "history": 100 });
    let joined = compressing.ask(join).await;
    assert_eq!(joined["events"].as_array().unwrap(), &said);
    gateway.end().await;
}

/// Joins and leaves pass through several hands; whatever is asked for without waiting for an
/// answer, what was asked last counts.
#[tokio::test]
async fn joins_and_leaves_that_do_not_wait_for_answers_end_as_the_last_one_says() {
    const ROOMS: [&str; 3] = ["甲", "乙", "丙"];
    let mut random = seeded();
    let gateway = TestGateway::start().await;
    for round in 0..40 {
        let mut client = RawClient::dial(gateway.public, "", None).await;
        let mut seated = [false; 3];
        let mut bytes = Vec::new();
        let commands = random.random_range(1..40);
        for id in 1..=commands {
            let room = random.random_range(0..ROOMS.len());
            let join: bool = random.random();
            let kind = if join { "join" } else { "leave" };
            let command = json!({ "type": kind, "room": ROOMS[room], "id": id });
            bytes.extend(Frame::text(&command.to_string()).bytes());
            seated[room] = join;
        }
        client.write(&bytes).await;
        for room in ROOMS {
            gateway.api.publish(room, events::chat(room, "之间")).await;
        }
        // A join that was overtaken by a leave is not answered; the last of each room is.
        client.command_with_id(commands + 1, json!({ "type": "ping" })).await;
        client.until("a pong", |memory| memory.reply(commands + 1).cloned()).await;
        for (room, is_seated) in ROOMS.into_iter().zip(seated) {
            let text = format!("之后 {round}");
            let online = u64::from(is_seated);
            until("the number of viewers", || async {
                let info = gateway.api.get(&format!("/v1/rooms/{}", http::percent(room))).await;
                (info.json()["online"] == online).then_some(())
            })
            .await;
            gateway.api.publish(room, events::chat(room, &text)).await;
            if is_seated {
                let heard = |memory: &Memory| memory.accounts.get(room)?.find(&text).map(|_| ());
                client.until(&text, heard).await;
                client.memory.account(room).assert_closes();
            }
        }
        client.send(&Frame::close(1000)).await;
        assert_eq!(client.ends().await, Some(1000));
        for (room, is_seated) in ROOMS.into_iter().zip(seated) {
            let account = client.memory.accounts.get(room);
            let heard = account.and_then(|account| account.find(&format!("之后 {round}")));
            assert_eq!(heard.is_some(), is_seated, "{room}");
        }
        drop(client);
        gateway.until_metric("barrage_connections", "", |count| count == 0.0).await;
    }
    gateway.end().await;
}

#[tokio::test]
async fn after_a_leave_nothing_comes_and_a_rejoin_brings_what_was_missed() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    ann.publish("demo", "之前").await;
    bob.hears("demo", "之前").await;
    bob.leave("demo").await;
    bob.ask_in_vain(json!({ "type": "leave", "room": "demo" }), "not_joined").await;
    let publish = json!({ "type": "publish", "room": "demo", "body": { "text": "x" } });
    bob.ask_in_vain(publish, "not_joined").await;
    ann.publish("demo", "之间").await;
    ann.hears("demo", "之间").await;
    // A round trip after the batch: had it been sent to bob as well, he would have it now.
    bob.assert_lives().await;
    assert!(bob.memory.account("demo").find("之间").is_none());
    let joined = bob.rejoin("demo").await;
    assert_eq!(joined["recovered"], true);
    assert_eq!(bob.memory.account("demo").texts(), ["之前", "之间"]);
    ann.publish("demo", "之后").await;
    bob.hears("demo", "之后").await;
    assert_eq!(bob.memory.account("demo").texts(), ["之前", "之间", "之后"]);
    bob.memory.account("demo").assert_closes();
    gateway.end().await;
}

#[tokio::test]
async fn a_connection_that_is_lost_goes_on_where_it_was() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    ann.publish("demo", "一").await;
    bob.hears("demo", "一").await;
    let accounts = bob.vanish();
    for text in ["二", "三"] {
        ann.publish("demo", text).await;
    }
    let mut bob = gateway.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(bob.rejoin("demo").await["recovered"], true);
    ann.publish("demo", "四").await;
    bob.hears("demo", "四").await;
    assert_eq!(bob.memory.account("demo").texts(), ["一", "二", "三", "四"]);
    bob.memory.account("demo").assert_closes();
    gateway.end().await;
}

#[tokio::test]
async fn a_cursor_of_another_log_is_not_recovered_and_brings_the_newest() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer("demo").await;
    ann.publish("demo", "旧").await;
    let mut bob = gateway.client().await;
    for since in ["00000000000000ff:1", &ann.memory.account("demo").start.at(900)] {
        let joined = bob.join_with("demo", json!({ "since": since })).await;
        assert_eq!(joined["recovered"], false, "{since}");
        assert_eq!(joined["events"][0]["body"]["text"], "旧");
    }
    let joined =
        bob.join_with("demo", json!({ "since": "00000000000000ff:1", "history": 1 })).await;
    assert_eq!(joined["events"].as_array().unwrap().len(), 1);
    for since in [json!("1"), json!(1), json!("ff:1")] {
        let join = json!({ "type": "join", "room": "demo", "since": since });
        bob.ask_in_vain(join, "bad_request").await;
    }
    gateway.end().await;
}

#[tokio::test]
async fn joining_again_replaces_the_seat_and_doubles_nothing() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.viewer("demo").await, gateway.viewer("demo").await);
    for _ in 0..5 {
        bob.rejoin("demo").await;
    }
    ann.publish("demo", "一次").await;
    bob.hears("demo", "一次").await;
    bob.assert_lives().await;
    assert_eq!(bob.memory.account("demo").texts(), ["一次"]);
    let info = gateway.api.get("/v1/rooms/demo").await.json();
    assert_eq!(info["online"], 2);
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
async fn everybody_learns_how_many_are_online() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer("demo").await;
    assert_eq!(ann.memory.account("demo").online, 1);
    let mut bob = gateway.viewer("demo").await;
    assert_eq!(bob.memory.account("demo").online, 2);
    let carl = gateway.viewer("demo").await;
    for client in [&mut ann, &mut bob] {
        client.until("3 online", |memory| (memory.account("demo").online == 3).then_some(())).await;
    }
    carl.vanish();
    bob.leave("demo").await;
    ann.until("1 online", |memory| (memory.account("demo").online == 1).then_some(())).await;
    ann.memory.account("demo").assert_closes();
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
    let gateway = TestGateway::start().await;
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
    gateway.end().await;
}

#[tokio::test]
async fn welcome_tells_who_the_client_is_and_what_it_may_send() {
    let gateway = TestGateway::with(|config| {
        config.session.publishes.burst = 7;
        config.timing.ping_interval_s = 11;
        config.timing.ping_timeout_s = 22;
    })
    .await;
    let (ann, bob) = (gateway.client().await, gateway.client().await);
    let welcome = ann.memory.first("welcome").unwrap();
    assert_eq!(ann.memory.messages.len(), 1, "welcome is the first message");
    assert_eq!(welcome["resumed"], false);
    assert_eq!(welcome["ping_interval_ms"], 11_000);
    assert_eq!(welcome["ping_timeout_ms"], 22_000);
    let limits = json!({
        "frame_bytes": 16_384, "peer_frame_bytes": 65_536, "text_chars": 200, "body_bytes": 8_192,
        "emotes": 16, "key_chars": 64, "likes_per_publish": 50, "publish_per_5s": 7, "rooms": 32,
        "history_events": 100, "commands_per_s": 2_500, "commands_burst": 10_000,
        "connections_per_user": 16,
    });
    assert_eq!(welcome["limits"], limits);
    let users = [&ann, &bob].map(|client| client.memory.first("welcome").unwrap()["user"].clone());
    assert_ne!(users[0]["id"], users[1]["id"], "every anonymous connection is a user of its own");
    assert!(users[0]["id"].as_str().unwrap().starts_with("anon-"));
    assert!(users[0].get("name").is_none());
    let nodes: HashSet<_> = [&ann, &bob]
        .map(|client| client.memory.first("welcome").unwrap()["node"].to_string())
        .into();
    assert_eq!(nodes.len(), 1);
    gateway.end().await;
}

#[tokio::test]
async fn the_name_in_the_address_is_shown_less_what_is_invisible() {
    let gateway = TestGateway::start().await;
    let long = "字".repeat(40);
    let cases = [
        ("/ws?name=%E5%B0%8F%E6%98%8E", Some("小明")),
        ("/ws?x=1&name=Ann+B&name=C", Some("Ann B")),
        ("/ws?name=a%00b%E2%80%8Bc%0A", Some("abc")),
        ("/ws?name=%20%20", None),
        ("/ws?name=", None),
    ];
    for (path, name) in cases {
        let client = gateway.dial(Dial { path, ..Dial::default() }).await;
        let user = client.memory.first("welcome").unwrap()["user"].clone();
        assert_eq!(user.get("name").and_then(Value::as_str), name, "{path}");
    }
    let path = format!("/ws?name={}", http::percent(&long));
    let mut client = gateway.dial(Dial { path: &path, ..Dial::default() }).await;
    let name = client.memory.first("welcome").unwrap()["user"]["name"].clone();
    assert_eq!(name.as_str().unwrap().chars().count(), 32);
    client.join("demo").await;
    assert_eq!(client.publish("demo", "我").await["user"]["name"], name);
    gateway.end().await;
}

#[tokio::test]
async fn our_subprotocol_is_echoed_when_offered_and_no_other() {
    let gateway = TestGateway::start().await;
    let offers: [(&str, Option<&str>); 3] = [
        ("barrage.v1", Some("barrage.v1")),
        ("bearer.secret, barrage.v1", Some("barrage.v1")),
        ("", None),
    ];
    for (offer, echoed) in offers {
        let headers =
            if offer.is_empty() { Vec::new() } else { vec![("Sec-WebSocket-Protocol", offer)] };
        let client = gateway.dial(Dial { headers, ..Dial::default() }).await;
        let answer = client.response.headers().get("sec-websocket-protocol");
        assert_eq!(answer.map(|value| value.to_str().unwrap()), echoed, "{offer}");
    }
    // A client that offers only others gets none; whether it goes on is its own decision.
    let headers = vec![("Sec-WebSocket-Protocol", "chat, superchat")];
    let dial = Dial { headers, ..Dial::default() };
    let refused = TestClient::try_dial(gateway.public, dial).await.err().expect("no subprotocol");
    assert!(matches!(*refused, Error::Protocol(_)), "{refused}");
    gateway.end().await;
}

#[tokio::test]
async fn everything_is_below_the_base_path() {
    let gateway = TestGateway::with(|config| config.public.base_path = "/live".to_owned()).await;
    let mut client = gateway.dial(Dial { path: "/live/ws", ..Dial::default() }).await;
    client.join("demo").await;
    client.publish("demo", "在").await;
    let get = async |path: &str| http::request(gateway.public, "GET", path, &[], b"").await;
    assert_eq!(get("/live/").await.status, 200);
    let moved = get("/live").await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("/live/")));
    for path in ["/", "/ws", "/livews", "/live2/", "/client.json"] {
        get(path).await.assert_refused(404, "not_found");
    }
    let told = get("/live/client.json").await;
    assert_eq!(told.json()["dev"], true);
    gateway.end().await;
}

#[tokio::test]
async fn without_development_strangers_are_refused() {
    let flags = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let closed = Config::from_flags(&flags).unwrap();
    let gateway = TestGateway::with(|config| *config = closed).await;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = http::request(gateway.public, "GET", "/ws", &upgrade, b"").await;
    refused.assert_refused(401, "unauthorized");
    let refused = gateway.api.get("/v1/rooms/demo").await;
    refused.assert_refused(401, "unauthorized");
    gateway.end().await;
}

#[tokio::test]
async fn a_connection_is_in_many_rooms_at_once_and_in_no_more_than_32() {
    let gateway = TestGateway::start().await;
    let (mut ann, mut bob) = (gateway.client().await, gateway.client().await);
    let rooms: Vec<String> = (0..32).map(|n| format!("房间-{n}")).collect();
    for room in &rooms {
        ann.join(room).await;
        bob.join(room).await;
    }
    let join = json!({ "type": "join", "room": "一个太多" });
    ann.ask_in_vain(join.clone(), "rooms_limit").await;
    for room in &rooms {
        ann.publish(room, &format!("在 {room}")).await;
    }
    for room in &rooms {
        bob.hears(room, &format!("在 {room}")).await;
        assert_eq!(bob.memory.account(room).texts().len(), 1);
        bob.memory.account(room).assert_closes();
    }
    ann.leave(&rooms[7]).await;
    assert_eq!(ann.ask(join).await["type"], "joined");
    gateway.end().await;
}

/// Paid events count as held until their slot closes; whoever joins in between is owed them.
#[tokio::test]
async fn a_gift_just_before_a_join_still_comes() {
    let gateway = TestGateway::with(|config| config.hub.room.tick_ms = 1000).await;
    let (mut ann, mut bob, room) = join_behind_a_gift(&gateway).await;
    for client in [&mut ann, &mut bob] {
        client.hears(&room, "礼").await;
        client.memory.account(&room).assert_closes();
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_gift_just_before_a_join_that_is_lost_comes_with_the_recovery() {
    let gateway = TestGateway::with(|config| config.hub.room.tick_ms = 1000).await;
    let (mut ann, bob, room) = join_behind_a_gift(&gateway).await;
    let accounts = bob.vanish();
    ann.hears(&room, "礼").await;
    let mut bob = gateway.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(bob.rejoin(&room).await["recovered"], true);
    assert_eq!(bob.memory.account(&room).texts(), ["礼"]);
    bob.memory.account(&room).assert_closes();
    gateway.end().await;
}

/// Ann sends a gift, and bob joins the room before the slot of it ends.
async fn join_behind_a_gift(gateway: &TestGateway) -> (TestClient, TestClient, String) {
    let mut bob = gateway.client().await;
    for round in 0.. {
        let room = format!("room-{round}");
        let mut ann = gateway.viewer(&room).await;
        let body = json!({ "text": "礼" });
        ann.ask(json!({ "type": "publish", "room": room, "kind": "gift", "body": body })).await;
        let joined = bob.join_with(&room, json!({ "history": 10 })).await;
        if joined["held"].is_number() {
            assert_eq!((&joined["held"], &joined["events"]), (&json!(1), &json!([])), "{joined}");
            return (ann, bob, room);
        }
        // The slot ended between the two; try again.
    }
    unreachable!("a slot is longer than a join takes")
}
