//! The measuring client of Barrage: plays load into a gateway and judges what comes out.
//!
//! Arguments choose a scenario; the scenario makes a plan; the plan is played; what was measured
//! and judged becomes a report, and the report decides the exit code.
//!
//! ```text
//!              seed ─┐                 ┌─ worker: engine ── sockets ──▶ gateway
//!  options ──▶ scenario ──▶ plan ──▶ coordinator         │ frames
//!                                      │   ▲             ▼
//!                  /metrics, /proc ──▶ │   └── digest ─▶ lives ─▶ judge ◀─ ledger of all workers
//!                                      ▼
//!                                   report ──▶ table, JSON, page, exit code
//! ```
//!
//! | floor | modules | what they do |
//! | --- | --- | --- |
//! | machines | [`truth`], [`wire`], [`plan`], [`histogram`] | no sockets, no clock, no processes |
//! | drivers | [`engine`] (sockets of one process), [`fleet`] (processes), [`observe`] | no scenario |
//! | top | [`scenario`], [`report`], [`run`], this file | what to do, and what came of it |
//!
//! Exit codes: 0 if everything that the protocol promises was kept; 1 if not, or if there was no
//! gateway to measure; 2 for arguments or files that cannot be used; 3 if nothing was broken but
//! the generator was too slow for its figures to be believed.
//!
//! ```text
//! barrage-loadtest viewers --viewers 10000 --chat 200 --html report.html
//! barrage-loadtest replay loadtest/samples/sample.xml --speed 10 --room demo
//! barrage-loadtest bare --connections 10000
//! ```

mod api;
mod archive;
#[cfg(target_os = "linux")]
mod bare;
mod bytes;
mod clean;
mod clock;
mod danmaku;
mod engine;
mod files;
mod fleet;
mod histogram;
mod live;
mod now;
mod observe;
mod plan;
mod publisher;
mod replay;
mod report;
mod run;
mod scenario;
mod told;
mod truth;
mod wire;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run::{MergeOptions, Scenario};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays load into a Barrage gateway and judges what comes out.
#[derive(Debug, Parser)]
#[command(name = "barrage-loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// One line for each thing that this program does.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Scenario(Box<Scenario>),
    Replay(Box<replay::Options>),
    Merge(MergeOptions),
    Bytes(bytes::Options),
    #[cfg(target_os = "linux")]
    Bare(bare::Options),
    /// The bare loop of a comparison; started by the program itself
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BareServer,
    /// The clients of a comparison; started by the program itself
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BareCrowd,
    /// A worker of a run; started by the program itself
    #[command(hide = true)]
    Worker,
}

/// Why there is no report; decides the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments, or a file they name, cannot be used.
    Usage(anyhow::Error),
    /// The gateway cannot be measured.
    Run(anyhow::Error),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let outcome = files::allow_all().map_err(Failure::Run).and_then(|()| execute(command));
    let (code, error) = match outcome {
        Ok(code) => return ExitCode::from(code),
        Err(Failure::Run(error)) => (1, error),
        Err(Failure::Usage(error)) => (2, error),
    };
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(code)
}

/// Does what is asked for; returns the exit code.
fn execute(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Scenario(scenario) => run::scenario(&scenario),
        Command::Replay(options) => replay::command(&options),
        Command::Merge(options) => run::merge(&options),
        Command::Bytes(options) => bytes::command(&options),
        #[cfg(target_os = "linux")]
        Command::Bare(options) => bare::command(&options),
        #[cfg(target_os = "linux")]
        Command::BareServer => bare::server::run().map(|()| 0).map_err(Failure::Run),
        #[cfg(target_os = "linux")]
        Command::BareCrowd => bare::crowd::run().map(|()| 0).map_err(Failure::Run),
        Command::Worker => fleet::worker::run().map(|()| 0).map_err(Failure::Run),
    }
}
