//! Who may come in, by what their request says of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::header::{self, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Request, StatusCode};
use protocol::refusal::Refusal;

use crate::auth::config::{Anonymous, AuthConfig};
use crate::auth::origins::{self, Origin};
use crate::auth::{Grants, Rights, TokenFault};
use crate::conn::{Bearer, Caller};
use crate::http::refusals::Refused;
use crate::http::upgrade::{anonymous_user, offered};
use crate::metrics::TurnedAway;

/// Offered as a subprotocol with a token behind it, since browsers let pages set nothing else;
/// never echoed.
const BEARER_SUBPROTOCOL: &str = "bearer.";

/// Who may come in.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) anonymous: Anonymous,
    pub(crate) origins: Vec<Origin>,
    /// Whether tokens can be checked; if not, they are not looked at.
    pub(crate) tokens: Arc<AtomicBool>,
}

impl Entry {
    pub(crate) fn new(auth: &AuthConfig, tokens: Arc<AtomicBool>) -> Self {
        let AuthConfig { anonymous, origins, .. } = auth;
        Self { anonymous: *anonymous, origins: origins.clone(), tokens }
    }

    pub(super) fn caller<B>(&self, request: &Request<B>, random: [u8; 8]) -> Caller {
        let query = request.uri().query().unwrap_or_default();
        if self.tokens.load(Ordering::Acquire)
            && let Some(token) = token(request.headers(), query)
        {
            return Caller::Bearer(token);
        }
        match self.anonymous {
            Anonymous::Refused => Caller::Nobody,
            Anonymous::View => {
                Caller::Guest(anonymous_user(query, random), Grants::Everywhere(Rights::VIEW))
            }
            Anonymous::Chat => {
                Caller::Guest(anonymous_user(query, random), Grants::Everywhere(Rights::CHAT))
            }
        }
    }

    /// Lets pages of other origins go no further.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
        if origins::allow(&self.origins, origin) { Ok(()) } else { Err(OTHER_ORIGIN) }
    }

    /// Lets pages of the origins that may connect read an answer; without credentials of the
    /// browser, which nothing here asks for.
    pub(super) fn share(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        let everybody = self.origins.is_empty();
        if !everybody {
            answer.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = asked.get(header::ORIGIN) else { return };
        if self.check_origin(asked).is_ok() {
            let whom = if everybody { HeaderValue::from_static("*") } else { origin.clone() };
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, whom);
        }
    }
}

const OTHER_ORIGIN: Refused =
    Refused::forbidden(TurnedAway::Origin, "pages of this origin may not connect here");

/// What is answered where there is no WebSocket to tell it through; counted as a fault of tokens.
pub(super) fn refused_for(fault: TokenFault) -> Refused {
    let Refusal { code, message, retry_after } = fault.refusal();
    let is_late = fault == TokenFault::Unchecked;
    let status = if is_late { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNAUTHORIZED };
    let after_s = retry_after.map(|after| after.as_millis().div_ceil(1000) as u64);
    Refused { after_s, ..Refused::new(status, code.text(), message) }
}

/// The token of a request: from `Authorization`, else from an offered subprotocol, else from the
/// query. An empty one is none.
fn token(headers: &HeaderMap, query: &str) -> Option<Bearer> {
    let authorization = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    let subprotocol = || {
        let offered = offered(headers, &SEC_WEBSOCKET_PROTOCOL);
        offered
            .split(',')
            .find_map(|item| item.trim().strip_prefix(BEARER_SUBPROTOCOL))
            .map(str::to_owned)
    };
    let parameter = || {
        let mut fields = form_urlencoded::parse(query.as_bytes());
        fields.find(|(key, _)| key == "token").map(|(_, token)| token.into_owned())
    };
    let token = authorization().or_else(subprotocol).or_else(parameter)?;
    (!token.is_empty()).then_some(Bearer(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Right;

    fn entry(anonymous: Anonymous) -> Entry {
        Entry { anonymous, origins: Vec::new(), tokens: Arc::new(true.into()) }
    }

    fn caller(entry: &Entry, uri: &str, header: Option<(&str, &str)>) -> Caller {
        let mut request = Request::get(uri);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        entry.caller(&request.body(()).unwrap(), [1; 8])
    }

    #[test]
    fn a_token_comes_in_three_ways() {
        let bearer = |uri: &str, header| match caller(&entry(Anonymous::Chat), uri, header) {
            Caller::Bearer(Bearer(token)) => Some(token),
            Caller::Guest(..) | Caller::Nobody => None,
        };
        assert_eq!(bearer("/ws?a=b&token=a.b.c-%5F", None).as_deref(), Some("a.b.c-_"));
        let authorization = Some(("Authorization", "bearer  a.b.c"));
        assert_eq!(bearer("/ws", authorization).as_deref(), Some("a.b.c"));
        let offer = Some(("Sec-WebSocket-Protocol", "barrage.v1, bearer.a.b.c"));
        assert_eq!(bearer("/ws", offer).as_deref(), Some("a.b.c"));
        assert_eq!(bearer("/ws?token=x", offer).as_deref(), Some("a.b.c"));
        assert_eq!(bearer("/ws?token=", None), None);
        assert_eq!(bearer("/ws", Some(("Authorization", "Basic abc"))), None);
    }

    #[test]
    fn without_a_token_the_settings_decide() {
        assert!(matches!(caller(&entry(Anonymous::Refused), "/ws", None), Caller::Nobody));
        let viewer = caller(&entry(Anonymous::View), "/ws", None);
        let Caller::Guest(_, grants) = viewer else { panic!("{viewer:?}") };
        assert!(grants.may("any", Right::View) && !grants.may("any", Right::Chat));
        let keyless = Entry { tokens: Arc::default(), ..entry(Anonymous::Chat) };
        assert!(matches!(caller(&keyless, "/ws?token=a.b.c", None), Caller::Guest(..)));
        let shown = format!("{:?}", caller(&entry(Anonymous::Refused), "/ws?token=secret", None));
        assert_eq!(shown, "Bearer(Bearer(…))");
    }
}
