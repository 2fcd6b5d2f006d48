//! A client that comes back: to any gateway, with its cursors, for as long as it takes.

mod speech;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::cursor::Cursor;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use self::speech::{SPEAK_ID, Speech};
use crate::tally::{Phase, Tally};
use rig::account::Account;
use rig::account::message::Message;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A connection on which nothing was heard for so long is dead: the ping interval and timeout.
const SILENCE_MAX: Duration = Duration::from_secs(85);
/// The first pause before coming back is below this; then it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest pause: shorter than real clients', since the next fault waits for them.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// Who has missed more than 1,000 events is told so, instead of all of them: 40 a second go out
/// in the loud room, so that is 25 s; less what a slot and its way may take.
const TOLD_AGAIN_MAX: Duration = Duration::from_secs(23);

/// Where a client is, for those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The number of its cursor, by room; 0 while it is not in the room.
    seqs: [AtomicU64; 2],
}

impl Progress {
    /// Whether it is in both rooms, and has come so far.
    pub(crate) fn has_reached(&self, seqs: [u64; 2]) -> bool {
        let at = |room: usize| self.seqs[room].load(Ordering::Relaxed);
        (0..2).all(|room| at(room) >= seqs[room].max(1))
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) number: usize,
    pub(crate) rooms: [&'static str; 2],
    pub(crate) gateways: Arc<[SocketAddr]>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) random: StdRng,
    /// Whether it speaks in the second room.
    pub(crate) speaks: bool,
    pub(crate) accounts: [Account; 2],
    speech: Speech,
    /// Which gateway it was connected to last.
    gateway: usize,
    /// When its connection ended, until it is back.
    left: Option<Instant>,
    /// When it was told something of a room last.
    told: [Instant; 2],
}

type Socket = WebSocketStream<TcpStream>;

/// Why a connection ended, and when to come back if the gateway has said so.
struct End(String, Option<Duration>);

impl Viewer {
    pub(crate) fn new(
        number: usize,
        rooms: [&'static str; 2],
        gateways: Arc<[SocketAddr]>,
        tally: Arc<Tally>,
        mut random: StdRng,
    ) -> Self {
        Self {
            speech: Speech::of(format!("{:x}-{number}", random.random::<u64>())),
            number,
            rooms,
            gateways,
            tally,
            progress: Arc::default(),
            random,
            speaks: false,
            accounts: Default::default(),
            gateway: 0,
            left: None,
            told: [Instant::now(); 2],
        }
    }

    /// Lives until it is told to stop; returns with its accounts. Each time that there is unrest,
    /// its connection is cut with the probability that is told.
    pub(crate) async fn live(
        mut self,
        mut stop: watch::Receiver<bool>,
        mut unrest: watch::Receiver<f64>,
    ) -> Self {
        let mut failures = 0;
        loop {
            let end = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return self,
                end = self.connection(&mut failures, &mut unrest) => end,
            };
            let was_in = self.progress.has_reached([0, 0]);
            for seq in &self.progress.seqs {
                seq.store(0, Ordering::Relaxed);
            }
            self.left = self.left.or_else(|| was_in.then(Instant::now));
            self.speech.interrupted();
            let End(why, after) = end;
            self.count(|phase| *phase.ends.entry(why).or_default() += 1);
            let pause = after.unwrap_or_else(|| {
                let most = PAUSE_FIRST * 2_u32.saturating_pow(failures);
                most.min(PAUSE_MAX).mul_f64(self.random.random())
            });
            failures = (failures + 1).min(8);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return self,
                () = sleep(pause) => {}
            }
        }
    }

    async fn connection(&mut self, failures: &mut u32, unrest: &mut watch::Receiver<f64>) -> End {
        // Half of those who were in come back to where they were; whoever fails goes elsewhere.
        if *failures != 1 || self.random.random_bool(0.5) {
            self.gateway = self.random.random_range(0..self.gateways.len());
        }
        let to = self.gateways[self.gateway];
        unrest.mark_unchanged();
        let mut socket = match timeout(HANDSHAKE, dial(to)).await {
            Ok(Some(socket)) => socket,
            Ok(None) => return End("no connection".to_owned(), None),
            Err(_) => return End("no handshake".to_owned(), None),
        };
        let mut since: [Option<Cursor>; 2] = [None; 2];
        let mut rejoin: HashMap<usize, Instant> = HashMap::new();
        for room in 0..2 {
            rejoin.insert(room, Instant::now());
        }
        let mut heard = Instant::now();
        loop {
            let join_due = rejoin.values().min().copied();
            let speak_due = self.speak_due();
            let frame = tokio::select! {
                frame = socket.next() => frame,
                () = sleep_until(join_due.unwrap_or(heard)), if join_due.is_some() => {
                    let due: Vec<_> =
                        rejoin.extract_if(|_, due| *due <= Instant::now()).collect();
                    for (room, _) in due {
                        since[room] = self.accounts[room].cursor();
                        if !say(&mut socket, &self.join(room, since[room])).await {
                            return End("broken".to_owned(), None);
                        }
                    }
                    continue;
                }
                () = sleep_until(speak_due.unwrap_or(heard)), if speak_due.is_some() => {
                    let words = self.speech.speak(self.rooms[1], &self.tally);
                    if !say(&mut socket, &words).await {
                        return End("broken".to_owned(), None);
                    }
                    continue;
                }
                Ok(()) = unrest.changed() => {
                    if self.random.random_bool(*unrest.borrow_and_update()) {
                        return End("cut".to_owned(), None);
                    }
                    continue;
                }
                () = sleep_until(heard + SILENCE_MAX) => return End("silence".to_owned(), None),
            };
            heard = Instant::now();
            let text = match frame {
                Some(Ok(Frame::Text(text))) => text,
                Some(Ok(Frame::Close(close))) => {
                    let code = close.map_or(1005, |close| close.code.into());
                    return End(format!("closed {code}"), None);
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return End("broken".to_owned(), None),
            };
            if let Some(end) = self.take(&text, since, &mut rejoin) {
                return end;
            }
            if self.accounts.iter().all(|account| account.cursor().is_some()) {
                *failures = 0;
            }
        }
    }

    fn take(
        &mut self,
        text: &str,
        since: [Option<Cursor>; 2],
        rejoin: &mut HashMap<usize, Instant>,
    ) -> Option<End> {
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                self.accounts[0].fault(format!("no message ({error}): {text}"));
                return None;
            }
        };
        match message {
            Message::Joined(joined) => {
                let room = self.room(&joined.room);
                if since[room].is_some() {
                    self.count_return(room, joined.recovered == Some(true));
                }
                self.accounts[room].joined(&joined, since[room]);
                self.advance(room);
                self.note_arrival();
            }
            Message::Batch(batch) => {
                let room = self.room(&batch.room);
                self.accounts[room].batch(&batch);
                self.advance(room);
            }
            Message::Gap(gap) => {
                let room = self.room(&gap.room);
                match gap.reason.as_str() {
                    "expired" => self.count_return(room, false),
                    "lost" => self.count(|phase| phase.told_lost += gap.count),
                    _ => {}
                }
                self.accounts[room].gap(&gap);
                self.advance(room);
            }
            Message::Ack(ack) if ack.id == Some(SPEAK_ID) => {
                let phase = self.speech.answered(&self.tally)?;
                if let Some(event) = ack.event {
                    self.tally.ack(phase, event.id, ack.stored);
                }
            }
            Message::Error(refused) => {
                let retry = Duration::from_millis(refused.retry_after_ms.unwrap_or(500));
                match refused.id {
                    Some(SPEAK_ID) => {
                        let phase = self.speech.refused(retry)?;
                        self.tally.refuse(phase, &refused.code);
                    }
                    Some(id @ 1..=2) => {
                        rejoin.insert(id as usize - 1, Instant::now() + retry);
                    }
                    _ => return Some(End(refused.code, Some(retry))),
                }
            }
            Message::Goodbye(goodbye) => {
                return Some(End("goodbye".to_owned(), Some(goodbye.pause())));
            }
            Message::Ack(_) | Message::Other => {}
        }
        None
    }

    fn room(&self, name: &str) -> usize {
        usize::from(name == self.rooms[1])
    }

    fn count(&self, change: impl FnOnce(&mut Phase)) {
        self.tally.count(self.tally.now(), change);
    }

    /// It is in a room again, with everything that it has missed or without.
    fn count_return(&self, room: usize, is_complete: bool) {
        let is_late = self.told[room].elapsed() > TOLD_AGAIN_MAX;
        self.count(|phase| match (is_complete, is_late) {
            (true, _) => phase.recovered += 1,
            (false, true) => phase.too_late += 1,
            (false, false) => phase.not_recovered += 1,
        });
    }

    /// Notes how long it was away, once it is in both rooms.
    fn note_arrival(&mut self) {
        if self.progress.has_reached([0, 0])
            && let Some(left) = self.left.take()
        {
            self.count(|phase| phase.away.push(left.elapsed()));
        }
    }

    fn advance(&mut self, room: usize) {
        self.told[room] = Instant::now();
        let seq = self.accounts[room].cursor().map_or(0, |cursor| cursor.seq);
        // In a room without entries it is at 0, which is no less there.
        self.progress.seqs[room].store(seq.max(1), Ordering::Relaxed);
    }

    fn join(&self, room: usize, since: Option<Cursor>) -> Value {
        let mut join = json!({ "type": "join", "id": room + 1, "room": self.rooms[room] });
        if let Some(since) = since {
            join["since"] = json!(since.to_string());
        }
        join
    }

    /// When it speaks next, if it is in the room.
    fn speak_due(&self) -> Option<Instant> {
        let is_in = self.progress.seqs[1].load(Ordering::Relaxed) > 0;
        (self.speaks && is_in).then(|| self.speech.due())
    }
}

async fn dial(to: SocketAddr) -> Option<Socket> {
    let stream = TcpStream::connect(to).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (socket, _) =
        tokio_tungstenite::client_async(format!("ws://{to}/ws"), stream).await.ok()?;
    Some(socket)
}

async fn say(socket: &mut Socket, command: &Value) -> bool {
    socket.send(Frame::text(command.to_string())).await.is_ok()
}
