//! Why a token is not accepted, and what its bearer is told.

use std::time::Duration;

use protocol::close::CloseReason;
use protocol::refusal::{Code, Refusal};

/// When a client may try again while the keys could not be asked for.
const RETRY: Duration = Duration::from_secs(5);

/// Why a token is not accepted. Never holds a part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// There is none, and nobody gets in without one.
    Missing,
    /// Not a signed token: three parts, a header that names an algorithm, a payload of JSON.
    Malformed,
    /// The algorithm is none of ours, or not the one of the key.
    Algorithm,
    /// No key of this name, and whoever makes the keys knows none either.
    UnknownKey,
    /// No key of this name, and whoever makes the keys could not be asked.
    Unchecked,
    /// Not signed with the key.
    Signature,
    /// A claim is missing or not what it must be.
    Claim(&'static str),
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
}

impl TokenFault {
    /// Every fault; of wrong claims, one.
    pub(crate) const ALL: [Self; 9] = [
        Self::Missing,
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Unchecked,
        Self::Signature,
        Self::Claim("a claim is wrong"),
        Self::Expired,
        Self::NotYet,
    ];

    /// What the client is told.
    pub(crate) fn refusal(self) -> Refusal {
        let unauthorized = |message| Refusal::new(Code::Unauthorized, message);
        match self {
            Self::Missing => unauthorized("a token is needed here"),
            Self::Malformed => unauthorized("the token is not a signed JSON Web Token"),
            Self::Algorithm => unauthorized("the token is not signed as its key asks for"),
            Self::UnknownKey => unauthorized("the token's key is not known here"),
            Self::Signature => unauthorized("the token's signature is wrong"),
            Self::Claim(message) => unauthorized(message),
            Self::NotYet => unauthorized("the token is not valid yet"),
            Self::Expired => Refusal::new(Code::TokenExpired, "the token has run out"),
            Self::Unchecked => Refusal::until(
                Code::Unavailable,
                "the token's key cannot be looked up now; try again",
                RETRY,
            ),
        }
    }

    /// How a connection that begins with it ends. Time or a fresh token cures 4004, so that the
    /// client comes back; nothing cures the others.
    pub(crate) fn close_reason(self) -> CloseReason {
        match self {
            Self::Expired | Self::Unchecked => CloseReason::TokenExpired,
            Self::Missing
            | Self::Malformed
            | Self::Algorithm
            | Self::UnknownKey
            | Self::Signature
            | Self::Claim(_)
            | Self::NotYet => CloseReason::BadToken,
        }
    }

    /// The value of the `fault` label in metrics.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Unchecked => "unchecked",
            Self::Signature => "signature",
            Self::Claim(_) => "claim",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
        }
    }
}
