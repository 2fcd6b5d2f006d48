use super::*;
use crate::archive::Reader;
use crate::archive::line::tests::{chat, entry, epoch};
use protocol::cursor::Seq;
use tempfile::TempDir;

mod crash;
mod disk;
mod sweep;

const NOON: u64 = 1_763_640_000_000;

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// An entry of a room, stored so many minutes after noon.
fn said(name: &str, seq: Seq, minute: u64) -> Entry {
    let stored_ms = NOON + minute * 60_000;
    let events = vec![chat(&format!("{name} {seq}"), stored_ms)];
    Entry { room: room(name), events, ..entry(seq, stored_ms, &[]) }
}

/// The cursors of everything that a room has in the archive, with the event's index.
fn archived(folder: &Path, name: &str) -> Vec<String> {
    let lines = Reader::open(folder).unwrap().lines(&room(name), 0..u64::MAX).unwrap();
    let places = lines.map(|line| line.unwrap()).map(|line| {
        let (_, seq) = line.cursor.split_once(':').unwrap();
        format!("{seq}.{}", line.index)
    });
    places.collect()
}

fn segments(folder: &Path, name: &str) -> Vec<String> {
    let layout = Layout::new(folder);
    let mut names = crate::archive::tail::files(&layout.room(&room(name))).unwrap();
    names.sort();
    names
}

#[test]
fn what_is_committed_is_found_by_room_and_in_order() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    assert_eq!(archivist.take("H00", &said("a", 1, 0)), Taken::Waits);
    assert_eq!(archivist.take("H00", &said("心", 2, 0)), Taken::Waits);
    assert_eq!(archivist.take("H00", &said("a", 3, 0)), Taken::Waits);
    assert_eq!(archived(folder.path(), "a"), [""; 0], "nothing before the commit");
    assert!(archivist.is_waiting() && archivist.waiting_bytes() > 300);
    let committed = archivist.commit().unwrap();
    assert_eq!((committed.entries, committed.events, committed.parts), (3, 3, 2));
    assert!(!archivist.is_waiting() && archivist.waiting_bytes() == 0);
    assert_eq!(archived(folder.path(), "a"), ["1.0", "3.0"]);
    assert_eq!(archived(folder.path(), "心"), ["2.0"]);
    assert_eq!(Reader::open(folder.path()).unwrap().rooms().unwrap(), [room("a"), room("心")]);
    assert_eq!(archivist.durable("H00").unwrap().cursor.seq, 3);
}

#[test]
fn each_hour_is_a_segment_that_other_tools_read() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    for (seq, minute) in [(1, 0), (2, 59), (3, 60), (4, 61)] {
        archivist.take("H00", &said("a", seq, minute));
        archivist.commit().unwrap();
    }
    let names = segments(folder.path(), "a");
    assert_eq!(names, ["2025-11-20T12.ndjson.zst", "2025-11-20T13.ndjson.zst"]);
    let path = folder.path().join("rooms/a").join(&names[0]);
    let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    assert_eq!(text.iter().filter(|b| **b == b'\n').count(), 2);
}

#[test]
fn clock_that_goes_back_does_not_disturb_the_order() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    for (seq, minute) in [(1, 0), (2, 61), (3, 1), (4, 62)] {
        archivist.take("H00", &said("a", seq, minute));
    }
    archivist.commit().unwrap();
    archivist.take("H00", &said("a", 5, 2));
    archivist.commit().unwrap();
    assert_eq!(segments(folder.path(), "a").len(), 2);
    assert_eq!(archived(folder.path(), "a"), ["1.0", "2.0", "3.0", "4.0", "5.0"]);
}

#[test]
fn entry_that_comes_twice_is_archived_once() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    archivist.take("H00", &said("a", 1, 0));
    archivist.commit().unwrap();
    assert_eq!(archivist.take("H00", &said("a", 1, 0)), Taken::Repeated);
    drop(archivist);
    let mut archivist = Archivist::open(folder.path()).unwrap();
    assert_eq!(archivist.take("H00", &said("a", 1, 0)), Taken::Repeated);
    assert_eq!(archivist.take("H00", &said("a", 2, 0)), Taken::Waits);
    archivist.commit().unwrap();
    assert_eq!(archived(folder.path(), "a"), ["1.0", "2.0"]);
}

#[test]
fn numbering_that_begins_anew_is_archived_behind_the_old_one() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    archivist.take("H00", &said("a", 7, 0));
    archivist.take("H00", &Entry { epoch: epoch(2), ..said("a", 1, 0) });
    archivist.commit().unwrap();
    archivist.take("H00", &Entry { epoch: epoch(2), ..said("a", 2, 0) });
    archivist.commit().unwrap();
    assert_eq!(archived(folder.path(), "a"), ["7.0", "1.0", "2.0"]);
}

#[test]
fn what_has_no_room_or_is_no_json_is_passed_by() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    let mut broken = said("a", 1, 0);
    broken.events[0].json = bytes::Bytes::from_static(b"no json");
    assert_eq!(archivist.take("H00", &broken), Taken::Unusable);
    assert!(archivist.pass("H00", Cursor { epoch: epoch(1), seq: 2 }, NOON));
    assert!(!archivist.pass("H00", Cursor { epoch: epoch(1), seq: 2 }, NOON));
    assert!(archivist.is_waiting());
    archivist.commit().unwrap();
    assert_eq!(archivist.durable("H00").unwrap().cursor.seq, 2);
    assert!(archivist.new_holes().is_empty());
}

#[test]
fn holes_are_remembered_with_the_positions() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    archivist.take("H00", &said("a", 1, 0));
    archivist.take("H00", &said("a", 10, 9));
    archivist.commit().unwrap();
    let holes = Reader::open(folder.path()).unwrap().holes().unwrap();
    assert_eq!(holes, archivist.new_holes());
    assert_eq!(archivist.new_holes(), []);
    assert_eq!((holes[0].entries, holes[0].from_ms, holes[0].to_ms), (8, NOON, NOON + 540_000));
}

#[test]
fn range_of_time_is_half_open_and_counts_the_events_times() {
    let folder = TempDir::new().unwrap();
    let mut archivist = Archivist::open(folder.path()).unwrap();
    for minute in [0, 1, 59, 60, 120] {
        archivist.take("H00", &said("a", minute + 1, minute));
        archivist.commit().unwrap();
    }
    let reader = Reader::open(folder.path()).unwrap();
    let count = |from: u64, to: u64| {
        let range = NOON + from * 60_000..NOON + to * 60_000;
        reader.lines(&room("a"), range).unwrap().count()
    };
    assert_eq!([count(0, 1), count(1, 60), count(1, 61), count(61, 120)], [1, 2, 3, 0]);
    assert_eq!(reader.lines(&room("nobody"), 0..u64::MAX).unwrap().count(), 0);
}

#[test]
fn archive_has_one_writer() {
    let folder = TempDir::new().unwrap();
    let archivist = Archivist::open(folder.path()).unwrap();
    let error = Archivist::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(archivist);
    assert!(Archivist::open(folder.path()).is_ok());
}
