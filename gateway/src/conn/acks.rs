//! Waits for the broker's acks and tells them to the clients that published.
//!
//! One task per shard: a connection goes on reading while its publish is under way.

use std::sync::Arc;
use std::time::Duration;

use broker_bridge::{Ack, PendingAck, PublishError};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::event::Class;
use protocol::frame;
use protocol::from_client::RequestId;
use protocol::ids::{Address, RoomId};
use protocol::refusal::{Code, Refusal};
use protocol::to_client::{RawJson, ServerMessage};
use tokio::sync::mpsc;

use crate::metrics::Metrics;
use crate::now::Clock;
use crate::shard::{Control, ShardHandle};

/// Acks handed over and not yet looked at.
pub(crate) const ACKS_QUEUE: usize = 1024;
/// Acks waited for at once; connections that publish more wait, and stop reading.
const AWAITED_MAX: usize = 8192;

/// The fabric could not take the event; nothing was stored.
pub(crate) const UNAVAILABLE: Refusal = Refusal::until(
    Code::Unavailable,
    "the fabric cannot take this now; try again",
    Duration::from_secs(1),
);

/// A publish whose ack is awaited.
#[derive(Debug)]
pub(crate) struct AwaitedAck {
    pub(crate) address: Address,
    pub(crate) room: RoomId,
    pub(crate) class: Class,
    pub(crate) id: Option<RequestId>,
    /// The event as published, for the sender's own screen.
    pub(crate) event: Bytes,
    pub(crate) pending: PendingAck,
    /// When it was published, on the monotonic clock.
    pub(crate) since: Duration,
}

/// Runs until every connection of the shard has ended and the last ack is told.
pub(crate) async fn run(
    mut inbox: mpsc::Receiver<AwaitedAck>,
    shard: ShardHandle,
    clock: Clock,
    metrics: Arc<Metrics>,
) {
    let mut awaited = FuturesUnordered::new();
    let mut open = true;
    while open || !awaited.is_empty() {
        tokio::select! {
            ack = inbox.recv(), if open && awaited.len() < AWAITED_MAX => match ack {
                Some(ack) => awaited.push(wait(ack)),
                None => open = false,
            },
            Some((ack, outcome)) = awaited.next() => {
                let taken = clock.now().mono.saturating_sub(ack.since);
                metrics.ack_seconds.observe(taken.as_secs_f64());
                metrics.acks.dec();
                let frame = frame::text(&told(&ack, outcome, &metrics));
                shard.control(Control::Answer { address: ack.address, frame }).await;
            }
        }
    }
}

async fn wait(mut ack: AwaitedAck) -> (AwaitedAck, Result<Ack, PublishError>) {
    let outcome = (&mut ack.pending).await;
    (ack, outcome)
}

/// What the sender is told, and what is counted.
fn told(ack: &AwaitedAck, outcome: Result<Ack, PublishError>, metrics: &Metrics) -> Vec<u8> {
    let AwaitedAck { room, class, id, event, .. } = ack;
    match outcome {
        Ok(Ack { stored }) => {
            metrics.accepted(*class);
            ServerMessage::Ack { id: *id, event: Some(RawJson(event)), stored }.render()
        }
        Err(PublishError::Unavailable) => {
            metrics.refused(UNAVAILABLE.code);
            ServerMessage::refusal(*id, Some(room.as_str()), &UNAVAILABLE).render()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::ShardInbox;
    use protocol::ids::BootId;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    type Answer = oneshot::Sender<Result<Ack, PublishError>>;

    /// The task, its queue, and the shard that it tells.
    struct Stage {
        acks: mpsc::Sender<AwaitedAck>,
        shard: ShardInbox,
        task: JoinHandle<()>,
        metrics: Arc<Metrics>,
    }

    impl Stage {
        fn new() -> Self {
            let (handle, shard) = ShardHandle::channel();
            let (acks, inbox) = mpsc::channel(ACKS_QUEUE);
            let metrics = Arc::new(Metrics::new().unwrap());
            let task = tokio::spawn(run(inbox, handle, Clock::anchored(0), Arc::clone(&metrics)));
            Self { acks, shard, task, metrics }
        }

        /// Awaits an ack for the command of the given number.
        async fn await_ack(&self, number: u64) -> Answer {
            let (answer, pending) = PendingAck::channel();
            self.acks.send(awaited(number, pending)).await.unwrap();
            answer
        }

        /// What the shard is to send next: the slot of the client, and the message.
        async fn told(&mut self) -> (u32, String) {
            let Some(Control::Answer { address, frame }) = self.shard.next_control().await else {
                panic!("an ack is a message")
            };
            let header = if frame[1] < 126 { 2 } else { 4 };
            (address.slot, String::from_utf8(frame[header..].to_vec()).unwrap())
        }
    }

    fn awaited(number: u64, pending: PendingAck) -> AwaitedAck {
        let slot = number as u32;
        let room = RoomId::parse("demo").unwrap();
        let address = Address { boot: BootId::random([1; 8]), shard: 0, slot, generation: 1 };
        let event = Bytes::from_static(br#"{"n":1}"#);
        let (class, since) = (Class::Chat, Duration::ZERO);
        AwaitedAck { address, room, class, id: RequestId::new(number), event, pending, since }
    }

    #[tokio::test(start_paused = true)]
    async fn the_sender_learns_what_became_of_its_event() {
        let mut stage = Stage::new();
        stage.await_ack(1).await.send(Ok(Ack { stored: true })).unwrap();
        let stored = r#"{"type":"ack","id":1,"stored":true,"event":{"n":1}}"#;
        assert_eq!(stage.told().await, (1, stored.to_owned()));
        stage.await_ack(2).await.send(Ok(Ack { stored: false })).unwrap();
        let live = r#"{"type":"ack","id":2,"stored":false,"event":{"n":1}}"#;
        assert_eq!(stage.told().await, (2, live.to_owned()));
        stage.await_ack(3).await.send(Err(PublishError::Unavailable)).unwrap();
        let (slot, message) = stage.told().await;
        assert_eq!(slot, 3);
        assert!(message.starts_with(r#"{"type":"error","id":3,"code":"unavailable""#), "{message}");
        assert!(message.contains(r#""retry_after_ms":1000"#), "{message}");
        assert!(message.contains(r#""room":"demo""#), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_counts_as_accepted_when_it_is_acked_and_as_refused_when_not() {
        let mut stage = Stage::new();
        let (acked, refused) = (stage.await_ack(1).await, stage.await_ack(2).await);
        let counted = |stage: &Stage, sample: &str| {
            let text = String::from_utf8(stage.metrics.render()).unwrap();
            text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse::<u64>().ok())
        };
        const ACCEPTED: &str = "barrage_events_accepted_total{class=\"chat\"}";
        const REFUSED: &str = "barrage_refusals_total{code=\"unavailable\"}";
        assert_eq!((counted(&stage, ACCEPTED), counted(&stage, REFUSED)), (Some(0), Some(0)));
        acked.send(Ok(Ack { stored: true })).unwrap();
        stage.told().await;
        assert_eq!((counted(&stage, ACCEPTED), counted(&stage, REFUSED)), (Some(1), Some(0)));
        refused.send(Err(PublishError::Unavailable)).unwrap();
        stage.told().await;
        assert_eq!((counted(&stage, ACCEPTED), counted(&stage, REFUSED)), (Some(1), Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ack_that_nobody_will_give_any_more_reads_as_unavailable() {
        let mut stage = Stage::new();
        drop(stage.await_ack(1).await);
        assert!(stage.told().await.1.contains(r#""code":"unavailable""#));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_ack_does_not_hold_up_others() {
        let mut stage = Stage::new();
        let slow = stage.await_ack(1).await;
        stage.await_ack(2).await.send(Ok(Ack { stored: true })).unwrap();
        assert_eq!(stage.told().await.0, 2);
        slow.send(Ok(Ack { stored: true })).unwrap();
        assert_eq!(stage.told().await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_last_ack_after_the_last_connection() {
        let mut stage = Stage::new();
        let answer = stage.await_ack(1).await;
        let Stage { acks, task, .. } = &mut stage;
        *acks = mpsc::channel(1).0;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!task.is_finished(), "one is still awaited");
        answer.send(Ok(Ack { stored: true })).unwrap();
        assert_eq!(stage.told().await.0, 1);
        stage.task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_to_the_ack_is_measured() {
        let mut stage = Stage::new();
        let answer = stage.await_ack(1).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        answer.send(Ok(Ack { stored: true })).unwrap();
        stage.told().await;
        let seconds = &stage.metrics.ack_seconds;
        assert_eq!((seconds.get_sample_count(), seconds.get_sample_sum()), (1, 1.5));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_acks_are_awaited_and_then_connections_wait() {
        let mut stage = Stage::new();
        let mut answers = Vec::new();
        for n in 1..=(AWAITED_MAX + ACKS_QUEUE) as u64 {
            answers.push(stage.await_ack(n).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (_, pending) = PendingAck::channel();
        assert!(stage.acks.try_send(awaited(99_999, pending)).is_err(), "the queue is full");
        answers.remove(7).send(Ok(Ack { stored: true })).unwrap();
        assert_eq!(stage.told().await.0, 8);
        let (_, pending) = PendingAck::channel();
        stage.acks.send(awaited(99_999, pending)).await.unwrap();
    }
}
