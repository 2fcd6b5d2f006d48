//! What carries a gateway's rooms: a broker of its own, or one that several gateways share.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use broker_bridge::embedded::{Bus, BusConfig};
use broker_bridge::nats::{Nats, StartError};
use broker_bridge::{Broker, Deliveries, Identity, Stats, Status};
use protocol::ids::BootId;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::config::Config;

/// What runs a gateway's log.
pub enum Fabric {
    /// An embedded broker of its own: a single node.
    Embedded,
    /// The NATS servers of the configuration.
    Nats,
    /// A node of a broker that was made elsewhere.
    Node(Arc<dyn Broker>, Deliveries),
}

impl Fabric {
    /// What a configuration asks for.
    pub(super) fn of(config: &Config) -> Self {
        if config.nats.urls.is_empty() { Self::Embedded } else { Self::Nats }
    }
}

/// A gateway's broker, and what keeps it going.
pub(super) struct Connected {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) deliveries: Deliveries,
    pub(super) stats: Option<Arc<Stats>>,
    pub(super) carrier: Carrier,
}

/// What keeps a broker going until it is shut down.
pub(super) enum Carrier {
    Bus(Bus),
    Nats(Box<Nats>),
    Elsewhere,
}

/// Makes the broker. Servers that cannot be reached are waited for in the background.
pub(super) fn connect(
    back: &Runtime,
    fabric: Fabric,
    config: &Config,
) -> anyhow::Result<Connected> {
    let boot = BootId::random(rand::random());
    match fabric {
        Fabric::Embedded => {
            let _on = back.enter();
            let retention = config.history.retention();
            let bus = Bus::start(BusConfig { retention, ..BusConfig::default() });
            let (broker, deliveries) = bus.node_as(boot, identity(config));
            let stats = Some(bus.stats());
            Ok(Connected { broker, deliveries, stats, carrier: Carrier::Bus(bus) })
        }
        Fabric::Nats => {
            let rules = config.nats.for_broker(&config.history).context("nats.namespace")?;
            let begin = Nats::start(rules, boot, identity(config));
            // On a thread of its own: the one that starts a gateway may belong to a runtime.
            let started = std::thread::scope(|scope| scope.spawn(|| back.block_on(begin)).join());
            let started = started.map_err(|_| anyhow::anyhow!("the broker did not start"))?;
            let (nats, broker, deliveries) = started.context("NATS cannot be used")?;
            let stats = Some(nats.stats());
            Ok(Connected { broker, deliveries, stats, carrier: Carrier::Nats(Box::new(nats)) })
        }
        Fabric::Node(broker, deliveries) => {
            Ok(Connected { broker, deliveries, stats: None, carrier: Carrier::Elsewhere })
        }
    }
}

fn identity(config: &Config) -> Identity {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let named = config.node.name.as_ref().map(|name| name.text().to_owned());
    Identity {
        name: named.unwrap_or_else(host).trim().into(),
        public: config.node.public.as_ref().map(|place| place.text().into()),
        admin: config.node.admin.as_ref().map(|place| place.text().into()),
    }
}

impl Carrier {
    /// Waits until it is known that this gateway cannot run on these servers.
    pub(super) async fn refused(&self) -> StartError {
        match self {
            Self::Nats(nats) => nats.refused().await,
            Self::Bus(_) | Self::Elsewhere => pending().await,
        }
    }

    /// Ends it.
    pub(super) async fn shutdown(self) {
        match self {
            Self::Bus(bus) => bus.shutdown().await,
            Self::Nats(nats) => nats.shutdown().await,
            Self::Elsewhere => {}
        }
    }
}

/// A broker that is reached within this time of the start is nothing that somebody should look at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says when the broker is less than it should be, and when it is well again.
pub(super) async fn tell_status(mut status: watch::Receiver<Status>) {
    let mut told = Status::WELL;
    if !status.borrow_and_update().reachable {
        tracing::info!("connecting to the broker");
        let reached = status.wait_for(|status| status.reachable);
        // Out of patience, what is told next is that it cannot be reached.
        told.reachable = tokio::time::timeout(PATIENCE, reached).await.is_err();
    }
    loop {
        let now = *status.borrow_and_update();
        if now.reachable != told.reachable {
            match now.reachable {
                true => tracing::info!("the broker is reached"),
                false => tracing::warn!("the broker cannot be reached; publishing is refused"),
            }
        }
        if now.log != told.log && now.reachable {
            match now.log {
                true => tracing::info!("events are kept again"),
                false => tracing::warn!("events are not kept; they are delivered live only"),
            }
        }
        told = now;
        if status.changed().await.is_err() {
            return;
        }
    }
}
