//! Flags and environment, as one checked configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use clap::Parser;
use protocol::select::Budget;
use serde_json::json;

use crate::client::admission::Rate;
use crate::client::session::{PaidFromClients, SessionRules};
use crate::http::serve::PublicRules;
use crate::http::upgrade::Anonymous;
use crate::hub::HubRules;
use crate::room::RoomSettings;
use crate::shard::ShardRules;

/// The slowest tick that still feels live.
const TICK_MS_MAX: u32 = 60_000;

/// What stands on the command line or in the environment.
#[derive(Debug, Parser)]
#[command(name = "barrage-gateway", version, about = "Live danmaku rooms over WebSocket")]
pub struct Args {
    /// For trying things out: anonymous chat, gifts from clients, API key `dev`, a quick drain.
    #[arg(long, env = "BARRAGE_DEV")]
    pub dev: bool,

    /// Where clients connect. Without it: this machine only.
    #[arg(long, env = "BARRAGE_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// Where metrics, health and the server API are. Keep it away from the internet.
    #[arg(
        long,
        env = "BARRAGE_ADMIN_LISTEN",
        default_value = "127.0.0.1:9090",
        value_name = "ADDR"
    )]
    pub admin_listen: SocketAddr,

    /// The length of a slot in milliseconds: a room's messages go out in one frame per slot.
    /// Shorter feels quicker and costs proportionally more frames.
    #[arg(long, env = "BARRAGE_TICK_MS", default_value = "1000", value_name = "MS")]
    pub tick: NonZeroU32,

    /// Threads that hold connections. Without it: one per core.
    #[arg(long, env = "BARRAGE_SHARDS", value_name = "N")]
    pub shards: Option<NonZeroU16>,

    /// The path below which everything is served, such as `/live`.
    #[arg(long, env = "BARRAGE_BASE_PATH", default_value = "", value_name = "PATH")]
    pub base_path: String,

    /// A key of the server API; twice while rotating. Without one the server API is closed.
    #[arg(long, env = "BARRAGE_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Vec<String>,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where metrics, health and the server API are.
    pub admin_listen: SocketAddr,
    /// Threads that hold connections.
    pub shards: u16,
    /// Keys of the server API.
    pub api_keys: Vec<String>,
    /// What sessions may do.
    pub session: SessionRules,
    /// When a client is given up.
    pub timing: ShardRules,
    /// How rooms start.
    pub hub: HubRules,
    /// The public side.
    pub public: PublicRules,
    /// How a gateway leaves.
    pub drain: DrainRules,
}

/// How a gateway leaves.
#[derive(Debug, Clone, Copy)]
pub struct DrainRules {
    /// From "not ready" to the end of accepting, so that load balancers notice first.
    pub delay: Duration,
    /// The goodbyes are spread over this many seconds.
    pub window_s: u32,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", .0.iter().map(|f| format!("  {f}")).collect::<Vec<_>>().join("\n"))]
pub struct Faults(pub Vec<String>);

impl Config {
    /// The configuration for trying things out on this machine, on free ports: for tests.
    pub fn dev_on_free_ports() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let args = Args {
            dev: true,
            listen: free,
            admin_listen: free,
            tick: const { NonZeroU32::new(1000).expect("not zero") },
            shards: NonZeroU16::new(2),
            base_path: String::new(),
            api_key: Vec::new(),
        };
        Self::new(args).expect("these arguments are valid")
    }

    /// Checks what was given.
    ///
    /// # Errors
    /// [`Faults`]: all of them at once, each with its key and value.
    pub fn new(args: Args) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let tick_ms = args.tick.get();
        if tick_ms > TICK_MS_MAX {
            faults.push(format!("--tick {tick_ms}: at most {TICK_MS_MAX} ms"));
        }
        let base_path = args.base_path.trim_end_matches('/').to_owned();
        if !base_path.is_empty() && !is_path(&base_path) {
            faults.push(format!(
                "--base-path {base_path}: must begin with `/` and hold letters, digits, `-`, `_`, `.` and `/` only"
            ));
        }
        if args.api_key.iter().any(|key| key.is_empty() || !key.is_ascii()) {
            faults.push("--api-key: a key must be visible ASCII, and not empty".to_owned());
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = u16::try_from(cores).unwrap_or(u16::MAX);
        let mut api_keys = args.api_key;
        if args.dev {
            api_keys.push("dev".to_owned());
        }
        let anonymous = if args.dev { Anonymous::Chat } else { Anonymous::Refused };
        let client_json = json!({ "dev": args.dev, "tick_ms": tick_ms }).to_string();
        Ok(Self {
            listen: args.listen,
            admin_listen: args.admin_listen,
            shards: args.shards.map_or(cores, NonZeroU16::get),
            api_keys,
            session: SessionRules {
                publishes: Rate { burst: 5, period: Duration::from_secs(5) },
                likes: Rate { burst: 5, period: Duration::from_secs(2) },
                paid_from_clients: if args.dev {
                    PaidFromClients::Allowed
                } else {
                    PaidFromClients::Refused
                },
            },
            timing: ShardRules { ping_interval_s: 25, ping_timeout_s: 60, stuck_s: 15 },
            hub: HubRules {
                room: RoomSettings { tick_ms, budget: Budget { chat: 40, higher: 10 } },
            },
            public: PublicRules { base_path, anonymous, client_json },
            drain: if args.dev {
                DrainRules { delay: Duration::ZERO, window_s: 5 }
            } else {
                DrainRules { delay: Duration::from_secs(10), window_s: 30 }
            },
        })
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
}

/// Whether an address can be reached from this machine only.
pub fn is_local(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Config, Faults> {
        Config::new(Args::parse_from([&["barrage-gateway"], args].concat()))
    }

    #[test]
    fn nothing_said_means_closed_and_local() {
        let config = parse(&[]).unwrap();
        assert!(is_local(config.listen) && is_local(config.admin_listen));
        assert_eq!(config.public.anonymous, Anonymous::Refused);
        assert_eq!(config.session.paid_from_clients, PaidFromClients::Refused);
        assert!(config.api_keys.is_empty());
    }

    #[test]
    fn dev_opens_what_is_needed_to_try_it() {
        let config = parse(&["--dev", "--tick", "250", "--base-path", "/live/"]).unwrap();
        assert_eq!(config.public.anonymous, Anonymous::Chat);
        assert_eq!(config.api_keys, ["dev"]);
        assert_eq!(config.hub.room.tick_ms, 250);
        assert_eq!(config.public.base_path, "/live");
        assert_eq!(config.drain.window_s, 5);
        assert!(is_local(config.listen));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = parse(&["--tick", "70000", "--base-path", "live"]).unwrap_err();
        assert_eq!(faults.0.len(), 2);
        assert!(faults.to_string().contains("--tick 70000"));
    }
}
