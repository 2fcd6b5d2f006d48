//! What the admin port shows to those who watch: metrics, health, readiness.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use protocol::select::Budget;

use crate::support::events;
use crate::support::frames::{FIN, Frame, PING};
use crate::support::gateway::TestGateway;
use crate::support::http::request;
use crate::support::openapi::{DOCUMENT, assert_described};
use crate::support::raw::RawClient;

const ROOM: &str = "demo";

#[tokio::test]
async fn metrics_can_be_parsed_and_move() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer(ROOM).await;
    ann.publish(ROOM, "数").await;
    ann.hears(ROOM, "数").await;
    ann.ask_in_vain(json!({ "type": "dance" }), "unknown_type").await;
    assert!(gateway.metric("barrage_broker_published_total", "").await >= 2.0, "and the canary");
    let answer = request(gateway.admin, "GET", "/metrics", &[], b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut helped = HashSet::new();
    let mut samples: BTreeMap<&str, f64> = BTreeMap::new();
    for line in answer.text().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(!text.is_empty() && helped.insert(name), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(name.starts_with("barrage_") && helped.contains(name), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(kinds.insert(name, kind).is_none(), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let name = sample.split('{').next().unwrap();
            let suffixes = ["", "_bucket", "_sum", "_count"];
            let declared =
                suffixes.iter().filter_map(|suffix| kinds.get(name.strip_suffix(suffix)?));
            assert!(declared.count() > 0, "{line}");
            assert!(samples.insert(sample, value).is_none(), "{line}");
            assert!(!line.contains(ROOM) && !line.contains("anon-"), "no rooms, no users: {line}");
        }
    }
    let expected = [
        ("barrage_connections", 1.0),
        ("barrage_connections_total", 1.0),
        ("barrage_events_accepted_total{class=\"chat\"}", 1.0),
        ("barrage_refusals_total{code=\"unknown_type\"}", 1.0),
        ("barrage_joins_total{outcome=\"fresh\"}", 1.0),
        ("barrage_rooms", 1.0),
        ("barrage_received_messages_total", 3.0),
        ("barrage_ready", 1.0),
        ("barrage_unmatched_total", 0.0),
    ];
    for (sample, value) in expected {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn what_is_written_and_read_is_counted_to_the_byte_also_what_had_to_wait() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let mut client = RawClient::dial(gateway.public, "", Some(4 * 1024)).await;
    let commands = [
        Frame::text(&json!({ "type": "join", "room": ROOM, "id": 1 }).to_string()),
        Frame::new(FIN | PING, "are you there"),
    ];
    let commands = commands.map(|command| command.bytes());
    for command in &commands {
        client.write(command).await;
    }
    client.until("the room", |memory| memory.reply(1).cloned()).await;
    client.until("the pong", |memory| memory.pongs.first().cloned()).await;
    // It reads nothing until its socket is full, so that some frames have to wait.
    let event = events::other(ROOM, "x-blob", &"大".repeat(2_000));
    let mut published = 0;
    while gateway.metric("barrage_stuck_total", "").await == 0.0 {
        gateway.api.publish_all(&vec![event.clone(); 50]).await;
        published += 50;
    }
    client.reaches(ROOM, published).await;
    let counted = gateway.metric("barrage_received_bytes_total", "").await;
    assert_eq!(counted, commands.concat().len() as f64);
    client.send(&Frame::close(1000)).await;
    assert_eq!(client.ends().await, Some(1000));
    // `welcome`, `joined`, the pong and the close; all else are batches and gaps. A frame is
    // counted when it was written, so whoever has read it may be faster.
    let frames = "barrage_frames_sent_total";
    gateway.until_metric(frames, "control", |count| count == 4.0).await;
    assert_eq!(gateway.metric(frames, "").await, client.frames as f64);
    let counted = gateway.metric("barrage_sent_bytes_total", "").await;
    assert_eq!(counted, client.bytes as f64, "with the answer to the handshake");
    gateway.end().await;
}

#[tokio::test]
async fn every_ack_every_like_and_every_answer_is_counted() {
    let gateway = TestGateway::start().await;
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    assert_eq!(gateway.metric("barrage_build_info", version).await, 1.0);
    let mut ann = gateway.viewer(ROOM).await;
    for text in ["一", "二", "三"] {
        ann.publish(ROOM, text).await;
    }
    assert_eq!(gateway.metric("barrage_ack_seconds_count", "").await, 3.0);
    let seconds = gateway.metric("barrage_ack_seconds_sum", "").await;
    assert!(seconds < 60.0, "{seconds} s");
    let like = json!({ "type": "publish", "room": ROOM, "kind": "like", "body": { "count": 7 } });
    assert_eq!(ann.ask(like).await["type"], "ack");
    gateway.until_metric("barrage_likes_total", "", |likes| likes == 7.0).await;

    let answered = || gateway.metric("barrage_http_requests_total", "");
    let (ok, not_found) = ("status=\"2xx\"", "status=\"4xx\"");
    let before = answered().await;
    assert_eq!(request(gateway.public, "GET", "/", &[], b"").await.status, 200);
    assert_eq!(request(gateway.public, "GET", "/nothing", &[], b"").await.status, 404);
    assert_eq!(answered().await, before + 2.0);
    assert!(gateway.metric("barrage_http_requests_total", ok).await >= 1.0);
    assert!(gateway.metric("barrage_http_requests_total", not_found).await >= 1.0);
    gateway.end().await;
}

#[tokio::test]
async fn health_and_readiness_are_told_to_anybody() {
    let gateway = TestGateway::start().await;
    let health = request(gateway.admin, "GET", "/healthz", &[], b"").await;
    assert_eq!((health.status, health.json()), (200, json!({ "stuck_loops": 0 })));
    let (status, ready) = gateway.readiness().await;
    assert_eq!((status, ready), (200, json!({ "state": "ready", "degraded": false })));
    gateway.end().await;
}

#[tokio::test]
async fn the_description_of_the_admin_port_is_served_there() {
    let gateway = TestGateway::start().await;
    let answer = request(gateway.admin, "GET", "/openapi.json", &[], b"").await;
    assert_eq!((answer.status, &answer.json()), (200, &*DOCUMENT));
    for path in ["/openapi.json", "/readyz", "/healthz", "/metrics"] {
        let answer = request(gateway.admin, "GET", path, &[], b"").await;
        assert_described("GET", path, &answer);
    }
    gateway.end().await;
}
