//! Reads an archive, also while it is being written.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use protocol::ids::RoomId;

use super::commit::at;
use super::layout::{Hour, Layout, room_of};
use super::line::Line;
use super::positions::{Hole, Positions};
use super::segment::{Found, Parts};
use super::tail::files;

/// Reads an archive.
#[derive(Debug)]
pub struct Reader {
    layout: Layout,
}

impl Reader {
    /// Reads the archive in this folder.
    ///
    /// # Errors
    /// It is not the folder of an archive.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let layout = Layout::new(folder);
        std::fs::read_dir(layout.rooms()).map_err(|error| at(&layout.rooms(), &error))?;
        Ok(Self { layout })
    }

    /// The rooms that have anything in the archive, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn rooms(&self) -> io::Result<Vec<RoomId>> {
        let mut rooms: Vec<RoomId> =
            files(&self.layout.rooms())?.iter().filter_map(|name| room_of(name)).collect();
        rooms.sort_unstable();
        Ok(rooms)
    }

    /// What a room said in a range of time (milliseconds since 1970, by the time of the events),
    /// in the order of its log. What is damaged is an error between the lines, and reading goes
    /// on behind it.
    ///
    /// # Errors
    /// The room's folder cannot be read.
    pub fn lines(&self, room: &RoomId, range: Range<u64>) -> io::Result<Lines> {
        let folder = self.layout.room(room);
        let mut hours: Vec<Hour> =
            files(&folder)?.iter().filter_map(|name| Hour::of_file(name)).collect();
        hours.sort_unstable();
        let segments = hours.into_iter().map(|hour| self.layout.segment(room, hour)).collect();
        Ok(Lines { range, segments, open: None, lines: VecDeque::new() })
    }

    /// Entries that were gone before they could be archived, oldest first.
    ///
    /// # Errors
    /// The archive's positions cannot be read.
    pub fn holes(&self) -> io::Result<Vec<Hole>> {
        let path = self.layout.positions();
        Ok(Positions::read(&path).map_err(|error| at(&path, &error))?.holes)
    }
}

/// The lines of a room: one part of one segment is in memory at a time.
#[derive(Debug)]
pub struct Lines {
    range: Range<u64>,
    /// Segments that have not been opened.
    segments: VecDeque<PathBuf>,
    open: Option<Open>,
    /// Of the part that was read last.
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    parts: VecDeque<Found>,
}

impl Lines {
    /// Opens the next segment.
    fn open(&mut self, path: PathBuf) -> io::Result<()> {
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // Its time was over between the look at the folder and now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(&path, &error)),
        };
        let is_wanted = |part: &Found| {
            let span = part.header.span;
            span.from_ms < self.range.end && span.to_ms >= self.range.start
        };
        let parts = Parts::find(&mut file).map_err(|error| at(&path, &error))?;
        let parts = parts.found.into_iter().filter(is_wanted).collect();
        self.open = Some(Open { path, file, parts });
        Ok(())
    }

    /// Reads the next part of the open segment.
    fn read(&mut self, part: Found) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let bytes = part.read(&mut open.file).map_err(|error| at(&open.path, &error))?;
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let line = Line::read(line).map_err(|error| at(&open.path, &error))?;
            if line.ts_ms().is_none_or(|ts_ms| self.range.contains(&ts_ms)) {
                self.lines.push_back(line);
            }
        }
        Ok(())
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            let part = self.open.as_mut().and_then(|open| open.parts.pop_front());
            let step = match part {
                Some(part) => self.read(part),
                None => {
                    self.open = None;
                    let path = self.segments.pop_front()?;
                    self.open(path)
                }
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }
}
