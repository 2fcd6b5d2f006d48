//! What `Faulty` does to a broker, and that it does the same for the same seed.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use broker_bridge::embedded::{Bus, BusConfig};
use broker_bridge::faulty::{Faults, Faulty, FaultyControl, Injected};
use broker_bridge::{Broker, Busy, Deliveries, PublishError, RoomDelivery};
use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{BootId, EventId, RoomId};
use tokio::time::{Instant, timeout};

const EVERYTHING: Faults = Faults {
    loss_permille: 50,
    told_loss_permille: 50,
    duplication_permille: 50,
    reorder_permille: 50,
    delay_ms_max: 20,
    busy_permille: 50,
    lost_ack_permille: 50,
    ack_delay_ms: 5,
};

struct Rig {
    _bus: Bus,
    broker: Arc<dyn Broker>,
    deliveries: Deliveries,
    control: FaultyControl,
}

fn room() -> RoomId {
    RoomId::parse("a").unwrap()
}

fn event(nth: u64) -> Event {
    Event {
        id: EventId::random([0; 16]),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: nth,
        json: Bytes::from_static(b"{}"),
    }
}

impl Rig {
    fn new(seed: u64, faults: Faults) -> Self {
        let bus = Bus::start(BusConfig::default());
        let (broker, deliveries) = bus.node(BootId::random([1; 8]));
        let (broker, deliveries, control) = Faulty::wrap(broker, deliveries, seed, faults);
        Self { _bus: bus, broker, deliveries, control }
    }

    async fn open(&mut self) -> Cursor {
        while self.broker.subscribe(&room()).is_err() {}
        match self.deliveries.rooms.recv().await.unwrap().1 {
            RoomDelivery::Opened { head, .. } => head,
            other @ (RoomDelivery::Entry { .. }
            | RoomDelivery::Live { .. }
            | RoomDelivery::Lost { .. }
            | RoomDelivery::Silent { .. }
            | RoomDelivery::Fetched { .. }
            | RoomDelivery::Counts { .. }
            | RoomDelivery::NodeGone { .. }) => panic!("expected opened, got {other:?}"),
        }
    }

    /// Publishes so many events, one per millisecond; what became of each.
    async fn publish(&self, count: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for nth in 0..count {
            outcomes.push(match self.broker.publish(&room(), event(nth)) {
                Err(Busy) => Outcome::Refused,
                Ok(pending) => match pending.await {
                    Ok(_) => Outcome::Stored,
                    Err(PublishError::Unavailable) => Outcome::Unanswered,
                },
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        outcomes
    }

    /// Everything that is delivered until nothing comes for a while: when, and which.
    async fn arrivals(&mut self, since: Instant) -> Vec<(Duration, u64)> {
        let mut arrived = Vec::new();
        let quiet = Duration::from_secs(10);
        while let Ok(Some((_, delivery))) = timeout(quiet, self.deliveries.rooms.recv()).await {
            match delivery {
                RoomDelivery::Entry { entry, .. } => arrived.push((since.elapsed(), entry.seq)),
                RoomDelivery::Lost { .. } => {}
                other => panic!("expected an entry, got {other:?}"),
            }
        }
        arrived
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Refused,
    Stored,
    Unanswered,
}

type Record = (Vec<Outcome>, Vec<(Duration, u64)>, Injected);

/// The same scene every time: 500 events, one per millisecond, with everything going wrong.
async fn scene(seed: u64) -> Record {
    let mut rig = Rig::new(seed, EVERYTHING);
    rig.open().await;
    let started = Instant::now();
    let outcomes = rig.publish(500).await;
    let arrivals = rig.arrivals(started).await;
    (outcomes, arrivals, rig.control.injected())
}

fn numbers(arrivals: &[(Duration, u64)]) -> Vec<u64> {
    arrivals.iter().map(|(_, seq)| *seq).collect()
}

#[tokio::test(start_paused = true)]
async fn same_seed_gives_same_faults_at_same_times_and_another_seed_gives_others() {
    let first = scene(42).await;
    assert_eq!(scene(42).await, first, "seed 42");
    let other = scene(43).await;
    assert_ne!(other.0, first.0);
    assert_ne!(other.1, first.1);
    let Injected { lost, told_lost, duplicated, reordered, delayed, refused, acks_lost } = first.2;
    for happened in [lost, told_lost, duplicated, reordered, refused, acks_lost] {
        assert!((5..=50).contains(&happened), "about 25 of 500: {:?}", first.2);
    }
    assert!(delayed > 300, "{delayed}");
}

#[tokio::test(start_paused = true)]
async fn without_faults_everything_passes_unchanged() {
    let mut rig = Rig::new(1, Faults::default());
    rig.open().await;
    assert_eq!(rig.publish(100).await, [Outcome::Stored; 100]);
    assert_eq!(numbers(&rig.arrivals(Instant::now()).await), (1..=100).collect::<Vec<_>>());
    assert_eq!(rig.control.injected(), Injected::default());
}

#[tokio::test(start_paused = true)]
async fn lost_entries_are_missing_from_the_deliveries_but_not_from_the_log() {
    let mut rig = Rig::new(1, Faults { loss_permille: 300, ..Faults::default() });
    let head = rig.open().await;
    rig.publish(100).await;
    let arrived = rig.arrivals(Instant::now()).await;
    assert_eq!(arrived.len() as u64, 100 - rig.control.injected().lost);
    assert!(arrived.len() < 90 && arrived.is_sorted());
    rig.broker.fetch(&room(), head).unwrap();
    let (_, fetched) = rig.deliveries.rooms.recv().await.unwrap();
    let RoomDelivery::Fetched { entries: Some(entries), .. } = fetched else {
        panic!("expected all entries, got {fetched:?}");
    };
    assert_eq!(entries.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn entries_that_cannot_be_had_are_told_in_their_place() {
    let mut rig = Rig::new(1, Faults { told_loss_permille: 300, ..Faults::default() });
    rig.open().await;
    rig.publish(100).await;
    let (mut last, mut told) = (0, 0);
    while last < 100 {
        let (_, delivery) = rig.deliveries.rooms.recv().await.unwrap();
        last = match delivery {
            RoomDelivery::Entry { entry, .. } => {
                assert_eq!(entry.prev, last);
                entry.seq
            }
            RoomDelivery::Lost { upto, events } => {
                assert_eq!((upto, events), (last + 1, 1));
                told += 1;
                upto
            }
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(told, rig.control.injected().told_lost);
    assert!((20..=45).contains(&told), "about 30 of 100: {told}");
}

#[tokio::test(start_paused = true)]
async fn delays_keep_the_order_and_stay_within_their_bound() {
    let mut rig = Rig::new(1, Faults { delay_ms_max: 50, ..Faults::default() });
    rig.open().await;
    let started = Instant::now();
    rig.broker.publish(&room(), event(0)).unwrap().await.unwrap();
    rig.publish(99).await;
    let arrived = rig.arrivals(started).await;
    assert_eq!(numbers(&arrived), (1..=100).collect::<Vec<_>>());
    // The last of 100 was published in millisecond 99, and nothing waits longer than 50.
    assert!(arrived[99].0 <= Duration::from_millis(99 + 50 + 2), "{:?}", arrived[99].0);
    assert!(rig.control.injected().delayed > 50);
}

#[tokio::test(start_paused = true)]
async fn a_lost_ack_does_not_undo_what_was_stored() {
    let mut rig = Rig::new(1, Faults { lost_ack_permille: 1_000, ..Faults::default() });
    rig.open().await;
    assert_eq!(rig.publish(3).await, [Outcome::Unanswered; 3]);
    assert_eq!(numbers(&rig.arrivals(Instant::now()).await), [1, 2, 3]);
    assert_eq!(rig.control.injected().acks_lost, 3);
}

#[tokio::test(start_paused = true)]
async fn a_late_ack_is_late_and_the_same() {
    let mut rig = Rig::new(1, Faults { ack_delay_ms: 700, ..Faults::default() });
    rig.open().await;
    let began = Instant::now();
    assert_eq!(rig.publish(1).await, [Outcome::Stored]);
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refused_verb_never_reaches_the_broker() {
    let mut rig = Rig::new(1, Faults::default());
    rig.open().await;
    rig.control.set(Faults { busy_permille: 1_000, ..Faults::default() });
    assert_eq!(rig.publish(3).await, [Outcome::Refused; 3]);
    assert_eq!(rig.broker.subscribe(&room()), Err(Busy));
    assert_eq!(rig.arrivals(Instant::now()).await, []);
    assert_eq!(rig.control.injected().refused, 4);
    rig.control.set(Faults::default());
    assert_eq!(rig.publish(1).await, [Outcome::Stored]);
    assert_eq!(numbers(&rig.arrivals(Instant::now()).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_faulty_broker_ends_with_its_handle_and_delivers_what_is_on_its_way() {
    let mut rig = Rig::new(1, Faults { reorder_permille: 1_000, ..Faults::default() });
    rig.open().await;
    rig.publish(3).await;
    drop(rig.broker);
    let mut arrived = 0;
    while rig.deliveries.rooms.recv().await.is_some() {
        arrived += 1;
    }
    assert_eq!(arrived, 3);
    rig.control.ended().await;
}

#[tokio::test]
async fn the_seed_is_told_to_whoever_looks() {
    let rig = Rig::new(12_345, EVERYTHING);
    assert_eq!(rig.control.seed(), 12_345);
    assert!(format!("{:?}", rig.control).contains("seed: 12345"));
}
