//! One commit: what waits is appended to the segments and made durable, all of it or nothing.
//!
//! Files are written first and synced together, so that a file system with a journal makes many
//! of them durable in one go; at most [`OPEN_FILES_MAX`] are open at once. When anything fails,
//! every file is cut back to where it ended before.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::cursor::{Cursor, Epoch};
use protocol::ids::RoomId;

use super::layout::{Hour, Layout};
use super::part::{self, LINES_BYTES_AIM, Span};
use super::positions::Positions;
use super::segment;
use super::tail::Tail;

/// Segments that are open at once.
const OPEN_FILES_MAX: usize = 128;

/// What waits for one room.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The stream that its entries come from.
    pub(crate) stream: String,
    pub(crate) pieces: Vec<Piece>,
}

/// One entry, rendered.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) hour: Hour,
    pub(crate) span: Span,
    pub(crate) lines: Vec<u8>,
}

/// What a commit has made durable.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Entries.
    pub entries: u64,
    /// Events in them.
    pub events: u64,
    /// Entries that were in the archive already, after a crash between a commit and its ack.
    pub repeated: u64,
    /// Parts of segments.
    pub parts: u64,
    /// Bytes appended to segments.
    pub bytes: u64,
}

/// What is to be appended to a room's segments.
struct Plan<'w> {
    room: &'w RoomId,
    tail: Option<Tail>,
    segments: VecDeque<(Hour, Vec<&'w Piece>)>,
}

impl Committed {
    /// What two commits have made durable together.
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            entries: self.entries + later.entries,
            events: self.events + later.events,
            repeated: self.repeated + later.repeated,
            parts: self.parts + later.parts,
            bytes: self.bytes + later.bytes,
        }
    }
}

/// A segment as it was before the commit.
enum Undo {
    Created(PathBuf),
    Extended(PathBuf, u64),
}

pub(crate) struct Commit<'a> {
    layout: &'a Layout,
    /// What is durable before this commit.
    durable: &'a Positions,
    tails: &'a mut HashMap<RoomId, Tail>,
    open: Vec<File>,
    /// Folders that have a new name in them.
    folders: BTreeSet<PathBuf>,
    undo: Vec<Undo>,
    committed: Committed,
}

impl<'a> Commit<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        durable: &'a Positions,
        tails: &'a mut HashMap<RoomId, Tail>,
    ) -> Self {
        let (open, folders, undo) = Default::default();
        Self { layout, durable, tails, open, folders, undo, committed: Committed::default() }
    }

    /// Makes durable what waits.
    ///
    /// # Errors
    /// Something cannot be written or synced; the segments are as they were.
    pub(crate) fn run(mut self, waiting: &BTreeMap<RoomId, Waiting>) -> io::Result<Committed> {
        match self.write(waiting) {
            Ok(()) => Ok(self.committed),
            Err(error) => {
                self.roll_back();
                waiting.keys().for_each(|room| {
                    self.tails.remove(room);
                });
                Err(error)
            }
        }
    }

    /// Segment by segment of each room, the earlier ones durable before the later ones begin: the
    /// newest segment alone tells what of a room is in the archive.
    fn write(&mut self, waiting: &BTreeMap<RoomId, Waiting>) -> io::Result<()> {
        let mut plans = Vec::with_capacity(waiting.len());
        for (room, waiting) in waiting {
            plans.push(self.plan(room, waiting)?);
        }
        while !plans.is_empty() {
            for plan in &mut plans {
                self.append(plan)?;
            }
            self.sync()?;
            plans.retain(|plan| !plan.segments.is_empty());
        }
        Ok(())
    }

    fn plan<'w>(&mut self, room: &'w RoomId, waiting: &'w Waiting) -> io::Result<Plan<'w>> {
        let folder = self.layout.room(room);
        let tail = self.tail(room, &folder, &waiting.stream).map_err(|e| at(&folder, &e))?;
        let is_new = |piece: &&Piece| {
            tail.is_none_or(|tail| !tail.covers(piece.span.epoch, piece.span.first))
        };
        let pieces: Vec<&Piece> = waiting.pieces.iter().filter(is_new).collect();
        self.committed.repeated += (waiting.pieces.len() - pieces.len()) as u64;
        // A room's segments are contiguous pieces of its log, whatever the clocks say.
        let mut latest = tail.map(|tail| tail.hour);
        let dated = pieces.into_iter().map(|piece| {
            let hour = latest.map_or(piece.hour, |latest| latest.max(piece.hour));
            latest = Some(hour);
            (hour, piece)
        });
        let dated: Vec<(Hour, &Piece)> = dated.collect();
        let segments = dated.chunk_by(|a, b| a.0 == b.0);
        let segments =
            segments.map(|dated| (dated[0].0, dated.iter().map(|(_, piece)| *piece).collect()));
        Ok(Plan { room, tail, segments: segments.collect() })
    }

    fn tail(&self, room: &RoomId, folder: &Path, stream: &str) -> io::Result<Option<Tail>> {
        match self.tails.get(room) {
            Some(tail) => Ok(Some(*tail)),
            None => Tail::find(folder, |header| {
                header.span.last > self.durable.seq(stream, header.span.epoch)
            }),
        }
    }

    /// Appends to the next segment of a room.
    fn append(&mut self, plan: &mut Plan<'_>) -> io::Result<()> {
        let Some((hour, pieces)) = plan.segments.pop_front() else { return Ok(()) };
        let end = plan.tail.filter(|tail| tail.hour == hour).map_or(0, |tail| tail.end);
        let path = self.layout.segment(plan.room, hour);
        let end = self.append_to(&path, end, &pieces).map_err(|error| at(&path, &error))?;
        if let Some(Span { epoch, last, .. }) = pieces.last().map(|piece| piece.span) {
            let tail = Tail { cursor: Cursor { epoch, seq: last }, hour, end };
            plan.tail = Some(tail);
            self.tails.insert(plan.room.clone(), tail);
        }
        Ok(())
    }

    /// Appends to a segment that ends at `end`; returns where it ends now.
    fn append_to(&mut self, path: &Path, end: u64, pieces: &[&Piece]) -> io::Result<u64> {
        if end == 0 {
            self.create_folders(path)?;
        }
        let bytes = self.pack(pieces)?;
        // Noted before anything is there, so that there is nothing that is not undone.
        self.undo.push(match end {
            0 => Undo::Created(path.to_owned()),
            end => Undo::Extended(path.to_owned(), end),
        });
        let mut file = segment::open_at(path, end)?;
        file.write_all(&bytes)?;
        self.open.push(file);
        if self.open.len() == OPEN_FILES_MAX {
            self.sync()?;
        }
        self.committed.bytes += bytes.len() as u64;
        Ok(end + bytes.len() as u64)
    }

    fn create_folders(&mut self, segment: &Path) -> io::Result<()> {
        let folder = segment.parent().unwrap_or(self.layout.root());
        if !folder.is_dir() {
            std::fs::create_dir_all(folder)?;
            self.folders.extend([self.layout.rooms(), self.layout.root().to_owned()]);
        }
        self.folders.insert(folder.to_owned());
        Ok(())
    }

    /// The pieces as parts of a good size, each of one epoch.
    fn pack(&mut self, pieces: &[&Piece]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut part = Part::default();
        for piece in pieces {
            if !part.takes(piece.span.epoch, piece.lines.len()) {
                self.committed.parts += part.finish(&mut bytes)?;
            }
            part.add(piece.span, &piece.lines);
            self.committed.entries += 1;
            self.committed.events += u64::from(piece.span.events);
        }
        self.committed.parts += part.finish(&mut bytes)?;
        Ok(bytes)
    }

    /// Makes durable what was written, and the names of what was created.
    fn sync(&mut self) -> io::Result<()> {
        for file in std::mem::take(&mut self.open) {
            file.sync_all()?;
        }
        for folder in std::mem::take(&mut self.folders) {
            segment::sync_folder(&folder).map_err(|error| at(&folder, &error))?;
        }
        Ok(())
    }

    /// As well as it goes: what a broken disk does not take back is torn, and is cut off when it
    /// is met again.
    fn roll_back(&mut self) {
        self.open.clear();
        for undo in self.undo.drain(..).rev() {
            let _ = match undo {
                Undo::Created(path) => std::fs::remove_file(path),
                Undo::Extended(path, end) => segment::open_at(&path, end).map(drop),
            };
        }
    }
}

/// A part that is being collected.
#[derive(Debug, Default)]
pub(crate) struct Part {
    span: Option<Span>,
    lines: Vec<u8>,
}

impl Part {
    /// Whether lines of this epoch and so many bytes belong into it.
    pub(crate) fn takes(&self, epoch: Epoch, bytes: usize) -> bool {
        self.span
            .is_none_or(|span| span.epoch == epoch && self.lines.len() + bytes <= LINES_BYTES_AIM)
    }

    /// Adds lines.
    pub(crate) fn add(&mut self, span: Span, lines: &[u8]) {
        self.span = Some(self.span.map_or(span, |before| before.and(span)));
        self.lines.extend_from_slice(lines);
    }

    /// Appends it to `out` and begins anew; tells how many parts that were: 1 or 0.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<u64> {
        let Some(span) = self.span.take() else { return Ok(0) };
        part::pack(span, &self.lines, out)?;
        self.lines.clear();
        Ok(1)
    }
}

/// The error with the path that it is about.
pub(crate) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
