//! The fabric on NATS: rooms' logs in JetStream, everything else past it.
//!
//! A room's events are published into a stream, which numbers them and sends them on to the
//! gateways with viewers; every gateway follows the numbers by itself, so nothing between the
//! gateways has to live for chat to flow. See `docs/cluster.md`.
//!
//! | module | one responsibility |
//! | --- | --- |
//! | `config` | how it is set up |
//! | `link` | a connection |
//! | `links` | all of them: which a partition uses, and how the fabric is |
//! | `prepare` | servers are new enough and hold what is needed |
//! | `streams` | a stream is there and as it should be |
//! | `ask` | questions to the server |
//! | `publisher` | what this node publishes |
//! | `rooms` | what this node follows |
//! | `counts` | what nodes count in rooms |
//! | `direct` | what goes past the logs |
//! | `registry` | who is there |
//! | `settings` | rooms' settings |
//! | `start` | bringing it up |
//! | `ends` | what ends its tasks |
//! | `node` | the gateway's handle |

mod ask;
mod config;
mod counts;
mod direct;
mod ends;
mod link;
mod links;
mod node;
mod prepare;
mod publisher;
mod registry;
mod rooms;
mod settings;
mod start;
mod streams;

use std::sync::Arc;

use protocol::ids::BootId;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::config::{CLUSTERS_MAX, Config, LogRules, Login, Secret, Tls};

use crate::stats::Stats;
use crate::{Broker, Deliveries, Identity};

/// Why a gateway cannot run on these servers, whatever it waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be used.
    #[error("cannot connect to NATS: {0}")]
    Options(String),
    /// The server is older than 2.11.
    #[error("the NATS server {server} has version {version}, Barrage needs 2.11 or newer")]
    TooOld {
        /// Its name.
        server: String,
        /// What it says it is.
        version: String,
    },
    /// A stream is there, but it is not as this gateway would have made it.
    #[error("the stream {stream} differs from this gateway's settings: {difference}")]
    Stream {
        /// Its name.
        stream: String,
        /// What is different, with both values.
        difference: String,
    },
}

/// One gateway's side of the fabric. Its tasks end with [`Nats::shutdown`], or when this and the
/// handle are dropped.
#[derive(Debug)]
pub struct Nats {
    stats: Arc<Stats>,
    refused: watch::Receiver<Option<StartError>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Nats {
    /// Begins to connect. The broker can be used at once: until the servers are reached and ready,
    /// publications are refused as unavailable and rooms open later.
    ///
    /// # Errors
    /// [`StartError::Options`]: a URL or a file cannot be used. Everything that the servers have
    /// to say comes with [`Nats::refused`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn start(
        config: Config,
        boot: BootId,
        identity: Identity,
    ) -> Result<(Self, Arc<dyn Broker>, Deliveries), StartError> {
        start::start(config, boot, identity).await
    }

    /// Waits until it is known that this gateway cannot run on these servers; it has ended then.
    /// Never returns otherwise.
    pub async fn refused(&self) -> StartError {
        let mut refused = self.refused.clone();
        match refused.wait_for(Option::is_some).await {
            Ok(refused) => refused.clone().expect("waited for"),
            Err(_) => std::future::pending().await,
        }
    }

    /// What this gateway's broker has done so far.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Ends it, with a last word to the other nodes. What still waits for an ack is answered with
    /// [`PublishError::Unavailable`](crate::PublishError::Unavailable).
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the broker failed");
            }
        }
    }
}
