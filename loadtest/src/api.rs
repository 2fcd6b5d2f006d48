//! The server API of a gateway's admin port, as far as publishing goes.
//!
//! One event: `POST /v1/rooms/{room}/events`. Several: `POST /v1/events`. Every failure is turned
//! into an [`Outcome`] per event, so the caller has one way to deal with all of them.

mod answer;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use protocol::event::{Chat, Kind};
use serde::Serialize;

use self::answer::{doubt, outcomes};
use crate::danmaku::Danmaku;
use crate::publisher::Outcome;

/// How long one request may take. Together with the publisher's retries it stays below the 60 s
/// for which gateways remember an idempotency key.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer that is believed: 500 events of at most 8 KiB each, twice over.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A client of the server API. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    many: Uri,
    key: HeaderValue,
}

/// One event to be published.
#[derive(Debug, Clone)]
pub(crate) struct Event<'a> {
    /// Where.
    pub(crate) room: &'a str,
    /// What.
    pub(crate) danmaku: &'a Danmaku,
    /// Its idempotency key.
    pub(crate) key: String,
    /// Becomes the name of its author.
    pub(crate) mark: String,
}

/// One event as the API takes it.
#[derive(Debug, Serialize)]
struct Publication<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    kind: &'static str,
    body: Chat<'a>,
    user: Author<'a>,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u8>,
}

#[derive(Debug, Serialize)]
struct Author<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct Publications<'a> {
    events: Vec<Publication<'a>>,
}

impl Api {
    /// Prepares requests to the admin port at `base` (`http://host:port`, perhaps with a path).
    ///
    /// # Errors
    /// The URL or the key cannot be sent.
    pub(crate) fn new(base: &str, key: &str) -> anyhow::Result<Self> {
        let base = base.trim_end_matches('/');
        let uri: Uri = base.parse().with_context(|| format!("{base} is not a URL"))?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() {
            bail!("{base}: the server API is reached as http://host:port");
        }
        let mut key = HeaderValue::from_str(&format!("Bearer {key}"))
            .context("the API key holds characters that a header cannot")?;
        key.set_sensitive(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: base.to_owned(),
            many: format!("{base}/v1/events").parse()?,
            key,
        })
    }

    /// Renders the request for these events.
    ///
    /// # Errors
    /// A room whose name makes no URL.
    pub(crate) fn render(&self, events: &[Event<'_>]) -> anyhow::Result<Rendered> {
        let (uri, json) = match events {
            [event] => {
                let room = percent_encode(event.room);
                let uri = format!("{}/v1/rooms/{room}/events", self.base).parse()?;
                (uri, serde_json::to_vec(&publication(event, None))?)
            }
            several => {
                let several = several.iter().map(|event| publication(event, Some(event.room)));
                let events = Publications { events: several.collect() };
                (self.many.clone(), serde_json::to_vec(&events)?)
            }
        };
        Ok(Rendered { uri, body: json.into(), count: events.len() })
    }

    /// Sends a request and says what came of each of its events, in order.
    pub(crate) async fn publish(&self, rendered: Rendered) -> Vec<Outcome> {
        let count = rendered.count;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.send(rendered)).await {
            Ok(Ok((status, headers, body))) => outcomes(status, &headers, &body, count),
            Ok(Err(failure)) => vec![failure.outcome(); count],
            Err(_) => vec![doubt("timeout"); count],
        }
    }

    async fn send(&self, rendered: Rendered) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let mut request = hyper::Request::new(Full::new(rendered.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = rendered.uri;
        request.headers_mut().insert(AUTHORIZATION, self.key.clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| match error.is_connect() {
            true => Failure::NotSent,
            false => Failure::NotAnswered,
        })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| Failure::NotAnswered)?.to_bytes();
        Ok((parts.status, parts.headers, body))
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// Nobody was reached, so nothing was published.
    NotSent,
    /// The connection broke after the request may have been read.
    NotAnswered,
}

impl Failure {
    fn outcome(self) -> Outcome {
        match self {
            Self::NotSent => {
                Outcome::Again { reason: "no connection".into(), after: None, doubtful: false }
            }
            Self::NotAnswered => doubt("connection broken"),
        }
    }
}

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    uri: Uri,
    body: Bytes,
    count: usize,
}

fn publication<'a>(event: &'a Event<'_>, room: Option<&'a str>) -> Publication<'a> {
    let Event { danmaku, key, mark, .. } = event;
    Publication {
        room,
        kind: Kind::Chat.text(),
        body: Chat {
            text: danmaku.text.as_str().into(),
            mode: danmaku.mode,
            color: danmaku.color,
            size: danmaku.size,
            emotes: Vec::new(),
        },
        user: Author { id: danmaku.user.as_str(), name: mark },
        key,
        weight: danmaku.weight,
    }
}

/// Encodes a path segment: everything but the unreserved characters of RFC 3986 section 2.3.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => write!(encoded, "%{other:02X}").expect("a String takes everything"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::danmaku::Attributes;
    use tokio::io::AsyncReadExt as _;

    fn api() -> Api {
        Api::new("http://127.0.0.1:9090/", "dev").unwrap()
    }

    fn danmaku(p: &str, text: &str) -> Danmaku {
        Attributes::parse(p).unwrap().with_text(text).unwrap()
    }

    fn event<'a>(danmaku: &'a Danmaku, key: &str) -> Event<'a> {
        Event { room: "直播/1", danmaku, key: key.into(), mark: "m".into() }
    }

    fn again(reason: &str, after_ms: Option<u64>, doubtful: bool) -> Outcome {
        let after = after_ms.map(Duration::from_millis);
        Outcome::Again { reason: reason.into(), after, doubtful }
    }

    #[test]
    fn one_event_goes_to_its_room_and_several_name_theirs() {
        let (a, b) =
            (danmaku("1,4,25,16711680,0,0,a,1,7", "前方"), danmaku("1,1,18,0,0,0,b,1", "x"));
        let one = api().render(&[event(&a, "k-0")]).unwrap();
        assert_eq!(one.uri.path(), "/v1/rooms/%E7%9B%B4%E6%92%AD%2F1/events");
        assert_eq!(
            std::str::from_utf8(&one.body).unwrap(),
            r##"{"kind":"chat","body":{"text":"前方","mode":"bottom","color":"#ff0000","size":"medium"},"user":{"id":"u-a","name":"m"},"key":"k-0","weight":7}"##
        );
        let two = api().render(&[event(&a, "k-0"), event(&b, "k-1")]).unwrap();
        assert_eq!((two.uri.path(), two.count), ("/v1/events", 2));
        assert!(two.body.starts_with(r#"{"events":[{"room":"直播/1","kind":"chat","#.as_bytes()));
        assert!(two.body.ends_with(br#""user":{"id":"u-b","name":"m"},"key":"k-1"}]}"#));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_at_once() {
        for (base, key) in [
            ("127.0.0.1:9090", "dev"),
            ("https://127.0.0.1:9090", "dev"),
            ("http://127.0.0.1:9090?x=1", "dev"),
            ("http://127.0.0.1:9090", "a\nb"),
            ("", "dev"),
        ] {
            assert!(Api::new(base, key).is_err(), "{base} {key:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_has_published_nothing_and_one_that_hangs_up_may_have() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let api = Api::new(&base, "dev").unwrap();
        let danmaku = danmaku("1,1,25,0,0,0,a,1", "x");
        let rendered = api.render(&[event(&danmaku, "k")]).unwrap();

        let hang_up = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_u8().await.unwrap();
        };
        let (outcomes, ()) = tokio::join!(api.publish(rendered.clone()), hang_up);
        assert_eq!(outcomes, [again("connection broken", None, true)]);

        drop(listener);
        assert_eq!(api.publish(rendered).await, [again("no connection", None, false)]);
    }
}
