//! What goes past the logs: to a connection, a user's connections, or all.
//!
//! In: sendings of the gateway, and what other nodes send. Out: payloads for connections here. A
//! payload for this very node takes no detour.

use async_nats::{Client, Message};
use bytes::Bytes;
use futures_util::stream::{SelectAll, StreamExt};
use protocol::envelope::notes::{Addressee, Payload};
use protocol::ids::{Address, BootId};
use protocol::subject::Namespace;
use tokio::sync::mpsc;

use super::ask::AskError;
use crate::{Directed, Recipient};

/// The ways that payloads take; each has a numbering of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Node,
    User,
    All,
}

/// The state of the task.
pub(super) struct Switchboard {
    pub(super) boot: BootId,
    pub(super) namespace: Namespace,
    pub(super) client: Client,
    pub(super) deliveries: mpsc::Sender<Directed>,
    pub(super) counter: u64,
    /// The last number heard of each node on each way: what is not above it is a straggler of a
    /// connection that was thought dead.
    pub(super) heard: Vec<(BootId, [u64; 3])>,
}

impl Switchboard {
    /// Runs until the queue of sendings is closed.
    pub(super) async fn run(
        mut self,
        mut sendings: mpsc::Receiver<(Recipient, Bytes)>,
        mut gone: mpsc::Receiver<BootId>,
    ) {
        let mut arriving = match self.subscribe().await {
            Ok(arriving) => arriving,
            Err(error) => return tracing::error!(%error, "cannot subscribe to payloads"),
        };
        loop {
            tokio::select! {
                sending = sendings.recv() => match sending {
                    Some((to, payload)) => self.send(to, payload).await,
                    None => return,
                },
                Some(message) = arriving.next() => self.arrive(message).await,
                Some(node) = gone.recv() => self.heard.retain(|(boot, _)| *boot != node),
            }
        }
    }

    async fn subscribe(&self) -> Result<SelectAll<async_nats::Subscriber>, AskError> {
        let (ns, mut arriving) = (&self.namespace, SelectAll::new());
        for subject in [ns.node(self.boot), ns.users(), ns.everybody()] {
            let subscriber = self.client.subscribe(subject).await;
            arriving.push(subscriber.map_err(|error| AskError::Refused(error.to_string()))?);
        }
        Ok(arriving)
    }

    async fn send(&mut self, to: Recipient, payload: Bytes) {
        let (subject, addressee) = match &to {
            Recipient::Address(address) if address.boot == self.boot => {
                let _ = self.deliveries.send(Directed { to, payload }).await;
                return;
            }
            Recipient::Address(Address { boot, shard, slot, generation }) => {
                let (shard, slot, generation) = (*shard, *slot, *generation);
                (self.namespace.node(*boot), Addressee::Slot { shard, slot, generation })
            }
            Recipient::User(user) => (self.namespace.user(user), Addressee::User(user.clone())),
            Recipient::Everybody => (self.namespace.everybody(), Addressee::Everybody),
        };
        self.counter += 1;
        let note = Payload { from: self.boot, counter: self.counter, to: addressee, payload };
        if let Err(error) = self.client.publish(subject, note.encode()).await {
            tracing::debug!(%error, "a payload could not be sent");
        }
    }

    async fn arrive(&mut self, message: Message) {
        let note = match Payload::decode(Bytes::copy_from_slice(&message.payload)) {
            Ok(note) => note,
            Err(error) => return tracing::debug!(%error, "not a payload"),
        };
        let (to, way) = match note.to {
            Addressee::Slot { shard, slot, generation } => {
                let address = Address { boot: self.boot, shard, slot, generation };
                (Recipient::Address(address), Way::Node)
            }
            Addressee::User(user) => (Recipient::User(user), Way::User),
            Addressee::Everybody => (Recipient::Everybody, Way::All),
        };
        if self.is_news(note.from, way, note.counter) {
            let _ = self.deliveries.send(Directed { to, payload: note.payload }).await;
        }
    }

    fn is_news(&mut self, from: BootId, way: Way, counter: u64) -> bool {
        let at = self.heard.iter().position(|(boot, _)| *boot == from).unwrap_or_else(|| {
            self.heard.push((from, [0; 3]));
            self.heard.len() - 1
        });
        let last = &mut self.heard[at].1[way as usize];
        let is_news = counter > *last;
        *last = counter.max(*last);
        is_news
    }
}
