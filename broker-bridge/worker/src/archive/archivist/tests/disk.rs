//! What a disk that does not take a commit leaves behind: the archive as it was.

use super::*;
use std::fs;

/// Puts a file where the room's folder is to be, so that nothing can be written for it.
fn obstruct(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = Layout::new(folder).room(&room(name));
    fs::write(&path, "in the way").unwrap();
    path
}

#[test]
fn commit_that_fails_changes_nothing_and_succeeds_later() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    archivist.take("H00", &said("a", 1, 0));
    archivist.commit().unwrap();
    let path = folder.path().join("rooms/a/2025-11-20T12.ndjson.zst");
    let before = fs::read(&path).unwrap();

    let obstacle = obstruct(folder.path(), "b");
    archivist.take("H00", &said("a", 2, 0));
    archivist.take("H00", &said("b", 3, 0));
    archivist.take("H00", &said("a", 4, 61));
    for _ in 0..2 {
        let error = archivist.commit().unwrap_err();
        assert!(error.to_string().contains("rooms/b"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(segments(folder.path(), "a").len(), 1);
        assert_eq!(archivist.durable("H00").unwrap().cursor.seq, 1);
        assert!(archivist.is_waiting());
    }
    fs::remove_file(obstacle).unwrap();
    assert_eq!(archivist.commit().unwrap().entries, 3);
    assert_eq!(archived(folder.path(), "a"), ["1.0", "2.0", "4.0"]);
    assert_eq!(archived(folder.path(), "b"), ["3.0"]);
}

#[test]
fn positions_that_cannot_be_written_repeat_nothing() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    let obstacle = folder.path().join("positions.json.tmp");
    fs::create_dir(&obstacle).unwrap();
    archivist.take("H00", &said("a", 1, 0));
    archivist.commit().unwrap_err();
    assert_eq!(archivist.durable("H00"), None);
    archivist.take("H00", &said("a", 2, 0));
    fs::remove_dir(obstacle).unwrap();
    let committed = archivist.commit().unwrap();
    assert_eq!((committed.entries, committed.repeated), (2, 0), "each is counted once");
    assert_eq!(archived(folder.path(), "a"), ["1.0", "2.0"]);
}

#[test]
fn damaged_part_is_told_and_the_others_are_read() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    let path = folder.path().join("rooms/a/2025-11-20T12.ndjson.zst");
    let mut ends = Vec::new();
    for seq in 1..=3 {
        archivist.take("H00", &said("a", seq, 0));
        archivist.commit().unwrap();
        ends.push(fs::metadata(&path).unwrap().len() as usize);
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[ends[1] - 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let lines = Reader::open(folder.path()).unwrap().lines(&room("a"), 0..u64::MAX).unwrap();
    let read: Vec<Option<String>> = lines.map(|line| line.ok().map(|line| line.cursor)).collect();
    assert_eq!(read.len(), 3);
    assert!(read[0].is_some() && read[1].is_none() && read[2].is_some());
}
