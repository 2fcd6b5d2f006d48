//! The log and the bus in this process: all that a single node needs, and a cluster without a
//! network for tests.
//!
//! [`Bus`] owns three tasks, which own everything else: that of the rooms the logs, subscriptions
//! and counts, the switchboard what goes past the logs, the clerk the settings of rooms. Nodes reach them through bounded queues,
//! and are reached through the queues of their [`Deliveries`]; there is no lock anywhere. A
//! published event becomes an entry at once, with no window to wait for others.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use broker_bridge::embedded::{Bus, BusConfig};
//! use protocol::ids::{BootId, RoomId};
//!
//! let bus = Bus::start(BusConfig::default());
//! let (broker, mut deliveries) = bus.node(BootId::random([1; 8]));
//! broker.subscribe(&RoomId::parse("lobby").unwrap()).unwrap();
//! let (room, _opened) = deliveries.rooms.recv().await.unwrap();
//! assert_eq!(room.as_str(), "lobby");
//! # bus.shutdown().await;
//! # }
//! ```

mod bus;
mod log;
mod members;
mod node;
mod registry;
mod rooms;
mod settings;
mod switchboard;

use std::future::Future;
use std::sync::Arc;

use protocol::cursor::Epoch;
use protocol::ids::{BootId, RoomId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use self::log::Retention;

use self::bus::{RoomBus, RoomVerb};
use self::members::{Member, Members};
use self::node::Node;
use self::registry::Registry;
use self::rooms::Rooms;
use self::settings::{Clerk, SettingsVerb};
use self::switchboard::{Sending, Switchboard};
use crate::queues::{Gauges, Queue};
use crate::stats::Stats;
use crate::{Broker, Deliveries, Directed, Identity, RoomDelivery, SettingsDelivery, Status};

/// Verbs of one node that wait for the bus, publications included: 8 ms of work at 500,000 per
/// second. With the largest bodies (8 KiB) they hold 32 MiB.
const VERBS_MAX: usize = 4_096;
/// Deliveries about rooms that wait for one node: what a full queue of verbs gives, twice, so
/// that a hub may be busy with one such burst while the next one arrives.
const ROOM_DELIVERIES_MAX: usize = 2 * VERBS_MAX;
/// Payloads past the logs that wait, towards the bus and towards a node each: a call setup is
/// some 30 signals, so 34 calls may start in the same instant.
const DIRECT_MAX: usize = 1_024;
/// Settings that wait, towards the bus and towards a node each: people change them, one at a time.
const SETTINGS_MAX: usize = 256;
/// Nodes that wait to be let in. The tasks let all of them in whenever they run.
const JOINING_MAX: usize = 64;
/// The grace of a shared bus, in milliseconds: what a network would need, so that hubs on it
/// behave as they do in a cluster.
const SHARED_GRACE_MS: u64 = 50;

/// How many nodes a bus is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Topology {
    /// One node, which sees its log directly: its grace is 0.
    #[default]
    Single,
    /// Several nodes, like a cluster: their grace is 50 ms.
    Shared,
}

/// How a bus is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BusConfig {
    /// Decides [`Broker::grace_ms`] of the nodes. Default: a single one.
    pub nodes: Topology,
    /// How much of the logs is kept.
    pub retention: Retention,
}

/// An embedded bus: where nodes are made.
///
/// Its tasks end when it and the handles of all its nodes are dropped, or with
/// [`Bus::shutdown`].
#[derive(Debug)]
pub struct Bus {
    nodes: Topology,
    stats: Arc<Stats>,
    joining_rooms: mpsc::Sender<Member<RoomVerb, (RoomId, RoomDelivery)>>,
    joining_direct: mpsc::Sender<Member<Sending, Directed>>,
    joining_settings: mpsc::Sender<Member<SettingsVerb, SettingsDelivery>>,
    registry: Registry,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 3],
}

impl Bus {
    /// Starts a bus on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(config: BusConfig) -> Self {
        let stats = Arc::new(Stats::default());
        let (joining_rooms, rooms_door) = mpsc::channel(JOINING_MAX);
        let (joining_direct, direct_door) = mpsc::channel(JOINING_MAX);
        let (joining_settings, settings_door) = mpsc::channel(JOINING_MAX);
        let (stop, stopped) = watch::channel(false);
        let rooms = Rooms::new(config.retention, Box::new(|| Epoch::random(rand::random())));
        let bus = RoomBus::new(Members::new(rooms_door), rooms, Arc::clone(&stats));
        let switchboard = Switchboard::new(Members::new(direct_door), Arc::clone(&stats));
        let tasks = [
            tokio::spawn(run_until_stopped(bus.run(), stopped.clone())),
            tokio::spawn(run_until_stopped(switchboard.run(), stopped.clone())),
            tokio::spawn(run_until_stopped(Clerk::new(Members::new(settings_door)).run(), stopped)),
        ];
        Self {
            nodes: config.nodes,
            stats,
            joining_rooms,
            joining_direct,
            joining_settings,
            registry: Registry::default(),
            stop,
            tasks,
        }
    }

    /// Makes a node. It is gone again when its handle (all clones of it) is dropped, or when its
    /// room deliveries are dropped and something is to be delivered.
    ///
    /// The boot id must be new: the handle of a second node with the same one behaves as if the
    /// bus had ended, and so does that of a node that finds 64 others waiting to be let in.
    pub fn node(&self, boot: BootId) -> (Arc<dyn Broker>, Deliveries) {
        self.node_as(boot, Identity::default())
    }

    /// Makes a node that tells the others who it is. Otherwise like [`Bus::node`].
    pub fn node_as(&self, boot: BootId, identity: Identity) -> (Arc<dyn Broker>, Deliveries) {
        let (verbs, rooms_verbs) = mpsc::channel(VERBS_MAX);
        let (sendings, direct_verbs) = mpsc::channel(DIRECT_MAX);
        let (rooms_deliveries, rooms) = mpsc::channel(ROOM_DELIVERIES_MAX);
        let (direct_deliveries, direct) = mpsc::channel(DIRECT_MAX);
        let (settings_verbs, clerk_verbs) = mpsc::channel(SETTINGS_MAX);
        let (settings_deliveries, settings) = mpsc::channel(SETTINGS_MAX);
        let gauges = Gauges::default()
            .channel(Queue::Rooms, &verbs)
            .channel(Queue::Payloads, &sendings)
            .channel(Queue::Settings, &settings_verbs)
            .channel(Queue::RoomDeliveries, &rooms_deliveries)
            .channel(Queue::PayloadDeliveries, &direct_deliveries)
            .channel(Queue::SettingsDeliveries, &settings_deliveries);
        let (alive, is_alive) = watch::channel(());
        // The first of its queue: what is kept already is told first.
        let _ = settings_verbs.try_send(SettingsVerb::Begin);
        // A node that cannot join is left with closed queues.
        let _ = self.joining_rooms.try_send(Member {
            boot,
            verbs: rooms_verbs,
            deliveries: rooms_deliveries,
            alive: is_alive.clone(),
        });
        let _ = self.joining_direct.try_send(Member {
            boot,
            verbs: direct_verbs,
            deliveries: direct_deliveries,
            alive: is_alive.clone(),
        });
        let _ = self.joining_settings.try_send(Member {
            boot,
            verbs: clerk_verbs,
            deliveries: settings_deliveries,
            alive: is_alive,
        });
        let grace_ms = match self.nodes {
            Topology::Single => 0,
            Topology::Shared => SHARED_GRACE_MS,
        };
        let stats = Arc::clone(&self.stats);
        let node = Node {
            boot,
            grace_ms,
            verbs,
            sendings,
            settings: settings_verbs,
            registration: self.registry.register(boot, identity),
            stats,
            gauges,
            _alive: alive,
        };
        // What is in this process is always there: nobody will ever change this.
        let (_, status) = watch::channel(Status::WELL);
        (Arc::new(node), Deliveries { rooms, direct, settings, status })
    }

    /// What this bus has done so far, over all its nodes.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Ends the bus whoever still uses it, and waits until it has ended. What its nodes still
    /// wait for is answered with [`PublishError::Unavailable`](crate::PublishError::Unavailable).
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the embedded bus failed");
            }
        }
    }
}

async fn run_until_stopped(task: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    let stop = async {
        // Without a bus nobody can stop the task any more: it ends with the last node.
        if stopped.wait_for(|is_stopped| *is_stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = task => {}
    }
}
