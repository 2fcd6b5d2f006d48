//! Sizes and counts, with the arithmetic that ties them together.
//!
//! These are the limits that hold for every gateway because they are part of the protocol, and
//! the defaults of those that an operator may change. What a client can keep to is told in
//! `welcome`.

/// A room's name, in bytes of UTF-8: as base64url it still fits a broker subject token.
pub const ROOM_ID_BYTES_MAX: usize = 96;
/// A user's id, in bytes of UTF-8.
pub const USER_ID_BYTES_MAX: usize = 64;
/// A user's display name, in characters.
pub const USER_NAME_CHARS_MAX: usize = 32;
/// An idempotency key, in characters.
pub const KEY_CHARS_MAX: usize = 64;
/// The text of a chat event, in characters.
pub const TEXT_CHARS_MAX: usize = 200;
/// Emotes in one chat event.
pub const EMOTES_MAX: usize = 16;
/// The text that an emote stands for, in characters.
pub const EMOTE_CODE_CHARS_MAX: usize = 32;
/// The address of an emote's picture, in bytes.
pub const EMOTE_URL_BYTES_MAX: usize = 256;
/// Newest events that a `join` may ask for.
pub const HISTORY_EVENTS_MAX: usize = 100;
/// Likes that one publish may carry (clients collect the taps of a second).
pub const LIKES_PER_PUBLISH_MAX: u32 = 50;
/// Commands of one connection per second, of any kind.
pub const COMMANDS_PER_S: u32 = 50;
/// Commands of one connection at once.
pub const COMMANDS_BURST: u32 = 200;
/// Connections of one user to one gateway.
pub const CONNECTIONS_PER_USER_MAX: u32 = 16;
/// Publishes of one user in 5 seconds.
pub const PUBLISH_PER_5S: u32 = 5;
/// Messages with likes of one connection in 2 seconds.
pub const LIKES_PER_2S: u32 = 5;
/// The JSON of an opaque body (`x-…`, gift, paid, system), in bytes.
pub const BODY_BYTES_MAX: usize = 8 * 1024;
/// A token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How deep objects and arrays may nest in a client's message.
pub const JSON_DEPTH_MAX: usize = 32;

/// The number that a `ping` may carry, in characters.
pub const PING_TS_CHARS_MAX: usize = 32;

/// One message of a viewer, in bytes, after inflating.
pub const VIEWER_FRAME_BYTES_MAX: usize = 16 * 1024;
/// One message of a peer, or of a client that has not joined yet, in bytes, after inflating.
pub const PEER_FRAME_BYTES_MAX: usize = 64 * 1024;
/// Rooms that one connection may be in as viewer.
pub const ROOMS_PER_CONNECTION_MAX: usize = 32;

/// Events that a resume may replay; above it the client starts over with `recovered: false`.
pub const RESUME_EVENTS_MAX: usize = 1_000;
/// Paid events of one room that wait for a later slot; what is paid beyond that goes out over the
/// room's budget.
pub const HELD_EVENTS_MAX: usize = 1_000;
/// Bytes of event JSON that a resume may replay.
pub const RESUME_BYTES_MAX: usize = 256 * 1024;

/// Messages in a client's control lane.
pub const CONTROL_LANE_MESSAGES_MAX: usize = 256;
/// Bytes in a client's control lane.
pub const CONTROL_LANE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of batches kept for a client that does not read.
pub const UNSENT_BYTES_MAX: usize = 512 * 1024;

const _: () = assert!(BODY_BYTES_MAX < VIEWER_FRAME_BYTES_MAX, "a body fits the frame it comes in");
const _: () = assert!(TOKEN_BYTES_MAX < VIEWER_FRAME_BYTES_MAX, "a token fits a frame");
const _: () = assert!(VIEWER_FRAME_BYTES_MAX <= PEER_FRAME_BYTES_MAX, "joining never widens");
const _: () =
    assert!(RESUME_BYTES_MAX < CONTROL_LANE_BYTES_MAX, "a replay fits the lane it goes out on");
const _: () =
    assert!(HISTORY_EVENTS_MAX <= RESUME_EVENTS_MAX, "history is never larger than a replay");
// A character of the text is at most 4 bytes of UTF-8, or 6 of JSON escapes (\u0000).
const _: () = assert!(TEXT_CHARS_MAX * 6 < BODY_BYTES_MAX, "a chat text fits a body");
const _: () = assert!(
    TEXT_CHARS_MAX * 6 + EMOTES_MAX * (EMOTE_CODE_CHARS_MAX * 6 + EMOTE_URL_BYTES_MAX)
        < VIEWER_FRAME_BYTES_MAX,
    "a chat with all its emotes fits a frame"
);
