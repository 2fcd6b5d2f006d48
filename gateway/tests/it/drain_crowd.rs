//! Leaving while much is under way: acks, handshakes, and thousands in the queue of the kernel.

use std::net::SocketAddr;
use std::time::Duration;

use broker_bridge::faulty::{Faults, Faulty};
use gateway::app::Fabric;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::client::TestClient;
use crate::support::fabric::{Node, TestBus};
use crate::support::frames::Frame;
use crate::support::gateway::TestGateway;
use crate::support::http::{self, parse};
use crate::support::process::GatewayProcess;
use crate::support::{soon, tls, until};

const ROOM: &str = "demo";

#[tokio::test]
async fn acks_under_way_are_told_before_the_goodbye() {
    const CLIENTS: usize = 12;
    // Longer than most would stay.
    const ACK_DELAY_MS: u64 = 3_000;
    let bus = TestBus::start();
    let Node { broker, deliveries, .. } = bus.node().await;
    let faults = Faults { ack_delay_ms: ACK_DELAY_MS, ..Faults::default() };
    let (broker, deliveries, _control) = Faulty::wrap(broker, deliveries, 1, faults);
    let gateway = TestGateway::on(Fabric::Node(broker, deliveries), |config| {
        config.drain.delay = Duration::ZERO;
        config.drain.window_s = 3;
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(gateway.viewer(ROOM).await);
    }
    let mut ends = JoinSet::new();
    for mut client in clients {
        let body = json!({ "text": "最后一句" });
        let id = client.command(json!({ "type": "publish", "room": ROOM, "body": body })).await;
        ends.spawn(async move {
            let code = client.ends().await;
            (client, id, code)
        });
    }
    gateway
        .until_metric("barrage_events_accepted_total", "", |count| count >= CLIENTS as f64)
        .await;
    let draining = tokio::spawn(gateway.drain());
    for (client, id, code) in soon("all clients", ends.join_all()).await {
        assert_eq!(code, Some(4000));
        let kinds: Vec<_> = client.memory.messages.iter().map(|m| m["type"].as_str()).collect();
        let ack = client.memory.reply(id).unwrap_or_else(|| panic!("no ack: {kinds:?}"));
        assert_eq!((&ack["type"], &ack["stored"]), (&json!("ack"), &json!(true)));
        assert_eq!(kinds.last(), Some(&Some("goodbye")), "{kinds:?}");
    }
    soon("the end", draining).await.unwrap();
}

/// The head of a request for a WebSocket, and a join in the same breath.
fn upgrade_and_join() -> Vec<u8> {
    let head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let join = Frame::text(&json!({ "type": "join", "room": ROOM, "id": 1 }).to_string());
    [head.as_bytes(), &join.bytes()].concat()
}

/// Fails unless this is all that a client must be told from its handshake to its end.
fn assert_served_to_the_end(told: &[u8]) {
    const CLOSE_4000: [u8; 2] = [0x0f, 0xa0];
    let text = String::from_utf8_lossy(told);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    for message in ["welcome", "goodbye"] {
        assert!(text.contains(&format!(r#"{{"type":"{message}""#)), "no {message}: {text}");
    }
    let reason = b"draining";
    let close = told.len() - reason.len() - CLOSE_4000.len();
    assert_eq!(told[close..], [&CLOSE_4000[..], reason].concat(), "{text}");
}

fn is_joined(told: &[u8]) -> bool {
    String::from_utf8_lossy(told).contains(r#"{"type":"joined""#)
}

/// Says something and reads to the end, which must be an end and not a reset.
async fn converse(mut stream: TcpStream, says: &[u8]) -> Vec<u8> {
    let mut told = Vec::new();
    soon("the end", async {
        stream.write_all(says).await.expect("not reset");
        stream.read_to_end(&mut told).await.expect("not reset");
    })
    .await;
    told
}

async fn connect(to: SocketAddr) -> TcpStream {
    soon("a connection", TcpStream::connect(to)).await.unwrap()
}

#[tokio::test]
async fn thousands_that_wait_to_be_accepted_are_all_served_and_sent_elsewhere() {
    const QUEUED: usize = 3_000;
    const HALF: usize = 100;
    let mut process = GatewayProcess::start(&["--shards", "2"]).await;
    let mut here = TestClient::connect(process.public).await;
    here.join(ROOM).await;
    // Stopped, it accepts nobody; the kernel connects them all the same.
    process.signal("STOP");
    let request = upgrade_and_join();
    let mut ends = JoinSet::new();
    for _ in 0..QUEUED {
        let mut stream = connect(process.public).await;
        stream.write_all(&request).await.unwrap();
        ends.spawn(converse(stream, b""));
    }
    let (begins, goes_on) = request.split_at(60);
    let mut halves = Vec::new();
    for _ in 0..HALF {
        let mut stream = connect(process.public).await;
        stream.write_all(begins).await.unwrap();
        halves.push(stream);
    }
    process.signal("TERM");
    process.signal("CONT");
    for stream in halves {
        let goes_on = goes_on.to_vec();
        ends.spawn(async move { converse(stream, &goes_on).await });
    }
    let mut joined = 0;
    while let Some(told) = soon("another end", ends.join_next()).await {
        let told = told.unwrap();
        assert_served_to_the_end(&told);
        joined += usize::from(is_joined(&told));
    }
    // The goodbye may come between the welcome and the join.
    assert!(joined > QUEUED, "{joined} were in the room");
    assert_eq!(here.ends().await, Some(4000));
    assert_eq!(process.ends().await, Some(0));
}

#[tokio::test]
async fn whoever_is_about_to_speak_is_served_and_whoever_is_silent_is_let_go() {
    let mut process = GatewayProcess::start(&[]).await;
    let mut client = TestClient::connect(process.public).await;
    client.join(ROOM).await;
    let (speaks, silent) = (connect(process.public).await, connect(process.public).await);
    let mut idle = connect(process.public).await;
    idle.write_all(b"GET /client.json HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 1024];
    let count = soon("an answer", idle.read(&mut answer)).await.unwrap();
    assert_eq!(parse(&answer[..count]).unwrap().status, 200);
    process.signal("TERM");
    until("not ready", || async {
        let answer = http::request(process.admin, "GET", "/readyz", &[], b"").await;
        (answer.status == 503).then_some(())
    })
    .await;
    let request = upgrade_and_join();
    let served = converse(speaks, &request);
    let (served, silent, idle) = tokio::join!(served, converse(silent, b""), converse(idle, b""));
    assert_served_to_the_end(&served);
    assert!(silent.is_empty() && idle.is_empty());
    assert_eq!(client.ends().await, Some(4000));
    assert_eq!(process.ends().await, Some(0));
}

#[tokio::test]
async fn handshakes_of_tls_are_finished_too() {
    let mut process = GatewayProcess::start(&["--tls", "self-signed"]).await;
    process.signal("STOP");
    let mut ends = JoinSet::new();
    for _ in 0..50 {
        let stream = connect(process.public).await;
        ends.spawn(async move {
            let mut stream = tls::shake(stream).await;
            stream.write_all(&upgrade_and_join()).await.unwrap();
            let mut told = Vec::new();
            soon("the end", stream.read_to_end(&mut told)).await.expect("not reset");
            told
        });
    }
    process.signal("TERM");
    process.signal("CONT");
    for told in soon("all ends", ends.join_all()).await {
        assert_served_to_the_end(&told);
    }
    assert_eq!(process.ends().await, Some(0));
}
