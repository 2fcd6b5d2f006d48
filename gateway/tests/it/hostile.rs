//! Input that is meant to harm: each is answered as documented and counted, and others on the shard
//! go on. What it leaves in memory is looked at in `harm`.

#![allow(clippy::print_stdout, reason = "what strangers cost, for whoever looks for it")]

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::TestClient;
use crate::support::frames::{CONTINUATION, FIN, Frame, PONG, TEXT};
use crate::support::gateway::{TestGateway, metric};
use crate::support::process::GatewayProcess;
use crate::support::scene::{ROOM, Scene};
use crate::support::{events, soon, tls, until};

#[tokio::test]
async fn rooms_with_hostile_names_are_names_like_any_other_or_refused() {
    let gateway = TestGateway::with(|config| config.shards = 1).await;
    let (mut ann, mut bob) = (gateway.client().await, gateway.client().await);
    let longest = "长".repeat(32);
    let fine = [
        "*",
        ">",
        "..",
        ".",
        "/",
        "../../etc",
        "a.b.>",
        "a b",
        "%00",
        "\\",
        "'\"<script>",
        "{}",
        "null",
        "🐶🏽‍♀️",
        longest.as_str(),
        "_INBOX.x",
        "x\u{200d}y",
    ];
    for room in fine {
        ann.join(room).await;
        bob.join(room).await;
        ann.publish(room, "在").await;
        bob.hears(room, "在").await;
        assert_eq!(gateway.api.history(room, 10).await["events"].as_array().unwrap().len(), 1);
        ann.leave(room).await;
        bob.leave(room).await;
    }
    let joins = gateway.metric("barrage_refusals_total", "bad_request").await;
    let long = format!("{longest}x");
    let refused = ["", "$x", "$canary", "a\u{202e}b", "a\u{2028}", "\0", "a\nb", "\u{feff}", &long];
    for room in refused {
        ann.ask_in_vain(json!({ "type": "join", "room": room }), "bad_request").await;
    }
    let counted = gateway.metric("barrage_refusals_total", "bad_request").await - joins;
    assert_eq!(counted, refused.len() as f64);
    // One room is not another's pattern.
    ann.join("*").await;
    bob.join(ROOM).await;
    bob.publish(ROOM, "私").await;
    bob.hears(ROOM, "私").await;
    ann.assert_lives().await;
    assert!(ann.memory.accounts.get("*").is_none_or(|account| account.find("私").is_none()));
    gateway.end().await;
}

/// Messages that are JSON, more or less, and the code each is refused with.
fn bad_messages() -> Vec<(String, &'static str)> {
    let publish =
        |body: &str| format!(r#"{{"type":"publish","room":"demo","id":1,"body":{body}}}"#);
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep_objects = format!("{}1{}", r#"{"a":"#.repeat(2_000), "}".repeat(2_000));
    vec![
        ("null".to_owned(), "bad_request"),
        ("[]".to_owned(), "bad_request"),
        ("{".repeat(1_000), "bad_request"),
        (deep.clone(), "bad_request"),
        (deep_objects.clone(), "bad_request"),
        (publish(&deep), "bad_request"),
        (publish(&deep_objects), "bad_request"),
        (r#"{"type":1,"id":1}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":1,"room":{}}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":1,"room":["demo"]}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":1,"room":null}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":-1,"room":"demo"}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":1e400,"room":"demo"}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":1,"room":"demo","history":1e99}"#.to_owned(), "bad_request"),
        (r#"{"type":"join","id":1,"room":"demo","history":true}"#.to_owned(), "bad_request"),
        (r#"{"type":"nothing","id":1}"#.to_owned(), "unknown_type"),
        (publish("[]"), "bad_request"),
        (publish("\"text\""), "bad_request"),
        (publish(r#"{"text":1}"#), "bad_request"),
        (publish(r#"{"text":""}"#), "bad_request"),
        (publish(r#"{"text":"x","color":"javascript:0"}"#), "bad_request"),
        (publish(r#"{"text":"x","mode":"explode"}"#), "bad_request"),
        (publish(&format!(r#"{{"text":"{}"}}"#, "x".repeat(15_000))), "too_large"),
        (publish(r#"{"text":"\ud800"}"#), "bad_request"),
    ]
}

#[tokio::test]
async fn messages_that_are_no_commands_are_refused_with_their_code() {
    let gateway = TestGateway::with(|config| config.shards = 1).await;
    let mut viewer = gateway.viewer(ROOM).await;
    for (message, code) in bad_messages() {
        let mut client = gateway.viewer(ROOM).await;
        let refused = async {
            client.say(&message).await;
            client.until("an error", |memory| memory.first("error").cloned()).await
        };
        let error = gateway.counts(("barrage_refusals_total", code), 1.0, refused).await;
        let shown: String = message.chars().take(80).collect();
        assert_eq!(error["code"], code, "{shown}: {error}");
        let told = error["message"].as_str().unwrap();
        assert!(!told.contains("javascript"), "an error repeats nothing: {told}");
        client.assert_lives().await;
        viewer.assert_lives().await;
    }
    gateway.end().await;
}

#[tokio::test]
async fn floods_of_what_is_no_command_hold_nobody_up() {
    let mut scene = Scene::set().await;
    let empty_parts = Frame::new(CONTINUATION, *b"").bytes().repeat(1_000);
    let pongs = Frame::new(FIN | PONG, *b"unasked").bytes().repeat(1_000);
    for flood in [empty_parts, pongs] {
        let mut client = scene.client(false, true).await;
        client.send(&Frame::new(TEXT, *b"")).await;
        let flooding = tokio::spawn(async move {
            loop {
                client.write(&flood).await;
            }
        });
        let begun = Instant::now();
        for _ in 0..10 {
            scene.goes_on().await;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(!flooding.is_finished(), "the flood goes on");
        flooding.abort();
        let _ = flooding.await;
    }
    scene.until_alone().await;
    scene.end().await;
}

/// Strangers who say so much and no more: each costs little, and is cut off and counted. Others on
/// their shard go on.
async fn strangers_who_stop(process: &GatewayProcess, said: &[u8], counted: &str) {
    const STRANGERS: usize = 500;
    let before = process.resident_bytes();
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        let mut stream = TcpStream::connect(process.public).await.unwrap();
        stream.write_all(said).await.unwrap();
        strangers.push(stream);
    }
    process.api.publish(ROOM, events::chat(ROOM, "在")).await;
    let most = Cell::new(before);
    until("all are cut off", || async {
        most.set(most.get().max(process.resident_bytes()));
        let cut = metric(process.admin, "barrage_turned_away_total", counted).await;
        (cut >= STRANGERS as f64).then_some(())
    })
    .await;
    let each = (most.get() - before) / STRANGERS as u64;
    println!("{each} bytes at most for each of {STRANGERS} connections until it is {counted}");
    assert!(each < 64 * 1024, "{each}");
    for mut stream in strangers {
        // An answer that it was too slow, or none.
        let _ = soon("the end", stream.read_to_end(&mut Vec::new())).await;
    }
    process.api.publish(ROOM, events::chat(ROOM, "还在")).await;
}

#[tokio::test]
async fn heads_that_never_end_are_cut_off_and_cost_little_until_then() {
    let process = GatewayProcess::start(&["--shards", "1"]).await;
    let mut viewer = TestClient::connect(process.public).await;
    viewer.join(ROOM).await;
    let half = b"GET /ws HTTP/1.1\r\nHost: half\r\nX-Half: ";
    strangers_who_stop(&process, half, "slow_head").await;
    viewer.hears(ROOM, "还在").await;
    viewer.memory.account(ROOM).assert_closes();
}

#[tokio::test]
async fn tls_handshakes_that_never_end_are_cut_off_and_cost_little_until_then() {
    let process = GatewayProcess::start(&["--shards", "1", "--tls", "self-signed"]).await;
    let stream = tls::connect(process.public, None).await;
    let mut viewer = TestClient::over(stream, process.public).await;
    viewer.join(ROOM).await;
    // The header of a record of 4 KiB that begins a handshake, and the first of it.
    let half = [&[22, 3, 1, 16, 0, 1, 0, 15, 252][..], &[3; 2_000]].concat();
    strangers_who_stop(&process, &half, "tls_handshake").await;
    viewer.hears(ROOM, "还在").await;
    viewer.memory.account(ROOM).assert_closes();
}
