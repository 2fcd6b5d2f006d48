//! Promise 12: events that go past the log.

use broker_bridge::{Ack, RoomDelivery};
use protocol::event::Event;
use protocol::ids::RoomId;

use crate::fabric::{Fabric, Node, acked, event, room, until_accepted};

async fn publish_live(node: &Node, room: &RoomId, event: Event) {
    let pending = until_accepted(|| node.broker.publish_live(room, event.clone())).await;
    assert_eq!(acked(pending).await, Ok(Ack { stored: false }));
}

/// The next delivery of a room, which must be live; its events.
async fn next_live(node: &mut Node, room: &RoomId) -> Vec<Event> {
    match node.next_of(room).await {
        RoomDelivery::Live { origin_ms, events } => {
            assert!(origin_ms > 0, "it has a slot");
            events.to_vec()
        }
        other => panic!("expected live events, got {other:?}"),
    }
}

pub(crate) async fn live_events_are_delivered_once_and_in_no_log<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    publish_live(&node, &room, event(1, 0)).await;
    assert_eq!(next_live(&mut node, &room).await, [event(1, 0)]);
    assert_eq!(node.fetch(&room, head).await, Some(Vec::new()));
    until_accepted(|| node.broker.unsubscribe(&room)).await;
    let (again, recent) = node.open(&room).await;
    assert_eq!(recent, []);
    node.publish_and_wait(&room, event(1, 1)).await;
    assert_eq!(node.follow(&room, again, 1).await.1, [event(1, 1)]);
}

pub(crate) async fn live_and_stored_events_of_one_node_come_in_their_turn<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (mut at, _) = node.open(&room).await;
    for nth in 0..20 {
        if nth % 2 == 0 {
            node.publish_and_wait(&room, event(1, nth)).await;
            let followed = node.follow(&room, at, 1).await;
            at = followed.0;
            assert_eq!(followed.1, [event(1, nth)]);
        } else {
            publish_live(&node, &room, event(1, nth)).await;
            assert_eq!(next_live(&mut node, &room).await, [event(1, nth)]);
        }
    }
}

pub(crate) async fn live_events_reach_every_node_that_is_subscribed<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut one, mut two, room) = (fabric.node().await, fabric.node().await, room("a"));
    one.open(&room).await;
    two.open(&room).await;
    for nth in 0..10 {
        publish_live(&one, &room, event(1, nth)).await;
        for node in [&mut one, &mut two] {
            assert_eq!(next_live(node, &room).await, [event(1, nth)]);
        }
    }
}
