//! The worker as it runs: one keeper of the archive, one consumer for each stream, and what
//! operators ask it.
//!
//! ```text
//! stream ─▶ consumer ─┐ jobs          ┌▶ segments, positions
//! stream ─▶ consumer ─┼──────▶ keeper ┤
//!    ▲                │               └▶ how far all is durable ─┐
//!    └──── acks ──────┴──────────────────────────────────────────┘
//! ```

mod connect;
mod consumer;
mod intake;
mod keeper;
mod metrics;
mod operations;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::{Client, ConnectOptions, jetstream};
use protocol::subject::{Namespace, StreamIndex};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::consumer::{Consumer, Surroundings};
use self::keeper::{Keeper, Rhythm};
use self::metrics::Metrics;
use crate::archive::Archivist;

/// Entries on their way from the consumers to the keeper.
const JOBS_MAX: usize = 1024;
/// How long the last acks may take to be sent.
const FLUSH_FOR: Duration = Duration::from_secs(2);

/// What the worker is to do.
#[derive(Debug)]
pub(crate) struct Config {
    /// The servers of NATS.
    pub(crate) servers: Vec<String>,
    /// How to log in there.
    pub(crate) options: ConnectOptions,
    /// What the names of the deployment begin with.
    pub(crate) namespace: Namespace,
    /// The durable name of the consumers.
    pub(crate) name: String,
    /// The folder of the archive.
    pub(crate) folder: PathBuf,
    /// Where metrics and health are told.
    pub(crate) listen: SocketAddr,
    /// How long an entry waits for a commit at most.
    pub(crate) commit_every: Duration,
    /// How long segments are kept; for ever without it.
    pub(crate) keep: Option<Duration>,
}

/// Runs the worker until it is told to end (SIGTERM or SIGINT); then everything that it has been
/// given is committed and acked.
///
/// # Errors
/// It cannot start, or the last commit has failed (what it held will be delivered again).
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let archivist = Archivist::open(&config.folder)?;
    let metrics = Arc::new(Metrics::new());
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let operations = listener.local_addr().context("cannot tell the address")?;
    let mut tasks = JoinSet::new();
    let routes = operations::routes(metrics.clone());
    tasks.spawn(async move { axum::serve(listener, routes).await });
    tracing::info!(%operations, archive = %config.folder.display(), "started");

    // Answers go where no other client of the account may listen.
    let inbox = format!("{}.i.{}", config.namespace.as_str(), config.name);
    let options = config.options.custom_inbox_prefix(inbox);
    let client = connect::connect(options, &config.servers, metrics.clone());
    let client = client.await.context("cannot connect to NATS")?;
    let (stop, stopping) = watch::channel(false);
    let (jobs, taken) = mpsc::channel(JOBS_MAX);
    let rhythm = Rhythm { commit_every: config.commit_every, keep: config.keep };
    let (keeper, durable) =
        Keeper::new(archivist, rhythm, taken, metrics.clone(), stopping.clone());
    let (namespace, name) = (config.namespace, config.name.into());
    let around = Surroundings { namespace, name, durable, stop: stopping, metrics };
    let mut consumers = consume(&client, &jobs, &around);
    drop((jobs, around));
    let keeper = tokio::spawn(keeper.run());

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending");
    stop.send_replace(true);
    while consumers.join_next().await.is_some() {}
    let kept = keeper.await.context("the keeper has failed")?;
    let _ = tokio::time::timeout(FLUSH_FOR, client.flush()).await;
    kept.context("the last commit failed; what it held will be delivered again")?;
    tracing::info!("ended");
    Ok(())
}

fn consume(
    client: &Client,
    jobs: &mpsc::Sender<keeper::Job>,
    around: &Surroundings,
) -> JoinSet<()> {
    let context = jetstream::new(client.clone());
    let consumer = |stream| {
        let name = around.namespace.stream(stream);
        Consumer::new(client.clone(), context.clone(), &name, jobs.clone(), around.clone())
    };
    StreamIndex::all().map(|stream| consumer(stream).run()).collect()
}
