//! Input that is meant to harm: each is answered as documented and counted, memory stays where it
//! was, and others on the shard go on.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::client::TestClient;
use crate::support::frames::{FIN, Frame, RSV1, TEXT};
use crate::support::gateway::{TestGateway, metric};
use crate::support::process::GatewayProcess;
use crate::support::raw::RawClient;
use crate::support::until;

const ROOM: &str = "demo";
/// What memory may grow by after the first rounds: buffers of allocators, not of clients.
const GROWTH_BYTES_MAX: u64 = 6 * 1024 * 1024;

#[tokio::test]
async fn rooms_with_hostile_names_are_names_like_any_other_or_refused() {
    let gateway = TestGateway::start().await;
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
        client.say(&message).await;
        let error = client.until("an error", |memory| memory.first("error").cloned()).await;
        let shown: String = message.chars().take(80).collect();
        assert_eq!(error["code"], code, "{shown}: {error}");
        let told = error["message"].as_str().unwrap();
        assert!(!told.contains("javascript"), "an error repeats nothing: {told}");
        client.assert_lives().await;
        viewer.assert_lives().await;
    }
    gateway.end().await;
}

/// One client that does harm, then goes or is made to go.
async fn harm(process: &GatewayProcess, kind: usize) {
    let to = process.public;
    match kind % 6 {
        // Half a head, and the end.
        0 => {
            let mut stream = TcpStream::connect(to).await.unwrap();
            let _ = stream.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
        }
        // Half a frame, announcing much.
        1 => {
            let mut client = RawClient::connect(to).await;
            client
                .write_in_vain(&Frame::new(FIN | TEXT, vec![b' '; 60_000]).bytes()[..30_000])
                .await;
        }
        // Half a message.
        2 => {
            let mut client = RawClient::compressing(to).await;
            client.write_in_vain(&Frame::new(TEXT, vec![b' '; 60_000]).bytes()).await;
        }
        // A bomb.
        3 => {
            let bomb = protocol::deflate::Deflater::new().deflate(&vec![b' '; 4 * 1024 * 1024]);
            let mut client = RawClient::compressing(to).await;
            client.send(&Frame::new(FIN | RSV1 | TEXT, bomb)).await;
            assert_eq!(client.ends().await, Some(1009));
        }
        // Malformed messages until it is closed.
        4 => {
            let mut client = RawClient::connect(to).await;
            for _ in 0..9 {
                client.write_in_vain(&Frame::text(&"[".repeat(10_000)).bytes()).await;
            }
            assert_eq!(client.ends().await, Some(4502));
        }
        // A head that is too large.
        _ => {
            let value = "y".repeat(20_000);
            let answer =
                crate::support::http::request(to, "GET", "/", &[("X-Long", &value)], b"").await;
            assert_eq!(answer.status, 431);
        }
    }
}

#[tokio::test]
async fn harm_repeated_leaves_memory_where_it_was_and_others_untouched() {
    const ROUNDS: usize = 600;
    let process = GatewayProcess::start(&["--tick", "100", "--shards", "1"]).await;
    let mut viewer = TestClient::connect(process.public).await;
    viewer.join(ROOM).await;
    let mut measured = Vec::new();
    for round in 0..4 {
        for n in 0..ROUNDS / 4 {
            harm(&process, n).await;
        }
        until("only the viewer is left", || async {
            (metric(process.admin, "barrage_connections", "").await == 1.0).then_some(())
        })
        .await;
        viewer.publish(ROOM, &format!("还在 {round}")).await;
        viewer.hears(ROOM, &format!("还在 {round}")).await;
        measured.push(process.resident_bytes());
    }
    viewer.memory.account(ROOM).assert_closes();
    println!("KiB after each round: {:?}", measured.iter().map(|b| b / 1024).collect::<Vec<_>>());
    assert!(measured[3] <= measured[1] + GROWTH_BYTES_MAX, "{measured:?}");
    for reason in ["too_large", "protocol_abuse", "lost"] {
        assert!(metric(process.admin, "barrage_closes_total", reason).await > 0.0, "{reason}");
    }
    let bad_heads = metric(process.admin, "barrage_turned_away_total", "bad_head").await;
    assert!(bad_heads >= (ROUNDS / 6) as f64, "{bad_heads}");
}

/// What a stranger who never finishes a request costs, and for how long.
#[tokio::test]
async fn heads_that_never_end_are_cut_off_and_cost_little_until_then() {
    const STRANGERS: usize = 500;
    let process = GatewayProcess::start(&["--shards", "1"]).await;
    let mut viewer = TestClient::connect(process.public).await;
    viewer.join(ROOM).await;
    let mut strangers = Vec::new();
    let before = process.resident_bytes();
    for _ in 0..STRANGERS {
        let mut stream = TcpStream::connect(process.public).await.unwrap();
        stream.write_all(b"GET /ws HTTP/1.1\r\nHost: half\r\nX-Half: ").await.unwrap();
        strangers.push(stream);
    }
    viewer.assert_lives().await;
    let each = process.resident_bytes().saturating_sub(before) / STRANGERS as u64;
    println!("{each} bytes for each of {STRANGERS} connections with half a head");
    assert!(each < 64 * 1024, "{each}");
    until("all are cut off", || async {
        let cut = metric(process.admin, "barrage_turned_away_total", "slow_head").await;
        (cut >= STRANGERS as f64).then_some(())
    })
    .await;
    viewer.assert_lives().await;
}
