//! A real nats-server, streams as gateways make them, and the worker as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context, stream};
use bridge_worker::archive::Reader;
use protocol::cursor::Epoch;
use protocol::envelope::Batch;
use protocol::event::{Body, Chat, Draft, Event, Kind};
use protocol::ids::{BootId, EventId, RoomId};
use protocol::subject::{Namespace, Partition};
use rig::http;
use rig::nats::{Binary, Nats};
use rig::process::Process;
use rig::wait::{soon, until};
use tempfile::TempDir;

const ANSWER: Duration = Duration::from_secs(5);

pub(crate) struct Scene {
    pub(crate) nats: Nats,
    pub(crate) folder: TempDir,
    pub(crate) context: Context,
    namespace: Namespace,
    counter: AtomicU64,
}

/// The worker, running.
pub(crate) struct Worker {
    pub(crate) process: Process,
    operations: SocketAddr,
}

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn chat(number: u64) -> Event {
    let text = format!("number {number}").into();
    let (mode, color, size) = Default::default();
    let body = Body::Chat(Chat { text, mode, color, size, emotes: Vec::new() });
    let id = EventId::random(u128::from(number).to_be_bytes());
    let ts_ms = 1_763_640_000_000 + number;
    Draft { id, kind: Kind::Chat, ts_ms, user: None, body, weight: 100 }.render()
}

impl Scene {
    /// With a server, and streams for these rooms; `None` if there is no nats-server.
    pub(crate) async fn set(rooms: &[&str]) -> Option<Self> {
        let nats = Nats::single(&Binary::oldest()?).await;
        Some(Self::set_on(nats, ConnectOptions::new(), rooms).await)
    }

    /// The same on this server, where these options let everything be done.
    pub(crate) async fn set_on(nats: Nats, options: ConnectOptions, rooms: &[&str]) -> Self {
        let client = soon("a connection", options.connect(nats.url())).await.unwrap();
        let scene = Self {
            nats,
            folder: TempDir::with_prefix("barrage-archive-").unwrap(),
            context: jetstream::new(client),
            namespace: Namespace::parse("barrage").unwrap(),
            counter: AtomicU64::new(0),
        };
        for name in rooms {
            scene.make_stream(name, 1).await;
        }
        scene
    }

    fn stream_name(&self, name: &str) -> String {
        self.namespace.stream(Partition::of_room(&room(name)).stream())
    }

    pub(crate) async fn stream(&self, name: &str) -> stream::Stream {
        self.context.get_stream(self.stream_name(name)).await.unwrap()
    }

    pub(crate) async fn make_stream(&self, name: &str, epoch: u8) {
        let index = Partition::of_room(&room(name)).stream();
        let epoch = Epoch::from_bytes([epoch; 8]).to_string();
        let config = stream::Config {
            name: self.namespace.stream(index),
            subjects: self.namespace.stream_subjects(index),
            metadata: [("barrage-epoch".to_owned(), epoch)].into(),
            ..stream::Config::default()
        };
        self.context.get_or_create_stream(config).await.unwrap();
    }

    /// Publishes a batch of so many events to a room, and waits until it is stored.
    pub(crate) async fn say(&self, name: &str, events: u64) {
        let first = self.counter.fetch_add(events, Ordering::Relaxed);
        let batch = Batch {
            from: BootId::random([1; 8]),
            counter: first,
            first,
            origin_ms: 1,
            events: (first..first + events).map(chat).collect(),
        };
        self.publish(name, batch.encode()).await;
    }

    pub(crate) async fn publish(&self, name: &str, bytes: bytes::Bytes) {
        let subject = self.namespace.log(&room(name));
        let ack = self.context.publish(subject, bytes).await.unwrap();
        soon("an ack", ack.into_future()).await.unwrap();
    }

    /// Starts the worker; it is up, and its consumers are on their way.
    pub(crate) async fn work(&self) -> Worker {
        self.work_with(&[]).await
    }

    pub(crate) async fn work_with(&self, arguments: &[&str]) -> Worker {
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let mut command = self.command("archive");
        command.args(["--nats", &self.nats.url(), "--listen", "127.0.0.1:0"]);
        command.args(["--commit-every", "100ms"]).args(arguments).env("NO_COLOR", "1");
        let mut process = Process::start("the worker", &mut command, &log);
        let operations = until("the address in the log", || {
            assert!(!process.has_ended(), "{}", process.log());
            let log = process.log();
            let told = log.split("operations=").nth(1).and_then(|rest| rest.split(' ').next());
            std::future::ready(told.and_then(|address| address.parse().ok()))
        })
        .await;
        Worker { process, operations }
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barrage-bridge"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BARRAGE_")) {
            command.env_remove(name);
        }
        command.args([verb, "--dir"]).arg(self.archive());
        command
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// The numbers of the events of a room in the archive, in order.
    pub(crate) fn archived(&self, name: &str) -> Vec<u64> {
        let Ok(reader) = Reader::open(Path::new(&self.archive())) else { return Vec::new() };
        let lines = reader.lines(&room(name), 0..u64::MAX).unwrap();
        let numbers = lines.map(|line| line.unwrap().ts_ms().unwrap() - 1_763_640_000_000);
        numbers.collect()
    }

    pub(crate) async fn until_archived(&self, name: &str, events: usize) -> Vec<u64> {
        until(&format!("{events} events of {name} in the archive"), || {
            let archived = self.archived(name);
            std::future::ready((archived.len() >= events).then_some(archived))
        })
        .await
    }

    /// Up to which entry the consumer of a room's stream is acked; 0 while there is none.
    pub(crate) async fn acked(&self, name: &str) -> u64 {
        let info = self.stream(name).await.consumer_info("archive").await;
        info.map_or(0, |info| info.ack_floor.stream_sequence)
    }
}

impl Worker {
    /// Asks it to end; it ends well.
    pub(crate) async fn end(mut self) {
        self.process.terminate();
        let status = self.process.ended().await;
        assert!(status.success(), "{status}: {}", self.process.log());
    }

    /// A metric, all its series together.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let answer = http::get(self.operations, "/metrics", ANSWER).await?;
        let text = String::from_utf8(answer.body).unwrap();
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().unwrap())
        });
        Some(values.sum())
    }

    pub(crate) async fn until_metric(&self, name: &str, is_right: impl Fn(f64) -> bool) {
        let is_right = &is_right;
        until(&format!("{name} to be right"), || async move {
            self.metric(name).await.filter(|value| is_right(*value))
        })
        .await;
    }

    pub(crate) async fn health(&self) -> serde_json::Value {
        let answer = http::get(self.operations, "/healthz", ANSWER).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.json().unwrap()
    }
}
