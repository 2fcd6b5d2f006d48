//! The protocol state of one client: a decoded command in, one effect out.

mod publish;
mod rules;
mod token;

use std::sync::Arc;
use std::time::Duration;

use protocol::close::CloseReason;
use protocol::cursor::Bookmark;
use protocol::event::{Event, User};
use protocol::from_client::{Command, DecodeError, Request, RequestId, Role};
use protocol::ids::RoomId;
use protocol::limits;
use protocol::refusal::{Code, Refusal};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::auth::{Grants, Keyring, Right, TokenFault};
use crate::client::admission::{Limiter, Rate, Recent, SharedLimiter, Verdict};
use crate::client::{Form, Seat};
use crate::now::Now;

use self::publish::Publish;
pub(crate) use self::rules::{PaidFromClients, SessionRules};
pub(crate) use self::token::NOT_ANY_MORE;

/// Commands over the rate that are still answered, per ten seconds; one more closes.
const FLOOD: Rate = Rate { burst: 500, period: Duration::from_secs(10) };

/// Malformed messages within the period; one more closes the connection.
const MALFORMED_MAX: usize = 7;
const MALFORMED_PERIOD: Duration = Duration::from_secs(10);

/// One client's protocol state.
#[derive(Debug)]
pub(crate) struct Session {
    user: User,
    grants: Grants,
    /// When the token ends, in seconds since 1970, up to the year 2106; `None` without one.
    expires_s: Option<u32>,
    form: Form,
    seats: SmallVec<[(RoomId, Seat); 1]>,
    joins: u16,
    publishes: Arc<SharedLimiter>,
    commands: Limiter,
    floods: Limiter,
    likes: Limiter,
    malformed: Recent<MALFORMED_MAX>,
}

/// What of a time is counted.
fn saturated(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// What a command leads to.
#[derive(Debug)]
pub(crate) enum Effect<'a> {
    /// Take a seat in a room; `replaces` is given up first.
    Join {
        room: RoomId,
        seat: Seat,
        replaces: Option<Seat>,
        id: Option<RequestId>,
        since: Option<Bookmark>,
        history: usize,
    },
    /// Give up a seat.
    Leave { room: RoomId, seat: Seat, id: Option<RequestId> },
    /// Append an event to a room's log and answer when it is in.
    Publish { room: RoomId, event: Event, id: Option<RequestId> },
    /// Count likes.
    Like { room: RoomId, likes: u32, id: Option<RequestId> },
    /// Answer a ping.
    Pong { id: Option<RequestId>, ts: Option<&'a RawValue> },
    /// Go on with a new token: until its end, and without the rooms that it does not allow.
    Refreshed { expires_s: u64, left: SmallVec<[(RoomId, Seat); 1]>, id: Option<RequestId> },
    /// The new token is not accepted.
    Unproved { fault: TokenFault, id: Option<RequestId> },
    /// Say why not.
    Refuse { id: Option<RequestId>, room: Option<RoomId>, refusal: Refusal },
    /// End the connection.
    Close(CloseReason),
}

impl Session {
    /// A session of a user, whose connections share what it may publish.
    pub(crate) fn new(
        user: User,
        grants: Grants,
        expires_s: Option<u64>,
        form: Form,
        publishes: Arc<SharedLimiter>,
    ) -> Self {
        Self {
            user,
            grants,
            expires_s: expires_s.map(saturated),
            form,
            seats: SmallVec::new(),
            joins: 0,
            publishes,
            commands: Limiter::default(),
            floods: Limiter::default(),
            likes: Limiter::default(),
            malformed: Recent::default(),
        }
    }

    /// The seats this client holds or has asked for.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &(RoomId, Seat)> {
        self.seats.iter()
    }

    /// A room could not be joined after all: the seat was not taken.
    pub(crate) fn refused(&mut self, room: &RoomId, seat: Seat) {
        self.seats.retain(|held| (&held.0, held.1) != (room, seat));
    }

    /// The largest message this client may send, in bytes.
    pub(crate) fn message_bytes_max(&self) -> usize {
        if self.joins == 0 { limits::PEER_FRAME_BYTES_MAX } else { limits::VIEWER_FRAME_BYTES_MAX }
    }

    /// Judges one message.
    pub(crate) fn handle<'a>(
        &mut self,
        decoded: Result<Request<'a>, DecodeError>,
        rules: &SessionRules,
        keys: &Keyring,
        now: Now,
        random: [u8; 16],
    ) -> Effect<'a> {
        let Request { id, command } = match decoded {
            Ok(request) => request,
            Err(DecodeError::Refused { id, refusal }) => {
                return match self.command(rules, now) {
                    Verdict::Accept => Effect::Refuse { id, room: None, refusal },
                    Verdict::Wait(wait) => self.flood(id, wait, now),
                };
            }
            Err(DecodeError::Malformed(refusal)) => return self.malformed(refusal, now),
        };
        if let Verdict::Wait(wait) = self.command(rules, now) {
            return self.flood(id, wait, now);
        }
        match command {
            Command::Join { room, role, since, history } => {
                self.join(id, room, role, since, history, now)
            }
            Command::Leave { room } => self.leave(id, room),
            Command::Publish { room, kind, body, key } => {
                let publish = Publish { kind, body, key, random };
                self.publish(id, room, publish, rules, now)
            }
            Command::Refresh { token } => self.refresh(id, token, keys, now),
            Command::Ping { ts } => Effect::Pong { id, ts },
        }
    }

    /// Judges a command of any kind, WebSocket pings among them, by how many there are.
    pub(crate) fn command(&mut self, rules: &SessionRules, now: Now) -> Verdict {
        self.commands.admit(rules.commands, 1, now.mono)
    }

    fn flood(&mut self, id: Option<RequestId>, wait: Duration, now: Now) -> Effect<'static> {
        match self.floods.admit(FLOOD, 1, now.mono) {
            Verdict::Accept => Effect::Refuse { id, room: None, refusal: too_often(wait) },
            Verdict::Wait(_) => Effect::Close(CloseReason::ProtocolAbuse),
        }
    }

    fn malformed(&mut self, refusal: Refusal, now: Now) -> Effect<'static> {
        if self.malformed.admit(MALFORMED_PERIOD, now.mono) {
            Effect::Refuse { id: None, room: None, refusal }
        } else {
            Effect::Close(CloseReason::ProtocolAbuse)
        }
    }

    fn join(
        &mut self,
        id: Option<RequestId>,
        room: &str,
        role: Role,
        since: Option<Bookmark>,
        history: usize,
        now: Now,
    ) -> Effect<'static> {
        let refuse = |refusal| Effect::Refuse { id, room: None, refusal };
        let Ok(room) = RoomId::parse(room) else {
            return refuse(Refusal::bad_request(
                "`room` must be 1 to 96 bytes without invisible characters, and not begin with `$`",
            ));
        };
        if role == Role::Peer {
            return refuse(Refusal::new(
                Code::Forbidden,
                "this gateway takes viewers only: join without `as`, or with `as: viewer`",
            ));
        }
        if let Err(refusal) = self.may(&room, Right::View, NO_VIEW, now) {
            return Effect::Refuse { id, room: Some(room), refusal };
        }
        let held = self.seats.iter().position(|(seated, _)| *seated == room);
        if held.is_none() && self.seats.len() >= limits::ROOMS_PER_CONNECTION_MAX {
            return refuse(Refusal::new(Code::RoomsLimit, "leave a room before joining another"));
        }
        self.joins = self.joins.wrapping_add(1).max(1);
        let seat = Seat { number: self.joins, form: self.form };
        let replaces = match held {
            Some(at) => Some(std::mem::replace(&mut self.seats[at].1, seat)),
            None => {
                self.seats.push((room.clone(), seat));
                None
            }
        };
        Effect::Join { room, seat, replaces, id, since, history }
    }

    fn leave(&mut self, id: Option<RequestId>, room: &str) -> Effect<'static> {
        match self.seats.iter().position(|(seated, _)| seated.as_str() == room) {
            Some(at) => {
                let (room, seat) = self.seats.swap_remove(at);
                Effect::Leave { room, seat, id }
            }
            None => Effect::Refuse { id, room: None, refusal: NOT_JOINED },
        }
    }
}

const NOT_JOINED: Refusal = Refusal::new(Code::NotJoined, "join the room first");

const NO_VIEW: Refusal = Refusal::new(Code::Forbidden, "this connection may not join this room");

fn too_often(wait: Duration) -> Refusal {
    Refusal::until(Code::RateLimited, "too many in too short a time", wait)
}

#[cfg(test)]
mod tests;
