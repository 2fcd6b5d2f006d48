use bytes::Bytes;
use protocol::envelope::Batch;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::EventId;

use super::*;
use crate::PendingAck;

fn one_link(_: Partition, _: usize) -> usize {
    0
}

fn at(ms: u64) -> Time {
    Time { ms, unix_ms: 1_760_000_000_000 + ms }
}

fn room() -> RoomId {
    RoomId::parse("lobby").unwrap()
}

fn event() -> Event {
    Event {
        id: EventId::from_bytes([0; 16]),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: 1,
        json: Bytes::from_static(b"{}"),
    }
}

/// A publisher with its link up, and what it wants to send.
struct Driven {
    publisher: Publisher,
    out: Vec<Send>,
}

impl Driven {
    fn new() -> Self {
        let publisher = Publisher::new(BootId::from_bytes([1; 8]), 1, one_link, 0);
        let mut driven = Self { publisher, out: Vec::new() };
        driven.link(true, 0);
        driven
    }

    fn link(&mut self, is_up: bool, ms: u64) {
        self.publisher.link(0, is_up, at(ms), &mut self.out);
    }

    fn push(&mut self, ms: u64) -> PendingAck {
        self.push_on(Lane::Log, ms)
    }

    fn push_on(&mut self, lane: Lane, ms: u64) -> PendingAck {
        let (answer, pending) = PendingAck::channel();
        let publication = Publication { room: room(), lane, event: event(), answer };
        self.publisher.push(publication, at(ms), &mut self.out);
        pending
    }

    fn ack(&mut self, counter: u64, ms: u64) {
        self.publisher.acked(counter, at(ms), &mut self.out);
    }

    fn tick(&mut self, ms: u64) {
        self.publisher.tick(at(ms), &mut self.out);
    }

    /// What was sent, in short; live batches are answered as if they had been.
    fn sent(&mut self) -> Vec<String> {
        let short = |send| match send {
            Send::Log { counter, payload, .. } => {
                let batch = Batch::decode(payload).unwrap();
                assert_eq!(batch.counter, counter);
                format!("log {counter}: {}+{}", batch.first, batch.events.len())
            }
            Send::Live { payload, answers, .. } => {
                let batch = Batch::decode(payload).unwrap();
                for answer in answers {
                    let _ = answer.send(Ok(Ack { stored: false }));
                }
                format!("live {}: {}+{}", batch.counter, batch.first, batch.events.len())
            }
            Send::Probe { counter, .. } => format!("probe {counter}"),
        };
        self.out.drain(..).map(short).collect()
    }
}

async fn answer(pending: PendingAck) -> Result<bool, PublishError> {
    tokio::time::timeout(std::time::Duration::from_secs(1), pending)
        .await
        .expect("not answered")
        .map(|ack| ack.stored)
}

#[tokio::test]
async fn the_first_event_goes_out_at_once_and_the_next_ones_together() {
    let mut driven = Driven::new();
    let first = driven.push(10);
    assert_eq!(driven.sent(), ["log 1: 0+1"]);
    let second = driven.push(11);
    let third = driven.push(12);
    assert_eq!(driven.sent(), [""; 0], "one batch is in flight");
    driven.ack(1, 13);
    assert_eq!(driven.sent(), [""; 0], "the window is not over");
    assert_eq!(driven.publisher.next_due_ms(), Some(15));
    driven.tick(15);
    assert_eq!(driven.sent(), ["log 2: 1+2"]);
    driven.ack(2, 16);
    for pending in [first, second, third] {
        assert_eq!(answer(pending).await, Ok(true));
    }
    assert_eq!((driven.publisher.waiting(), driven.publisher.next_due_ms()), (0, None));
}

#[tokio::test]
async fn a_batch_without_an_ack_is_sent_again_under_its_id() {
    let mut driven = Driven::new();
    let pending = driven.push(0);
    driven.tick(999);
    assert_eq!(driven.sent(), ["log 1: 0+1"]);
    assert_eq!(driven.publisher.next_due_ms(), Some(1_000));
    driven.tick(1_000);
    assert_eq!(driven.sent(), ["log 1: 0+1"]);
    driven.ack(1, 1_100);
    assert_eq!(answer(pending).await, Ok(true));
    driven.ack(1, 1_200);
    assert_eq!(driven.sent(), [""; 0], "the second ack says nothing new");
}

#[tokio::test]
async fn a_log_that_does_not_ack_is_passed_by_until_a_probe_is_acked() {
    let mut driven = Driven::new();
    let first = driven.push(0);
    driven.tick(1_000);
    driven.sent();
    let second = driven.push(1_200);
    driven.tick(1_500);
    assert_eq!(driven.sent(), ["live 1: 0+1", "probe 2", "live 3: 1+1"]);
    assert!(!driven.publisher.has_log());
    assert_eq!((answer(first).await, answer(second).await), (Ok(false), Ok(false)));
    let third = driven.push(1_600);
    assert_eq!(driven.sent(), ["live 4: 2+1"], "at once, by the same window");
    assert_eq!(answer(third).await, Ok(false));
    driven.tick(2_000);
    assert_eq!(driven.sent(), ["probe 5"]);
    driven.ack(2, 2_100);
    assert!(!driven.publisher.has_log(), "an old probe");
    driven.ack(5, 2_200);
    assert!(driven.publisher.has_log());
    let fourth = driven.push(2_300);
    assert_eq!(driven.sent(), ["log 6: 3+1"]);
    driven.ack(6, 2_301);
    assert_eq!(answer(fourth).await, Ok(true));
}

#[tokio::test]
async fn events_that_are_not_for_the_log_go_past_it_in_their_turn() {
    let mut driven = Driven::new();
    let first = driven.push_on(Lane::Live, 0);
    assert_eq!(driven.sent(), ["live 1: 0+1"]);
    let second = driven.push_on(Lane::Log, 1);
    let third = driven.push_on(Lane::Live, 2);
    let fourth = driven.push_on(Lane::Live, 3);
    driven.tick(5);
    assert_eq!(driven.sent(), ["log 2: 1+1"], "what goes another way waits");
    driven.tick(20);
    assert_eq!(driven.sent(), [""; 0], "and comes behind it");
    driven.ack(2, 21);
    assert_eq!(driven.sent(), ["live 3: 2+2"]);
    assert!(driven.publisher.has_log());
    for (pending, stored) in [(first, false), (second, true), (third, false), (fourth, false)] {
        assert_eq!(answer(pending).await, Ok(stored));
    }
    assert_eq!((driven.publisher.waiting(), driven.publisher.next_due_ms()), (0, None));
}

#[tokio::test]
async fn a_link_that_comes_back_in_time_loses_nothing() {
    let mut driven = Driven::new();
    let first = driven.push(0);
    driven.link(false, 100);
    let second = driven.push(200);
    driven.tick(1_000);
    assert_eq!(driven.sent(), ["log 1: 0+1"]);
    driven.link(true, 1_500);
    assert_eq!(driven.sent(), ["log 1: 0+1"], "the same batch under the same id");
    driven.tick(2_400);
    assert_eq!(driven.sent(), [""; 0], "its patience began anew with the link");
    driven.ack(1, 2_450);
    assert_eq!(driven.sent(), ["log 2: 1+1"]);
    driven.ack(2, 2_451);
    assert_eq!((answer(first).await, answer(second).await), (Ok(true), Ok(true)));
}

#[tokio::test]
async fn what_waits_for_a_lost_link_is_refused_and_so_is_what_comes_later() {
    let mut driven = Driven::new();
    let flying = driven.push(0);
    let waiting = driven.push(1);
    driven.link(false, 100);
    assert_eq!(driven.publisher.next_due_ms(), Some(1_000));
    driven.tick(1_599);
    assert_eq!(driven.publisher.next_due_ms(), Some(1_600));
    driven.tick(1_600);
    let late = driven.push(1_700);
    for pending in [flying, waiting, late] {
        assert_eq!(answer(pending).await, Err(PublishError::Unavailable));
    }
    assert_eq!((driven.sent().len(), driven.publisher.waiting()), (1, 0));
    driven.link(true, 5_000);
    let again = driven.push(5_001);
    assert_eq!(driven.sent(), ["log 2: 1+1"]);
    driven.ack(2, 5_002);
    assert_eq!(answer(again).await, Ok(true));
}

#[test]
fn a_batch_holds_what_one_message_may() {
    let mut driven = Driven::new();
    let large = Event { json: Bytes::from(vec![b'x'; 100 * 1024]), ..event() };
    let mut pending = Vec::new();
    for _ in 0..4 {
        let (answer, ack) = PendingAck::channel();
        let event = large.clone();
        let publication = Publication { room: room(), lane: Lane::Log, event, answer };
        driven.publisher.push(publication, at(0), &mut driven.out);
        pending.push(ack);
    }
    driven.ack(1, 1);
    driven.tick(300);
    assert_eq!(driven.sent(), ["log 1: 0+1", "log 2: 1+2"]);
    driven.ack(2, 301);
    driven.tick(600);
    assert_eq!(driven.sent(), ["log 3: 3+1"]);
}

#[test]
fn a_room_that_was_quiet_for_long_is_forgotten() {
    let mut driven = Driven::new();
    let _pending = driven.push(0);
    driven.ack(1, 1);
    driven.tick(IDLE_MS_MAX - 1);
    assert_eq!(driven.publisher.rooms.len(), 1);
    driven.tick(2 * IDLE_MS_MAX);
    assert_eq!(driven.publisher.rooms.len(), 0);
}
