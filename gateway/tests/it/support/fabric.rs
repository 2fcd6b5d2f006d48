//! A bus that several gateways share, as in a cluster.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_bridge::embedded::{Bus, BusConfig, Topology};
use broker_bridge::{Broker, Deliveries, RoomDelivery};
use gateway::app::Fabric;
use protocol::event::{Body, Class, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::ids::{BootId, EventId, RoomId};
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{soon, until};

/// A bus on a thread of its own, so that nothing a test does holds it up.
pub(crate) struct TestBus {
    orders: Option<mpsc::Sender<oneshot::Sender<Node>>>,
    thread: Option<std::thread::JoinHandle<()>>,
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
        Self::start_for(Topology::Shared)
    }

    /// Starts a bus.
    pub(crate) fn start_for(nodes: Topology) -> Self {
        let (orders, mut inbox) = mpsc::channel::<oneshot::Sender<Node>>(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let config = BusConfig { nodes, ..BusConfig::default() };
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

/// One event of a room's log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) class: Class,
}

/// A node that writes down a room's log, to judge by.
pub(crate) struct Witness {
    pub(crate) broker: Arc<dyn Broker>,
    room: RoomId,
    log: Arc<Mutex<Vec<Logged>>>,
    task: JoinHandle<()>,
}

impl Witness {
    /// Follows a room from now on.
    pub(crate) async fn watch(bus: &TestBus, room: &str) -> Self {
        let Node { broker, mut deliveries, .. } = bus.node().await;
        let room = RoomId::parse(room).unwrap();
        broker.subscribe(&room).unwrap();
        let opened = soon("the room opens", deliveries.rooms.recv()).await;
        assert!(matches!(opened, Some((_, RoomDelivery::Opened { .. }))), "{opened:?}");
        let log = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(write_down(deliveries, Arc::clone(&log)));
        Self { broker, room, log, task }
    }

    /// Appends an event to the log, and waits for its ack.
    pub(crate) async fn publish(&self, event: Event) {
        let look = || async { self.broker.publish(&self.room, event.clone()).ok() };
        let pending = until("a place in the queue", look).await;
        assert!(soon("the ack", pending).await.unwrap().stored);
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<Logged> {
        self.log.lock().unwrap().clone()
    }

    /// The log up to and including an event.
    pub(crate) async fn log_to(&self, id: &str) -> Vec<Logged> {
        let look = || async {
            let log = self.log();
            log.iter().any(|logged| logged.id == id).then_some(log)
        };
        until("the last event in the log", look).await
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn write_down(mut deliveries: Deliveries, log: Arc<Mutex<Vec<Logged>>>) {
    while let Some((_, delivery)) = deliveries.rooms.recv().await {
        if let RoomDelivery::Entry { entry, .. } = delivery {
            let logged = |event: &Event| Logged {
                seq: entry.seq,
                id: event.id.to_string(),
                class: event.class,
            };
            log.lock().unwrap().extend(entry.events.iter().map(logged));
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
