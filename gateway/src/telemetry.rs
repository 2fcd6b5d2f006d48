//! Logs: fields, not prose; never bodies or tokens.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: `BARRAGE_LOG` chooses (such as `debug` or
/// `gateway::shard=trace`), otherwise INFO.
pub fn start() {
    let filter = EnvFilter::try_from_env("BARRAGE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
