//! Rooms that must be created before they are used, and that are deleted while people are in them.

use gateway::config::Config;
use rig::nats::{Binary, Nats};
use serde_json::json;

use crate::settings::{on_servers_with, put, shown};
use crate::support::events;
use crate::support::fabric::TestBus;
use crate::support::gateway::TestGateway;
use crate::support::http::Answer;
use crate::support::memory::Memory;
use crate::support::stream::{Ask, EventClient};
use crate::support::until;

const ROOM: &str = "demo";

fn created_only(config: &mut Config) {
    config.hub.created_only = true;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_rooms_are_created_first_there_are_no_others() {
    let gateway = TestGateway::with(created_only).await;
    let mut ann = gateway.client().await;
    let join = json!({ "type": "join", "room": ROOM });
    let refused = ann.ask_in_vain(join.clone(), "no_such_room").await;
    assert_eq!((&refused["room"], refused.get("retry_after_ms")), (&json!(ROOM), None));
    let event = events::chat(ROOM, "喂").to_string();
    let publish = async || -> Answer {
        gateway.api.post(&format!("/v1/rooms/{ROOM}/events"), event.as_bytes()).await
    };
    publish().await.assert_refused(404, "no_such_room");
    let like = json!({ "kind": "like", "body": { "count": 9 } }).to_string();
    let path = format!("/v1/rooms/{ROOM}/events");
    gateway.api.post(&path, like.as_bytes()).await.assert_refused(404, "no_such_room");
    for path in [format!("/v1/rooms/{ROOM}"), format!("/v1/rooms/{ROOM}/history")] {
        gateway.api.get(&path).await.assert_refused(404, "no_such_room");
    }
    let mut stream = EventClient::open(gateway.public, ROOM, Ask::default()).await;
    stream.ends().await;
    assert_eq!(stream.memory.first("error").unwrap()["code"], "no_such_room");
    assert_eq!(gateway.metric("barrage_rooms", "").await, 0.0);

    put(&gateway, json!({})).await;
    ann.join(ROOM).await;
    assert_eq!(publish().await.status, 200);
    ann.hears(ROOM, "喂").await;
    ann.publish(ROOM, "在").await;
    assert_eq!(gateway.api.delete_settings(ROOM).await.status, 200);
    publish().await.assert_refused(404, "no_such_room");
    gateway.client().await.ask_in_vain(join, "no_such_room").await;
    gateway.end().await;
}

/// Whether a client was put out of a room: why, and that.
fn put_out(memory: &Memory) -> Option<()> {
    let left = memory.first("left")?;
    let error = memory.first("error")?;
    assert_eq!(left, &json!({ "type": "left", "room": ROOM }));
    assert_eq!((&error["room"], error.get("id")), (&json!(ROOM), None), "{error}");
    assert_eq!(error["code"], "no_such_room");
    Some(())
}

/// Whoever is in a room that is deleted is told so, wherever, and stays connected.
async fn a_deleted_room_puts_its_members_out(one: &TestGateway, two: &TestGateway) {
    put(one, json!({})).await;
    until("all gateways know", || async {
        (shown(two).await["settings"] == json!({})).then_some(())
    })
    .await;
    let mut stream = EventClient::open(two.public, ROOM, Ask::default()).await;
    stream.joined().await;
    let (mut ann, mut bob) = (one.viewer(ROOM).await, two.viewer(ROOM).await);
    ann.publish(ROOM, "最后").await;
    bob.hears(ROOM, "最后").await;
    assert_eq!(one.api.delete_settings(ROOM).await.status, 200);
    for client in [&mut ann, &mut bob] {
        client.until("to be put out", put_out).await;
        client.memory.account(ROOM).assert_closes();
        for kind in ["chat", "like"] {
            let body =
                if kind == "chat" { json!({ "text": "还在" }) } else { json!({ "count": 1 }) };
            let say = json!({ "type": "publish", "room": ROOM, "kind": kind, "body": body });
            client.ask_in_vain(say, "not_joined").await;
        }
        client.ask_in_vain(json!({ "type": "join", "room": ROOM }), "no_such_room").await;
        client.assert_lives().await;
    }
    stream.ends().await;
    assert_eq!(stream.memory.first("error").unwrap()["code"], "no_such_room");
    assert!(two.metric("barrage_refusals_total", "no_such_room").await >= 2.0);

    // Created anew it is a room like any other, for those who stayed too.
    put(two, json!({})).await;
    until("all gateways know", || async {
        (shown(one).await["settings"] == json!({})).then_some(())
    })
    .await;
    for client in [&mut ann, &mut bob] {
        client.rejoin(ROOM).await;
    }
    bob.publish(ROOM, "又来").await;
    ann.hears(ROOM, "又来").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_a_room_that_is_deleted_is_told_so() {
    let bus = TestBus::start();
    let one = TestGateway::on(bus.node().await.into_fabric(), created_only).await;
    let two = TestGateway::on(bus.node().await.into_fabric(), created_only).await;
    a_deleted_room_puts_its_members_out(&one, &two).await;
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_a_room_that_is_deleted_is_told_so_on_servers() {
    let Some(binary) = Binary::newest() else { return };
    let nats = Nats::single(&binary).await;
    let [one, two] = [(); 2].map(|()| on_servers_with(&nats, created_only));
    one.until_ready().await;
    two.until_ready().await;
    a_deleted_room_puts_its_members_out(&one, &two).await;
    one.end().await;
    two.end().await;
}
