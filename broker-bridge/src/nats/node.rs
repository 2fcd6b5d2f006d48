//! The gateway's handle.

use std::sync::Arc;

use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::event::Event;
use protocol::ids::{BootId, RoomId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::counts::CountsVerb;
use super::publisher::{Lane, Publication};
use super::rooms::RoomVerb;
use super::settings::Put;
use crate::queues::{Gauges, Queue};
use crate::stats::Stats;
use crate::{Broker, Busy, Counts, Load, Node, PendingAck, Recipient, Status};

/// About one round trip to a server and on to the other gateways, with some air.
const GRACE_MS: u64 = 50;

/// The [`Broker`] of one gateway on NATS.
pub(super) struct Handle {
    pub(super) boot: BootId,
    pub(super) publications: mpsc::Sender<Publication>,
    pub(super) rooms: mpsc::Sender<(RoomId, RoomVerb)>,
    pub(super) counts: mpsc::Sender<CountsVerb>,
    pub(super) sendings: mpsc::Sender<(Recipient, Bytes)>,
    pub(super) settings: mpsc::Sender<Put>,
    /// Its end tells the tasks that the handle is gone.
    pub(super) load: watch::Sender<Load>,
    pub(super) nodes: watch::Receiver<Vec<Node>>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) stats: Arc<Stats>,
    pub(super) gauges: Gauges,
}

impl Handle {
    fn command(&self, room: &RoomId, verb: RoomVerb) -> Result<(), Busy> {
        self.rooms.try_send((room.clone(), verb)).map_err(|_| self.busy())
    }

    fn publish_on(&self, lane: Lane, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        let (answer, pending) = PendingAck::channel();
        let publication = Publication { room: room.clone(), lane, event, answer };
        self.pending(self.publications.try_send(publication), pending)
    }

    fn busy(&self) -> Busy {
        self.stats.count_busy();
        Busy
    }

    /// Without anybody to take it, the answer is dropped, which reads as unavailable.
    fn pending<T>(
        &self,
        sent: Result<(), TrySendError<T>>,
        pending: PendingAck,
    ) -> Result<PendingAck, Busy> {
        match sent {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(pending),
            Err(TrySendError::Full(_)) => Err(self.busy()),
        }
    }
}

impl Broker for Handle {
    fn boot(&self) -> BootId {
        self.boot
    }

    fn grace_ms(&self) -> u64 {
        GRACE_MS
    }

    fn publish(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        self.publish_on(Lane::Log, room, event)
    }

    fn publish_live(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        self.publish_on(Lane::Live, room, event)
    }

    fn subscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.command(room, RoomVerb::Subscribe)
    }

    fn unsubscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.command(room, RoomVerb::Unsubscribe)
    }

    fn fetch(&self, room: &RoomId, after: Cursor) -> Result<(), Busy> {
        self.command(room, RoomVerb::Fetch { after })
    }

    fn send(&self, to: Recipient, payload: Bytes) -> Result<(), Busy> {
        let is_here = matches!(&to, Recipient::Address(address) if address.boot == self.boot);
        // What is sent past the logs is of the moment: it does not wait for a link to come back.
        if !is_here && !self.status.borrow().reachable {
            return Err(self.busy());
        }
        self.sendings.try_send((to, payload)).map_err(|_| self.busy())
    }

    fn report(&self, room: &RoomId, counts: Counts) -> Result<(), Busy> {
        let report = CountsVerb::Report(room.clone(), counts);
        self.counts.try_send(report).map_err(|_| self.busy())
    }

    fn put_settings(&self, room: &RoomId, settings: Option<Bytes>) -> Result<PendingAck, Busy> {
        let (answer, pending) = PendingAck::channel();
        // A change that waited for the servers would come when nobody expects it any more.
        if !self.status.borrow().reachable {
            return Ok(pending);
        }
        self.pending(self.settings.try_send((room.clone(), settings, answer)), pending)
    }

    fn announce(&self, load: Load) {
        self.load.send_if_modified(|known| std::mem::replace(known, load) != load);
    }

    fn nodes(&self) -> Vec<Node> {
        self.nodes.borrow().clone()
    }

    fn queues(&self) -> Vec<(Queue, usize)> {
        self.gauges.read()
    }
}
