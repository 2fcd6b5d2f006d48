//! What the embedded bus does beyond the contract: its grace, its counters, its memory, its end.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use broker_bridge::embedded::{Bus, BusConfig, Retention, Topology};
use broker_bridge::{
    Broker, Busy, Counts, Deliveries, PendingAck, PublishError, Recipient, RoomDelivery,
};
use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{Address, BootId, EventId, RoomId};
use tokio::runtime::Handle;
use tokio::time::timeout;

fn event(nth: u8) -> Event {
    Event {
        id: EventId::random([nth; 16]),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: 1,
        json: Bytes::from_static(b"{}"),
    }
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn boot(n: u8) -> BootId {
    BootId::random([n; 8])
}

fn shared() -> Bus {
    Bus::start(BusConfig { nodes: Topology::Shared, retention: Retention::default() })
}

/// Publishes until the queue is full; nothing else runs meanwhile on these runtimes.
fn fill(broker: &Arc<dyn Broker>, room: &RoomId) -> Vec<PendingAck> {
    std::iter::from_fn(|| broker.publish(room, event(1)).ok()).collect()
}

/// Waits for something that must happen.
async fn patiently<T>(condition: impl IntoFuture<Output = T>) -> T {
    timeout(Duration::from_secs(30), condition).await.expect("waited in vain")
}

async fn next(deliveries: &mut Deliveries) -> RoomDelivery {
    patiently(deliveries.rooms.recv()).await.unwrap().1
}

async fn open(broker: &Arc<dyn Broker>, deliveries: &mut Deliveries, room: &RoomId) -> Cursor {
    broker.subscribe(room).unwrap();
    match next(deliveries).await {
        RoomDelivery::Opened { head, .. } => head,
        other => panic!("expected opened, got {other:?}"),
    }
}

async fn until(condition: impl Fn() -> bool) {
    patiently(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_single_node_has_no_grace_and_nodes_of_a_cluster_have_some() {
    let single = Bus::start(BusConfig::default());
    assert_eq!(single.node(boot(1)).0.grace_ms(), 0);
    let shared = shared();
    assert_eq!(shared.node(boot(1)).0.grace_ms(), 50);
    assert_eq!(shared.node(boot(2)).0.grace_ms(), 50);
}

#[tokio::test]
async fn a_bus_counts_what_it_does() {
    let bus = shared();
    let stats = bus.stats();
    let (broker, mut deliveries) = bus.node(boot(1));
    let accepted = fill(&broker, &room("a"));
    assert_eq!((stats.published(), stats.busy(), stats.dropped()), (0, 1, 0));
    assert_eq!(accepted.len(), 4_096);
    for ack in accepted {
        assert!(patiently(ack).await.unwrap().stored);
    }
    assert_eq!((stats.published(), stats.busy(), stats.dropped()), (4_096, 1, 0));

    let to = |boot| Recipient::Address(Address { boot, shard: 0, slot: 0, generation: 0 });
    broker.send(to(boot(9)), Bytes::new()).unwrap();
    broker.send(to(boot(1)), Bytes::new()).unwrap();
    patiently(deliveries.direct.recv()).await.unwrap();
    assert_eq!((stats.published(), stats.busy(), stats.dropped()), (4_096, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn entries_are_kept_for_ten_minutes_and_hardly_longer() {
    let bus = Bus::start(BusConfig::default());
    let (broker, mut deliveries) = bus.node(boot(1));
    let a = room("a");
    let start = open(&broker, &mut deliveries, &a).await;
    broker.publish(&a, event(1)).unwrap().await.unwrap();
    next(&mut deliveries).await;
    for (wait_ms, is_kept) in [(599_000, true), (2_001, false)] {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        broker.fetch(&a, start).unwrap();
        let RoomDelivery::Fetched { entries, .. } = next(&mut deliveries).await else {
            panic!("expected fetched");
        };
        assert_eq!(entries.is_some(), is_kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_room_comes_back_with_an_epoch_that_no_old_cursor_fits() {
    let bus = Bus::start(BusConfig::default());
    let (broker, mut deliveries) = bus.node(boot(1));
    let a = room("a");
    let old = open(&broker, &mut deliveries, &a).await;
    broker.publish(&a, event(1)).unwrap().await.unwrap();
    next(&mut deliveries).await;
    broker.unsubscribe(&a).unwrap();
    tokio::time::sleep(Duration::from_secs(602)).await;
    let new = open(&broker, &mut deliveries, &a).await;
    assert_ne!(new.epoch, old.epoch);
    assert_eq!(new.seq, 0);
}

#[tokio::test]
async fn a_bus_ends_with_the_last_handle() {
    let bus = shared();
    let (first, _first_deliveries) = bus.node(boot(1));
    let (second, _second_deliveries) = bus.node(boot(2));
    drop(bus);
    first.publish(&room("a"), event(1)).unwrap().await.unwrap();
    drop(first);
    second.publish(&room("a"), event(1)).unwrap().await.unwrap();
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 3);
    drop(second);
    until(|| Handle::current().metrics().num_alive_tasks() == 0).await;
}

#[tokio::test]
async fn a_bus_ends_by_shutdown_even_while_a_node_holds_it_up() {
    let bus = shared();
    let (broker, mut deliveries) = bus.node(boot(1));
    let a = room("a");
    open(&broker, &mut deliveries, &a).await;
    while !fill(&broker, &a).is_empty() {
        tokio::task::yield_now().await;
    }
    patiently(bus.shutdown()).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn acks_that_are_pending_at_the_end_are_unavailable() {
    let bus = Bus::start(BusConfig::default());
    let (broker, _deliveries) = bus.node(boot(1));
    let pending = fill(&broker, &room("a"));
    patiently(bus.shutdown()).await;
    for ack in pending {
        assert_eq!(patiently(ack).await, Err(PublishError::Unavailable));
    }
}

#[tokio::test]
async fn a_dropped_handle_frees_the_bus_even_if_its_deliveries_are_never_read() {
    let bus = shared();
    let (broker, mut deliveries) = bus.node(boot(1));
    let (stuck, mut unread) = bus.node(boot(2));
    let a = room("a");
    open(&stuck, &mut unread, &a).await;
    stuck.report(&a, Counts { online: 1, likes: 0 }).unwrap();
    let mut acks = Vec::new();
    loop {
        let accepted = fill(&broker, &a);
        if accepted.is_empty() {
            break;
        }
        acks.extend(accepted);
        tokio::task::yield_now().await;
    }
    assert!(acks.len() > 8_192, "the queue of the stuck node is full");
    drop(stuck);
    for ack in acks {
        patiently(ack).await.unwrap();
    }
    open(&broker, &mut deliveries, &a).await;
}

#[tokio::test]
async fn a_node_whose_deliveries_nobody_takes_any_more_is_gone() {
    let bus = shared();
    let (broker, mut deliveries) = bus.node(boot(1));
    let (deaf, mut unheard) = bus.node(boot(2));
    let a = room("a");
    open(&deaf, &mut unheard, &a).await;
    deaf.report(&a, Counts { online: 1, likes: 0 }).unwrap();
    open(&broker, &mut deliveries, &a).await;
    drop(unheard);
    broker.publish(&a, event(1)).unwrap();
    let gone = RoomDelivery::NodeGone { node: boot(2) };
    while next(&mut deliveries).await != gone {}
    assert_eq!(deaf.subscribe(&a), Err(Busy));
}

#[tokio::test]
async fn a_second_node_with_the_same_boot_id_is_refused() {
    let bus = shared();
    let (first, mut first_deliveries) = bus.node(boot(1));
    let (second, mut second_deliveries) = bus.node(boot(1));
    assert!(patiently(second_deliveries.rooms.recv()).await.is_none());
    assert_eq!(second.subscribe(&room("a")), Err(Busy));
    let refused = second.publish(&room("a"), event(1)).unwrap().await;
    assert_eq!(refused, Err(PublishError::Unavailable));
    open(&first, &mut first_deliveries, &room("a")).await;
}
