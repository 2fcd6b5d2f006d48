//! The server API: what the application's own servers may do. Bearer key, admin port.

pub(crate) mod keys;
mod nodes;
mod publish;
mod rooms;
mod settings;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Json, Router};
use broker_bridge::Broker;
use protocol::ids::RoomId;
use protocol::refusal::{Code, Refusal};
use serde::Serialize;

use crate::http::api::keys::ApiKeys;
use crate::hub::Hubs;
use crate::metrics::Metrics;
use crate::now::Clock;
use crate::settings::{Fault, KnownRooms};

/// What the server API works with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) keys: ApiKeys,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) known: KnownRooms,
    pub(crate) hubs: Hubs,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
}

/// A method of an address, and who answers it.
pub(crate) type Route<S> = (&'static str, &'static str, MethodRouter<S>);

/// Every route below `/v1`, as the OpenAPI document has them.
pub(crate) fn table() -> Vec<Route<Api>> {
    vec![
        ("post", "/v1/events", post(publish::many)),
        ("get", "/v1/nodes", get(nodes::all)),
        ("get", "/v1/rooms/{room}", get(rooms::info)),
        ("post", "/v1/rooms/{room}/events", post(publish::one)),
        ("get", "/v1/rooms/{room}/history", get(rooms::history)),
        ("get", "/v1/rooms/{room}/settings", get(settings::show)),
        ("put", "/v1/rooms/{room}/settings", put(settings::put)),
        ("delete", "/v1/rooms/{room}/settings", delete(settings::forget)),
    ]
}

/// The routes below `/v1`.
pub(crate) fn routes(api: Api) -> Router {
    let add = |router: Router<Api>, (_, path, to): Route<Api>| router.route(path, to);
    table()
        .into_iter()
        .fold(Router::new(), add)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(api.clone(), authorize))
        .with_state(api)
}

/// Every code that the server API refuses with.
pub(crate) const CODES: [Code; 7] = [
    Code::BadRequest,
    Code::TooLarge,
    Code::Unauthorized,
    Code::NoSuchRoom,
    Code::Busy,
    Code::Unavailable,
    Code::Internal,
];

/// A refusal as an HTTP answer.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    /// What is wrong with settings, one by one.
    faults: Vec<Fault>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, faults: Vec::new() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = status_of(self.refusal.code);
        let mut body = ErrorBody::from(&self.refusal);
        body.error.faults = self.faults;
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2.
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        if let Some(after) = self.refusal.retry_after {
            let seconds = after.as_millis().div_ceil(1000).to_string();
            if let Ok(seconds) = seconds.parse() {
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
        }
        response
    }
}

/// `{"error":{…}}`, as clients of the WebSocket get it.
#[derive(Serialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Serialize)]
struct ErrorFields {
    code: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
}

impl From<&Refusal> for ErrorBody {
    fn from(refusal: &Refusal) -> Self {
        let retry_after_ms = refusal.retry_after.map(|after| after.as_millis() as u64);
        let (code, message) = (refusal.code.text(), refusal.message);
        debug_assert!(CODES.contains(&refusal.code), "{code} is not in the OpenAPI document");
        Self { error: ErrorFields { code, message, retry_after_ms, faults: Vec::new() } }
    }
}

pub(crate) fn status_of(code: Code) -> StatusCode {
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

async fn method_not_allowed() -> Response {
    const OTHER: Refusal = Refusal::bad_request("this address takes another method: see `Allow`");
    (StatusCode::METHOD_NOT_ALLOWED, Json(ErrorBody::from(&OTHER))).into_response()
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
        Some(key) if api.keys.allow(key) => next.run(request).await,
        Some(_) | None => Refused::from(UNAUTHORIZED).into_response(),
    };
    api.metrics.http(response.status().as_u16());
    response
}

const FAULT: Refusal = Refusal::new(Code::Internal, "the gateway failed");

/// The name in a path, if it is percent-encoded UTF-8.
fn name_of(path: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    let path = path.map_err(|_| Refusal::bad_request("the path is not percent-encoded UTF-8"));
    path.map(|Path(name)| name)
}

fn room_of(name: &str) -> Result<RoomId, Refusal> {
    RoomId::parse(name).map_err(|_| {
        Refusal::bad_request(
            "`room` must be 1 to 96 bytes without invisible characters, and not begin with `$`",
        )
    })
}
