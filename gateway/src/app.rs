//! A whole gateway: assembled, run, and drained in the reverse order.

mod announce;
mod canary;
mod drain;
mod fabric;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use broker_bridge::{Broker, Deliveries, Stats};
use protocol::ids::RoomId;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::fabric::{Carrier, Connected};
use crate::config::{Config, Faults, is_local};
use crate::conn::acks::{self, ACKS_QUEUE};
use crate::conn::context::Context;
use crate::conn::reader::Reader;
use crate::dispatch;
use crate::doorman::Doorman;
use crate::health::{Health, Pulse};
use crate::http::admin::{self, Admin};
use crate::http::api::Api;
use crate::http::api::keys::ApiKeys;
use crate::http::entry::Entry;
use crate::http::listen;
use crate::http::serve::Public;
use crate::http::tls::Tls;
use crate::hub::{Hub, HubInbox, Hubs};
use crate::keys::{Keys, Refresher};
use crate::metrics::{Metrics, Reload};
use crate::now::Clock;
use crate::settings::{self, KnownRooms};
use crate::shard::{Handover, Shard, ShardHandle, ShardInbox};

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
    /// An address cannot be used, or a thread cannot be started.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        let fabric = Fabric::of(&config);
        Self::start_on(config, fabric)
    }

    /// Starts a node of a given fabric.
    ///
    /// # Errors
    /// An address cannot be used, or a thread cannot be started.
    pub fn start_on(config: Config, fabric: Fabric) -> anyhow::Result<Self> {
        if !is_local(config.admin_listen) {
            tracing::warn!(address = %config.admin_listen, "the admin port can be reached from other machines");
        }
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
        let doorman = Doorman::new(config.guests, clock, Arc::clone(&metrics));
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

/// What one shard's thread is started with.
struct ShardSeat {
    number: u16,
    inbox: ShardInbox,
    listener: std::net::TcpListener,
    pulse: Pulse,
    /// Kept for as long as the shard has connections.
    stays: mpsc::Sender<Infallible>,
}

/// What the back thread is started with.
struct BackSide {
    carrier: Carrier,
    stats: Option<Arc<Stats>>,
    fail: watch::Sender<bool>,
    api_keys: ApiKeys,
    deliveries: Deliveries,
    inboxes: Vec<HubInbox>,
    pulses: Vec<Pulse>,
    admin: std::net::TcpListener,
    refresher: Refresher,
    health: Health,
}

impl Node {
    fn spawn_shard(&self, seat: ShardSeat) -> anyhow::Result<JoinHandle<()>> {
        let node = self.clone();
        let runtime = runtime()?;
        let name = format!("shard-{}", seat.number);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let local = LocalSet::new();
            if let Err(error) = local.block_on(&runtime, node.shard(seat)) {
                tracing::error!(%error, "a shard has failed");
            }
        })?;
        Ok(thread)
    }

    async fn shard(self, seat: ShardSeat) -> io::Result<()> {
        let ShardSeat { number, inbox, listener, pulse, stays } = seat;
        let (timing, metrics) = (self.config.timing, Arc::clone(&self.metrics));
        let (boot, handover) = (self.broker.boot(), Handover::default());
        let shard = Shard::new(boot, number, handover.clone(), self.clock, timing, metrics, pulse);
        let handle = self.shards[usize::from(number)].clone();
        let (acks, acks_inbox) = mpsc::channel(ACKS_QUEUE);
        let acks_task =
            acks::run(acks_inbox, handle.clone(), self.clock, Arc::clone(&self.metrics));
        let acks_task = tokio::task::spawn_local(acks_task);
        let shard_task = tokio::task::spawn_local(shard.run(inbox));
        let context = Rc::new(Context {
            clock: self.clock,
            session: self.config.session,
            guests: self.config.guests,
            doorman: Arc::clone(&self.doorman),
            keys: self.keys.clone(),
            timing,
            node: self.broker.boot().to_string(),
            shard: handle,
            handover,
            hubs: self.hubs.clone(),
            broker: Arc::clone(&self.broker),
            known: self.known.clone(),
            acks,
            metrics: Arc::clone(&self.metrics),
            reader: Reader::new().into(),
        });
        let tasks = TaskTracker::new();
        let rules = self.config.public.clone();
        let (entry, tls) = (Entry::new(&self.config.auth, self.keys.in_use()), self.tls.clone());
        let leaving = CancellationToken::new();
        let public = Public { context, rules, tls, entry, tasks: tasks.clone(), leaving };
        let listener = listen::into_tokio(listener)?;
        let phases = self.phases;
        let served = async {
            Rc::new(public).accept(listener, reached(phases.clone(), Phase::Leaving)).await;
            tasks.close();
            tasks.wait().await;
            // What clients have published is the broker's before the gateway ends.
            drop(acks_task.await);
        };
        tokio::select! {
            () = served => drop(stays),
            () = reached(phases.clone(), Phase::Ended) => {}
        }
        // Hubs end last, and they hold handles of this shard: the phase ends it instead.
        reached(phases, Phase::Ended).await;
        shard_task.abort();
        Ok(())
    }

    fn spawn_back(self, runtime: Runtime, side: BackSide) -> anyhow::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("back".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(self.back(side)) {
                tracing::error!(%error, "the back thread has failed");
            }
        })?;
        Ok(thread)
    }

    async fn back(self, side: BackSide) -> anyhow::Result<()> {
        let BackSide { carrier, stats, fail, api_keys, deliveries, .. } = side;
        let BackSide { inboxes, pulses, admin, refresher, health, .. } = side;
        let tasks = TaskTracker::new();
        tasks.spawn(refresher.run());
        for (inbox, pulse) in inboxes.into_iter().zip(pulses) {
            let (broker, shards) = (Arc::clone(&self.broker), Arc::clone(&self.shards));
            let (known, metrics) = (self.known.clone(), Arc::clone(&self.metrics));
            let hub = Hub::new(self.clock, known, broker, shards, metrics, pulse);
            tasks.spawn(hub.run(inbox));
        }
        tasks.spawn(Tls::follow(self.tls.clone(), Arc::clone(&self.metrics)));
        let canary = RoomId::internal(&format!("canary-{}", self.broker.boot()));
        let (seen, canary_seen) = watch::channel(false);
        let (hubs, shards) = (self.hubs.clone(), Arc::clone(&self.shards));
        tasks.spawn(dispatch::rooms(deliveries.rooms, hubs, canary.clone(), seen));
        tasks.spawn(dispatch::directed(deliveries.direct, shards));
        let (known, hubs) = (self.known.clone(), self.hubs.clone());
        tasks.spawn(settings::watch(deliveries.settings, known, hubs, Arc::clone(&self.metrics)));
        tasks.spawn(self.clone().prove_ready(canary, canary_seen, health.clone()));
        tasks.spawn(self.clone().announce(health.clone()));
        tasks.spawn(fabric::tell_status(deliveries.status));

        let api = Api {
            keys: api_keys,
            broker: Arc::clone(&self.broker),
            known: self.known.clone(),
            hubs: self.hubs.clone(),
            clock: self.clock,
            metrics: Arc::clone(&self.metrics),
        };
        let metrics = Arc::clone(&self.metrics);
        let routes = admin::routes(Admin { metrics, health, clock: self.clock, stats }, api);
        let ended = reached(self.phases.clone(), Phase::Ended);
        tokio::select! {
            served = axum::serve(listen::into_tokio(admin)?, routes).into_future() => served?,
            () = ended => {}
            refused = carrier.refused() => {
                tracing::error!(error = %refused, "the broker refuses this gateway");
                fail.send_replace(true);
            }
        }
        carrier.shutdown().await;
        Ok(())
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Waits until the gateway has come at least so far to its end.
async fn reached(mut phases: watch::Receiver<Phase>, phase: Phase) {
    // A gateway that was dropped has ended.
    let _ = phases.wait_for(|now| *now >= phase).await;
}
