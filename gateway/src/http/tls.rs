//! TLS on the public port: where its certificate comes from, and the handshake.
//!
//! Certificates stand behind an [`ArcSwap`]: a handshake takes the one of its moment, and clients
//! that are connected notice nothing when it is replaced. What happens after the handshake is
//! `shard::cipher`'s.

mod files;
mod self_signed;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::documented::documented;
use crate::http::tls::files::Files;
use crate::metrics::{CertificateReload, Metrics};

/// A handshake must be over within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often files are looked at: a renewal has weeks, and whoever tries it out waits for it.
const LOOK: Duration = Duration::from_secs(2);

documented! {
    /// Whether and how the public port speaks TLS.
    #[derive(Debug, Clone, Default)]
    pub struct TlsRules {
        /// The certificate of the public port with those that vouch for it, its own first, in PEM.
        /// Read again within seconds when it changes. Default: none, so that the port speaks plain
        /// HTTP; then keep it behind a proxy that speaks TLS.
        pub certificate_file: Option<PathBuf>,
        /// The private key of the certificate, in PEM. Default: none. Needed with the certificate,
        /// and read again with it; nobody but the gateway should be able to read it.
        pub key_file: Option<PathBuf>,
        /// `self-signed`: TLS with a certificate made at the start and kept in memory only, for
        /// trying things out from a phone. Browsers warn of it; its fingerprint is in the log.
        /// Default: `off`.
        pub mode: TlsMode,
    }
}

/// Where a certificate comes from if not from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Nowhere.
    #[default]
    Off,
    /// It is made at the start.
    SelfSigned,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFault {
    /// A certificate without its key, or the other way round.
    #[error("a certificate and its key are needed, and only one of them is given")]
    OneFile,
    /// Files and a self-signed certificate.
    #[error("a certificate of one's own and a self-signed one are both asked for")]
    TwoSources,
    /// No certificate of any use is in the file.
    #[error("{}: {why}", .path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No key, or that of another certificate, is in the file.
    #[error("{}: {why}", .path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The pieces are readable and of no use.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsFault {
    /// The setting to blame.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Key { .. } => "tls.key_file",
            Self::TwoSources | Self::Making(_) => "tls.mode",
            Self::OneFile | Self::Certificate { .. } | Self::Unusable(_) => "tls.cert_file",
        }
    }
}

impl TlsRules {
    /// Reads or makes the certificate; `None` if the port is to speak plain HTTP.
    ///
    /// # Errors
    /// [`TlsFault`]
    fn load(&self, listen: SocketAddr) -> Result<Option<Tls>, TlsFault> {
        let files = match (&self.certificate_file, &self.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Files::new(certificate, key)),
            (Some(_), None) | (None, Some(_)) => return Err(TlsFault::OneFile),
        };
        let current = match (&files, self.mode) {
            (None, TlsMode::Off) => return Ok(None),
            (Some(_), TlsMode::SelfSigned) => return Err(TlsFault::TwoSources),
            (Some(files), TlsMode::Off) => files.read()?,
            (None, TlsMode::SelfSigned) => self_signed::make(listen)?,
        };
        let current = Arc::new(Current(ArcSwap::from_pointee(current)));
        Ok(Some(Tls { config: server_config(Arc::clone(&current))?, current, files }))
    }

    /// Whether the rules can be followed: for the configuration, before anything is started.
    ///
    /// # Errors
    /// [`TlsFault`]
    pub(crate) fn check(&self, listen: SocketAddr) -> Result<(), TlsFault> {
        self.load(listen).map(drop)
    }
}

/// TLS of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    files: Option<Files>,
}

impl Tls {
    /// What the rules say, told in the log; `None` if the port is to speak plain HTTP.
    ///
    /// # Errors
    /// [`TlsFault`]
    pub(crate) fn start(rules: &TlsRules, listen: SocketAddr) -> Result<Option<Self>, TlsFault> {
        let tls = rules.load(listen)?;
        if let Some(tls) = &tls {
            let fingerprint = fingerprint(&tls.current.0.load());
            tracing::info!(%fingerprint, "the public port speaks TLS");
        }
        Ok(tls)
    }

    /// Shakes hands with a new connection.
    ///
    /// # Errors
    /// The other side does not speak TLS, speaks none that is safe, or takes too long.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        // Boxed, so that it takes memory only while it lasts.
        let handshake = Box::pin(acceptor.accept(stream));
        match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(shaken) => shaken,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")),
        }
    }

    /// Follows the files, if the certificate comes from files. A version that cannot be used is
    /// told once, and the last one that could stays.
    pub(crate) async fn follow(tls: Option<Self>, metrics: Arc<Metrics>) {
        let Some(Self { current, files: Some(mut files), .. }) = tls else { return };
        loop {
            tokio::time::sleep(LOOK).await;
            // Not on this thread: the files may lie on a network that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                let changed = files.changed();
                let read = changed.then(|| files.read());
                (files, read)
            });
            let Ok((looked_at, read)) = looked.await else { return };
            files = looked_at;
            match read {
                None => {}
                Some(Ok(certificate)) => {
                    let fingerprint = fingerprint(&certificate);
                    current.0.store(Arc::new(certificate));
                    metrics.certificate_reloaded(CertificateReload::Taken);
                    tracing::info!(%fingerprint, "the certificate was replaced");
                }
                Some(Err(error)) => {
                    metrics.certificate_reloaded(CertificateReload::Refused);
                    tracing::warn!(%error, "the certificate was not replaced");
                }
            }
        }
    }
}

/// The certificate of the moment.
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

fn server_config(certificates: Arc<Current>) -> Result<Arc<ServerConfig>, TlsFault> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A returning crowd resumes without this gateway remembering anybody.
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// *ring* builds with nothing but a C compiler, which other crates need anyway.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The SHA-256 fingerprint of a certificate, as browsers show it.
fn fingerprint(certificate: &CertifiedKey) -> String {
    use sha2::{Digest as _, Sha256};
    let own = certificate.cert.first().map_or(&[][..], AsRef::as_ref);
    let hex: Vec<_> = Sha256::digest(own).iter().map(|b| format!("{b:02X}")).collect();
    hex.join(":")
}

#[cfg(test)]
mod tests;
