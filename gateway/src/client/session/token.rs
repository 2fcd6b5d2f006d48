//! What a session's token allows, and a new token for it.

use protocol::from_client::{RequestId, Token};
use protocol::ids::RoomId;
use protocol::refusal::{Code, Refusal};
use smallvec::SmallVec;

use super::{Effect, Session, saturated};
use crate::auth::{Keyring, Right, TokenFault};
use crate::now::Now;

const OTHER_USER: Refusal =
    Refusal::new(Code::Forbidden, "the token is another user's: connect anew to use it");

/// What is told of a room that a client was in and may not be in any more.
pub(crate) const NOT_ANY_MORE: Refusal =
    Refusal::new(Code::Forbidden, "the new token does not allow this room; it was left");

impl Session {
    /// Judges a new token. It must be of the same user, since everything that was said and
    /// counted so far was in their name.
    pub(super) fn refresh(
        &mut self,
        id: Option<RequestId>,
        token: Token<'_>,
        keys: &Keyring,
        now: Now,
    ) -> Effect<'static> {
        let claims = match keys.verify(token.0, now.unix_ms / 1000) {
            Ok(claims) => claims,
            Err(fault) => return Effect::Unproved { fault, id },
        };
        if claims.user.id != self.user.id {
            return Effect::Refuse { id, room: None, refusal: OTHER_USER };
        }
        let expires_s = claims.expires_s;
        self.user = claims.user;
        self.grants = claims.grants;
        self.expires_s = Some(saturated(expires_s));
        let mut left = SmallVec::new();
        self.seats.retain(|seated| {
            let stays = self.grants.may(seated.0.as_str(), Right::View);
            if !stays {
                left.push(seated.clone());
            }
            stays
        });
        Effect::Refreshed { expires_s, left, id }
    }

    /// Whether this client may do something in a room now.
    pub(super) fn may(
        &self,
        room: &RoomId,
        right: Right,
        missing: Refusal,
        now: Now,
    ) -> Result<(), Refusal> {
        // Closed within two seconds; until then nothing more is done with it.
        if self.expires_s.is_some_and(|end_s| u64::from(end_s) <= now.unix_ms / 1000) {
            return Err(TokenFault::Expired.refusal());
        }
        if self.grants.may(room.as_str(), right) { Ok(()) } else { Err(missing) }
    }
}
