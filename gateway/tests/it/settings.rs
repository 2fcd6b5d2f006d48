//! Rooms with settings of their own: one gateway is told, all go by them.

use std::time::{Duration, Instant};

use gateway::app::Fabric;
use gateway::config::Config;
use rig::nats::{Binary, Nats};
use serde_json::{Value, json};

use crate::support::client::{Dial, TestClient};
use crate::support::events;
use crate::support::fabric::TestBus;
use crate::support::gateway::{TICK_MS, TestGateway};
use crate::support::http::request;
use crate::support::memory::Memory;
use crate::support::until;

const ROOM: &str = "demo";

pub(crate) async fn put(gateway: &TestGateway, settings: Value) -> Value {
    put_in(gateway, ROOM, settings).await
}

async fn put_in(gateway: &TestGateway, room: &str, settings: Value) -> Value {
    let answer = gateway.api.put_settings(room, settings.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub(crate) async fn shown(gateway: &TestGateway) -> Value {
    shown_of(gateway, ROOM).await
}

async fn shown_of(gateway: &TestGateway, room: &str) -> Value {
    gateway.api.get(&format!("/v1/rooms/{room}/settings")).await.json()
}

/// All settings of a room that has not set any, but for one.
fn all_but(name: &str, value: Value) -> Value {
    let mut all = json!({
        "tick_ms": TICK_MS, "chat_per_s": 40, "higher_per_s": 10, "history_events": 100,
        "ephemeral": false,
    });
    all[name] = value;
    all
}

fn tick(expected: u32) -> impl Fn(&Memory) -> Option<()> {
    move |memory| (memory.account(ROOM).settings["tick_ms"] == expected).then_some(())
}

/// How long after the batch of one event that of the next one comes: a tick.
async fn tick_seen(client: &mut TestClient, text: &str) -> Duration {
    client.publish(ROOM, &format!("{text} 一")).await;
    client.hears(ROOM, &format!("{text} 一")).await;
    let since = Instant::now();
    client.publish(ROOM, &format!("{text} 二")).await;
    client.hears(ROOM, &format!("{text} 二")).await;
    since.elapsed()
}

#[tokio::test]
async fn what_was_put_is_shown_with_what_it_makes_of_the_room() {
    let gateway = TestGateway::start().await;
    let none =
        json!({ "room": ROOM, "settings": null, "resolved": all_but("tick_ms", json!(TICK_MS)) });
    assert_eq!(shown(&gateway).await, none);
    let told = put(&gateway, json!({ "tick_ms": 250 })).await;
    let expected = json!({ "room": ROOM, "settings": { "tick_ms": 250 }, "resolved": all_but("tick_ms", json!(250)) });
    assert_eq!((&told, &shown(&gateway).await), (&expected, &expected));
    let told = put(&gateway, json!({ "chat_per_s": 7 })).await;
    assert_eq!(told["settings"], json!({ "chat_per_s": 7 }), "all of it is replaced");
    put(&gateway, json!({})).await;
    assert_eq!(shown(&gateway).await["settings"], json!({}));
    assert_eq!(gateway.metric("barrage_room_settings", "").await, 1.0);
    for _ in 0..2 {
        let gone = gateway.api.delete_settings(ROOM).await;
        assert_eq!((gone.status, gone.json()), (200, none.clone()));
    }
    assert_eq!(gateway.metric("barrage_room_settings", "").await, 0.0);
    gateway.end().await;
}

#[tokio::test]
async fn faulty_settings_are_refused_with_every_fault_and_change_nothing() {
    let gateway = TestGateway::start().await;
    put(&gateway, json!({ "tick_ms": 250 })).await;
    let faulty = br#"{"tick_ms":0,"tick":100,"ephemeral":"no","chat_per_s":3,"chat_per_s":4}"#;
    let answer = gateway.api.put_settings(ROOM, faulty).await;
    answer.assert_refused(400, "bad_request");
    let faults = answer.json()["error"]["faults"].clone();
    let keys: Vec<_> =
        faults.as_array().unwrap().iter().map(|f| (&f["key"], &f["value"])).collect();
    let expected = [
        (&json!("tick_ms"), &json!(0)),
        (&json!("tick"), &json!(100)),
        (&json!("ephemeral"), &json!("no")),
        (&json!("chat_per_s"), &json!(4)),
    ];
    assert_eq!(keys, expected);
    assert_eq!(faults[0]["message"], "must be a whole number from 1 to 60000");
    for malformed in [&b"{"[..], b"[]", b"7", b"", b"\xff"] {
        gateway.api.put_settings(ROOM, malformed).await.assert_refused(400, "bad_request");
    }
    let large = format!("{{\"a\":\"{}\"}}", "a".repeat(4_096));
    gateway.api.put_settings(ROOM, large.as_bytes()).await.assert_refused(413, "too_large");
    let huge = vec![b' '; 3 * 1024 * 1024];
    gateway.api.put_settings(ROOM, &huge).await.assert_refused(413, "too_large");
    gateway.api.put_settings("$canary", b"{}").await.assert_refused(400, "bad_request");
    assert_eq!(shown(&gateway).await["settings"], json!({ "tick_ms": 250 }));
    for (reason, count) in
        [("bad_value", 2.0), ("unknown_key", 1.0), ("repeated_key", 1.0), ("malformed", 7.0)]
    {
        let counted = gateway.metric("barrage_room_settings_faults_total", reason).await;
        assert_eq!(counted, count, "{reason}");
    }
    let path = format!("/v1/rooms/{ROOM}/settings");
    for method in ["GET", "PUT", "DELETE"] {
        let answer = request(gateway.admin, method, &path, &[], b"{}").await;
        answer.assert_refused(401, "unauthorized");
    }
    gateway.api.post(&path, b"{}").await.assert_refused(405, "bad_request");
    gateway.end().await;
}

/// A change through one gateway is in force on the other, and goes again.
async fn a_tick_is_changed_and_changed_back(one: &TestGateway, two: &TestGateway) {
    const SLOW_MS: u32 = 1_500;
    let mut bob = two.viewer(ROOM).await;
    put(one, json!({ "tick_ms": SLOW_MS })).await;
    bob.until("the slow tick", tick(SLOW_MS)).await;
    let slow = tick_seen(&mut bob, "慢").await;
    assert!(slow >= Duration::from_millis(1_000), "{slow:?}");
    let mut ann = two.client().await;
    let joined = ann.join(ROOM).await;
    assert_eq!(joined["tick_ms"], SLOW_MS);
    assert_eq!(joined["state"]["settings"], all_but("tick_ms", json!(SLOW_MS)));
    assert_eq!(one.api.delete_settings(ROOM).await.status, 200);
    bob.until("the tick of the gateways", tick(TICK_MS)).await;
    let quick = tick_seen(&mut bob, "快").await;
    assert!(quick < Duration::from_millis(1_000), "{quick:?}");
    assert_eq!(bob.memory.account(ROOM).texts().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_through_one_gateway_is_in_force_on_the_others() {
    let bus = TestBus::start();
    let one = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let two = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    a_tick_is_changed_and_changed_back(&one, &two).await;
    put(&one, json!({ "tick_ms": 70 })).await;
    let late = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    assert_eq!(late.client().await.join(ROOM).await["tick_ms"], 70);
    for gateway in [one, two, late] {
        gateway.end().await;
    }
}

/// What is said in an ephemeral room is heard by those who are there, and by nobody later.
async fn an_ephemeral_room_forgets(one: &TestGateway, two: &TestGateway) {
    const ROOM: &str = "momentary";
    put_in(one, ROOM, json!({ "ephemeral": true })).await;
    until("all gateways know", || async {
        (shown_of(two, ROOM).await["resolved"]["ephemeral"] == true).then_some(())
    })
    .await;
    let (mut ann, mut bob) = (one.viewer(ROOM).await, two.viewer(ROOM).await);
    let start = bob.memory.account(ROOM).cursor.clone();
    let say = json!({ "type": "publish", "room": ROOM, "body": { "text": "此刻" } });
    let ack = ann.ask(say).await;
    assert_eq!((&ack["type"], &ack["stored"]), (&json!("ack"), &json!(false)), "{ack}");
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.hears(ROOM, "此刻").await, ack["event"]);
    }
    let sent = events::chat(ROOM, "应用").to_string();
    let answer = two.api.post(&format!("/v1/rooms/{ROOM}/events"), sent.as_bytes()).await;
    assert_eq!((answer.status, &answer.json()["stored"]), (200, &json!(false)));
    bob.hears(ROOM, "应用").await;
    assert_eq!(bob.memory.account(ROOM).cursor, start, "nothing entered the log");
    assert_eq!(one.api.history(ROOM, 10).await["events"], json!([]));

    let accounts = bob.close().await;
    let say = json!({ "type": "publish", "room": ROOM, "body": { "text": "没人听" } });
    assert_eq!(ann.ask(say).await["stored"], false);
    ann.hears(ROOM, "没人听").await;
    let mut bob = one.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(bob.rejoin(ROOM).await["recovered"], true);
    assert_eq!(bob.memory.account(ROOM).texts(), ["此刻", "应用"]);

    assert_eq!(one.api.delete_settings(ROOM).await.status, 200);
    ann.publish(ROOM, "留下").await;
    bob.hears(ROOM, "留下").await;
    until("the history", || async {
        let kept = one.api.history(ROOM, 10).await["events"].clone();
        (kept[0]["body"]["text"] == "留下").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_in_an_ephemeral_room_is_not_kept() {
    let bus = TestBus::start();
    let one = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let two = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    an_ephemeral_room_forgets(&one, &two).await;
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn a_room_shows_as_much_of_its_past_as_it_says() {
    let gateway = TestGateway::start().await;
    put(&gateway, json!({ "history_events": 2 })).await;
    let mut last = Value::Null;
    for n in 0..5 {
        last = gateway.api.publish(ROOM, events::chat(ROOM, &n.to_string())).await;
    }
    let texts = |events: &Value| -> Vec<String> {
        let events = events.as_array().unwrap().iter();
        events.map(|event| event["body"]["text"].as_str().unwrap().to_owned()).collect()
    };
    gateway.shows(ROOM, &last).await;
    let joined = gateway.client().await.join_with(ROOM, json!({ "history": 50 })).await;
    assert_eq!(texts(&joined["events"]), ["3", "4"]);
    assert_eq!(texts(&gateway.api.history(ROOM, 50).await["events"]), ["3", "4"]);
    gateway.end().await;
}

/// A gateway on real servers, ready or not.
fn on_servers(nats: &Nats) -> TestGateway {
    on_servers_with(nats, |_| {})
}

pub(crate) fn on_servers_with(nats: &Nats, change: impl FnOnce(&mut Config)) -> TestGateway {
    let urls = nats.url();
    TestGateway::begin(Fabric::Nats, |config| {
        config.nats.urls = urls.split(',').map(|url| url.parse().unwrap()).collect();
        config.nats.stream_bytes = 16 * 1024 * 1024;
        change(config);
    })
}

async fn settings_go_through_servers(binary: &Binary) {
    let mut nats = Nats::single(binary).await;
    let (one, two) = (on_servers(&nats), on_servers(&nats));
    one.until_ready().await;
    two.until_ready().await;
    a_tick_is_changed_and_changed_back(&one, &two).await;
    an_ephemeral_room_forgets(&one, &two).await;
    put(&one, json!({ "tick_ms": 70 })).await;
    let late = on_servers(&nats);
    late.until_ready().await;
    assert_eq!(late.client().await.join(ROOM).await["tick_ms"], 70);

    nats.kill_all();
    one.until_metric("barrage_broker_reachable", "", |value| value == 0.0).await;
    let refused = one.api.put_settings(ROOM, br#"{"tick_ms":60}"#).await;
    refused.assert_refused(503, "unavailable");
    assert!(refused.header("retry-after").is_some(), "{}", refused.head);
    assert_eq!(shown(&one).await["settings"], json!({ "tick_ms": 70 }), "known all the same");
    nats.restart_all().await;
    until("a change that is taken", || async {
        (one.api.put_settings(ROOM, br#"{"tick_ms":50}"#).await.status == 200).then_some(())
    })
    .await;
    for gateway in [&one, &two, &late] {
        until("the change", || async {
            (shown(gateway).await["settings"] == json!({ "tick_ms": 50 })).then_some(())
        })
        .await;
    }
    for gateway in [one, two, late] {
        gateway.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_go_through_servers_of_every_version() {
    for binary in Binary::all() {
        settings_go_through_servers(&binary).await;
    }
}

/// Nobody is let in by a gateway that does not know its rooms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_has_not_heard_of_the_settings_lets_nobody_in() {
    let Some(binary) = Binary::oldest() else { return };
    let mut nats = Nats::single(&binary).await;
    nats.kill_all();
    let gateway = on_servers(&nats);
    let mut ann = gateway.client().await;
    let join = json!({ "type": "join", "room": ROOM });
    let refused = ann.ask_in_vain(join, "unavailable").await;
    assert!(refused["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{refused}");
    nats.restart_all().await;
    gateway.until_ready().await;
    ann.join(ROOM).await;
    gateway.end().await;
}
