//! Where things lie in an archive: one folder per room, one file per hour, names that every file
//! system takes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use protocol::ids::RoomId;

/// What a segment's name ends in.
const ENDING: &str = ".ndjson.zst";
/// What the name of a file ends in that is not whole yet.
pub(crate) const UNFINISHED: &str = ".tmp";
/// Letters of a room's name that may be the name of its folder.
const PLAIN_MAX: usize = 64;

/// The folders of an archive.
///
/// ```text
/// positions.json                       how far each stream is archived
/// lock                                 held by the one worker that writes
/// rooms/demo/2026-11-20T11.ndjson.zst  what the room `demo` said in that hour (UTC)
/// rooms/~e5bc80e5bf83/…                a room whose name is no safe file name: hexadecimal UTF-8
/// ```
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn positions(&self) -> PathBuf {
        self.root.join("positions.json")
    }

    pub(crate) fn rooms(&self) -> PathBuf {
        self.root.join("rooms")
    }

    pub(crate) fn room(&self, room: &RoomId) -> PathBuf {
        self.rooms().join(folder(room))
    }

    pub(crate) fn segment(&self, room: &RoomId, hour: Hour) -> PathBuf {
        self.room(room).join(hour.file_name())
    }
}

/// The folder of a room: the name itself if it is 1 to 64 of `a-z 0-9 - _` and begins with none
/// of the marks, else `~` and its UTF-8 in hexadecimal (at most 193 characters). Capitals are
/// encoded because some file systems do not tell them from small letters.
fn folder(room: &RoomId) -> String {
    let name = room.as_str();
    let is_plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if name.len() <= PLAIN_MAX && name.bytes().all(is_plain) && !name.starts_with(['-', '_']) {
        return name.to_owned();
    }
    let digits = name.bytes().map(|b| format!("{b:02x}"));
    std::iter::once("~".to_owned()).chain(digits).collect()
}

/// The room of a folder; `None` if it is not one of ours.
pub(crate) fn room_of(name: &str) -> Option<RoomId> {
    let room = match name.strip_prefix('~') {
        None => RoomId::parse(name).ok()?,
        Some(digits) => {
            let pair = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(pair).collect();
            RoomId::parse(&String::from_utf8(bytes?).ok()?).ok()?
        }
    };
    (folder(&room) == name).then_some(room)
}

/// An hour of UTC, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hour(u64);

impl Hour {
    pub(crate) const MS: u64 = 3_600_000;

    pub(crate) fn of(unix_ms: u64) -> Self {
        Self(unix_ms / Self::MS)
    }

    /// The first moment after it, in milliseconds since 1970.
    pub(crate) fn end_ms(self) -> u64 {
        (self.0 + 1) * Self::MS
    }

    fn file_name(self) -> String {
        format!("{self}{ENDING}")
    }

    /// The hour of a segment's file name; `None` if it is not one.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        name.strip_suffix(ENDING)?.parse().ok()
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_secs(self.0 * 3_600);
        let text = humantime::format_rfc3339_seconds(time).to_string();
        f.write_str(text.split_once(':').map_or(text.as_str(), |(hour, _)| hour))
    }
}

impl FromStr for Hour {
    type Err = humantime::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = humantime::parse_rfc3339(&format!("{text}:00:00Z"))?;
        Ok(Self(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 3_600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_room_is_its_own_folder_and_others_are_spelt_out() {
        let folder = |name: &str| folder(&RoomId::parse(name).unwrap());
        assert_eq!(folder("demo-1"), "demo-1");
        assert_eq!(folder("心"), "~e5bf83");
        assert_eq!(folder("Demo"), "~44656d6f", "capitals are lost on some file systems");
        for name in ["..", ".", "*", "a/b", "-rf", "_", "~", "a b", "con.", &"x".repeat(65)] {
            assert!(folder(name).starts_with('~'), "{name}");
        }
        assert_eq!(folder(&"字".repeat(32)).len(), 193);
    }

    #[test]
    fn folders_of_others_are_no_rooms() {
        for name in ["", "~", "~4", "~zz", "Demo", "~64656d6f", "~ff", "lost+found", "~24"] {
            assert_eq!(room_of(name), None, "{name}");
        }
    }

    #[test]
    fn hour_is_named_in_utc() {
        let hour = Hour::of(1_763_636_400_000 + Hour::MS - 1);
        assert_eq!(hour.file_name(), "2025-11-20T11.ndjson.zst");
        assert_eq!(Hour::of_file("2025-11-20T11.ndjson.zst"), Some(hour));
        assert_eq!(hour.end_ms(), 1_763_636_400_000 + Hour::MS);
        for name in ["2025-11-20T11.ndjson.zst.tmp", "2025-11-20T25.ndjson.zst", "notes"] {
            assert_eq!(Hour::of_file(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_room_finds_its_folder_again(name in "\\PC{1,96}") {
            if let Ok(room) = RoomId::parse(&name) {
                let folder = folder(&room);
                prop_assert!(folder.len() <= 193);
                prop_assert!(folder.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~')));
                prop_assert_eq!(room_of(&folder), Some(room));
            }
        }

        #[test]
        fn every_hour_survives_its_name(hours in 0u64..2_000_000) {
            prop_assert_eq!(Hour::of_file(&Hour(hours).file_name()), Some(Hour(hours)));
        }
    }
}
