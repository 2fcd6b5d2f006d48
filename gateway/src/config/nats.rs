//! How a gateway is part of a cluster: the NATS servers, and what it tells of itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use broker_bridge::nats;
use protocol::subject::{Namespace, SubjectError};

use crate::config::HistoryRules;
use crate::documented::documented;
use crate::secret::Secret;

documented! {
    /// The NATS servers that carry the rooms of several gateways.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct NatsRules {
        /// Servers of one NATS cluster, of version 2.11 or newer with JetStream; some are enough,
        /// they tell of the others. Default: none, so that this gateway is alone and keeps its
        /// rooms in memory. With one of several gateways left out of it, that one's viewers are in
        /// rooms of their own. User and password do not belong here, but into their settings.
        pub urls: Vec<NatsUrl>,
        /// More NATS clusters that share the load, each as the URLs of its servers with spaces
        /// between them. Default: none. With `nats.url` they must be 2, 4, 8 or 16; rooms are
        /// spread over them evenly, and each cluster keeps the logs of its rooms. The first one
        /// carries everything else too. The same list in the same order on every gateway: one
        /// with another is in other rooms.
        pub more_clusters: Vec<ClusterUrls>,
        /// What all names on the servers begin with: letters, digits, `-` and `_`. Default:
        /// `barrage`. Deployments that share servers need different ones; gateways of one
        /// deployment the same.
        pub namespace: Name,
        /// Copies of each room's log. Default: `auto`, 3 in a NATS cluster and 1 on a single
        /// server. With 1, the loss of a server's disk loses history; more costs the servers'
        /// disks and time.
        pub replicas: Replicas,
        /// Connections for rooms; one more is for everything else. Default: 2. One is enough for
        /// some thousand events per second; more only help where the servers have cores to spare.
        pub connections: u8,
        /// Entries of one room that are kept for those who come back. Default: 16,384, ten minutes
        /// of the busiest room. Fewer shorten its history; more cost the servers' disks. Kept in
        /// the streams when they are made: gateways that disagree refuse to start.
        pub room_entries: u32,
        /// Bytes that each of the 16 streams may keep. Default: 256 MiB, 4 GiB in all. Less
        /// shortens the history of busy times; more than the servers' disks can hold stops them.
        pub stream_bytes: u64,
        /// A credentials file: a user's JWT and the seed of its key. Default: none.
        pub credentials_file: Option<PathBuf>,
        /// A file with the seed of an nkey. Default: none.
        pub nkey_file: Option<PathBuf>,
        /// A token. Default: none. One in a flag or variable can leak; prefer a file with rights
        /// of its own.
        pub token: Option<Secret>,
        /// A user name; needs a password. Default: none.
        pub user: Option<Name>,
        /// The password of the user. Default: none.
        pub password: Option<Secret>,
        /// Who signs the servers' certificates, PEM. Default: the system's authorities. With it
        /// connections are encrypted, whatever the URLs say.
        pub ca_file: Option<PathBuf>,
        /// The certificate by which this gateway shows the servers who it is, PEM; needs its key.
        /// Default: none.
        pub certificate_file: Option<PathBuf>,
        /// The key of that certificate, PEM. Default: none.
        pub key_file: Option<PathBuf>,
    }
}

documented! {
    /// What a gateway tells the others of itself; `GET /v1/nodes` shows it.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct NodeRules {
        /// The name of this gateway, for people. Default: the name of its host.
        pub name: Option<Name>,
        /// Where clients reach this gateway by itself, as `host:port`. Default: not told.
        pub public: Option<Name>,
        /// Where its admin port is, as `host:port`. Default: not told.
        pub admin: Option<Name>,
    }
}

impl Default for NatsRules {
    fn default() -> Self {
        let log = nats::LogRules::default();
        Self {
            urls: Vec::new(),
            more_clusters: Vec::new(),
            namespace: Name("barrage".to_owned()),
            replicas: Replicas(None),
            connections: 2,
            room_entries: log.room_entries_max,
            stream_bytes: log.stream_bytes_max,
            credentials_file: None,
            nkey_file: None,
            token: None,
            user: None,
            password: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

impl NatsRules {
    /// The same for the broker.
    ///
    /// # Errors
    /// The namespace is none.
    pub fn for_broker(&self, history: &HistoryRules) -> Result<nats::Config, SubjectError> {
        let text = |secret: &Secret| nats::Secret(secret.expose().to_owned());
        let login = match (&self.credentials_file, &self.nkey_file, &self.token, &self.user) {
            (Some(file), ..) => nats::Login::Credentials(file.clone()),
            (_, Some(file), ..) => nats::Login::NkeySeed(file.clone()),
            (_, _, Some(token), _) => nats::Login::Token(text(token)),
            (_, _, _, Some(user)) => nats::Login::Password {
                user: user.text().to_owned(),
                password: self.password.as_ref().map_or(nats::Secret(String::new()), text),
            },
            _ => nats::Login::None,
        };
        let urls = |urls: &[NatsUrl]| urls.iter().map(|url| url.text().to_owned()).collect();
        let more = self.more_clusters.iter().map(|cluster| urls(&cluster.0));
        Ok(nats::Config {
            clusters: std::iter::once(urls(&self.urls)).chain(more).collect(),
            namespace: Namespace::parse(self.namespace.text())?,
            connections: self.connections,
            replicas: self.replicas.0,
            log: nats::LogRules {
                room_entries_max: self.room_entries,
                age: history.age,
                stream_bytes_max: self.stream_bytes,
            },
            login,
            tls: nats::Tls {
                ca: self.ca_file.clone(),
                certificate: self.certificate_file.clone().zip(self.key_file.clone()),
            },
        })
    }

    /// What is wrong although every value is fine by itself, as key and reason.
    pub(super) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = self.wrong_clusters();
        let logins = [
            ("nats.credentials_file", self.credentials_file.is_some()),
            ("nats.nkey_file", self.nkey_file.is_some()),
            ("nats.token", self.token.is_some()),
            ("nats.user", self.user.is_some()),
        ];
        let mut given = logins.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key);
        if let Some(first) = given.next() {
            found.extend(given.map(|key| (key, format!("contradicts {first}: give one of them"))));
        }
        let pairs = [
            ("nats.user", self.user.is_some(), "nats.password", self.password.is_some()),
            (
                "nats.cert_file",
                self.certificate_file.is_some(),
                "nats.key_file",
                self.key_file.is_some(),
            ),
        ];
        for (one, has_one, other, has_other) in pairs {
            match (has_one, has_other) {
                (true, false) => found.push((one, format!("needs {other}"))),
                (false, true) => found.push((other, format!("needs {one}"))),
                _ => {}
            }
        }
        found.extend(self.files().filter_map(|(key, path)| {
            let opened = std::fs::File::open(path);
            opened.err().map(|error| (key, format!("cannot be read: {error}")))
        }));
        found
    }

    fn wrong_clusters(&self) -> Vec<(&'static str, String)> {
        const KEY: &str = "nats.more_clusters";
        let clusters = 1 + self.more_clusters.len();
        if clusters > 1 && self.urls.is_empty() {
            vec![(KEY, "needs nats.url, the first cluster".to_owned())]
        } else if clusters > nats::CLUSTERS_MAX || !clusters.is_power_of_two() {
            vec![(KEY, format!("must make 2, 4, 8 or 16 clusters with nats.url, not {clusters}"))]
        } else {
            Vec::new()
        }
    }

    fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [
            ("nats.credentials_file", &self.credentials_file),
            ("nats.nkey_file", &self.nkey_file),
            ("nats.ca_file", &self.ca_file),
            ("nats.cert_file", &self.certificate_file),
            ("nats.key_file", &self.key_file),
        ];
        files.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?)))
    }
}

/// Where a NATS server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsUrl(String);

impl NatsUrl {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// It is not the URL of a NATS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give `nats://host:port` or `tls://host:port`, without user and password")]
pub struct NatsUrlError;

impl FromStr for NatsUrl {
    type Err = NatsUrlError;

    fn from_str(text: &str) -> Result<Self, NatsUrlError> {
        let (scheme, place) = text.split_once("://").ok_or(NatsUrlError)?;
        let place = place.strip_suffix('/').unwrap_or(place);
        let is_place = !place.is_empty()
            && !place.starts_with(':')
            && place.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b));
        let is_whole = matches!(scheme, "nats" | "tls") && is_place;
        let behind_host = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(_, behind)| behind),
            None => Some(place.find(':').map_or("", |at| &place[at..])),
        };
        let has_port_that_fits = behind_host.is_some_and(|behind| {
            let port = behind.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
            behind.is_empty() || port.is_some_and(|port| port > 0)
        });
        if is_whole && has_port_that_fits { Ok(Self(text.to_owned())) } else { Err(NatsUrlError) }
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the servers of one cluster are: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUrls(Vec<NatsUrl>);

impl FromStr for ClusterUrls {
    type Err = NatsUrlError;

    fn from_str(text: &str) -> Result<Self, NatsUrlError> {
        let urls: Vec<_> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        if urls.is_empty() { Err(NatsUrlError) } else { Ok(Self(urls)) }
    }
}

impl fmt::Display for ClusterUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(NatsUrl::text).collect();
        f.write_str(&texts.join(" "))
    }
}

/// A name or an address: visible, without spaces, up to 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it can be a part of a subject.
    pub(super) fn is_namespace(&self) -> bool {
        protocol::subject::Namespace::parse(&self.0).is_ok()
    }
}

/// It is empty, too long, or holds something invisible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give 1 to 128 visible ASCII characters without spaces")]
pub struct NameError;

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
        let is_name = (1..=128).contains(&text.len()) && is_visible;
        is_name.then(|| Self(text.to_owned())).ok_or(NameError)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many copies, if it is not left to the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas(pub Option<u8>);

/// It is no number of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give `auto`, 1, 3 or 5")]
pub struct ReplicasError;

impl FromStr for Replicas {
    type Err = ReplicasError;

    fn from_str(text: &str) -> Result<Self, ReplicasError> {
        match text {
            "auto" => Ok(Self(None)),
            "1" => Ok(Self(Some(1))),
            "3" => Ok(Self(Some(3))),
            "5" => Ok(Self(Some(5))),
            _ => Err(ReplicasError),
        }
    }
}

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(copies) => copies.fmt(f),
            None => f.write_str("auto"),
        }
    }
}
