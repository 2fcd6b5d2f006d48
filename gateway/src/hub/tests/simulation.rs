//! Several gateways on one log, in virtual time, while their brokers lose, delay, repeat and
//! refuse: every viewer's account closes, wherever it goes.
//!
//! Everything is decided by a seed. What a seed has found is repeated with the number that the
//! failure prints.

use std::collections::HashSet;
use std::sync::Mutex;

use broker_bridge::faulty::{Faults, Faulty, FaultyControl};
use protocol::cursor::Bookmark;
use protocol::frame;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rig::account::Account;
use rig::account::log::Log;
use rig::account::message::Message;
use rig::account::verdict::{Evidence, Sums, judge};
use rig::seed::seeded;
use tokio::task::JoinHandle;

use super::*;

const ROOM: &str = "demo";
const NODES: usize = 4;
const VIEWERS: usize = 12;
const STEPS: usize = 250;

/// Gateways, their viewers, and the log that all of it is about.
struct Simulation {
    random: StdRng,
    nodes: Vec<(Stage, FaultyControl)>,
    viewers: Vec<Viewer>,
    log: Arc<Mutex<Log>>,
    _scribe: JoinHandle<()>,
    _bus: Bus,
    published: u64,
    /// The share of publications past the log, and their events.
    live_share: f64,
    live: HashSet<EventId>,
}

/// A viewer, who is at one node at most.
#[derive(Default)]
struct Viewer {
    at: Place,
    /// Which of its stays this is: seats are never used again.
    stays: u16,
    since: Option<Bookmark>,
    account: Account,
    recovered: u64,
    returned: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Nowhere,
    /// It has asked a node to be let in.
    Asking(usize),
    Seated(usize),
}

impl Simulation {
    fn start(seed: u64, faults: Faults, live_share: f64) -> Self {
        let bus = Bus::start(BusConfig::default());
        let mut random = StdRng::seed_from_u64(seed);
        let nodes = (0..NODES).map(|node| {
            let (broker, deliveries) = bus.node(BootId::random([node as u8 + 1; 8]));
            let (broker, deliveries, control) =
                Faulty::wrap(broker, deliveries, random.random(), faults);
            (Stage::on(broker, deliveries), control)
        });
        let nodes = nodes.collect();
        let log = Arc::new(Mutex::new(Log::default()));
        let (broker, deliveries) = bus.node(BootId::random([99; 8]));
        broker.subscribe(&room_id(ROOM)).unwrap();
        let scribe = tokio::spawn(write_down(broker, deliveries, Arc::clone(&log)));
        let viewers = (0..VIEWERS).map(|_| Viewer::default()).collect();
        Self {
            random,
            nodes,
            viewers,
            log,
            _scribe: scribe,
            _bus: bus,
            published: 0,
            live_share,
            live: HashSet::new(),
        }
    }

    /// Something happens, and time passes.
    async fn step(&mut self) {
        match self.random.random_range(0..10) {
            0..=5 => self.publish(),
            6..=8 => {
                let viewer = self.random.random_range(0..VIEWERS);
                match self.viewers[viewer].at {
                    Place::Nowhere => self.join(viewer).await,
                    Place::Asking(node) | Place::Seated(node) => self.leave(viewer, node).await,
                }
            }
            _ => {}
        }
        let pause_ms = self.random.random_range(0..400);
        self.pass(pause_ms).await;
    }

    fn publish(&mut self) {
        let node = self.random.random_range(0..NODES);
        let (stage, _) = &self.nodes[node];
        // Far over the budget now and then.
        let most = if self.random.random_bool(0.1) { 200 } else { 12 };
        let is_live = self.random.random_bool(self.live_share);
        for _ in 0..self.random.random_range(0..most) {
            self.published += 1;
            // Busy or unanswered: what is in the log counts, whatever its publisher was told.
            let event = event(self.published, stage.now_ms());
            if is_live {
                self.live.insert(event.id);
                drop(stage.broker.publish_live(&room_id(ROOM), event));
            } else {
                drop(stage.broker.publish(&room_id(ROOM), event));
            }
        }
    }

    async fn join(&mut self, viewer: usize) {
        let node = self.random.random_range(0..NODES);
        let own = &mut self.viewers[viewer];
        own.stays += 1;
        own.at = Place::Asking(node);
        let join = own.join(viewer);
        self.nodes[node].0.join_with(ROOM, join).await;
    }

    async fn leave(&mut self, viewer: usize, node: usize) {
        let own = &mut self.viewers[viewer];
        own.at = Place::Nowhere;
        let Join { address, seat, .. } = own.join(viewer);
        let room = room_id(ROOM);
        self.nodes[node].0.hubs.command(HubCommand::Leave { room, address, seat }).await;
    }

    /// Lets time pass, and hands everything that hubs have said to the viewers.
    async fn pass(&mut self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        for node in 0..NODES {
            for shard in 0..SHARDS {
                while let Ok(said) =
                    timeout(Duration::ZERO, self.nodes[node].0.shards[shard].next_room()).await
                {
                    self.hear(node, shard, said.expect("the hub lives"));
                }
            }
        }
    }

    fn hear(&mut self, node: usize, shard: usize, said: RoomCommand) {
        match said {
            RoomCommand::Answer(answer) => {
                let tail = match &answer.tail {
                    AnswerTail::Copied(tail) => tail,
                    AnswerTail::Shared(last) => frame::payload(last),
                };
                let text = [&br#"{"type":"joined","#[..], tail].concat();
                for join in &answer.joins {
                    let viewer = &mut self.viewers[join.address.slot as usize];
                    if viewer.at == Place::Asking(node) && join.seat.number == viewer.stays {
                        viewer.seated(node, answer.head, &text);
                    }
                }
            }
            RoomCommand::Refuse { joins, .. } => {
                for join in joins {
                    let viewer = &mut self.viewers[join.address.slot as usize];
                    if join.seat.number == viewer.stays {
                        viewer.at = Place::Nowhere;
                    }
                }
            }
            RoomCommand::Dismiss { .. } => panic!("no room is deleted"),
            RoomCommand::Frame(frame) => {
                for (number, viewer) in self.viewers.iter_mut().enumerate() {
                    if viewer.at == Place::Seated(node) && number % SHARDS == shard {
                        viewer.hear(&frame);
                    }
                }
            }
        }
    }

    /// Everything comes to rest: nothing goes wrong any more, and everybody who is somewhere
    /// hears the rest of the log.
    async fn settle(&mut self) {
        for (_, control) in &self.nodes {
            control.set(Faults::default());
        }
        for _ in 0..120 {
            self.pass(1_000).await;
        }
    }

    /// Fails unless every account closes and everybody who is seated has heard everything.
    fn judge(&self, seed: u64) -> Sums {
        let log = self.log.lock().unwrap();
        let evidence = Evidence { live: self.live.clone(), uncertain: 0 };
        let mut all = Sums::default();
        for (number, viewer) in self.viewers.iter().enumerate() {
            let (sums, findings) = judge(&viewer.account, &log, &evidence);
            assert_eq!(findings, [], "viewer {number}: repeat with seed {seed}");
            assert!(!matches!(viewer.at, Place::Asking(_)), "every join is answered: seed {seed}");
            if let (Place::Seated(node), Some(cursor)) = (viewer.at, viewer.account.cursor()) {
                let rest = log.between(cursor.seq, u64::MAX);
                assert!(rest.is_empty(), "viewer {number} at {node} is behind: seed {seed}");
            }
            all += sums;
        }
        all
    }
}

impl Viewer {
    fn join(&self, number: usize) -> Join {
        let seat = Seat { number: self.stays, form: Form::Plain };
        Join { seat, since: self.since, ..join(number as u32) }
    }

    fn seated(&mut self, node: usize, head: Bookmark, text: &[u8]) {
        let Ok(Message::Joined(joined)) = serde_json::from_slice(text) else {
            panic!("no joined: {}", String::from_utf8_lossy(text));
        };
        self.at = Place::Seated(node);
        self.returned += u64::from(self.since.is_some());
        self.recovered += u64::from(joined.recovered == Some(true));
        self.account.joined(&joined, self.since.map(|since| since.at));
        self.since = Some(head);
    }

    /// Takes the variant that begins where it stands, as a shard would give it.
    fn hear(&mut self, frame: &ShardFrame) {
        let own = |variant: &&crate::shard::FrameVariant| Some(variant.prev) == self.since;
        let Some(variant) = frame.variants.iter().find(own) else { return };
        let bytes = variant.forms[Form::Plain as usize].as_ref().expect("it is wanted");
        match serde_json::from_slice(frame::payload(bytes)).expect("a message") {
            Message::Batch(batch) => self.account.batch(&batch),
            Message::Gap(gap) => self.account.gap(&gap),
            Message::Joined(_)
            | Message::Ack(_)
            | Message::Error(_)
            | Message::Goodbye(_)
            | Message::Other => panic!("neither a batch nor a gap"),
        }
        self.since = Some(variant.cursor);
    }
}

fn event(number: u64, ts_ms: u64) -> Event {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let id = EventId::random(id);
    let json = format!("{{\"id\":\"{id}\"}}").into();
    Event { id, class: Class::Chat, weight: WEIGHT_DEFAULT, ts_ms, json }
}

async fn write_down(broker: Arc<dyn Broker>, mut deliveries: Deliveries, log: Arc<Mutex<Log>>) {
    while let Some((_, delivery)) = deliveries.rooms.recv().await {
        if let RoomDelivery::Entry { entry, .. } = delivery {
            let ids = entry.events.iter().map(|event| event.id);
            log.lock().unwrap().append(entry.seq, ids);
        }
    }
    drop(broker);
}

/// Runs a simulation; returns what its viewers were told, and how many returned and recovered.
async fn simulate(seed: u64, faults: Faults, live_share: f64) -> (Sums, u64, u64) {
    let mut simulation = Simulation::start(seed, faults, live_share);
    for _ in 0..STEPS {
        simulation.step().await;
    }
    simulation.settle().await;
    let sum = |count: fn(&Viewer) -> u64| simulation.viewers.iter().map(count).sum();
    (simulation.judge(seed), sum(|viewer| viewer.returned), sum(|viewer| viewer.recovered))
}

const FAULTS: Faults = Faults {
    loss_permille: 0,
    told_loss_permille: 30,
    duplication_permille: 100,
    reorder_permille: 0,
    delay_ms_max: 60,
    busy_permille: 200,
    lost_ack_permille: 100,
    ack_delay_ms: 0,
};

#[tokio::test(start_paused = true)]
async fn accounts_close_on_every_node_however_deliveries_are_delayed_repeated_and_lost() {
    let mut random = seeded();
    let (mut all, mut returned, mut recovered) = (Sums::default(), 0, 0);
    for _ in 0..10 {
        let (sums, returns, recoveries) = simulate(random.random(), FAULTS, 0.0).await;
        all += sums;
        returned += returns;
        recovered += recoveries;
    }
    assert!(all.received > 1_000 && all.told_missing > 100 && all.live == 0, "{all:?}");
    assert!(recovered > 100, "{recovered} of {returned}");
}

#[tokio::test(start_paused = true)]
async fn accounts_close_with_live_events_among_those_of_the_log() {
    let mut random = seeded();
    let mut all = Sums::default();
    for _ in 0..10 {
        all += simulate(random.random(), FAULTS, 0.2).await.0;
    }
    assert!(all.received > 1_000 && all.live > 100 && all.beyond > 0, "{all:?}");
    assert_eq!((all.between, all.early), (0, 0), "what went out live is in no log: {all:?}");
}

#[tokio::test(start_paused = true)]
async fn without_faults_everybody_recovers_everything_wherever_they_return() {
    let mut random = seeded();
    let faults = Faults::default();
    let (sums, returned, recovered) = simulate(random.random(), faults, 0.0).await;
    assert!(sums.received > 100 && returned > 20, "{sums:?} {returned}");
    assert_eq!(recovered, returned);
}
