//! A gateway's broker on a server of the rig, and a hand on the server's streams.

use std::io;
use std::sync::{Arc, Mutex};

use async_nats::jetstream::{self, stream};
use broker_bridge::nats::{Config, LogRules, Nats, StartError};
use broker_bridge::{Ack, Broker, Deliveries, Identity, PublishError, RoomDelivery};
use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::envelope::Batch;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{BootId, EventId, RoomId};
use protocol::subject::{Namespace, Partition};
use rig::wait::soon;

/// A gateway's side of the fabric.
pub(crate) struct Gateway {
    pub(crate) nats: Nats,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) deliveries: Deliveries,
}

/// Small logs: all tests share one disk.
pub(crate) fn config(url: &str) -> Config {
    let servers = url.split(',').map(str::to_owned).collect();
    let log = LogRules { stream_bytes_max: 16 * 1024 * 1024, ..LogRules::default() };
    Config { log, ..Config::new(servers) }
}

impl Gateway {
    pub(crate) async fn start(config: Config) -> Self {
        Self::try_start(config).await.unwrap()
    }

    pub(crate) async fn try_start(config: Config) -> Result<Self, StartError> {
        let boot = BootId::random(rand::random());
        let (nats, broker, deliveries) = Nats::start(config, boot, Identity::default()).await?;
        Ok(Self { nats, broker, deliveries })
    }

    /// Starts one and waits until it is well.
    pub(crate) async fn ready(config: Config) -> Self {
        let mut gateway = Self::start(config).await;
        gateway.well().await;
        gateway
    }

    pub(crate) async fn well(&mut self) {
        let well = self.deliveries.status.wait_for(|status| !status.is_degraded());
        soon("a fabric that is well", well).await.unwrap();
    }

    pub(crate) async fn publish(&self, room: &RoomId, nth: u64) -> Result<Ack, PublishError> {
        let pending = self.broker.publish(room, event(nth)).unwrap();
        soon("an ack", pending).await
    }

    pub(crate) async fn store(&self, room: &RoomId, nth: u64) {
        assert_eq!(self.publish(room, nth).await, Ok(Ack { stored: true }));
    }

    pub(crate) async fn open(&mut self, room: &RoomId) -> Cursor {
        self.broker.subscribe(room).unwrap();
        match self.next(room).await {
            RoomDelivery::Opened { head, .. } => head,
            other => panic!("expected opened, got {other:?}"),
        }
    }

    pub(crate) async fn next(&mut self, room: &RoomId) -> RoomDelivery {
        let (of, delivery) =
            soon("a delivery", self.deliveries.rooms.recv()).await.expect("it has ended");
        assert_eq!(&of, room);
        delivery
    }

    /// The next delivery in short: the numbers of its events.
    pub(crate) async fn next_in_short(&mut self, room: &RoomId) -> String {
        match self.next(room).await {
            RoomDelivery::Entry { entry, .. } => format!("entry {:?}", numbers(&entry.events)),
            RoomDelivery::Live { events, .. } => format!("live {:?}", numbers(&events)),
            RoomDelivery::Lost { events, .. } => format!("lost {events}"),
            RoomDelivery::Opened { .. } => "opened".to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

pub(crate) fn event(nth: u64) -> Event {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&nth.to_be_bytes());
    Event {
        id: EventId::random(id),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: nth,
        json: Bytes::from_static(b"{}"),
    }
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.ts_ms).collect()
}

/// What is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All that was logged since this was asked last.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Somebody with all rights on the server.
pub(crate) struct Operator {
    pub(crate) context: jetstream::Context,
    namespace: Namespace,
    boot: BootId,
}

impl Operator {
    pub(crate) async fn at(url: &str) -> Self {
        let client = soon("a connection", async_nats::connect(url)).await.unwrap();
        let context = jetstream::new(client);
        let namespace = Namespace::parse("barrage").unwrap();
        Self { context, namespace, boot: BootId::random(rand::random()) }
    }

    pub(crate) fn stream_name(&self, room: &RoomId) -> String {
        self.namespace.stream(Partition::of_room(room).stream())
    }

    /// Under which a room's entries are stored.
    pub(crate) fn subject(&self, room: &RoomId) -> String {
        self.namespace.log(room)
    }

    pub(crate) async fn stream(&self, room: &RoomId) -> stream::Stream {
        self.context.get_stream(self.stream_name(room)).await.unwrap()
    }

    /// Stores an event that no gateway hears of: the stream does not send it on.
    pub(crate) async fn store_silently(&self, room: &RoomId, first: u64, nth: u64) -> u64 {
        let config = self.stream(room).await.cached_info().config.clone();
        let silent = stream::Config { republish: None, ..config.clone() };
        self.context.update_stream(silent).await.unwrap();
        let seq = self.store(room, first, nth).await;
        self.context.update_stream(config).await.unwrap();
        seq
    }

    /// Stores an event as a gateway would that had put so many into the room before.
    pub(crate) async fn store(&self, room: &RoomId, first: u64, nth: u64) -> u64 {
        let batch = Batch {
            from: self.boot,
            counter: nth,
            first,
            origin_ms: nth,
            events: vec![event(nth)],
        };
        let ack = self.context.publish(self.namespace.log(room), batch.encode()).await.unwrap();
        ack.await.unwrap().sequence
    }
}
