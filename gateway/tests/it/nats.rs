//! Gateways on real nats-servers: what they promise each other's viewers, and what they say while
//! the servers are away.

use std::time::{Duration, Instant};

use gateway::app::Fabric;
use protocol::select::Budget;
use rig::nats::{Binary, Nats};
use serde_json::json;

use crate::support::client::Dial;
use crate::support::events;
use crate::support::gateway::TestGateway;
use crate::support::{memory::Memory, until};

const ROOM: &str = "demo";

/// A gateway of the cluster on these servers, ready or not.
fn begin(nats: &Nats, name: &str) -> TestGateway {
    let urls = nats.url();
    TestGateway::begin(Fabric::Nats, |config| {
        config.nats.urls = urls.split(',').map(|url| url.parse().unwrap()).collect();
        config.node.name = Some(name.parse().unwrap());
        config.nats.stream_bytes = 16 * 1024 * 1024;
        config.hub.room.budget = Budget::UNLIMITED;
        config.shards = 1;
    })
}

/// The same, ready.
pub(crate) async fn gateway(nats: &Nats, name: &str) -> TestGateway {
    let gateway = begin(nats, name);
    gateway.until_ready().await;
    gateway
}

fn online(expected: u64) -> impl Fn(&Memory) -> Option<()> {
    move |memory| (memory.account(ROOM).online == expected).then_some(())
}

async fn viewers_of_two_gateways_are_in_one_room(binary: &Binary) {
    let nats = Nats::single(binary).await;
    let (one, two) = (gateway(&nats, "one").await, gateway(&nats, "two").await);
    let (mut ann, mut bob) = (one.viewer(ROOM).await, two.viewer(ROOM).await);
    let event = ann.publish(ROOM, "从一到二").await;
    assert_eq!(bob.hears(ROOM, "从一到二").await, event);
    let event = bob.publish(ROOM, "从二到一").await;
    assert_eq!(ann.hears(ROOM, "从二到一").await, event);
    ann.until("2 online", online(2)).await;
    bob.until("2 online", online(2)).await;

    // Away from one gateway, back at the other, which has the room open; then at one that has not.
    let accounts = bob.close().await;
    for n in 0..20 {
        one.api.publish(ROOM, events::chat(ROOM, &format!("之间 {n}"))).await;
    }
    let mut bob = one.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(bob.rejoin(ROOM).await["recovered"], true);
    bob.hears(ROOM, "之间 19").await;
    let three = gateway(&nats, "three").await;
    let accounts = bob.close().await;
    ann.publish(ROOM, "之后").await;
    let mut bob = three.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(bob.rejoin(ROOM).await["recovered"], true);
    bob.hears(ROOM, "之后").await;
    assert_eq!(bob.memory.account(ROOM).told(), 2 + 20 + 1, "each once, none missing");

    for gateway in [&one, &two, &three] {
        until("all gateways", || async {
            let nodes = gateway.api.get("/v1/nodes").await.json();
            let nodes = nodes["nodes"].as_array().unwrap().clone();
            let names: Vec<_> = nodes.iter().map(|node| node["name"].clone()).collect();
            (names == [json!("one"), json!("three"), json!("two")]).then_some(())
        })
        .await;
    }
    assert!(one.metric("barrage_broker_received_total", "").await >= 23.0);
    // Its own and those of the API, all acked.
    one.until_metric("barrage_broker_published_total", "", |events| events >= 22.0).await;
    for quiet in
        ["barrage_broker_lost_total", "barrage_broker_unstored_total", "barrage_broker_holes_total"]
    {
        assert_eq!(one.metric(quiet, "").await, 0.0, "{quiet}");
    }
    for gateway in [one, two, three] {
        gateway.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_two_gateways_are_in_one_room_on_every_version() {
    for binary in Binary::all() {
        viewers_of_two_gateways_are_in_one_room(&binary).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn likes_of_all_gateways_are_summed_and_a_lost_gateway_leaves_the_count_of_viewers() {
    for binary in Binary::all() {
        let nats = Nats::single(&binary).await;
        let (one, two) = (gateway(&nats, "one").await, gateway(&nats, "two").await);
        let (mut ann, mut bob) = (one.viewer(ROOM).await, two.viewer(ROOM).await);
        let like =
            json!({ "type": "publish", "room": ROOM, "kind": "like", "body": { "count": 7 } });
        ann.ask(like.clone()).await;
        bob.ask(like).await;
        let there = |online: u64| {
            move |memory: &Memory| {
                let account = memory.account(ROOM);
                ((account.online, account.likes) == (online, 14)).then_some(())
            }
        };
        ann.until("2 online, 14 likes", there(2)).await;
        bob.until("2 online, 14 likes", there(2)).await;
        drop(two);
        ann.until("1 online, 14 likes", there(1)).await;
        one.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_away_make_a_gateway_wait_degrade_and_come_back() {
    let Some(binary) = Binary::oldest() else { return };
    let mut nats = Nats::single(&binary).await;
    nats.kill_all();
    let gateway = begin(&nats, "one");
    until("that it says so", || async {
        let (status, body) = gateway.readiness().await;
        (status == 503 && body == json!({ "state": "starting", "degraded": true })).then_some(())
    })
    .await;
    nats.restart_all().await;
    gateway.until_ready().await;
    assert_eq!(gateway.readiness().await.1["degraded"], false);
    gateway.until_metric("barrage_broker_reachable", "", |value| value == 1.0).await;
    gateway.until_metric("barrage_broker_log", "", |value| value == 1.0).await;
    let mut ann = gateway.viewer(ROOM).await;
    ann.publish(ROOM, "之前").await;

    nats.kill_all();
    gateway.until_metric("barrage_broker_reachable", "", |value| value == 0.0).await;
    assert_eq!(gateway.readiness().await, (200, json!({ "state": "ready", "degraded": true })));
    let publish = json!({ "type": "publish", "room": ROOM, "body": { "text": "此时" } });
    let refusal = ann.ask_in_vain(publish, "unavailable").await;
    assert!(refusal["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{refusal}");

    nats.restart_all().await;
    gateway.until_metric("barrage_broker_reachable", "", |value| value == 1.0).await;
    until("a publish that is taken", || async {
        let event = json!({ "body": { "text": "之后" } }).to_string();
        let answer = gateway.api.post(&format!("/v1/rooms/{ROOM}/events"), event.as_bytes()).await;
        (answer.status == 200 && answer.json()["stored"] == true).then_some(())
    })
    .await;
    ann.hears(ROOM, "之后").await;
    assert_eq!(ann.memory.account(ROOM).texts().first(), Some(&"之前"));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_log_and_is_sent_to_it_again_is_counted() {
    let Some(binary) = Binary::newest() else { return };
    let mut nats = Nats::single(&binary).await;
    let gateway = gateway(&nats, "one").await;
    let mut viewer = gateway.viewer(ROOM).await;
    gateway.until_metric("barrage_broker_waiting_events", "", |events| events == 0.0).await;
    for queue in ["acks", "hub_commands", "hub_deliveries", "shard_control", "shard_rooms"] {
        gateway.until_metric("barrage_queue_waiting", queue, |entries| entries == 0.0).await;
    }
    assert_eq!(gateway.metric("barrage_broker_retries_total", "").await, 0.0);
    nats.node(0).pause();
    let (path, event) = (format!("/v1/rooms/{ROOM}/events"), json!({ "body": { "text": "在吗" } }));
    let event = event.to_string();
    let publish = gateway.api.post(&path, event.as_bytes());
    let said = json!({ "type": "publish", "room": ROOM, "body": { "text": "也在" } });
    viewer.command(said).await;
    let watch = async {
        gateway.until_metric("barrage_broker_waiting_events", "", |events| events == 2.0).await;
        gateway.until_metric("barrage_queue_waiting", "acks", |acks| acks == 1.0).await;
        gateway.until_metric("barrage_broker_retries_total", "", |batches| batches >= 1.0).await;
    };
    tokio::join!(publish, watch);
    nats.node(0).resume();
    gateway.until_metric("barrage_broker_waiting_events", "", |events| events == 0.0).await;
    gateway.until_metric("barrage_queue_waiting", "acks", |acks| acks == 0.0).await;
    for quiet in ["barrage_broker_refused_total", "barrage_broker_overflows_total"] {
        assert_eq!(gateway.metric(quiet, "").await, 0.0, "{quiet}");
    }
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_drains_is_known_to_at_the_others() {
    let Some(binary) = Binary::newest() else { return };
    let nats = Nats::single(&binary).await;
    let one = gateway(&nats, "one").await;
    let urls = nats.url();
    // It takes its time, so that its end is not what the other one sees.
    let two = TestGateway::on(Fabric::Nats, |config| {
        config.nats.urls = vec![urls.parse().unwrap()];
        config.node.name = Some("two".parse().unwrap());
        config.nats.stream_bytes = 16 * 1024 * 1024;
        config.drain.delay = Duration::from_secs(3_600);
    })
    .await;
    let state_of_two = || async {
        let nodes = one.api.get("/v1/nodes").await.json();
        let two = nodes["nodes"].as_array()?.iter().find(|node| node["name"] == "two")?.clone();
        two["state"].as_str().map(str::to_owned)
    };
    until("the other one", || async { (state_of_two().await? == "ready").then_some(()) }).await;
    let draining = tokio::spawn(two.drain());
    until("that it drains", || async { (state_of_two().await? == "draining").then_some(()) }).await;
    draining.abort();
    one.end().await;
}

/// Nothing is said in a room for longer than logs are kept: who was there has missed nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_in_a_silent_room_for_long_is_recovered_at_another_gateway() {
    const AGE: Duration = Duration::from_secs(6);
    let Some(binary) = Binary::oldest() else { return };
    let nats = Nats::single(&binary).await;
    let begin = |name: &str| {
        let urls = nats.url();
        TestGateway::begin(Fabric::Nats, |config| {
            config.nats.urls = urls.split(',').map(|url| url.parse().unwrap()).collect();
            config.node.name = Some(name.parse().unwrap());
            config.nats.stream_bytes = 16 * 1024 * 1024;
            config.history.age = AGE;
        })
    };
    let (one, two) = (begin("one"), begin("two"));
    one.until_ready().await;
    two.until_ready().await;
    let mut ann = one.viewer(ROOM).await;
    ann.publish(ROOM, "之前").await;
    ann.hears(ROOM, "之前").await;
    // Rooms of every stream go on meanwhile.
    let api = one.api.clone();
    let goes_on = tokio::spawn(async move {
        for n in 0.. {
            let room = format!("busy-{}", n % 200);
            api.publish(&room, events::chat(&room, "还在")).await;
        }
    });
    let (said, since) = (ann.memory.account(ROOM).cursor.seq, Instant::now());
    let mut told = said;
    while since.elapsed() < 2 * AGE {
        ann.until("a younger cursor", |memory| {
            (memory.account(ROOM).cursor.seq > told).then_some(())
        })
        .await;
        told = ann.memory.account(ROOM).cursor.seq;
    }
    let accounts = ann.close().await;
    let mut ann = two.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(ann.rejoin(ROOM).await["recovered"], true);
    ann.publish(ROOM, "之后").await;
    ann.hears(ROOM, "之后").await;
    assert_eq!(ann.memory.account(ROOM).texts(), ["之前", "之后"]);
    goes_on.abort();
    one.end().await;
    two.end().await;
}
