//! Bringing the fabric up: connections, checks, streams, tasks; and how it is from then on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::kv::Store;
use protocol::ids::BootId;
use protocol::subject::{Partition, STREAMS, StreamIndex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ask::Asker;
use super::config::{CLUSTERS_MAX, Config};
use super::counts::Tellers;
use super::direct::Switchboard;
use super::link::{Link, LinkState};
use super::node::Handle;
use super::publisher::{self, Outlet};
use super::registry::Register;
use super::rooms::{Ground, Rooms};
use super::streams::{self, Unready};
use super::{Nats, StartError, settings};
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
/// Between two attempts to make the streams, and how often there is a word about it.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const NAG_EVERY: u32 = 20;
/// Requests to JetStream.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// The oldest server that can do what is needed: batches of direct gets.
const OLDEST: (u32, u32) = (2, 11);

/// Which of the links to rooms a partition uses: equal shares, whole streams on one link.
fn link_of(partition: Partition, links: usize) -> usize {
    partition.stream().number() * links / usize::from(STREAMS)
}

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
    let links = Links::begin(&config, boot, &ends, &mut tasks).await?;

    let (publications, publications_queue) = mpsc::channel(VERBS_MAX);
    let (room_verbs, room_queue) = mpsc::channel(VERBS_MAX);
    let (counts, counts_queue) = mpsc::channel(VERBS_MAX);
    let (sendings, sendings_queue) = mpsc::channel(DIRECT_MAX);
    let (puts, puts_queue) = mpsc::channel(SETTINGS_MAX);
    let (room_deliveries, rooms) = mpsc::channel(ROOM_DELIVERIES_MAX);
    let (direct_deliveries, direct) = mpsc::channel(DIRECT_MAX);
    let (settings_deliveries, settings) = mpsc::channel(SETTINGS_MAX);
    let (gone, gone_queue) = mpsc::channel(GONE_MAX);
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

    let preparing = links.clone().prepare(config, ready, log.clone(), store, refusal);
    tasks.spawn(ends.clone().end(preparing));
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
    };
    let nats = Nats { stats, refused, stop, tasks };
    Ok((nats, Arc::new(handle), Deliveries { rooms, direct, settings, status }))
}

/// Everything that ends the tasks: a stop, the handle that is gone, servers that will not do.
#[derive(Clone)]
struct Ends {
    stopped: watch::Receiver<bool>,
    handle: watch::Receiver<Load>,
    refused: watch::Receiver<Option<StartError>>,
}

impl Ends {
    async fn end(mut self, task: impl Future<Output = ()>) {
        let gone = async { while self.handle.changed().await.is_ok() {} };
        let refused = async {
            if self.refused.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let stopped = async {
            // Without a fabric to stop it, the task ends with the handle.
            if self.stopped.wait_for(|is_stopped| *is_stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => {}
            () = gone => {}
            () = refused => {}
            () = task => {}
        }
    }
}

/// All connections: those for rooms by partition, and one per cluster for everything else.
#[derive(Clone)]
struct Links {
    rooms: Vec<Link>,
    control: Vec<Link>,
}

impl Links {
    async fn begin(
        config: &Config,
        boot: BootId,
        ends: &Ends,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, StartError> {
        let clusters = config.clusters.len();
        if clusters > CLUSTERS_MAX || !clusters.is_power_of_two() {
            let refused = "there must be 1, 2, 4, 8 or 16 clusters".to_owned();
            return Err(StartError::Options(refused));
        }
        let per_cluster = usize::from(config.connections.clamp(1, 4));
        let inbox = config.namespace.inbox(boot);
        let mut links = Self { rooms: Vec::new(), control: Vec::new() };
        for servers in &config.clusters {
            for nth in 0..=per_cluster {
                let name = format!("barrage {boot} {nth}");
                let (link, watcher) = Link::begin(config, servers, &inbox, name).await?;
                tasks.spawn(ends.clone().end(watcher.run()));
                let kind = if nth == 0 { &mut links.control } else { &mut links.rooms };
                kind.push(link);
            }
        }
        Ok(links)
    }

    /// Checks the servers and makes what is missing, for as long as it takes.
    async fn prepare(
        self,
        config: Config,
        ready: watch::Sender<bool>,
        log: watch::Receiver<bool>,
        store: watch::Sender<Option<Store>>,
        refusal: watch::Sender<Option<StartError>>,
    ) {
        let mut contexts = Vec::new();
        for (cluster, link) in self.control.iter().enumerate() {
            link.up().await;
            if let Err(error) = check_version(link) {
                tracing::error!(%error, "this gateway cannot run on these servers");
                refusal.send_replace(Some(error));
                return;
            }
            let mut context = jetstream::new(link.client.clone());
            context.set_timeout(REQUEST_MAX);
            let in_cluster = link.client.server_info().cluster.is_some();
            contexts.push((context.clone(), in_cluster));
            for stream in self.streams_of(cluster) {
                if let Err(error) = make(&context, &config, stream, in_cluster).await {
                    tracing::error!(%error, "this gateway cannot run on these servers");
                    refusal.send_replace(Some(error));
                    return;
                }
            }
            if cluster == 0 {
                let replicas = config.replicas.map_or(if in_cluster { 3 } else { 1 }, usize::from);
                let opened = loop {
                    match settings::open(&context, &config.namespace, replicas).await {
                        Ok(opened) => break opened,
                        Err(error) => {
                            tracing::warn!(error, "the bucket of settings is not there yet")
                        }
                    }
                    sleep(AGAIN_AFTER).await;
                };
                store.send_replace(Some(opened));
            }
        }
        for link in &self.rooms {
            link.up().await;
        }
        tracing::info!("the fabric is ready");
        ready.send_replace(true);
        self.keep(&config, &contexts, log).await;
    }

    /// Makes streams again that somebody has deleted: rooms then begin a new numbering.
    async fn keep(
        &self,
        config: &Config,
        contexts: &[(jetstream::Context, bool)],
        mut log: watch::Receiver<bool>,
    ) {
        while log.wait_for(|acks| !acks).await.is_ok() {
            for (cluster, (context, in_cluster)) in contexts.iter().enumerate() {
                for stream in self.streams_of(cluster) {
                    match streams::ensure(context, config, stream, *in_cluster).await {
                        Ok(()) => {}
                        Err(Unready::Refused(error)) => {
                            tracing::error!(%error, "a stream was changed")
                        }
                        Err(Unready::Later(why)) => tracing::debug!(why, "a stream is not there"),
                    }
                }
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    fn streams_of(&self, cluster: usize) -> impl Iterator<Item = StreamIndex> + use<> {
        let clusters = self.control.len();
        let share = usize::from(STREAMS) / clusters;
        StreamIndex::all().filter(move |stream| stream.number() / share == cluster)
    }

    /// Says how the fabric is.
    async fn watch(
        self,
        mut ready: watch::Receiver<bool>,
        mut log: watch::Receiver<bool>,
        statuses: watch::Sender<Status>,
    ) {
        let links = self.rooms.into_iter().chain(self.control);
        let mut states: Vec<watch::Receiver<LinkState>> = links.map(|link| link.state).collect();
        loop {
            let is_ready = *ready.borrow();
            let reachable = is_ready && states.iter().all(|state| state.borrow().is_up);
            let status = Status { reachable, log: is_ready && *log.borrow() };
            statuses.send_if_modified(|known| std::mem::replace(known, status) != status);
            let changes = states.iter_mut().map(|state| Box::pin(state.changed()));
            tokio::select! {
                _ = futures_util::future::select_all(changes) => {}
                _ = ready.changed() => {}
                _ = log.changed() => {}
            }
        }
    }
}

async fn make(
    context: &jetstream::Context,
    config: &Config,
    stream: StreamIndex,
    in_cluster: bool,
) -> Result<(), StartError> {
    for attempt in 0_u32.. {
        match streams::ensure(context, config, stream, in_cluster).await {
            Ok(()) => break,
            Err(Unready::Refused(error)) => return Err(error),
            Err(Unready::Later(why)) if attempt.is_multiple_of(NAG_EVERY) => {
                tracing::warn!(why, stream = stream.number(), "a stream is not there yet");
            }
            Err(Unready::Later(_)) => {}
        }
        sleep(AGAIN_AFTER).await;
    }
    Ok(())
}

fn check_version(link: &Link) -> Result<(), StartError> {
    let info = link.client.server_info();
    if is_new_enough(&info.version) {
        return Ok(());
    }
    Err(StartError::TooOld { server: info.server_name, version: info.version })
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_2_11_are_too_old() {
        for old in ["2.10.29", "2.9.10", "1.4.0", "", "garbage"] {
            assert!(!is_new_enough(old), "{old}");
        }
        for new in ["2.11.0", "2.11.0-RC.1", "2.15.1", "3.0.0"] {
            assert!(is_new_enough(new), "{new}");
        }
    }

    #[test]
    fn partitions_are_shared_out_evenly_and_streams_stay_whole() {
        for links in [1, 2, 3, 4, 16] {
            let mut shares = vec![0; links];
            for partition in Partition::all() {
                shares[link_of(partition, links)] += 1;
                let first = partition.stream().partitions().next().unwrap();
                assert_eq!(link_of(partition, links), link_of(first, links));
            }
            assert!(shares.iter().all(|share| *share >= 64 / links / 2), "{shares:?}");
        }
    }
}
