//! What the fabric on NATS costs: idle rooms on one gateway, and one hot room on ten.
//!
//! `cargo run --release -p broker-bridge --example nats_budget`, with a nats-server that the tests
//! find too (`scripts/test.sh setup`). Prints its figures, in the last line as JSON; fails if one
//! is over its budget.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_bridge::nats::{Config, Nats};
use broker_bridge::{Broker, Deliveries, Identity, RoomDelivery};
use bytes::Bytes;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{BootId, EventId, RoomId};
use rig::nats::{Binary, Nats as Server};
use tokio::time::{MissedTickBehavior, interval, timeout};

const IDLE_ROOMS: usize = 20_000;
const IDLE_S_MAX: f64 = 2.0;
const IDLE_BYTES_MAX: f64 = 6.0 * 1024.0;

const GATEWAYS: usize = 10;
/// Of all gateways together.
const EVENTS_PER_S: usize = 1_000;
const HOT_FOR: Duration = Duration::from_secs(20);
const SERVER_CORES_MAX: f64 = 0.1;
const GATEWAY_CORES_MAX: f64 = 0.05;

type Gateway = (Nats, Arc<dyn Broker>, Deliveries);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let binary = Binary::newest().expect("a nats-server");
    println!("nats-server {}", binary.version);
    let mut figures = Figures::default();
    idle_rooms(&binary, &mut figures).await;
    hot_room(&binary, &mut figures).await;
    println!("{}", figures.json());
    assert!(figures.over.is_empty(), "over budget: {:?}", figures.over);
}

/// What was measured: a name, a value, its unit.
#[derive(Debug, Default)]
struct Figures {
    all: Vec<(&'static str, f64, &'static str)>,
    over: Vec<&'static str>,
}

impl Figures {
    fn put(&mut self, name: &'static str, value: f64, unit: &'static str, most: f64) {
        self.all.push((name, value, unit));
        if value > most {
            self.over.push(name);
        }
    }

    fn json(&self) -> String {
        let figure = |(name, value, unit): &(&str, f64, &str)| {
            format!(r#""{name}":{{"value":{value},"unit":"{unit}"}}"#)
        };
        let all: Vec<_> = self.all.iter().map(figure).collect();
        format!(r#"{{"figures":{{{}}}}}"#, all.join(","))
    }
}

async fn idle_rooms(binary: &Binary, figures: &mut Figures) {
    let server = Server::single(binary).await;
    let (nats, broker, mut deliveries) = gateway(&server).await;
    let before = resident_bytes("self");
    let started = Instant::now();
    open(&*broker, &mut deliveries, IDLE_ROOMS).await;
    let took = started.elapsed().as_secs_f64();
    let each = (resident_bytes("self") - before) as f64 / IDLE_ROOMS as f64;
    println!("{IDLE_ROOMS} idle rooms: open after {took:.2} s, {:.2} KB each", each / 1024.0);
    nats.shutdown().await;
    figures.put("idle_rooms_open_s", took, "s", IDLE_S_MAX);
    figures.put("idle_room_bytes", each, "B", IDLE_BYTES_MAX);
}

async fn hot_room(binary: &Binary, figures: &mut Figures) {
    let server = Server::single(binary).await;
    let mut gateways = Vec::new();
    for _ in 0..GATEWAYS {
        let (nats, broker, mut deliveries) = gateway(&server).await;
        open(&*broker, &mut deliveries, 1).await;
        gateways.push((nats, broker, deliveries));
    }
    let server_pid = server.nodes()[0].id().unwrap().to_string();
    let (own_before, server_before) = (cpu_s("self"), cpu_s(&server_pid));
    let started = Instant::now();
    let running: Vec<_> =
        gateways.into_iter().enumerate().map(|(nth, it)| tokio::spawn(talk(nth, it))).collect();
    let mut received = 0;
    let mut delays = Vec::new();
    for gateway in running {
        let (events, entries, own) = gateway.await.unwrap();
        received += events;
        delays.extend(own);
        println!("  a gateway received {events} events in {entries} entries");
    }
    let wall = started.elapsed().as_secs_f64();
    let server_cores = (cpu_s(&server_pid) - server_before) / wall;
    let gateway_cores = (cpu_s("self") - own_before) / wall / GATEWAYS as f64;
    delays.sort_unstable();
    let at = |share: f64| delays[(delays.len() as f64 * share) as usize];
    println!(
        "{EVENTS_PER_S} events/s in one room over {GATEWAYS} gateways, {wall:.0} s: {received} received, \
         server {server_cores:.3} cores, each gateway's broker {gateway_cores:.4} cores; \
         publish to ack p50 {} ms, p99 {} ms",
        at(0.5),
        at(0.99)
    );
    assert_eq!(received, EVENTS_PER_S * HOT_FOR.as_secs() as usize * GATEWAYS);
    figures.put("hot_room_server_cores", server_cores, "cores", SERVER_CORES_MAX);
    figures.put("hot_room_gateway_cores", gateway_cores, "cores", GATEWAY_CORES_MAX);
    figures.put("hot_room_ack_p99_ms", at(0.99) as f64, "ms", f64::INFINITY);
}

/// Publishes this gateway's share, and takes what all publish: events, entries, delays of acks.
async fn talk(nth: usize, (nats, broker, mut deliveries): Gateway) -> (usize, usize, Vec<u128>) {
    let share = EVENTS_PER_S / GATEWAYS * HOT_FOR.as_secs() as usize;
    let publishing = tokio::spawn(async move {
        let mut every = interval(Duration::from_secs(1) * GATEWAYS as u32 / EVENTS_PER_S as u32);
        every.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut acks = Vec::new();
        for event_nth in 0..share {
            every.tick().await;
            let pending = broker.publish(&room(0), event(nth, event_nth)).unwrap();
            let started = Instant::now();
            acks.push(tokio::spawn(async move {
                assert!(pending.await.unwrap().stored);
                started.elapsed().as_millis()
            }));
        }
        let mut delays = Vec::new();
        for ack in acks {
            delays.push(ack.await.unwrap());
        }
        (broker, delays)
    });
    let (mut events, mut entries) = (0, 0);
    while events < share * GATEWAYS {
        let next = timeout(Duration::from_secs(30), deliveries.rooms.recv()).await;
        let Ok(next) = next else {
            panic!("gateway {nth} has {events} events in {entries} entries")
        };
        match next.unwrap().1 {
            RoomDelivery::Entry { entry, .. } => {
                events += entry.events.len();
                entries += 1;
            }
            other @ (RoomDelivery::Opened { .. }
            | RoomDelivery::Live { .. }
            | RoomDelivery::Lost { .. }
            | RoomDelivery::Silent { .. }
            | RoomDelivery::Fetched { .. }
            | RoomDelivery::Counts { .. }
            | RoomDelivery::NodeGone { .. }) => panic!("{other:?}"),
        }
    }
    let (_broker, delays) = publishing.await.unwrap();
    nats.shutdown().await;
    (events, entries, delays)
}

async fn gateway(server: &Server) -> Gateway {
    let config = Config::new(vec![server.url()]);
    let boot = BootId::random(rand::random());
    let (nats, broker, mut deliveries) =
        Nats::start(config, boot, Identity::default()).await.unwrap();
    deliveries.status.wait_for(|status| !status.is_degraded()).await.unwrap();
    (nats, broker, deliveries)
}

/// Subscribes to so many rooms and waits until all are open.
async fn open(broker: &dyn Broker, deliveries: &mut Deliveries, rooms: usize) {
    let (mut asked, mut opened) = (0, 0);
    while opened < rooms {
        while asked < rooms && broker.subscribe(&room(asked)).is_ok() {
            asked += 1;
        }
        let next = timeout(Duration::from_secs(60), deliveries.rooms.recv()).await;
        let (_, delivery) = next.expect("rooms that open").unwrap();
        assert!(matches!(delivery, RoomDelivery::Opened { .. }));
        opened += 1;
    }
}

fn room(nth: usize) -> RoomId {
    RoomId::parse(&format!("room-{nth}")).unwrap()
}

fn event(gateway: usize, nth: usize) -> Event {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(gateway as u64).to_be_bytes());
    id[8..].copy_from_slice(&(nth as u64).to_be_bytes());
    Event {
        id: EventId::random(id),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: nth as u64,
        json: Bytes::from(vec![b'x'; 200]),
    }
}

fn resident_bytes(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// User and system time of a process, in seconds: fields 14 and 15 of its `stat`, in hundredths.
fn cpu_s(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}
