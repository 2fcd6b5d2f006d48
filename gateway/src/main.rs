//! Starts a gateway, reloads its configuration at SIGHUP, and drains it at the first signal to
//! end.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use gateway::app::Gateway;
use gateway::config::{self, Loaded, Sources, Wish};
use gateway::files;
use gateway::reload::Reloader;
use gateway::telemetry::Log;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code when the configuration cannot be used; clap's for a wrong flag is the same.
const UNUSABLE: u8 = 2;

fn main() -> anyhow::Result<ExitCode> {
    use_small_pages();
    let sources =
        Sources::new(std::env::args_os(), std::env::vars_os()).unwrap_or_else(|error| error.exit());
    match sources.wish() {
        Wish::Reference => return print(&config::reference()),
        Wish::Sample => return print(&config::sample()),
        Wish::Print | Wish::Run => {}
    }
    match sources.load() {
        Ok(loaded) if sources.wish() == Wish::Print => show(&loaded),
        Ok(loaded) => run(sources, loaded),
        Err(faults) => {
            writeln!(std::io::stderr(), "{faults}")?;
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}

/// Many small things that come and go fill huge pages badly: the allocator asks for them, and
/// connections then take a quarter more memory.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    // A kernel that has no huge pages does not know the wish, and needs none.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Prints the result, which is a file, and beside it what is strange about it.
fn show(loaded: &Loaded) -> anyhow::Result<ExitCode> {
    for warning in &loaded.warnings {
        writeln!(std::io::stderr(), "warning: {warning}").context("cannot print")?;
    }
    print(&loaded.render())
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")?;
    Ok(ExitCode::SUCCESS)
}

fn run(sources: Sources, loaded: Loaded) -> anyhow::Result<ExitCode> {
    let Loaded { config, warnings, .. } = loaded;
    let log = Log::start(&config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    files::allow_all().context("cannot raise the limit of open files")?;
    let reloader = Reloader::new(sources, log, config.clone());
    // Outside of a runtime: it has its own, which could not end inside of one if it cannot start.
    let gateway = Gateway::start(config)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stay(gateway, reloader))
}

/// Runs until a signal ends the gateway, or its broker refuses it.
async fn stay(gateway: Gateway, mut reloader: Reloader) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let (public, admin) = (gateway.public_address(), gateway.admin_address());
    tracing::info!(%public, %admin, "started");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reloader.reload(&gateway),
            () = gateway.failed() => return Ok(ExitCode::FAILURE),
        }
    }
    // A second signal hurries.
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    gateway.drain_until(hurry).await;
    tracing::info!("drained");
    Ok(ExitCode::SUCCESS)
}
