//! What all connections of one shard share, and what each of them does with it: it takes its place
//! on the shard, answers, and gives its place back.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use broker_bridge::Broker;
use bytes::Bytes;
use protocol::frame;
use protocol::from_client::RequestId;
use protocol::ids::{Address, RoomId, UserId};
use protocol::refusal::Refusal;
use protocol::to_client::ServerMessage;
use tokio::sync::mpsc;

use crate::client::guests::GuestRules;
use crate::client::session::SessionRules;
use crate::conn::acks::AwaitedAck;
use crate::conn::reader::Reader;
use crate::doorman::Doorman;
use crate::hub::Hubs;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::now::Clock;
use crate::settings::KnownRooms;
use crate::shard::{ClientSink, Control, Handover, ShardHandle, ShardRules, Socket};

/// What all connections of one shard share; one per thread, never locked.
pub(crate) struct Context {
    pub(crate) clock: Clock,
    pub(crate) session: SessionRules,
    pub(crate) guests: GuestRules,
    pub(crate) doorman: Arc<Doorman>,
    pub(crate) keys: Keys,
    pub(crate) timing: ShardRules,
    /// The name of this node in `welcome`.
    pub(crate) node: String,
    pub(crate) shard: ShardHandle,
    pub(crate) handover: Handover,
    pub(crate) hubs: Hubs,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) known: KnownRooms,
    pub(crate) acks: mpsc::Sender<AwaitedAck>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reader: RefCell<Reader>,
}

impl Context {
    /// Hands a client to the shard, with the bytes that it is sent first.
    pub(super) async fn attach(
        &self,
        socket: &Rc<Socket>,
        user: UserId,
        first: Bytes,
    ) -> Option<Address> {
        socket.heard(self.clock.now().mono_s());
        self.seat(ClientSink::Socket(Rc::clone(socket)), user, first).await
    }

    /// Gives a client of any kind its place.
    pub(super) async fn seat(
        &self,
        sink: ClientSink,
        user: UserId,
        first: Bytes,
    ) -> Option<Address> {
        let sink = self.handover.leave(sink);
        let address = self.shard.attach(sink, user, Some(first)).await?;
        self.metrics.connections.inc();
        self.metrics.connections_total.inc();
        Some(address)
    }

    pub(super) async fn detach(&self, address: Address) {
        self.shard.control(Control::Detach(address)).await;
        self.metrics.connections.dec();
    }

    pub(super) async fn send(&self, address: Address, message: &[u8]) {
        self.shard.control(Control::Send { address, frame: frame::text(message) }).await;
    }

    pub(super) async fn refuse(
        &self,
        address: Address,
        id: Option<RequestId>,
        room: Option<&RoomId>,
        refusal: &Refusal,
    ) {
        self.metrics.refused(refusal.code);
        let error = ServerMessage::refusal(id, room.map(RoomId::as_str), refusal);
        self.send(address, &error.render()).await;
    }
}
