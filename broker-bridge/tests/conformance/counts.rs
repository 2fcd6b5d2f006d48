//! Promise 9: what nodes count.

use broker_bridge::{Counts, RoomDelivery};
use protocol::ids::{BootId, RoomId};

use crate::fabric::{Fabric, Node, patiently, room, until_accepted};

fn counts(online: u32, likes: u64) -> Counts {
    Counts { online, likes }
}

async fn report(node: &Node, room: &RoomId, counts: Counts) {
    until_accepted(|| node.broker.report(room, counts)).await;
}

/// Waits until a node has been told these counts of another; older ones may come before.
async fn learns(node: &mut Node, of: BootId, expected: Counts) {
    patiently(async {
        loop {
            match node.next().await.1 {
                RoomDelivery::Counts { node, counts } if (node, counts) == (of, expected) => return,
                RoomDelivery::Counts { node, .. } => assert_eq!(node, of),
                other => panic!("expected counts, got {other:?}"),
            }
        }
    })
    .await;
}

pub(crate) async fn counts_reach_the_others_and_replace_what_was_there<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut teller, mut hearer, room) = (fabric.node().await, fabric.node().await, room("a"));
    let of = teller.broker.boot();
    teller.open(&room).await;
    hearer.open(&room).await;
    report(&teller, &room, counts(1, 0)).await;
    learns(&mut hearer, of, counts(1, 0)).await;
    report(&teller, &room, counts(7, 3)).await;
    learns(&mut hearer, of, counts(7, 3)).await;
}

pub(crate) async fn counts_reach_only_nodes_that_are_subscribed<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut teller, mut stranger) = (fabric.node().await, fabric.node().await);
    let (a, b) = (room("a"), room("b"));
    teller.open(&a).await;
    teller.open(&b).await;
    stranger.open(&b).await;
    report(&teller, &a, counts(1, 0)).await;
    report(&teller, &b, counts(2, 0)).await;
    let (of, delivery) = stranger.next().await;
    let expected = RoomDelivery::Counts { node: teller.broker.boot(), counts: counts(2, 0) };
    assert_eq!((of, delivery), (b.clone(), expected));
    // The teller itself hears nothing of what it told: its next delivery is an answer.
    let (head, _) = teller.open(&b).await;
    assert_eq!(teller.fetch(&b, head).await, Some(vec![]));
}

pub(crate) async fn a_late_subscriber_learns_the_counts_of_the_others<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut teller, mut early, mut late) =
        (fabric.node().await, fabric.node().await, fabric.node().await);
    let room = room("a");
    let of = teller.broker.boot();
    teller.open(&room).await;
    early.open(&room).await;
    report(&teller, &room, counts(4, 2)).await;
    learns(&mut early, of, counts(4, 2)).await;
    late.open(&room).await;
    learns(&mut late, of, counts(4, 2)).await;
}

pub(crate) async fn a_node_that_is_gone_counts_for_nothing<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut teller, mut hearer, room) = (fabric.node().await, fabric.node().await, room("a"));
    let of = teller.broker.boot();
    teller.open(&room).await;
    hearer.open(&room).await;
    report(&teller, &room, counts(4, 2)).await;
    learns(&mut hearer, of, counts(4, 2)).await;
    drop(teller);
    let gone = RoomDelivery::NodeGone { node: of };
    patiently(async { while hearer.next_of(&room).await != gone {} }).await;
    // Whoever comes later hears of no viewers there.
    let mut late = fabric.node().await;
    late.open(&room).await;
    report(&hearer, &room, counts(1, 0)).await;
    patiently(async {
        loop {
            match late.next_of(&room).await {
                RoomDelivery::Counts { node, .. } if node == hearer.broker.boot() => return,
                RoomDelivery::Counts { node, counts } => assert_eq!((node, counts.online), (of, 0)),
                other => panic!("expected counts, got {other:?}"),
            }
        }
    })
    .await;
}
