//! What a gateway tells a client: replies and news as [`ServerMessage`], danmaku as [`Batch`] and
//! [`Joined`].
//!
//! Events arrive here as final JSON and are spliced into messages as they are, never parsed.
//! Every function gives the JSON of one message; [`crate::frame`] makes frames of it.

mod batch;
mod state;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::close::CloseReason;
use crate::cursor::Bookmark;
use crate::event::User;
use crate::from_client::RequestId;
use crate::ids::RoomId;
use crate::limits;
use crate::refusal::{Code, Refusal};

pub use batch::{Batch, Joined, joined_head};
pub use state::{Settings, State, StateChange};

/// JSON that was rendered before and is put into a message unchanged, such as an event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawJson<'a>(pub &'a [u8]);

/// A message to one client. Replies carry the number of their command, if it had one.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    /// The first message of a connection.
    Welcome {
        /// The gateway's name.
        node: &'a str,
        /// Who the client is, as others see it.
        user: &'a User,
        /// Whether an earlier session goes on.
        resumed: bool,
        /// After how long without any frame the gateway pings, in milliseconds.
        ping_interval_ms: u32,
        /// After how long without an answer it closes, in milliseconds.
        ping_timeout_ms: u32,
        /// What the client may send.
        limits: Limits,
    },
    /// A publish was accepted.
    Ack {
        /// Of the publish.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// The event as everybody else gets it; [`Self::render`] splices it in.
        #[serde(skip)]
        event: Option<RawJson<'a>>,
        /// Whether the broker has confirmed that it is stored.
        stored: bool,
    },
    /// The connection is not in the room any more.
    Left {
        /// Of the leave.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// Which room.
        room: &'a RoomId,
    },
    /// The answer to a ping command.
    Pong {
        /// Of the ping.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// The client's own number, as it wrote it.
        #[serde(skip_serializing_if = "Option::is_none")]
        ts: Option<&'a RawValue>,
        /// The gateway's time, in milliseconds since 1970.
        now: u64,
    },
    /// A command, or a message that is none, was refused.
    Error {
        /// Of the command.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: &'a str,
        /// When the same can succeed, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// The room it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
    },
    /// The connection is about to be closed.
    Goodbye {
        /// Why; the close frame says the same.
        reason: CloseReason,
        /// Whether to come back.
        reconnect: bool,
        /// When to come back, in milliseconds; drawn for each client, so that not all come at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        reconnect_after_ms: Option<u64>,
    },
    /// Events of a room were not sent, and will not be.
    Gap {
        /// Which room.
        room: &'a RoomId,
        /// After this cursor.
        from: Bookmark,
        /// Up to and including this one.
        to: Bookmark,
        /// How many.
        count: u64,
        /// Why.
        reason: GapReason,
    },
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The client reads, or its gateway sends, more slowly than the room is written.
    Slow,
    /// The fabric lost them.
    Lost,
    /// They are older than the log.
    Expired,
}

impl<'a> ServerMessage<'a> {
    /// The `error` that tells a refusal.
    pub fn refusal(id: Option<RequestId>, room: Option<&'a str>, refusal: &Refusal) -> Self {
        // Rounded up: a client that waits exactly this long is not too early.
        let millis = |d: std::time::Duration| {
            u64::try_from(d.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
        };
        Self::Error {
            id,
            code: refusal.code,
            message: refusal.message,
            retry_after_ms: refusal.retry_after.map(millis),
            room,
        }
    }

    /// The `goodbye` before a close, which says itself whether to come back.
    pub fn goodbye(reason: CloseReason, reconnect_after_ms: Option<u64>) -> Self {
        Self::Goodbye { reason, reconnect: reason.may_reconnect(), reconnect_after_ms }
    }

    /// The message as JSON, `type` first.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        write_json(&mut out, self);
        if let Self::Ack { event: Some(RawJson(event)), .. } = self {
            out.pop();
            out.extend_from_slice(b",\"event\":");
            out.extend_from_slice(event);
            out.push(b'}');
        }
        out
    }
}

/// What a client may send and hold, told in `welcome`. A burst is what may come at once; as many
/// again may come over its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// A message of a viewer, in bytes, after inflating.
    pub frame_bytes: usize,
    /// A message of a peer, or before the first join, in bytes, after inflating.
    pub peer_frame_bytes: usize,
    /// The text of a chat event, in characters.
    pub text_chars: usize,
    /// The body of other events, in bytes of JSON.
    pub body_bytes: usize,
    /// Emotes in one chat event.
    pub emotes: usize,
    /// An idempotency key, in characters.
    pub key_chars: usize,
    /// Likes in one publish.
    pub likes_per_publish: u32,
    /// Publishes of one user in 5 seconds, in the long run; rounded down.
    pub publish_per_5s: u32,
    /// Publishes of one user: a burst …
    pub publish_burst: u32,
    /// … and its period, in milliseconds.
    pub publish_period_ms: u64,
    /// Messages with likes of one connection: a burst …
    pub likes_burst: u32,
    /// … and its period, in milliseconds.
    pub likes_period_ms: u64,
    /// Commands of one connection per second.
    pub commands_per_s: u32,
    /// Commands of one connection at once.
    pub commands_burst: u32,
    /// Connections of one user to one gateway.
    pub connections_per_user: u32,
    /// Rooms of one connection.
    pub rooms: usize,
    /// Newest events that a join may ask for.
    pub history_events: usize,
    /// A room's name, in bytes.
    pub room_bytes: usize,
    /// A token, in bytes.
    pub token_bytes: usize,
    /// Replies that wait for a client that does not read; one more ends the connection.
    pub control_messages: usize,
    /// Bytes of them.
    pub control_bytes: usize,
    /// Bytes of batches that wait for a client that does not read; older ones become a gap.
    pub unsent_bytes: usize,
    /// Connections and handshakes of one address, if they are limited.
    #[serde(flatten)]
    pub address: Option<AddressLimits>,
}

/// What one address may hold and ask for, told in `welcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AddressLimits {
    /// Connections to this gateway.
    pub address_connections: u32,
    /// Handshakes: a burst …
    pub address_handshakes_burst: u32,
    /// … and its period, in milliseconds.
    pub address_handshakes_period_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: limits::VIEWER_FRAME_BYTES_MAX,
            peer_frame_bytes: limits::PEER_FRAME_BYTES_MAX,
            text_chars: limits::TEXT_CHARS_MAX,
            body_bytes: limits::BODY_BYTES_MAX,
            emotes: limits::EMOTES_MAX,
            key_chars: limits::KEY_CHARS_MAX,
            likes_per_publish: limits::LIKES_PER_PUBLISH_MAX,
            publish_per_5s: limits::PUBLISH_PER_5S,
            publish_burst: limits::PUBLISH_PER_5S,
            publish_period_ms: 5_000,
            likes_burst: limits::LIKES_PER_2S,
            likes_period_ms: 2_000,
            commands_per_s: limits::COMMANDS_PER_S,
            commands_burst: limits::COMMANDS_BURST,
            connections_per_user: limits::CONNECTIONS_PER_USER_MAX,
            rooms: limits::ROOMS_PER_CONNECTION_MAX,
            history_events: limits::HISTORY_EVENTS_MAX,
            room_bytes: limits::ROOM_ID_BYTES_MAX,
            token_bytes: limits::TOKEN_BYTES_MAX,
            control_messages: limits::CONTROL_LANE_MESSAGES_MAX,
            control_bytes: limits::CONTROL_LANE_BYTES_MAX,
            unsent_bytes: limits::UNSENT_BYTES_MAX,
            address: None,
        }
    }
}

fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value)
        .expect("texts, numbers and checked JSON are serialised, and memory takes them");
}

#[cfg(test)]
mod tests;
