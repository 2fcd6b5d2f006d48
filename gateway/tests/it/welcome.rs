//! Where clients connect, who they are then, and what they are told first.

use std::collections::HashSet;

use gateway::config::Config;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::support::client::{Dial, TestClient};
use crate::support::gateway::TestGateway;
use crate::support::http;

#[tokio::test]
async fn welcome_tells_who_the_client_is_and_what_it_may_send() {
    let gateway = TestGateway::with(|config| {
        config.session.publishes.burst = 7;
        config.timing.ping_interval_s = 11;
        config.timing.ping_timeout_s = 22;
    })
    .await;
    let (ann, bob) = (gateway.client().await, gateway.client().await);
    let welcome = ann.memory.first("welcome").unwrap();
    assert_eq!(ann.memory.messages.len(), 1, "welcome is the first message");
    assert_eq!(welcome["resumed"], false);
    assert_eq!(welcome["ping_interval_ms"], 11_000);
    assert_eq!(welcome["ping_timeout_ms"], 22_000);
    let limits = json!({
        "frame_bytes": 16_384, "peer_frame_bytes": 65_536, "text_chars": 200, "body_bytes": 8_192,
        "emotes": 16, "key_chars": 64, "likes_per_publish": 50, "publish_per_5s": 7, "rooms": 32,
        "history_events": 100, "commands_per_s": 2_500, "commands_burst": 10_000,
        "connections_per_user": 16, "publish_burst": 7, "publish_period_ms": 5_000,
        "likes_burst": 10_000, "likes_period_ms": 2_000, "room_bytes": 96, "token_bytes": 8_192,
        "control_messages": 256, "control_bytes": 1_048_576, "unsent_bytes": 524_288,
    });
    assert_eq!(welcome["limits"], limits);
    let users = [&ann, &bob].map(|client| client.memory.first("welcome").unwrap()["user"].clone());
    assert_ne!(users[0]["id"], users[1]["id"], "every anonymous connection is a user of its own");
    assert!(users[0]["id"].as_str().unwrap().starts_with("anon-"));
    assert!(users[0].get("name").is_none());
    let nodes: HashSet<_> = [&ann, &bob]
        .map(|client| client.memory.first("welcome").unwrap()["node"].to_string())
        .into();
    assert_eq!(nodes.len(), 1);
    gateway.end().await;
}

#[tokio::test]
async fn the_name_in_the_address_is_shown_less_what_is_invisible() {
    let gateway = TestGateway::start().await;
    let long = "字".repeat(40);
    let cases = [
        ("/ws?name=%E5%B0%8F%E6%98%8E", Some("小明")),
        ("/ws?x=1&name=Ann+B&name=C", Some("Ann B")),
        ("/ws?name=a%00b%E2%80%8Bc%0A", Some("abc")),
        ("/ws?name=%20%20", None),
        ("/ws?name=", None),
    ];
    for (path, name) in cases {
        let client = gateway.dial(Dial { path, ..Dial::default() }).await;
        let user = client.memory.first("welcome").unwrap()["user"].clone();
        assert_eq!(user.get("name").and_then(Value::as_str), name, "{path}");
    }
    let path = format!("/ws?name={}", http::percent(&long));
    let mut client = gateway.dial(Dial { path: &path, ..Dial::default() }).await;
    let name = client.memory.first("welcome").unwrap()["user"]["name"].clone();
    assert_eq!(name.as_str().unwrap().chars().count(), 32);
    client.join("demo").await;
    assert_eq!(client.publish("demo", "我").await["user"]["name"], name);
    gateway.end().await;
}

#[tokio::test]
async fn our_subprotocol_is_echoed_when_offered_and_no_other() {
    let gateway = TestGateway::start().await;
    let offers: [(&str, Option<&str>); 3] = [
        ("barrage.v1", Some("barrage.v1")),
        ("bearer.secret, barrage.v1", Some("barrage.v1")),
        ("", None),
    ];
    for (offer, echoed) in offers {
        let headers =
            if offer.is_empty() { Vec::new() } else { vec![("Sec-WebSocket-Protocol", offer)] };
        let client = gateway.dial(Dial { headers, ..Dial::default() }).await;
        let answer = client.response.headers().get("sec-websocket-protocol");
        assert_eq!(answer.map(|value| value.to_str().unwrap()), echoed, "{offer}");
    }
    // A client that offers only others gets none; whether it goes on is its own decision.
    let headers = vec![("Sec-WebSocket-Protocol", "chat, superchat")];
    let dial = Dial { headers, ..Dial::default() };
    let refused = TestClient::try_dial(gateway.public, dial).await.err().expect("no subprotocol");
    assert!(matches!(*refused, Error::Protocol(_)), "{refused}");
    gateway.end().await;
}

#[tokio::test]
async fn everything_is_below_the_base_path() {
    let gateway = TestGateway::with(|config| config.public.base_path = "/live".to_owned()).await;
    let mut client = gateway.dial(Dial { path: "/live/ws", ..Dial::default() }).await;
    client.join("demo").await;
    client.publish("demo", "在").await;
    let get = async |path: &str| http::request(gateway.public, "GET", path, &[], b"").await;
    assert_eq!(get("/live/").await.status, 200);
    let moved = get("/live").await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("/live/")));
    for path in ["/", "/ws", "/livews", "/live2/", "/client.json"] {
        get(path).await.assert_refused(404, "not_found");
    }
    let told = get("/live/client.json").await;
    assert_eq!(told.json()["dev"], true);
    gateway.end().await;
}

#[tokio::test]
async fn without_development_strangers_are_refused() {
    let flags = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let closed = Config::from_flags(&flags).unwrap();
    let gateway = TestGateway::with(|config| *config = closed).await;
    let dialled = TestClient::try_dial(gateway.public, Dial::default()).await;
    let mut stranger = dialled.expect("a WebSocket, to be told through it");
    assert_eq!(stranger.ends().await, Some(4500));
    let told: Vec<_> = stranger.memory.messages.iter().map(|m| (&m["type"], &m["code"])).collect();
    assert_eq!(told, [(&json!("error"), &json!("unauthorized"))]);
    let refused = gateway.api.get("/v1/rooms/demo").await;
    refused.assert_refused(401, "unauthorized");
    gateway.end().await;
}
