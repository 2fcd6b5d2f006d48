//! A gateway in miniature: one room's log, the server API that appends to it, and WebSockets that
//! are told of it slot by slot. Honest by default; each [`Trick`] breaks one promise, once.

mod api;
mod watch;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the gateway does wrong, or what befalls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Nothing.
    Honest,
    /// A batch lacks an event.
    DropOne,
    /// A batch holds an event twice.
    DoubleOne,
    /// Two batches come in the wrong order.
    SwapTwo,
    /// A `left_out` is too small by one.
    LeftOutShort,
    /// A `left_out` is too large by one.
    LeftOutLong,
    /// A batch comes as a gap instead.
    GapOnce,
    /// The connection breaks, and what was missed is told after it.
    CutAndRecover,
    /// The connection breaks, and what was missed is forgotten.
    CutAndForget,
    /// The viewer is kicked.
    Kick,
    /// A message is no message.
    Babble,
    /// The first requests are answered with busy.
    Busy,
    /// A request is carried out, but the connection breaks before the answer.
    HangUp,
    /// Somebody else chats in the room.
    Chatter,
    /// Somebody else comes in and pays.
    Visitor,
    /// Every second event is refused.
    Refuse,
}

/// Everything the fake knows.
#[derive(Debug, Default)]
struct State {
    log: Vec<Value>,
    keys: HashMap<String, Value>,
    requests: usize,
    played: bool,
}

/// A running fake gateway; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Fake {
    /// Where viewers connect.
    pub(crate) ws: SocketAddr,
    /// Where the server API is.
    pub(crate) api: SocketAddr,
    shared: Shared,
    _tasks: JoinSet<()>,
}

/// What the fake's tasks share.
#[derive(Debug, Clone)]
struct Shared {
    trick: Trick,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// Starts a gateway with this trick on free ports.
    pub(crate) async fn start(trick: Trick) -> Self {
        let shared = Shared { trick, state: Arc::default() };
        let (ws, api) = (listen().await, listen().await);
        let (ws_at, api_at) = (ws.local_addr().unwrap(), api.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::serve(ws, shared.clone()));
        tasks.spawn(api::serve(api, shared.clone()));
        Self { ws: ws_at, api: api_at, shared, _tasks: tasks }
    }

    /// Whether the trick has been played.
    pub(crate) fn has_played(&self) -> bool {
        self.shared.state().played
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether this is the moment of this trick: true once in the fake's life.
    fn plays(&self, trick: Trick) -> bool {
        self.trick == trick && !std::mem::replace(&mut self.state().played, true)
    }
}

impl State {
    /// Appends an event to the log; with a known key, the event that is there already.
    fn publish(&mut self, kind: &str, key: Option<&str>, body: Value, user: Value) -> Value {
        if let Some(event) = key.and_then(|key| self.keys.get(key)) {
            return event.clone();
        }
        let id = format!("{:022}", self.log.len());
        let event = json!({"id": id, "kind": kind, "ts": unix_ms(), "user": user, "body": body});
        self.log.push(event.clone());
        if let Some(key) = key {
            self.keys.insert(key.to_owned(), event.clone());
        }
        event
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}
