//! One node's handle on the bus.

use std::sync::Arc;

use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::event::Event;
use protocol::ids::{BootId, RoomId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::bus::{Lane, RoomVerb, Verb};
use super::registry::Registration;
use super::settings::SettingsVerb;
use super::switchboard::Sending;
use crate::queues::{Gauges, Queue};
use crate::stats::Stats;
use crate::{Broker, Busy, Counts, Load, PendingAck, Recipient};

/// The [`Broker`] of one node on an embedded bus.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) boot: BootId,
    pub(super) grace_ms: u64,
    pub(super) verbs: mpsc::Sender<RoomVerb>,
    pub(super) sendings: mpsc::Sender<Sending>,
    pub(super) settings: mpsc::Sender<SettingsVerb>,
    pub(super) registration: Registration,
    pub(super) stats: Arc<Stats>,
    pub(super) gauges: Gauges,
    /// Tells the tasks by its end that this handle is gone.
    pub(super) _alive: watch::Sender<()>,
}

impl Node {
    fn command(&self, room: &RoomId, verb: Verb) -> Result<(), Busy> {
        self.verbs.try_send((room.clone(), verb)).map_err(|_| self.busy())
    }

    fn publish_on(&self, lane: Lane, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        let (answer, pending) = PendingAck::channel();
        match self.verbs.try_send((room.clone(), Verb::Publish { lane, event, answer })) {
            // Without a bus the answer is dropped with the verb, which reads as unavailable.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(pending),
            Err(TrySendError::Full(_)) => Err(self.busy()),
        }
    }

    fn busy(&self) -> Busy {
        self.stats.count_busy();
        Busy
    }
}

impl Broker for Node {
    fn boot(&self) -> BootId {
        self.boot
    }

    fn grace_ms(&self) -> u64 {
        self.grace_ms
    }

    fn publish(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        self.publish_on(Lane::Log, room, event)
    }

    fn publish_live(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        self.publish_on(Lane::Live, room, event)
    }

    fn subscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.command(room, Verb::Subscribe)
    }

    fn unsubscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.command(room, Verb::Unsubscribe)
    }

    fn fetch(&self, room: &RoomId, after: Cursor) -> Result<(), Busy> {
        self.command(room, Verb::Fetch { after })
    }

    fn send(&self, to: Recipient, payload: Bytes) -> Result<(), Busy> {
        self.sendings.try_send((to, payload)).map_err(|_| self.busy())
    }

    fn report(&self, room: &RoomId, counts: Counts) -> Result<(), Busy> {
        self.command(room, Verb::Report { counts })
    }

    fn put_settings(&self, room: &RoomId, settings: Option<Bytes>) -> Result<PendingAck, Busy> {
        let (answer, pending) = PendingAck::channel();
        let put = SettingsVerb::Put { room: room.clone(), settings, answer };
        match self.settings.try_send(put) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(pending),
            Err(TrySendError::Full(_)) => Err(self.busy()),
        }
    }

    fn announce(&self, load: Load) {
        self.registration.announce(load);
    }

    fn nodes(&self) -> Vec<crate::Node> {
        self.registration.nodes()
    }

    fn queues(&self) -> Vec<(Queue, usize)> {
        self.gauges.read()
    }
}
