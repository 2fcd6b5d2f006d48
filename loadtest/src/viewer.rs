//! A viewer of one room: a WebSocket that is read, and opened again when it breaks.
//!
//! A driver without opinions: what the gateway says is decoded, stamped with the time of receipt
//! and handed on, in order. It sends nothing but `join`; pings are answered by the WebSocket
//! layer. It ends when nobody listens to it any more.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::ids::RoomId;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::now::Now;
use crate::wire::message::{Batch, Gap, Goodbye, Joined, Message, Refused};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long connecting and being welcomed may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a viewer tries to come back before it gives up.
const RETURN_FOR: Duration = Duration::from_secs(60);
/// The first pause before coming back is below this.
const RETURN_FIRST: Duration = Duration::from_millis(500);
/// The longest pause before coming back.
const RETURN_MAX: Duration = Duration::from_secs(30);
/// A silence that is taken for a dead connection until the gateway has told its own figures: the
/// protocol's 25 s between pings and 60 s for the answer.
const SILENCE_MAX: Duration = Duration::from_secs(85);
/// Close codes from here on ask a client to stay away.
const STAY_AWAY_FROM: u16 = 4500;

/// What a viewer passes on.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Which viewer.
    pub(crate) viewer: usize,
    /// When it was received.
    pub(crate) now: Now,
    /// What.
    pub(crate) what: What,
}

/// What happened to a viewer.
#[derive(Debug)]
pub(crate) enum What {
    /// It is in the room.
    Joined(Joined),
    /// A batch.
    Batch(Batch),
    /// A gap.
    Gap(Gap),
    /// Something that is not a message of the protocol.
    Malformed(String),
    /// The connection is gone; the viewer will come back.
    Broken,
    /// The viewer will not come back.
    GaveUp(String),
}

/// Why a connection came to an end.
#[derive(Debug)]
enum End {
    /// Nobody listens any more.
    Unheard,
    /// Come back after this time; without one, when we like.
    ComeBack(Option<Duration>, String),
    /// Stay away.
    StayAway(String),
}

/// A viewer of one room.
#[derive(Debug)]
pub(crate) struct Viewer {
    number: usize,
    url: String,
    room: RoomId,
    heard: mpsc::Sender<Heard>,
    /// The last cursor told, from which a new connection goes on.
    cursor: Option<String>,
    /// Whether this connection has joined.
    is_in: bool,
    silence_max: Duration,
}

impl Viewer {
    /// A viewer with this number that has not connected yet.
    pub(crate) fn new(number: usize, url: &str, room: &RoomId, heard: mpsc::Sender<Heard>) -> Self {
        Self {
            number,
            url: url.to_owned(),
            room: room.clone(),
            heard,
            cursor: None,
            is_in: false,
            silence_max: SILENCE_MAX,
        }
    }

    /// Watches the room until nobody listens any more, or until there is no coming back.
    pub(crate) async fn watch(mut self) {
        let mut failures = 0;
        let mut heard_last = Now::read().mono;
        loop {
            self.is_in = false;
            let end = self.connect_and_watch().await;
            if self.is_in {
                failures = 0;
                heard_last = Now::read().mono;
            }
            let (after, why) = match end {
                End::Unheard => return,
                End::ComeBack(after, why) => (after, why),
                End::StayAway(why) => return self.give_up(why).await,
            };
            // A viewer that was never in has most likely been sent to a wrong place.
            let worth_a_try = self.cursor.is_some() || after.is_some();
            if !worth_a_try || heard_last.elapsed() > RETURN_FOR {
                return self.give_up(why).await;
            }
            if self.is_in && !self.pass_on(What::Broken).await {
                return;
            }
            let pause = after.unwrap_or_else(|| pause(failures, rand::random()));
            failures += 1;
            tokio::select! {
                () = self.heard.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn give_up(&self, why: String) {
        self.pass_on(What::GaveUp(why)).await;
    }

    async fn connect_and_watch(&mut self) -> End {
        let connect = tokio_tungstenite::connect_async_with_config(&self.url, None, true);
        let mut socket = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(error)) => return End::ComeBack(None, format!("cannot connect: {error}")),
            Err(_) => return End::ComeBack(None, "cannot connect: no answer".into()),
        };
        let mut join = json!({"type": "join", "id": 1, "room": self.room.as_str()});
        if let Some(cursor) = &self.cursor {
            join["since"] = cursor.as_str().into();
        }
        let join = tungstenite::Message::text(join.to_string());
        if let Err(error) = socket.send(join).await {
            return End::ComeBack(None, format!("cannot join: {error}"));
        }
        self.read(&mut socket).await
    }

    async fn read(&mut self, socket: &mut Socket) -> End {
        loop {
            let frame = tokio::select! {
                () = self.heard.closed() => {
                    // The gateway learns it from the close frame, or from the socket.
                    let _ = tokio::time::timeout(CONNECT_TIMEOUT, socket.close(None)).await;
                    return End::Unheard;
                }
                frame = tokio::time::timeout(self.silence_max, socket.next()) => frame,
            };
            let frame = match frame {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return End::ComeBack(None, error.to_string()),
                Ok(None) => return End::ComeBack(None, "the connection ended".into()),
                Err(_) => return End::ComeBack(None, "nothing was heard".into()),
            };
            let now = Now::read();
            let end = match frame {
                tungstenite::Message::Text(text) => self.text(&text, now).await,
                tungstenite::Message::Binary(_) => {
                    self.hand_on(What::Malformed("a binary frame".into()), now).await
                }
                tungstenite::Message::Close(frame) => Some(closed(frame)),
                tungstenite::Message::Ping(_)
                | tungstenite::Message::Pong(_)
                | tungstenite::Message::Frame(_) => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn text(&mut self, text: &str, now: Now) -> Option<End> {
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => return self.hand_on(What::Malformed(error.to_string()), now).await,
        };
        let what = match message {
            Message::Joined(joined) if self.is_here(&joined.room) => {
                self.cursor = Some(joined.cursor.clone());
                self.is_in = true;
                What::Joined(joined)
            }
            Message::Batch(batch) if self.is_here(&batch.room) => {
                self.cursor = Some(batch.cursor.clone());
                What::Batch(batch)
            }
            Message::Gap(gap) if self.is_here(&gap.room) => {
                self.cursor = Some(gap.to.clone());
                What::Gap(gap)
            }
            Message::Welcome(welcome) => {
                if let (Some(interval), Some(timeout)) =
                    (welcome.ping_interval_ms, welcome.ping_timeout_ms)
                {
                    self.silence_max = Duration::from_millis(interval.saturating_add(timeout));
                }
                return None;
            }
            Message::Error(refused) => return Some(refusal(refused)),
            Message::Goodbye(goodbye) => return Some(farewell(goodbye)),
            Message::Joined(_) | Message::Batch(_) | Message::Gap(_) | Message::Other => {
                return None;
            }
        };
        self.hand_on(what, now).await
    }

    fn is_here(&self, room: &str) -> bool {
        self.room.as_str() == room
    }

    async fn hand_on(&self, what: What, now: Now) -> Option<End> {
        let heard = Heard { viewer: self.number, now, what };
        self.heard.send(heard).await.is_err().then_some(End::Unheard)
    }

    async fn pass_on(&self, what: What) -> bool {
        self.hand_on(what, Now::read()).await.is_none()
    }
}

/// What a close frame means, by the catalogue of close codes.
fn closed(frame: Option<CloseFrame>) -> End {
    let (code, reason) = match frame {
        Some(frame) => (frame.code.into(), frame.reason.to_string()),
        None => (1005, String::new()),
    };
    let why = format!("closed with {code} {reason}");
    match code {
        STAY_AWAY_FROM..5000 => End::StayAway(why),
        _ => End::ComeBack(None, why),
    }
}

/// The only command is `join`, so every refusal is one of joining.
fn refusal(refused: Refused) -> End {
    let why = format!("{}: {}", refused.code, refused.message);
    match refused.retry_after_ms {
        Some(ms) => End::ComeBack(Some(Duration::from_millis(ms)), why),
        None => End::StayAway(why),
    }
}

fn farewell(goodbye: Goodbye) -> End {
    let why = format!("goodbye: {}", goodbye.reason);
    match goodbye.reconnect {
        true => End::ComeBack(Some(Duration::from_millis(goodbye.reconnect_after_ms)), why),
        false => End::StayAway(why),
    }
}

/// The pause before coming back: 0 to 500 ms first, then full jitter below 1, 2, 4 … 30 s.
/// `random` is between 0 and 1.
fn pause(failures: u32, random: f64) -> Duration {
    let ceiling = RETURN_FIRST * 2u32.saturating_pow(failures.min(16));
    ceiling.min(RETURN_MAX).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pause(0, 1.0), Duration::from_millis(500));
        assert_eq!(pause(1, 1.0), Duration::from_secs(1));
        assert_eq!(pause(3, 0.5), Duration::from_secs(2));
        assert_eq!(pause(100, 1.0), Duration::from_secs(30));
        assert_eq!(pause(100, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_catalogue_decides_who_comes_back() {
        let frame = |code: u16| Some(CloseFrame { code: code.into(), reason: "".into() });
        assert!(matches!(closed(None), End::ComeBack(None, _)));
        for code in [1000, 1001, 1011, 4000, 4001, 4499] {
            assert!(matches!(closed(frame(code)), End::ComeBack(None, _)), "{code}");
        }
        for code in [4500, 4505, 4999] {
            assert!(matches!(closed(frame(code)), End::StayAway(_)), "{code}");
        }
    }

    #[test]
    fn a_refusal_that_time_cures_is_waited_for() {
        let refused = |retry_after_ms| Refused {
            code: "busy".into(),
            message: String::new(),
            retry_after_ms,
        };
        let waited = Some(Duration::from_millis(70));
        assert!(matches!(refusal(refused(Some(70))), End::ComeBack(after, _) if after == waited));
        assert!(matches!(refusal(refused(None)), End::StayAway(_)));
    }
}
