//! Promise 13: the settings of rooms.

use broker_bridge::Ack;
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

async fn next(node: &mut Node) -> (RoomId, Option<Bytes>) {
    patiently(node.deliveries.settings.recv()).await.expect("the deliveries have ended")
}

pub(crate) async fn settings_that_are_put_come_back<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, a) = (fabric.node().await, room("a room: 直播间"));
    for settings in [Some(json(100)), Some(json(200)), None, Some(json(300))] {
        put(&node, &a, settings.clone()).await;
        assert_eq!(next(&mut node).await, (a.clone(), settings));
    }
}

pub(crate) async fn settings_reach_every_node_those_that_start_later_too<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut early, mut other) = (fabric.node().await, fabric.node().await);
    let (a, b, gone) = (room("a"), room("b"), room("gone"));
    put(&early, &gone, Some(json(1))).await;
    put(&early, &a, Some(json(100))).await;
    put(&other, &a, Some(json(200))).await;
    put(&other, &gone, None).await;
    put(&early, &b, Some(json(300))).await;
    for node in [&mut early, &mut other] {
        let mut of_a = Vec::new();
        loop {
            match next(node).await {
                (room, settings) if room == a => of_a.push(settings),
                (room, _) if room == b => break,
                (room, _) => assert_eq!(room, gone),
            }
        }
        assert_eq!(of_a, [Some(json(100)), Some(json(200))]);
    }
    let mut late = fabric.node().await;
    let mut kept = [next(&mut late).await, next(&mut late).await];
    kept.sort();
    assert_eq!(kept, [(a.clone(), Some(json(200))), (b, Some(json(300)))]);
    put(&late, &a, None).await;
    assert_eq!(next(&mut late).await, (a, None), "what is forgotten is not told at the start");
}
