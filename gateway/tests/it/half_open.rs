//! Clients that vanish without a word: no end, no reset, no acknowledgement.
//!
//! The kernel acknowledges for every process, stopped or not, so such a client needs a network
//! that loses its packets. The test runs itself again in a network namespace of its own, where
//! the way back to the client can be taken away. Where namespaces are not allowed it is skipped,
//! and says so.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use gateway::config::Config;
use tokio::net::TcpSocket;

use crate::support::client::TestClient;
use crate::support::events;
use crate::support::gateway::TestGateway;
use crate::support::until;

const ROOM: &str = "demo";
/// Set in the namespace.
const INSIDE: &str = "BARRAGE_TEST_INSIDE";
/// The address of whoever vanishes.
const VANISHING: &str = "127.0.0.2";

/// Runs a command of `ip`; whether it went well.
fn ip(arguments: &str) -> bool {
    let run = Command::new("ip").args(arguments.split(' ')).status();
    run.is_ok_and(|status| status.success())
}

/// Runs a test of this file in a network namespace of its own.
#[allow(clippy::print_stdout, reason = "whoever reads the output is to know of it")]
fn in_a_namespace(test: &str) {
    let possible = Command::new("unshare").args(["-Urn", "ip", "link", "set", "lo", "up"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("half_open::{test}: skipped, there are no network namespaces here");
        return;
    }
    let status = Command::new("unshare")
        .arg("-Urn")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("half_open::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} in its namespace");
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A client that connects from the address whose packets will be lost.
async fn vanishing(to: SocketAddr) -> TestClient {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{VANISHING}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    let mut client = TestClient::over(stream, to).await;
    client.join(ROOM).await;
    client
}

/// From now on nothing comes to the client any more, and so nothing comes back.
fn vanish() {
    assert!(ip(&format!("route add blackhole {VANISHING}/32 table local")), "the way is gone");
}

async fn gateway(change: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(|config| {
        config.shards = 1;
        change(config);
    })
    .await
}

/// Waits until only one client is left, on the gateway and in the room.
async fn until_alone(gateway: &TestGateway) {
    gateway.until_metric("barrage_connections", "", |count| count == 1.0).await;
    until("one viewer", || async {
        let info = gateway.api.get(&format!("/v1/rooms/{ROOM}")).await.json();
        (info["online"] == 1).then_some(())
    })
    .await;
}

#[test]
fn a_silent_client_that_vanished_is_closed_when_its_pong_is_overdue() {
    if !is_inside() {
        return in_a_namespace("a_silent_client_that_vanished_is_closed_when_its_pong_is_overdue");
    }
    assert!(ip("link set lo up"));
    run(async {
        let gateway = gateway(|config| {
            config.timing.ping_interval_s = 1;
            config.timing.ping_timeout_s = 3;
        })
        .await;
        let mut stays = gateway.viewer(ROOM).await;
        let reading = tokio::spawn(async move {
            stays
                .until("the end of the test", |memory| memory.account(ROOM).find("完").map(drop))
                .await;
            stays
        });
        let _gone = vanishing(gateway.public).await;
        vanish();
        gateway.until_metric("barrage_closes_total", "no_pong", |count| count == 1.0).await;
        until_alone(&gateway).await;
        gateway.api.publish(ROOM, events::chat(ROOM, "完")).await;
        let mut stays = reading.await.unwrap();
        stays.assert_lives().await;
        gateway.end().await;
    });
}

#[test]
fn a_client_that_vanished_while_it_was_sent_something_is_given_up_by_the_kernel() {
    if !is_inside() {
        return in_a_namespace(
            "a_client_that_vanished_while_it_was_sent_something_is_given_up_by_the_kernel",
        );
    }
    assert!(ip("link set lo up"));
    run(async {
        // No ping is waited for as long as this.
        let gateway = gateway(|config| {
            config.timing.ping_interval_s = 600;
            config.timing.ping_timeout_s = 1_200;
        })
        .await;
        let mut stays = gateway.viewer(ROOM).await;
        let _gone = vanishing(gateway.public).await;
        vanish();
        let begun = Instant::now();
        gateway.api.publish(ROOM, events::chat(ROOM, "在")).await;
        stays.hears(ROOM, "在").await;
        gateway.until_metric("barrage_closes_total", "lost", |count| count == 1.0).await;
        // What was sent must be acknowledged within 30 s; the kernel looks at growing intervals.
        assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
        until_alone(&gateway).await;
        stays.publish(ROOM, "还在").await;
        stays.hears(ROOM, "还在").await;
        gateway.end().await;
    });
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}
