//! Payloads that go past all rooms: to one connection, to a user's, to everybody's.

use std::sync::Arc;

use broker_bridge::{Broker, Deliveries, Recipient};
use protocol::ids::{Address, BootId, UserId};
use serde_json::json;

use crate::support::client::TestClient;
use crate::support::fabric::{Node, TestBus};
use crate::support::gateway::TestGateway;

/// Two gateways of one shard each, and a third node that sends.
struct Scene {
    sender: Arc<dyn Broker>,
    /// A node that does not listen is gone.
    _deliveries: Deliveries,
    gateways: [TestGateway; 2],
    boots: [BootId; 2],
    _bus: TestBus,
}

impl Scene {
    async fn set() -> Self {
        let bus = TestBus::start();
        let mut gateways = Vec::new();
        let mut boots = Vec::new();
        for _ in 0..2 {
            let node = bus.node().await;
            boots.push(node.boot);
            gateways.push(TestGateway::on(node.into_fabric(), |config| config.shards = 1).await);
        }
        let Node { broker: sender, deliveries: _deliveries, .. } = bus.node().await;
        let (gateways, boots) = (gateways.try_into().ok().unwrap(), boots.try_into().unwrap());
        Self { sender, _deliveries, gateways, boots, _bus: bus }
    }

    fn send(&self, to: Recipient, text: &str) {
        let message = format!(r#"{{"type":"message","kind":"note","body":{{"text":"{text}"}}}}"#);
        self.sender.send(to, message.into()).unwrap();
    }

    /// Sends to everybody, and waits until these have got it: all that was sent before is there.
    async fn mark(&self, text: &str, clients: &mut [&mut TestClient]) {
        self.send(Recipient::Everybody, text);
        for client in clients {
            client.until(text, |memory| notes(memory).contains(&text).then_some(())).await;
        }
    }

    async fn end(self) {
        for gateway in self.gateways {
            gateway.end().await;
        }
    }
}

/// The texts that were sent to a client, in order.
pub(crate) fn notes(memory: &crate::support::memory::Memory) -> Vec<&str> {
    let notes = memory.messages.iter().filter(|message| message["type"] == "message");
    notes.map(|message| message["body"]["text"].as_str().unwrap()).collect()
}

pub(crate) fn user(client: &TestClient) -> UserId {
    let welcome = client.memory.first("welcome").unwrap();
    UserId::parse(welcome["user"]["id"].as_str().unwrap()).unwrap()
}

/// Connections sit in slots from 0 on, and the first in a slot has generation 1.
fn address(boot: BootId, slot: u32, generation: u32) -> Recipient {
    Recipient::Address(Address { boot, shard: 0, slot, generation })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_an_address_reaches_that_connection_only_and_in_order() {
    let scene = Scene::set().await;
    let [one, two] = &scene.gateways;
    let (mut ann, mut bob) = (one.client().await, one.client().await);
    let mut carl = two.client().await;
    for n in 0..100 {
        scene.send(address(scene.boots[0], 1, 1), &format!("给小明 {n}"));
    }
    scene.send(address(scene.boots[1], 0, 1), "给小红");
    scene.mark("完", &mut [&mut ann, &mut bob, &mut carl]).await;
    assert_eq!(notes(&ann.memory), ["完"]);
    assert_eq!(notes(&carl.memory), ["给小红", "完"]);
    let expected: Vec<String> = (0..100).map(|n| format!("给小明 {n}")).collect();
    assert_eq!(notes(&bob.memory)[..100], expected);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_an_address_that_was_left_reaches_no_stranger() {
    let scene = Scene::set().await;
    let one = &scene.gateways[0];
    one.client().await.close().await;
    one.until_metric("barrage_connections", "", |count| count == 0.0).await;
    let mut stranger = one.client().await;
    scene.send(address(scene.boots[0], 0, 1), "给走了的人");
    scene.send(address(scene.boots[0], 0, 2), "给后来的人");
    scene.send(address(scene.boots[0], 0, 3), "给将来的人");
    scene.send(address(scene.boots[0], 9, 1), "没有这个位置");
    let elsewhere = Address { boot: scene.boots[0], shard: 7, slot: 0, generation: 2 };
    scene.send(Recipient::Address(elsewhere), "没有这个线程");
    scene.send(address(BootId::random([9; 8]), 0, 2), "没有这个节点");
    scene.mark("完", &mut [&mut stranger]).await;
    assert_eq!(notes(&stranger.memory), ["给后来的人", "完"]);
    stranger.assert_lives().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_a_user_reaches_the_user_wherever_it_is_and_nobody_else() {
    let scene = Scene::set().await;
    let [one, two] = &scene.gateways;
    let (mut ann, mut bob) = (one.viewer("demo").await, two.viewer("demo").await);
    scene.send(Recipient::User(user(&ann)), "给小红");
    scene.send(Recipient::User(user(&bob)), "给小明");
    scene.send(Recipient::User(UserId::parse("nobody").unwrap()), "给没有的人");
    scene.mark("完", &mut [&mut ann, &mut bob]).await;
    assert_eq!(notes(&ann.memory), ["给小红", "完"]);
    assert_eq!(notes(&bob.memory), ["给小明", "完"]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_to_everybody_reaches_every_connection_once_in_a_room_or_not() {
    let scene = Scene::set().await;
    let mut clients = Vec::new();
    for n in 0..10 {
        let gateway = &scene.gateways[n % 2];
        let client = if n < 5 { gateway.client().await } else { gateway.viewer("demo").await };
        clients.push(client);
    }
    scene.send(Recipient::Everybody, "给大家");
    let mut all: Vec<&mut TestClient> = clients.iter_mut().collect();
    scene.mark("完", &mut all).await;
    for client in &mut clients {
        assert_eq!(notes(&client.memory), ["给大家", "完"]);
        // Danmaku and what is sent past them do not get in each other's way.
        assert_eq!(client.ask(json!({ "type": "ping" })).await["type"], "pong");
    }
    scene.end().await;
}
