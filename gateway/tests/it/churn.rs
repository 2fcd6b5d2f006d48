//! Clients and rooms that come and go leave nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::gateway::metric;
use crate::support::http;
use crate::support::process::GatewayProcess;
use crate::support::raw::RawClient;
use crate::support::until;

/// Cycles after which memory grows no more: measured, it rises by an eighth until there, since maps
/// and the allocator find their sizes, and by nothing in 40,000 more.
const WARM_UP: usize = 80_000;
/// Clients at a time.
const AT_ONCE: usize = 16;

/// A number from the environment, for longer runs: `scripts/churn.sh`.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Connects, joins one of the rooms, and leaves in one of the ways to leave; so many times.
async fn cycles(process: &GatewayProcess, count: usize, rooms: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, to) = (Arc::clone(&next), process.public);
        clients.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                let mut client = RawClient::connect(to).await;
                let room = format!("房间-{}", n % rooms);
                client.join(&room).await;
                if n % 3 == 0 {
                    client.ask(json!({ "type": "leave", "room": room })).await;
                }
                if n % 2 == 0 {
                    client.send(&crate::support::frames::Frame::close(1000)).await;
                    client.ends().await;
                }
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    // Empty rooms linger for 20 s, so how many are open depends on the speed of the machine.
    until("everybody has gone, and every room", || async {
        let connections = metric(process.admin, "barrage_connections", "").await;
        let rooms = metric(process.admin, "barrage_rooms", "").await;
        (connections == 0.0 && rooms == 0.0).then_some(())
    })
    .await;
}

/// How many series there are.
async fn series(process: &GatewayProcess) -> usize {
    let text = http::request(process.admin, "GET", "/metrics", &[], b"").await.text().to_owned();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test]
async fn clients_and_rooms_that_come_and_go_leave_no_memory_and_no_series_behind() {
    let (count, rooms) =
        (number("BARRAGE_CHURN_CYCLES", 20_000), number("BARRAGE_CHURN_ROOMS", 2_000));
    let process = GatewayProcess::start(&["--tick", "100", "--shards", "2"]).await;
    // Every room has been there, and every buffer has found its size.
    cycles(&process, count.min(WARM_UP), rooms).await;
    let (warm, warm_series) = (process.resident_bytes(), series(&process).await);
    cycles(&process, count, rooms).await;
    let (end, end_series) = (process.resident_bytes(), series(&process).await);
    let kib = |bytes: u64| bytes / 1024;
    println!(
        "{count} cycles over {rooms} rooms: {} KiB warm, {} KiB at the end",
        kib(warm),
        kib(end)
    );
    assert_eq!(end_series, warm_series, "series stay behind");
    assert!(end <= warm + warm / 10, "{} KiB have become {} KiB", kib(warm), kib(end));
}
