//! What clients send: one JSON object per message, checked here against every limit of the
//! protocol, so that what comes out can be acted on.
//!
//! simd-json takes the message apart, in place, on a copy that is reused; its tape is walked by
//! hand, so that nothing here recurses. Bodies that are passed on unchanged are cut by serde_json
//! from the original bytes, so that they stay what they were byte for byte.
//!
//! What holds for every message: unknown fields are ignored; of two fields with one name the last
//! counts, as in browsers; `null` is the same as leaving an optional field out.

mod body;
mod command;
mod raw;
mod tape;

use serde::Serialize;
use serde_json::value::RawValue;
use simd_json::{Buffers, ErrorType, Tape};

use crate::cursor::Bookmark;
use crate::event::{Chat, Kind};
use crate::limits::JSON_DEPTH_MAX;
use crate::refusal::Refusal;
use tape::Value;

/// The number that a client gives a command, echoed in its one reply: 1 to 2^53 − 1, the integers
/// that every JSON reader keeps exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(u64);

impl RequestId {
    /// The largest, 2^53 − 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The id with this number; `None` if it is 0 or above [`Self::MAX`].
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX.0).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A command, and the number to answer it with.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Without it, the reply carries none either.
    pub id: Option<RequestId>,
    /// What is asked for.
    pub command: Command<'a>,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub enum Command<'a> {
    /// Lets this connection in to a room.
    Join {
        /// The room's name, still to be parsed.
        room: &'a str,
        /// Watching, or taking part in signaling.
        role: Role,
        /// The last cursor the client was told, when it comes back.
        since: Option<Bookmark>,
        /// How many of the newest events it wants.
        history: usize,
    },
    /// Ends what a join began.
    Leave {
        /// The room's name.
        room: &'a str,
    },
    /// Sends an event to a room.
    Publish {
        /// The room's name.
        room: &'a str,
        /// What the event is. Whether this client may send it is not decided here.
        kind: Kind<'a>,
        /// Its body.
        body: PublishBody<'a>,
        /// The idempotency key.
        key: Option<&'a str>,
    },
    /// Goes on with a new token.
    Refresh {
        /// The token, still to be judged.
        token: Token<'a>,
    },
    /// Asks for a pong.
    Ping {
        /// A number of the client's, echoed as it was written.
        ts: Option<&'a RawValue>,
    },
}

/// A token as it came. Does not show itself, so that it is in no log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token<'a>(pub &'a str);

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// As what a client joins a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Reads danmaku, and may write it.
    #[default]
    Viewer,
    /// Takes part in signaling as well.
    Peer,
}

/// The body of a publish, checked.
#[derive(Debug, Clone)]
pub enum PublishBody<'a> {
    /// Of `chat`.
    Chat(Chat<'a>),
    /// Of `like`: how many.
    Likes(u32),
    /// Of every other kind: an object, passed on as it came.
    Opaque(&'a RawValue),
}

/// Why a message is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, not an object, or without a `type`: clients that go on like this are closed.
    #[error("malformed: {0}")]
    Malformed(Refusal),
    /// Understood, and not allowed.
    #[error("{refusal}")]
    Refused {
        /// The number of the command, to answer it.
        id: Option<RequestId>,
        /// What the client is told.
        refusal: Refusal,
    },
}

/// Decodes messages; one serves a whole shard, and its buffers grow to the largest message.
pub struct Decoder {
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Makes a decoder with empty buffers.
    pub fn new() -> Self {
        Self {
            scratch: Vec::new(),
            buffers: Buffers::with_max_depth(0, JSON_DEPTH_MAX),
            tape: Tape(Vec::new()),
        }
    }

    /// Decodes one message of a client.
    ///
    /// # Errors
    /// [`DecodeError`]: what to tell the client. The connection goes on.
    pub fn decode<'a>(&'a mut self, message: &'a [u8]) -> Result<Request<'a>, DecodeError> {
        self.walk(message, |parsed| match parsed {
            Ok(root) => command::decode(root, message),
            Err(refusal) => Err(DecodeError::Malformed(refusal)),
        })
    }

    /// Decodes the body of an event that the server API publishes: the very rules that hold for
    /// clients.
    ///
    /// # Errors
    /// What to tell the caller.
    pub fn decode_body<'a>(
        &'a mut self,
        kind: Kind<'_>,
        body: &'a RawValue,
    ) -> Result<PublishBody<'a>, Refusal> {
        self.walk(body.get().as_bytes(), |parsed| {
            body::decode(kind, parsed?.unless_null(), || Some(body))
        })
    }

    /// Takes a JSON text apart and has its root walked. The tape is handed out and taken back, so
    /// that its allocation outlives the text.
    fn walk<'a, T>(
        &'a mut self,
        json: &[u8],
        walker: impl FnOnce(Result<Value<'_, 'a>, Refusal>) -> T,
    ) -> T {
        let Self { scratch, buffers, tape } = self;
        scratch.clear();
        scratch.extend_from_slice(json);
        let mut nodes: Tape<'a> = std::mem::replace(tape, Tape(Vec::new())).reset();
        let parsed = simd_json::fill_tape(scratch, buffers, &mut nodes)
            .map_err(|error| malformed(error.error()))
            .map(|()| Value::root(&nodes));
        let walked = walker(parsed);
        *tape = nodes.reset();
        walked
    }
}

fn malformed(error: &ErrorType) -> Refusal {
    Refusal::bad_request(if *error == ErrorType::DepthLimitExceeded {
        "objects and arrays nest too deeply"
    } else if *error == ErrorType::InvalidUnicodeCodepoint {
        "a text holds half of a surrogate pair"
    } else {
        "the message is not JSON"
    })
}

#[cfg(test)]
mod tests;
