//! Payloads that go past all rooms, on real nats-servers.

use std::sync::Arc;

use broker_bridge::nats::{Config, LogRules, Nats as Fabric};
use broker_bridge::{Broker, Deliveries, Identity, Recipient};
use protocol::ids::{Address, BootId, UserId};
use rig::nats::{Binary, Nats};

use crate::directed::{notes, user};
use crate::nats::gateway;
use crate::support::{soon, until};

/// A node of the cluster that only sends.
struct Sender {
    fabric: Fabric,
    broker: Arc<dyn Broker>,
    _deliveries: Deliveries,
}

impl Sender {
    async fn on(nats: &Nats) -> Self {
        let log = LogRules { stream_bytes_max: 16 * 1024 * 1024, ..LogRules::default() };
        let urls = nats.url().split(',').map(str::to_owned).collect();
        let config = Config { log, ..Config::new(urls) };
        let boot = BootId::random(rand::random());
        let started = Fabric::start(config, boot, Identity::default()).await;
        let (fabric, broker, mut deliveries) = started.unwrap();
        let well = deliveries.status.wait_for(|status| !status.is_degraded());
        soon("a fabric that is well", well).await.unwrap();
        Self { fabric, broker, _deliveries: deliveries }
    }

    async fn boot_of(&self, name: &str) -> BootId {
        until("the gateway", || async {
            let nodes = self.broker.nodes();
            nodes.iter().find(|node| &*node.identity.name == name).map(|node| node.boot)
        })
        .await
    }

    fn send(&self, to: Recipient, text: &str) {
        let message = format!(r#"{{"type":"message","kind":"note","body":{{"text":"{text}"}}}}"#);
        self.broker.send(to, message.into()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_past_all_rooms_reaches_whom_it_is_for_on_any_gateway_and_nobody_else() {
    for binary in Binary::all() {
        let nats = Nats::single(&binary).await;
        let (one, two) = (gateway(&nats, "one").await, gateway(&nats, "two").await);
        let (mut ann, mut bob) = (one.client().await, two.client().await);
        let sender = Sender::on(&nats).await;
        let boot = sender.boot_of("two").await;
        let slot = |generation| Recipient::Address(Address { boot, shard: 0, slot: 0, generation });
        let texts: Vec<_> = (0..50).map(|n| format!("给小明 {n}")).collect();
        // Each way keeps its order, so what comes last tells that nothing else is to come.
        sender.send(slot(2), "给将来的人");
        texts.iter().for_each(|text| sender.send(slot(1), text));
        sender.send(Recipient::User(UserId::parse("nobody").unwrap()), "给没有的人");
        sender.send(Recipient::User(user(&ann)), "给小红");
        sender.send(Recipient::Everybody, "给大家");
        ann.until("both", |memory| (notes(memory).len() == 2).then_some(())).await;
        bob.until("all", |memory| (notes(memory).len() == 51).then_some(())).await;
        let mut to_ann = notes(&ann.memory);
        to_ann.sort_unstable();
        assert_eq!(to_ann, ["给大家", "给小红"]);
        let mut to_bob = notes(&bob.memory);
        to_bob.retain(|text| *text != "给大家");
        assert_eq!(to_bob, texts);
        for gateway in [one, two] {
            gateway.end().await;
        }
        sender.fabric.shutdown().await;
    }
}
