//! What a proved token says, checked against every bound.

use std::sync::Arc;

use protocol::event::User;
use protocol::ids::{UserId, is_invisible};
use protocol::limits::ROOM_ID_BYTES_MAX;
use protocol::name;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::auth::TokenFault;
use crate::auth::grants::{Grant, Grants, Right, Rights};

/// Roles of one user.
const ROLES_MAX: usize = 8;
/// A role, in characters.
const ROLE_CHARS_MAX: usize = 32;
/// Grants in one token: each publish looks through them.
const GRANTS_MAX: usize = 64;
/// Names of rights in one grant; there are four, and later ones are passed over.
const RIGHTS_MAX: usize = 16;
/// How far the clocks of an issuer and of a gateway may be apart, for `nbf` and `iat`. `exp` is
/// taken at its word: it ends sessions too, and an issuer can make it later.
const LEEWAY_S: u64 = 10;

/// What a token must say of itself; `None` is anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Expected {
    /// Who made it (`iss`).
    pub(crate) issuer: Option<String>,
    /// For whom (`aud`), perhaps among others.
    pub(crate) audience: Option<String>,
}

impl Expected {
    /// Judges `iss` and `aud` (RFC 7519 sections 4.1.1 and 4.1.3).
    fn check(&self, iss: Option<&Value>, aud: Option<&Value>) -> Result<(), TokenFault> {
        if self.issuer.as_deref().is_some_and(|issuer| iss.is_none_or(|iss| iss != issuer)) {
            return Err(TokenFault::Claim(
                "`iss` of the token is not the issuer that is trusted here",
            ));
        }
        let is_among = |audience: &str| match aud {
            Some(Value::Array(all)) => all.iter().any(|one| one == audience),
            Some(one) => one == audience,
            None => false,
        };
        if self.audience.as_deref().is_some_and(|audience| !is_among(audience)) {
            return Err(TokenFault::Claim("`aud` of the token is somebody else"));
        }
        Ok(())
    }
}

/// What a token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Who it is.
    pub(crate) user: User,
    /// When it ends, in seconds since 1970.
    pub(crate) expires_s: u64,
    /// What it allows.
    pub(crate) grants: Grants,
}

impl Claims {
    /// Reads the payload of a token whose signature was checked.
    ///
    /// # Errors
    /// [`TokenFault::Claim`], [`TokenFault::Expired`] or [`TokenFault::NotYet`].
    pub(crate) fn read(
        payload: Map<String, Value>,
        expected: &Expected,
        now_s: u64,
    ) -> Result<Self, TokenFault> {
        let claim = |name| payload.get(name).filter(|value| !value.is_null());
        expected.check(claim("iss"), claim("aud"))?;
        let expires_s = match claim("exp") {
            Some(exp) => seconds(exp),
            None => return Err(TokenFault::Claim("the token has no `exp`, so it would never end")),
        };
        let expires_s = expires_s
            .ok_or(TokenFault::Claim("`exp` of the token must be a time in seconds since 1970"))?;
        if expires_s <= now_s {
            return Err(TokenFault::Expired);
        }
        for name in ["nbf", "iat"] {
            let Some(value) = claim(name) else { continue };
            let from_s = seconds(value).ok_or(TokenFault::Claim(
                "`nbf` and `iat` of the token must be times in seconds since 1970",
            ))?;
            if from_s > now_s.saturating_add(LEEWAY_S) {
                return Err(TokenFault::NotYet);
            }
        }
        let user = User {
            id: user_id(claim("sub"))?,
            name: name_of(claim("name"))?,
            roles: roles(claim("roles"))?,
            level: level(claim("level"))?,
        };
        Ok(Self { user, expires_s, grants: grants(claim("rooms"))? })
    }
}

/// A time as tokens write it (RFC 7519 section 2): seconds since 1970, perhaps with a fraction.
fn seconds(value: &Value) -> Option<u64> {
    let fraction = || value.as_f64().filter(|s| (0.0..1e15).contains(s)).map(|s| s as u64);
    value.as_u64().or_else(fraction)
}

fn user_id(sub: Option<&Value>) -> Result<UserId, TokenFault> {
    let id = sub.and_then(Value::as_str).and_then(|sub| UserId::parse(sub).ok());
    id.ok_or(TokenFault::Claim(
        "`sub` of the token must be a user id: a text of 1 to 64 bytes, none of them invisible",
    ))
}

fn name_of(name: Option<&Value>) -> Result<Option<Arc<str>>, TokenFault> {
    let Some(name) = name else { return Ok(None) };
    let name = name.as_str().ok_or(TokenFault::Claim("`name` of the token must be a text"))?;
    Ok(name::shown(name))
}

fn level(level: Option<&Value>) -> Result<Option<u32>, TokenFault> {
    let Some(level) = level else { return Ok(None) };
    let level = level.as_u64().and_then(|level| u32::try_from(level).ok());
    level.map(Some).ok_or(TokenFault::Claim("`level` of the token must be an integer below 2^32"))
}

/// Roles decide, so none is cut or left out: a token with too many is refused.
fn roles(roles: Option<&Value>) -> Result<SmallVec<[Arc<str>; 1]>, TokenFault> {
    const EXPECTED: TokenFault = TokenFault::Claim(
        "`roles` of the token must be a list of at most 8 texts of at most 32 characters",
    );
    let Some(roles) = roles else { return Ok(SmallVec::new()) };
    let roles = roles.as_array().filter(|roles| roles.len() <= ROLES_MAX).ok_or(EXPECTED)?;
    let mut kept: SmallVec<[Arc<str>; 1]> = SmallVec::new();
    for role in roles {
        let role = name::visible(role.as_str().ok_or(EXPECTED)?);
        if role.chars().count() > ROLE_CHARS_MAX {
            return Err(EXPECTED);
        }
        if !role.is_empty() && !kept.iter().any(|other| **other == *role) {
            kept.push(role.into());
        }
    }
    Ok(kept)
}

/// Without `rooms` a token proves who somebody is and opens no room.
fn grants(rooms: Option<&Value>) -> Result<Grants, TokenFault> {
    const EXPECTED: TokenFault =
        TokenFault::Claim("`rooms` of the token must be a list of at most 64 grants");
    let Some(rooms) = rooms else { return Ok(Grants::Rooms(Box::default())) };
    let rooms = rooms.as_array().filter(|rooms| rooms.len() <= GRANTS_MAX).ok_or(EXPECTED)?;
    rooms.iter().map(grant).collect::<Result<_, _>>().map(Grants::Rooms)
}

fn grant(grant: &Value) -> Result<Grant, TokenFault> {
    const EXPECTED: TokenFault = TokenFault::Claim(
        "each of the token's `rooms` must have a `room` (a name, or its beginning and `*`) and \
         `can` (a list of rights)",
    );
    let room = grant.get("room").and_then(Value::as_str).ok_or(EXPECTED)?;
    let name = room.strip_suffix('*').unwrap_or(room);
    if room.is_empty() || name.len() > ROOM_ID_BYTES_MAX || name.chars().any(is_invisible) {
        return Err(EXPECTED);
    }
    let can = grant.get("can").and_then(Value::as_array);
    let can = can.filter(|can| can.len() <= RIGHTS_MAX).ok_or(EXPECTED)?;
    let mut rights = Rights::default();
    for right in can {
        // A right that is not known here cannot be used here.
        let right = Right::parse(right.as_str().ok_or(EXPECTED)?);
        rights = right.map_or(rights, |right| rights.with(right));
    }
    Ok(Grant::new(room, rights))
}
