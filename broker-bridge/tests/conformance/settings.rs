//! Promise 13: the settings of rooms.

use broker_bridge::{Ack, SettingsDelivery};
use bytes::Bytes;
use protocol::ids::RoomId;

use crate::fabric::{Fabric, Node, acked, patiently, room, until_accepted};

fn json(tick_ms: u32) -> Bytes {
    Bytes::from(format!(r#"{{"tick_ms":{tick_ms}}}"#))
}

async fn put(node: &Node, room: &RoomId, settings: Option<Bytes>) {
    let pending = until_accepted(|| node.broker.put_settings(room, settings.clone())).await;
    assert_eq!(acked(pending).await, Ok(Ack { stored: true }));
}

async fn next(node: &mut Node) -> SettingsDelivery {
    patiently(node.deliveries.settings.recv()).await.expect("the deliveries have ended")
}

/// A node that was told all that was kept when it started, and what that was.
async fn whole_node<F: Fabric>(fabric: &mut F) -> (Node, Vec<SettingsDelivery>) {
    let mut node = fabric.node().await;
    let mut kept = Vec::new();
    loop {
        match next(&mut node).await {
            SettingsDelivery::Complete => return (node, kept),
            room => kept.push(room),
        }
    }
}

/// The next change, which must be about a room.
async fn next_room(node: &mut Node) -> (RoomId, Option<Bytes>) {
    match next(node).await {
        SettingsDelivery::Room(room, settings) => (room, settings),
        SettingsDelivery::Complete => panic!("it was complete before"),
    }
}

pub(crate) async fn settings_that_are_put_come_back<F: Fabric>() {
    let mut fabric = F::start().await;
    let a = room("a room: 直播间");
    let (mut node, kept) = whole_node(&mut fabric).await;
    assert_eq!(kept, [], "nothing is kept, and it is told so");
    for settings in [Some(json(100)), Some(json(200)), None, Some(json(300))] {
        put(&node, &a, settings.clone()).await;
        assert_eq!(next_room(&mut node).await, (a.clone(), settings));
    }
}

pub(crate) async fn settings_reach_every_node_those_that_start_later_too<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut early, _) = whole_node(&mut fabric).await;
    let (mut other, _) = whole_node(&mut fabric).await;
    let (a, b, gone) = (room("a"), room("b"), room("gone"));
    put(&early, &gone, Some(json(1))).await;
    put(&early, &a, Some(json(100))).await;
    put(&other, &a, Some(json(200))).await;
    put(&other, &gone, None).await;
    put(&early, &b, Some(json(300))).await;
    for node in [&mut early, &mut other] {
        let mut of_a = Vec::new();
        loop {
            match next_room(node).await {
                (room, settings) if room == a => of_a.push(settings),
                (room, _) if room == b => break,
                (room, _) => assert_eq!(room, gone),
            }
        }
        assert_eq!(of_a, [Some(json(100)), Some(json(200))]);
    }
    let (mut late, mut kept) = whole_node(&mut fabric).await;
    kept.sort();
    let room = SettingsDelivery::Room;
    let expected = [room(a.clone(), Some(json(200))), room(b, Some(json(300)))];
    assert_eq!(kept, expected, "what is forgotten is not told at the start");
    put(&late, &a, None).await;
    assert_eq!(next_room(&mut late).await, (a, None));
}
