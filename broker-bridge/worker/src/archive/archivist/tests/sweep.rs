//! A swept archive holds the same lines in fewer parts, and nothing that is too old.

use super::*;
use crate::archive::segment::Parts;
use std::fs;

const HOUR: u64 = Hour::MS;

fn parts(folder: &Path, name: &str, segment: usize) -> usize {
    let path = Layout::new(folder).room(&room(name)).join(&segments(folder, name)[segment]);
    Parts::find(&mut fs::File::open(path).unwrap()).unwrap().found.len()
}

fn archive_of_two_hours(folder: &Path) -> Archivist {
    let mut archivist = Archivist::open(folder).unwrap();
    for seq in 1..=12 {
        archivist.take("H00", &said("a", seq, seq * 10 - 10));
        archivist.commit().unwrap();
    }
    archivist
}

#[test]
fn complete_hour_becomes_compact_and_says_the_same() {
    let folder = TempDir::new().unwrap();
    let mut archivist = archive_of_two_hours(folder.path());
    let before = archived(folder.path(), "a");
    assert_eq!([parts(folder.path(), "a", 0), parts(folder.path(), "a", 1)], [6, 6]);
    let swept = archivist.sweep(NOON + HOUR, None).unwrap();
    assert_eq!((swept.compacted, swept.removed), (1, 0));
    assert!(swept.freed_bytes > 0);
    assert_eq!([parts(folder.path(), "a", 0), parts(folder.path(), "a", 1)], [1, 6]);
    assert_eq!(archived(folder.path(), "a"), before);
    assert_eq!(archivist.sweep(NOON + HOUR, None).unwrap(), Swept::default(), "done once");
}

#[test]
fn compact_segment_can_be_appended_to() {
    let folder = TempDir::new().unwrap();
    let mut archivist = archive_of_two_hours(folder.path());
    archivist.sweep(NOON + 2 * HOUR, None).unwrap();
    archivist.take("H00", &said("a", 13, 119));
    archivist.commit().unwrap();
    let all: Vec<String> = (1..=13).map(|seq| format!("{seq}.0")).collect();
    assert_eq!(archived(folder.path(), "a"), all);
    assert_eq!(parts(folder.path(), "a", 1), 2);
}

#[test]
fn epochs_are_not_mixed() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    for number in [1, 2] {
        for seq in [1, 2] {
            archivist.take("H00", &Entry { epoch: epoch(number), ..said("a", seq, 0) });
            archivist.commit().unwrap();
        }
    }
    archivist.sweep(NOON + HOUR, None).unwrap();
    assert_eq!(parts(folder.path(), "a", 0), 2);
    assert_eq!(archived(folder.path(), "a"), ["1.0", "2.0", "1.0", "2.0"]);
}

#[test]
fn what_ended_before_the_time_to_keep_is_removed() {
    let folder = TempDir::new().unwrap();
    let mut archivist = archive_of_two_hours(folder.path());
    archivist.take("H00", &said("old", 13, 0));
    archivist.commit().unwrap();
    let keep = std::time::Duration::from_millis(2 * HOUR);
    let swept = archivist.sweep(NOON + 3 * HOUR - 1, Some(keep)).unwrap();
    assert_eq!(swept.removed, 0, "its last event may be younger than that");
    let swept = archivist.sweep(NOON + 3 * HOUR, Some(keep)).unwrap();
    assert_eq!(swept.removed, 2);
    assert_eq!(segments(folder.path(), "a"), ["2025-11-20T13.ndjson.zst"]);
    let rooms = Reader::open(folder.path()).unwrap().rooms().unwrap();
    assert_eq!(rooms, [room("a")], "a room without segments has no folder");
    archivist.take("H00", &said("old", 14, 180));
    archivist.commit().unwrap();
    assert_eq!(archived(folder.path(), "old"), ["14.0"]);
}

#[test]
fn unfinished_files_of_an_earlier_life_are_removed() {
    let folder = TempDir::new().unwrap();
    let mut archivist = archive_of_two_hours(folder.path());
    let unfinished = folder.path().join("rooms/a/2025-11-20T12.ndjson.zst.tmp");
    fs::write(&unfinished, "half").unwrap();
    archivist.sweep(NOON, None).unwrap();
    assert!(!unfinished.exists());
    fs::write(&unfinished, "half").unwrap();
    drop(archivist);
    let mut archivist = Archivist::open(folder.path()).unwrap();
    archivist.take("H00", &said("a", 13, 130));
    archivist.commit().unwrap();
    assert!(!unfinished.exists());
}

#[test]
fn damaged_segment_is_left_alone_and_does_not_stop_the_sweep() {
    let folder = TempDir::new().unwrap();
    let mut archivist = archive_of_two_hours(folder.path());
    for seq in 13..15 {
        archivist.take("H00", &said("b", seq, 0));
        archivist.commit().unwrap();
    }
    let path = folder.path().join("rooms/a/2025-11-20T12.ndjson.zst");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let swept = archivist.sweep(NOON + HOUR, None).unwrap();
    assert_eq!((swept.failed, swept.compacted), (1, 1));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
