//! Rooms in which nothing is said while others of their stream go on: whoever is there has missed
//! nothing, on any gateway, however long it takes.

use std::time::Duration;

use broker_bridge::RoomDelivery;
use broker_bridge::nats::LogRules;
use protocol::cursor::Cursor;
use protocol::ids::RoomId;
use protocol::subject::Partition;
use rig::nats::{Binary, Nats as Server};
use rig::wait::{LOOK, until};

use crate::support::{Gateway, Operator, config, room};

/// Another room of the same stream.
fn neighbour(of: &RoomId) -> RoomId {
    let stream = |room: &RoomId| Partition::of_room(room).stream().number();
    let mut names = (0..).map(|n| room(&format!("neighbour-{n}")));
    names.find(|other| stream(other) == stream(of)).unwrap()
}

/// What came after a cursor, if all of it is known.
async fn fetched(gateway: &mut Gateway, room: &RoomId, after: Cursor) -> Option<usize> {
    gateway.broker.fetch(room, after).unwrap();
    match gateway.next(room).await {
        RoomDelivery::Fetched { after: asked, entries } => {
            assert_eq!(asked, after);
            entries.map(|entries| entries.len())
        }
        other => panic!("expected an answer, got {other:?}"),
    }
}

#[tokio::test]
async fn who_saw_a_silent_room_earlier_has_missed_nothing_elsewhere() {
    for binary in Binary::all() {
        let server = Server::single(&binary).await;
        let (silent, busy) = (room("silent"), neighbour(&room("silent")));
        let mut one = Gateway::ready(config(&server.url())).await;
        let before = one.open(&silent).await;
        for nth in 1..=5 {
            one.store(&busy, nth).await;
        }
        let mut two = Gateway::ready(config(&server.url())).await;
        let after = two.open(&silent).await;
        assert!(after.seq > before.seq, "{before:?} {after:?}");
        assert_eq!(fetched(&mut two, &silent, before).await, Some(0));
        one.store(&silent, 6).await;
        assert_eq!(two.next_in_short(&silent).await, "entry [6]");
        assert_eq!(fetched(&mut two, &silent, before).await, Some(1));
    }
}

#[tokio::test]
async fn who_is_in_a_silent_room_is_told_younger_positions_that_outlast_what_was_said() {
    for binary in Binary::all() {
        let server = Server::single(&binary).await;
        let config = || {
            let all = config(&server.url());
            let log = LogRules { age: Duration::from_secs(6), ..all.log };
            broker_bridge::nats::Config { log, ..all }
        };
        let (silent, busy) = (room("silent"), neighbour(&room("silent")));
        let mut one = Gateway::ready(config()).await;
        let mut two = Gateway::ready(config()).await;
        let head = one.open(&silent).await;
        one.store(&silent, 1).await;
        assert_eq!(one.next_in_short(&silent).await, "entry [1]");
        // The other room goes on, until what was said here is gone from the log.
        let broker = std::sync::Arc::clone(&one.broker);
        let goes_on = tokio::spawn(async move {
            for nth in 0.. {
                drop(broker.publish(&busy, crate::support::event(nth)));
                tokio::time::sleep(LOOK).await;
            }
        });
        let operator = Operator::at(&server.url()).await;
        until("the end of what was said", || async {
            let stream = operator.stream(&silent).await;
            let kept = stream.get_last_raw_message_by_subject(&operator.subject(&silent)).await;
            kept.is_err().then_some(())
        })
        .await;
        let mut at = head;
        while let Ok((_, delivery)) = one.deliveries.rooms.try_recv() {
            let RoomDelivery::Silent { upto } = delivery else { panic!("{delivery:?}") };
            assert!(upto > at.seq);
            at = at.at(upto);
        }
        assert!(at.seq > head.seq, "it was told");
        two.open(&silent).await;
        assert_eq!(fetched(&mut two, &silent, at).await, Some(0));
        assert_eq!(fetched(&mut two, &silent, head).await, None, "that was too long ago");
        goes_on.abort();
    }
}
