//! Promise 8: what goes past the logs.

use broker_bridge::{Directed, Recipient};
use bytes::Bytes;
use protocol::ids::{Address, BootId, UserId};

use crate::fabric::{Fabric, Node, event, room, until_accepted};

fn address(boot: BootId) -> Recipient {
    Recipient::Address(Address { boot, shard: 1, slot: 2, generation: 3 })
}

fn payload(nth: u32) -> Bytes {
    Bytes::from(format!(r#"{{"type":"signal","nth":{nth}}}"#))
}

async fn send(from: &Node, to: &Recipient, nth: u32) {
    until_accepted(|| from.broker.send(to.clone(), payload(nth))).await;
}

pub(crate) async fn what_is_sent_to_an_address_arrives_in_order<F: Fabric>() {
    let mut fabric = F::start().await;
    let mut node = fabric.node().await;
    let to = address(node.broker.boot());
    for nth in 0..500 {
        send(&node, &to, nth).await;
    }
    for nth in 0..500 {
        assert_eq!(node.next_direct().await, Directed { to: to.clone(), payload: payload(nth) });
    }
}

pub(crate) async fn what_is_sent_to_an_address_arrives_at_no_other_node<F: Fabric>() {
    let mut fabric = F::start().await;
    let (sender, mut receiver, mut other) =
        (fabric.node().await, fabric.node().await, fabric.node().await);
    let (to, to_other) = (address(receiver.broker.boot()), address(other.broker.boot()));
    for nth in 0..100 {
        send(&sender, &to, nth).await;
        send(&sender, &to_other, 1_000 + nth).await;
    }
    for nth in 0..100 {
        assert_eq!(receiver.next_direct().await.payload, payload(nth));
        assert_eq!(other.next_direct().await.payload, payload(1_000 + nth));
    }
}

pub(crate) async fn what_is_sent_to_nowhere_is_dropped<F: Fabric>() {
    let mut fabric = F::start().await;
    let mut node = fabric.node().await;
    send(&node, &address(BootId::random(rand::random())), 1).await;
    let here = address(node.broker.boot());
    send(&node, &here, 2).await;
    assert_eq!(node.next_direct().await, Directed { to: here, payload: payload(2) });
}

pub(crate) async fn what_is_sent_to_a_user_or_to_everybody_arrives_at_every_node_once<F: Fabric>() {
    let mut fabric = F::start().await;
    let mut nodes = [fabric.node().await, fabric.node().await, fabric.node().await];
    for to in [Recipient::User(UserId::parse("42").unwrap()), Recipient::Everybody] {
        send(&nodes[0], &to, 1).await;
        for node in &mut nodes {
            assert_eq!(node.next_direct().await, Directed { to: to.clone(), payload: payload(1) });
        }
    }
    for node in &mut nodes {
        let here = address(node.broker.boot());
        send(node, &here, 2).await;
        assert_eq!(node.next_direct().await.to, here, "something came twice");
    }
}

pub(crate) async fn a_flood_in_a_room_delays_no_signal<F: Fabric>() {
    let mut fabric = F::start().await;
    let (mut node, room) = (fabric.node().await, room("a"));
    node.open(&room).await;
    // Nobody reads the room while the queues fill.
    (0..).find(|nth| node.broker.publish(&room, event(1, *nth)).is_err());
    let here = address(node.broker.boot());
    send(&node, &here, 1).await;
    assert_eq!(node.next_direct().await.payload, payload(1));
}
