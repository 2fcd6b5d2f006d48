//! The servers are new enough and hold the streams and the bucket that gateways need; streams that
//! somebody deletes are made again.

use std::time::Duration;

use async_nats::jetstream::{self, Context, kv::Store};
use protocol::subject::{STREAMS, StreamIndex};
use tokio::sync::watch;
use tokio::time::sleep;

use super::StartError;
use super::config::Config;
use super::link::Link;
use super::links::Links;
use super::settings::{self, Place};
use super::streams::{self, Unready};

/// Between two attempts to make the streams, and how often there is a word about it.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const NAG_EVERY: u32 = 20;
/// Requests to JetStream.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// The oldest server that can do what is needed: batches of direct gets.
const OLDEST: (u32, u32) = (2, 11);

/// What becomes known on the way.
pub(super) struct Progress {
    /// Whether everything is there.
    pub(super) ready: watch::Sender<bool>,
    /// The bucket of rooms' settings, once it is there.
    pub(super) store: watch::Sender<Option<(Place, Store)>>,
    /// Why these servers will not do.
    pub(super) refusal: watch::Sender<Option<StartError>>,
}

/// Checks the servers and makes what is missing, for as long as it takes; makes streams again
/// whenever `log` says that some do not ack.
pub(super) async fn run(
    links: Links,
    config: Config,
    progress: Progress,
    log: watch::Receiver<bool>,
) {
    match prepare(&links, &config, &progress.store).await {
        Ok(clusters) => {
            tracing::info!("the fabric is ready");
            progress.ready.send_replace(true);
            keep(&clusters, &config, log).await;
        }
        Err(error) => {
            tracing::error!(%error, "this gateway cannot run on these servers");
            progress.refusal.send_replace(Some(error));
        }
    }
}

async fn prepare(
    links: &Links,
    config: &Config,
    store: &watch::Sender<Option<(Place, Store)>>,
) -> Result<Vec<Cluster>, StartError> {
    let mut clusters = Vec::new();
    for (number, link) in links.control.iter().enumerate() {
        link.up().await;
        check_version(link)?;
        let cluster = Cluster::new(link, streams_of(number, links.control.len()));
        let mut kept = config.log.age;
        for stream in &cluster.streams {
            kept = streams::longer(kept, cluster.make(config, *stream).await?);
        }
        if kept != config.log.age {
            let wanted = config.log.age;
            tracing::warn!(
                ?wanted,
                ?kept,
                "the logs keep events for longer than is configured here (rooms.history): so they were told before, and it stays so until they are told otherwise on the servers"
            );
        }
        if number == 0 {
            store.send_replace(Some(cluster.bucket(config).await));
        }
        clusters.push(cluster);
    }
    for link in &links.rooms {
        link.up().await;
    }
    Ok(clusters)
}

/// Makes streams again that somebody has deleted: rooms then begin a new numbering.
async fn keep(clusters: &[Cluster], config: &Config, mut log: watch::Receiver<bool>) {
    while log.wait_for(|acks| !acks).await.is_ok() {
        for cluster in clusters {
            for stream in &cluster.streams {
                match cluster.ensure(config, *stream).await {
                    Ok(_) => {}
                    Err(Unready::Refused(error)) => tracing::error!(%error, "a stream was changed"),
                    Err(Unready::Later(why)) => tracing::debug!(why, "a stream is not there"),
                }
            }
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// Servers that belong together, and the streams that are theirs.
struct Cluster {
    context: Context,
    /// Whether it is more than one server on its own.
    is_replicated: bool,
    streams: Vec<StreamIndex>,
}

impl Cluster {
    fn new(link: &Link, streams: Vec<StreamIndex>) -> Self {
        let mut context = jetstream::new(link.client.clone());
        context.set_timeout(REQUEST_MAX);
        Self { context, is_replicated: link.client.server_info().cluster.is_some(), streams }
    }

    async fn ensure(&self, config: &Config, stream: StreamIndex) -> Result<Duration, Unready> {
        streams::ensure(&self.context, config, stream, self.is_replicated).await
    }

    /// Makes a stream, or finds it made; how long it keeps its entries.
    async fn make(&self, config: &Config, stream: StreamIndex) -> Result<Duration, StartError> {
        let mut attempt = 0_u32;
        loop {
            match self.ensure(config, stream).await {
                Ok(kept) => return Ok(kept),
                Err(Unready::Refused(error)) => return Err(error),
                Err(Unready::Later(why)) if attempt.is_multiple_of(NAG_EVERY) => {
                    tracing::warn!(why, stream = stream.number(), "a stream is not there yet");
                }
                Err(Unready::Later(_)) => {}
            }
            attempt += 1;
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn bucket(&self, config: &Config) -> (Place, Store) {
        let place = Place {
            context: self.context.clone(),
            namespace: config.namespace.clone(),
            replicas: streams::replicas(config, self.is_replicated),
        };
        let mut attempt = 0_u32;
        loop {
            match settings::open(&place).await {
                Ok(store) => return (place, store),
                Err(why) if attempt.is_multiple_of(NAG_EVERY) => {
                    tracing::warn!(why, "the bucket of settings is not there yet");
                }
                Err(_) => {}
            }
            attempt += 1;
            sleep(AGAIN_AFTER).await;
        }
    }
}

/// The streams of one of so many clusters: equal shares.
fn streams_of(cluster: usize, clusters: usize) -> Vec<StreamIndex> {
    let share = usize::from(STREAMS) / clusters;
    StreamIndex::all().filter(|stream| stream.number() / share == cluster).collect()
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
    fn clusters_share_the_streams_out_evenly() {
        for clusters in [1, 2, 4, 8, 16] {
            let shares = (0..clusters).map(|cluster| streams_of(cluster, clusters));
            assert!(shares.clone().all(|share| share.len() == usize::from(STREAMS) / clusters));
            assert_eq!(
                shares.flatten().collect::<Vec<_>>(),
                StreamIndex::all().collect::<Vec<_>>()
            );
        }
    }
}
