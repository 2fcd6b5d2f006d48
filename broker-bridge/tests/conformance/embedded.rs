//! The embedded bus, as a fabric, and behind a `Faulty` without faults.

use broker_bridge::embedded::{Bus, BusConfig, Retention, Topology};
use broker_bridge::faulty::{Faults, Faulty};
use protocol::ids::BootId;

use crate::fabric::{Fabric, HISTORY_ENTRIES_MAX, Node};

/// A bus that was set up for one node.
pub(crate) struct Single(Bus);

/// A bus that was set up for several nodes.
pub(crate) struct Shared(Bus);

/// A bus for several nodes, each behind a `Faulty` in which nothing goes wrong.
pub(crate) struct Faultless(Bus);

fn start(nodes: Topology) -> Bus {
    let retention = Retention { room_entries_max: HISTORY_ENTRIES_MAX, ..Retention::default() };
    Bus::start(BusConfig { nodes, retention })
}

impl Fabric for Single {
    async fn start() -> Self {
        Self(start(Topology::Single))
    }

    async fn node(&mut self) -> Node {
        Node::new(self.0.node(BootId::random(rand::random())))
    }

    async fn end(self) {
        self.0.shutdown().await;
    }
}

impl Fabric for Shared {
    async fn start() -> Self {
        Self(start(Topology::Shared))
    }

    async fn node(&mut self) -> Node {
        Node::new(self.0.node(BootId::random(rand::random())))
    }

    async fn end(self) {
        self.0.shutdown().await;
    }
}

impl Fabric for Faultless {
    async fn start() -> Self {
        Self(start(Topology::Shared))
    }

    async fn node(&mut self) -> Node {
        let (broker, deliveries) = self.0.node(BootId::random(rand::random()));
        let (broker, deliveries, _) = Faulty::wrap(broker, deliveries, 0, Faults::default());
        Node::new((broker, deliveries))
    }

    async fn end(self) {
        self.0.shutdown().await;
    }
}
