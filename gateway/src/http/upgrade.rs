//! From an HTTP request to an admitted WebSocket client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    self, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use hyper::{Method, Request, Version};
use protocol::deflate::negotiate;
use protocol::event::User;
use protocol::ids::UserId;
use protocol::name;
use sha1::{Digest as _, Sha1};

use crate::client::Form;
use crate::conn::Caller;
use crate::http::entry::Entry;
use crate::http::refusals::Refused;

/// The subprotocol that is echoed when it is offered.
const SUBPROTOCOL: &str = "barrage.v1";
/// Appended to the key before hashing (RFC 6455 section 1.3).
const KEY_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request that may become a client.
pub(crate) struct Handshake {
    pub(crate) accept: HeaderValue,
    pub(crate) subprotocol: Option<HeaderValue>,
    pub(crate) extensions: Option<HeaderValue>,
    pub(crate) caller: Caller,
    pub(crate) form: Form,
}

/// Judges a request for `/ws` (RFC 6455 section 4.2.1).
pub(crate) fn judge<B>(
    request: &Request<B>,
    entry: &Entry,
    random: [u8; 8],
) -> Result<Handshake, Refused> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(Refused::bad("a WebSocket begins with GET over HTTP/1.1"));
    }
    if !lists(headers, &header::CONNECTION, "upgrade")
        || !lists(headers, &header::UPGRADE, "websocket")
    {
        return Err(Refused::upgrade(
            "this address speaks WebSocket: send `Connection: Upgrade` and `Upgrade: websocket`",
        ));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refused::upgrade("`Sec-WebSocket-Version` must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |nonce| nonce.len()) != 16 {
        return Err(Refused::bad("`Sec-WebSocket-Key` must be 16 bytes in base64"));
    }
    entry.check_origin(headers)?;
    let extensions = offered(headers, &SEC_WEBSOCKET_EXTENSIONS);
    let extensions = negotiate(&extensions).map(HeaderValue::from_static);
    Ok(Handshake {
        accept: accept(key),
        subprotocol: lists(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
            .then(|| HeaderValue::from_static(SUBPROTOCOL)),
        form: if extensions.is_some() { Form::Deflated } else { Form::Plain },
        extensions,
        caller: entry.caller(request, random),
    })
}

impl Handshake {
    /// The headers of the answer.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        let optional = [
            (SEC_WEBSOCKET_PROTOCOL, &self.subprotocol),
            (SEC_WEBSOCKET_EXTENSIONS, &self.extensions),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }
}

fn accept(key: &[u8]) -> HeaderValue {
    let hash = Sha1::new().chain_update(key).chain_update(KEY_SALT).finalize();
    HeaderValue::from_str(&STANDARD.encode(hash)).expect("base64 is visible ASCII")
}

/// A guest, with the name from `?name=` if it is one.
pub(super) fn anonymous_user(query: &str, random: [u8; 8]) -> User {
    let mut user = User::new(UserId::anonymous(random));
    let name = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "name");
    user.name = name.and_then(|(_, name)| name::shown(&name));
    user
}

/// All values of a header, joined as RFC 9110 section 5.3 allows.
pub(super) fn offered(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(", ")
}

fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    offered(headers, name).split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Right;
    use crate::auth::config::Anonymous;
    use hyper::StatusCode;
    use std::sync::Arc;

    fn request() -> hyper::http::request::Builder {
        Request::get("/ws?name=%E5%B0%8F%E6%98%8E%00&x=1")
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "WebSocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    fn entry(anonymous: Anonymous) -> Entry {
        let origins = vec!["https://example.com".parse().unwrap()];
        Entry { anonymous, origins, tokens: Arc::new(true.into()) }
    }

    fn judged(request: hyper::http::request::Builder) -> Result<Handshake, Refused> {
        judge(&request.body(()).unwrap(), &entry(Anonymous::Chat), [1; 8])
    }

    #[test]
    fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
        let handshake = judged(request()).ok().unwrap();
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let Caller::Guest(user, grants) = handshake.caller else { panic!() };
        assert_eq!(user.name.as_deref(), Some("小明"));
        assert!(grants.may("any", Right::Chat) && !grants.may("any", Right::Moderate));
        assert_eq!(handshake.form, Form::Plain);
        assert!(handshake.subprotocol.is_none());
    }

    #[test]
    fn our_subprotocol_and_compression_are_accepted_when_offered() {
        let offer = request()
            .header("Sec-WebSocket-Protocol", "bearer.secret, barrage.v1")
            .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
        let headers = judged(offer).ok().unwrap().headers();
        assert_eq!(headers["sec-websocket-protocol"], "barrage.v1");
        let extensions = headers["sec-websocket-extensions"].to_str().unwrap();
        assert!(extensions.starts_with("permessage-deflate; server_no_context_takeover"));
    }

    #[test]
    fn what_is_not_a_websocket_request_is_told_why() {
        let mut other = request();
        other.headers_mut().unwrap().remove("Upgrade");
        assert_eq!(judged(other).err().unwrap().status, StatusCode::UPGRADE_REQUIRED);
        let mut other = request();
        other.headers_mut().unwrap().insert("Sec-WebSocket-Key", HeaderValue::from_static("abc"));
        assert_eq!(judged(other).err().unwrap().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn pages_of_other_origins_are_refused_before_the_upgrade() {
        assert!(judged(request().header("Origin", "https://example.com")).is_ok());
        for other in ["https://evil.example", "null", "\u{e9}"] {
            let refused = judged(request().header("Origin", other)).err().unwrap();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{other}");
        }
    }
}
