//! TLS on the public port: the same rooms, encrypted.

use std::time::{Duration, Instant};

use gateway::config::{AddressLimits, Config, Preface, Rate};
use protocol::select::Budget;
use rig::lag::Lag;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::limits::proxy_v2;
use crate::support::client::TestClient;
use crate::support::gateway::{TICK_MS, TestGateway};
use crate::support::process::GatewayProcess;
use crate::support::tls::{Certificate, connect, shown, try_shake};
use crate::support::{events, http, soon, until};

const ROOM: &str = "demo";
/// What a client that reads slowly lets its kernel keep, in bytes.
const RECEIVE_BUFFER: u32 = 4 * 1024;

async fn gateway(certificate: &Certificate, change: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(|config| {
        config.shards = 1;
        config.tls.certificate_file = Some(certificate.certificate_file());
        config.tls.key_file = Some(certificate.key_file());
        change(config);
    })
    .await
}

async fn viewer(gateway: &TestGateway) -> TestClient {
    let mut client = TestClient::over(connect(gateway.public, None).await, gateway.public).await;
    client.join(ROOM).await;
    client
}

/// Publishes 80 KiB of events for some ticks; returns how many.
async fn flood(gateway: &TestGateway, ticks: usize) -> usize {
    const EVENTS_PER_TICK: usize = 20;
    let event = events::other(ROOM, "x-blob", &"大".repeat(4 * 1024 / 3));
    for _ in 0..ticks {
        gateway.api.publish_all(&vec![event.clone(); EVENTS_PER_TICK]).await;
        tokio::time::sleep(Duration::from_millis(u64::from(TICK_MS))).await;
    }
    ticks * EVENTS_PER_TICK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_clients_join_publish_and_hear_each_other() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |_| {}).await;
    let (mut one, mut other) = (viewer(&gateway).await, viewer(&gateway).await);
    for n in 0..20 {
        let text = format!("第{n}条");
        one.publish(ROOM, &text).await;
        other.hears(ROOM, &text).await;
        one.hears(ROOM, &text).await;
    }
    for client in [&one, &other] {
        client.memory.account(ROOM).assert_closes();
    }
    // A past of a quarter of a megabyte comes in one piece.
    let published = flood(&gateway, 3).await;
    let joined = one.join_with("other", json!({ "history": 10 })).await;
    assert_eq!(joined["type"], "joined");
    one.reaches(ROOM, published as u64 + 20).await;
    one.leave(ROOM).await;
    let joined = one.join_with(ROOM, json!({ "history": 50 })).await;
    assert!(joined["events"].as_array().unwrap().len() > 20, "a quarter of a megabyte");
    one.close().await;
    gateway.until_metric("barrage_connections", "", |count| count == 1.0).await;
    other.vanish();
    gateway.until_metric("barrage_connections", "", |count| count == 0.0).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_over_many_records_are_all_answered() {
    const COMMANDS: u64 = 40;
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |_| {}).await;
    let mut client = viewer(&gateway).await;
    // More than the gateway decrypts at once, and in pieces that end anywhere.
    let padding = "x".repeat(12 * 1024);
    let mut last = 0;
    for _ in 0..COMMANDS {
        last = client.command(json!({ "type": "leave", "room": padding })).await;
    }
    client.until("the last answer", |memory| memory.reply(last).cloned()).await;
    client.assert_lives().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_client_that_does_not_read_is_told_its_gap() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |config| {
        config.hub.room.budget = Budget::UNLIMITED;
        // A flood may take long on a busy machine.
        config.timing.stuck_s = 600;
    })
    .await;
    let lag = Lag::measure();
    let stream = connect(gateway.public, Some(RECEIVE_BUFFER)).await;
    let mut slow = TestClient::over(stream, gateway.public).await;
    slow.join(ROOM).await;
    let mut reader = viewer(&gateway).await;
    let reading = tokio::spawn(async move {
        reader.hears(ROOM, "完").await;
        reader
    });
    let published = flood(&gateway, 25).await;
    gateway.until_metric("barrage_gap_events_total", "", |count| count > 0.0).await;
    gateway.api.publish(ROOM, events::chat(ROOM, "完")).await;
    let mut reader = soon("the reader", reading).await.unwrap();
    reader.memory.account(ROOM).assert_closes();
    gateway.assert_none_missed(reader.memory.account(ROOM), &lag).await;

    slow.reaches(ROOM, published as u64 + 1).await;
    let account = slow.memory.account(ROOM);
    account.assert_closes();
    assert_eq!(account.gaps.len(), 1, "one gap for all: {:?}", account.gaps);
    assert!(account.gaps[0] as usize > published / 2, "{:?}", account.gaps);
    slow.assert_lives().await;
    reader.assert_lives().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_client_that_never_reads_is_closed_as_too_slow() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |config| {
        config.hub.room.budget = Budget::UNLIMITED;
        config.timing.stuck_s = 2;
        config.timing.ping_interval_s = 2;
        config.timing.ping_timeout_s = 4;
    })
    .await;
    let stream = connect(gateway.public, Some(RECEIVE_BUFFER)).await;
    let mut slow = TestClient::over(stream, gateway.public).await;
    slow.join(ROOM).await;
    soon("it is closed", async {
        while gateway.metric("barrage_closes_total", "too_slow").await < 1.0 {
            flood(&gateway, 1).await;
        }
    })
    .await;
    assert_eq!(slow.ends().await, Some(4001));
    gateway.until_metric("barrage_connections", "", |count| count == 0.0).await;
    viewer(&gateway).await.assert_lives().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_to_new_clients_and_disturbs_no_old_one() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |_| {}).await;
    let mut old = viewer(&gateway).await;
    let renewed = certificate.renew();
    let show = || async { (shown(&connect(gateway.public, None).await) == renewed).then_some(()) };
    until("the new certificate", show).await;
    // Files may be written one after the other, so a pair that does not match may be seen before.
    gateway.until_metric("barrage_certificate_reloads_total", "taken", |count| count >= 1.0).await;
    let refused = gateway.metric("barrage_certificate_reloads_total", "refused").await;

    // A broken one is not taken over.
    std::fs::write(certificate.certificate_file(), "broken").unwrap();
    gateway
        .until_metric("barrage_certificate_reloads_total", "refused", |count| count > refused)
        .await;
    assert_eq!(shown(&connect(gateway.public, None).await), renewed);
    let mut new = viewer(&gateway).await;
    old.publish(ROOM, "还在").await;
    new.hears(ROOM, "还在").await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_served_and_plain_or_silent_clients_are_not() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |_| {}).await;
    let mut witness = viewer(&gateway).await;
    let mut stream = connect(gateway.public, None).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = "GET /client.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the page", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let mut plain = TcpStream::connect(gateway.public).await.unwrap();
    plain.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // An alert, or a reset behind it.
    let _ = soon("the end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    gateway.until_metric("barrage_turned_away_total", "tls_handshake", |n| n == 1.0).await;

    let begun = Instant::now();
    let mut silent = TcpStream::connect(gateway.public).await.unwrap();
    let _ = soon("the end", silent.read_to_end(&mut Vec::new())).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    gateway.until_metric("barrage_turned_away_total", "tls_handshake", |n| n == 2.0).await;
    witness.assert_lives().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_its_own_making_is_enough_to_try_it() {
    let process = GatewayProcess::start(&["--tls", "self-signed", "--tick", "100"]).await;
    let stream = connect(process.public, None).await;
    let mut client = TestClient::over(stream, process.public).await;
    client.join(ROOM).await;
    client.publish(ROOM, "你好").await;
    client.hears(ROOM, "你好").await;
    let ready = http::request(process.admin, "GET", "/readyz", &[], b"").await;
    assert_eq!(ready.status, 200, "the admin port stays plain");
}

#[test]
fn broken_files_are_told_before_anything_starts() {
    let certificate = Certificate::make();
    std::fs::write(certificate.key_file(), "broken").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_barrage-gateway"))
        .args(["--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .arg("--tls-cert")
        .arg(certificate.certificate_file())
        .arg("--tls-key")
        .arg(certificate.key_file())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("key.pem"), "{told}");
}

/// Whether a handshake with the gateway comes to an end.
async fn is_shaken(gateway: &TestGateway) -> bool {
    let stream = TcpStream::connect(gateway.public).await.unwrap();
    soon("an end", try_shake(stream)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_over_its_connections_gets_no_handshake() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |config| {
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_connections_max = 3;
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(viewer(&gateway).await);
    }
    for turned_away in 1..=20 {
        assert!(!is_shaken(&gateway).await);
        let counted = gateway.metric("barrage_turned_away_total", "address_connections").await;
        assert_eq!(counted, f64::from(turned_away));
    }
    assert_eq!(gateway.metric("barrage_turned_away_total", "tls_handshake").await, 0.0);
    for client in &mut held {
        client.assert_lives().await;
    }
    held.pop().unwrap().close().await;
    until("a place", || async { is_shaken(&gateway).await.then_some(()) }).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_shakes_hands_too_often_is_closed_before_it_costs_anything() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |config| {
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_handshakes = Rate { burst: 6, period: Duration::from_secs(600) };
    })
    .await;
    // A WebSocket counts once, not for both of its handshakes.
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(viewer(&gateway).await);
    }
    // Whoever asks for nothing has cost as much.
    for _ in 0..3 {
        assert!(is_shaken(&gateway).await);
    }
    for _ in 0..20 {
        assert!(!is_shaken(&gateway).await);
    }
    let counted = gateway.metric("barrage_turned_away_total", "address_handshakes").await;
    assert_eq!(counted, 20.0);
    clients[0].assert_lives().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_the_address_of_its_header_counts_before_tls() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |config| {
        config.public.proxies.networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.public.proxies.preface = Preface::ProxyV2;
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_connections_max = 1;
    })
    .await;
    let through = async |last: u8| {
        let mut stream = TcpStream::connect(gateway.public).await.unwrap();
        stream.write_all(&proxy_v2([198, 51, 100, last])).await.unwrap();
        soon("an end", try_shake(stream)).await
    };
    let held = TestClient::over(through(7).await.unwrap(), gateway.public).await;
    let turned_away = ("barrage_turned_away_total", "address_connections");
    assert!(gateway.counts(turned_away, 1.0, through(7)).await.is_err());
    TestClient::over(through(8).await.unwrap(), gateway.public).await.assert_lives().await;
    held.close().await;
    until("a place", || async { through(7).await.ok().map(drop) }).await;
    // Whoever comes without the header is nobody's.
    let without = ("barrage_turned_away_total", "proxy_header");
    assert!(!gateway.counts(without, 1.0, is_shaken(&gateway)).await);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_gateway_says_so_through_tls() {
    let certificate = Certificate::make();
    let gateway = gateway(&certificate, |config| config.guests.connections_max = 1).await;
    let mut client = viewer(&gateway).await;
    let mut stream = connect(gateway.public, None).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
    assert_eq!(gateway.metric("barrage_turned_away_total", "full").await, 1.0);
    client.assert_lives().await;
    gateway.end().await;
}
