//! A report that judges nothing, told: on the terminal, and as JSON if asked for.

use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::Failure;

/// Opens the file for the JSON before the run, so that a wrong path costs nothing.
pub(crate) fn open(path: Option<&Path>) -> Result<Option<File>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()));
    file.map(Some).map_err(Failure::Usage)
}

/// Tells it; ends with the exit code.
pub(crate) fn tell(report: &(impl Display + Serialize), json: Option<File>) -> Result<u8, Failure> {
    // A reader that has seen enough and closed the pipe is no failure.
    let _ = write!(std::io::stdout(), "{report}");
    if let Some(mut file) = json {
        let written = serde_json::to_writer_pretty(&file, report).map_err(anyhow::Error::from);
        let written = written.and_then(|()| Ok(file.write_all(b"\n")?));
        written.context("cannot write the JSON report").map_err(Failure::Run)?;
    }
    Ok(0)
}
