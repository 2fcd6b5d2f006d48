//! Pings, and what becomes of clients that do not answer them.

use std::time::{Duration, Instant};

use gateway::config::Config;
use serde_json::json;

use crate::support::frames::{FIN, Frame, PONG};
use crate::support::gateway::TestGateway;
use crate::support::raw::RawClient;
use crate::support::soon;

const ROOM: &str = "demo";

/// One shard, so that the first client is the one whose pings are not brought forward.
fn pinging(interval_s: u32, timeout_s: u32) -> impl FnOnce(&mut Config) {
    move |config| {
        config.shards = 1;
        config.timing.ping_interval_s = interval_s;
        config.timing.ping_timeout_s = timeout_s;
    }
}

#[tokio::test]
async fn a_ping_goes_out_only_to_those_who_were_sent_nothing_else() {
    const INTERVAL: Duration = Duration::from_secs(4);
    let gateway = TestGateway::with(pinging(4, 60)).await;
    let mut busy = gateway.viewer(ROOM).await;
    let mut silent = gateway.client().await;
    let begun = Instant::now();
    while begun.elapsed() < 2 * INTERVAL {
        busy.publish(ROOM, "还在说").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let pinged = silent.until("a ping", |memory| (memory.pings > 0).then_some(memory.pings)).await;
    assert!(pinged <= 4, "{pinged} pings in {:?}", begun.elapsed());
    busy.assert_lives().await;
    assert_eq!(busy.memory.pings, 0);
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_answers_nothing_is_closed_and_one_that_answers_is_not() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let gateway = TestGateway::with(pinging(1, 3)).await;
    let mut answering = gateway.viewer(ROOM).await;
    let mut deaf = RawClient::connect(gateway.public).await;
    deaf.join(ROOM).await;
    let begun = Instant::now();
    let both = async { tokio::join!(deaf.ends(), read_for(&mut answering, 3 * TIMEOUT)) };
    let (code, ()) = soon("the end", both).await;
    assert_eq!(code, Some(4002));
    assert_eq!(deaf.memory.closed.as_ref().unwrap().1, "no_pong");
    assert_eq!(deaf.memory.pings, 1, "one ping is enough to know");
    // Whole seconds, and a second between two looks.
    assert!(begun.elapsed() >= TIMEOUT - Duration::from_secs(1));
    assert!(answering.memory.pings >= 2, "{} pings", answering.memory.pings);
    answering.assert_lives().await;
    gateway.until_metric("barrage_closes_total", "no_pong", |count| count == 1.0).await;
    gateway.end().await;
}

/// Reads for a time, whatever comes.
async fn read_for(client: &mut crate::support::client::TestClient, time: Duration) {
    let end = tokio::time::Instant::now() + time;
    while tokio::time::timeout_at(end, client.read()).await.is_ok() {
        assert!(!client.memory.ended, "{:?}", client.memory.closed);
    }
}

#[tokio::test]
async fn a_client_without_pongs_is_not_waited_for_longer_than_told() {
    let gateway = TestGateway::with(pinging(2, 4)).await;
    let mut deaf = RawClient::connect(gateway.public).await;
    let begun = Instant::now();
    assert_eq!(deaf.ends().await, Some(4002));
    let welcome = deaf.memory.first("welcome").unwrap();
    let told = Duration::from_millis(welcome["ping_timeout_ms"].as_u64().unwrap());
    // Two looks that are a second apart, and a busy machine.
    let bound = told + Duration::from_secs(2 + 5);
    assert!(begun.elapsed() <= bound, "{:?}", begun.elapsed());
    gateway.end().await;
}

#[tokio::test]
async fn whatever_a_client_says_is_as_good_as_a_pong() {
    // Eight pings are longer than the timeout, by which a busy machine may be held up.
    let gateway = TestGateway::with(pinging(1, 6)).await;
    let mut pong = RawClient::connect(gateway.public).await;
    let mut text = RawClient::connect(gateway.public).await;
    for round in 1..=8 {
        let pinged =
            |memory: &crate::support::memory::Memory| (memory.pings >= round).then_some(());
        pong.until("a ping", pinged).await;
        pong.send(&Frame::new(FIN | PONG, *b"")).await;
        text.until("a ping", pinged).await;
        assert_eq!(text.ask(json!({ "type": "ping" })).await["type"], "pong");
    }
    assert_eq!((pong.memory.close_code(), text.memory.close_code()), (None, None));
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_close_is_cut_off() {
    let gateway = TestGateway::with(|config| config.shards = 1).await;
    let mut witness = gateway.viewer(ROOM).await;
    let mut client = RawClient::connect(gateway.public).await;
    // Unmasked: it is closed, and stays on the line.
    client.send(&Frame::text("{}").unmasked()).await;
    client.until("the close", |memory| memory.close_code()).await;
    assert_eq!(gateway.metric("barrage_closes_total", "framing").await, 1.0);
    gateway.until_metric("barrage_connections", "", |count| count == 1.0).await;
    assert_eq!(client.ends().await, Some(1002));
    witness.assert_lives().await;
    gateway.end().await;
}
