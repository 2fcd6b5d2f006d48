//! Promises 1, 2, 3 and 5: one log, one order, no link broken.

use std::sync::Arc;

use broker_bridge::{Ack, Broker, Busy, RoomDelivery};
use protocol::event::Event;
use protocol::ids::RoomId;

use crate::fabric::{Fabric, acked, event, events, events_of, publish, room};

pub(crate) async fn an_acked_event_is_in_the_log_once<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    for event in events(1, 10) {
        node.publish_and_wait(&room, event).await;
    }
    node.follow(&room, head, 10).await;
    let logged = node.fetch(&room, head).await.unwrap();
    assert_eq!(events_of(&logged), events(1, 10));
}

pub(crate) async fn events_of_one_node_keep_the_order_of_its_calls<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    for event in events(1, 500) {
        node.publish(&room, event).await;
    }
    assert_eq!(node.follow(&room, head, 500).await.1, events(1, 500));
}

pub(crate) async fn a_node_receives_its_own_publications<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    node.publish_and_wait(&room, event(1, 0)).await;
    assert_eq!(node.follow(&room, head, 1).await.1, [event(1, 0)]);
}

pub(crate) async fn a_burst_arrives_whole_with_no_link_broken<F: Fabric>() {
    const BURST: u64 = 5_000;
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    let (broker, to) = (Arc::clone(&node.broker), room.clone());
    let publisher = tokio::spawn(async move {
        let mut acks = Vec::new();
        for event in events(1, BURST) {
            acks.push(publish(&broker, &to, event).await);
        }
        for ack in acks {
            assert_eq!(acked(ack).await, Ok(Ack { stored: true }));
        }
    });
    let (_, got) = node.follow(&room, head, BURST as usize).await;
    assert!(got == events(1, BURST), "the burst arrived in another order or shape");
    publisher.await.unwrap();
}

pub(crate) async fn every_room_has_a_log_of_its_own<F: Fabric>() {
    const EACH: u64 = 10;
    let mut fabric = F::start().await;
    let mut node = fabric.node().await;
    let rooms = [room("a"), room("b")];
    let mut heads = Vec::new();
    for room in &rooms {
        heads.push(node.open(room).await.0);
    }
    for nth in 0..EACH {
        node.publish_and_wait(&rooms[0], event(0, nth)).await;
        node.publish_and_wait(&rooms[1], event(1, nth)).await;
    }
    let mut got: [Vec<Event>; 2] = Default::default();
    while got.iter().any(|events| events.len() < EACH as usize) {
        let (of, delivery) = node.next().await;
        let RoomDelivery::Entry { epoch, entry } = delivery else {
            panic!("expected an entry, got {delivery:?}");
        };
        let at = usize::from(of == rooms[1]);
        assert_eq!((epoch, entry.prev), (heads[at].epoch, heads[at].seq));
        heads[at].seq = entry.seq;
        got[at].extend(entry.events.iter().cloned());
    }
    assert_eq!(got, [events(0, EACH), events(1, EACH)]);
}

pub(crate) async fn all_nodes_see_one_order<F: Fabric>() {
    const EACH: u64 = 500;
    let mut fabric = F::start().await;
    let room = room("a");
    let mut nodes = [fabric.node().await, fabric.node().await, fabric.node().await];
    let mut heads = Vec::new();
    for node in &mut nodes {
        heads.push(node.open(&room).await.0);
    }
    // Two threads on the first node, one on each other.
    let publishers = [0, 0, 1, 2].into_iter().enumerate().map(|(publisher, node)| {
        let (broker, room) = (Arc::clone(&nodes[node].broker), room.clone());
        std::thread::spawn(move || publish_all(&*broker, &room, publisher as u64, EACH))
    });
    let publishers: Vec<_> = publishers.collect();
    let mut orders = Vec::new();
    for (node, head) in nodes.iter_mut().zip(heads) {
        orders.push(node.follow(&room, head, 4 * EACH as usize).await);
    }
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    assert!(orders[0] == orders[1] && orders[1] == orders[2], "the nodes differ in the order");
    for publisher in 0..4 {
        let own = |event: &&Event| event.id.to_bytes()[7] == publisher as u8;
        let got: Vec<Event> = orders[0].1.iter().filter(own).cloned().collect();
        assert!(got == events(publisher, EACH), "publisher {publisher} lost its order");
    }
}

fn publish_all(broker: &dyn Broker, room: &RoomId, publisher: u64, count: u64) {
    for event in events(publisher, count) {
        while let Err(Busy) = broker.publish(room, event.clone()) {
            std::thread::yield_now();
        }
        // Gives the other threads a chance to come between.
        std::thread::yield_now();
    }
}
