//! What a client has asked for is done: handed to the hub, the shard or the broker.

use std::time::Duration;

use protocol::refusal::{Code, Refusal};
use protocol::to_client::ServerMessage;

use super::Conn;
use super::acks::AwaitedAck;
use super::turn::Action;
use crate::hub::HubCommand;
use crate::metrics::Queue;
use crate::now::Now;
use crate::settings::Unpublished;

/// The broker's queue is full; nothing was accepted.
pub(crate) const BUSY: Refusal =
    Refusal::until(Code::Busy, "too busy to take this now; try again", Duration::from_secs(1));

impl Conn {
    pub(super) async fn perform_one(&self, action: Action, now: Now) {
        let context = &self.context;
        match action {
            Action::Hub(command) => context.hubs.command(command).await,
            Action::Shard(command) => context.shard.control(command).await,
            Action::Publish { room, event, id } => {
                let (class, json) = (event.class, event.json.clone());
                match context.known.publish(&*context.broker, &room, event) {
                    Ok(pending) => {
                        self.socket.owed().owe();
                        let (address, since) = (self.address, now.mono);
                        let ack =
                            AwaitedAck { address, room, class, id, event: json, pending, since };
                        context.metrics.acks.inc();
                        // The task of the acks ends after all connections.
                        let _ = context.acks.send(ack).await;
                    }
                    Err(Unpublished::Busy) => {
                        context.metrics.queue_full(Queue::Broker);
                        context.refuse(self.address, id, Some(&room), &BUSY).await;
                    }
                    Err(Unpublished::Refused(refusal)) => {
                        context.refuse(self.address, id, Some(&room), &refusal).await;
                    }
                }
            }
            Action::Like { room, likes, id } => {
                if let Err(refusal) = context.known.admit(&room) {
                    return context.refuse(self.address, id, Some(&room), &refusal).await;
                }
                context.hubs.command(HubCommand::Like { room, likes }).await;
                let ack = ServerMessage::Ack { id, event: None, stored: false };
                context.send(self.address, &ack.render()).await;
            }
            Action::Refuse { id, room, refusal } => {
                context.refuse(self.address, id, room.as_ref(), &refusal).await;
            }
        }
    }
}
