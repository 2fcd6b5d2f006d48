//! The fake's WebSockets: each walks along the log at its own pace, one slot after the other.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Shared, Trick};

/// The length of a slot.
const TICK: Duration = Duration::from_millis(20);
/// Events of one slot that are sent.
const BUDGET: usize = 2;
/// Events of one slot; more go into the next, so that there is always a next batch.
const SLOT_EVENTS_MAX: usize = 5;
/// Events after which tricks begin, so that there is something before them.
const BEGIN: usize = 10;

/// Serves viewers until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Shared) {
    let mut viewers = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        viewers.spawn(async move {
            // Viewers leave when they like.
            let _ = watch(socket, shared).await;
        });
    }
}

type Outcome = Result<(), tokio_tungstenite::tungstenite::Error>;

/// One viewer.
struct Watcher {
    socket: WebSocketStream<TcpStream>,
    shared: Shared,
    /// How much of the log this viewer has been told.
    at: usize,
    /// A batch that is kept back to come after the next.
    late: Option<Value>,
}

async fn watch(socket: TcpStream, shared: Shared) -> Outcome {
    let mut socket = tokio_tungstenite::accept_async(socket).await?;
    let welcome = json!({"type": "welcome", "node": "fake", "user": "anon-1", "resumed": false,
        "ping_interval_ms": 25_000, "ping_timeout_ms": 60_000, "limits": {}});
    socket.send(Message::text(welcome.to_string())).await?;
    let Some(Ok(Message::Text(join))) = socket.next().await else { return Ok(()) };
    let join: Value = serde_json::from_str(&join).unwrap();
    assert_eq!((&join["type"], &join["room"]), (&json!("join"), &json!("demo/猫")));
    let mut watcher = Watcher { socket, shared, at: 0, late: None };
    watcher.join(join["since"].as_str()).await?;
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = tick.tick() => if !watcher.slot().await? { return Ok(()) },
            frame = watcher.socket.next() => match frame {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            },
        }
    }
}

impl Watcher {
    async fn join(&mut self, since: Option<&str>) -> Outcome {
        let log = self.shared.state().log.clone();
        let mut joined = json!({"type": "joined", "id": 1, "room": "demo/猫", "events": [],
            "cursor": cursor(log.len()), "tick_ms": TICK.as_millis() as u64, "state": {}});
        if let Some(since) = since {
            let since: usize = since.rsplit(':').next().unwrap().parse().unwrap();
            let recovered = self.shared.trick != Trick::CutAndForget;
            joined["recovered"] = recovered.into();
            joined["events"] = match recovered {
                true => log[since..].into(),
                false => log[log.len().saturating_sub(5)..].into(),
            };
        }
        self.at = log.len();
        self.send(&joined).await
    }

    /// Ends a slot; says whether the connection goes on.
    async fn slot(&mut self) -> Result<bool, tokio_tungstenite::tungstenite::Error> {
        let new: Vec<Value> =
            self.shared.state().log[self.at..].iter().take(SLOT_EVENTS_MAX).cloned().collect();
        if new.is_empty() {
            return Ok(true);
        }
        let (prev, next) = (self.at, self.at + new.len());
        let tricks = prev >= BEGIN;
        if tricks && (self.plays(Trick::CutAndRecover) || self.plays(Trick::CutAndForget)) {
            return Ok(false);
        }
        if tricks && self.plays(Trick::Kick) {
            let frame = CloseFrame { code: 4505.into(), reason: "kicked".into() };
            self.socket.close(Some(frame)).await?;
            return Ok(false);
        }
        self.at = next;
        let message = match tricks && self.plays(Trick::GapOnce) {
            true => json!({"type": "gap", "room": "demo/猫", "from": cursor(prev),
                "to": cursor(next), "count": new.len(), "reason": "slow"}),
            false => batch(prev, &new),
        };
        let message = if tricks { self.tamper(message) } else { message };
        if tricks && self.late.is_none() && self.plays(Trick::SwapTwo) {
            self.late = Some(message);
            return Ok(true);
        }
        self.send(&message).await?;
        if let Some(late) = self.late.take() {
            self.send(&late).await?;
        }
        Ok(true)
    }

    fn plays(&self, trick: Trick) -> bool {
        self.shared.plays(trick)
    }

    fn tamper(&self, mut message: Value) -> Value {
        let left_out = message["left_out"]["chat"].as_u64();
        let Some(events) = message["events"].as_array_mut() else { return message };
        if self.plays(Trick::DropOne) {
            events.pop();
        } else if self.plays(Trick::DoubleOne) {
            events.extend(events.last().cloned());
        } else if self.plays(Trick::Babble) {
            return json!({"type": "batch", "room": "demo/猫", "events": 3});
        } else if self.plays(Trick::LeftOutLong) {
            message["left_out"] = json!({"chat": left_out.unwrap_or(0) + 1});
        } else if let Some(count) = left_out
            && self.plays(Trick::LeftOutShort)
        {
            message["left_out"] = json!({"chat": count - 1});
        }
        message
    }

    async fn send(&mut self, message: &Value) -> Outcome {
        self.socket.send(Message::text(message.to_string())).await
    }
}

/// Sends gifts and the first chats of a slot, and counts the others as left out.
fn batch(prev: usize, new: &[Value]) -> Value {
    let mut chats = 0;
    let mut sent = Vec::new();
    for event in new {
        let is_chat = event["kind"] == "chat";
        chats += usize::from(is_chat);
        if !is_chat || chats <= BUDGET {
            sent.push(event);
        }
    }
    let mut batch = json!({"type": "batch", "room": "demo/猫", "prev": cursor(prev),
        "cursor": cursor(prev + new.len()), "events": sent});
    if sent.len() < new.len() {
        batch["left_out"] = json!({"chat": new.len() - sent.len()});
    }
    batch
}

fn cursor(at: usize) -> String {
    format!("00000000000000fa:{at}")
}
