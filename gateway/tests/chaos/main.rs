//! Survival: gateways and nats-servers die, pause and leave under load, and every client's
//! account closes all the same.
//!
//! A program of its own, since its parts run one after another on one small machine. Without
//! arguments it runs the short suite; `--long` is for `make chaos`. What a run does is decided by
//! its seed, which is printed first and repeats it with `--seed`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking and says what it has counted"
)]

mod crowd;
mod fault;
mod node;
mod plan;
mod publisher;
mod report;
mod run;
mod silence;
mod tally;
mod viewer;
mod witness;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use self::plan::{Arguments, suites};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let closes = runtime.unwrap().block_on(async {
        let mut closes = true;
        for plan in suites(&arguments) {
            closes &= run::run(&plan).await;
        }
        closes
    });
    if closes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
