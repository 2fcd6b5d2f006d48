//! The fabric on a real server of NATS, of the oldest and the newest version there is.

use broker_bridge::Identity;
use broker_bridge::nats::{Config, LogRules, Nats};
use protocol::ids::BootId;
use rig::nats::{Binary, Nats as Server};

use crate::fabric::{Fabric, HISTORY_ENTRIES_MAX, Node};

/// On the oldest server.
pub(crate) struct Oldest(OnServer);

/// On the newest server.
pub(crate) struct Newest(OnServer);

struct OnServer {
    server: Server,
    nodes: Vec<Nats>,
}

/// How tests set it up: every log is small, as all tests share one disk.
pub(crate) fn config(server: &Server) -> Config {
    Config {
        log: LogRules {
            room_entries_max: HISTORY_ENTRIES_MAX as u32,
            stream_bytes_max: 16 * 1024 * 1024,
            ..LogRules::default()
        },
        ..Config::new(server.url().split(',').map(str::to_owned).collect())
    }
}

impl OnServer {
    async fn start(binary: Option<Binary>) -> Self {
        let binary = binary.expect("looked for before");
        Self { server: Server::single(&binary).await, nodes: Vec::new() }
    }

    async fn node(&mut self) -> Node {
        let boot = BootId::random(rand::random());
        let started = Nats::start(config(&self.server), boot, Identity::default()).await;
        let (nats, broker, mut deliveries) = started.unwrap();
        self.nodes.push(nats);
        // The contract is of a fabric that runs.
        let well = deliveries.status.wait_for(|status| !status.is_degraded());
        crate::fabric::patiently(well).await.unwrap();
        Node::new((broker, deliveries))
    }

    async fn end(self) {
        for node in self.nodes {
            node.shutdown().await;
        }
    }
}

impl Fabric for Oldest {
    fn is_here() -> bool {
        Binary::oldest().is_some()
    }

    async fn start() -> Self {
        Self(OnServer::start(Binary::oldest()).await)
    }

    async fn node(&mut self) -> Node {
        self.0.node().await
    }

    async fn end(self) {
        self.0.end().await;
    }
}

impl Fabric for Newest {
    fn is_here() -> bool {
        Binary::newest().is_some()
    }

    async fn start() -> Self {
        Self(OnServer::start(Binary::newest()).await)
    }

    async fn node(&mut self) -> Node {
        self.0.node().await
    }

    async fn end(self) {
        self.0.end().await;
    }
}
