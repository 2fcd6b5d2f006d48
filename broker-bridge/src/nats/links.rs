//! All connections of a node: which one a partition uses, and how the fabric is by them.

use std::sync::Arc;

use protocol::ids::BootId;
use protocol::subject::{Partition, STREAMS};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::StartError;
use super::config::{CLUSTERS_MAX, Config};
use super::ends::Ends;
use super::link::{Link, LinkState};
use crate::Status;
use crate::stats::Stats;

/// Which of the links to rooms a partition uses: equal shares, whole streams on one link.
pub(super) fn link_of(partition: Partition, links: usize) -> usize {
    partition.stream().number() * links / usize::from(STREAMS)
}

/// All connections: those for rooms by partition, and one per cluster for everything else.
#[derive(Clone)]
pub(super) struct Links {
    pub(super) rooms: Vec<Link>,
    pub(super) control: Vec<Link>,
}

impl Links {
    pub(super) async fn begin(
        config: &Config,
        boot: BootId,
        stats: &Arc<Stats>,
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
                let (link, watcher) = Link::begin(config, servers, &inbox, name, stats).await?;
                tasks.spawn(ends.clone().end(watcher.run()));
                let kind = if nth == 0 { &mut links.control } else { &mut links.rooms };
                kind.push(link);
            }
        }
        Ok(links)
    }

    /// Says how the fabric is.
    pub(super) async fn watch(
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

#[cfg(test)]
mod tests {
    use super::*;

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
