//! A bus that several gateways share, as in a cluster.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_bridge::embedded::{Bus, BusConfig, Topology};
use broker_bridge::{Broker, Deliveries};
use gateway::app::Fabric;
use protocol::event::{Body, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::ids::{BootId, EventId};
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::sync::{mpsc, oneshot};

/// A bus on a thread of its own, so that nothing a test does holds it up.
pub(crate) struct TestBus {
    orders: Option<mpsc::Sender<oneshot::Sender<Node>>>,
    thread: Option<JoinHandle<()>>,
}

/// One node of the bus.
pub(crate) struct Node {
    pub(crate) boot: BootId,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) deliveries: Deliveries,
}

impl Node {
    /// What a gateway is started on.
    pub(crate) fn into_fabric(self) -> Fabric {
        Fabric::Node(self.broker, self.deliveries)
    }
}

impl TestBus {
    /// Starts a bus for several nodes.
    pub(crate) fn start() -> Self {
        let (orders, mut inbox) = mpsc::channel::<oneshot::Sender<Node>>(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let config = BusConfig { nodes: Topology::Shared, ..BusConfig::default() };
                let bus = Bus::start(config);
                while let Some(order) = inbox.recv().await {
                    let boot = BootId::random(rand::random());
                    let (broker, deliveries) = bus.node(boot);
                    let _ = order.send(Node { boot, broker, deliveries });
                }
                // Nodes that are still there would hold it up; the test is over.
                let _ = tokio::time::timeout(Duration::from_secs(5), bus.shutdown()).await;
            });
        });
        Self { orders: Some(orders), thread: Some(thread) }
    }

    /// Makes a node.
    pub(crate) async fn node(&self) -> Node {
        let (order, node) = oneshot::channel();
        self.orders.as_ref().unwrap().send(order).await.unwrap();
        node.await.unwrap()
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the bus has failed");
        }
    }
}

/// An event as a gateway would make it: for kinds that no API takes.
pub(crate) fn event(kind: &str, user: Option<&User>, body: &Value) -> Event {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Draft {
        id: EventId::random(rand::random()),
        kind: Kind::parse(kind).expect("a kind of the protocol"),
        ts_ms: unix.as_millis() as u64,
        user,
        body: Body::Opaque(&to_raw_value(body).unwrap()),
        weight: WEIGHT_DEFAULT,
    }
    .render()
}
