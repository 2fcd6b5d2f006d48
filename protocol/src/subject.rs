//! The names of subjects, streams and keys on the broker: the only place that knows them.
//!
//! | subject | carries |
//! | --- | --- |
//! | `<ns>.h.<p>.<room>` | what is published into a room's log |
//! | `<ns>.o.<p>.<room>` | what a room's viewers get: the log's entries, and events past it |
//! | `<ns>.g.<boot id>` | payloads for one node |
//! | `<ns>.u.<p>` | payloads for a user, wherever they are (p of the user) |
//! | `<ns>.all` | payloads for everybody |
//! | `<ns>.n` | heartbeats |
//! | `<ns>.c.<p>` | counts, and questions for them |
//! | `<ns>.i.<boot id>.…` | answers to one node |
//!
//! `p` is the partition, from the stable hash of the room or user. Rooms become one token each:
//! their name if that is plain (`A-Z a-z 0-9 - _`, at most 64 of them), else `~` and base64url, so
//! that no name can act as a wildcard or break a subject.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3;

use crate::ids::{BootId, RoomId, UserId};

/// Partitions of a deployment; fixed, since rooms would move otherwise.
pub const PARTITIONS: u8 = 64;
/// Streams that hold the logs.
pub const STREAMS: u8 = 16;
/// Partitions in each stream.
pub const PARTITIONS_PER_STREAM: u8 = PARTITIONS / STREAMS;

/// The longest plain token of a room, in bytes.
const PLAIN_BYTES_MAX: usize = 64;
/// The longest namespace, in bytes.
const NAMESPACE_BYTES_MAX: usize = 32;
/// The longest subject, in bytes: the server ends connections that name one over 4,096.
const SUBJECT_BYTES_MAX: usize = 256;

/// `<ns>.h.<pp>.~` and base64url of the longest name of a room.
const _: () = assert!(
    NAMESPACE_BYTES_MAX + 6 + 1 + crate::limits::ROOM_ID_BYTES_MAX.div_ceil(3) * 4
        <= SUBJECT_BYTES_MAX
);

/// A partition: 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

/// One of the streams that hold the logs: 0 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamIndex(u8);

/// What a deployment's names begin with: 1 to 32 of `A-Z a-z 0-9 - _`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(Arc<str>);

/// A text that is no name of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not 1 to 32 of the allowed characters.
    #[error("a namespace is 1 to 32 letters, digits, `-` or `_`")]
    Namespace,
    /// Not the token of a room.
    #[error("not the token of a room")]
    Token,
}

impl Partition {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// Where a room belongs.
    pub fn of_room(room: &RoomId) -> Self {
        Self::of_hash(room.stable_hash())
    }

    /// Where a user belongs.
    pub fn of_user(user: &UserId) -> Self {
        Self::of_hash(xxh3::xxh3_64(user.as_str().as_bytes()))
    }

    fn of_hash(hash: u64) -> Self {
        Self((hash % u64::from(PARTITIONS)) as u8)
    }

    /// Its number.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }

    /// The stream that holds its logs.
    pub fn stream(self) -> StreamIndex {
        StreamIndex(self.0 / PARTITIONS_PER_STREAM)
    }
}

impl StreamIndex {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..STREAMS).map(Self)
    }

    /// Its number.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }

    /// Its partitions.
    pub fn partitions(self) -> impl Iterator<Item = Partition> {
        let first = self.0 * PARTITIONS_PER_STREAM;
        (first..first + PARTITIONS_PER_STREAM).map(Partition)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Namespace {
    /// Parses a namespace.
    ///
    /// # Errors
    /// [`SubjectError::Namespace`].
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let fits = (1..=NAMESPACE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.into())) } else { Err(SubjectError::Namespace) }
    }

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a room's events are published into its log.
    pub fn log(&self, room: &RoomId) -> String {
        format!("{}.h.{}.{}", self.0, Partition::of_room(room), room_token(room))
    }

    /// What a room's viewers get.
    pub fn live(&self, room: &RoomId) -> String {
        format!("{}.o.{}.{}", self.0, Partition::of_room(room), room_token(room))
    }

    /// The name of a stream.
    pub fn stream(&self, stream: StreamIndex) -> String {
        format!("{}_h{:02}", self.0, stream.0)
    }

    /// The subjects that a stream stores.
    pub fn stream_subjects(&self, stream: StreamIndex) -> Vec<String> {
        stream.partitions().map(|p| format!("{}.h.{p}.*", self.0)).collect()
    }

    /// Where a publisher sees whether a stream stores anything at all. Of no room.
    pub fn probe(&self, stream: StreamIndex) -> String {
        let first = stream.0 * PARTITIONS_PER_STREAM;
        format!("{}.h.{first}.~probe", self.0)
    }

    /// What a stream stores, and where it sends that on: source and destination.
    pub fn republish(&self) -> (String, String) {
        let ns = &self.0;
        (format!("{ns}.h.*.*"), format!("{ns}.o.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"))
    }

    /// What is for one node.
    pub fn node(&self, node: BootId) -> String {
        format!("{}.g.{node}", self.0)
    }

    /// What is for a user.
    pub fn user(&self, user: &UserId) -> String {
        format!("{}.u.{}", self.0, Partition::of_user(user))
    }

    /// What is for any user.
    pub fn users(&self) -> String {
        format!("{}.u.*", self.0)
    }

    /// What is for everybody.
    pub fn everybody(&self) -> String {
        format!("{}.all", self.0)
    }

    /// Signs of life.
    pub fn heartbeats(&self) -> String {
        format!("{}.n", self.0)
    }

    /// Counts of the rooms of a partition.
    pub fn counts(&self, partition: Partition) -> String {
        format!("{}.c.{partition}", self.0)
    }

    /// What answers to one node begin with.
    pub fn inbox(&self, node: BootId) -> String {
        format!("{}.i.{node}", self.0)
    }

    /// The bucket of rooms' settings.
    pub fn settings_bucket(&self) -> String {
        format!("{}_rooms", self.0)
    }

    /// The room of a subject of its log or of what its viewers get.
    ///
    /// # Errors
    /// [`SubjectError::Token`]: not such a subject of this namespace.
    pub fn room(&self, subject: &str) -> Result<RoomId, SubjectError> {
        let mut tokens = subject.split('.');
        let [ns, lane, partition, token] = [(); 4].map(|()| tokens.next().unwrap_or(""));
        if ns != &*self.0 || !matches!(lane, "h" | "o") || tokens.next().is_some() {
            return Err(SubjectError::Token);
        }
        let room = parse_room_token(token)?;
        if partition != Partition::of_room(&room).to_string() {
            return Err(SubjectError::Token);
        }
        Ok(room)
    }
}

/// A room as one token of a subject.
pub fn room_token(room: &RoomId) -> String {
    let name = room.as_str();
    if name.len() <= PLAIN_BYTES_MAX && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    format!("~{}", URL_SAFE_NO_PAD.encode(name))
}

/// The room of a token.
///
/// # Errors
/// [`SubjectError::Token`]: not what [`room_token`] makes of any room.
pub fn parse_room_token(token: &str) -> Result<RoomId, SubjectError> {
    let name = match token.strip_prefix('~') {
        None => token.to_owned(),
        Some(code) => {
            let name = URL_SAFE_NO_PAD.decode(code).map_err(|_| SubjectError::Token)?;
            String::from_utf8(name).map_err(|_| SubjectError::Token)?
        }
    };
    let room = RoomId::of_the_fabric(&name).map_err(|_| SubjectError::Token)?;
    if room_token(&room) == token { Ok(room) } else { Err(SubjectError::Token) }
}

/// A room as a key of the settings' bucket, which does not allow `~`.
pub fn room_key(room: &RoomId) -> String {
    room_token(room).replacen('~', "=", 1)
}

/// The room of a key.
///
/// # Errors
/// [`SubjectError::Token`]: not what [`room_key`] makes of any room.
pub fn parse_room_key(key: &str) -> Result<RoomId, SubjectError> {
    parse_room_token(&key.replacen('=', "~", 1))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests;
