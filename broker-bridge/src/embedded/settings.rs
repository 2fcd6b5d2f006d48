//! The task of rooms' settings: it keeps what was put last, and tells every node.
//!
//! A task of its own: a node that does not read its settings holds up nothing else.

use ahash::AHashMap;
use bytes::Bytes;
use protocol::ids::{BootId, RoomId};
use tokio::sync::oneshot;

use super::members::{Members, Turn};
use crate::{Ack, PublishError, SettingsDelivery};

/// What a node wants of the clerk.
#[derive(Debug)]
pub(super) enum SettingsVerb {
    /// To be told what is kept; the first verb of every node.
    Begin,
    /// To change a room's settings.
    Put {
        room: RoomId,
        settings: Option<Bytes>,
        answer: oneshot::Sender<Result<Ack, PublishError>>,
    },
}

type SettingsMembers = Members<SettingsVerb, SettingsDelivery>;

/// The state of the task.
pub(super) struct Clerk {
    members: SettingsMembers,
    kept: AHashMap<RoomId, Bytes>,
}

impl Clerk {
    pub(super) fn new(members: SettingsMembers) -> Self {
        Self { members, kept: AHashMap::new() }
    }

    /// Runs until all nodes are gone and none can join.
    pub(super) async fn run(mut self) {
        let mut verbs = Vec::new();
        loop {
            match self.members.next(&mut verbs).await {
                Turn::Verbs(node) => {
                    self.members.admit();
                    for verb in verbs.drain(..) {
                        self.apply(node, verb).await;
                    }
                }
                Turn::Left(_) => {}
                Turn::Ended => return,
            }
        }
    }

    async fn apply(&mut self, node: BootId, verb: SettingsVerb) {
        match verb {
            SettingsVerb::Begin => self.tell_all(node).await,
            SettingsVerb::Put { room, settings, answer } => {
                match &settings {
                    Some(settings) => self.kept.insert(room.clone(), settings.clone()),
                    None => self.kept.remove(&room),
                };
                // Kept already: whoever asked may have lost interest.
                let _ = answer.send(Ok(Ack { stored: true }));
                for node in self.members.boots() {
                    let change = SettingsDelivery::Room(room.clone(), settings.clone());
                    self.members.deliver(node, change).await;
                }
            }
        }
    }

    async fn tell_all(&mut self, node: BootId) {
        for (room, settings) in &self.kept {
            let kept = SettingsDelivery::Room(room.clone(), Some(settings.clone()));
            self.members.deliver(node, kept).await;
        }
        self.members.deliver(node, SettingsDelivery::Complete).await;
    }
}
