//! What a client may say in a room that it has joined, and how often.

use protocol::event::{Body, Draft, Event, Kind, WEIGHT_DEFAULT};
use protocol::from_client::{PublishBody, RequestId};
use protocol::ids::{EventId, RoomId};
use protocol::refusal::{Code, Refusal};

use super::rules::{PaidFromClients, SessionRules};
use super::{Effect, NOT_JOINED, Session, too_often};
use crate::auth::Right;
use crate::client::admission::Verdict;
use crate::now::Now;

/// A publish command, less its room.
pub(super) struct Publish<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) body: PublishBody<'a>,
    pub(super) key: Option<&'a str>,
    pub(super) random: [u8; 16],
}

/// What an accepted publish becomes.
enum Accepted {
    Event(Event),
    Likes(u32),
}

impl Session {
    pub(super) fn publish(
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
