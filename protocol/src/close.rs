//! The close catalogue: every reason for which a gateway closes a WebSocket, its code, its text,
//! and whether the client may come back.
//!
//! Codes below 4000 are those of RFC 6455 section 7.4.1. Of ours, 4000 to 4499 ask the client to
//! come back, 4500 to 4999 ask it to stay away.

use serde::{Serialize, Serializer};

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client said goodbye first; its close is answered.
    Normal,
    /// A frame breaks RFC 6455: unmasked, reserved bits, unknown opcode, bad control frame.
    Framing,
    /// A binary message on an endpoint that speaks JSON text.
    Binary,
    /// A text that is not UTF-8, or a compressed message that does not inflate.
    Payload,
    /// A message above the connection's size limit.
    TooLarge,
    /// The gateway failed; the fault is ours.
    Internal,
    /// This gateway is going away; another one is ready.
    Draining,
    /// The client reads more slowly than its rooms are written, past every allowance.
    TooSlow,
    /// No answer to a ping within the timeout.
    NoPong,
    /// Moved to even out the load.
    Rebalance,
    /// The token ran out and was not refreshed.
    TokenExpired,
    /// The token is not valid.
    BadToken,
    /// The user is banned.
    Banned,
    /// Malformed messages, again and again.
    ProtocolAbuse,
    /// A newer connection of the same session took over.
    Replaced,
    /// The user, or the address, holds too many connections.
    TooManyConnections,
    /// A moderator ended the session.
    Kicked,
}

impl CloseReason {
    /// Every entry of the catalogue.
    pub const ALL: [Self; 17] = [
        Self::Normal,
        Self::Framing,
        Self::Binary,
        Self::Payload,
        Self::TooLarge,
        Self::Internal,
        Self::Draining,
        Self::TooSlow,
        Self::NoPong,
        Self::Rebalance,
        Self::TokenExpired,
        Self::BadToken,
        Self::Banned,
        Self::ProtocolAbuse,
        Self::Replaced,
        Self::TooManyConnections,
        Self::Kicked,
    ];

    /// The code in the close frame.
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Framing => 1002,
            Self::Binary => 1003,
            Self::Payload => 1007,
            Self::TooLarge => 1009,
            Self::Internal => 1011,
            Self::Draining => 4000,
            Self::TooSlow => 4001,
            Self::NoPong => 4002,
            Self::Rebalance => 4003,
            Self::TokenExpired => 4004,
            Self::BadToken => 4500,
            Self::Banned => 4501,
            Self::ProtocolAbuse => 4502,
            Self::Replaced => 4503,
            Self::TooManyConnections => 4504,
            Self::Kicked => 4505,
        }
    }

    /// The text in the close frame, also the value of the `reason` label in metrics.
    pub fn text(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Framing => "framing",
            Self::Binary => "binary",
            Self::Payload => "payload",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
            Self::Draining => "draining",
            Self::TooSlow => "too_slow",
            Self::NoPong => "no_pong",
            Self::Rebalance => "rebalance",
            Self::TokenExpired => "token_expired",
            Self::BadToken => "bad_token",
            Self::Banned => "banned",
            Self::ProtocolAbuse => "protocol_abuse",
            Self::Replaced => "replaced",
            Self::TooManyConnections => "too_many_connections",
            Self::Kicked => "kicked",
        }
    }

    /// Whether a client that is closed for this reason should come back by itself.
    pub fn may_reconnect(self) -> bool {
        self.code() < 4500
    }
}

impl Serialize for CloseReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_and_texts_are_unique() {
        let codes: HashSet<u16> = CloseReason::ALL.iter().map(|r| r.code()).collect();
        let texts: HashSet<&str> = CloseReason::ALL.iter().map(|r| r.text()).collect();
        assert_eq!(codes.len(), CloseReason::ALL.len());
        assert_eq!(texts.len(), CloseReason::ALL.len());
    }

    #[test]
    fn the_upper_half_of_our_codes_asks_to_stay_away() {
        assert!(CloseReason::Draining.may_reconnect());
        assert!(CloseReason::TooSlow.may_reconnect());
        assert!(!CloseReason::BadToken.may_reconnect());
        assert!(!CloseReason::Kicked.may_reconnect());
        for reason in CloseReason::ALL {
            let code = reason.code();
            assert!((1000..=1011).contains(&code) || (4000..5000).contains(&code), "{code}");
        }
    }

    #[test]
    fn texts_fit_a_control_frame() {
        assert!(CloseReason::ALL.iter().all(|r| r.text().len() <= 123));
    }
}
