//! What the worker is told on the command line, one module for each command.
//!
//! Results go to standard output or to files, and what people should know goes to standard
//! error. The exit code is 0 when all went well, 1 when something failed or a part of the
//! archive is damaged, and 2 for arguments that cannot be used.

mod archive;
mod export;
mod query;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use protocol::ids::RoomId;

use crate::Moment;
use crate::archive::{Lines, Reader};

/// Work beside the chat of Barrage that chat never waits for.
#[derive(Debug, Parser)]
#[command(name = "barrage-bridge", version)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Archive(Box<archive::Options>),
    /// List the rooms of an archive, one per line
    Rooms(Folder),
    Query(query::Options),
    Export(export::Options),
}

#[derive(Debug, Args)]
struct Folder {
    /// The folder of the archive
    #[arg(long = "dir", value_name = "DIR", env = "BARRAGE_ARCHIVE_DIR")]
    folder: PathBuf,
}

/// What a room said, and when.
#[derive(Debug, Args)]
struct Selection {
    #[command(flatten)]
    folder: Folder,
    /// The room
    #[arg(long, value_parser = room)]
    room: RoomId,
    /// Events from this moment on: 2026-11-20T11:47:00Z, or seconds or milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Events before this moment
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

fn room(text: &str) -> Result<RoomId, String> {
    RoomId::parse(text).map_err(|error| error.to_string())
}

impl Selection {
    /// The lines, from `or_from` on if no moment was given.
    fn lines(&self, or_from: Option<Moment>) -> io::Result<Lines> {
        let reader = Reader::open(&self.folder.folder)?;
        let from_ms = self.from.or(or_from).map_or(0, |moment| moment.unix_ms);
        let to_ms = self.to.map_or(u64::MAX, |moment| moment.unix_ms);
        for hole in reader.holes()? {
            if hole.from_ms < to_ms && hole.to_ms >= from_ms {
                tell(&format!(
                    "warning: {} entries of stream {} were gone before they could be archived \
                     (after {}); some may have been this room's",
                    hole.entries, hole.stream, hole.after
                ));
            }
        }
        reader.lines(&self.room, from_ms..to_ms)
    }
}

impl Command {
    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        let outcome = match self.verb {
            Verb::Archive(options) => archive::run(*options)
                .map(|()| Outcome::Whole)
                .map_err(|e| io::Error::other(format!("{e:#}"))),
            Verb::Rooms(folder) => rooms(&folder),
            Verb::Query(options) => query::run(&options),
            Verb::Export(options) => export::run(&options),
        };
        match outcome {
            Ok(Outcome::Whole) => ExitCode::SUCCESS,
            Ok(Outcome::Damaged) => ExitCode::FAILURE,
            // A reader that has seen enough and closed the pipe is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                tell(&format!("error: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// How much of what was asked for could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Whole,
    Damaged,
}

fn rooms(folder: &Folder) -> io::Result<Outcome> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for room in Reader::open(&folder.folder)?.rooms()? {
        writeln!(out, "{room}")?;
    }
    out.flush()?;
    Ok(Outcome::Whole)
}

/// Calls `each` for every line; what is damaged is told and left out.
fn for_each(
    lines: Lines,
    mut each: impl FnMut(&crate::archive::Line) -> io::Result<()>,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::Whole;
    for line in lines {
        match line {
            Ok(line) => each(&line)?,
            Err(error) => {
                tell(&format!("damaged: {error}"));
                outcome = Outcome::Damaged;
            }
        }
    }
    Ok(outcome)
}

fn tell(message: &str) {
    // Where nobody listens, nobody can be told.
    let _ = writeln!(io::stderr(), "{message}");
}
