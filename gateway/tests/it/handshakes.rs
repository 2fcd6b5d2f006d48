//! Requests on the public port: those that become clients, and those that make no sense.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::{Rng as _, RngExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::frames::Frame;
use crate::support::http::{self, Answer, exchange, request};
use crate::support::memory::Memory;
use crate::support::raw::RawClient;
use crate::support::scene::{ROOM, Scene};
use crate::support::seed::seeded;
use crate::support::soon;

/// A request that begins a WebSocket.
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn what_is_sent_right_behind_the_upgrade_is_heard() {
    let scene = Scene::set().await;
    let to = scene.gateway.public;
    let ping = Frame::text(r#"{"type":"ping","id":9}"#).bytes();
    // Nothing, a part of a frame, a frame, and more than one are there with the head.
    for early in [0, 3, ping.len(), ping.len() + 3, 2 * ping.len()] {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let two = [ping.as_slice(), &ping].concat();
        stream.write_all(&[UPGRADE.as_bytes(), &two[..early]].concat()).await.unwrap();
        let mut client = RawClient::over(stream).await;
        client.until("welcome", |memory| memory.first("welcome").cloned()).await;
        client.write(&two[early..]).await;
        let both = |memory: &Memory| {
            let pongs = memory.messages.iter().filter(|message| message["id"] == 9).count();
            (pongs == 2).then_some(())
        };
        client.until("two pongs", both).await;
    }
    scene.end().await;
}

#[tokio::test]
async fn a_connection_that_was_used_for_pages_may_become_a_websocket() {
    let scene = Scene::set().await;
    let to = scene.gateway.public;
    let mut stream = TcpStream::connect(to).await.unwrap();
    for method in ["GET", "HEAD"] {
        let page = format!("{method} /client.json HTTP/1.1\r\nHost: {to}\r\n\r\n");
        stream.write_all(page.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let length = soon("the answer", async {
            loop {
                stream.read_buf(&mut answer).await.unwrap();
                if let Some(answer) = http::parse(&answer) {
                    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
                    let expected = if method == "HEAD" { 0 } else { length };
                    if answer.body.len() >= expected {
                        assert_eq!((answer.status, answer.body.len()), (200, expected));
                        return length;
                    }
                }
            }
        });
        assert!(length.await > 0, "{method}");
    }
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut client = RawClient::over(stream).await;
    client.join(ROOM).await;
    drop(client);
    scene.end().await;
}

/// A plain request with the headers of an upgrade, less or changed.
async fn upgrade(scene: &Scene, method: &str, path: &str, change: &[(&str, &str)]) -> Answer {
    let mut headers = vec![
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (name, value) in change {
        headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            headers.push((name, value));
        }
    }
    request(scene.gateway.public, method, path, &headers, b"").await
}

#[tokio::test]
async fn what_is_no_websocket_request_is_told_what_is_wrong() {
    let scene = Scene::set().await;
    for lack in [("Upgrade", ""), ("Connection", "close"), ("Upgrade", "h2c")] {
        let answer = upgrade(&scene, "GET", "/ws", &[lack]).await;
        answer.assert_refused(426, "bad_request");
        assert_eq!(answer.header("upgrade"), Some("websocket"), "RFC 9110 section 15.5.22");
    }
    for version in ["8", "14", ""] {
        let answer = upgrade(&scene, "GET", "/ws", &[("Sec-WebSocket-Version", version)]).await;
        answer.assert_refused(426, "bad_request");
        assert_eq!(answer.header("sec-websocket-version"), Some("13"), "RFC 6455 section 4.2.2");
    }
    for key in ["", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ", "???"] {
        let answer = upgrade(&scene, "GET", "/ws", &[("Sec-WebSocket-Key", key)]).await;
        answer.assert_refused(400, "bad_request");
    }
    upgrade(&scene, "POST", "/ws", &[]).await.assert_refused(400, "bad_request");
    let turned_away = scene.gateway.metric("barrage_turned_away_total", "bad_request").await;
    assert_eq!(turned_away, 11.0, "each of them is counted");
    upgrade(&scene, "GET", "/", &[]).await;
    upgrade(&scene, "GET", "/wss", &[]).await.assert_refused(404, "not_found");
    let old = "GET /ws HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = exchange(scene.gateway.public, old.as_bytes()).await.unwrap();
    answer.assert_refused(400, "bad_request");
    scene.end().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_harm_nobody() {
    let mut scene = Scene::set().await;
    let to = scene.gateway.public;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = request(to, method, "/", &[], b"").await;
        answer.assert_refused(405, "bad_request");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{method}");
    }
    for path in ["/nothing", "/assets/../Cargo.toml", "/assets/%2e%2e/Cargo.toml", "/..", "//ws"] {
        request(to, "GET", path, &[], b"").await.assert_refused(404, "not_found");
    }
    scene.goes_on().await;
    scene.end().await;
}

const BAD_HEAD: (&str, &str) = ("barrage_turned_away_total", "bad_head");

#[tokio::test]
async fn heads_that_are_too_large_or_none_are_refused_and_counted() {
    let mut random = seeded();
    let mut scene = Scene::set().await;
    let to = scene.gateway.public;
    let long = format!("/{}", "x".repeat(20_000));
    let answer = scene.counts(BAD_HEAD, 1.0, request(to, "GET", &long, &[], b"")).await;
    assert!([414, 431].contains(&answer.status), "{}", answer.head);
    let value = "y".repeat(20_000);
    let large = [("X-Long", value.as_str())];
    let many: Vec<(String, String)> = (0..300).map(|n| (format!("X-{n}"), n.to_string())).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for headers in [&large[..], &many] {
        let answer = scene.counts(BAD_HEAD, 1.0, request(to, "GET", "/", headers, b"")).await;
        assert_eq!(answer.status, 431, "{}", answer.head);
    }
    for line in
        ["GET", "GET /", "GET / HTTP/9.9", "\0\0\0", "GET /\u{1} HTTP/1.1", "你好 / HTTP/1.1"]
    {
        let head = format!("{line}\r\n\r\n");
        let answer = scene.counts(BAD_HEAD, 1.0, exchange(to, head.as_bytes())).await;
        assert!(answer.is_none_or(|answer| answer.status == 400), "{line}");
    }
    let before = scene.gateway.metric(BAD_HEAD.0, BAD_HEAD.1).await;
    for _ in 0..50 {
        let mut bytes = vec![0; random.random_range(1..2_000)];
        random.fill_bytes(&mut bytes);
        bytes.extend(b"\r\n\r\n");
        let answer = exchange(to, &bytes).await;
        assert!(answer.is_none_or(|answer| (400..500).contains(&answer.status)), "{bytes:x?}");
    }
    scene.gateway.until_metric(BAD_HEAD.0, BAD_HEAD.1, |count| count == before + 50.0).await;
    scene.goes_on().await;
    scene.end().await;
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_is_not_waited_for() {
    let mut scene = Scene::set().await;
    let to = scene.gateway.public;
    for (head, status) in [
        ("POST / HTTP/1.1\r\nContent-Length: 1000000000", 405),
        ("GET / HTTP/1.1\r\nContent-Length: 1000000000", 200),
        ("GET /nothing HTTP/1.1\r\nTransfer-Encoding: chunked", 404),
        ("POST /ws HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99", 400),
    ] {
        let begun = Instant::now();
        let head = format!("{head}\r\nHost: x\r\n\r\n");
        let answer = exchange(to, head.as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, status, "{head}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{head}: {:?}", begun.elapsed());
    }
    scene.goes_on().await;
    scene.end().await;
}

/// The time that a head may take is fixed at five seconds.
#[tokio::test]
async fn heads_that_do_not_come_are_not_waited_for() {
    let mut scene = Scene::set().await;
    let to = scene.gateway.public;
    let begun = Instant::now();
    let slow = async |head: &'static str| {
        let answer = exchange_slowly(to, head).await;
        (answer.map(|answer| answer.status), begun.elapsed())
    };
    let heads = async {
        tokio::join!(
            slow(""),
            slow("GET / HT"),
            slow("GET / HTTP/1.1\r\nHost: x\r\nX: "),
            // One that was answered, and another that does not come behind it.
            slow("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"),
        )
    };
    let heads = scene.counts(("barrage_turned_away_total", "slow_head"), 4.0, heads).await;
    assert_eq!(heads.3.0, Some(200));
    for (status, taken) in [heads.0, heads.1, heads.2, heads.3] {
        assert!(status.is_none_or(|status| [200, 408].contains(&status)), "{status:?}");
        assert!(taken >= Duration::from_secs(4), "{taken:?}: slow is not dead");
        assert!(taken <= Duration::from_secs(20), "{taken:?}, on a busy machine");
    }
    scene.goes_on().await;
    scene.end().await;
}

/// Sends a part of a head, then a byte now and then, until the other side gives up.
async fn exchange_slowly(to: SocketAddr, head: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let drip = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if !head.is_empty() && write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reading = soon("the end", read.read_to_end(&mut answer));
    tokio::select! {
        _ = reading => {}
        () = drip => {}
    }
    http::parse(&answer)
}
