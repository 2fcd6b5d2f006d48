//! Promise 6: a fetch tells everything, or nothing.

use broker_bridge::RoomDelivery;
use protocol::cursor::{Cursor, Epoch};

use crate::fabric::{Fabric, HISTORY_ENTRIES_MAX, event, events, events_of, room, until_accepted};

pub(crate) async fn a_fetch_tells_everything_after_its_cursor<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (start, _) = node.open(&room).await;
    let mut cursors = vec![start];
    for (nth, event) in events(1, 20).into_iter().enumerate() {
        node.publish_and_wait(&room, event).await;
        cursors.push(node.follow(&room, cursors[nth], 1).await.0);
    }
    for (told, cursor) in cursors.into_iter().enumerate() {
        let entries = node.fetch(&room, cursor).await.unwrap();
        assert_eq!(entries.first().map_or(cursor.seq, |entry| entry.prev), cursor.seq);
        assert!(entries.windows(2).all(|pair| pair[1].prev == pair[0].seq));
        assert_eq!(events_of(&entries), events(1, 20)[told..]);
    }
}

pub(crate) async fn a_fetch_at_the_head_is_complete_and_empty<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    assert_eq!(node.fetch(&room, head).await, Some(vec![]));
    node.publish_and_wait(&room, event(1, 0)).await;
    let (head, _) = node.follow(&room, head, 1).await;
    assert_eq!(node.fetch(&room, head).await, Some(vec![]));
}

pub(crate) async fn a_fetch_reaches_exactly_to_what_was_delivered_before_it<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (start, _) = node.open(&room).await;
    for (nth, event) in events(1, 500).into_iter().enumerate() {
        node.publish(&room, event).await;
        if nth % 50 == 0 {
            until_accepted(|| node.broker.fetch(&room, start)).await;
        }
    }
    let (mut delivered, mut answers) = (Vec::new(), 0);
    while events_of(&delivered).len() < 500 || answers < 10 {
        match node.next_of(&room).await {
            RoomDelivery::Entry { entry, .. } => delivered.push(entry),
            RoomDelivery::Fetched { entries, .. } => {
                assert_eq!(entries.as_ref(), Some(&delivered));
                answers += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

pub(crate) async fn a_fetch_before_what_is_kept_tells_nothing<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (start, _) = node.open(&room).await;
    let mut at = start;
    // Each is acked before the next is published, so each is an entry of its own.
    for nth in 0..=HISTORY_ENTRIES_MAX as u64 {
        node.publish_and_wait(&room, event(1, nth)).await;
        at = node.follow(&room, at, 1).await.0;
    }
    assert_eq!(node.fetch(&room, start).await, None);
    assert_eq!(node.fetch(&room, at).await, Some(vec![]));
}

pub(crate) async fn a_fetch_in_another_epoch_tells_nothing<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    node.publish_and_wait(&room, event(1, 0)).await;
    let (head, _) = node.follow(&room, head, 1).await;
    let foreign = Cursor { epoch: Epoch::random(rand::random()), ..head };
    assert_eq!(node.fetch(&room, foreign).await, None);
    assert_eq!(node.fetch(&room, foreign.at(0)).await, None);
}

pub(crate) async fn a_fetch_beyond_the_head_tells_nothing<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    let (head, _) = node.open(&room).await;
    node.publish_and_wait(&room, event(1, 0)).await;
    let (head, _) = node.follow(&room, head, 1).await;
    for seq in [head.seq + 1, u64::MAX] {
        assert_eq!(node.fetch(&room, head.at(seq)).await, None, "{seq}");
    }
}
