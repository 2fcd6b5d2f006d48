//! The end of a room's archive: what was written last, and where the next part goes.

use std::fs::File;
use std::io;
use std::path::Path;

use protocol::cursor::{Cursor, Epoch, Seq};

use super::layout::{Hour, UNFINISHED};
use super::part::Header;
use super::segment::Parts;

/// The end of a room's archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last entry.
    pub(crate) cursor: Cursor,
    /// The segment that it is in.
    pub(crate) hour: Hour,
    /// Where that segment ends, in bytes.
    pub(crate) end: u64,
}

impl Tail {
    /// Whether the entry is in the archive already.
    pub(crate) fn covers(&self, epoch: Epoch, seq: Seq) -> bool {
        self.cursor.epoch == epoch && seq <= self.cursor.seq
    }

    /// Finds the end of the archive in a room's folder, past nothing that is torn. What a life
    /// of the worker left unfinished is removed.
    ///
    /// # Errors
    /// The folder or a file in it cannot be read.
    pub(crate) fn find(
        folder: &Path,
        in_doubt: impl Fn(&Header) -> bool,
    ) -> io::Result<Option<Self>> {
        let mut hours = Vec::new();
        for entry in files(folder)? {
            if entry.ends_with(UNFINISHED) {
                std::fs::remove_file(folder.join(&entry))?;
            } else if let Some(hour) = Hour::of_file(&entry) {
                hours.push((hour, folder.join(entry)));
            }
        }
        hours.sort_unstable();
        for (hour, path) in hours.into_iter().rev() {
            let mut file = File::open(&path)?;
            let mut parts = Parts::find(&mut file)?;
            parts.verify(&mut file, &in_doubt)?;
            if let Some(last) = parts.found.last() {
                let cursor = Cursor { epoch: last.header.span.epoch, seq: last.header.span.last };
                return Ok(Some(Self { cursor, hour, end: parts.end }));
            }
            std::fs::remove_file(&path)?;
        }
        Ok(None)
    }
}

/// The names of what is in a folder; none if there is no folder.
///
/// # Errors
/// It cannot be read.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
