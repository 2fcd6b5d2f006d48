//! A hub between a broker and two shards, in virtual time.

mod busy;
mod metrics;
mod rooms;
mod settings;
mod simulation;

use std::sync::Arc;
use std::time::Duration;

use broker_bridge::embedded::{Bus, BusConfig};
use broker_bridge::{Broker, Deliveries, RoomDelivery};
use protocol::cursor::Cursor;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{Address, BootId, EventId, RoomId};
use protocol::select::Budget;
use protocol::slot::SlotClock;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Hub, HubCommand, HubRules, Hubs};
use crate::client::{Form, Seat};
use crate::dispatch;
use crate::health::Pulse;
use crate::metrics::Metrics;
use crate::now::Clock;
use crate::room::RoomSettings;
use crate::room::effect::Join;
use crate::settings::{self as room_settings, KnownRooms};
use crate::shard::{AnswerTail, RoomCommand, ShardAnswer, ShardFrame, ShardHandle, ShardInbox};

const START_MS: u64 = 1_760_000_000_000;
const TICK_MS: u32 = 1_000;
const SHARDS: usize = 2;

/// A hub, what is asked of it, and what it hands to the shards.
struct Stage {
    clock: Clock,
    hubs: Hubs,
    shards: Vec<ShardInbox>,
    metrics: Arc<Metrics>,
    broker: Arc<dyn Broker>,
}

impl Stage {
    /// A hub on a bus of its own.
    fn on_a_bus() -> (Self, Bus) {
        let bus = Bus::start(BusConfig::default());
        let (broker, deliveries) = bus.node(BootId::random([1; 8]));
        (Self::on(broker, deliveries), bus)
    }

    /// A hub on a given broker.
    fn on(broker: Arc<dyn Broker>, deliveries: Deliveries) -> Self {
        Self::with(broker, deliveries, rules())
    }

    /// A hub on a given broker, with rules of its own.
    fn with(broker: Arc<dyn Broker>, deliveries: Deliveries, rules: HubRules) -> Self {
        let clock = Clock::anchored(START_MS);
        let (handles, shards): (Vec<_>, Vec<_>) =
            (0..SHARDS).map(|_| ShardHandle::channel()).unzip();
        let (hubs, mut inboxes) = Hubs::channels(1);
        let metrics = Arc::new(Metrics::new().unwrap());
        let known = KnownRooms::new(rules);
        known.complete();
        let watched = room_settings::watch(
            deliveries.settings,
            known.clone(),
            hubs.clone(),
            Arc::clone(&metrics),
        );
        tokio::spawn(watched);
        let (shard_handles, to_hub) = (handles.into(), Arc::clone(&broker));
        let (pulse, kept) = (Pulse::default(), Arc::clone(&metrics));
        let hub = Hub::new(clock, known, to_hub, shard_handles, kept, pulse);
        tokio::spawn(hub.run(inboxes.remove(0)));
        let (seen, _) = watch::channel(false);
        let canary = RoomId::internal("canary");
        tokio::spawn(dispatch::rooms(deliveries.rooms, hubs.clone(), canary, seen));
        Self { clock, hubs, shards, metrics, broker }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().unix_ms
    }

    /// When the present slot of a room ends.
    fn slot_end_ms(&self, room: &str) -> u64 {
        let clock = SlotClock::new(&room_id(room), TICK_MS);
        clock.end_of(clock.slot_of(self.now_ms()))
    }

    async fn join(&self, room: &str, slot: u32) {
        self.join_with(room, join(slot)).await;
    }

    async fn join_with(&self, room: &str, join: Join) {
        self.hubs.command(HubCommand::Join { room: room_id(room), join }).await;
    }

    async fn leave(&self, room: &str, slot: u32) {
        let Join { address, seat, .. } = join(slot);
        self.hubs.command(HubCommand::Leave { room: room_id(room), address, seat }).await;
    }

    fn publish(&self, room: &str, event: Event) {
        drop(self.broker.publish(&room_id(room), event).unwrap());
    }

    /// What a hub hands to a shard next, whenever that is.
    async fn next(&mut self, shard: usize) -> RoomCommand {
        self.shards[shard].next_room().await.expect("the hub lives")
    }

    async fn answer(&mut self, shard: usize) -> ShardAnswer {
        let next = self.next(shard).await;
        let RoomCommand::Answer(answer) = next else { panic!("{next:?}") };
        answer
    }

    async fn frame(&mut self, shard: usize) -> ShardFrame {
        let next = self.next(shard).await;
        let RoomCommand::Frame(frame) = next else { panic!("{next:?}") };
        frame
    }

    /// Asserts that a shard is handed nothing for a time.
    async fn silence(&mut self, shard: usize, time: Duration) {
        let next = timeout(time, self.shards[shard].next_room()).await;
        assert!(next.is_err(), "{next:?}");
    }

    /// The value of a line of the metrics.
    fn metric(&self, name: &str) -> f64 {
        let text = String::from_utf8(self.metrics.render()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn rules() -> HubRules {
    let budget = Budget { chat: 40, higher: 10 };
    let room = RoomSettings { tick_ms: TICK_MS, budget, ..RoomSettings::default() };
    HubRules { room, created_only: false }
}

fn room_id(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// A join of the client in a slot; odd slots sit on the second shard.
fn join(slot: u32) -> Join {
    let shard = (slot % 2) as u16;
    let address = Address { boot: BootId::random([1; 8]), shard, slot, generation: 1 };
    let seat = Seat { number: 1, form: Form::Plain };
    Join { address, seat, id: None, since: None, history: 0 }
}

/// An event of a chat with a JSON of so many bytes.
fn chat(n: u64, ts_ms: u64, bytes: usize) -> Event {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    let json = format!("{{\"n\":{n},\"text\":\"{}\"}}", "a".repeat(bytes)).into();
    Event { id: EventId::random(id), class: Class::Chat, weight: WEIGHT_DEFAULT, ts_ms, json }
}

/// The text of the first variant's plain frame.
fn plain(frame: &ShardFrame) -> String {
    let bytes = frame.variants[0].forms[Form::Plain as usize].as_ref().expect("it is wanted");
    let header = match bytes[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    String::from_utf8(bytes[header..].to_vec()).unwrap()
}

/// The numbers of the events in a frame.
fn numbers(frame: &ShardFrame) -> Vec<u64> {
    let message: serde_json::Value = serde_json::from_str(&plain(frame)).unwrap();
    message["events"].as_array().unwrap().iter().map(|e| e["n"].as_u64().unwrap()).collect()
}
