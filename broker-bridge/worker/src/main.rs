//! Starts the bridge worker, or does what its command line asks for and ends.

use std::process::ExitCode;

use bridge_worker::Command;
use clap::Parser as _;

fn main() -> ExitCode {
    Command::parse().run()
}
