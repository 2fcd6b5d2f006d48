//! The measuring client of Barrage: plays load into a gateway and judges what comes out.
//!
//! Arguments choose a scenario, the scenario makes a report, the report decides the exit code:
//! 0 if everything that the protocol promises was kept, 1 if not (or if there was no gateway to
//! measure), 2 for arguments or files that cannot be used.
//!
//! Scenarios: [`replay`] plays a danmaku archive.
//!
//! ```text
//! barrage-loadtest replay loadtest/samples/sample.xml --speed 10 --room demo
//! ```

mod account;
mod api;
mod archive;
mod clean;
mod danmaku;
mod distribution;
mod ledger;
mod message;
mod now;
mod publisher;
mod replay;
mod report;
mod verdict;
mod viewer;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays load into a Barrage gateway and judges what comes out.
#[derive(Debug, Parser)]
#[command(name = "barrage-loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    Replay(replay::Options),
}

/// Why there is no report; decides the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments, or a file they name, cannot be used.
    Usage(anyhow::Error),
    /// The gateway cannot be measured.
    Run(anyhow::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { scenario: Scenario::Replay(options) } = Arguments::parse();
    let outcome = match writable(options.json.as_deref()) {
        Ok(json) => replay::run(&options).await.and_then(|report| tell(&report, json)),
        Err(error) => Err(Failure::Usage(error)),
    };
    let (code, error) = match outcome {
        Ok(closes) => return ExitCode::from(u8::from(!closes)),
        Err(Failure::Run(error)) => (1, error),
        Err(Failure::Usage(error)) => (2, error),
    };
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(code)
}

/// Opens the file for the JSON report before the run, so that a wrong path costs nothing.
fn writable(path: Option<&Path>) -> anyhow::Result<Option<std::fs::File>> {
    let Some(path) = path else { return Ok(None) };
    let file = std::fs::File::create(path);
    Ok(Some(file.with_context(|| format!("cannot write {}", path.display()))?))
}

/// Prints the report; says whether everything closes.
fn tell(report: &Report, json: Option<std::fs::File>) -> Result<bool, Failure> {
    // A reader that has seen enough and closed the pipe is no failure.
    let _ = write!(std::io::stdout(), "{report}");
    if let Some(mut file) = json {
        let written = serde_json::to_writer_pretty(&file, report).map_err(anyhow::Error::from);
        let written = written.and_then(|()| Ok(file.write_all(b"\n")?));
        written.context("cannot write the JSON report").map_err(Failure::Run)?;
    }
    Ok(report.closes())
}
