//! The options that all scenarios have.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::files;
use crate::fleet::coordinator::Lead;
use crate::plan::{Plan, Target};

/// Sockets of one worker by default: one thread reads them all.
const SOCKETS_PER_WORKER: usize = 18_000;

/// Where to, how, and what to do with what was found.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The gateway's WebSocket
    #[arg(long, default_value = "ws://127.0.0.1:8080/ws")]
    pub(crate) url: String,
    /// The gateway's admin port, for its metrics; `none` if it cannot be reached
    #[arg(long, default_value = "http://127.0.0.1:9090")]
    pub(crate) api: String,
    /// The gateway's process id on this machine, for its CPU and memory
    #[arg(long, env = "BARRAGE_PID")]
    pub(crate) pid: Option<u32>,
    /// Repeats the run of this seed; without it, a new one is drawn and printed
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Offer permessage-deflate
    #[arg(long)]
    pub(crate) deflate: bool,
    /// Milliseconds between two looks at the sockets; 0 looks whenever something comes, which
    /// measures shorter times and costs the gateway more
    #[arg(long, value_name = "MS", default_value_t = 1)]
    pub(crate) sweep_ms: u64,
    /// Sockets of one worker process, at most; fewer where a process may not have as many files
    #[arg(long, value_name = "N", default_value_t = SOCKETS_PER_WORKER)]
    pub(crate) sockets_per_worker: usize,
    /// Connections of one worker that may be on their way at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) in_flight: usize,
    /// Seconds that the clients may take to come in before the run begins
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub(crate) join_s: f64,
    /// Seconds between the last join and the beginning; a gateway tells a room how many watch it
    /// up to five seconds after it has changed
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub(crate) settle_s: f64,
    /// Seconds in which nothing is heard before accounts are judged
    #[arg(long, value_name = "S", default_value_t = 1.5)]
    pub(crate) quiet_s: f64,
    /// Seconds to wait for that; what has not come by then is told
    #[arg(long, value_name = "S", default_value_t = 30.0)]
    pub(crate) drain_s: f64,
    /// The generator's own lag (99th percentile) above which the report is invalid
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    pub(crate) lag_max_ms: f64,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one HTML page to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Common {
    /// Where the gateway is.
    ///
    /// # Errors
    /// The URL is none of a WebSocket, or its host has no address.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let url = &self.url;
        let uri: hyper::Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        if uri.scheme_str() != Some("ws") {
            bail!("{url}: the gateway is watched at ws://host:port/ws");
        }
        let host = uri.host().context("a URL without a host")?.trim_matches(['[', ']']);
        let addresses = (host, uri.port_u16().unwrap_or(80)).to_socket_addrs();
        let mut addresses = addresses.with_context(|| format!("{host} has no address"))?;
        let address: SocketAddr = addresses.next().with_context(|| format!("{host} is nowhere"))?;
        let authority = uri.authority().map_or(host.to_owned(), ToString::to_string);
        let path = uri.path_and_query().map_or("/ws".into(), ToString::to_string);
        Ok(Target { address, host: authority, path })
    }

    /// The seed, drawn if none was given. Seeds are told as JSON numbers, of which 53 bits are
    /// safe everywhere.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| rand::random::<u64>() >> 11)
    }

    /// A plan without rooms and clients.
    ///
    /// # Errors
    /// See [`Self::target`].
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        Ok(Plan {
            run: 0,
            target: self.target()?,
            rooms: Vec::new(),
            groups: Vec::new(),
            phases: Vec::new(),
            clients: Vec::new(),
            in_flight_max: self.in_flight.max(1),
            sweep_us: self.sweep_ms * 1000,
            deflate: self.deflate,
            heartbeat_us: 0,
            only_chat: true,
            last_us: 0,
        })
    }

    /// How the run is led.
    pub(crate) fn lead(&self) -> Lead {
        let allowed = usize::try_from(files::connections_max()).unwrap_or(usize::MAX);
        Lead {
            sockets_max: self.sockets_per_worker.min(allowed).max(1),
            join_for: seconds(self.join_s),
            all_must_join: false,
            settle_for: seconds(self.settle_s),
            quiet_for: seconds(self.quiet_s),
            drain_for: seconds(self.drain_s),
            admin: (self.api != "none").then(|| self.api.clone()),
            pid: self.pid,
        }
    }
}

/// Seconds of an option; what is no time is none.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
