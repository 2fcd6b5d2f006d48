//! One nats-server: it can be hurt, and comes back with its ports and its store.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::config::{Addresses, Options, text};
use super::{Binary, monitor};
use crate::port::Port;
use crate::process::{Process, Signal};
use crate::wait::{LOOK, soon};

/// A node, up or down.
#[derive(Debug)]
pub struct Node {
    name: String,
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    addresses: Addresses,
    process: Option<Process>,
    _ports: [Port; 3],
}

impl Node {
    /// Writes what the nodes of a cluster, or a single one, need in order to start.
    pub(super) fn set_up(
        binary: &Binary,
        count: usize,
        folder: &Path,
        options: &Options,
    ) -> Vec<Self> {
        let nodes = (1..=count).map(|number| Self::at(binary, &folder.join(format!("n{number}"))));
        let nodes: Vec<_> = nodes.collect();
        let is_cluster = count > 1;
        let routes = nodes.iter().map(|node| node.addresses.route).filter(|_| is_cluster);
        let routes: Vec<_> = routes.collect();
        for node in &nodes {
            let store = node.config.with_file_name("store");
            let text = text(&node.name, &node.addresses, &routes, &store, options);
            std::fs::write(&node.config, text).expect("a config file");
        }
        nodes
    }

    fn at(binary: &Binary, folder: &Path) -> Self {
        std::fs::create_dir(folder).expect("a folder for the node");
        let ports = [Port::reserve(), Port::reserve(), Port::reserve()];
        let [client, monitor, route] = [0, 1, 2].map(|at: usize| ports[at].address());
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            program: binary.path.clone(),
            config: folder.join("nats.conf"),
            log: folder.join("log"),
            addresses: Addresses { client, monitor, route },
            process: None,
            _ports: ports,
        }
    }

    /// Its name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.addresses.client
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.addresses.client)
    }

    /// Whether its process is there, paused or not.
    pub fn is_up(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !process.has_ended())
    }

    /// Its process id, if it was started.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Starts it, on the ports and with the store that it had before. Does not wait: see
    /// [`super::Nats::ready`].
    ///
    /// # Panics
    /// It is up already.
    pub fn start(&mut self) {
        assert!(!self.is_up(), "{} is up already", self.name);
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.config);
        self.process =
            Some(Process::start(&format!("nats {}", self.name), &mut command, &self.log));
    }

    /// Waits until it says that it is well and sees a JetStream of so many peers.
    pub(super) async fn ready(&mut self, peers: usize) {
        let what = format!("JetStream of nats {}", self.name);
        soon(&what, async {
            while !self.is_ready(peers).await {
                assert!(self.is_up(), "nats {} has ended", self.name);
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
    }

    async fn is_ready(&self, peers: usize) -> bool {
        if monitor::ask(self.addresses.monitor, "/healthz").await.is_none() {
            return false;
        }
        let Some(jsz) = monitor::ask(self.addresses.monitor, "/jsz").await else {
            return false;
        };
        peers == 1 || monitor::meta(&jsz).is_some_and(|(_, count)| count == peers as u64)
    }

    /// Who leads a stream in its eyes.
    pub(super) async fn stream_leader(&self, stream: &str) -> Option<String> {
        let jsz = monitor::ask(self.addresses.monitor, "/jsz?accounts=true&streams=true").await?;
        monitor::stream_leader(&jsz, stream).map(str::to_owned)
    }

    /// The JSON of a page of its monitoring port, such as `/connz`; `None` if it does not answer.
    pub async fn monitor(&self, path: &str) -> Option<serde_json::Value> {
        monitor::ask(self.addresses.monitor, path).await
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        }
    }

    /// Asks it to end and waits for that.
    ///
    /// # Panics
    /// It was never started, or does not end.
    pub async fn terminate(&mut self) -> ExitStatus {
        let process = self.process.as_mut().expect("it was started");
        process.terminate();
        process.ended().await
    }

    /// Tells it to leave slowly: it hands its leaderships over, asks clients to go, and ends.
    pub fn lame_duck(&mut self) {
        self.signal(Signal::USR2);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It was never started, or does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.as_mut().expect("it was started").ended().await
    }

    /// Holds it: it keeps its connections and answers nothing.
    pub fn pause(&mut self) {
        if let Some(process) = &mut self.process {
            process.pause();
        }
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    /// Everything that it has logged in all its lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
