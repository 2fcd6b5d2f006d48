//! The one writer of an archive.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use protocol::cursor::Cursor;
use protocol::ids::RoomId;

use super::commit::{Commit, Committed, Piece, Waiting, at};
use super::layout::{Hour, Layout};
use super::line::{self, Entry};
use super::positions::{Hole, Position, Positions};
use super::sweep::{self, Swept};
use super::tail::Tail;

/// Rooms whose end is remembered; above it all are forgotten and looked up again.
const TAILS_MAX: usize = 65_536;

/// The one writer of an archive. What it is given waits in memory until a
/// [`commit`](Self::commit) has made it durable; only then may it be acked to its stream.
///
/// Giving it an entry twice is harmless: a stream's numbers only rise, and after a crash the
/// segments themselves tell which entries they hold.
#[derive(Debug)]
pub struct Archivist {
    layout: Layout,
    /// What is durable.
    durable: Positions,
    /// The same and what waits.
    taken: Positions,
    waiting: BTreeMap<RoomId, Waiting>,
    waiting_bytes: usize,
    /// In segments, and not in the positions yet.
    committed: Committed,
    /// Holes that nobody has asked for.
    found: Vec<Hole>,
    tails: HashMap<RoomId, Tail>,
    _lock: File,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It waits for the next commit.
    Waits,
    /// It had been taken before.
    Repeated,
    /// Nothing of it can be archived: it has no events, or they are not JSON.
    Unusable,
}

impl Archivist {
    /// Opens an archive, or begins one.
    ///
    /// # Errors
    /// The folder cannot be used, another worker writes to it (`WouldBlock`), or its positions
    /// are not ours (`InvalidData`).
    pub fn open(folder: &Path) -> io::Result<Self> {
        let layout = Layout::new(folder);
        std::fs::create_dir_all(layout.rooms()).map_err(|e| at(&layout.rooms(), &e))?;
        let lock = lock(&layout.lock())?;
        let path = layout.positions();
        let durable = Positions::read(&path).map_err(|error| at(&path, &error))?;
        Ok(Self {
            layout,
            taken: durable.clone(),
            durable,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            committed: Committed::default(),
            found: Vec::new(),
            tails: HashMap::new(),
            _lock: lock,
        })
    }

    /// Takes the next entry of a stream.
    pub fn take(&mut self, stream: &str, entry: &Entry) -> Taken {
        let cursor = Cursor { epoch: entry.epoch, seq: entry.seq };
        if !self.pass(stream, cursor, entry.stored_ms) {
            return Taken::Repeated;
        }
        let mut lines = Vec::new();
        let Some(span) = line::write(entry, &mut lines) else { return Taken::Unusable };
        self.waiting_bytes += lines.len() + size_of::<Piece>();
        let piece = Piece { hour: Hour::of(entry.stored_ms), span, lines };
        let waiting = self.waiting.entry(entry.room.clone()).or_default();
        stream.clone_into(&mut waiting.stream);
        waiting.pieces.push(piece);
        Taken::Waits
    }

    /// Passes by an entry of a stream that is not to be archived; tells whether it is the first
    /// time.
    pub fn pass(&mut self, stream: &str, cursor: Cursor, stored_ms: u64) -> bool {
        let is_new = cursor.seq > self.taken.seq(stream, cursor.epoch);
        if is_new {
            let hole = self.taken.advance(stream, Position { cursor, stored_ms });
            self.found.extend(hole);
        }
        is_new
    }

    /// Bytes that wait for the next commit.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether the next commit has anything to do.
    pub fn is_waiting(&self) -> bool {
        self.taken != self.durable
    }

    /// Makes durable all that waits: appended to the segments, synced, and then told by the
    /// positions.
    ///
    /// # Errors
    /// The disk does not take it. Nothing is durable that was not before, and calling it again is
    /// the way to try again.
    pub fn commit(&mut self) -> io::Result<Committed> {
        if self.tails.len() > TAILS_MAX {
            self.tails.clear();
        }
        let commit = Commit::new(&self.layout, &self.durable, &mut self.tails);
        self.committed = self.committed.and(commit.run(&self.waiting)?);
        self.waiting.clear();
        self.waiting_bytes = 0;
        // What is in the segments is known there, so this may fail and be tried again.
        let path = self.layout.positions();
        self.taken.write(&path).map_err(|error| at(&path, &error))?;
        self.durable = self.taken.clone();
        Ok(std::mem::take(&mut self.committed))
    }

    /// Makes the segments of complete hours compact and removes those that ended longer ago than
    /// `keep` (none without it). To be called about once an hour; `now_ms` is in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// The rooms cannot be listed. What fails in one room is counted and does not stop the others.
    pub fn sweep(&mut self, now_ms: u64, keep: Option<Duration>) -> io::Result<Swept> {
        // Where segments end has changed.
        self.tails.clear();
        let keep_ms = keep.and_then(|keep| u64::try_from(keep.as_millis()).ok());
        let keep_from_ms = keep_ms.map_or(0, |keep_ms| now_ms.saturating_sub(keep_ms));
        sweep::sweep(&self.layout, now_ms, keep_from_ms)
    }

    /// How far this stream is durable.
    pub fn durable(&self, stream: &str) -> Option<Position> {
        self.durable.streams.get(stream).copied()
    }

    /// How far every stream is durable, by its name.
    pub fn positions(&self) -> &BTreeMap<String, Position> {
        &self.durable.streams
    }

    /// Entries that were gone before they could be archived: those that were noticed since this
    /// was asked last.
    pub fn new_holes(&mut self) -> Vec<Hole> {
        std::mem::take(&mut self.found)
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| at(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(at(path, &error)),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{}: another worker writes here", path.display());
            Err(io::Error::new(io::ErrorKind::WouldBlock, message))
        }
    }
}

#[cfg(test)]
mod tests;
