//! More questions than a log can answer.

use broker_bridge::{Broker, Queue};
use protocol::cursor::Cursor;
use rig::nats::{Binary, Nats as Server};
use rig::wait::until;

use crate::support::{Gateway, config, room};

/// How many questions to the logs wait.
fn lookups(broker: &dyn Broker) -> usize {
    let queues = broker.queues();
    queues.into_iter().find(|(queue, _)| *queue == Queue::Lookups).expect("it is shown").1
}

#[tokio::test]
async fn fetches_that_no_log_could_answer_in_time_are_not_collected() {
    const FETCHES: u64 = 6_000;
    const WAIT: usize = 4_096;
    let Some(binary) = Binary::newest() else { return };
    let mut server = Server::single(&binary).await;
    let mut gateway = Gateway::ready(config(&server.url())).await;
    let room = room("a");
    let head = gateway.open(&room).await;
    server.node(0).pause();
    for back in 1..=FETCHES {
        let after = Cursor { seq: head.seq - back, ..head };
        while gateway.broker.fetch(&room, after).is_err() {
            tokio::task::yield_now().await;
        }
    }
    until("a queue that is full", || async { (lookups(&*gateway.broker) >= WAIT).then_some(()) })
        .await;
    until("refusals", || async { (gateway.nats.stats().busy() > 1_000).then_some(()) }).await;
    assert_eq!(lookups(&*gateway.broker), WAIT);
    server.node(0).resume();
    until("answers", || async { (lookups(&*gateway.broker) == 0).then_some(()) }).await;
    let stay = gateway.nats.stats().busy();
    gateway.broker.fetch(&room, Cursor { seq: head.seq - 1, ..head }).unwrap();
    assert_eq!(gateway.nats.stats().busy(), stay);
}
