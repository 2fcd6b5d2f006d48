//! Promises 4, 5 and 7: how the deliveries of a room begin and end.

use std::sync::Arc;

use broker_bridge::RoomDelivery;

use crate::fabric::{Fabric, event, events, events_of, publish, room, until_accepted};

pub(crate) async fn a_subscription_begins_with_opened<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    // Nothing waits for anything here: the events are on their way while the room opens.
    for event in events(1, 100) {
        node.publish(&room, event).await;
    }
    until_accepted(|| node.broker.subscribe(&room)).await;
    for event in events(2, 100) {
        node.publish(&room, event).await;
    }
    let RoomDelivery::Opened { head, recent } = node.next_of(&room).await else {
        panic!("something came before opened");
    };
    // `follow` takes nothing but entries, so a second `Opened` would fail it.
    let (mut at, mut got) = (head, events_of(&recent));
    while got.last() != Some(&event(2, 99)) {
        let (reached, next) = node.follow(&room, at, 1).await;
        at = reached;
        got.extend(next);
    }
    assert!([events(1, 100), events(2, 100)].concat().ends_with(&got));
}

pub(crate) async fn opened_brings_the_newest_entries_up_to_its_head<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    for event in events(1, 300) {
        node.publish_and_wait(&room, event).await;
    }
    let (head, recent) = node.open(&room).await;
    assert_eq!(recent.last().map(|entry| entry.seq), Some(head.seq));
    assert!(recent.windows(2).all(|pair| pair[1].prev == pair[0].seq));
    let got = events_of(&recent);
    assert!(got.len() >= 100, "enough for what a client may ask for, got {}", got.len());
    assert!(events(1, 300).ends_with(&got));
}

pub(crate) async fn a_late_subscriber_gets_opened_and_then_everything<F: Fabric>() {
    const TOTAL: u64 = 2_000;
    let mut fabric = F::start().await;
    let (mut early, mut late, room) = (fabric.node().await, fabric.node().await, room("a"));
    let (head, _) = early.open(&room).await;
    let (broker, to) = (Arc::clone(&early.broker), room.clone());
    let publisher = tokio::spawn(async move {
        for event in events(1, TOTAL) {
            publish(&broker, &to, event).await;
        }
    });
    let (middle, before) = early.follow(&room, head, 500).await;
    let (late_head, recent) = late.open(&room).await;
    assert_eq!(late_head.epoch, middle.epoch);
    let (end, after) = early.follow(&room, middle, TOTAL as usize - before.len()).await;
    publisher.await.unwrap();

    let mut caught_up = events_of(&recent);
    let mut at = late_head;
    while at != end {
        let (reached, got) = late.follow(&room, at, 1).await;
        at = reached;
        caught_up.extend(got);
    }
    let all = [before, after].concat();
    assert!(all == events(1, TOTAL));
    assert!(all.ends_with(&caught_up), "the late subscriber missed something");
    assert!(late_head.seq >= middle.seq, "what was delivered before lies before the head");
}

pub(crate) async fn soon_after_unsubscribe_nothing_comes_any_more<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, quiet) = (fabric.node().await, room("quiet"));
    node.open(&quiet).await;
    until_accepted(|| node.broker.unsubscribe(&quiet)).await;
    let mut rounds_in_quiet = 0;
    for round in 0..100 {
        node.publish_and_wait(&quiet, event(1, round)).await;
        // Another room opens: whatever was under way has arrived by then.
        let barrier = room(&format!("barrier-{round}"));
        until_accepted(|| node.broker.subscribe(&barrier)).await;
        let mut is_quiet = true;
        while node.next().await.0 != barrier {
            is_quiet = false;
        }
        rounds_in_quiet = if is_quiet { rounds_in_quiet + 1 } else { 0 };
        if rounds_in_quiet == 3 {
            return;
        }
    }
    panic!("deliveries go on after unsubscribe");
}

pub(crate) async fn a_room_can_be_subscribed_again<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    node.open(&room).await;
    until_accepted(|| node.broker.unsubscribe(&room)).await;
    node.publish_and_wait(&room, event(1, 0)).await;
    until_accepted(|| node.broker.subscribe(&room)).await;
    let (head, recent) = loop {
        // Late deliveries of the first subscription may come before.
        if let RoomDelivery::Opened { head, recent } = node.next_of(&room).await {
            break (head, recent);
        }
    };
    assert_eq!(events_of(&recent), [event(1, 0)]);
    node.publish_and_wait(&room, event(1, 1)).await;
    assert_eq!(node.follow(&room, head, 1).await.1, [event(1, 1)]);
}
