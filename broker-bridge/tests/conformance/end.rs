//! Promises 10 and 11: full queues, nodes that end, and the end of it all.

use broker_bridge::{Ack, Busy, PendingAck, PublishError};
use protocol::ids::RoomId;

use crate::fabric::{Fabric, Node, acked, event, events, patiently, room};

/// Publishes without reading until the queue is full; the acks of what was accepted.
fn fill(node: &Node, room: &RoomId) -> Vec<PendingAck> {
    (0..).map_while(|nth| node.broker.publish(room, event(1, nth)).ok()).collect()
}

pub(crate) async fn busy_means_that_nothing_was_accepted<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    let accepted = fill(&node, &room);
    let count = accepted.len();
    let (at, got) = node.follow(&room, head, count).await;
    assert!(got == events(1, count as u64), "something else than what was accepted arrived");
    for ack in accepted {
        assert_eq!(acked(ack).await, Ok(Ack { stored: true }));
    }
    node.publish_and_wait(&room, event(2, 0)).await;
    assert_eq!(node.follow(&room, at, 1).await.1, [event(2, 0)]);
}

pub(crate) async fn a_node_that_is_dropped_does_not_stall_the_others<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, mut stuck, room) = (fabric.node().await, fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    stuck.open(&room).await;
    // Neither reads, so both are in the way; then one of them dies.
    let count = fill(&node, &room).len();
    drop(stuck);
    let (at, got) = node.follow(&room, head, count).await;
    assert!(got == events(1, count as u64), "something was lost with the other node");
    node.publish_and_wait(&room, event(2, 0)).await;
    assert_eq!(node.follow(&room, at, 1).await.1, [event(2, 0)]);
}

pub(crate) async fn acks_resolve_to_unavailable_once_the_broker_has_ended<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    node.open(&room).await;
    let pending = fill(&node, &room);
    patiently(fabric.end()).await;

    // Whatever had come through by then: nobody waits for ever.
    for ack in pending {
        let answer = acked(ack).await;
        assert!(matches!(answer, Ok(Ack { stored: true }) | Err(PublishError::Unavailable)));
    }
    let late = node.broker.publish(&room, event(2, 0)).unwrap();
    assert_eq!(acked(late).await, Err(PublishError::Unavailable));
    assert_eq!(node.broker.subscribe(&room), Err(Busy));
    patiently(async { while node.deliveries.rooms.recv().await.is_some() {} }).await;
    patiently(async { while node.deliveries.direct.recv().await.is_some() {} }).await;
}
