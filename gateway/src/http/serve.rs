//! The public side: accepts connections of one shard, serves pages, and turns upgrades into
//! clients.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::conn::context::Context;
use crate::conn::{self, Admitted};
use crate::documented::documented;
use crate::http::pages;
use crate::http::upgrade::{self, Anonymous, Refused};
use crate::shard::Socket;

/// A request must be here whole within this time, also on a connection that is kept open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head, and what a client may send behind its upgrade, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What the kernel keeps of frames that were not sent yet, per connection, in bytes: what is
/// beyond it waits in the outbox, where it is counted and can be dropped.
const NOT_SENT_BYTES_MAX: u32 = 16 * 1024;
/// What was sent must be acknowledged by the client's kernel within this time.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// After a failed accept (no file descriptor left, usually) the next one waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

documented! {
    /// How the public side is set up.
    #[derive(Debug, Clone, Default)]
    pub struct PublicRules {
        /// The path below which everything is served, such as `/live`; empty for none, which is the
        /// default. It must be the path that a proxy in front passes on: with another one every
        /// page and every connection is answered 404.
        pub base_path: String,
        /// What connections without a token may do: nothing (`refused`), or watch and publish
        /// (`chat`). Default: nothing, so that a gateway is closed until somebody opens it. With
        /// `chat` every stranger can write in every room.
        pub anonymous: Anonymous,
        /// What pages are told about this gateway, as JSON.
        pub client_json: String,
    }
}

/// One shard's public side.
pub(crate) struct Public {
    pub(crate) context: Rc<Context>,
    pub(crate) rules: PublicRules,
    pub(crate) tasks: TaskTracker,
}

impl Public {
    /// Accepts connections until told to stop; then takes what the kernel has queued already, so
    /// that nobody who got through is reset.
    pub(crate) async fn accept(
        self: Rc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.clone().spawn(stream),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        while let Some(Ok((stream, _))) = queued(&listener) {
            self.clone().spawn(stream);
        }
    }

    fn spawn(self: Rc<Self>, stream: TcpStream) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a connection ended before it began");
            return;
        }
        let tasks = self.tasks.clone();
        tasks.spawn_local(async move {
            let service = service_fn(move |request| {
                let public = Rc::clone(&self);
                async move { Ok::<_, Infallible>(public.answer(request)) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }

    fn answer(self: Rc<Self>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().strip_prefix(&self.rules.base_path);
        let response = match path {
            Some("/ws") => self.clone().upgrade(&mut request),
            Some(path) if request.method() == Method::GET || request.method() == Method::HEAD => {
                self.page(path, &request)
            }
            Some(_) => refused(&METHOD),
            None => refused(&NOT_FOUND),
        };
        self.context.metrics.http(response.status().as_u16());
        response
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

    fn upgrade(self: Rc<Self>, request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
        let handshake = match upgrade::judge(request, self.rules.anonymous, rand::random()) {
            Ok(handshake) => handshake,
            Err(why) => return refused(&why),
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = handshake.headers();
        let upgraded = hyper::upgrade::on(request);
        let upgrade::Handshake { user, rights, form, .. } = handshake;
        let context = Rc::clone(&self.context);
        self.tasks.spawn_local(async move {
            match upgraded.await.map_err(io::Error::other).and_then(take_apart) {
                Ok((stream, early)) => {
                    let socket = Socket::new(stream);
                    conn::run(context, Admitted { socket, early, user, rights, form }).await;
                }
                Err(error) => tracing::debug!(%error, "an upgrade was not finished"),
            }
        });
        response
    }
}

/// The bare socket of an upgraded connection, and what the client sent behind its request.
fn take_apart(upgraded: Upgraded) -> io::Result<(TcpStream, Bytes)> {
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| io::Error::other("the connection is not the socket it began as"))?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

/// Sets what bounds the kernel's share of a slow or dead client.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

const NOT_FOUND: Refused =
    Refused { status: StatusCode::NOT_FOUND, code: "not_found", message: "there is nothing here" };
const METHOD: Refused = Refused {
    status: StatusCode::METHOD_NOT_ALLOWED,
    code: "bad_request",
    message: "only GET is answered here",
};
const MOVED: Refused = Refused {
    status: StatusCode::PERMANENT_REDIRECT,
    code: "moved",
    message: "the page is one slash further",
};

fn refused(why: &Refused) -> Response<Full<Bytes>> {
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

fn json_response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// A connection that the kernel has finished already. Not held back by the task's budget: `None`
/// means that there is none.
fn queued(listener: &TcpListener) -> Option<io::Result<(TcpStream, std::net::SocketAddr)>> {
    tokio::task::unconstrained(listener.accept()).now_or_never()
}
