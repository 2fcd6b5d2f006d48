//! The server API: what the application's own servers may do. Bearer key, admin port.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use broker_bridge::{Ack, Broker, PendingAck};
use futures_util::future::join_all;
use protocol::event::{Body, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::from_client::{Decoder, PublishBody};
use protocol::ids::{EventId, RoomId, UserId, is_invisible};
use protocol::limits::{HISTORY_EVENTS_MAX, KEY_CHARS_MAX, USER_NAME_CHARS_MAX};
use protocol::refusal::{Code, Refusal};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::conn::BUSY;
use crate::conn::acks::UNAVAILABLE;
use crate::hub::{HubCommand, Hubs};
use crate::metrics::{Metrics, Queue};
use crate::now::Clock;
use crate::room::effect::Info;

/// Events in one request.
const EVENTS_MAX: usize = 500;
/// A room that does not answer in this time is not there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// How many events `history` returns if nothing else is asked for.
const HISTORY_DEFAULT: usize = 50;
/// As whom keyed events without a user are hashed: no user id is empty.
const NOBODY: &str = "";

/// What the server API works with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) keys: Arc<[String]>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hubs: Hubs,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
}

/// The routes below `/v1`.
pub(crate) fn routes(api: Api) -> Router {
    Router::new()
        .route("/v1/events", post(publish_many))
        .route("/v1/rooms/{room}/events", post(publish_one))
        .route("/v1/rooms/{room}", get(room_info))
        .route("/v1/rooms/{room}/history", get(history))
        .layer(axum::middleware::from_fn_with_state(api.clone(), authorize))
        .with_state(api)
}

/// A refusal as an HTTP answer.
#[derive(Debug)]
struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = status_of(self.0.code);
        let mut response = (status, Json(json!({ "error": error(&self.0) }))).into_response();
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_millis().div_ceil(1000).to_string();
            if let Ok(seconds) = seconds.parse() {
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
        }
        response
    }
}

fn error(refusal: &Refusal) -> Value {
    let mut error = json!({ "code": refusal.code.text(), "message": refusal.message });
    if let Some(after) = refusal.retry_after {
        error["retry_after_ms"] = json!(after.as_millis() as u64);
    }
    error
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized | Code::TokenExpired => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::Banned | Code::Muted => StatusCode::FORBIDDEN,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited | Code::SlowMode => StatusCode::TOO_MANY_REQUESTS,
        Code::NoSuchRoom | Code::NoSuchService | Code::PeerGone => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Busy | Code::Unavailable | Code::MediaUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::BadRequest
        | Code::UnknownType
        | Code::NotJoined
        | Code::RoomFull
        | Code::RoomLocked
        | Code::RoomsLimit
        | Code::Undeliverable
        | Code::BlockedTerm
        | Code::Duplicate
        | Code::LinkBlocked
        | Code::Held
        | Code::RoomSilenced
        | Code::SessionExpired => StatusCode::BAD_REQUEST,
    }
}

async fn authorize(
    State(api): State<Api>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    const UNAUTHORIZED: Refusal =
        Refusal::new(Code::Unauthorized, "send `Authorization: Bearer <API key>`");
    let bearer = request.headers().get(header::AUTHORIZATION);
    let key = bearer.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let response = match key {
        Some(key) if api.keys.iter().any(|known| same(known, key)) => next.run(request).await,
        Some(_) | None => Refused(UNAUTHORIZED).into_response(),
    };
    api.metrics.http(response.status().as_u16());
    response
}

/// Compares keys in a time that depends on their lengths only.
fn same(known: &str, given: &str) -> bool {
    known.len() == given.len()
        && known.bytes().zip(given.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

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

/// What becomes of an accepted event.
enum Accepted {
    Event(bytes::Bytes, PendingAck),
    Likes,
}

async fn publish_one(
    State(api): State<Api>,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refused> {
    let body = body.map_err(|_| Refusal::too_large("the request is above the size limit"))?;
    let mut incoming: Incoming<'_> = parse(&body)?;
    if incoming.key.is_none()
        && let Some(key) = headers.get("idempotency-key")
    {
        let key = key.to_str().map_err(|_| Refusal::bad_request(KEY_RULE))?;
        incoming.key = Some(key.to_owned());
    }
    let accepted = api.accept(Some(&room), incoming).await?;
    Ok(Json(settle(accepted).await?))
}

async fn publish_many(
    State(api): State<Api>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refused> {
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
            Ok(accepted) => settle(accepted).await,
            Err(refusal) => Err(refusal),
        };
        settled.unwrap_or_else(|refusal| json!({ "error": error(&refusal) }))
    }))
    .await;
    Ok(Json(json!({ "results": results })))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| {
        Refusal::bad_request(
            "expected JSON: an object with `body` (an object) and optionally `kind`, `user`, `key`, `weight`, `room`",
        )
    })
}

async fn settle(accepted: Accepted) -> Result<Value, Refusal> {
    match accepted {
        Accepted::Event(event, pending) => match pending.await {
            Ok(Ack { stored }) => {
                let event: Box<RawValue> = serde_json::from_slice(&event).map_err(|_| FAULT)?;
                let event = serde_json::to_value(event).map_err(|_| FAULT)?;
                Ok(json!({ "event": event, "stored": stored }))
            }
            Err(_) => Err(UNAVAILABLE),
        },
        Accepted::Likes => Ok(json!({ "stored": false })),
    }
}

const FAULT: Refusal = Refusal::new(Code::Internal, "the gateway failed");
const KEY_RULE: &str = "`key` must have 1 to 64 characters, none of them invisible";

impl Api {
    async fn accept(
        &self,
        path: Option<&str>,
        incoming: Incoming<'_>,
    ) -> Result<Accepted, Refusal> {
        let name = path.or(incoming.room.as_deref());
        let room = room_of(name.unwrap_or_default())?;
        let event = match self.draft(&room, &incoming)? {
            Drafted::Event(event) => event,
            Drafted::Likes(likes) => {
                self.hubs.command(HubCommand::Like { room, likes }).await;
                return Ok(Accepted::Likes);
            }
        };
        let (class, json) = (event.class, event.json.clone());
        let pending = self.broker.publish(&room, event).map_err(|_| {
            self.metrics.queue_full(Queue::Broker);
            BUSY
        })?;
        self.metrics.accepted(class);
        Ok(Accepted::Event(json, pending))
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
            None => EventId::random(rand::random()),
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

    async fn ask(&self, room: &str, events: usize) -> Result<Info, Refusal> {
        let (answer, info) = oneshot::channel();
        let room = room_of(room)?;
        self.hubs.command(HubCommand::Ask { room, events, answer }).await;
        match tokio::time::timeout(ANSWER_TIMEOUT, info).await {
            Ok(Ok(info)) => Ok(info),
            Ok(Err(_)) | Err(_) => Err(UNAVAILABLE),
        }
    }
}

enum Drafted {
    Event(Event),
    Likes(u32),
}

fn room_of(name: &str) -> Result<RoomId, Refusal> {
    RoomId::parse(name).map_err(|_| {
        Refusal::bad_request(
            "`room` must be 1 to 96 bytes without invisible characters, and not begin with `$`",
        )
    })
}

fn user_of(incoming: &IncomingUser) -> Result<User, Refusal> {
    let id = UserId::parse(&incoming.id).map_err(|_| {
        Refusal::bad_request("`user.id` must be 1 to 64 bytes without invisible characters")
    })?;
    let clean = |text: &str| -> String {
        text.chars().filter(|c| !is_invisible(*c)).take(USER_NAME_CHARS_MAX).collect()
    };
    let mut user = User::new(id);
    user.name = incoming.name.as_deref().map(clean).filter(|n| !n.is_empty()).map(Into::into);
    user.roles = incoming.roles.iter().take(8).map(|role| clean(role).into()).collect();
    user.level = incoming.level;
    Ok(user)
}

async fn room_info(
    State(api): State<Api>,
    Path(room): Path<String>,
) -> Result<Json<Value>, Refused> {
    let info = api.ask(&room, 0).await?;
    let state = &info.state;
    Ok(Json(json!({
        "room": info.room.as_str(),
        "cursor": info.cursor.to_string(),
        "online": state.online,
        "likes": state.likes,
        "settings": state.settings,
    })))
}

#[derive(Deserialize)]
struct HistoryQuery {
    limit: Option<usize>,
}

async fn history(
    State(api): State<Api>,
    Path(room): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, Refused> {
    let limit = query.limit.unwrap_or(HISTORY_DEFAULT).min(HISTORY_EVENTS_MAX);
    let info = api.ask(&room, limit).await?;
    let raw = |json: &bytes::Bytes| serde_json::from_slice::<Box<RawValue>>(json).ok();
    let events: Vec<_> = info.events.iter().filter_map(raw).collect();
    let body = json!({ "room": info.room.as_str(), "cursor": info.cursor.to_string() });
    let mut fields = body;
    fields["events"] =
        to_raw_value(&events).and_then(|raw| serde_json::to_value(raw)).map_err(|_| FAULT)?;
    Ok(Json(fields).into_response())
}
