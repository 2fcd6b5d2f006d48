//! The protocol state of one client: a decoded command in, one effect out.

mod token;

use std::sync::Arc;
use std::time::Duration;

use protocol::close::CloseReason;
use protocol::cursor::Bookmark;
use protocol::event::{Body, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::from_client::{Command, DecodeError, PublishBody, Request, RequestId, Role};
use protocol::ids::{EventId, RoomId};
use protocol::limits;
use protocol::refusal::{Code, Refusal};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::auth::{Grants, Keyring, Right, TokenFault};
use crate::client::admission::{Limiter, Rate, Recent, SharedLimiter, Verdict};
use crate::client::{Form, Seat};
use crate::documented::documented;
use crate::now::Now;

pub(crate) use token::NOT_ANY_MORE;

documented! {
    /// What every session may do; from the configuration.
    #[derive(Debug, Clone, Copy)]
    pub struct SessionRules {
        /// How often a user may publish, over all of its connections to this gateway. Default: 5
        /// in 5 seconds, as fast as people type; a refused client is told when to try again. Less
        /// refuses people in a lively room; more lets one viewer crowd out the others, since the
        /// room's budget is shared by all.
        pub publishes: Rate,
        /// How many commands of any kind a connection may send, pings among them. Default: 50 per
        /// second, and 200 at once, which no viewer needs. Less refuses clients that join many
        /// rooms at once; more lets one connection keep its shard busy.
        pub commands: Rate,
        /// How often a client may send likes; each message carries up to 50. Default: 5 in 2
        /// seconds, since clients collect the taps of a second. Less loses taps; more costs a
        /// message each and shows nothing, since likes are summed up by slot.
        pub likes: Rate,
        /// Whether clients may publish `gift` and `paid` events. Default: only the application may,
        /// through the server API, because these pass every budget and nobody has paid for what a
        /// client claims. Allowed, everybody who may chat can fill the screens of a room.
        pub paid_from_clients: PaidFromClients,
    }
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            publishes: Rate { burst: limits::PUBLISH_PER_5S, period: Duration::from_secs(5) },
            commands: Rate {
                burst: limits::COMMANDS_BURST,
                period: Duration::from_secs(
                    (limits::COMMANDS_BURST / limits::COMMANDS_PER_S) as u64,
                ),
            },
            likes: Rate { burst: limits::LIKES_PER_2S, period: Duration::from_secs(2) },
            paid_from_clients: PaidFromClients::Refused,
        }
    }
}

/// Who may publish `gift` and `paid` events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidFromClients {
    /// Only the server API.
    Refused,
    /// Clients too: for trying things out.
    Allowed,
}

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

    fn publish(
        &mut self,
        id: Option<RequestId>,
        room: &str,
        publish: Publish<'_>,
        rules: &SessionRules,
        now: Now,
    ) -> Effect<'static> {
        let Some((room, _)) = self.seats.iter().find(|(seated, _)| seated.as_str() == room) else {
            return Effect::Refuse { id, room: None, refusal: NOT_JOINED };
        };
        let room = room.clone();
        match self.accept(&room, publish, rules, now) {
            Ok(Accepted::Event(event)) => Effect::Publish { room, event, id },
            Ok(Accepted::Likes(likes)) => Effect::Like { room, likes, id },
            Err(refusal) => Effect::Refuse { id, room: Some(room), refusal },
        }
    }

    fn accept(
        &mut self,
        room: &RoomId,
        publish: Publish<'_>,
        rules: &SessionRules,
        now: Now,
    ) -> Result<Accepted, Refusal> {
        let Publish { kind, body, key, random } = publish;
        self.may(room, Right::Chat, VIEW_ONLY, now)?;
        match kind {
            Kind::System | Kind::Notice => return Err(SERVER_ONLY),
            Kind::Gift | Kind::Paid if rules.paid_from_clients == PaidFromClients::Refused => {
                return Err(SERVER_ONLY);
            }
            Kind::Chat
            | Kind::Gift
            | Kind::Paid
            | Kind::Like
            | Kind::Enter
            | Kind::Extension(_) => {}
        }
        let body = match body {
            PublishBody::Likes(likes) => {
                limit(self.likes.admit(rules.likes, 1, now.mono))?;
                return Ok(Accepted::Likes(likes));
            }
            PublishBody::Chat(chat) => Body::Chat(chat),
            PublishBody::Opaque(raw) => Body::Opaque(raw),
        };
        limit(self.publishes.admit(rules.publishes, 1, now.mono))?;
        let id = match key {
            Some(key) => EventId::keyed(self.user.id.as_str(), room, key),
            None => EventId::random(random),
        };
        let user = Some(&self.user);
        let draft = Draft { id, kind, ts_ms: now.unix_ms, user, body, weight: WEIGHT_DEFAULT };
        Ok(Accepted::Event(draft.render()))
    }
}

/// A publish command, less its room.
struct Publish<'a> {
    kind: Kind<'a>,
    body: PublishBody<'a>,
    key: Option<&'a str>,
    random: [u8; 16],
}

/// What an accepted publish becomes.
enum Accepted {
    Event(Event),
    Likes(u32),
}

const NOT_JOINED: Refusal = Refusal::new(Code::NotJoined, "join the room first");

const NO_VIEW: Refusal = Refusal::new(Code::Forbidden, "this connection may not join this room");

const VIEW_ONLY: Refusal =
    Refusal::new(Code::Forbidden, "this connection may watch this room, and not publish in it");

const SERVER_ONLY: Refusal =
    Refusal::new(Code::Forbidden, "events of this kind come from the server API only");

fn limit(verdict: Verdict) -> Result<(), Refusal> {
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Wait(wait) => Err(too_often(wait)),
    }
}

fn too_often(wait: Duration) -> Refusal {
    Refusal::until(Code::RateLimited, "too many in too short a time", wait)
}

#[cfg(test)]
mod tests;
