//! `barrage-bridge export`: a recording's danmaku in the formats of players.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Outcome, Selection, for_each, tell};
use crate::Moment;
use crate::export::{Export, Exported, Format, Json, Protobuf, Xml};

/// Write a recording's danmaku for players
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    selection: Selection,
    /// The format
    #[arg(long, value_enum)]
    format: Name,
    /// When the recording begins; by default with the first danmaku
    #[arg(long, value_name = "TIME")]
    start: Option<Moment>,
    /// The file to write, or for protobuf the folder for 1.pb, 2.pb and so on (empty or not
    /// there yet); by default standard output
    #[arg(long, value_name = "PATH", required_if_eq("format", "protobuf"))]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// <d p="time,mode,size,colour,…">text</d>
    Xml,
    /// One JSON object with a list
    Json,
    /// A file for each six minutes
    Protobuf,
}

pub(super) fn run(options: &Options) -> io::Result<Outcome> {
    let lines = options.selection.lines(options.start)?;
    let start_ms = options.start.map(|start| start.unix_ms);
    let mut format = options.format()?;
    let mut export = Export::new(format.as_mut(), start_ms);
    let outcome = for_each(lines, |line| export.add(line))?;
    report(&export.end()?);
    Ok(outcome)
}

impl Options {
    fn format(&self) -> io::Result<Box<dyn Format>> {
        Ok(match (self.format, &self.out) {
            (Name::Xml, _) => Box::new(Xml::new(self.output()?)),
            (Name::Json, _) => Box::new(Json::new(self.output()?)),
            (Name::Protobuf, Some(folder)) => Box::new(Protobuf::new(folder)?),
            (Name::Protobuf, None) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "--out is missing"));
            }
        })
    }

    fn output(&self) -> io::Result<Box<dyn Write>> {
        Ok(match &self.out {
            Some(path) => Box::new(BufWriter::new(File::create(path)?)),
            None => Box::new(BufWriter::new(io::stdout().lock())),
        })
    }
}

fn report(exported: &Exported) {
    let mut message = format!("exported {} danmaku", exported.danmaku);
    if exported.early > 0 {
        message += &format!(", left out {} from before the start", exported.early);
    }
    for (kind, count) in &exported.others {
        message += &format!(", left out {count} of kind {kind}");
    }
    tell(&message);
}
