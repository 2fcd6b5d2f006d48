//! Clients and rooms that come and go leave nothing behind.

#![allow(clippy::print_stdout, reason = "memory over time, for whoever looks for what grows")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::frames::Frame;
use crate::support::gateway::metric;
use crate::support::http;
use crate::support::process::GatewayProcess;
use crate::support::raw::RawClient;
use crate::support::until;

/// Clients at a time.
const AT_ONCE: usize = 16;
/// Between two lines about the memory, for whoever wants to see it over time.
const SAMPLED_EVERY: Duration = Duration::from_secs(5);
/// Memory that has not changed for so long (by more than a hundredth) has settled: the allocator
/// keeps what is freed for a second in case that it is wanted again.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// What a client does in its room before it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// It only watches.
    Silent,
    /// It says something, and waits until that is acked.
    Speaking,
}

/// A gateway and those who come and go.
struct Churn {
    process: GatewayProcess,
    rooms: usize,
    stay: Stay,
    began: Instant,
}

impl Churn {
    async fn start(rooms: usize, stay: Stay) -> Self {
        // What was said is kept for a while; shorter than empty rooms are, it goes with them.
        let arguments = ["--tick", "100", "--shards", "2", "--history", "5s"];
        let process = match std::env::var_os("BARRAGE_CHURN_GATEWAY") {
            Some(program) => GatewayProcess::start_program(&program, &arguments).await,
            None => GatewayProcess::start(&arguments).await,
        };
        Self { process, rooms, stay, began: Instant::now() }
    }

    /// So many clients connect, join one of the rooms, and leave in one of the ways to leave.
    async fn cycles(&self, count: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (next, to) = (Arc::clone(&next), self.process.public);
            let (rooms, stay) = (self.rooms, self.stay);
            clients.spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    cycle(RawClient::connect(to).await, n, &format!("房间-{}", n % rooms), stay)
                        .await;
                }
            });
        }
        let mut sample = tokio::time::interval(SAMPLED_EVERY);
        loop {
            tokio::select! {
                ended = clients.join_next() => match ended {
                    Some(ended) => ended.unwrap(),
                    None => return,
                },
                _ = sample.tick() => self.tell(next.load(Ordering::Relaxed)).await,
            }
        }
    }

    /// Waits until everybody has gone, and every room, and the allocator has given back what it
    /// gives back; returns the bytes and the series then.
    async fn at_rest(&self) -> (u64, usize) {
        let admin = self.process.admin;
        // Empty rooms linger for 20 s, so how many are open depends on the speed of the machine.
        until("everybody has gone, and every room", || async {
            let connections = metric(admin, "barrage_connections", "").await;
            let rooms = metric(admin, "barrage_rooms", "").await;
            (connections == 0.0 && rooms == 0.0).then_some(())
        })
        .await;
        let settling = Cell::new((u64::MAX, Instant::now()));
        let series = until("memory to settle", || async {
            let text = http::request(admin, "GET", "/metrics", &[], b"").await.text().to_owned();
            let (known, since) = settling.get();
            let bytes = self.process.resident_bytes();
            if bytes.abs_diff(known) > bytes / 100 {
                settling.set((bytes, Instant::now()));
                return None;
            }
            let series = text.lines().filter(|line| !line.starts_with('#')).count();
            (since.elapsed() > SETTLED_AFTER).then_some(series)
        })
        .await;
        self.tell(0).await;
        (self.process.resident_bytes(), series)
    }

    async fn tell(&self, cycles: usize) {
        let rooms = metric(self.process.admin, "barrage_rooms", "").await;
        let (all, own) = (self.process.resident_bytes(), self.process.anonymous_bytes());
        let (all, own) = (all / 1024, own / 1024);
        let at = self.began.elapsed().as_secs_f64();
        println!(
            "{at:7.1} s  {cycles:7} cycles  {rooms:6} rooms  {all:7} KiB, {own:7} KiB of them data"
        );
    }
}

/// One client's stay; the `n`th leaves in its own way.
async fn cycle(mut client: RawClient, n: usize, room: &str, stay: Stay) {
    client.join(room).await;
    if stay == Stay::Speaking {
        let body = json!({ "text": format!("第{n}条弹幕") });
        let publish =
            json!({ "type": "publish", "room": room, "body": body, "key": format!("{n}") });
        let reply = client.ask(publish).await;
        assert_eq!(reply["type"], "ack", "{reply}");
    }
    if n.is_multiple_of(3) {
        client.ask(json!({ "type": "leave", "room": room })).await;
    }
    if n.is_multiple_of(2) {
        client.send(&Frame::close(1000)).await;
        client.ends().await;
    }
}

/// A number from the environment, for longer runs: `scripts/churn.sh`.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Memory and series after each room was visited once, and after all cycles, differ by no more
/// than a tenth.
async fn leave_nothing_behind(stay: Stay) {
    let count = number("BARRAGE_CHURN_CYCLES", 20_000);
    let rooms = number("BARRAGE_CHURN_ROOMS", 2_000);
    let churn = Churn::start(rooms, stay).await;
    churn.cycles(rooms).await;
    let (warm, warm_series) = churn.at_rest().await;
    churn.cycles(count).await;
    let (end, end_series) = churn.at_rest().await;
    let (warm, end) = (warm / 1024, end / 1024);
    println!("{count} cycles over {rooms} rooms: {warm} KiB warm, {end} KiB at the end");
    assert_eq!(end_series, warm_series, "series stay behind");
    assert!(end <= warm + warm / 10, "{warm} KiB have become {end} KiB");
}

#[tokio::test]
async fn clients_and_rooms_that_come_and_go_leave_no_memory_and_no_series_behind() {
    leave_nothing_behind(Stay::Silent).await;
}

#[tokio::test]
async fn clients_that_speak_before_they_go_leave_no_memory_and_no_series_behind() {
    leave_nothing_behind(Stay::Speaking).await;
}
