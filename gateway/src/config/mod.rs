//! The configuration: from a file, the environment and flags, in rising order of precedence.
//!
//! [`Config`] is the checked result, made of the rules of the components. `settings` declares
//! each setting once: its key, its type, the field it fills. From these declarations come the
//! flags, the checks with all [`Faults`] at once, `--print-config`, the reference and the sample
//! file. [`Sources`] reads, also anew while the gateway runs.

mod check;
mod fault;
mod file;
mod kind;
mod load;
pub(crate) mod nats;
mod reference;
mod settings;
mod source;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use broker_bridge::embedded::Retention;

pub use crate::auth::config::{Anonymous, AuthConfig, JwksUrl, KeyFile};
use crate::client::session::{PaidFromClients, SessionRules};
use crate::documented::documented;
use crate::http::api::keys::ApiRules;
use crate::http::serve::PublicRules;
use crate::http::tls::TlsRules;
use crate::hub::HubRules;
use crate::secret::Secret;
use crate::shard::ShardRules;
use crate::telemetry::LogFilter;

pub use crate::client::admission::Rate;
pub use crate::client::guests::{AddressLimits, GuestRules};
pub use crate::http::address::{Preface, Proxies};
pub use fault::{Fault, Faults};
pub use load::Loaded;
pub(crate) use load::differences;
pub use nats::{Name, NatsRules, NatsUrl, NodeRules, Replicas};
pub use reference::{reference, sample};
pub use source::{Sources, Wish};

documented! {
    /// A checked configuration.
    #[derive(Debug, Clone)]
    pub struct Config {
        /// For trying things out: anonymous chat, gifts from clients, API key `dev`, a quick drain.
        /// Default: off. Never on in production: whoever knows this page has the key.
        pub dev: bool,
        /// Where clients connect: an address of this machine and a port. Default: this machine only,
        /// so that nothing is open by accident; `0.0.0.0:8080` or `[::]:8080` for everybody.
        pub listen: SocketAddr,
        /// Where metrics, health and the server API are. Default: this machine only. Keep it away
        /// from the internet: metrics and health ask for no key.
        pub admin_listen: SocketAddr,
        /// Threads that hold connections. Default: `auto`, one per core. Fewer leave cores idle;
        /// more compete for the cores, and every room costs a message per tick for each that has
        /// viewers of it.
        pub shards: u16,
        /// What is logged: a level, or levels by module. Default: `info`, the events of the node's
        /// life. `debug` tells every decision and `trace` every message, which slows a busy gateway
        /// down; below `warn` nobody learns what needs somebody's attention.
        pub log: LogFilter,
        /// Keys of the server API.
        pub api: ApiRules,
        /// All keys of the server API that are valid: those given, those of the key file, and in
        /// development `dev`.
        pub api_keys: Vec<Secret>,
        /// Who is let in.
        pub auth: AuthConfig,
        /// What sessions may do.
        pub session: SessionRules,
        /// Who is taken in.
        pub guests: GuestRules,
        /// When a client is given up.
        pub timing: ShardRules,
        /// How rooms start.
        pub hub: HubRules,
        /// What rooms remember.
        pub history: HistoryRules,
        /// The public side.
        pub public: PublicRules,
        /// TLS on the public side.
        pub tls: TlsRules,
        /// How a gateway leaves.
        pub drain: DrainRules,
        /// The servers that carry the rooms of several gateways.
        pub nats: NatsRules,
        /// What this gateway tells the others of itself.
        pub node: NodeRules,
    }
}

documented! {
    /// What rooms remember.
    #[derive(Debug, Clone, Copy)]
    pub struct HistoryRules {
        /// How long the events of a room are kept for those who come back or come late. Default: 10
        /// minutes, longer than a phone is in a tunnel. Shorter makes such clients start over with
        /// the newest events; longer costs memory, about 500 bytes per event, up to 256 MiB for all
        /// rooms together. With NATS it costs the servers' disks: the logs there keep
        /// events for the longest time that any gateway was started with; shorten it with
        /// `nats stream edit --max-age`.
        pub age: Duration,
    }
}

impl Default for HistoryRules {
    fn default() -> Self {
        Self { age: Duration::from_secs(600) }
    }
}

impl HistoryRules {
    /// The same for the embedded broker.
    pub(crate) fn retention(&self) -> Retention {
        let age_ms = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        Retention { age_ms, ..Retention::default() }
    }
}

documented! {
    /// How a gateway leaves.
    #[derive(Debug, Clone, Copy)]
    pub struct DrainRules {
        /// From "not ready" to the end of accepting. Default: 10 seconds, so that load balancers that
        /// ask every 5 seconds notice first; none with `--dev`. Shorter than they need, clients
        /// are sent to a closed door; longer only delays the end.
        pub delay: Duration,
        /// The goodbyes are spread over so many seconds. Default: 30 (5 with `--dev`), so that the
        /// other gateways take the clients over at a pace they can keep. Shorter is a stampede;
        /// longer than the patience of what stops the process (30 seconds in Kubernetes unless
        /// `terminationGracePeriodSeconds` says more, delay and grace included) is cut off.
        pub window_s: u32,
        /// Clients that have been told goodbye have this long to go before they are cut off.
        /// Default: 10 seconds, for those that have much to read. Shorter cuts off what they were
        /// owed; longer waits for the dead.
        pub grace: Duration,
    }
}

impl Default for DrainRules {
    fn default() -> Self {
        let grace = Duration::from_secs(10);
        Self { delay: Duration::from_secs(10), window_s: 30, grace }
    }
}

impl Default for Config {
    /// What holds when nobody says anything: closed, and on this machine only.
    fn default() -> Self {
        Self {
            dev: false,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            shards: cores(),
            log: LogFilter::default(),
            api: ApiRules::default(),
            api_keys: Vec::new(),
            auth: AuthConfig::default(),
            session: SessionRules::default(),
            guests: GuestRules::default(),
            timing: ShardRules::default(),
            hub: HubRules::default(),
            history: HistoryRules::default(),
            public: PublicRules::default(),
            tls: TlsRules::default(),
            drain: DrainRules::default(),
            nats: NatsRules::default(),
            node: NodeRules::default(),
        }
    }
}

impl Config {
    /// What holds with `--dev` when nobody says anything else.
    fn dev() -> Self {
        let mut config = Self { dev: true, ..Self::default() };
        config.auth.anonymous = Anonymous::Chat;
        config.guests.address_limits = AddressLimits::Off;
        config.session.paid_from_clients = PaidFromClients::Allowed;
        config.drain.delay = Duration::ZERO;
        config.drain.window_s = 5;
        config
    }

    /// The configuration of these flags alone, without environment: for tests.
    ///
    /// # Errors
    /// [`Faults`]: all of them at once.
    ///
    /// # Panics
    /// A flag is unknown or has no value.
    pub fn from_flags(flags: &[&str]) -> Result<Self, Faults> {
        let flags = ["barrage-gateway"].iter().chain(flags);
        let sources = Sources::new(flags, []).expect("these flags exist");
        Ok(sources.load()?.config)
    }

    /// The configuration for trying things out on this machine, on free ports: for tests.
    pub fn dev_on_free_ports() -> Self {
        let free = "127.0.0.1:0";
        let flags = ["--dev", "--listen", free, "--admin-listen", free, "--shards", "2"];
        Self::from_flags(&flags).expect("these flags are valid")
    }
}

/// How many threads this machine runs at a time.
fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores).unwrap_or(u16::MAX)
}

/// Whether an address can be reached from this machine only.
pub fn is_local(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}
