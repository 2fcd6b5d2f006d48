//! The task of everything that goes past the logs: it passes payloads from node to node.
//!
//! It is a task of its own so that a flood in a room delays no signal.

use std::sync::Arc;

use bytes::Bytes;
use protocol::ids::BootId;

use super::members::{Delivered, Members, Turn};
use crate::stats::Stats;
use crate::{Directed, Recipient};

/// Why a payload is on its way, and where to.
pub(super) type Sending = (Recipient, Bytes);
pub(super) type DirectMembers = Members<Sending, Directed>;

/// The state of the task.
pub(super) struct Switchboard {
    members: DirectMembers,
    stats: Arc<Stats>,
}

impl Switchboard {
    pub(super) fn new(members: DirectMembers, stats: Arc<Stats>) -> Self {
        Self { members, stats }
    }

    /// Runs until all nodes are gone and none can join.
    pub(super) async fn run(mut self) {
        let mut sendings = Vec::new();
        loop {
            match self.members.next(&mut sendings).await {
                Turn::Verbs(_) => {
                    self.members.admit();
                    for (to, payload) in sendings.drain(..) {
                        self.pass_on(Directed { to, payload }).await;
                    }
                }
                Turn::Left(_) => {}
                Turn::Ended => return,
            }
        }
    }

    async fn pass_on(&mut self, directed: Directed) {
        match &directed.to {
            Recipient::Address(address) => {
                let node = address.boot;
                if self.deliver(node, directed).await != Delivered::Yes {
                    self.stats.count_dropped();
                }
            }
            Recipient::User(_) | Recipient::Everybody => {
                for node in self.members.boots() {
                    self.deliver(node, directed.clone()).await;
                }
            }
        }
    }

    async fn deliver(&mut self, to: BootId, directed: Directed) -> Delivered {
        self.members.deliver(to, directed).await
    }
}
