//! Starts a gateway and drains it at the first signal.

use anyhow::Context as _;
use clap::Parser as _;
use gateway::app::Gateway;
use gateway::config::{Args, Config};
use gateway::telemetry::{Log, LogFilter};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let filter = std::env::var("BARRAGE_LOG").ok().and_then(|text| LogFilter::parse(&text));
    let _log = Log::start(&filter.unwrap_or_default());
    let config = Config::new(Args::parse())?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let gateway = Gateway::start(config)?;
    let (public, admin) = (gateway.public_address(), gateway.admin_address());
    tracing::info!(%public, %admin, "started");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::select! {
        () = gateway.drain() => tracing::info!("drained"),
        // A second signal hurries.
        _ = terminate.recv() => tracing::info!("stopped by a second signal"),
        _ = interrupt.recv() => tracing::info!("stopped by a second signal"),
    }
    Ok(())
}
