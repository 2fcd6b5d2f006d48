//! Connections to NATS.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};

use super::metrics::Metrics;

/// A link that is cut without a word is noticed after two pings without an answer.
const PING_EVERY: Duration = Duration::from_secs(3);
const CONNECT_FOR: Duration = Duration::from_secs(2);
/// Between tries to connect again, in milliseconds: grows to this, and is never the same for all.
const RECONNECT_MS_MAX: u64 = 4_000;
/// How long after a server has said that it will leave we stay, in milliseconds at most.
const LAME_DUCK_MS_MAX: u64 = 5_000;

/// Begins to connect to one of these servers, and goes on trying for as long as it takes.
///
/// # Errors
/// The options contradict each other, or a file that they name cannot be used.
pub(super) async fn connect(
    options: ConnectOptions,
    servers: &[String],
    metrics: Arc<Metrics>,
) -> Result<Client, async_nats::ConnectError> {
    let (lame, mut leaving) = tokio::sync::watch::channel(());
    let options = options
        .name("barrage-bridge")
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_FOR)
        .retry_on_initial_connect()
        .reconnect_delay_callback(|attempts| {
            let most = 250 << attempts.min(4);
            Duration::from_millis(50 + rand::random::<u64>() % RECONNECT_MS_MAX.min(most))
        })
        .event_callback(move |event| {
            note(&event, &metrics);
            if matches!(event, Event::LameDuckMode) {
                lame.send_replace(());
            }
            std::future::ready(())
        });
    let client = options.connect(servers).await?;
    let moving = client.clone();
    // Ends with the client, whose callback holds the other side of the channel.
    drop(tokio::spawn(async move {
        while leaving.changed().await.is_ok() {
            let stay = Duration::from_millis(rand::random::<u64>() % LAME_DUCK_MS_MAX);
            tokio::time::sleep(stay).await;
            let _ = moving.force_reconnect().await;
        }
    }));
    Ok(client)
}

fn note(event: &Event, metrics: &Metrics) {
    match event {
        Event::Connected => {
            metrics.connected.inc();
            tracing::info!("connected to NATS");
        }
        Event::Disconnected | Event::Closed => {
            if metrics.connected.get() > 0 {
                metrics.connected.dec();
                tracing::warn!("the connection to NATS is lost");
            }
        }
        Event::LameDuckMode => tracing::info!("the NATS server is about to leave"),
        Event::ServerError(error) => tracing::warn!(%error, "NATS refuses something"),
        Event::ClientError(error) => tracing::warn!(%error, "NATS client"),
        Event::SlowConsumer(_) | Event::Draining => {}
    }
}
