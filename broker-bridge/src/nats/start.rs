//! Bringing the fabric up: its queues, and the tasks between them.

use std::sync::Arc;

use protocol::ids::BootId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::ask::Asker;
use super::config::Config;
use super::counts::Tellers;
use super::direct::Switchboard;
use super::ends::Ends;
use super::links::{Links, link_of};
use super::node::Handle;
use super::prepare::{self, Progress};
use super::publisher::{self, Outlet};
use super::registry::Register;
use super::rooms::{Ground, Rooms};
use super::{Nats, StartError, settings};
use crate::queues::{Gauges, Queue};
use crate::stats::Stats;
use crate::{Broker, Deliveries, Identity, Load, Status};

/// Publications, and verbs about rooms, that wait: as many as on the embedded bus.
const VERBS_MAX: usize = 4_096;
/// Deliveries about rooms that wait for the gateway.
const ROOM_DELIVERIES_MAX: usize = 8_192;
/// Payloads past the logs that wait, each way.
const DIRECT_MAX: usize = 1_024;
/// Settings that wait, each way.
const SETTINGS_MAX: usize = 256;
const GONE_MAX: usize = 64;
pub(super) async fn start(
    config: Config,
    boot: BootId,
    identity: Identity,
) -> Result<(Nats, Arc<dyn Broker>, Deliveries), StartError> {
    let stats = Arc::new(Stats::default());
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let (load, loads) = watch::channel(Load::default());
    let (refusal, refused) = watch::channel(None);
    let ends = Ends { stopped, handle: loads.clone(), refused: refused.clone() };
    let links = Links::begin(&config, boot, &stats, &ends, &mut tasks).await?;

    let (publications, publications_queue) = mpsc::channel(VERBS_MAX);
    let (room_verbs, room_queue) = mpsc::channel(VERBS_MAX);
    let (counts, counts_queue) = mpsc::channel(VERBS_MAX);
    let (sendings, sendings_queue) = mpsc::channel(DIRECT_MAX);
    let (puts, puts_queue) = mpsc::channel(SETTINGS_MAX);
    let (room_deliveries, rooms) = mpsc::channel(ROOM_DELIVERIES_MAX);
    let (direct_deliveries, direct) = mpsc::channel(DIRECT_MAX);
    let (settings_deliveries, settings) = mpsc::channel(SETTINGS_MAX);
    let (gone, gone_queue) = mpsc::channel(GONE_MAX);
    let looked_up = Arc::clone(&stats);
    let gauges = Gauges::default()
        .channel(Queue::Publications, &publications)
        .channel(Queue::Rooms, &room_verbs)
        .channel(Queue::Counts, &counts)
        .channel(Queue::Payloads, &sendings)
        .channel(Queue::Settings, &puts)
        .with(Queue::Lookups, move || looked_up.lookups())
        .channel(Queue::RoomDeliveries, &room_deliveries)
        .channel(Queue::PayloadDeliveries, &direct_deliveries)
        .channel(Queue::SettingsDeliveries, &settings_deliveries);
    let (ready, is_ready) = watch::channel(false);
    let (has_log, log) = watch::channel(true);
    let (statuses, status) = watch::channel(Status { reachable: false, log: false });
    let (nodes, known) = watch::channel(Vec::new());
    let (store, stores) = watch::channel(None);

    let ns = config.namespace.clone();
    let control = links.control[0].clone();
    let inbox = |name: String| format!("{}.{name}", ns.inbox(boot));

    let outlet = Outlet {
        boot,
        namespace: ns.clone(),
        links: links.rooms.clone(),
        link_of,
        ready: is_ready.clone(),
        has_log,
        stats: Arc::clone(&stats),
    };
    tasks.spawn(ends.clone().end(publisher::run(outlet, publications_queue)));

    let askers = links.rooms.iter().enumerate();
    let askers = askers.map(|(at, link)| Asker::new(link.client.clone(), inbox(format!("q{at}"))));
    let ground = Ground {
        namespace: ns.clone(),
        links: links.rooms.clone(),
        askers: askers.collect(),
        link_of,
        ready: is_ready.clone(),
        room_entries_max: config.log.room_entries_max,
        age: config.log.age,
        deliveries: room_deliveries.clone(),
        counts: counts.clone(),
        stats: Arc::clone(&stats),
    };
    tasks.spawn(ends.clone().end(Rooms::new(ground).run(room_queue)));

    let client = control.client.clone();
    let tellers = Tellers::new(boot, ns.clone(), client.clone(), room_deliveries);
    tasks.spawn(tellers.run_until(counts_queue, ends.clone().end(std::future::pending())));
    let switchboard = Switchboard {
        boot,
        namespace: ns.clone(),
        client,
        deliveries: direct_deliveries,
        counter: 0,
        heard: Vec::new(),
    };
    tasks.spawn(ends.clone().end(switchboard.run(sendings_queue, gone_queue)));
    let register = Register {
        boot,
        identity,
        namespace: ns.clone(),
        link: control.clone(),
        load: loads,
        nodes,
        counts: counts.clone(),
        direct: gone,
    };
    tasks.spawn(ends.clone().end(register.run()));
    tasks.spawn(ends.clone().end(settings::run(stores, puts_queue, settings_deliveries)));

    let progress = Progress { ready, store, refusal };
    tasks.spawn(ends.clone().end(prepare::run(links.clone(), config, progress, log.clone())));
    tasks.spawn(ends.end(links.watch(is_ready, log, statuses)));

    let handle = Handle {
        boot,
        publications,
        rooms: room_verbs,
        counts,
        sendings,
        settings: puts,
        load,
        nodes: known,
        status: status.clone(),
        stats: Arc::clone(&stats),
        gauges,
    };
    let nats = Nats { stats, refused, stop, tasks };
    Ok((nats, Arc::new(handle), Deliveries { rooms, direct, settings, status }))
}
