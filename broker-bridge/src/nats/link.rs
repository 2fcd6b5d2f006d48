//! One connection to NATS: made, watched, and moved off servers that are about to leave.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::StartError;
use super::config::{Config, Login};
use crate::stats::Stats;

/// A link that is cut without a word is noticed after two pings without an answer.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Commands that wait for the socket.
const COMMANDS_MAX: usize = 8_192;
/// Messages of one subscription that wait to be taken; memory is used only as they come.
const SUBSCRIPTION_MAX: usize = 8_192;
const EVENTS_MAX: usize = 128;
/// How long the clients of a server that is about to leave take to go, so that they do not all
/// arrive elsewhere at once.
const LAME_DUCK_SPREAD_MS: u64 = 5_000;
const NAG_EVERY: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) state: watch::Receiver<LinkState>,
}

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LinkState {
    pub(super) is_up: bool,
    /// How many times it was made.
    pub(super) connects: u64,
    /// How many times a subscription may have lost messages for being too slow.
    pub(super) overflows: u64,
}

/// The other end of a connection's events.
pub(super) struct Watcher {
    name: String,
    client: Client,
    events: mpsc::Receiver<Event>,
    state: watch::Sender<LinkState>,
    stats: Arc<Stats>,
}

impl Link {
    /// Begins to connect; the watcher is to be run.
    pub(super) async fn begin(
        config: &Config,
        servers: &[String],
        inbox: &str,
        name: String,
        stats: &Arc<Stats>,
    ) -> Result<(Self, Watcher), StartError> {
        let (events, occurring) = mpsc::channel(EVENTS_MAX);
        let options = options(config).await?.name(&name).custom_inbox_prefix(inbox);
        let options = options.event_callback(move |event| {
            let events = events.clone();
            async move {
                // Nobody listens any more: the broker has ended.
                let _ = events.send(event).await;
            }
        });
        let client = options
            .connect(servers.iter().map(String::as_str).collect::<Vec<_>>())
            .await
            .map_err(|error| StartError::Options(error.to_string()))?;
        let (state, states) = watch::channel(LinkState::default());
        let (client_of, stats) = (client.clone(), Arc::clone(stats));
        let watcher = Watcher { name, client: client_of, events: occurring, state, stats };
        Ok((Self { client, state: states }, watcher))
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.borrow().is_up
    }

    /// Waits until the connection is made.
    pub(super) async fn up(&self) {
        let mut state = self.state.clone();
        // The watcher ends with everything else.
        if state.wait_for(|state| state.is_up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn options(config: &Config) -> Result<ConnectOptions, StartError> {
    let cannot = |what: &std::path::Path, error: &dyn std::fmt::Display| {
        StartError::Options(format!("{}: {error}", what.display()))
    };
    let options = match &config.login {
        Login::None => ConnectOptions::new(),
        Login::Credentials(file) => ConnectOptions::with_credentials_file(file)
            .await
            .map_err(|error| cannot(file, &error))?,
        Login::NkeySeed(file) => {
            let seed = std::fs::read_to_string(file).map_err(|error| cannot(file, &error))?;
            ConnectOptions::with_nkey(seed.trim().to_owned())
        }
        Login::Token(token) => ConnectOptions::with_token(token.0.clone()),
        Login::Password { user, password } => {
            ConnectOptions::with_user_and_password(user.clone(), password.0.clone())
        }
    };
    let options = match &config.tls.ca {
        Some(ca) => options.add_root_certificates(ca.clone()).require_tls(true),
        None => options,
    };
    let options = match &config.tls.certificate {
        Some((certificate, key)) => {
            options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true)
        }
        None => options,
    };
    Ok(options
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .client_capacity(COMMANDS_MAX)
        .subscription_capacity(SUBSCRIPTION_MAX)
        .retry_on_initial_connect()
        .reconnect_delay_callback(reconnect_delay))
}

/// At first 50 to 250 ms, then up to 4 s: never all gateways at once.
fn reconnect_delay(attempts: usize) -> Duration {
    let ceiling_ms = 250_u64 << attempts.saturating_sub(1).min(4);
    Duration::from_millis(50 + rand::random::<u64>() % ceiling_ms)
}

impl Watcher {
    /// Runs until the connection is closed.
    pub(super) async fn run(mut self) {
        let mut nag_at = Instant::now() + NAG_EVERY;
        loop {
            match timeout_at(nag_at, self.events.recv()).await {
                Ok(Some(event)) => self.note(event),
                Ok(None) => return,
                Err(_) => {
                    if !self.state.borrow().is_up {
                        tracing::warn!(link = self.name, "NATS cannot be reached, still trying");
                    }
                    nag_at = Instant::now() + NAG_EVERY;
                }
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => {
                let info = self.client.server_info();
                tracing::info!(
                    link = self.name,
                    server = info.server_name,
                    version = info.version,
                    "connected to NATS"
                );
                self.state.send_modify(|state| {
                    state.is_up = true;
                    state.connects += 1;
                });
            }
            Event::Disconnected | Event::Closed => {
                if self.state.borrow().is_up {
                    tracing::warn!(link = self.name, "the connection to NATS is lost");
                }
                self.state.send_modify(|state| state.is_up = false);
            }
            Event::LameDuckMode => self.move_away(),
            Event::SlowConsumer(_) => {
                self.stats.count_overflow();
                self.state.send_modify(|state| state.overflows += 1);
            }
            Event::ServerError(error) => {
                tracing::warn!(link = self.name, %error, "NATS refuses something");
            }
            Event::ClientError(error) => tracing::warn!(link = self.name, %error, "NATS client"),
            Event::Draining => {}
        }
    }

    /// The server asks its clients to leave; the client does not do so by itself.
    fn move_away(&self) {
        let delay = Duration::from_millis(rand::random::<u64>() % LAME_DUCK_SPREAD_MS);
        tracing::info!(link = self.name, ?delay, "the NATS server is about to leave");
        let client = self.client.clone();
        // Short-lived, and harmless if it outlives the broker.
        drop(tokio::spawn(async move {
            sleep(delay).await;
            let _ = client.force_reconnect().await;
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnects_are_spread_and_never_too_late() {
        for attempts in 0..40 {
            let delay = reconnect_delay(attempts);
            assert!(delay >= Duration::from_millis(50));
            assert!(delay < Duration::from_millis(4_050), "{delay:?}");
        }
        assert!((0..100).all(|_| reconnect_delay(1) < Duration::from_millis(300)));
    }
}
