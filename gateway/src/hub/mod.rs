//! A hub: the task that drives rooms.
//!
//! It owns the rooms whose names hash to it, their history and their slots, and knows which
//! shards listen. Joins, leaves, likes and questions come in through a [`HubHandle`], deliveries
//! of the broker through dispatch; finished frames go out to shards. It has never seen a socket.

mod open;
mod outgoing;
mod schedule;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use broker_bridge::RoomDelivery;
use protocol::ids::{Address, RoomId};
use tokio::sync::{mpsc, oneshot};

use crate::client::Seat;
use crate::room::effect::{Info, Join};

pub(crate) use task::{Hub, HubRules};

/// Commands of connections: a join or a leave each.
const COMMANDS_QUEUE: usize = 4096;
/// Deliveries that dispatch has sorted by hub.
const DELIVERIES_QUEUE: usize = 4096;

/// What connections and the server API ask of a hub.
#[derive(Debug)]
pub(crate) enum HubCommand {
    /// Somebody wants in; the answer goes to their shard.
    Join { room: RoomId, join: Join },
    /// Somebody leaves.
    Leave { room: RoomId, address: Address, seat: Seat },
    /// Likes of somebody in the room.
    Like { room: RoomId, likes: u32 },
    /// What is the room like, and which are its newest events?
    Ask { room: RoomId, events: usize, answer: oneshot::Sender<Info> },
    /// The room's settings have changed: to be read anew.
    Set { room: RoomId },
}

impl HubCommand {
    /// The room it is about.
    pub(crate) fn room(&self) -> &RoomId {
        match self {
            Self::Join { room, .. }
            | Self::Leave { room, .. }
            | Self::Like { room, .. }
            | Self::Ask { room, .. }
            | Self::Set { room } => room,
        }
    }
}

/// The only way to reach a hub.
#[derive(Debug, Clone)]
struct HubHandle {
    commands: mpsc::Sender<HubCommand>,
    deliveries: mpsc::Sender<(RoomId, RoomDelivery)>,
}

/// The hub's ends of its queues.
#[derive(Debug)]
pub(crate) struct HubInbox {
    commands: mpsc::Receiver<HubCommand>,
    deliveries: mpsc::Receiver<(RoomId, RoomDelivery)>,
}

/// All hubs of a gateway; the room's hash chooses one.
#[derive(Debug, Clone)]
pub(crate) struct Hubs(Arc<[HubHandle]>);

impl Hubs {
    /// Handles of `count` hubs, and the inboxes that they are started with.
    pub(crate) fn channels(count: usize) -> (Self, Vec<HubInbox>) {
        let (handles, inboxes): (Vec<_>, Vec<_>) = (0..count)
            .map(|_| {
                let (commands, commands_inbox) = mpsc::channel(COMMANDS_QUEUE);
                let (deliveries, deliveries_inbox) = mpsc::channel(DELIVERIES_QUEUE);
                let inbox = HubInbox { commands: commands_inbox, deliveries: deliveries_inbox };
                (HubHandle { commands, deliveries }, inbox)
            })
            .unzip();
        (Self(handles.into()), inboxes)
    }

    /// Asks the room's hub; waits while its queue is full, which slows the reading of the
    /// connection that asks.
    pub(crate) async fn command(&self, command: HubCommand) {
        // Hubs end after all connections: nothing is owed then.
        let _ = self.of(command.room()).commands.send(command).await;
    }

    /// Hands over what the broker has for a room; waits while the queue is full, which slows the
    /// broker's deliveries and, through them, those who publish.
    pub(crate) async fn deliver(&self, room: RoomId, delivery: RoomDelivery) {
        let _ = self.of(&room).deliveries.send((room, delivery)).await;
    }

    /// How many commands, and how many deliveries, wait over all hubs.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let count = |(commands, deliveries), hub: &HubHandle| {
            (commands + waiting(&hub.commands), deliveries + waiting(&hub.deliveries))
        };
        self.0.iter().fold((0, 0), count)
    }

    fn of(&self, room: &RoomId) -> &HubHandle {
        // The upper half of the hash: the lower bits choose the tick's phase.
        let upper = (room.stable_hash() >> 32) as usize;
        &self.0[upper % self.0.len()]
    }
}

/// How many wait in a queue.
fn waiting<T>(queue: &mpsc::Sender<T>) -> usize {
    queue.max_capacity() - queue.capacity()
}

#[cfg(test)]
impl HubInbox {
    /// What is asked next.
    pub(crate) async fn next_command(&mut self) -> Option<HubCommand> {
        self.commands.recv().await
    }

    /// What dispatch hands over next.
    pub(crate) async fn next_delivery(&mut self) -> Option<(RoomId, RoomDelivery)> {
        self.deliveries.recv().await
    }
}
