//! How the real binary leaves: at a signal, politely, and within its time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::TestClient;
use crate::support::events;
use crate::support::files::Folder;
use crate::support::gateway::TestGateway;
use crate::support::process::GatewayProcess;
use crate::support::raw::RawClient;
use crate::support::{http, soon, until};

const ROOM: &str = "demo";
/// What a busy machine may add to a time.
const BUSY: Duration = Duration::from_secs(10);

#[tokio::test]
async fn at_sigterm_every_client_is_told_when_to_come_back_and_closed() {
    const CLIENTS: usize = 30;
    let mut process = GatewayProcess::start(&["--tick", "100", "--shards", "2"]).await;
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let mut client = TestClient::connect(process.public).await;
        client.join(ROOM).await;
        if n == 0 {
            client.publish(ROOM, "再见").await;
        }
        clients.spawn(async move {
            let code = client.ends().await;
            (client, code, Instant::now())
        });
    }
    let begun = Instant::now();
    process.signal("TERM");
    let state = until("not ready", || async {
        let answer = http::request(process.admin, "GET", "/readyz", &[], b"").await;
        (answer.status == 503).then(|| answer.json()["state"].clone())
    })
    .await;
    assert_eq!(state, "draining");
    assert!(begun.elapsed() < Duration::from_secs(2) + BUSY / 2, "{:?}", begun.elapsed());

    let mut after_ms = HashSet::new();
    let mut moments = Vec::new();
    for (client, code, at) in soon("all clients", clients.join_all()).await {
        assert_eq!(code, Some(4000));
        assert_eq!(client.memory.closed.as_ref().unwrap().1, "draining");
        let goodbye = client.memory.messages.last().unwrap();
        assert_eq!(goodbye["type"], "goodbye", "the last word: {goodbye}");
        assert_eq!(goodbye["reason"], "draining");
        assert_eq!(goodbye["reconnect"], true);
        let after = goodbye["reconnect_after_ms"].as_u64().unwrap();
        assert!(after < 500, "{goodbye}");
        after_ms.insert(after);
        moments.push(at - begun);
        client.memory.account(ROOM).assert_closes();
    }
    assert!(after_ms.len() > CLIENTS / 2, "each has a time of its own: {after_ms:?}");
    let (first, last) = (moments.iter().min().unwrap(), moments.iter().max().unwrap());
    assert!(*last <= GatewayProcess::WINDOW + Duration::from_secs(1) + BUSY, "{moments:?}");
    assert!(*last - *first >= Duration::from_secs(1), "spread over the window: {moments:?}");
    assert_eq!(process.ends().await, Some(0));
    let bound = GatewayProcess::WINDOW + GatewayProcess::GRACE + BUSY;
    assert!(begun.elapsed() <= bound, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_clients_it_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut process = GatewayProcess::start(&[]).await;
        // Somebody was here, and an idle HTTP connection still is.
        TestClient::connect(process.public).await.close().await;
        let _idle = tokio::net::TcpStream::connect(process.public).await.unwrap();
        let begun = Instant::now();
        process.signal(signal);
        assert_eq!(process.ends().await, Some(0), "SIG{signal}");
        assert!(begun.elapsed() < Duration::from_secs(2) + BUSY / 2, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_second_signal_hurries() {
    let folder = Folder::make("hurry");
    let config = folder.file("barrage.toml", "[drain]\nwindow = \"10m\"\n");
    let mut process = GatewayProcess::start(&["--config", &config]).await;
    let mut client = RawClient::connect(process.public).await;
    client.join(ROOM).await;
    let begun = Instant::now();
    process.signal("TERM");
    until("not ready", || async {
        let answer = http::request(process.admin, "GET", "/readyz", &[], b"").await;
        (answer.status == 503).then_some(())
    })
    .await;
    process.signal("TERM");
    assert_eq!(process.ends().await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3) + BUSY, "{:?}", begun.elapsed());
    // There was time for a goodbye all the same.
    assert_eq!(client.ends().await, Some(4000));
    assert_eq!(client.memory.messages.last().unwrap()["type"], "goodbye");
}

#[tokio::test]
async fn clients_that_do_not_go_are_cut_off_within_the_grace() {
    let mut process = GatewayProcess::start(&[]).await;
    // One reads its close and stays, one reads nothing at all.
    let mut stays = RawClient::connect(process.public).await;
    stays.join(ROOM).await;
    let mut deaf = RawClient::connect(process.public).await;
    deaf.join(ROOM).await;
    let begun = Instant::now();
    process.signal("TERM");
    assert_eq!(stays.until("the close", |memory| memory.close_code()).await, 4000);
    assert_eq!(process.ends().await, Some(0));
    let bound = GatewayProcess::WINDOW + GatewayProcess::GRACE + BUSY;
    assert!(begun.elapsed() <= bound, "{:?}", begun.elapsed());
    assert_eq!(deaf.ends().await, Some(4000));
    assert_eq!(deaf.memory.messages.last().unwrap()["type"], "goodbye");
}

#[tokio::test]
async fn while_it_drains_danmaku_go_on() {
    let mut process = GatewayProcess::start(&["--tick", "100"]).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = TestClient::connect(process.public).await;
        client.join(ROOM).await;
        clients.push(client);
    }
    process.signal("TERM");
    let mut talking = JoinSet::new();
    for mut client in clients {
        talking.spawn(async move {
            let publish = json!({ "type": "publish", "room": ROOM, "kind": "x-n", "body": {} });
            // One a second, until the goodbye comes between two of them.
            while client.memory.first("goodbye").is_none() {
                client.command(publish.clone()).await;
                let second = tokio::time::Instant::now() + Duration::from_secs(1);
                while !client.memory.ended
                    && tokio::time::timeout_at(second, client.read()).await.is_ok()
                {
                }
            }
            assert_eq!(client.ends().await, Some(4000));
            client.memory.account(ROOM).assert_closes();
            client.memory.messages.iter().filter(|message| message["type"] == "ack").count()
        });
    }
    let acked: usize = soon("the end of all", talking.join_all()).await.into_iter().sum();
    assert!(acked >= 4, "{acked} were acked");
    assert_eq!(process.ends().await, Some(0));
}

#[tokio::test]
async fn before_it_leaves_it_is_not_ready_and_still_takes_clients_for_a_while() {
    const DELAY: Duration = Duration::from_secs(10);
    let gateway = TestGateway::with(|config| {
        config.drain.delay = DELAY;
        config.drain.window_s = 1;
    })
    .await;
    let (public, admin, api) = (gateway.public, gateway.admin, gateway.api.clone());
    let mut early = gateway.viewer(ROOM).await;
    let begun = Instant::now();
    let draining = tokio::spawn(gateway.drain());
    until("not ready", || async {
        let answer = http::request(admin, "GET", "/readyz", &[], b"").await;
        (answer.status == 503).then_some(())
    })
    .await;
    // Load balancers need time to notice; whom they still send is served.
    let mut late = TestClient::connect(public).await;
    late.join(ROOM).await;
    api.publish(ROOM, events::chat(ROOM, "还在")).await;
    for client in [&mut early, &mut late] {
        client.hears(ROOM, "还在").await;
    }
    assert!(begun.elapsed() < DELAY, "too busy a machine for this test");
    let codes = tokio::join!(early.ends(), late.ends());
    assert_eq!(codes, (Some(4000), Some(4000)));
    assert!(begun.elapsed() >= DELAY, "not before the delay has passed");
    soon("the end", draining).await.unwrap();
    assert!(tokio::net::TcpStream::connect(public).await.is_err(), "the port is free again");
}
