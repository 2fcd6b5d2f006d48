//! Coming into rooms, leaving them, and coming back: what a client is told of the past.

use protocol::select::Budget;
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::support::client::{Dial, TestClient};
use crate::support::frames::Frame;
use crate::support::gateway::TestGateway;
use crate::support::memory::Memory;
use crate::support::raw::RawClient;
use crate::support::seed::seeded;
use crate::support::{events, http, until};

#[tokio::test]
async fn a_join_brings_as_much_history_as_it_asks_for_oldest_first() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let mut ann = gateway.viewer("demo").await;
    let mut said = Vec::new();
    for n in 0..12 {
        said.push(ann.publish("demo", &format!("历史 {n}")).await);
    }
    gateway.shows("demo", &said[11]).await;
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
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
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
    let old = ann.publish("demo", "旧").await;
    gateway.shows("demo", &old).await;
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
        // The slot ended between the two, or the room was not told of the gift yet; try again.
        bob.leave(&room).await;
    }
    unreachable!("a slot is longer than a join takes")
}
