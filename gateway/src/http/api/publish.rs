//! Publishing through the server API: one event, or many.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use broker_bridge::{Ack, PendingAck};
use futures_util::future::join_all;
use protocol::event::{Body, Class, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::from_client::{Decoder, PublishBody};
use protocol::ids::{EventId, RoomId, UserId, is_invisible};
use protocol::limits::KEY_CHARS_MAX;
use protocol::name;
use protocol::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::conn::BUSY;
use crate::conn::acks::UNAVAILABLE;
use crate::http::api::{Api, ErrorBody, FAULT, Refused, name_of, room_of};
use crate::hub::HubCommand;
use crate::metrics::{Metrics, Queue};
use crate::settings::Unpublished;

/// Events in one request.
const EVENTS_MAX: usize = 500;
/// Roles that one user may have.
const ROLES_MAX: usize = 8;
/// As whom keyed events without a user are hashed: no user id is empty.
const NOBODY: &str = "";

/// An event as the application sends it.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(default)]
    user: Option<IncomingUser>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    weight: Option<u8>,
}

#[derive(Deserialize)]
struct IncomingUser {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    level: Option<u32>,
}

/// What the application is told of an accepted event.
#[derive(Serialize)]
pub(super) struct Published {
    /// As everybody gets it; likes are only counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    stored: bool,
}

/// One of many.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Published(Published),
    Refused(ErrorBody),
}

#[derive(Serialize)]
pub(super) struct Results {
    results: Vec<Outcome>,
}

/// What becomes of an accepted event.
enum Accepted {
    Event { class: Class, json: Bytes, pending: PendingAck },
    Likes,
}

pub(super) async fn one(
    State(api): State<Api>,
    room: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Published>, Refused> {
    let room = name_of(room)?;
    let body = body.map_err(|_| Refusal::too_large("the request is above the size limit"))?;
    let mut incoming: Incoming<'_> = parse(&body)?;
    if incoming.key.is_none()
        && let Some(key) = headers.get("idempotency-key")
    {
        let key = key.to_str().map_err(|_| Refusal::bad_request(KEY_RULE))?;
        incoming.key = Some(key.to_owned());
    }
    let accepted = api.accept(Some(&room), incoming).await?;
    Ok(Json(settle(accepted, &api.metrics).await?))
}

pub(super) async fn many(
    State(api): State<Api>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Results>, Refused> {
    #[derive(Deserialize)]
    struct Many<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let body = body.map_err(|_| Refusal::too_large("the request is above the size limit"))?;
    let many: Many<'_> = parse(&body)?;
    if many.events.len() > EVENTS_MAX {
        return Err(Refusal::too_large("at most 500 events in one request").into());
    }
    // All are handed over in order before the first ack is waited for.
    let mut accepted = Vec::with_capacity(many.events.len());
    for event in many.events {
        accepted.push(match parse(event.get().as_bytes()) {
            Ok(incoming) => api.accept(None, incoming).await,
            Err(refusal) => Err(refusal),
        });
    }
    let results = join_all(accepted.into_iter().map(|accepted| async {
        let settled = match accepted {
            Ok(accepted) => settle(accepted, &api.metrics).await,
            Err(refusal) => Err(refusal),
        };
        settled.map_or_else(|refusal| Outcome::Refused((&refusal).into()), Outcome::Published)
    }))
    .await;
    Ok(Json(Results { results }))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| {
        Refusal::bad_request(
            "expected JSON: an object with `body` (an object) and optionally `kind`, `user`, `key`, `weight`, `room`",
        )
    })
}

async fn settle(accepted: Accepted, metrics: &Metrics) -> Result<Published, Refusal> {
    match accepted {
        Accepted::Event { class, json, pending } => match pending.await {
            Ok(Ack { stored }) => {
                metrics.accepted(class);
                let event = serde_json::from_slice(&json).map_err(|_| FAULT)?;
                Ok(Published { event: Some(event), stored })
            }
            Err(_) => Err(UNAVAILABLE),
        },
        Accepted::Likes => Ok(Published { event: None, stored: false }),
    }
}

const KEY_RULE: &str = "`key` must have 1 to 64 characters, none of them invisible";

impl Api {
    async fn accept(
        &self,
        path: Option<&str>,
        incoming: Incoming<'_>,
    ) -> Result<Accepted, Refusal> {
        let name = path.or(incoming.room.as_deref());
        let room = room_of(name.unwrap_or_default())?;
        self.known.admit(&room)?;
        let event = match self.draft(&room, &incoming)? {
            Drafted::Event(event) => event,
            Drafted::Likes(likes) => {
                self.hubs.command(HubCommand::Like { room, likes }).await;
                return Ok(Accepted::Likes);
            }
        };
        let (class, json) = (event.class, event.json.clone());
        let published = self.known.publish(&*self.broker, &room, event);
        let pending = published.map_err(|unpublished| match unpublished {
            Unpublished::Refused(refusal) => refusal,
            Unpublished::Busy => {
                self.metrics.queue_full(Queue::Broker);
                BUSY
            }
        })?;
        Ok(Accepted::Event { class, json, pending })
    }

    fn draft(&self, room: &RoomId, incoming: &Incoming<'_>) -> Result<Drafted, Refusal> {
        let kind = Kind::parse(incoming.kind.as_deref().unwrap_or("chat"))
            .filter(|kind| *kind != Kind::Notice)
            .ok_or(Refusal::bad_request("`kind` is none that the application may publish"))?;
        let user = incoming.user.as_ref().map(user_of).transpose()?;
        let mut decoder = Decoder::new();
        let body = match decoder.decode_body(kind, incoming.body)? {
            PublishBody::Chat(chat) => Body::Chat(chat),
            PublishBody::Opaque(raw) => Body::Opaque(raw),
            PublishBody::Likes(likes) => return Ok(Drafted::Likes(likes)),
        };
        let id = match incoming.key.as_deref() {
            None => EventId::random(EventId::random_bytes(self.broker.boot(), rand::random())),
            Some(key)
                if (1..=KEY_CHARS_MAX).contains(&key.chars().count())
                    && !key.chars().any(is_invisible) =>
            {
                let sender = user.as_ref().map_or(NOBODY, |user| user.id.as_str());
                EventId::keyed(sender, room, key)
            }
            Some(_) => return Err(Refusal::bad_request(KEY_RULE)),
        };
        let draft = Draft {
            id,
            kind,
            ts_ms: self.clock.now().unix_ms,
            user: user.as_ref(),
            body,
            weight: incoming.weight.unwrap_or(WEIGHT_DEFAULT),
        };
        Ok(Drafted::Event(draft.render()))
    }
}

enum Drafted {
    Event(Event),
    Likes(u32),
}

fn user_of(incoming: &IncomingUser) -> Result<User, Refusal> {
    let id = UserId::parse(&incoming.id).map_err(|_| {
        Refusal::bad_request("`user.id` must be 1 to 64 bytes without invisible characters")
    })?;
    let mut user = User::new(id);
    user.name = incoming.name.as_deref().and_then(name::shown);
    user.roles =
        incoming.roles.iter().take(ROLES_MAX).filter_map(|role| name::shown(role)).collect();
    user.level = incoming.level;
    Ok(user)
}
