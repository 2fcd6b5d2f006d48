//! One segment file: parts are appended to it, a torn end is cut off, and its parts are found
//! again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::part::{HEADER_BYTES, Header};

/// A part of a segment and where it begins, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) at: u64,
    pub(crate) header: Header,
}

/// The parts of a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) found: Vec<Found>,
    /// Where the last of them ends, in bytes. What lies behind was being written when the
    /// writer's life ended.
    pub(crate) end: u64,
}

impl Parts {
    /// Finds the parts of a segment by their headers.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn find(file: &mut File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut parts = Self::default();
        let mut bytes = [0; HEADER_BYTES];
        while parts.end + HEADER_BYTES as u64 <= length {
            file.seek(SeekFrom::Start(parts.end))?;
            file.read_exact(&mut bytes)?;
            let Some(header) = Header::read(&bytes) else { break };
            if parts.end + header.part_bytes() > length {
                break;
            }
            parts.found.push(Found { at: parts.end, header });
            parts.end += header.part_bytes();
        }
        Ok(parts)
    }

    /// Ends the parts before the first whose frame is not whole, among those that `in_doubt`
    /// names: after a power cut a file may have its length but not its bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn verify(
        &mut self,
        file: &mut File,
        in_doubt: impl Fn(&Header) -> bool,
    ) -> io::Result<()> {
        for (index, part) in self.found.iter().enumerate() {
            if in_doubt(&part.header) && !part.header.is_of(&part.read_frame(file)?) {
                self.end = part.at;
                self.found.truncate(index);
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Found {
    /// The lines of the part, each ending in a line feed.
    ///
    /// # Errors
    /// The file cannot be read, or the part is damaged.
    pub(crate) fn read(&self, file: &mut File) -> io::Result<Vec<u8>> {
        self.header.unpack(&self.read_frame(file)?)
    }

    fn read_frame(&self, file: &mut File) -> io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(self.at + HEADER_BYTES as u64))?;
        let mut frame = Vec::new();
        file.take(u64::from(self.header.frame_bytes)).read_to_end(&mut frame)?;
        Ok(frame)
    }
}

/// Opens a segment to append at `end`, where it is cut off.
///
/// # Errors
/// The file cannot be opened, created or cut.
pub(crate) fn open_at(path: &Path, end: u64) -> io::Result<File> {
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    if file.metadata()?.len() != end {
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end))?;
    Ok(file)
}

/// Puts a whole file in the place of another, if there is one: the name stands for the old bytes
/// or for the new ones, whatever happens meanwhile.
///
/// # Errors
/// The file cannot be written, synced or renamed.
pub(crate) fn replace(path: &Path, unfinished: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(unfinished, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::line::tests::epoch;
    use crate::archive::part::{Span, pack};
    use proptest::prelude::*;

    fn three_parts() -> Vec<u8> {
        let mut bytes = Vec::new();
        for seq in 1..=3 {
            let span =
                Span { epoch: epoch(1), first: seq, last: seq, from_ms: 0, to_ms: 0, events: 1 };
            pack(span, format!("line {seq}\n").repeat(20).as_bytes(), &mut bytes).unwrap();
        }
        bytes
    }

    fn sequences(bytes: &[u8]) -> (Vec<u64>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut parts = Parts::find(&mut file).unwrap();
        parts.verify(&mut file, |_| true).unwrap();
        for part in &parts.found {
            part.read(&mut file).unwrap();
        }
        (parts.found.iter().map(|part| part.header.span.first).collect(), parts.end)
    }

    #[test]
    fn parts_are_found_in_order() {
        let bytes = three_parts();
        assert_eq!(sequences(&bytes), (vec![1, 2, 3], bytes.len() as u64));
        assert_eq!(sequences(b""), (vec![], 0));
    }

    #[test]
    fn opening_cuts_what_lies_behind_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        std::fs::write(&path, "whole, torn").unwrap();
        open_at(&path, 5).unwrap().write_all(b"!").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole!");
    }

    proptest! {
        #[test]
        fn torn_end_costs_the_torn_part_only(at: prop::sample::Index, zeros: bool) {
            let whole = three_parts();
            let length = at.index(whole.len());
            let mut torn = whole[..length].to_vec();
            if zeros {
                torn.resize(whole.len(), 0);
            }
            prop_assume!(torn != whole);
            let ends = (0..3).map(|n| (n + 1) * whole.len() / 3);
            let kept = ends.clone().filter(|end| *end <= length).count();
            let (found, end) = sequences(&torn);
            prop_assert_eq!(&found[..], &[1, 2, 3][..kept]);
            prop_assert_eq!(end as usize, kept * whole.len() / 3);
        }
    }
}
