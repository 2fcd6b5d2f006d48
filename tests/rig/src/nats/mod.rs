//! Real nats-servers with JetStream: one, or a cluster of three.

mod binary;
mod config;
mod monitor;
mod node;
mod old;

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

pub use self::binary::Binary;
pub use self::config::{ClientCertificates, Options, Tls, User};
pub use self::node::Node;
pub use self::old::old_server;

use crate::wait::until;

/// Nodes of a cluster.
const NODES: usize = 3;

/// One nats-server or a cluster of them. Killed when dropped, and its files removed.
#[derive(Debug)]
pub struct Nats {
    nodes: Vec<Node>,
    folder: TempDir,
}

impl Nats {
    /// Starts a single server; its JetStream is ready.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn single(binary: &Binary) -> Self {
        Self::single_with(binary, &Options::default()).await
    }

    /// The same, set up otherwise.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn single_with(binary: &Binary, options: &Options) -> Self {
        Self::start(binary, 1, options).await
    }

    /// Starts a cluster of three; its JetStream has a leader, and every node is ready.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn cluster(binary: &Binary) -> Self {
        Self::cluster_with(binary, &Options::default()).await
    }

    /// The same, set up otherwise.
    ///
    /// # Panics
    /// It does not become ready.
    pub async fn cluster_with(binary: &Binary, options: &Options) -> Self {
        Self::start(binary, NODES, options).await
    }

    async fn start(binary: &Binary, count: usize, options: &Options) -> Self {
        let folder = TempDir::with_prefix("barrage-nats-").expect("a temporary folder");
        let nodes = Node::set_up(binary, count, folder.path(), options);
        let mut nats = Self { nodes, folder };
        for node in &mut nats.nodes {
            node.start();
        }
        nats.ready().await;
        nats
    }

    /// Waits until all nodes are ready: JetStream runs, has a leader, and is complete.
    ///
    /// # Panics
    /// They do not become so, or one of them has ended.
    pub async fn ready(&mut self) {
        let peers = self.nodes.len();
        for node in &mut self.nodes {
            node.ready(peers).await;
        }
    }

    /// Where clients connect, one address per node.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::address).collect()
    }

    /// The addresses as a list for clients: `nats://…,nats://…`.
    pub fn url(&self) -> String {
        let urls: Vec<_> = self.nodes.iter().map(Node::url).collect();
        urls.join(",")
    }

    /// How many nodes there are, up or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where their files are: logs, configuration, stores.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One node, to be hurt.
    ///
    /// # Panics
    /// There are not so many.
    pub fn node(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    /// Which node leads a stream, as far as those that answer know.
    pub async fn stream_leader(&self, stream: &str) -> Option<usize> {
        let mut leader = None;
        for node in &self.nodes {
            if let Some(name) = node.stream_leader(stream).await {
                leader = self.nodes.iter().position(|node| node.name() == name);
            }
        }
        leader
    }

    /// Waits until a stream has a leader among the nodes that `may_lead`; returns which.
    ///
    /// # Panics
    /// It gets none.
    pub async fn until_led(&self, stream: &str, may_lead: impl Fn(usize) -> bool) -> usize {
        let may_lead = &may_lead;
        let look = || async move { self.stream_leader(stream).await.filter(|at| may_lead(*at)) };
        until(&format!("a leader of stream {stream}"), look).await
    }

    /// Kills all nodes at once.
    pub fn kill_all(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
    }

    /// Starts all nodes that are down, and waits until all are ready.
    ///
    /// # Panics
    /// They do not become so.
    pub async fn restart_all(&mut self) {
        for node in &mut self.nodes {
            if !node.is_up() {
                node.start();
            }
        }
        self.ready().await;
    }
}
