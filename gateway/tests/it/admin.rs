//! What the admin port shows to those who watch: metrics, health, readiness.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use crate::support::gateway::TestGateway;
use crate::support::http::request;

const ROOM: &str = "demo";

#[tokio::test]
async fn metrics_can_be_parsed_and_move() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer(ROOM).await;
    ann.publish(ROOM, "数").await;
    ann.hears(ROOM, "数").await;
    ann.ask_in_vain(json!({ "type": "dance" }), "unknown_type").await;
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
async fn health_and_readiness_are_told_to_anybody() {
    let gateway = TestGateway::start().await;
    let health = request(gateway.admin, "GET", "/healthz", &[], b"").await;
    assert_eq!((health.status, health.json()), (200, json!({ "stuck_loops": 0 })));
    let (status, ready) = gateway.readiness().await;
    assert_eq!((status, ready), (200, json!({ "state": "ready", "degraded": false })));
    gateway.end().await;
}
