//! Waits for the broker's acks and tells them to the clients that published.
//!
//! One task per shard: a connection goes on reading while its publish is under way.

use std::sync::Arc;
use std::time::Duration;

use broker_bridge::{Ack, PendingAck, PublishError};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::frame;
use protocol::from_client::RequestId;
use protocol::ids::Address;
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
            Some((address, frame, since)) = awaited.next() => {
                let taken = clock.now().mono.saturating_sub(since);
                metrics.ack_seconds.observe(taken.as_secs_f64());
                shard.control(Control::Send { address, frame }).await;
            }
        }
    }
}

async fn wait(ack: AwaitedAck) -> (Address, Bytes, Duration) {
    let AwaitedAck { address, id, event, pending, since } = ack;
    let message = match pending.await {
        Ok(Ack { stored }) => {
            ServerMessage::Ack { id, event: Some(RawJson(&event)), stored }.render()
        }
        Err(PublishError::Unavailable) => ServerMessage::refusal(id, None, &UNAVAILABLE).render(),
    };
    (address, frame::text(&message), since)
}
