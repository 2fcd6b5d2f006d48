//! How the NATS broker is set up: plain data.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use protocol::subject::{Namespace, PARTITIONS, STREAMS};

/// Clusters at most: each has a whole number of streams.
pub const CLUSTERS_MAX: usize = STREAMS as usize;

/// How a gateway uses NATS.
#[derive(Debug, Clone)]
pub struct Config {
    /// The clusters, each by the URLs of its servers. Usually one; the partitions are spread over
    /// several in equal shares: 2, 4, 8 or 16. The same list in the same order on every gateway.
    pub clusters: Vec<Vec<String>>,
    /// What all subjects, streams and buckets begin with. Default `barrage`.
    pub namespace: Namespace,
    /// Connections to each cluster for rooms; there is one more for everything else. Default 2.
    pub connections: u8,
    /// Copies of each log. Default: 3 in a cluster, 1 on a single server.
    pub replicas: Option<u8>,
    /// What is kept of the logs.
    pub log: LogRules,
    /// How this gateway proves who it is.
    pub login: Login,
    /// Certificates.
    pub tls: Tls,
}

/// What is kept of the logs. It is written into the streams when they are made; the age also later,
/// if it is longer than what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRules {
    /// Entries kept of one room. Default 16,384.
    pub room_entries_max: u32,
    /// How long entries are kept. Default 10 minutes.
    pub age: Duration,
    /// Bytes kept in each of the 16 streams. Default 256 MiB, so 4 GiB in all; the server sets
    /// them aside when a stream is made.
    pub stream_bytes_max: u64,
}

/// How a gateway proves who it is.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// Not at all, or by its client certificate.
    #[default]
    None,
    /// By a credentials file (a JWT and the seed of its key).
    Credentials(PathBuf),
    /// By a file with the seed of an nkey.
    NkeySeed(PathBuf),
    /// By a token.
    Token(Secret),
    /// By user and password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Certificates, PEM. With any of them, or `tls://` URLs, the connection is encrypted.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Who signs the servers' certificates, if not one of the system's authorities.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Default for LogRules {
    fn default() -> Self {
        Self {
            room_entries_max: 16_384,
            age: Duration::from_secs(600),
            stream_bytes_max: 256 * 1024 * 1024,
        }
    }
}

impl Config {
    /// The settings for one cluster, with all defaults.
    pub fn new(servers: Vec<String>) -> Self {
        Self {
            clusters: vec![servers],
            namespace: Namespace::parse("barrage").expect("a plain word"),
            connections: 2,
            replicas: None,
            log: LogRules::default(),
            login: Login::None,
            tls: Tls::default(),
        }
    }
}

const _: () = assert!(PARTITIONS.is_multiple_of(STREAMS), "a stream has whole partitions");
