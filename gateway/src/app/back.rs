//! The back thread: hubs, the broker's deliveries, settings, readiness and the admin port.

use std::sync::Arc;
use std::thread::JoinHandle;

use broker_bridge::{Deliveries, Stats};
use protocol::ids::RoomId;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::app::fabric::{self, Carrier};
use crate::app::{Node, Phase, reached};
use crate::dispatch;
use crate::health::{Health, Pulse};
use crate::http::admin::{self, Admin};
use crate::http::api::Api;
use crate::http::api::keys::ApiKeys;
use crate::http::listen;
use crate::http::queues::Queues;
use crate::http::tls::Tls;
use crate::hub::{Hub, HubInbox};
use crate::keys::Refresher;
use crate::settings;

/// What the back thread is started with.
pub(super) struct BackSide {
    pub(super) carrier: Carrier,
    pub(super) stats: Option<Arc<Stats>>,
    pub(super) fail: watch::Sender<bool>,
    pub(super) api_keys: ApiKeys,
    pub(super) deliveries: Deliveries,
    pub(super) inboxes: Vec<HubInbox>,
    pub(super) pulses: Vec<Pulse>,
    pub(super) admin: std::net::TcpListener,
    pub(super) refresher: Refresher,
    pub(super) health: Health,
}

impl Node {
    pub(super) fn spawn_back(
        self,
        runtime: Runtime,
        side: BackSide,
    ) -> anyhow::Result<JoinHandle<()>> {
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
        let queues = Queues {
            broker: Arc::clone(&self.broker),
            hubs: self.hubs.clone(),
            shards: Arc::clone(&self.shards),
        };
        let metrics = Arc::clone(&self.metrics);
        let admin_side = Admin { metrics, health, clock: self.clock, stats, queues };
        let routes = admin::routes(admin_side, api);
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
