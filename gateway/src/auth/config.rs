//! Who is let in: secrets, keys, anonymous visitors, origins.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use crate::auth::claims::Expected;
use crate::auth::origins::Origin;
use crate::documented::documented;
use crate::secret::Secret;

/// A secret for HS256, in bytes, at least (RFC 7518 section 3.2).
pub(crate) const SECRET_BYTES_MIN: usize = 32;

documented! {
    /// Who is let in.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AuthConfig {
        /// Shared secrets for HS256, at least 32 bytes each (with `dev`, of any length). Several
        /// are valid at once, for rotating. Default: none. A short one can be guessed from a
        /// single token. One in a flag can be seen by every user of the machine: prefer the
        /// environment or a file.
        pub secrets: Vec<Secret>,
        /// Files with public keys in PEM form; read again every 30 s, so that they can be
        /// replaced without a restart. Default: none.
        pub key_files: Vec<KeyFile>,
        /// Where an issuer publishes its public keys: `https://`, or `http://` on this machine.
        /// Default: nowhere.
        pub jwks_url: Option<JwksUrl>,
        /// The certificates, in PEM, of those who may vouch for the issuer's. Default: none, for
        /// those that this machine trusts. With a file nobody else is believed; it is read anew
        /// with every fetch.
        pub jwks_ca_file: Option<PathBuf>,
        /// What `iss` of every token must be. Default: anything, since the keys decide. Set it if
        /// the keys prove tokens of several issuers.
        pub issuer: Option<String>,
        /// What `aud` of every token must be, or hold. Default: anything. Set it if the issuer
        /// makes tokens for other services too: without it theirs are good here as well, if they
        /// have a `rooms` claim.
        pub audience: Option<String>,
        /// What connections without a token may do: nothing (`refused`), watch (`view`), or watch
        /// and publish (`chat`). Default: nothing, so that a gateway is closed until somebody
        /// opens it; with `dev`, chat. With `chat` every stranger can write in every room.
        pub anonymous: Anonymous,
        /// Which web pages may open connections. Default: all, since a token decides anyway. With
        /// anonymous connections, a list keeps other sites from using the rooms as their own.
        pub origins: Vec<Origin>,
        /// How often published keys are fetched. Default: 5 min. Less loads the issuer; more
        /// keeps a key that it has withdrawn valid for longer.
        pub jwks_every: Duration,
        /// Keys are looked for at once when a token names one that is not known, but no sooner
        /// after the last time than this. Default: 10 s. Less lets forged tokens load the issuer;
        /// more makes the first bearers of a new key wait for longer.
        pub keys_pause: Duration,
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            key_files: Vec::new(),
            jwks_url: None,
            jwks_ca_file: None,
            issuer: None,
            audience: None,
            anonymous: Anonymous::Refused,
            origins: Vec::new(),
            jwks_every: Duration::from_secs(300),
            keys_pause: Duration::from_secs(10),
        }
    }
}

impl AuthConfig {
    /// Whether tokens can be checked here. If not, those that come are not looked at.
    pub fn has_keys(&self) -> bool {
        !self.secrets.is_empty() || self.has_changing_keys()
    }

    /// Whether there are keys that may change while the gateway runs.
    pub(crate) fn has_changing_keys(&self) -> bool {
        !self.key_files.is_empty() || self.jwks_url.is_some()
    }

    /// What tokens must say of themselves.
    pub(crate) fn expected(&self) -> Expected {
        Expected { issuer: self.issuer.clone(), audience: self.audience.clone() }
    }

    /// Whether every secret is long enough for production.
    pub(crate) fn has_long_secrets(&self) -> bool {
        self.secrets.iter().all(|secret| secret.expose().len() >= SECRET_BYTES_MIN)
    }
}

/// What connections without a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing: they are refused.
    Refused,
    /// Watch.
    View,
    /// Watch and publish.
    Chat,
}

/// A file with a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// What tokens call the key.
    pub kid: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A text that does not say where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A file without a name.
    #[error("give the path of a file, or a key id, `=` and the path")]
    File,
    /// Keys that came through an open network could be anybody's.
    #[error("give `https://` with a host and a path, or `http://` with a loopback address")]
    Url,
}

impl std::str::FromStr for KeyFile {
    type Err = PlaceError;

    /// Reads `PATH`, where the name of the file without its ending is the key id, or `KID=PATH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kid, path) = match text.split_once('=') {
            Some((kid, path)) => (kid.to_owned(), PathBuf::from(path)),
            None => {
                let path = PathBuf::from(text);
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                (stem.unwrap_or_default().to_owned(), path)
            }
        };
        if kid.is_empty() || path.as_os_str().is_empty() {
            return Err(PlaceError::File);
        }
        Ok(Self { kid, path })
    }
}

/// Where an issuer publishes its keys: through TLS, or on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl(Uri);

impl JwksUrl {
    /// The name or the address that the issuer's certificate must be for; `None` without TLS.
    pub(crate) fn secured(&self) -> Option<&str> {
        (self.0.scheme_str() == Some("https")).then(|| self.host())
    }

    fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The host and the port, as the header `Host` has it.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority().map_or("", hyper::http::uri::Authority::as_str)
    }

    /// Where to connect.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        let usual = if self.secured().is_some() { 443 } else { 80 };
        (self.host(), self.0.port_u16().unwrap_or(usual))
    }

    /// What to ask for there.
    pub(crate) fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str)
    }
}

impl std::fmt::Display for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.kid, self.path.display())
    }
}

impl std::fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for JwksUrl {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| PlaceError::Url)?;
        let host = uri.host().ok_or(PlaceError::Url)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        let local = address.map_or(host == "localhost", |ip: std::net::IpAddr| ip.is_loopback());
        let safe = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => local,
            _ => false,
        };
        let named = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if !safe || named {
            return Err(PlaceError::Url);
        }
        Ok(Self(uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secrets_are_found() {
        let with = |secret: &str| AuthConfig {
            secrets: vec![Secret::new("x".repeat(32)), Secret::new(secret)],
            ..AuthConfig::default()
        };
        assert!(!with("hunter2").has_long_secrets() && with(&"y".repeat(32)).has_long_secrets());
        assert!(!format!("{:?}", with("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_key_file_is_called_as_its_name_or_as_it_is_told() {
        let named: KeyFile = "keys/2026-01.pem".parse().unwrap();
        assert_eq!(
            (named.kid.as_str(), named.path.to_str()),
            ("2026-01", Some("keys/2026-01.pem"))
        );
        let told: KeyFile = "main=keys/a.pem".parse().unwrap();
        assert_eq!((told.kid.as_str(), told.path.to_str()), ("main", Some("keys/a.pem")));
        for text in ["", "=a.pem", "a=", "/"] {
            assert_eq!(text.parse::<KeyFile>(), Err(PlaceError::File), "{text}");
        }
    }

    #[test]
    fn keys_are_not_fetched_through_an_open_network() {
        let url: JwksUrl = "http://127.0.0.1:8000/keys?a=b".parse().unwrap();
        assert_eq!((url.host_and_port(), url.path()), (("127.0.0.1", 8000), "/keys?a=b"));
        assert_eq!(url.secured(), None);
        let url: JwksUrl = "https://example.com/keys".parse().unwrap();
        assert_eq!(
            (url.host_and_port(), url.secured()),
            (("example.com", 443), Some("example.com"))
        );
        let url: JwksUrl = "https://[::1]:8443/keys".parse().unwrap();
        assert_eq!((url.host_and_port(), url.secured()), (("::1", 8443), Some("::1")));
        let url: JwksUrl = "http://[::1]".parse().unwrap();
        assert_eq!((url.host_and_port(), url.path()), (("::1", 80), "/"));
        for text in [
            "http://example.com/keys",
            "https:///keys",
            "https://me:pw@example.com/keys",
            "ftp://localhost/keys",
            "http://localhost.evil.example/",
            "http://me:pw@localhost/",
            "/keys",
            "",
        ] {
            assert_eq!(text.parse::<JwksUrl>(), Err(PlaceError::Url), "{text}");
        }
    }
}
