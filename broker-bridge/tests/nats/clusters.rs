//! Several independent clusters that share the rooms.

use broker_bridge::nats::Config;
use broker_bridge::{Ack, PublishError};
use protocol::ids::RoomId;
use protocol::subject::Partition;
use rig::nats::{Binary, Nats as Server};
use rig::wait::until;

use crate::support::{Gateway, Operator, config, event, room};

/// A room whose log is in the first half of the streams, or in the second.
fn room_of(half: usize) -> RoomId {
    let rooms = (0..).map(|nth| room(&format!("room-{nth}")));
    let is_there = |room: &RoomId| Partition::of_room(room).stream().number() / 8 == half;
    rooms.into_iter().find(is_there).unwrap()
}

#[tokio::test]
async fn rooms_are_spread_over_clusters_that_do_not_know_of_each_other() {
    let binary = Binary::newest().unwrap();
    let (first, mut second) = (Server::single(&binary).await, Server::single(&binary).await);
    let clusters = vec![vec![first.url()], vec![second.url()]];
    let both = || Config { clusters: clusters.clone(), ..config(&first.url()) };
    let here = Gateway::ready(both()).await;
    let mut there = Gateway::ready(both()).await;
    let rooms = [room_of(0), room_of(1)];
    for (nth, room) in rooms.iter().enumerate() {
        there.open(room).await;
        here.store(room, nth as u64).await;
        assert_eq!(there.next_in_short(room).await, format!("entry [{nth}]"));
    }
    for (server, room, other) in [(&first, &rooms[0], &rooms[1]), (&second, &rooms[1], &rooms[0])] {
        let operator = Operator::at(&server.url()).await;
        assert_eq!(operator.stream(room).await.cached_info().state.messages, 1);
        let elsewhere = operator.context.get_stream(operator.stream_name(other)).await;
        assert!(elsewhere.is_err(), "a log is kept by one cluster");
    }
    // Without the second cluster its rooms have no log, and those of the first go on.
    second.node(0).kill();
    until("the loss is noticed", || async {
        let refused = match here.broker.publish(&rooms[1], event(7)) {
            Ok(pending) => pending.await == Err(PublishError::Unavailable),
            Err(_) => false,
        };
        refused.then_some(())
    })
    .await;
    assert!(here.deliveries.status.borrow().is_degraded());
    assert_eq!(here.publish(&rooms[0], 8).await, Ok(Ack { stored: true }));
    assert_eq!(there.next_in_short(&rooms[0]).await, "entry [8]");
}
