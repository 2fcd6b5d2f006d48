//! What the public side answers when it does not do what was asked: which status stands for what,
//! and what is counted, is decided here once.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::metrics::{Metrics, TurnedAway};

/// Why a request is not answered as it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    /// What it is counted as beside its status, if whoever asked would have become a client.
    pub(crate) counted: Option<TurnedAway>,
    /// After how many seconds it may be different.
    pub(crate) after_s: Option<u64>,
}

pub(super) const NOT_FOUND: Refused =
    Refused::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here");
pub(super) const METHOD: Refused =
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "bad_request", "only GET is answered here");
pub(super) const ONCE: Refused = Refused::new(
    StatusCode::BAD_REQUEST,
    "bad_request",
    "a connection becomes a client once: open another one",
);
pub(super) const MOVED: Refused =
    Refused::new(StatusCode::PERMANENT_REDIRECT, "moved", "the page is one slash further");

impl Refused {
    pub(super) const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, counted: None, after_s: None }
    }

    const fn counted(mut self, why: TurnedAway) -> Self {
        self.counted = Some(why);
        self
    }

    /// It asks for something that is none.
    pub(super) const fn bad(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message).counted(TurnedAway::BadRequest)
    }

    /// It asks for a WebSocket, and not as RFC 6455 section 4.2.1 says.
    pub(super) const fn upgrade(message: &'static str) -> Self {
        Self { status: StatusCode::UPGRADE_REQUIRED, ..Self::bad(message) }
    }

    pub(super) const fn forbidden(why: TurnedAway, message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message).counted(why)
    }

    /// Somebody has, or asks, too much.
    pub(super) const fn limited(why: TurnedAway, message: &'static str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).counted(why)
    }

    /// The gateway has no room.
    pub(super) const fn full(why: TurnedAway, message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).counted(why)
    }

    /// Counts it, if it is counted beside its status.
    pub(super) fn count(&self, metrics: &Metrics) {
        if let Some(why) = self.counted {
            metrics.turned_away(why);
        }
    }
}

pub(super) fn refused(why: &Refused) -> Response<Full<Bytes>> {
    let body = json!({ "error": { "code": why.code, "message": why.message } });
    let mut response = json_response(why.status, body.to_string());
    // What these two must say beside their status: RFC 9110 sections 15.5.6 and 15.5.22, and
    // RFC 6455 section 4.2.2.
    let required: &[_] = match why.status {
        StatusCode::METHOD_NOT_ALLOWED => &[(ALLOW, "GET, HEAD")],
        StatusCode::UPGRADE_REQUIRED => {
            &[(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")]
        }
        _ => &[],
    };
    for (name, value) in required {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Some(after_s) = why.after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after_s));
    }
    response
}

pub(super) fn json_response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
