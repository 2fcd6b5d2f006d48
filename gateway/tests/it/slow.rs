//! Clients that do not read: they cost themselves, and nobody else.

use std::time::{Duration, Instant};

use protocol::select::Budget;
use rig::lag::Lag;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::client::TestClient;
use crate::support::frames::Frame;
use crate::support::gateway::{TICK_MS, TestGateway};
use crate::support::http::Api;
use crate::support::process::GatewayProcess;
use crate::support::raw::RawClient;
use crate::support::{events, soon};

const ROOM: &str = "demo";
/// What a client that reads slowly lets its kernel keep, in bytes.
const RECEIVE_BUFFER: usize = 4 * 1024;
/// An event of the flood, in bytes of text.
const EVENT_BYTES: usize = 4 * 1024;
/// Events per tick of the flood: 80 KiB, more than kernels keep for a slow client.
const EVENTS_PER_TICK: usize = 20;

/// Nobody is closed for being stuck for as long as this: on a busy machine a flood may take long.
const FOR_LONG_S: u32 = 600;

/// Publishes large events for some ticks; returns how many.
async fn flood(api: &Api, ticks: usize) -> usize {
    for _ in 0..ticks {
        flood_once(api).await;
        tokio::time::sleep(Duration::from_millis(u64::from(TICK_MS))).await;
    }
    ticks * EVENTS_PER_TICK
}

async fn flood_once(api: &Api) {
    let text = "大".repeat(EVENT_BYTES / 3);
    let event = events::other(ROOM, "x-blob", &text);
    api.publish_all(&vec![event; EVENTS_PER_TICK]).await;
}

/// A client that reads as fast as it can, in a task of its own, until it has heard `完`.
async fn reader(gateway: &TestGateway) -> JoinHandle<TestClient> {
    let mut client = gateway.viewer(ROOM).await;
    tokio::spawn(async move {
        client.hears(ROOM, "完").await;
        client
    })
}

/// A client that joins and then reads nothing.
async fn sleeper(gateway: &TestGateway) -> RawClient {
    let mut client = RawClient::dial(gateway.public, "", Some(RECEIVE_BUFFER)).await;
    client.join(ROOM).await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_for_a_while_is_told_its_gap_and_delays_nobody() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.hub.room.budget = Budget::UNLIMITED;
        config.timing.stuck_s = FOR_LONG_S;
    })
    .await;
    let lag = Lag::measure();
    let mut slow = sleeper(&gateway).await;
    let readers = [reader(&gateway).await, reader(&gateway).await];
    let published = flood(&gateway.api, 25).await;
    gateway.until_metric("barrage_stuck_total", "", |count| count > 0.0).await;
    gateway.until_metric("barrage_gap_events_total", "", |count| count > 0.0).await;
    assert!(slow.memory.account(ROOM).received.is_empty());
    let read_before = slow.bytes;

    gateway.api.publish(ROOM, events::chat(ROOM, "完")).await;
    for reader in readers {
        let mut client = soon("a reader", reader).await.unwrap();
        let account = client.memory.account(ROOM);
        account.assert_closes();
        gateway.assert_none_missed(account, &lag).await;
        let missed: u64 = account.gaps.iter().sum();
        assert_eq!(account.received.len() as u64 + missed, published as u64 + 1);
        let mut late: Vec<u64> = account.received.iter().map(|event| event.late_ms).collect();
        late.sort_unstable();
        let bound = u64::from(TICK_MS) + 200;
        assert!(late[late.len() / 2] <= bound, "half of them within {bound} ms: {late:?}");
        client.assert_lives().await;
    }

    // Now it reads again: what its kernel had, one gap for all that was dropped, and the newest.
    slow.reaches(ROOM, published as u64 + 1).await;
    let account = slow.memory.account(ROOM);
    account.assert_closes();
    assert_eq!(account.gaps.len(), 1, "one gap for all: {:?}", account.gaps);
    let dropped = account.gaps[0] as usize;
    assert!(dropped > published / 2, "{dropped} of {published}");
    let at = account.steps.iter().position(|step| step.ids.is_none()).unwrap();
    assert!(
        account.steps.len() - at <= 3,
        "only the newest batch was kept: {:?}",
        account.steps.len()
    );
    let read = slow.bytes - read_before;
    assert!(read < 2 * 1024 * 1024, "{read} bytes were kept for it");
    assert_eq!(slow.memory.close_code(), None);

    // From here on it is a client like any other.
    gateway.api.publish(ROOM, events::chat(ROOM, "又")).await;
    slow.reaches(ROOM, published as u64 + 2).await;
    slow.memory.account(ROOM).assert_closes();
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_closed_as_too_slow_within_its_deadline() {
    const STUCK_S: u32 = 2;
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.hub.room.budget = Budget::UNLIMITED;
        config.timing.stuck_s = STUCK_S;
    })
    .await;
    let lag = Lag::measure();
    let (mut slow, _never) = (sleeper(&gateway).await, sleeper(&gateway).await);
    let reader = reader(&gateway).await;
    let closed = ("barrage_closes_total", "too_slow");
    let begun = Instant::now();
    let mut stuck = None;
    soon("both are closed", async {
        while gateway.metric(closed.0, closed.1).await < 2.0 {
            if stuck.is_none() && gateway.metric("barrage_stuck_total", "").await > 0.0 {
                stuck = Some(Instant::now());
            }
            flood(&gateway.api, 1).await;
        }
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(u64::from(STUCK_S) - 1), "not at once");
    // Seconds are whole; the machine may be busy. It is not the next ping that is waited for.
    let deadline = Duration::from_secs(u64::from(STUCK_S) + 2 + 8);
    let taken = stuck.expect("they were stuck").elapsed();
    assert!(taken < deadline, "{taken:?}");

    // Whoever reads now finds the reason; whoever does not is cut off.
    assert_eq!(slow.ends().await, Some(4001));
    assert_eq!(slow.memory.closed.as_ref().unwrap().1, "too_slow");
    gateway.until_metric("barrage_connections", "", |count| count == 1.0).await;
    gateway.api.publish(ROOM, events::chat(ROOM, "完")).await;
    let mut client = soon("the reader", reader).await.unwrap();
    let account = client.memory.account(ROOM);
    account.assert_closes();
    gateway.assert_none_missed(account, &lag).await;
    client.assert_lives().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_on_and_on_without_reading_is_closed_as_too_slow() {
    let gateway = TestGateway::with(|config| config.shards = 1).await;
    let mut neighbour = gateway.viewer(ROOM).await;
    let mut slow = sleeper(&gateway).await;
    let ping = Frame::text(&json!({ "type": "ping", "id": 77 }).to_string()).bytes().repeat(100);
    let asking = async {
        while gateway.metric("barrage_closes_total", "too_slow").await == 0.0 {
            slow.write(&ping).await;
        }
    };
    soon("the control lane is full", asking).await;
    assert_eq!(slow.ends().await, Some(4001));
    let pongs = slow.memory.messages.iter().filter(|message| message["type"] == "pong").count();
    assert!(pongs > 0, "what was sent before is read");
    neighbour.publish(ROOM, "还在").await;
    neighbour.hears(ROOM, "还在").await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_in_many_rooms_is_told_the_gap_of_each() {
    const ROOMS: usize = 12;
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.hub.room.budget = Budget::UNLIMITED;
        config.timing.stuck_s = FOR_LONG_S;
    })
    .await;
    let mut slow = RawClient::dial(gateway.public, "", Some(RECEIVE_BUFFER)).await;
    let rooms: Vec<String> = (0..ROOMS).map(|n| format!("room-{n}")).collect();
    for room in &rooms {
        slow.join(room).await;
    }
    // 80 KiB per room: the batches of all rooms together are over the bound of one client.
    let text = "大".repeat(EVENT_BYTES / 3);
    const TICKS: usize = 6;
    for _ in 0..TICKS {
        for room in &rooms {
            let event = events::other(room, "x-blob", &text);
            gateway.api.publish_all(&vec![event; EVENTS_PER_TICK]).await;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(TICK_MS))).await;
    }
    gateway.until_metric("barrage_gap_events_total", "", |count| count > 0.0).await;
    let read_before = slow.bytes;
    for room in &rooms {
        gateway.api.publish(room, events::chat(room, "完")).await;
    }
    let mut with_gap = 0;
    for room in &rooms {
        slow.reaches(room, (TICKS * EVENTS_PER_TICK) as u64 + 1).await;
        let account = slow.memory.account(room);
        account.assert_closes();
        with_gap += usize::from(!account.gaps.is_empty());
    }
    assert!(with_gap > ROOMS / 2, "{with_gap} of {ROOMS}");
    let read = slow.bytes - read_before;
    assert!(read < 3 * 1024 * 1024, "{read} bytes were kept for it");
    gateway.end().await;
}

/// What is told of a room's state is not an event, so nothing is missing when it is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_is_told_no_gap_for_a_room_without_events() {
    const QUIET: &str = "quiet";
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.hub.room.budget = Budget::UNLIMITED;
        config.timing.stuck_s = FOR_LONG_S;
    })
    .await;
    let mut slow = sleeper(&gateway).await;
    slow.join(QUIET).await;
    flood(&gateway.api, 5).await;
    gateway.until_metric("barrage_stuck_total", "", |count| count > 0.0).await;
    let mut liking = gateway.viewer(QUIET).await;
    let like = json!({ "type": "publish", "room": QUIET, "kind": "like" });
    for likes in 1..=5 {
        liking.ask(like.clone()).await;
        let told = |memory: &crate::support::memory::Memory| {
            (memory.account(QUIET).likes == likes).then_some(())
        };
        liking.until("the likes", told).await;
    }
    let all =
        |memory: &crate::support::memory::Memory| (memory.account(QUIET).likes == 5).then_some(());
    slow.until("5 likes", all).await;
    let account = slow.memory.account(QUIET);
    assert!(account.gaps.is_empty());
    account.assert_closes();
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_that_never_read_take_little_memory() {
    const CLIENTS: usize = 100;
    const BYTES_MAX: u64 = 32 * 1024 * 1024;
    let process = GatewayProcess::start(&["--tick", "100", "--shards", "1"]).await;
    let mut slow = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = RawClient::dial(process.public, "", Some(RECEIVE_BUFFER)).await;
        client.join(ROOM).await;
        slow.push(client);
    }
    let before = process.resident_bytes();
    // The budget lets 50 per second pass; 8 KiB each, that is 400 KB/s for each client.
    let events: Vec<Value> = vec![events::other(ROOM, "x-blob", &"大".repeat(2_600)); 10];
    for _ in 0..40 {
        process.api.publish_all(&events).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let stuck = crate::support::gateway::metric(process.admin, "barrage_stuck_total", "").await;
    assert!(stuck >= CLIENTS as f64, "{stuck} were stuck");
    let grown = process.resident_bytes().saturating_sub(before);
    assert!(grown < BYTES_MAX, "{grown} bytes for {CLIENTS} clients");
}
