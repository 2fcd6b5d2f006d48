//! Rooms that cannot be joined now.

use broker_bridge::faulty::{Faults, Faulty};
use gateway::app::Fabric;
use serde_json::json;

use crate::support::fabric::{Node, TestBus};
use crate::support::gateway::TestGateway;
use rig::wait::LOOK;

#[tokio::test]
async fn whoever_could_not_join_has_not_joined_and_may_try_again() {
    let bus = TestBus::start();
    let Node { broker, deliveries, .. } = bus.node().await;
    let (broker, deliveries, control) = Faulty::wrap(broker, deliveries, 1, Faults::default());
    let gateway = TestGateway::on(Fabric::Node(broker, deliveries), |_| {}).await;
    let mut client = gateway.client().await;
    control.set(Faults { busy_permille: 1_000, ..Faults::default() });
    client.ask_in_vain(json!({ "type": "join", "room": "demo" }), "unavailable").await;
    control.set(Faults::default());
    let publish = json!({ "type": "publish", "room": "demo", "body": { "text": "hi" } });
    client.ask_in_vain(publish, "not_joined").await;
    client.ask_in_vain(json!({ "type": "leave", "room": "demo" }), "not_joined").await;
    // The room is opened again after a moment.
    let join = json!({ "type": "join", "room": "demo" });
    while client.ask(join.clone()).await["type"] != "joined" {
        tokio::time::sleep(LOOK).await;
    }
    client.publish("demo", "hi").await;
    client.hears("demo", "hi").await;
    gateway.end().await;
}
