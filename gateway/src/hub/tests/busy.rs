//! A hub whose broker refuses, is silent, or delivers late and twice.

use std::sync::atomic::{AtomicU32, Ordering};

use broker_bridge::faulty::{Faults, Faulty};
use broker_bridge::{Busy, Counts, Load, Node, PendingAck, Queue, Recipient, Status};
use bytes::Bytes;
use protocol::refusal::Code;
use tokio::sync::{oneshot, watch};

use super::*;

/// A broker that only notes what it is asked, and is too busy for as many verbs as it is told.
struct Mute {
    busy: AtomicU32,
    asked: mpsc::Sender<String>,
}

impl Mute {
    fn note(&self, verb: String) -> Result<(), Busy> {
        let left = self.busy.load(Ordering::Relaxed);
        if left > 0 {
            self.busy.store(left - 1, Ordering::Relaxed);
            return Err(Busy);
        }
        self.asked.try_send(verb).unwrap();
        Ok(())
    }
}

impl Broker for Mute {
    fn boot(&self) -> BootId {
        BootId::random([1; 8])
    }

    fn grace_ms(&self) -> u64 {
        0
    }

    fn publish(&self, _: &RoomId, _: Event) -> Result<PendingAck, Busy> {
        Err(Busy)
    }

    fn publish_live(&self, _: &RoomId, _: Event) -> Result<PendingAck, Busy> {
        Err(Busy)
    }

    fn subscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.note(format!("+{room}"))
    }

    fn unsubscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.note(format!("-{room}"))
    }

    fn fetch(&self, room: &RoomId, after: Cursor) -> Result<(), Busy> {
        self.note(format!("?{room} {}", after.seq))
    }

    fn send(&self, _: Recipient, _: Bytes) -> Result<(), Busy> {
        Err(Busy)
    }

    fn report(&self, _: &RoomId, _: Counts) -> Result<(), Busy> {
        Err(Busy)
    }

    fn put_settings(&self, _: &RoomId, _: Option<Bytes>) -> Result<PendingAck, Busy> {
        Err(Busy)
    }

    fn announce(&self, _: Load) {}

    fn nodes(&self) -> Vec<Node> {
        Vec::new()
    }

    fn queues(&self) -> Vec<(Queue, usize)> {
        Vec::new()
    }
}

type Deliver = mpsc::Sender<(RoomId, RoomDelivery)>;

/// A hub on a mute broker, the broker, what it was asked, and the deliveries' other end.
fn muted() -> (Stage, Arc<Mute>, mpsc::Receiver<String>, Deliver) {
    let (asked, verbs) = mpsc::channel(64);
    let (deliver, rooms) = mpsc::channel(64);
    let (_, direct) = mpsc::channel(1);
    let mute = Arc::new(Mute { busy: AtomicU32::new(0), asked });
    let broker: Arc<dyn Broker> = Arc::<Mute>::clone(&mute);
    let (_, settings) = mpsc::channel(1);
    let (_, status) = watch::channel(Status::WELL);
    let deliveries = Deliveries { rooms, direct, settings, status };
    (Stage::on(broker, deliveries), mute, verbs, deliver)
}

fn opened(seq: u64) -> RoomDelivery {
    let epoch = protocol::cursor::Epoch::random([9; 8]);
    RoomDelivery::Opened { head: Cursor { epoch, seq }, recent: Vec::new() }
}

fn asked(verbs: &mut mpsc::Receiver<String>) -> Vec<String> {
    std::iter::from_fn(|| verbs.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_tried_again_until_it_is_taken() {
    let (stage, mute, mut verbs, _deliver) = muted();
    mute.busy.store(3, Ordering::Relaxed);
    stage.join("a", 0).await;
    stage.join("b", 0).await;
    stage.pass(19).await;
    assert_eq!(asked(&mut verbs), Vec::<String>::new());
    stage.pass(200).await;
    assert_eq!(asked(&mut verbs), ["+a", "+b"]);
    assert_eq!(stage.metric("barrage_queue_full_total{queue=\"broker\"}"), 3.0);
}

#[tokio::test(start_paused = true)]
async fn refused_verbs_keep_their_order_with_those_that_come_later() {
    let (mut stage, mute, mut verbs, deliver) = muted();
    stage.join("a", 0).await;
    deliver.send((room_id("a"), opened(0))).await.unwrap();
    stage.answer(0).await;
    stage.leave("a", 0).await;
    mute.busy.store(1, Ordering::Relaxed);
    while stage.metrics.rooms.get() > 0 {
        stage.pass(1).await;
    }
    // Given up, but not unsubscribed yet, when somebody comes.
    stage.join("a", 0).await;
    stage.pass(200).await;
    assert_eq!(asked(&mut verbs), ["+a", "-a", "+a"], "the other way round it would stay deaf");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_does_not_open_refuses_its_joins_and_questions() {
    let (mut stage, _mute, _verbs, _deliver) = muted();
    stage.join("a", 0).await;
    stage.join("a", 1).await;
    let (answer, info) = oneshot::channel();
    stage.hubs.command(HubCommand::Ask { room: room_id("a"), events: 1, answer }).await;
    for shard in 0..SHARDS {
        let RoomCommand::Refuse { room, joins, refusal } = stage.next(shard).await else {
            panic!("it cannot be open")
        };
        assert_eq!((room, joins.as_slice()), (room_id("a"), [join(shard as u32)].as_slice()));
        assert_eq!((refusal.code, stage.now_ms()), (Code::Unavailable, START_MS + 5_000));
    }
    assert!(info.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_past_that_is_gone_is_not_recovered_and_one_that_the_broker_is_too_busy_to_tell_refused()
{
    let (mut stage, mute, mut verbs, deliver) = muted();
    let RoomDelivery::Opened { head, .. } = opened(9) else { unreachable!() };
    stage.join_with("a", Join { since: Some(head.at(5).into()), ..join(0) }).await;
    deliver.send((room_id("a"), opened(9))).await.unwrap();
    stage.silence(0, Duration::from_secs(4)).await;
    let fetched = RoomDelivery::Fetched { after: head.at(5), entries: None };
    deliver.send((room_id("a"), fetched)).await.unwrap();
    let AnswerTail::Copied(tail) = stage.answer(0).await.tail else { panic!("it is short") };
    let tail = String::from_utf8(tail.to_vec()).unwrap();
    assert!(tail.contains(r#""recovered":false"#), "{tail}");
    assert_eq!(asked(&mut verbs), ["+a", "?a 5"]);

    mute.busy.store(1, Ordering::Relaxed);
    stage.join_with("a", Join { since: Some(head.at(5).into()), ..join(0) }).await;
    let next = stage.next(0).await;
    let RoomCommand::Refuse { joins, refusal, .. } = next else { panic!("{next:?}") };
    assert_eq!((joins.len(), refusal.code), (1, Code::Unavailable));
    assert_eq!(asked(&mut verbs), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn late_repeated_and_refused_deliveries_change_nothing_for_viewers() {
    for seed in 0..20 {
        let bus = Bus::start(BusConfig::default());
        let (broker, deliveries) = bus.node(BootId::random([1; 8]));
        let faults = Faults {
            duplication_permille: 300,
            delay_ms_max: 40,
            busy_permille: 500,
            ..Faults::default()
        };
        let (faulty, deliveries, _control) =
            Faulty::wrap(Arc::clone(&broker), deliveries, seed, faults);
        let mut stage = Stage::on(faulty, deliveries);
        stage.join("demo", 0).await;
        let mut at = stage.answer(0).await.head.at.seq;
        for n in 1..=50 {
            drop(broker.publish(&room_id("demo"), chat(n, stage.now_ms(), 0)).unwrap());
            stage.pass(77).await;
        }
        let mut told = Vec::new();
        while told.len() < 50 {
            let frame = stage.frame(0).await;
            assert_eq!(frame.variants[0].prev.at.seq, at, "seed {seed}");
            at = frame.variants[0].cursor.at.seq;
            told.extend(numbers(&frame));
        }
        assert_eq!(told, (1..=50).collect::<Vec<_>>(), "seed {seed}");
        stage.silence(0, Duration::from_secs(4)).await;
    }
}
