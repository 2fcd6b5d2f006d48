//! Refusals: every machine-readable reason for which a command is answered with `error`.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Declares the refusal codes once: variant, wire text, meaning.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// The machine-readable code of an `error`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as clients see it, also the value of the `code` label in metrics.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

codes! {
    /// The message is not what the protocol allows.
    BadRequest = "bad_request",
    /// No command of this name.
    UnknownType = "unknown_type",
    /// A field is above its limit.
    TooLarge = "too_large",
    /// No valid token where one is needed.
    Unauthorized = "unauthorized",
    /// The token does not allow this.
    Forbidden = "forbidden",
    /// The token has run out.
    TokenExpired = "token_expired",
    /// The command needs a room that the client has not joined.
    NotJoined = "not_joined",
    /// Rooms must be created first here, and this one was not.
    NoSuchRoom = "no_such_room",
    /// The room has no seat left.
    RoomFull = "room_full",
    /// The room is locked.
    RoomLocked = "room_locked",
    /// The connection is in as many rooms as it may be.
    RoomsLimit = "rooms_limit",
    /// Somebody else changed it first.
    Conflict = "conflict",
    /// The peer has left.
    PeerGone = "peer_gone",
    /// The signal could not be delivered.
    Undeliverable = "undeliverable",
    /// Too many commands in too short a time.
    RateLimited = "rate_limited",
    /// The room's slow mode.
    SlowMode = "slow_mode",
    /// The user is muted.
    Muted = "muted",
    /// The user is banned.
    Banned = "banned",
    /// The text holds a blocked term.
    BlockedTerm = "blocked_term",
    /// The same text again.
    Duplicate = "duplicate",
    /// Links are not allowed here.
    LinkBlocked = "link_blocked",
    /// Held for review.
    Held = "held",
    /// The room is silenced.
    RoomSilenced = "room_silenced",
    /// The session is over; start a new one.
    SessionExpired = "session_expired",
    /// No media tier, or none free.
    MediaUnavailable = "media_unavailable",
    /// No backend of this name.
    NoSuchService = "no_such_service",
    /// A queue is full; nothing was accepted.
    Busy = "busy",
    /// The fabric cannot take this now.
    Unavailable = "unavailable",
    /// The gateway failed; the fault is ours.
    Internal = "internal",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

/// A refused command: what a client is told instead of its reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.text())]
pub struct Refusal {
    /// The machine-readable reason.
    pub code: Code,
    /// The same for people, in English. Never holds what the client sent.
    pub message: &'static str,
    /// When trying again can succeed, if time can cure it.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that time does not cure.
    pub const fn new(code: Code, message: &'static str) -> Self {
        Self { code, message, retry_after: None }
    }

    /// A refusal that is over after the given time.
    pub const fn until(code: Code, message: &'static str, retry_after: Duration) -> Self {
        Self { code, message, retry_after: Some(retry_after) }
    }

    /// A malformed message.
    pub const fn bad_request(message: &'static str) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// A field above its limit.
    pub const fn too_large(message: &'static str) -> Self {
        Self::new(Code::TooLarge, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn code_texts_are_unique_and_snake_case() {
        let texts: HashSet<&str> = Code::ALL.iter().map(|c| c.text()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|t| t.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
