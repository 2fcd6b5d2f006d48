//! A shard driven by hand, with real sockets at the other end.

mod ends;
mod seating;
mod slow;
mod timers;
mod turns;

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use protocol::close::CloseReason;
use protocol::cursor::{Bookmark, Cursor, Epoch, Owed};
use protocol::frame;
use protocol::ids::{Address, BootId, RoomId, UserId};
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::client::{Form, Seat};
use crate::room::effect::Join;
use crate::shard::{AnswerTail, ClientSink, FrameVariant, ShardAnswer, ShardFrame, Socket};

/// Longer than anything takes here; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
const RULES: ShardRules = ShardRules { ping_interval_s: 25, ping_timeout_s: 60, stuck_s: 15 };
const BOOT: [u8; 8] = [1; 8];

/// A shard and its time.
struct Stage {
    shard: Shard,
    handover: Handover,
    metrics: Arc<Metrics>,
    now: Now,
}

/// The other end of a client.
struct Peer {
    stream: TcpStream,
    socket: Rc<Socket>,
    address: Address,
    bytes: Vec<u8>,
}

/// A frame as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    first: u8,
    payload: Vec<u8>,
}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

impl Stage {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (kept, pulse) = (Arc::clone(&metrics), Pulse::default());
        let (boot, handover) = (BootId::random(BOOT), Handover::default());
        let at_hand = handover.clone();
        let shard = Shard::new(boot, 0, at_hand, Clock::system(), RULES, kept, pulse);
        Self { shard, handover, metrics, now: at(0) }
    }

    /// Lets the seconds pass one by one.
    fn wait_until(&mut self, second: u64) {
        while self.now.mono < at(second).mono {
            self.now = at(self.now.mono.as_secs() + 1);
            self.shard.second(self.now);
        }
    }

    /// Attaches a client of a user.
    async fn attach(&mut self, user: &str) -> Peer {
        self.attach_with(user, None).await
    }

    /// Attaches a client whose sockets hold about so many bytes.
    async fn attach_with(&mut self, user: &str, buffer_bytes: Option<usize>) -> Peer {
        let (stream, server) = pair(buffer_bytes).await;
        // What a handshake has proven in passing.
        server.writable().await.unwrap();
        let socket = Rc::new(Socket::plain(server));
        let (answer, address) = oneshot::channel();
        let sink = self.handover.leave(ClientSink::Socket(Rc::clone(&socket)));
        let user = UserId::parse(user).unwrap();
        self.control(Control::Attach { sink, user, first: None, answer });
        Peer { stream, socket, address: address.await.unwrap(), bytes: Vec::new() }
    }

    fn control(&mut self, control: Control) {
        self.shard.control(control, self.now);
    }

    fn expect(&mut self, peer: &Peer, room: &str, number: u16) {
        let (address, room) = (peer.address, room_id(room));
        self.control(Control::Expect { address, room, seat: seat(number) });
    }

    fn unseat(&mut self, peer: &Peer, room: &str, number: u16) {
        let (address, room) = (peer.address, room_id(room));
        self.control(Control::Unseat { address, room, seat: seat(number) });
    }

    /// A hub's answer: these seats are taken, at the given head.
    fn answer(&mut self, room: &str, head: u64, seats: &[(&Peer, u16)]) {
        let tail = AnswerTail::Copied(format!("\"at\":{head}}}").into());
        self.answer_with(room, head, seats, tail);
    }

    fn answer_with(&mut self, room: &str, head: u64, seats: &[(&Peer, u16)], tail: AnswerTail) {
        self.answer_from(room, cursor(head), seats, tail);
    }

    /// The same where paid events are still to come.
    fn answer_at(&mut self, room: &str, head: Bookmark, seats: &[(&Peer, u16)]) {
        let tail = AnswerTail::Copied(format!("\"at\":{}}}", head.at.seq).into());
        self.answer_from(room, head, seats, tail);
    }

    fn answer_from(
        &mut self,
        room: &str,
        head: Bookmark,
        seats: &[(&Peer, u16)],
        tail: AnswerTail,
    ) {
        let joins = seats.iter().map(|(peer, number)| join(peer, *number)).collect();
        let answer = ShardAnswer { room: room_id(room), joins, head, tail };
        self.shard.room(RoomCommand::Answer(answer), self.now);
    }

    /// A hub's frame for a room, with a variant for each (prev, cursor).
    fn frame(&mut self, room: &str, variants: &[(u64, u64)]) {
        self.frame_of(room, variants, 0);
    }

    fn frame_of(&mut self, room: &str, variants: &[(u64, u64)], bytes: usize) {
        let variants = variants.iter().map(|(prev, last)| variant(room, *prev, *last, bytes));
        let frame = ShardFrame { room: room_id(room), variants: variants.collect() };
        self.shard.room(RoomCommand::Frame(frame), self.now);
    }

    /// Does all the work that waits.
    fn work(&mut self) {
        while self.shard.rooms.jobs() > 0 {
            self.shard.work(self.now);
        }
    }

    /// Has a client sit in a room at the given head.
    async fn seat(&mut self, peer: &mut Peer, room: &str, head: u64) {
        self.expect(peer, room, 1);
        self.answer(room, head, &[(&*peer, 1)]);
        self.work();
        assert_eq!(peer.text().await, joined(head));
    }

    fn send(&mut self, address: Address, message: &str) {
        self.control(Control::Send { address, frame: frame::text(message.as_bytes()) });
    }

    /// What a client was sent so far and has not looked at: a mark is sent after it.
    async fn sent(&mut self, peer: &mut Peer) -> Vec<Seen> {
        self.send(peer.address, "mark");
        let mut sent = Vec::new();
        loop {
            match peer.frame().await {
                Some(seen) if seen.payload == b"mark" => return sent,
                Some(seen) => sent.push(seen),
                None => panic!("it has ended after {sent:?}"),
            }
        }
    }

    /// A line of the metrics, such as `barrage_closes_total{reason="lost"}`.
    fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.metrics.render()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

impl Peer {
    /// The next frame; `None` at the end.
    async fn frame(&mut self) -> Option<Seen> {
        loop {
            if let Some((seen, length)) = parse(&self.bytes) {
                self.bytes.drain(..length);
                return Some(seen);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.bytes)).await;
            if !matches!(read.expect("a frame or the end comes"), Ok(1..)) {
                return None;
            }
        }
    }

    /// The next frame, which is a text.
    async fn text(&mut self) -> String {
        let seen = self.frame().await.expect("a text comes");
        assert_eq!(seen.first, TEXT, "{seen:?}");
        String::from_utf8(seen.payload).unwrap()
    }

    /// Asserts that a close frame comes, with nothing after it but the end.
    async fn is_closed(&mut self, reason: CloseReason) {
        let seen = self.frame().await.expect("a close frame comes");
        let payload = [&reason.code().to_be_bytes(), reason.text().as_bytes()].concat();
        assert_eq!(seen, Seen { first: CLOSE, payload });
        assert_eq!(self.frame().await, None);
    }
}

/// Two ends of a connection: the client's, and ours.
async fn pair(buffer_bytes: Option<usize>) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = buffer_bytes {
        socket.set_recv_buffer_size(bytes as u32).unwrap();
    }
    let connect = socket.connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connect, listener.accept());
    let server = accepted.unwrap().0;
    if let Some(bytes) = buffer_bytes {
        SockRef::from(&server).set_send_buffer_size(bytes).unwrap();
    }
    (client.unwrap(), server)
}

/// The first frame of a stream, and its length; `None` if it is not whole.
fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let (header, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(header..header + length)?.to_vec();
    Some((Seen { first: bytes[0], payload }, header + length))
}

fn at(second: u64) -> Now {
    Now { mono: Duration::from_secs(second), unix_ms: 1_760_000_000_000 + second * 1_000 }
}

fn room_id(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn cursor(seq: u64) -> Bookmark {
    Cursor { epoch: Epoch::random([7; 8]), seq }.into()
}

fn seat(number: u16) -> Seat {
    Seat { number, form: Form::Plain }
}

fn join(peer: &Peer, number: u16) -> Join {
    Join { address: peer.address, seat: seat(number), id: None, since: None, history: 0 }
}

fn joined(head: u64) -> String {
    format!("{{\"type\":\"joined\",\"at\":{head}}}")
}

/// A batch whose message is `room:prev-cursor` and so many more bytes.
fn variant(room: &str, prev: u64, last: u64, bytes: usize) -> FrameVariant {
    let message = format!("{room}:{prev}-{last}{}", " ".repeat(bytes));
    let forms = [Some(frame::text(message.as_bytes())), None, None];
    let count = (last - prev) as u32;
    FrameVariant {
        prev: cursor(prev),
        cursor: cursor(last),
        count,
        missed: 0,
        state: Default::default(),
        forms,
    }
}
