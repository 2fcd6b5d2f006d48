//! The way of a danmaku from a client of one gateway, over NATS, to the socket of a client of
//! another, without its wait for the end of a slot.
//!
//! `cargo run --release -p gateway --example across`, with a nats-server that the tests find too
//! (`scripts/test.sh setup`). Both gateways, their clients and a real nats-server run on this
//! machine; speakers and viewers are WebSocket clients. Every event is counted from the time at
//! which it was to be said to the time at which a viewer has read it, less the wait: from its
//! delivery to the far gateway's hub, which is noted on the way, to the moment at which its slot
//! was due. Prints its figures, in the last line as JSON; fails if one is over its budget.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_bridge::nats::Nats;
use broker_bridge::{Deliveries, Identity, RoomDelivery};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use gateway::app::{Fabric, Gateway};
use gateway::config::Config;
use protocol::ids::{BootId, RoomId};
use protocol::slot::SlotClock;
use rig::nats::{Binary, Nats as Server};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROOMS: usize = 200;
const EVENTS_PER_S: u32 = 5_000;
/// Events that are said first and do not count.
const WARM_UP: usize = 3 * EVENTS_PER_S as usize;
const COUNTED: usize = 20 * EVENTS_PER_S as usize;
/// Queues between the parts of this program have a place for every event.
const EVENTS: usize = WARM_UP + COUNTED;
const P50_MS_MAX: f64 = 1.5;
const P99_MS_MAX: f64 = 15.0;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).init();
    let binary = Binary::newest().expect("a nats-server");
    println!("nats-server {}", binary.version);
    let clients = runtime();
    let server = clients.block_on(Server::single(&binary));
    let near = Gateway::start(config(&server)).unwrap();
    let far = FarGateway::start(config(&server));
    let journeys = clients.block_on(measure(&near, far));
    let figures = Figures::of(&journeys);
    println!("{figures}");
    println!("{}", figures.json());
    assert!(figures.p50_ms <= P50_MS_MAX && figures.p99_ms <= P99_MS_MAX, "over budget");
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn config(server: &Server) -> Config {
    let mut config = Config::dev_on_free_ports();
    config.session.publishes.burst = u32::MAX;
    config.session.commands.burst = u32::MAX;
    config.nats.urls = vec![server.url().parse().unwrap()];
    config
}

/// When events were delivered to the far hub: their numbers, and the time in seconds since 1970.
type Notes = mpsc::Receiver<(usize, f64)>;

/// The gateway of those who view. What its broker delivers is noted on its way to the hub.
struct FarGateway {
    gateway: Gateway,
    notes: Notes,
    slots: Slots,
}

impl FarGateway {
    fn start(config: Config) -> Self {
        let rules = config.nats.for_broker(&config.history).unwrap();
        let (note, notes) = mpsc::channel(EVENTS);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let running = move || async move {
            let boot = BootId::random(rand::random());
            let (nats, broker, deliveries) =
                Nats::start(rules, boot, Identity::default()).await.unwrap();
            let Deliveries { rooms, direct, settings, status } = deliveries;
            let (pass, passed) = mpsc::channel(rooms.max_capacity());
            tell.send((broker, Deliveries { rooms: passed, direct, settings, status })).unwrap();
            tokio::select! {
                () = note_and_pass(rooms, note, pass) => {}
                refused = nats.refused() => panic!("{refused}"),
            }
        };
        std::thread::spawn(move || runtime().block_on(running()));
        let (broker, deliveries) = told.recv().unwrap();
        let slots = Slots { tick_ms: config.hub.room.tick_ms, grace_ms: broker.grace_ms() };
        let gateway = Gateway::start_on(config, Fabric::Node(broker, deliveries)).unwrap();
        Self { gateway, notes, slots }
    }
}

async fn note_and_pass(
    mut rooms: mpsc::Receiver<(RoomId, RoomDelivery)>,
    note: mpsc::Sender<(usize, f64)>,
    pass: mpsc::Sender<(RoomId, RoomDelivery)>,
) {
    while let Some((room, delivery)) = rooms.recv().await {
        let now = unix_s();
        if let RoomDelivery::Entry { entry, .. } = &delivery {
            for event in entry.events.iter() {
                numbers_in(&event.json).for_each(|nth| note.try_send((nth, now)).unwrap());
            }
        }
        if pass.send((room, delivery)).await.is_err() {
            return;
        }
    }
}

/// What is known of one event, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
struct Journey {
    due: f64,
    said: f64,
    delivered: f64,
    slot_due: f64,
    read: f64,
}

impl Journey {
    fn until_delivered(&self) -> f64 {
        self.delivered - self.due
    }

    /// An event that comes when its slot is due already does not wait.
    fn after_slot(&self) -> f64 {
        self.read - self.slot_due.max(self.delivered)
    }
}

/// Lets clients of the one gateway speak at even times to those of the other.
async fn measure(near: &Gateway, far: FarGateway) -> Vec<Journey> {
    let FarGateway { gateway: far, mut notes, slots } = far;
    let mut speakers = Vec::new();
    let (read, mut reads) = mpsc::channel(EVENTS);
    for nth in 0..ROOMS {
        let (speaker, mut answers) = join(near.public_address(), &room(nth)).await.split();
        speakers.push(speaker);
        tokio::spawn(async move { while answers.next().await.is_some() {} });
        let (still, batches) = join(far.public_address(), &room(nth)).await.split();
        tokio::spawn(view(slots.of(&room(nth)), still, batches, read.clone()));
    }
    let mut journeys = vec![Journey::default(); EVENTS];
    let mut orders = speak_at_even_times();
    while let Some((nth, due)) = orders.recv().await {
        journeys[nth].due = due;
        journeys[nth].said = unix_s();
        let said = speakers[nth % ROOMS].send(Message::text(publish(nth)));
        timeout(PATIENCE, said).await.expect("a gateway that listens").unwrap();
    }
    // What was noted meanwhile is looked at afterwards: it would be in the way.
    for _ in 0..EVENTS {
        let (nth, read, slot_due) =
            timeout(PATIENCE, reads.recv()).await.expect("events that arrive").unwrap();
        (journeys[nth].read, journeys[nth].slot_due) = (read, slot_due);
    }
    while let Ok((nth, delivered)) = notes.try_recv() {
        journeys[nth].delivered = delivered;
    }
    journeys.split_off(WARM_UP)
}

fn publish(nth: usize) -> String {
    let room = room(nth % ROOMS);
    let text = format!("{nth:08} 前方高能预警，这是一条普通的弹幕");
    format!(r#"{{"type":"publish","room":"{room}","body":{{"text":"{text}"}}}}"#)
}

/// The numbers of events and the times at which they are due, each at its time: from a thread of
/// its own, because timers of the runtime are good for milliseconds only.
#[allow(clippy::disallowed_methods, reason = "sleeps until a time, which is what it is for")]
fn speak_at_even_times() -> mpsc::Receiver<(usize, f64)> {
    let (order, orders) = mpsc::channel(EVENTS);
    std::thread::spawn(move || {
        let began = unix_s();
        for nth in 0..EVENTS {
            let due = began + nth as f64 / f64::from(EVENTS_PER_S);
            let wait = due - unix_s();
            if wait > 0.0 {
                std::thread::sleep(Duration::from_secs_f64(wait));
            }
            if order.try_send((nth, due)).is_err() {
                return;
            }
        }
    });
    orders
}

/// When slots are due.
#[derive(Debug, Clone, Copy)]
struct Slots {
    tick_ms: u32,
    /// What the broker gives entries of other gateways to arrive.
    grace_ms: u64,
}

impl Slots {
    fn of(self, room: &RoomId) -> impl Fn(f64) -> f64 + use<> {
        let clock = SlotClock::new(room, self.tick_ms);
        move |read| {
            let closed = clock.slot_of((read * 1e3) as u64 - self.grace_ms) - 1;
            (clock.end_of(closed) + self.grace_ms) as f64 / 1e3
        }
    }
}

/// Notes what a viewer reads: each event's number, the time, and when its slot was due.
async fn view(
    slot_due: impl Fn(f64) -> f64,
    _still: SplitSink<Socket, Message>,
    mut batches: SplitStream<Socket>,
    read: mpsc::Sender<(usize, f64, f64)>,
) {
    while let Some(Ok(message)) = batches.next().await {
        let now = unix_s();
        for nth in numbers_in(&message.into_data()) {
            if read.try_send((nth, now, slot_due(now))).is_err() {
                return;
            }
        }
    }
}

async fn join(gateway: SocketAddr, room: &RoomId) -> Socket {
    let joining = async {
        let (mut socket, _) = connect_async(format!("ws://{gateway}/ws")).await.unwrap();
        let MaybeTlsStream::Plain(stream) = socket.get_ref() else { unreachable!("no TLS") };
        stream.set_nodelay(true).unwrap();
        let join = format!(r#"{{"type":"join","id":1,"room":"{room}"}}"#);
        loop {
            socket.send(Message::text(join.clone())).await.unwrap();
            while let Some(message) = socket.next().await {
                let text = message.unwrap().into_text().unwrap();
                if text.contains(r#""joined""#) {
                    return socket;
                }
                // The servers may not have been reached yet.
                if text.contains(r#""error""#) {
                    assert!(text.contains("unavailable"), "{text}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    break;
                }
            }
        }
    };
    timeout(PATIENCE, joining).await.expect("a room that opens")
}

fn room(nth: usize) -> RoomId {
    RoomId::parse(&format!("room-{nth}")).unwrap()
}

/// The numbers that the texts of events begin with.
fn numbers_in(json: &[u8]) -> impl Iterator<Item = usize> {
    const BEFORE: &[u8] = br#""text":""#;
    let starts = json.windows(BEFORE.len()).enumerate().filter(|(_, window)| *window == BEFORE);
    starts.map(|(at, _)| {
        let digits = &json[at + BEFORE.len()..][..8];
        std::str::from_utf8(digits).unwrap().parse().unwrap()
    })
}

fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What came out, in milliseconds.
struct Figures {
    p50_ms: f64,
    p99_ms: f64,
    parts: Vec<(&'static str, f64, f64)>,
}

impl Figures {
    fn of(journeys: &[Journey]) -> Self {
        let whole = |one: &Journey| one.until_delivered() + one.after_slot();
        let part = |name, part: fn(&Journey) -> f64| {
            let (p50, p99) = percentiles(journeys.iter().map(part));
            (name, p50, p99)
        };
        let parts = vec![
            part("due to said (the generator's own delay)", |one| one.said - one.due),
            part("due to the far hub", Journey::until_delivered),
            part("end of the slot to the socket", Journey::after_slot),
        ];
        let (p50_ms, p99_ms) = percentiles(journeys.iter().map(whole));
        Self { p50_ms, p99_ms, parts }
    }

    fn json(&self) -> String {
        format!(
            r#"{{"figures":{{"across_p50_ms":{{"value":{},"unit":"ms"}},"across_p99_ms":{{"value":{},"unit":"ms"}}}}}}"#,
            self.p50_ms, self.p99_ms
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{EVENTS_PER_S} events/s over {ROOMS} rooms, from a client of one gateway to a socket \
             of another, without the wait for the slot: p50 {:.2} ms, p99 {:.2} ms",
            self.p50_ms, self.p99_ms
        )?;
        for (name, p50, p99) in &self.parts {
            writeln!(f, "  {name}: p50 {p50:.2} ms, p99 {p99:.2} ms")?;
        }
        Ok(())
    }
}

/// The middle and the worst hundredth, of seconds, in milliseconds.
fn percentiles(seconds: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut all: Vec<f64> = seconds.map(|s| s * 1e3).collect();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[(all.len() as f64 * share) as usize];
    (at(0.5), at(0.99))
}
