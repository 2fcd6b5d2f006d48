//! How far each stream is archived, and what was gone before it could be: one small file that is
//! replaced as a whole, after the segments that it speaks of are durable.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use protocol::cursor::{Cursor, Epoch, Seq};
use serde::{Deserialize, Serialize};

use super::segment;

/// Holes that are kept, the newest; a worker that is down too long again and again is no reason
/// for a file that grows without end.
const HOLES_MAX: usize = 1_000;

/// Entries that had left a stream before they could be archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Which stream.
    pub stream: String,
    /// The last entry before it, `epoch:sequence`.
    pub after: String,
    /// How many entries, of whatever rooms the stream holds.
    pub entries: u64,
    /// When the entries on both sides of it were stored, in milliseconds since 1970.
    pub from_ms: u64,
    /// See `from_ms`.
    pub to_ms: u64,
}

/// How far one stream is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The last entry.
    pub cursor: Cursor,
    /// When it was stored, in milliseconds since 1970.
    pub stored_ms: u64,
}

/// How far every stream is archived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) streams: BTreeMap<String, Position>,
    pub(crate) holes: Vec<Hole>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    streams: BTreeMap<String, WrittenPosition>,
    holes: Vec<Hole>,
}

#[derive(Serialize, Deserialize)]
struct WrittenPosition {
    cursor: String,
    stored_ms: u64,
}

impl Positions {
    const VERSION: u32 = 1;

    /// Moves a stream forward; tells the hole that this leaves, if the numbers show one.
    pub(crate) fn advance(&mut self, stream: &str, to: Position) -> Option<Hole> {
        let before = self.streams.insert(stream.to_owned(), to);
        let before = before.filter(|before| before.cursor.epoch == to.cursor.epoch)?;
        let entries = to.cursor.seq.saturating_sub(before.cursor.seq + 1);
        let hole = Hole {
            stream: stream.to_owned(),
            after: before.cursor.to_string(),
            entries,
            from_ms: before.stored_ms,
            to_ms: to.stored_ms,
        };
        (entries > 0).then(|| {
            self.holes.push(hole.clone());
            let surplus = self.holes.len().saturating_sub(HOLES_MAX);
            self.holes.drain(..surplus);
            hole
        })
    }

    /// The last archived entry of this stream in this numbering, 0 if there is none.
    pub(crate) fn seq(&self, stream: &str, epoch: Epoch) -> Seq {
        let position = self.streams.get(stream).filter(|at| at.cursor.epoch == epoch);
        position.map_or(0, |position| position.cursor.seq)
    }

    /// Reads the file; there is nothing in it if there is no file.
    ///
    /// # Errors
    /// It cannot be read, or it is not ours.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let written: Written =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if written.version != Self::VERSION {
            return Err(invalid(format!("version {} is not known here", written.version)));
        }
        let streams =
            written.streams.into_iter().map(|(stream, WrittenPosition { cursor, stored_ms })| {
                let cursor = cursor.parse().map_err(|_| invalid(format!("no cursor: {cursor}")))?;
                Ok((stream, Position { cursor, stored_ms }))
            });
        Ok(Self { streams: streams.collect::<io::Result<_>>()?, holes: written.holes })
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// It cannot be written durably; the old one stands.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let streams = self.streams.iter().map(|(stream, Position { cursor, stored_ms })| {
            let cursor = cursor.to_string();
            (stream.clone(), WrittenPosition { cursor, stored_ms: *stored_ms })
        });
        let written = Written {
            version: Self::VERSION,
            streams: streams.collect(),
            holes: self.holes.clone(),
        };
        let bytes = serde_json::to_vec_pretty(&written)?;
        segment::replace(path, &path.with_extension("json.tmp"), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::line::tests::epoch;

    fn at(epoch_number: u8, seq: Seq) -> Position {
        Position { cursor: Cursor { epoch: epoch(epoch_number), seq }, stored_ms: seq * 1_000 }
    }

    #[test]
    fn numbers_that_are_left_out_are_a_hole() {
        let mut positions = Positions::default();
        positions.advance("H00", at(1, 5)); // what came before is nobody's promise
        positions.advance("H00", at(1, 6));
        positions.advance("H01", at(9, 9));
        assert_eq!(positions.holes, []);
        positions.advance("H00", at(1, 10));
        let hole = Hole {
            stream: "H00".into(),
            after: at(1, 6).cursor.to_string(),
            entries: 3,
            from_ms: 6_000,
            to_ms: 10_000,
        };
        assert_eq!(positions.holes, [hole]);
        positions.advance("H00", at(2, 3));
        assert_eq!(positions.holes.len(), 1, "another epoch has numbers of its own");
        assert_eq!(positions.seq("H00", epoch(2)), 3);
        assert_eq!(positions.seq("H00", epoch(1)), 0);
    }

    #[test]
    fn positions_survive_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions.json");
        assert_eq!(Positions::read(&path).unwrap(), Positions::default());
        let mut positions = Positions::default();
        positions.advance("H00", at(1, 6));
        positions.advance("H00", at(1, 10));
        positions.write(&path).unwrap();
        assert_eq!(Positions::read(&path).unwrap(), positions);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn file_of_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions.json");
        for text in ["", "{}", r#"{"version":2,"streams":{},"holes":[]}"#] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Positions::read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
