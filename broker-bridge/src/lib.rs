//! The seam between gateways: what a room's log promises, and who keeps it.
//!
//! A gateway holds one [`Broker`] handle and the receivers of its [`Deliveries`]. The verbs
//! only enqueue: none waits, none calls back, so the trait needs no async and works as
//! `Arc<dyn Broker>`. What comes of them arrives as deliveries, in one order per room.
//!
//! Batching towards a server, and the envelope between nodes, live below this trait; everything
//! above it sees rooms, entries and events.
//!
//! [`embedded`] keeps the log in this process: a single node needs nothing else, and several
//! nodes on one [`embedded::Bus`] are a cluster without a network. [`nats`] is the fabric of several
//! nodes.

pub mod embedded;
#[cfg(feature = "testing")]
pub mod faulty;
pub mod nats;
mod nodes;
mod queues;
mod stats;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use protocol::cursor::{Cursor, Epoch, Seq};
use protocol::event::Event;
use protocol::ids::{Address, BootId, RoomId, UserId};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::nodes::{Identity, Load, Node, NodeState, Status};
pub use self::queues::Queue;
pub use self::stats::Stats;

/// The fabric as one gateway sees it.
///
/// # Contract
/// Every implementation keeps these promises; `tests/conformance` has one test for each.
///
/// 1. An event acked with `stored: true` is in the room's log, once.
/// 2. A room's log has one order, the same for every node.
/// 3. Events that one node publishes to one room enter the log in the order of the calls.
/// 4. After `subscribe` comes exactly one [`RoomDelivery::Opened`], before any entry of the room.
///    Another one comes only if the log is numbered anew, or if this node was away for longer
///    than can be made up for.
/// 5. After `Opened` comes every entry after its head, in order, each linked to the one before by
///    `prev`; where entries cannot be had any more, one [`RoomDelivery::Lost`] stands for them; where there are
///    none for long, [`RoomDelivery::Silent`] may tell so, and the next entry is linked to that. A
///    node receives its own publications exactly as it receives others'.
/// 6. `fetch` is answered by one [`RoomDelivery::Fetched`]: every entry after the cursor up to
///    the last one delivered before it, or nothing at all if any of them is gone. While the log
///    cannot be asked there is no answer.
/// 7. After `unsubscribe` late deliveries may come; soon there are none.
/// 8. What is sent to an address arrives at that node at most once, in the order of the calls;
///    what is sent to a user or to everybody arrives at every node at most once.
/// 9. Counts reach the other nodes that are subscribed to the room, and count for nothing once
///    their node is gone.
/// 10. A full queue is answered with [`Busy`], and nothing was accepted.
/// 11. Once a broker has ended, pending and new publications resolve to
///     [`PublishError::Unavailable`], other verbs are answered with [`Busy`], and its deliveries
///     end.
/// 12. An event acked with `stored: false` reaches every node that is subscribed at most once, as
///     [`RoomDelivery::Live`]. If it has entered the log all the same, its entry comes without it
///     where it came live, and [`RoomDelivery::Fetched`] has it.
/// 13. The settings put last for a room are kept, and reach every node: all that are kept when it
///     starts, before one [`SettingsDelivery::Complete`], and every change, in one order per room.
/// 14. A node knows itself and every other one by what it announced last, until that one is gone.
pub trait Broker: Send + Sync + 'static {
    /// The node this handle belongs to, in this life of it.
    fn boot(&self) -> BootId;

    /// How long after the end of a slot its entries may still arrive, in milliseconds: 0 when
    /// this node sees its log directly, about one network round trip otherwise.
    fn grace_ms(&self) -> u64;

    /// Appends an event to the room's log.
    ///
    /// # Errors
    /// [`Busy`] if the publish queue is full. Later failures come with the ack.
    fn publish(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy>;

    /// Hands an event to everybody who is subscribed to the room, past its log. Its ack says
    /// `stored: false`.
    ///
    /// # Errors
    /// [`Busy`] if the publish queue is full. Later failures come with the ack.
    fn publish_live(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy>;

    /// Starts the deliveries of a room to this node.
    ///
    /// # Errors
    /// [`Busy`] if the command queue is full.
    fn subscribe(&self, room: &RoomId) -> Result<(), Busy>;

    /// Ends the deliveries of a room to this node.
    ///
    /// # Errors
    /// [`Busy`] if the command queue is full; the caller tries again later.
    fn unsubscribe(&self, room: &RoomId) -> Result<(), Busy>;

    /// Asks for the entries of a subscribed room after a cursor. Answered in time or not at all:
    /// a log that is asked too much does not answer everybody.
    ///
    /// # Errors
    /// [`Busy`] if the command queue is full.
    fn fetch(&self, room: &RoomId, after: Cursor) -> Result<(), Busy>;

    /// Sends a payload past all logs, to one connection, to a user's connections, or to all.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full.
    fn send(&self, to: Recipient, payload: Bytes) -> Result<(), Busy>;

    /// Tells the other nodes what this node counts in a room.
    ///
    /// # Errors
    /// [`Busy`] if the command queue is full; the next report makes up for it.
    fn report(&self, room: &RoomId, counts: Counts) -> Result<(), Busy>;

    /// Keeps the settings of a room, or forgets them (`None`), for every node. They are JSON that
    /// the gateways agree on; the caller keeps to [`SETTINGS_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Busy`] if the queue is full. Later failures come with the ack.
    fn put_settings(&self, room: &RoomId, settings: Option<Bytes>) -> Result<PendingAck, Busy>;

    /// Tells the other nodes how much this one carries; the last word counts.
    fn announce(&self, load: Load);

    /// The nodes that are there, as far as is known here, this one included; in no order.
    fn nodes(&self) -> Vec<Node>;

    /// How many wait in each queue between this node and the log now: for metrics.
    fn queues(&self) -> Vec<(Queue, usize)>;
}

/// The settings of a room, in bytes: a page of JSON.
pub const SETTINGS_BYTES_MAX: usize = 4 * 1024;

/// The queue is full; nothing was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker's queue is full")]
pub struct Busy;

/// The event is accepted by the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Whether it is kept: `true` in the log, `false` delivered live at most once.
    pub stored: bool,
}

/// Why an event was not accepted after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The fabric cannot be reached; trying again later may succeed.
    #[error("the broker is unavailable")]
    Unavailable,
}

/// The ack of a published event, to be awaited.
#[derive(Debug)]
pub struct PendingAck(oneshot::Receiver<Result<Ack, PublishError>>);

impl PendingAck {
    /// A pending ack and the sender that answers it.
    pub fn channel() -> (oneshot::Sender<Result<Ack, PublishError>>, Self) {
        let (answer, pending) = oneshot::channel();
        (answer, Self(pending))
    }
}

impl Future for PendingAck {
    type Output = Result<Ack, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A broker that is dropped with the ack pending can no longer promise anything.
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or(Err(PublishError::Unavailable)))
    }
}

/// What a broker hands to its gateway. Several queues, so that a flood in a room delays no signal.
/// Whoever holds them reads them all, or drops those that are of no interest.
#[derive(Debug)]
pub struct Deliveries {
    /// Everything about rooms.
    pub rooms: mpsc::Receiver<(RoomId, RoomDelivery)>,
    /// What was sent to connections, users or everybody.
    pub direct: mpsc::Receiver<Directed>,
    /// The settings of rooms.
    pub settings: mpsc::Receiver<SettingsDelivery>,
    /// What the broker can do at the moment.
    pub status: watch::Receiver<Status>,
}

/// Something about the settings of rooms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingsDelivery {
    /// What is kept for a room from now on; `None`: nothing any more.
    Room(RoomId, Option<Bytes>),
    /// All that was kept when this node started has been told. Comes once.
    Complete,
}

/// One entry of a room's log: one or several events that were stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// The number of the entry before it in this room, 0 if there is none; after
    /// [`RoomDelivery::Silent`] that position.
    pub prev: Seq,
    /// When its publisher made it, in milliseconds since 1970; decides its slot.
    pub origin_ms: u64,
    /// Its events, in order; in a delivery none, if they came live before.
    pub events: Arc<[Event]>,
}

/// Something about a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomDelivery {
    /// The room is subscribed. Everything after `head` will follow. If the room was open already,
    /// whatever lies between its last entry and this head was missed for good.
    Opened {
        /// The last entry before the deliveries start.
        head: Cursor,
        /// The newest entries up to the head, oldest first (bounded by the broker).
        recent: Vec<Entry>,
    },
    /// The next entry of the log.
    Entry {
        /// The numbering it belongs to.
        epoch: Epoch,
        /// The entry.
        entry: Entry,
    },
    /// Events that the log does not hold: it has no leader at the moment, or the room keeps none.
    /// They have no number, and move no cursor.
    Live {
        /// When their publisher made them, in milliseconds since 1970; decides their slot.
        origin_ms: u64,
        /// The events, in order.
        events: Arc<[Event]>,
    },
    /// The room is silent: its log holds nothing after the last entry up to `upto`. Told now and
    /// then, so that who stands at the last entry has a younger position to come back with.
    Silent {
        /// The next entry comes after it.
        upto: Seq,
    },
    /// Entries that cannot be had any more: everything after the last one up to `upto`.
    Lost {
        /// The last of them; the next entry is linked to it. May be that of the last delivered
        /// entry, when it turns out only later how many events were lost before it.
        upto: Seq,
        /// How many events were in them, as far as is known by now.
        events: u64,
    },
    /// The answer to a fetch.
    Fetched {
        /// The cursor that was asked for.
        after: Cursor,
        /// Every entry after it, oldest first; `None` if any of them is gone.
        entries: Option<Vec<Entry>>,
    },
    /// What another node counts in this room now; replaces what it counted before.
    Counts {
        /// The other node.
        node: BootId,
        /// Its counts.
        counts: Counts,
    },
    /// Another node is gone, and what it counted with it (its likes stay counted).
    NodeGone {
        /// The other node.
        node: BootId,
    },
}

/// What one node counts in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Viewers joined on that node now.
    pub online: u32,
    /// Likes received by that node in this life of it.
    pub likes: u64,
}

/// Where a payload goes that is not for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// One connection.
    Address(Address),
    /// Every connection of a user.
    User(UserId),
    /// Every connection.
    Everybody,
}

/// A payload that was sent to connections of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directed {
    /// Which connections.
    pub to: Recipient,
    /// A complete message of the protocol, as JSON text.
    pub payload: Bytes,
}
