//! What all connections of one shard share.

use std::cell::RefCell;
use std::sync::Arc;

use broker_bridge::Broker;
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
use crate::shard::{Handover, ShardHandle, ShardRules};

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
