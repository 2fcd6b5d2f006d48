//! `barrage-bridge archive`: the role that keeps what rooms say.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::ConnectOptions;
use clap::Args;
use protocol::subject::Namespace;
use tracing_subscriber::EnvFilter;

use super::Folder;
use crate::worker::{self, Config};

/// Keep what rooms say, until told to end
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct Options {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    nats: Nats,
    /// How long segments are kept (30d, 12h); for ever by default
    #[arg(long, value_name = "TIME", env = "BARRAGE_ARCHIVE_KEEP", value_parser = humantime::parse_duration)]
    keep: Option<Duration>,
    /// How long an event waits at most until it is written; until then a crash means that it is
    /// fetched again
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    commit_every: Duration,
    /// Where /metrics and /healthz are
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9092",
        env = "BARRAGE_BRIDGE_LISTEN"
    )]
    listen: SocketAddr,
    /// The durable name of the consumers; every archive of a deployment needs one of its own
    #[arg(long, default_value = "archive", value_parser = name)]
    name: String,
    /// What is logged: a level, or levels by module
    #[arg(long, default_value = "info", env = "BARRAGE_LOG")]
    log: String,
}

/// How NATS is reached; the variables are the gateway's.
#[derive(Debug, Args)]
struct Nats {
    /// The servers: nats://host:4222, several separated by commas
    #[arg(
        long = "nats",
        value_name = "URL",
        env = "BARRAGE_NATS_URL",
        value_delimiter = ',',
        required = true
    )]
    servers: Vec<String>,
    /// What all names on NATS begin with
    #[arg(long = "nats-namespace", value_name = "NAME", env = "BARRAGE_NATS_NAMESPACE", default_value = "barrage", value_parser = namespace)]
    namespace: Namespace,
    /// A credentials file
    #[arg(
        long = "nats-credentials-file",
        value_name = "FILE",
        env = "BARRAGE_NATS_CREDENTIALS_FILE"
    )]
    credentials: Option<PathBuf>,
    /// A file with the seed of an nkey
    #[arg(
        long = "nats-nkey-file",
        value_name = "FILE",
        env = "BARRAGE_NATS_NKEY_FILE",
        conflicts_with = "credentials"
    )]
    nkey: Option<PathBuf>,
    /// A token; give it in the environment, where others do not see it
    #[arg(long = "nats-token", env = "BARRAGE_NATS_TOKEN", hide_env_values = true, conflicts_with_all = ["credentials", "nkey"])]
    token: Option<String>,
    /// A user
    #[arg(long = "nats-user", env = "BARRAGE_NATS_USER", requires = "password", conflicts_with_all = ["credentials", "nkey", "token"])]
    user: Option<String>,
    /// The user's password; give it in the environment
    #[arg(
        long = "nats-password",
        env = "BARRAGE_NATS_PASSWORD",
        hide_env_values = true,
        requires = "user"
    )]
    password: Option<String>,
    /// Who signs the servers' certificates, PEM
    #[arg(long = "nats-ca-file", value_name = "FILE", env = "BARRAGE_NATS_CA_FILE")]
    ca: Option<PathBuf>,
    /// The worker's own certificate, PEM
    #[arg(
        long = "nats-cert-file",
        value_name = "FILE",
        env = "BARRAGE_NATS_CERT_FILE",
        requires = "key"
    )]
    certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(
        long = "nats-key-file",
        value_name = "FILE",
        env = "BARRAGE_NATS_KEY_FILE",
        requires = "certificate"
    )]
    key: Option<PathBuf>,
}

fn namespace(text: &str) -> Result<Namespace, String> {
    Namespace::parse(text).map_err(|error| error.to_string())
}

/// A name that NATS takes for a consumer.
fn name(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits { Ok(text.to_owned()) } else { Err("1 to 32 letters, digits, - or _".to_owned()) }
}

impl Nats {
    async fn options(&self) -> anyhow::Result<ConnectOptions> {
        let cannot = |path: &PathBuf| format!("cannot use {}", path.display());
        let mut options = match self {
            Self { credentials: Some(file), .. } => {
                ConnectOptions::with_credentials_file(file).await.with_context(|| cannot(file))?
            }
            Self { nkey: Some(file), .. } => {
                let seed = std::fs::read_to_string(file).with_context(|| cannot(file))?;
                ConnectOptions::with_nkey(seed.trim().to_owned())
            }
            Self { token: Some(token), .. } => ConnectOptions::with_token(token.clone()),
            Self { user: Some(user), password: Some(password), .. } => {
                ConnectOptions::with_user_and_password(user.clone(), password.clone())
            }
            Self { .. } => ConnectOptions::new(),
        };
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
            options = options.require_tls(true);
        }
        Ok(options)
    }
}

#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    start_log(&options.log)?;
    let Options { folder, nats, keep, commit_every, listen, name, .. } = options;
    let config = Config {
        options: nats.options().await?,
        servers: nats.servers,
        namespace: nats.namespace,
        name,
        folder: folder.folder,
        listen,
        commit_every,
        keep,
    };
    worker::run(config).await
}

fn start_log(filter: &str) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    let filter = EnvFilter::builder().parse(filter).context("the log filter cannot be read")?;
    // The client tells every hiccup at its info level; what matters is told here.
    let quieter = "async_nats=warn".parse().context("a constant directive")?;
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_env_filter(filter.add_directive(quieter))
        .init();
    Ok(())
}
