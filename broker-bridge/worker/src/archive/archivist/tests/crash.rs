//! Whatever a crash leaves of a commit, redelivery makes the archive whole, each entry once.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

const ROOMS: [&str; 3] = ["a", "b", "心"];

/// The files of an archive, by path.
fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// What may become of a file that was written but not synced when the power went.
#[derive(Debug, Clone)]
enum Fate {
    /// It is as it was before.
    Unwritten,
    /// A piece of what was appended, in this share, is there.
    Cut(f64),
    /// It has its length, but zeros behind this share of what was appended.
    Zeros(f64),
    /// All of it is there.
    Written,
}

impl Fate {
    fn befall(&self, old: Option<&Vec<u8>>, new: &[u8]) -> Option<Vec<u8>> {
        let was = old.map_or(0, Vec::len);
        let kept = |share: &f64| new[..was + ((new.len() - was) as f64 * share) as usize].to_vec();
        match self {
            Self::Unwritten => old.cloned(),
            Self::Cut(share) => Some(kept(share)),
            Self::Zeros(share) => {
                let mut bytes = kept(share);
                bytes.resize(new.len(), 0);
                Some(bytes)
            }
            Self::Written => Some(new.to_vec()),
        }
    }
}

fn fate() -> impl Strategy<Value = (prop::sample::Index, Fate)> {
    let fate = prop_oneof![
        Just(Fate::Unwritten),
        (0.0..1.0).prop_map(Fate::Cut),
        (0.0..1.0).prop_map(Fate::Zeros),
        Just(Fate::Written),
    ];
    (any::<prop::sample::Index>(), fate)
}

/// Brings an archive into a state in the middle of a commit. A room's segments are written one
/// behind the other, so one of them meets its fate, the earlier ones are durable and the later
/// ones are not there. The positions are the old ones: they are written last.
fn crash(
    folder: &Path,
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    fates: &[(prop::sample::Index, Fate)],
) {
    let put = |name: &str, bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => fs::write(folder.join(name), bytes).unwrap(),
        None => fs::remove_file(folder.join(name)).unwrap(),
    };
    put("positions.json", before.get("positions.json").cloned());
    let changed = |name: &&String| name.ends_with(".zst") && before.get(*name) != after.get(*name);
    let changed: Vec<&String> = after.keys().filter(changed).collect();
    let rooms = changed.chunk_by(|a, b| Path::new(a).parent() == Path::new(b).parent());
    for (segments, (at, fate)) in rooms.zip(fates.iter().cycle()) {
        let at = at.index(segments.len());
        for name in &segments[at + 1..] {
            put(name, before.get(*name).cloned());
        }
        put(segments[at], fate.befall(before.get(segments[at]), &after[segments[at]]));
    }
}

/// Gives a new life of the worker everything after its position, as a stream does.
fn redeliver(folder: &Path, log: &[Entry]) -> Archivist {
    let mut archivist = Archivist::open(folder).unwrap();
    let from = archivist.durable("H00").map_or(0, |position| position.cursor.seq);
    for entry in log.iter().filter(|entry| entry.seq > from) {
        archivist.take("H00", entry);
    }
    archivist.commit().unwrap();
    archivist
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn crash_in_a_commit_loses_nothing_and_repeats_nothing(
        rooms in prop::collection::vec((0..ROOMS.len(), 0..50u64), 2..24),
        first in any::<prop::sample::Index>(),
        fates in prop::collection::vec(fate(), 1..8),
        again in prop::collection::vec(fate(), 1..8),
    ) {
        let mut minute = 0;
        let log = rooms.iter().enumerate().map(|(index, (room, pause))| {
            minute += pause;
            said(ROOMS[*room], index as u64 + 1, minute)
        });
        let log: Vec<Entry> = log.collect();
        let folder = TempDir::new().unwrap();
        let committed = first.index(log.len());
        drop(redeliver(folder.path(), &log[..committed]));
        // Two lives end in the middle of a commit, the third is spared.
        for fates in [&fates, &again] {
            let before = snapshot(folder.path());
            drop(redeliver(folder.path(), &log));
            crash(folder.path(), &before, &snapshot(folder.path()), fates);
        }
        let mut archivist = redeliver(folder.path(), &log);
        prop_assert!(archivist.new_holes().is_empty());
        for name in ROOMS {
            let said = log.iter().filter(|entry| entry.room.as_str() == name);
            let said: Vec<String> = said.map(|entry| format!("{}.0", entry.seq)).collect();
            prop_assert_eq!(archived(folder.path(), name), said);
        }
    }
}
