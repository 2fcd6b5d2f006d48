//! `barrage-bridge query`: what a room said, as NDJSON.

use std::io::{self, Write as _};

use clap::Args;

use super::{Outcome, Selection, for_each};

/// Print what a room said in a range of time, one JSON object per line
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    selection: Selection,
}

pub(super) fn run(options: &Options) -> io::Result<Outcome> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = for_each(options.selection.lines(None)?, |line| {
        serde_json::to_writer(&mut out, line)?;
        out.write_all(b"\n")
    })?;
    out.flush()?;
    Ok(outcome)
}
