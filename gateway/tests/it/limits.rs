//! Who is turned away, how it is told, and that it costs nobody else anything.

use std::net::SocketAddr;
use std::time::Duration;

use gateway::config::{AddressLimits, Preface, Rate};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::client::TestClient;
use crate::support::frames::{FIN, Frame, PING};
use crate::support::gateway::TestGateway;
use crate::support::http::{Answer, parse, request};
use crate::support::raw::RawClient;
use crate::support::{soon, until};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The head of a request for a WebSocket.
fn head(more: &str) -> String {
    let headers = UPGRADE.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    format!("GET /ws HTTP/1.1\r\nHost: x\r\n{headers}{more}\r\n")
}

/// Asks for a WebSocket, with bytes before the request and headers in it; returns the answer's
/// head and the connection, which lives as long as it is kept.
async fn knock(to: SocketAddr, before: &[u8], headers: &str) -> (Option<Answer>, TcpStream) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let bytes = [before, head(headers).as_bytes()].concat();
    // Whoever is closed unheard may not be able to say all of it.
    let _ = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    soon("an answer", async {
        let mut buffer = [0; 1024];
        while parse(&answer).is_none() {
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => answer.extend_from_slice(&buffer[..count]),
                Ok(_) | Err(_) => break,
            }
        }
    })
    .await;
    (parse(&answer), stream)
}

async fn status(to: SocketAddr, before: &[u8], headers: &str) -> (u16, TcpStream) {
    let (answer, stream) = knock(to, before, headers).await;
    (answer.map_or(0, |answer| answer.status), stream)
}

fn retry_after_s(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("it is told when to come back").parse().unwrap()
}

#[tokio::test]
async fn a_full_gateway_answers_503_and_takes_the_next_when_somebody_leaves() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.guests.connections_max = 3;
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(gateway.viewer("demo").await);
    }
    let mut told = Vec::new();
    for _ in 0..20 {
        let (answer, _) = knock(gateway.public, b"", "").await;
        let answer = answer.unwrap();
        answer.assert_refused(503, "unavailable");
        told.push(retry_after_s(&answer));
        assert!((1..=10).contains(told.last().unwrap()), "{told:?}");
    }
    told.dedup();
    assert!(told.len() > 1, "not all at the same moment: {told:?}");
    // Pages are no way around it.
    request(gateway.public, "GET", "/", &[], b"").await.assert_refused(503, "unavailable");
    assert_eq!(gateway.metric("barrage_turned_away_total", "full").await, 21.0);
    assert_eq!(gateway.metric("barrage_http_requests_total", "5xx").await, 21.0);
    clients.pop().unwrap().close().await;
    until("a place", || async {
        let (status, _) = status(gateway.public, b"", "").await;
        (status == 101).then_some(())
    })
    .await;
    for client in &mut clients {
        client.assert_lives().await;
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_crowd_over_the_limit_is_closed_unheard_and_costs_nothing_afterwards() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.guests.connections_max = 1;
    })
    .await;
    let mut client = gateway.viewer("demo").await;
    let mut crowd = Vec::new();
    for _ in 0..1_100 {
        crowd.push(TcpStream::connect(gateway.public).await.unwrap());
    }
    gateway
        .until_metric("barrage_turned_away_total", "unheard", |count| count >= 1_100.0 - 1_024.0)
        .await;
    client.publish("demo", "还在").await;
    drop(crowd);
    until("an answer again", || async {
        let (answer, _) = knock(gateway.public, b"", "").await;
        answer.filter(|answer| answer.status == 503)
    })
    .await;
    gateway.end().await;
}

#[tokio::test]
async fn an_address_may_hold_so_many_connections() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_connections_max = 4;
    })
    .await;
    let mut witness = gateway.viewer("demo").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let (status, stream) = status(gateway.public, b"", "").await;
        assert_eq!(status, 101);
        held.push(stream);
    }
    let (answer, _) = knock(gateway.public, b"", "X-Forwarded-For: 198.51.100.7\r\n").await;
    let answer = answer.unwrap();
    answer.assert_refused(429, "rate_limited");
    assert!(retry_after_s(&answer) >= 1, "a claim of a stranger changes nothing");
    assert_eq!(gateway.metric("barrage_turned_away_total", "address_connections").await, 1.0);
    witness.assert_lives().await;
    held.pop();
    until("a place", || async { (status(gateway.public, b"", "").await.0 == 101).then_some(()) })
        .await;
    gateway.end().await;
}

/// Whoever asks and asks and reads nothing holds a place, and no more than what is on its way.
#[tokio::test]
async fn answers_that_nobody_reads_are_given_up() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.guests.connections_max = 2;
    })
    .await;
    let mut witness = gateway.viewer("demo").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut deaf = soon("connecting", socket.connect(gateway.public)).await.unwrap();
    let asked = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    // As much as fits: the gateway reads no further than it can answer.
    let writing = tokio::time::timeout(Duration::from_secs(1), deaf.write_all(asked.as_bytes()));
    let _ = writing.await;
    assert_eq!(status(gateway.public, b"", "").await.0, 503, "it holds a place");
    until("its place", || async { (status(gateway.public, b"", "").await.0 == 101).then_some(()) })
        .await;
    assert_eq!(gateway.metric("barrage_turned_away_total", "unread").await, 1.0);
    witness.assert_lives().await;
    gateway.end().await;
}

#[tokio::test]
async fn an_address_may_ask_so_often() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_handshakes = Rate { burst: 5, period: Duration::from_secs(60) };
    })
    .await;
    let mut witness = gateway.viewer("demo").await;
    for _ in 0..4 {
        assert_eq!(status(gateway.public, b"", "").await.0, 101);
    }
    let (answer, _) = knock(gateway.public, b"", "").await;
    let answer = answer.unwrap();
    answer.assert_refused(429, "rate_limited");
    assert!((12..=20).contains(&retry_after_s(&answer)), "{}", answer.head);
    assert_eq!(gateway.metric("barrage_turned_away_total", "address_handshakes").await, 1.0);
    // Pages are no handshakes.
    assert_eq!(request(gateway.public, "GET", "/", &[], b"").await.status, 200);
    witness.assert_lives().await;
    gateway.end().await;
}

#[tokio::test]
async fn in_development_one_address_may_do_anything() {
    let gateway = TestGateway::start().await;
    for _ in 0..120 {
        assert_eq!(status(gateway.public, b"", "").await.0, 101);
    }
    gateway.end().await;
}

/// A gateway behind a proxy on this machine, whose clients may hold one connection each.
async fn behind_a_proxy(preface: Preface) -> TestGateway {
    TestGateway::with(|config| {
        config.public.proxies.networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.public.proxies.preface = preface;
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_connections_max = 1;
    })
    .await
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let gateway = behind_a_proxy(Preface::Nothing).await;
    let to = gateway.public;
    let from = |hops: &str| format!("X-Forwarded-For: {hops}\r\n");
    let first = status(to, b"", &from("198.51.100.7")).await;
    assert_eq!(first.0, 101);
    for same in ["198.51.100.7", "6.6.6.6, 198.51.100.7", "198.51.100.7:80, 127.0.0.9"] {
        assert_eq!(status(to, b"", &from(same)).await.0, 429, "{same}");
    }
    let others = ["198.51.100.8", "198.51.100.7, 198.51.100.9", "2001:db8:0:1::1"];
    let mut held = Vec::new();
    for other in others {
        let (status, stream) = status(to, b"", &from(other)).await;
        assert_eq!(status, 101, "{other}");
        held.push(stream);
    }
    assert_eq!(status(to, b"", &from("2001:db8:0:1:ff::2")).await.0, 429, "the same /64");
    drop(first);
    until("a place", || async {
        (status(to, b"", &from("198.51.100.7")).await.0 == 101).then_some(())
    })
    .await;
    gateway.end().await;
}

/// A PROXY header of version 2 for a TCP connection over IPv4.
pub(crate) fn proxy_v2(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(source);
    header.extend([127, 0, 0, 1, 0x12, 0x34, 0x1f, 0x90]);
    header
}

#[tokio::test]
async fn the_proxy_protocol_says_whose_connection_it_is() {
    let gateway = behind_a_proxy(Preface::ProxyV2).await;
    let to = gateway.public;
    let held = status(to, &proxy_v2([198, 51, 100, 7]), "").await;
    assert_eq!(held.0, 101);
    let again = proxy_v2([198, 51, 100, 7]);
    assert_eq!(status(to, &again, "X-Forwarded-For: 1.2.3.4\r\n").await.0, 429);
    assert_eq!(status(to, &proxy_v2([198, 51, 100, 8]), "").await.0, 101);
    // A health check of the proxy itself is nobody's connection.
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";
    assert_eq!(status(to, local, "").await.0, 101);
    // Without a header, with another one, with half of one.
    let mut long = proxy_v2([1, 2, 3, 4]);
    long[14] = 0xff;
    for before in [&b""[..], b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", &long] {
        assert_eq!(status(to, before, "").await.0, 0);
    }
    assert_eq!(gateway.metric("barrage_turned_away_total", "proxy_header").await, 3.0);
    gateway.end().await;
}

#[tokio::test]
async fn a_proxy_header_of_a_stranger_is_no_request() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.public.proxies.networks = vec!["192.0.2.0/24".parse().unwrap()];
        config.public.proxies.preface = Preface::ProxyV2;
    })
    .await;
    let mut witness = gateway.viewer("demo").await;
    let (answer, _) = knock(gateway.public, &proxy_v2([198, 51, 100, 7]), "").await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
    assert_eq!(status(gateway.public, b"", "").await.0, 101);
    assert_eq!(gateway.metric("barrage_turned_away_total", "bad_head").await, 1.0);
    witness.assert_lives().await;
    gateway.end().await;
}

#[tokio::test]
async fn commands_over_the_rate_are_refused_and_a_flood_is_closed() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.session.commands = Rate { burst: 20, period: Duration::from_secs(60) };
    })
    .await;
    let mut viewer = gateway.viewer("demo").await;
    let mut client = RawClient::connect(gateway.public).await;
    let pings = |from: u64, to: u64| {
        let ping = |id| Frame::text(&json!({ "type": "ping", "id": id }).to_string()).bytes();
        (from..to).flat_map(ping).collect::<Vec<u8>>()
    };
    client.write(&pings(1, 31)).await;
    for id in 1..31_u64 {
        let reply = client.until("a reply", |memory| memory.reply(id).cloned()).await;
        if id <= 20 {
            assert_eq!(reply["type"], "pong", "{reply}");
        } else {
            assert_eq!(reply["code"], "rate_limited", "{reply}");
            let after = reply["retry_after_ms"].as_u64().unwrap();
            assert!((1..=3_000).contains(&after), "{reply}");
        }
    }
    // A ping of the protocol below counts as well; it is passed over in silence.
    client.send(&Frame::new(FIN | PING, *b"over")).await;
    client.write(&pings(31, 32)).await;
    client.until("a reply", |memory| memory.reply(31).cloned()).await;
    assert!(client.memory.pongs.is_empty());
    for from in (32..800).step_by(64) {
        client.write_in_vain(&pings(from, from + 64)).await;
        if client.memory.ended {
            break;
        }
        let _ = tokio::time::timeout(Duration::from_millis(20), client.read()).await;
    }
    assert_eq!(client.ends().await, Some(4502));
    assert!(gateway.metric("barrage_refusals_total", "rate_limited").await >= 10.0);
    assert_eq!(gateway.metric("barrage_closes_total", "protocol_abuse").await, 1.0);
    viewer.assert_lives().await;
    gateway.end().await;
}

/// With a limit of none, since every anonymous connection is a user of its own.
#[tokio::test]
async fn a_user_with_too_many_connections_is_closed_with_4504_and_leaves_no_trace() {
    let gateway = TestGateway::with(|config| config.guests.connections_per_user_max = 0).await;
    for _ in 0..20 {
        let mut client = RawClient::connect(gateway.public).await;
        assert_eq!(client.ends().await, Some(4504));
        assert!(client.memory.messages.is_empty(), "{:?}", client.memory.messages);
    }
    assert_eq!(gateway.metric("barrage_closes_total", "too_many_connections").await, 20.0);
    gateway.until_metric("barrage_connections", "", |count| count == 0.0).await;
    gateway.end().await;
}

#[tokio::test]
async fn every_limit_is_told_in_welcome_as_it_is_set() {
    let rate = |burst, period_s| Rate { burst, period: Duration::from_secs(period_s) };
    let gateway = TestGateway::with(|config| {
        config.session.commands = rate(60, 2);
        config.session.publishes = rate(6, 10);
        config.session.likes = rate(4, 3);
        config.guests.connections_per_user_max = 9;
        config.guests.address_limits = AddressLimits::On;
        config.guests.address_connections_max = 70;
        config.guests.address_handshakes = rate(80, 20);
    })
    .await;
    let client = TestClient::connect(gateway.public).await;
    let limits = &client.memory.first("welcome").unwrap()["limits"];
    for (name, limit) in [
        ("commands_per_s", 30),
        ("commands_burst", 60),
        ("publish_per_5s", 3),
        ("publish_burst", 6),
        ("publish_period_ms", 10_000),
        ("likes_burst", 4),
        ("likes_period_ms", 3_000),
        ("connections_per_user", 9),
        ("address_connections", 70),
        ("address_handshakes_burst", 80),
        ("address_handshakes_period_ms", 20_000),
    ] {
        assert_eq!(limits[name], limit, "{name}: {limits}");
    }
    gateway.end().await;
}
