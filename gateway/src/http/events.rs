//! `GET /v1/rooms/{room}/events`: a room as server-sent events, for those whose network lets no
//! WebSocket through.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{self, ALLOW, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use protocol::cursor::Bookmark;
use protocol::event::User;
use protocol::ids::RoomId;
use protocol::limits::HISTORY_EVENTS_MAX;

use crate::auth::Right;
use crate::conn::events::Watching;
use crate::conn::{self, Bearer, Caller};
use crate::http::entry::refused_for;
use crate::http::refusals::{METHOD, ONCE, Refused, refused};
use crate::http::serve::{Public, Visitor};
use crate::metrics::TurnedAway;
use crate::shard::{EventFrames, EventStream};

/// What a browser sends when it comes back: the `id` of the last event that it has.
const LAST_EVENT_ID: &str = "last-event-id";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    room: RoomId,
    since: Option<Bookmark>,
    history: usize,
}

const NO_ROOM: Refused = Refused::bad(
    "a room's name is 1 to 96 bytes without invisible characters, percent-encoded, and does not begin with `$`",
);
const NO_CURSOR: Refused =
    Refused::bad("`Last-Event-ID` and `since` must be a cursor that was given here");
const NO_HISTORY: Refused = Refused::bad("`history` must be a number from 0 to 100");
const NO_VIEW: Refused = Refused::forbidden(
    TurnedAway::Forbidden,
    "this room may not be viewed with this token, or without one",
);

impl Public {
    /// Seats whoever asks for a room's events, or says why not.
    pub(super) fn watch(
        self: Rc<Self>,
        room: &str,
        request: &Request<Incoming>,
        visitor: &Visitor,
    ) -> Result<EventBody, Box<Response<Full<Bytes>>>> {
        if request.method() != Method::GET {
            let mut response = refused(&METHOD);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return Err(Box::new(response));
        }
        let refuse = |why| Box::new(self.refuse(&why));
        let Asked { room, since, history } = asked(room, request).map_err(refuse)?;
        let viewer = self.viewer(&room, request).map_err(refuse)?;
        let Viewer { user, expires_s } = viewer;
        let turn_away = |why| Box::new(self.turn_away(why));
        let pass = self.let_in(request.headers(), visitor).map_err(turn_away)?;
        // A connection carries one stream.
        let pass = pass.ok_or_else(|| Box::new(refused(&ONCE)))?;
        let (seated, _) = self.context.doorman.seat(&user.id).map_err(turn_away)?;
        let (stream, frames) = EventStream::new(Rc::clone(&visitor.cut));
        let watching = Watching { user, expires_s, room, since, history, pass, seated };
        self.tasks.spawn_local(conn::events::run(Rc::clone(&self.context), watching, stream));
        Ok(EventBody::new(frames))
    }

    /// Who it is that asks, if they may view the room.
    fn viewer(&self, room: &RoomId, request: &Request<Incoming>) -> Result<Viewer, Refused> {
        self.entry.check_origin(request.headers())?;
        let (user, grants, expires_s) = match self.entry.caller(request, rand::random()) {
            Caller::Guest(user, grants) => (user, grants, None),
            Caller::Bearer(Bearer(token)) => {
                let claims = self.context.keys.verify_now(&token).map_err(refused_for)?;
                (claims.user, claims.grants, Some(claims.expires_s))
            }
            Caller::Nobody => return Err(refused_for(self.context.keys.missing())),
        };
        if !grants.may(room.as_str(), Right::View) {
            return Err(NO_VIEW);
        }
        Ok(Viewer { user, expires_s })
    }
}

/// Who views.
struct Viewer {
    user: User,
    /// When their token ends, in seconds since 1970.
    expires_s: Option<u64>,
}

/// The room of a path, still encoded; `None` if the path is another one.
pub(super) fn room_of(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/rooms/")?.strip_suffix("/events").filter(|room| !room.contains('/'))
}

/// Reads a request for a room's events. `Last-Event-ID` wins over `since`: a browser that comes
/// back keeps the address that it began with.
fn asked<B>(room: &str, request: &Request<B>) -> Result<Asked, Refused> {
    let room = decoded(room).and_then(|room| RoomId::parse(&room).ok()).ok_or(NO_ROOM)?;
    let query = request.uri().query().unwrap_or_default();
    let value = |key| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == key);
        found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    let since = last_event_id(request.headers())?.or_else(|| value("since"));
    let since = since.map(|text| text.parse()).transpose().map_err(|_| NO_CURSOR)?;
    let history = value("history").map(|text| text.parse()).transpose().map_err(|_| NO_HISTORY)?;
    let history = history.unwrap_or(0);
    if history > HISTORY_EVENTS_MAX {
        return Err(NO_HISTORY);
    }
    Ok(Asked { room, since, history })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let text = value.to_str().map_err(|_| NO_CURSOR)?;
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// A piece of a path, percent-decoded; `None` if it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.filter(|_| *first == b'%') {
            Some(digits) => {
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The body of the answer.
pub(crate) struct EventBody(EventFrames);

impl EventBody {
    fn new(frames: EventFrames) -> Self {
        Self(frames)
    }
}

/// The answer that carries events.
pub(super) fn response(body: EventBody) -> Response<EventBody> {
    let mut response = Response::new(body);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // What nginx needs to hear so that it passes events on at once.
        (HeaderName::from_static("x-accel-buffering"), "no"),
        (header::CONNECTION, "close"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_next(cx).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(room: &str, query: &str, last: Option<&str>) -> Result<Asked, Refused> {
        let mut request = Request::get(format!("/v1/rooms/x/events{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        asked(room, &request.body(()).unwrap())
    }

    #[test]
    fn a_room_stands_in_the_path_percent_encoded() {
        assert_eq!(room_of("/v1/rooms/a/events"), Some("a"));
        assert_eq!(room_of("/v1/rooms/a/b/events"), None);
        assert_eq!(room_of("/v1/rooms/a"), None);
        assert_eq!(of("%E5%BC%B9%2F1", "", None).unwrap().room.as_str(), "弹/1");
        assert_eq!(of("a%", "", None).unwrap().room.as_str(), "a%");
        for room in ["", "$x", "%24x", "%00", "%ff", "a%0Ab", &"x".repeat(97)] {
            assert_eq!(of(room, "", None), Err(NO_ROOM), "{room}");
        }
    }

    #[test]
    fn a_browser_that_comes_back_is_believed_before_its_address() {
        let cursor = |text: &str| text.parse::<Bookmark>().unwrap();
        let (old, new) = ("0000000000000001:5", "0000000000000001:9");
        let query = format!("?since={old}&history=20");
        let asked = of("a", &query, None).unwrap();
        assert_eq!((asked.since, asked.history), (Some(cursor(old)), 20));
        assert_eq!(of("a", &query, Some(new)).unwrap().since, Some(cursor(new)));
        assert_eq!(of("a", "?since=", Some("")).unwrap().since, None);
        assert_eq!(of("a", "?since=5", None), Err(NO_CURSOR));
        assert_eq!(of("a", "", Some("nonsense")), Err(NO_CURSOR));
        for wrong in ["?history=-1", "?history=x", "?history=101"] {
            assert_eq!(of("a", wrong, None), Err(NO_HISTORY), "{wrong}");
        }
    }
}
