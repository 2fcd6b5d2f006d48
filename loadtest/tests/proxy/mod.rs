//! A proxy between a gateway and its clients that does harm and keeps exact books of it.
//!
//! Harm is done to batches of viewers that have events and stand in the middle of a run; each
//! connection suffers at most one kind of harm, and each kind befalls connections of its own, so
//! that what was done to one is not hidden by what was done to another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Batches with events that a connection gets before harm is done to it.
const BEGIN: u64 = 3;
/// When the pause begins, after the first publish.
const PAUSE_AFTER: Duration = Duration::from_millis(1_200);

/// What is done, each to so many frames (or pairs of frames).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mischief {
    /// Frames that never arrive.
    pub(crate) drop: u64,
    /// Frames that arrive twice.
    pub(crate) double: u64,
    /// Pairs of frames that arrive in the wrong order.
    pub(crate) swap: u64,
    /// How long nothing goes to the gateway, once.
    pub(crate) pause_ms: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) dropped_frames: u64,
    pub(crate) dropped_events: u64,
    pub(crate) doubled_frames: u64,
    pub(crate) doubled_events: u64,
    pub(crate) swapped_pairs: u64,
    /// Events of the frames that came after the ones that should have come after them.
    pub(crate) late_events: u64,
    /// Publishes that the pause held back for at least 500 ms.
    pub(crate) held_half_second: u64,
    /// The same for at least 333 ms.
    pub(crate) held_third_of_a_second: u64,
    pub(crate) compressed_frames: u64,
}

#[derive(Debug)]
struct State {
    mischief: Mischief,
    done: Mutex<Done>,
    connections: AtomicU64,
    first_publish: Mutex<Option<Instant>>,
}

/// A running proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

/// What a connection suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    None,
    Drop,
    Double,
    Swap,
}

impl Proxy {
    /// Starts a proxy to a gateway on a free port.
    pub(crate) async fn start(to: SocketAddr, mischief: Mischief) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            mischief,
            done: Mutex::default(),
            connections: AtomicU64::new(0),
            first_publish: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, to, state.clone()));
        Self { address, state, _tasks: tasks }
    }

    /// The books.
    pub(crate) fn done(&self) -> Done {
        *self.state.done.lock().unwrap()
    }
}

impl State {
    /// Fates go round, so that every kind of harm finds connections.
    fn fate(&self) -> Fate {
        let wanted = [
            (self.mischief.drop, Fate::Drop),
            (self.mischief.double, Fate::Double),
            (self.mischief.swap, Fate::Swap),
        ];
        let wanted: Vec<Fate> =
            wanted.into_iter().filter(|(count, _)| *count > 0).map(|(_, fate)| fate).collect();
        let nth = self.connections.fetch_add(1, Ordering::Relaxed) as usize;
        if wanted.is_empty() { Fate::None } else { wanted[nth % wanted.len()] }
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(to).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        connections.spawn(upwards(from_client, to_server, state.clone()));
        connections.spawn(downwards(from_server, to_client, state.clone()));
    }
}

/// What clients say goes on as it is, but not during the pause.
async fn upwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: Arc<State>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut is_upgraded = false;
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        // The first bytes are the upgrade, the next the join; longer messages are publishes.
        let is_publish = is_upgraded && length > 120;
        is_upgraded = true;
        if state.mischief.pause_ms > 0 && is_publish {
            let first = *state.first_publish.lock().unwrap().get_or_insert_with(Instant::now);
            let begin = first + PAUSE_AFTER;
            let end = begin + Duration::from_millis(state.mischief.pause_ms);
            if (begin..end).contains(&Instant::now()) {
                let left_ms = end.saturating_duration_since(Instant::now()).as_millis();
                {
                    let mut done = state.done.lock().unwrap();
                    done.held_half_second += u64::from(left_ms >= 500);
                    done.held_third_of_a_second += u64::from(left_ms >= 333);
                }
                tokio::time::sleep_until(end.into()).await;
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// What the gateway says goes on frame by frame, with harm.
async fn downwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: Arc<State>) {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let (mut is_upgraded, mut batches, mut late) = (false, 0, None);
    let fate = state.fate();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..length]);
        if !is_upgraded {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            if to.write_all(&bytes[..end + 4]).await.is_err() {
                return;
            }
            bytes.drain(..end + 4);
            is_upgraded = true;
        }
        while let Some((header, end)) = frame(&bytes) {
            let whole: Vec<u8> = bytes.drain(..end).collect();
            if whole[0] & 0x40 != 0 {
                state.done.lock().unwrap().compressed_frames += 1;
            }
            let events = events(&whole[header..]);
            batches += u64::from(events > 0);
            let out = match events > 0 && batches > BEGIN {
                true => harm(fate, whole, events, &mut late, &state),
                false => whole,
            };
            if to.write_all(&out).await.is_err() {
                return;
            }
        }
    }
}

/// What becomes of a batch with events; what it lacks may come with the next one.
fn harm(
    fate: Fate,
    frame: Vec<u8>,
    events: u64,
    late: &mut Option<Vec<u8>>,
    state: &State,
) -> Vec<u8> {
    let mut done = state.done.lock().unwrap();
    if let Some(late) = late.take() {
        return [frame, late].concat();
    }
    match fate {
        Fate::Drop if done.dropped_frames < state.mischief.drop => {
            done.dropped_frames += 1;
            done.dropped_events += events;
            Vec::new()
        }
        Fate::Double if done.doubled_frames < state.mischief.double => {
            done.doubled_frames += 1;
            done.doubled_events += events;
            [frame.clone(), frame].concat()
        }
        Fate::Swap if done.swapped_pairs < state.mischief.swap => {
            done.swapped_pairs += 1;
            done.late_events += events;
            *late = Some(frame);
            Vec::new()
        }
        Fate::None | Fate::Drop | Fate::Double | Fate::Swap => frame,
    }
}

/// The length of the header, and of the whole frame, once all of it is there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, length) = match bytes.get(1)? & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap())),
        short => (2, u64::from(short)),
    };
    let end = header + length as usize;
    (bytes.len() >= end).then_some((header, end))
}

/// Events of a batch, sent and left out; 0 of everything else.
fn events(payload: &[u8]) -> u64 {
    let Ok(message) = serde_json::from_slice::<Value>(payload) else { return 0 };
    if message["type"] != "batch" {
        return 0;
    }
    assert!(message["left_out"].is_null(), "these rooms are below their budget");
    message["events"].as_array().map_or(0, |events| events.len() as u64)
}
