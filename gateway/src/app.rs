//! A whole gateway: assembled, run, and drained in the reverse order.

mod announce;
mod back;
mod canary;
mod drain;
mod fabric;
mod shard;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use broker_bridge::Broker;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use crate::app::back::BackSide;
use crate::app::fabric::Connected;
use crate::app::shard::ShardSeat;
use crate::config::{Config, Faults};
use crate::doorman::Doorman;
use crate::files::Places;
use crate::health::{Health, Pulse};
use crate::http::api::keys::ApiKeys;
use crate::http::listen;
use crate::http::tls::Tls;
use crate::hub::Hubs;
use crate::keys::Keys;
use crate::metrics::{Metrics, Reload};
use crate::now::Clock;
use crate::settings::KnownRooms;
use crate::shard::ShardHandle;

pub use crate::app::fabric::Fabric;

/// How far a gateway has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// No new connections.
    Leaving,
    /// Everything ends, whoever is still here.
    Ended,
}

/// A running gateway. Dropping it ends it abruptly; [`Gateway::drain`] is the polite way.
pub struct Gateway {
    public: SocketAddr,
    admin: SocketAddr,
    config: Config,
    health: Health,
    metrics: Arc<Metrics>,
    api_keys: ApiKeys,
    keys: Keys,
    shards: Arc<[ShardHandle]>,
    phase: watch::Sender<Phase>,
    failed: watch::Receiver<bool>,
    /// Ends when every shard has seen its last connection off.
    staying: mpsc::Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Starts a gateway: of a cluster if its configuration names one, otherwise a single node.
    ///
    /// # Errors
    /// Those of [`Gateway::start_on`].
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let fabric = Fabric::of(&config);
        Self::start_on(config, fabric)
    }

    /// Starts a node of a given fabric.
    ///
    /// # Errors
    /// An address cannot be used, a thread cannot be started, or this process may open too few
    /// files.
    pub fn start_on(config: Config, fabric: Fabric) -> anyhow::Result<Self> {
        let shard_count = usize::from(config.shards);
        let listeners = listen::bind_shared(config.listen, shard_count)
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let admin_listener = listen::bind_one(config.admin_listen)
            .with_context(|| format!("cannot listen on {}", config.admin_listen))?;
        let public = listeners.first().context("there is at least one shard")?.local_addr()?;
        let admin = admin_listener.local_addr()?;

        let tls = Tls::start(&config.tls, config.listen)?;
        let clock = Clock::system();
        let metrics = Arc::new(Metrics::new()?);
        let back = runtime()?;
        let Connected { broker, deliveries, stats, carrier } =
            fabric::connect(&back, fabric, &config)?;
        let (shards, shard_inboxes): (Vec<_>, Vec<_>) =
            (0..shard_count).map(|_| ShardHandle::channel()).unzip();
        let shards: Arc<[ShardHandle]> = shards.into();
        let (hubs, hub_inboxes) = Hubs::channels(shard_count);
        let pulses: Vec<Pulse> = (0..shard_count * 2).map(|_| Pulse::default()).collect();
        let (hub_pulses, shard_pulses) = pulses.split_at(shard_count);
        let health = Health::new(pulses.clone(), deliveries.status.clone());
        let known = KnownRooms::new(config.hub);
        let (phase, phases) = watch::channel(Phase::Running);
        let (fail, failed) = watch::channel(false);
        let places = Places::find(config.shards, config.guests.connections_max)?;
        let doorman = Doorman::new(config.guests, places, clock, Arc::clone(&metrics));
        let (keys, refresher) = Keys::open(&config.auth, clock, Arc::clone(&metrics))?;
        let of_node = keys.clone();
        let node = Node {
            clock,
            metrics,
            doorman,
            keys: of_node,
            broker,
            known,
            shards,
            hubs,
            config,
            tls,
            phases,
        };

        let (stays, staying) = mpsc::channel(1);
        let mut threads = Vec::new();
        let on_shards = shard_inboxes.into_iter().zip(listeners).zip(shard_pulses).enumerate();
        for (number, ((inbox, listener), pulse)) in on_shards {
            let number = u16::try_from(number).context("too many shards")?;
            let seat =
                ShardSeat { number, inbox, listener, pulse: pulse.clone(), stays: stays.clone() };
            threads.push(node.spawn_shard(seat)?);
        }
        let api_keys = ApiKeys::new(node.config.api_keys.clone());
        let back_side = BackSide {
            carrier,
            stats,
            fail,
            api_keys: api_keys.clone(),
            deliveries,
            inboxes: hub_inboxes,
            pulses: hub_pulses.to_vec(),
            admin: admin_listener,
            refresher,
            health: health.clone(),
        };
        let Node { metrics, shards, config, .. } = node.clone();
        threads.push(node.spawn_back(back, back_side)?);
        Ok(Self {
            public,
            admin,
            config,
            health,
            metrics,
            api_keys,
            keys,
            shards,
            phase,
            failed,
            staying,
            threads,
        })
    }

    /// Where clients connect.
    pub fn public_address(&self) -> SocketAddr {
        self.public
    }

    /// Where metrics, health and the server API are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until this gateway cannot go on, because its broker refuses it.
    pub async fn failed(&self) {
        let mut failed = self.failed.clone();
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes what can change without a restart from a configuration that was read anew: the keys
    /// of the server API and of tokens. With faults instead, everything stays as it is. Counted either way.
    pub fn reload(&self, read: Result<&Config, &Faults>) {
        let outcome = match read {
            Ok(config) => {
                self.api_keys.replace(config.api_keys.clone());
                self.keys.replace(&config.auth);
                Reload::Applied
            }
            Err(_) => Reload::Refused,
        };
        self.metrics.reloaded(outcome);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Ended);
    }
}

/// What every thread of a gateway gets a copy of.
#[derive(Clone)]
struct Node {
    clock: Clock,
    metrics: Arc<Metrics>,
    doorman: Arc<Doorman>,
    keys: Keys,
    broker: Arc<dyn Broker>,
    known: KnownRooms,
    shards: Arc<[ShardHandle]>,
    hubs: Hubs,
    config: Config,
    tls: Option<Tls>,
    phases: watch::Receiver<Phase>,
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Waits until the gateway has come at least so far to its end.
async fn reached(mut phases: watch::Receiver<Phase>, phase: Phase) {
    // A gateway that was dropped has ended.
    let _ = phases.wait_for(|now| *now >= phase).await;
}
