//! The public side of one shard: answers requests, serves pages, and turns upgrades into clients.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::limits::VIEWER_FRAME_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::guests::Denied;
use crate::conn::context::Context;
use crate::conn::echo::{self, Echoed};
use crate::conn::reader::MESSAGE_BYTES_MAX;
use crate::conn::{self, Admitted};
use crate::documented::documented;
use crate::doorman::Pass;
use crate::http::address::Proxies;
use crate::http::entry::Entry;
use crate::http::events::{self, EventBody};
use crate::http::held::{Hold, Holding};
use crate::http::pages;
use crate::http::refusals::{METHOD, MOVED, NOT_FOUND, ONCE, Refused, json_response, refused};
use crate::http::tls::Tls;
use crate::http::turn_away;
use crate::http::upgrade;
use crate::metrics::TurnedAway;
use crate::shard::Socket;

/// A request must be here whole within this time, also on a connection that is kept open.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head, and what a client may send behind its upgrade, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Who has connected and said nothing yet when the gateway leaves has this long to begin: a
/// request may be on its way.
const LAST_WORDS: Duration = Duration::from_secs(2);
documented! {
    /// How the public side is set up.
    #[derive(Debug, Clone, Default)]
    pub struct PublicRules {
        /// The path below which everything is served, such as `/live`. Default: empty, for none. It
        /// must be the path that a proxy in front passes on: with another one every page and every
        /// connection is answered 404.
        pub base_path: String,
        /// What pages are told about this gateway, as JSON.
        pub client_json: String,
        /// Whether `/echo` is served, a WebSocket that says what it hears: for conformance suites.
        /// Only with `--dev`.
        pub echo: bool,
        /// The proxies in front of this gateway.
        pub proxies: Proxies,
    }
}

/// What a WebSocket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Danmaku,
    Echo { message_bytes_max: usize },
}

/// The largest message of an echo: that of viewers, or what `?max=` says, up to what the reader
/// takes.
fn echo_bytes_max(query: Option<&str>) -> usize {
    let mut values = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let max = values.find(|(key, _)| key == "max").and_then(|(_, max)| max.parse().ok());
    max.unwrap_or(VIEWER_FRAME_BYTES_MAX).min(MESSAGE_BYTES_MAX)
}

/// Whose requests a connection brings.
pub(super) struct Visitor {
    /// The other end, or what a trusted proxy says it is.
    pub(super) address: IpAddr,
    /// Whether its handshake was counted before it asked for anything.
    pub(super) is_knocked: bool,
    /// Its right to be here, until it becomes a client's.
    pub(super) pass: RefCell<Option<Pass>>,
    /// Why it is not let in, told to whatever it asks.
    pub(super) denied: Option<Denied>,
    /// Ends the connection although its client does not read.
    pub(super) cut: Rc<Notify>,
    /// Holds back the answer to an upgrade.
    pub(super) hold: Hold,
}

/// One shard's public side.
pub(crate) struct Public {
    pub(crate) context: Rc<Context>,
    pub(crate) rules: PublicRules,
    pub(crate) tls: Option<Tls>,
    pub(crate) entry: Entry,
    pub(crate) tasks: TaskTracker,
    /// Told when no more connections are taken.
    pub(crate) leaving: CancellationToken,
}

impl Public {
    /// Answers the requests of one connection.
    pub(super) async fn serve<Io>(self: Rc<Self>, stream: Io, visitor: Visitor)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let metrics = Arc::clone(&self.context.metrics);
        let cut = Rc::clone(&visitor.cut);
        let stream = Holding::new(stream, visitor.hold.clone());
        let visitor = Rc::new(visitor);
        let leaving = self.leaving.clone();
        let last_words = async move {
            leaving.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let service = service_fn(move |request| {
            let (public, visitor) = (Rc::clone(&self), Rc::clone(&visitor));
            async move { Ok::<_, Infallible>(public.answer(request, &visitor)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let served = tokio::select! {
            biased;
            served = connection.as_mut() => served,
            () = cut.notified() => return,
            () = last_words => {
                // Ends what is idle; an answer that is under way is finished.
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection => served,
                    () = cut.notified() => return,
                }
            }
        };
        if let Err(error) = served {
            if let Some(why) = reason(&error) {
                metrics.turned_away(why);
            }
            tracing::debug!(%error, "a connection ended early");
        }
    }

    /// Answers a request, and counts the answer.
    fn answer(
        self: Rc<Self>,
        mut request: Request<Incoming>,
        visitor: &Visitor,
    ) -> Response<Either<Full<Bytes>, EventBody>> {
        let metrics = Arc::clone(&self.context.metrics);
        let response = match visitor.denied {
            Some(denied) => self.turn_away(denied).map(Either::Left),
            None => self.route(&mut request, visitor),
        };
        metrics.http(response.status().as_u16());
        response
    }

    fn route(
        self: Rc<Self>,
        request: &mut Request<Incoming>,
        visitor: &Visitor,
    ) -> Response<Either<Full<Bytes>, EventBody>> {
        let path = request.uri().path().strip_prefix(&self.rules.base_path);
        if let Some(room) = path.and_then(events::room_of) {
            let mut response = match self.clone().watch(room, request, visitor) {
                Ok(body) => events::response(body).map(Either::Right),
                Err(refusal) => (*refusal).map(Either::Left),
            };
            self.entry.share(request.headers(), response.headers_mut());
            return response;
        }
        let response = match path {
            Some("/ws") => self.upgrade(request, visitor, Endpoint::Danmaku),
            Some("/echo") if self.rules.echo => {
                let message_bytes_max = echo_bytes_max(request.uri().query());
                self.upgrade(request, visitor, Endpoint::Echo { message_bytes_max })
            }
            Some(path) if request.method() == Method::GET || request.method() == Method::HEAD => {
                self.page(path, request)
            }
            Some(_) => refused(&METHOD),
            None => refused(&NOT_FOUND),
        };
        response.map(Either::Left)
    }

    fn page(&self, path: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match path {
            "/client.json" => json_response(StatusCode::OK, self.rules.client_json.clone()),
            "" => {
                let mut response = refused(&MOVED);
                let home = HeaderValue::from_str(&format!("{}/", self.rules.base_path));
                if let Ok(home) = home {
                    response.headers_mut().insert(hyper::header::LOCATION, home);
                }
                response
            }
            _ => match pages::find(path, request.headers()) {
                Some(page) => page.map(Full::new),
                None => refused(&NOT_FOUND),
            },
        }
    }

    /// Says why not, and counts it.
    pub(super) fn refuse(&self, why: &Refused) -> Response<Full<Bytes>> {
        why.count(&self.context.metrics);
        refused(why)
    }

    /// Says why not and when to come back, and ends the connection.
    pub(super) fn turn_away(&self, denied: Denied) -> Response<Full<Bytes>> {
        let mut response = self.refuse(&turn_away::answer(denied));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// Counts a handshake of whoever is behind the request, and gives the right to be a client.
    pub(super) fn let_in(
        &self,
        headers: &HeaderMap,
        visitor: &Visitor,
    ) -> Result<Option<Pass>, Denied> {
        let behind = self.rules.proxies.behind(visitor.address, headers);
        if !visitor.is_knocked {
            self.context.doorman.knock(behind)?;
        }
        let mut pass = visitor.pass.borrow_mut();
        if let Some(pass) = pass.as_mut() {
            pass.claim(behind)?;
        }
        Ok(pass.take())
    }

    fn upgrade(
        self: Rc<Self>,
        request: &mut Request<Incoming>,
        visitor: &Visitor,
        endpoint: Endpoint,
    ) -> Response<Full<Bytes>> {
        let handshake = match upgrade::judge(request, &self.entry, rand::random()) {
            Ok(handshake) => handshake,
            Err(why) => return self.refuse(&why),
        };
        let pass = match self.let_in(request.headers(), visitor) {
            Ok(Some(pass)) => pass,
            // A connection is upgraded once.
            Ok(None) => return refused(&ONCE),
            Err(denied) => return self.turn_away(denied),
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = handshake.headers();
        visitor.hold.begin();
        let upgraded = hyper::upgrade::on(request);
        let upgrade::Handshake { caller, form, .. } = handshake;
        self.tasks.clone().spawn_local(async move {
            match upgraded.await.map_err(io::Error::other).and_then(take_apart) {
                Ok(Upgrade { socket, head, early }) => match endpoint {
                    Endpoint::Danmaku => {
                        let admitted = Admitted { socket, head, early, caller, form, pass };
                        conn::run(self.context.clone(), admitted, &self.tasks).await;
                    }
                    Endpoint::Echo { message_bytes_max } => {
                        let echoed = Echoed { socket, head, early, form, message_bytes_max, pass };
                        echo::run(self.context.clone(), echoed).await;
                    }
                },
                Err(error) => tracing::debug!(%error, "an upgrade was not finished"),
            }
        });
        response
    }
}

/// A connection that has become something else.
struct Upgrade {
    socket: Socket,
    /// The answer that says so, which the client is still to be sent.
    head: Bytes,
    /// What the client sent behind its request.
    early: Bytes,
}

/// The bare socket of an upgraded connection.
fn take_apart(upgraded: Upgraded) -> io::Result<Upgrade> {
    let upgraded = match upgraded.downcast::<TokioIo<Holding<TcpStream>>>() {
        Ok(parts) => {
            let (stream, head) = parts.io.into_inner().into_parts();
            return Ok(Upgrade { socket: Socket::plain(stream), head, early: parts.read_buf });
        }
        Err(upgraded) => upgraded,
    };
    let parts = upgraded
        .downcast::<TokioIo<Holding<TlsStream<TcpStream>>>>()
        .map_err(|_| io::Error::other("the connection is not the socket it began as"))?;
    let (tls, head) = parts.io.into_inner().into_parts();
    let (stream, session) = tls.into_inner();
    Ok(Upgrade { socket: Socket::tls(stream, session), head, early: parts.read_buf })
}

/// Why a connection that was no client's has ended, if not by itself.
fn reason(error: &hyper::Error) -> Option<TurnedAway> {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if error.is_timeout() {
        Some(TurnedAway::SlowHead)
    } else if error.is_parse() {
        Some(TurnedAway::BadHead)
    } else if error.is_incomplete_message() {
        Some(TurnedAway::HalfHead)
    } else if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
        Some(TurnedAway::Unread)
    } else {
        None
    }
}
