//! Promise 14: who is there.

use broker_bridge::{Load, NodeState};
use protocol::ids::BootId;

use crate::fabric::{Fabric, Node, patiently};

const LOAD: Load = Load { state: NodeState::Ready, connections: 12, rooms: 3 };

fn known(by: &Node, of: BootId) -> Option<Load> {
    by.broker.nodes().into_iter().find(|node| node.boot == of).map(|node| node.load)
}

async fn until(condition: impl Fn() -> bool) {
    patiently(async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn a_node_knows_itself<F: Fabric>() {
    let mut fabric = F::start().await;
    let node = fabric.node().await;
    let own = node.broker.boot();
    until(|| known(&node, own).is_some()).await;
    node.broker.announce(LOAD);
    until(|| known(&node, own) == Some(LOAD)).await;
    assert_eq!(node.broker.nodes().len(), 1);
}

pub(crate) async fn a_node_is_known_by_its_last_announcement_until_it_is_gone<F: Fabric>() {
    let mut fabric = F::start().await;
    let (one, other) = (fabric.node().await, fabric.node().await);
    let (own, theirs) = (one.broker.boot(), other.broker.boot());
    until(|| known(&one, theirs).is_some() && known(&other, own).is_some()).await;
    let draining = Load { state: NodeState::Draining, ..LOAD };
    other.broker.announce(LOAD);
    other.broker.announce(draining);
    until(|| known(&one, theirs) == Some(draining)).await;
    drop(other);
    until(|| known(&one, theirs).is_none()).await;
    assert!(known(&one, own).is_some());
}
