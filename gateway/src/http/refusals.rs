//! What the public side answers when it does not do what was asked.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::http::upgrade::Refused;

pub(super) const NOT_FOUND: Refused =
    Refused { status: StatusCode::NOT_FOUND, code: "not_found", message: "there is nothing here" };
pub(super) const METHOD: Refused = Refused {
    status: StatusCode::METHOD_NOT_ALLOWED,
    code: "bad_request",
    message: "only GET is answered here",
};
pub(super) const MOVED: Refused = Refused {
    status: StatusCode::PERMANENT_REDIRECT,
    code: "moved",
    message: "the page is one slash further",
};

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
    response
}

pub(super) fn json_response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
