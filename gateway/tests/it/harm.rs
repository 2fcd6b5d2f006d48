//! What attacks leave in memory: each is repeated until even a few kilobytes each would show.

#![allow(
    clippy::print_stdout,
    reason = "memory after each attack, for whoever looks for what grows"
)]

use futures_util::StreamExt as _;
use futures_util::stream;
use protocol::deflate::Deflater;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::client::{Dial, TestClient};
use crate::support::frames::{CONTINUATION, FIN, Frame, RSV1, RSV2, TEXT};
use crate::support::gateway::metric;
use crate::support::http::request;
use crate::support::process::GatewayProcess;
use crate::support::raw::RawClient;
use crate::support::tokens::{Signer, claims, now_s};
use crate::support::{events, until};

const ROOM: &str = "demo";
const SECRET: &str = "a-secret-of-the-tests-long-enough";
/// How often each attack is made before memory is looked at, and after it.
const WARM: usize = 100;
const COUNT: usize = 500;
/// Attacks at a time.
const AT_ONCE: usize = 8;
/// What memory may grow by over that: a kilobyte each.
const GROWTH_KIB_MAX: u64 = COUNT as u64;
/// An allocator that needs more than before takes it once and keeps it; what is lost is lost each
/// time. So memory that has grown is looked at again, so often.
const ROUNDS: usize = 6;
/// What an allocator may take more.
const SLACK_KIB_MAX: u64 = 6 * 1024;

/// A way to do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    HalfHead,
    LargeHead,
    HalfFrame,
    HalfMessage,
    TooManyParts,
    Unmasked,
    ReservedBits,
    NoText,
    Bomb,
    DeepJson,
    HostileRooms,
    Flood,
    ForgedToken,
    ExpiredToken,
    OtherOrigin,
    EventsOfNoRoom,
}

impl Harm {
    const ALL: [Self; 16] = [
        Self::HalfHead,
        Self::LargeHead,
        Self::HalfFrame,
        Self::HalfMessage,
        Self::TooManyParts,
        Self::Unmasked,
        Self::ReservedBits,
        Self::NoText,
        Self::Bomb,
        Self::DeepJson,
        Self::HostileRooms,
        Self::Flood,
        Self::ForgedToken,
        Self::ExpiredToken,
        Self::OtherOrigin,
        Self::EventsOfNoRoom,
    ];

    /// What it is counted as, each time.
    fn counted(self) -> (&'static str, &'static str) {
        let (closes, turned_away) = ("barrage_closes_total", "barrage_turned_away_total");
        match self {
            Self::HalfHead => (turned_away, "half_head"),
            Self::LargeHead => (turned_away, "bad_head"),
            Self::HalfFrame | Self::HalfMessage | Self::HostileRooms => (closes, "lost"),
            Self::TooManyParts | Self::Bomb => (closes, "too_large"),
            Self::Unmasked | Self::ReservedBits => (closes, "framing"),
            Self::NoText => (closes, "payload"),
            Self::DeepJson | Self::Flood => (closes, "protocol_abuse"),
            Self::ForgedToken => (closes, "bad_token"),
            Self::ExpiredToken => (closes, "token_expired"),
            Self::OtherOrigin => (turned_away, "origin"),
            Self::EventsOfNoRoom => (turned_away, "bad_request"),
        }
    }

    /// Does it once.
    async fn befall(self, means: &Means) {
        let to = means.process.public;
        let raw = async |frames: &[u8], code: Option<u16>| {
            let mut client = RawClient::compressing(to).await;
            client.write_in_vain(frames).await;
            if code.is_some() {
                assert_eq!(client.ends().await, code, "{self:?}");
            }
        };
        match self {
            Self::HalfHead => {
                let mut stream = TcpStream::connect(to).await.unwrap();
                stream.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Half: ").await.unwrap();
            }
            Self::LargeHead => {
                let value = "y".repeat(20_000);
                let answer = request(to, "GET", "/", &[("X-Long", &value)], b"").await;
                assert_eq!(answer.status, 431);
            }
            Self::HalfFrame => raw(&means.long_text[..30_000], None).await,
            Self::HalfMessage => raw(&means.half_message, None).await,
            Self::TooManyParts => raw(&means.too_many_parts, Some(1009)).await,
            Self::Unmasked => raw(&Frame::text("{}").unmasked().bytes(), Some(1002)).await,
            Self::ReservedBits => {
                raw(&Frame::new(FIN | RSV2 | TEXT, *b"{}").bytes(), Some(1002)).await;
            }
            Self::NoText => raw(&Frame::new(FIN | TEXT, [0xff; 4_000]).bytes(), Some(1007)).await,
            Self::Bomb => raw(&means.bomb, Some(1009)).await,
            Self::DeepJson => raw(&means.deep_json, Some(4502)).await,
            Self::HostileRooms => join_hostile_rooms(to).await,
            Self::Flood => raw(&means.flood, Some(4502)).await,
            Self::ForgedToken => turned_away(to, &means.forged, 4500).await,
            Self::ExpiredToken => turned_away(to, &means.expired, 4004).await,
            Self::OtherOrigin => {
                let headers = vec![("Origin", "https://evil.example")];
                let dial = Dial { headers, ..Dial::default() };
                assert!(TestClient::try_dial(to, dial).await.is_err());
            }
            Self::EventsOfNoRoom => {
                let answer = request(to, "GET", "/v1/rooms/%00/events", &[], b"").await;
                assert_eq!(answer.status, 400);
            }
        }
    }
}

/// What it takes to do harm, made once.
struct Means {
    process: GatewayProcess,
    long_text: Vec<u8>,
    half_message: Vec<u8>,
    too_many_parts: Vec<u8>,
    bomb: Vec<u8>,
    deep_json: Vec<u8>,
    flood: Vec<u8>,
    forged: String,
    expired: String,
}

impl Means {
    async fn gather() -> Self {
        let origin = "https://example.com";
        let arguments = ["--tick", "100", "--shards", "1", "--jwt-secret", SECRET];
        let process =
            GatewayProcess::start(&[&arguments[..], &["--allow-origin", origin]].concat()).await;
        let part = Frame::new(CONTINUATION, vec![b' '; 8_000]).bytes();
        let bomb = Deflater::new().deflate(&vec![b' '; 4 * 1024 * 1024]);
        let ping = Frame::text(r#"{"type":"ping"}"#).bytes();
        Self {
            process,
            long_text: Frame::new(FIN | TEXT, vec![b' '; 60_000]).bytes(),
            half_message: Frame::new(TEXT, vec![b' '; 60_000]).bytes(),
            too_many_parts: [Frame::new(TEXT, *b"{").bytes(), part.repeat(9)].concat(),
            bomb: Frame::new(FIN | RSV1 | TEXT, bomb).bytes(),
            deep_json: Frame::text(&"[".repeat(10_000)).bytes().repeat(8),
            flood: ping.repeat(800),
            forged: Signer::Secret("a secret that somebody else has made up")
                .sign(&claims("42", &["view"])),
            expired: Signer::Secret(SECRET).sign(&json!({ "sub": "42", "exp": now_s() - 1 })),
        }
    }

    async fn befall(&self, harm: Harm, count: usize) {
        let each = stream::iter(0..count).map(|_| harm.befall(self));
        each.buffer_unordered(AT_ONCE).collect::<()>().await;
        until("only the viewer is left", || async {
            let held = metric(self.process.admin, "barrage_connections", "").await;
            (held == 1.0).then_some(())
        })
        .await;
    }
}

impl Means {
    /// Fails unless the attack, repeated, is counted each time and memory ends where it was.
    async fn leaves_nothing(&self, harm: Harm) {
        let (name, label) = harm.counted();
        let counted = async || metric(self.process.admin, name, label).await;
        let kib = || self.process.resident_bytes() / 1024;
        let (mut measured, counted_before) = (vec![kib()], counted().await);
        for round in 1..=ROUNDS {
            self.befall(harm, COUNT).await;
            let expected = counted_before + (round * COUNT) as f64;
            until("it is counted", || async { (counted().await >= expected).then_some(()) }).await;
            assert_eq!(counted().await, expected, "{harm:?}: {name} {label}");
            let (first, last, now) = (measured[0], measured[round - 1], kib());
            measured.push(now);
            if now <= last + GROWTH_KIB_MAX && now <= first + SLACK_KIB_MAX {
                break;
            }
            assert!(round < ROUNDS, "{harm:?}: {measured:?} KiB");
        }
        println!("{harm:?}: {measured:?} KiB after each {COUNT}");
    }
}

/// Joins rooms whose names are patterns of brokers, paths and markup, and goes.
async fn join_hostile_rooms(to: std::net::SocketAddr) {
    let mut client = TestClient::connect(to).await;
    for room in ["*", ">", "../../etc", "a.b.>", "'\"<script>", "_INBOX.x"] {
        client.join(room).await;
    }
    for room in ["$x", "a\u{202e}b", "\0", ""] {
        client.ask_in_vain(json!({ "type": "join", "room": room }), "bad_request").await;
    }
    client.vanish();
}

/// Has a client read, and answer pings, while something else goes on.
async fn goes_on_during(client: &mut TestClient, other: impl Future<Output = ()>) {
    tokio::pin!(other);
    loop {
        tokio::select! {
            () = &mut other => return,
            () = client.read() => assert!(!client.memory.ended, "{:?}", client.memory.closed),
        }
    }
}

async fn turned_away(to: std::net::SocketAddr, token: &str, code: u16) {
    let path = format!("/ws?token={token}");
    let dial = Dial { path: &path, ..Dial::default() };
    let mut client = TestClient::try_dial(to, dial).await.expect("an upgrade");
    assert_eq!(client.ends().await, Some(code));
}

#[tokio::test]
async fn harm_repeated_is_counted_and_leaves_memory_where_it_was_and_others_untouched() {
    let means = Means::gather().await;
    let viewer = Dial { headers: vec![("Origin", "https://example.com")], ..Dial::default() };
    let mut viewer = TestClient::dial(means.process.public, viewer).await;
    viewer.join(ROOM).await;
    for harm in Harm::ALL {
        goes_on_during(&mut viewer, means.befall(harm, WARM)).await;
    }
    for harm in Harm::ALL {
        goes_on_during(&mut viewer, means.leaves_nothing(harm)).await;
        let text = format!("还在 {harm:?}");
        means.process.api.publish(ROOM, events::chat(ROOM, &text)).await;
        viewer.hears(ROOM, &text).await;
    }
    viewer.memory.account(ROOM).assert_closes();
}
