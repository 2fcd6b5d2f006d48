//! Tokens over real connections: who is let in, what they may do, and for how long.

use std::time::Duration;

use gateway::config::{Anonymous, Rate};
use gateway::secret::Secret;
use rig::lag::Lag;
use serde_json::{Value, json};

use crate::support::client::{Dial, TestClient};
use crate::support::gateway::TestGateway;
use crate::support::stream::{Ask, EventClient};
use crate::support::tokens::{
    NEXT_SECRET, SECRET, Signer, assert_turned_away, bearer, claims, closed, now_s, token,
};
use crate::support::{http, soon, until};

const ALL: [&str; 2] = ["view", "chat"];

fn refresh(token: &str) -> Value {
    json!({ "type": "refresh", "token": token })
}

fn publish(room: &str) -> Value {
    json!({ "type": "publish", "room": room, "body": { "text": "hi" } })
}

#[tokio::test]
async fn a_token_may_come_in_each_of_three_ways_and_is_never_echoed() {
    let gateway = closed(|_| {}).await;
    let mut claims = claims("42", &ALL);
    claims["name"] = json!("小明");
    claims["roles"] = json!(["moderator"]);
    claims["level"] = json!(12);
    let token = token(&claims);
    let (path, authorization) = (format!("/ws?token={token}"), format!("Bearer {token}"));
    let offer = format!("barrage.v1, bearer.{token}");
    for dial in [
        Dial { path: &path, ..Dial::default() },
        Dial { headers: vec![("Authorization", &authorization)], ..Dial::default() },
        Dial { headers: vec![("Sec-WebSocket-Protocol", &offer)], ..Dial::default() },
    ] {
        let mut client = gateway.dial(dial).await;
        let user = json!({ "id": "42", "name": "小明", "roles": ["moderator"], "level": 12 });
        assert_eq!(client.memory.first("welcome").unwrap()["user"], user);
        let headers = format!("{:?}", client.response.headers());
        assert!(!headers.contains(&token), "{headers}");
        client.join("demo").await;
        assert_eq!(client.publish("demo", "弹").await["user"], user);
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_bad_token_is_told_and_closed_for_good_and_an_old_one_may_come_back() {
    let gateway = closed(|config| config.shards = 1).await;
    let good = token(&claims("42", &ALL));
    let mut witness = bearer(&gateway, &good).await;
    witness.join("demo").await;
    let forged = Signer::Secret("a secret that somebody else has made up").sign(&claims("1", &ALL));
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    let later = json!({ "sub": "42", "exp": now_s() + 3600, "nbf": now_s() + 600 });
    let endless = token(&json!({ "sub": "42" }));
    for bad in ["x", &forged, &unsigned, &token(&later), &endless, &Signer::Rsa("r").sign(&later)] {
        let closes = ("barrage_closes_total", "reason=\"bad_token\"");
        let refused = assert_turned_away(&gateway, bad, "unauthorized", 4500);
        gateway.counts(closes, 1.0, refused).await;
        witness.publish("demo", "还在").await;
    }
    let old = token(&json!({ "sub": "42", "exp": now_s() - 1 }));
    assert_turned_away(&gateway, &old, "token_expired", 4004).await;
    assert_turned_away(&gateway, "", "unauthorized", 4500).await;
    assert_eq!(gateway.metric("barrage_token_faults_total", "signature").await, 2.0);
    assert_eq!(gateway.metric("barrage_token_faults_total", "expired").await, 1.0);
    assert_eq!(gateway.metric("barrage_token_faults_total", "missing").await, 1.0);
    assert_eq!(gateway.metric("barrage_closes_total", "bad_token").await, 7.0);
    assert_eq!(gateway.metric("barrage_closes_total", "token_expired").await, 1.0);
    gateway.until_metric("barrage_connections", "", |held| held == 1.0).await;
    witness.reaches("demo", 6).await;
    witness.memory.account("demo").assert_closes();
    gateway.end().await;
}

#[tokio::test]
async fn rights_hold_by_room() {
    let gateway = closed(|_| {}).await;
    let rooms = json!([
        { "room": "demo", "can": ["view"] },
        { "room": "live-*", "can": ["view", "chat"] },
    ]);
    let claims = json!({ "sub": "42", "exp": now_s() + 3600, "rooms": rooms });
    let mut client = bearer(&gateway, &token(&claims)).await;
    let refused = json!({ "type": "join", "room": "other" });
    let error = client.ask_in_vain(refused, "forbidden").await;
    assert_eq!(error["room"], "other");
    client.join("demo").await;
    assert_eq!(client.ask_in_vain(publish("demo"), "forbidden").await["room"], "demo");
    client.join("live-1").await;
    client.publish("live-1", "hi").await;
    let nowhere = json!({ "sub": "43", "exp": now_s() + 3600 });
    let mut client = bearer(&gateway, &token(&nowhere)).await;
    client.ask_in_vain(json!({ "type": "join", "room": "demo" }), "forbidden").await;
    gateway.end().await;
}

#[tokio::test]
async fn a_refresh_changes_what_the_next_command_may_do() {
    let gateway = closed(|_| {}).await;
    let mut client = bearer(&gateway, &token(&claims("42", &["view"]))).await;
    client.join("demo").await;
    client.ask_in_vain(publish("demo"), "forbidden").await;
    // Wider, and narrower, each said in one breath with a command.
    for (can, reply) in [(&ALL[..], "ack"), (&["view"][..], "error")] {
        let said = client.command(refresh(&token(&claims("42", can)))).await;
        let next = client.command(publish("demo")).await;
        let replies = client.until("both replies", |memory| {
            Some([memory.reply(said)?["type"].clone(), memory.reply(next)?["type"].clone()])
        });
        assert_eq!(replies.await, ["ack", reply]);
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_room_that_a_new_token_does_not_allow_is_left() {
    let gateway = closed(|_| {}).await;
    let both = json!([
        { "room": "demo", "can": ["view"] },
        { "room": "other", "can": ["view", "chat"] },
    ]);
    let wide = json!({ "sub": "42", "exp": now_s() + 3600, "rooms": both });
    let mut client = bearer(&gateway, &token(&wide)).await;
    client.join("demo").await;
    client.join("other").await;
    let narrow = claims("42", &["view"]);
    assert_eq!(client.ask(refresh(&token(&narrow))).await["type"], "ack");
    let told: Vec<_> = client.memory.messages.iter().filter(|m| m["room"] == "other").collect();
    assert_eq!((&told[1]["type"], &told[1]["code"]), (&json!("error"), &json!("forbidden")));
    assert_eq!((&told[2]["type"], told.len()), (&json!("left"), 3));
    client.ask_in_vain(publish("other"), "not_joined").await;
    // The other room goes on.
    gateway.api.publish("demo", json!({ "body": { "text": "hi" } })).await;
    client.hears("demo", "hi").await;
    gateway.end().await;
}

#[tokio::test]
async fn a_refresh_is_for_the_same_user_and_for_good_tokens_only() {
    let gateway = closed(|config| config.auth.anonymous = Anonymous::View).await;
    let mut client = bearer(&gateway, &token(&claims("42", &ALL))).await;
    client.join("demo").await;
    client.ask_in_vain(refresh(&token(&claims("43", &ALL))), "forbidden").await;
    client.ask_in_vain(refresh("x.y.z"), "unauthorized").await;
    let old = token(&json!({ "sub": "42", "exp": now_s() - 1 }));
    client.ask_in_vain(refresh(&old), "token_expired").await;
    client.ask_in_vain(json!({ "type": "refresh" }), "bad_request").await;
    client.ask_in_vain(refresh(&"x".repeat(9_000)), "too_large").await;
    // None of it has changed anything.
    client.publish("demo", "still").await;
    let mut guest = gateway.viewer("demo").await;
    guest.ask_in_vain(refresh(&token(&claims("42", &ALL))), "forbidden").await;
    guest.ask_in_vain(publish("demo"), "forbidden").await;
    gateway.end().await;
}

/// What is promised within 2 s may take the gateway, its socket and this client as much longer as
/// each of them had to wait for a core.
fn within_2_s(lag: &Lag) -> Duration {
    Duration::from_secs(2) + 3 * lag.worst()
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let gateway = closed(|config| config.shards = 1).await;
    let ends = |s: u64| {
        let mut claims = claims("42", &ALL);
        claims["exp"] = json!(now_s() + s);
        (token(&claims), Duration::from_secs(now_s() + s))
    };
    let unix = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let lag = Lag::measure();
    let (first, first_ends) = ends(6);
    let mut closed = bearer(&gateway, &first).await;
    closed.join("demo").await;
    // One that goes on with a new token, and one that goes on with a shorter one.
    let mut stays = bearer(&gateway, &first).await;
    let (long, _) = ends(3600);
    assert_eq!(stays.ask(refresh(&long)).await["type"], "ack");
    let mut shortened = bearer(&gateway, &long).await;
    assert_eq!(shortened.ask(refresh(&first)).await["type"], "ack");
    for client in [&mut closed, &mut shortened] {
        assert_eq!(client.ends().await, Some(4004));
        let late = unix().checked_sub(first_ends).expect("not before its time");
        assert!(late < within_2_s(&lag), "{late:?}, {lag:?}");
    }
    assert_eq!(gateway.metric("barrage_closes_total", "token_expired").await, 2.0);
    stays.assert_lives().await;
    gateway.end().await;
}

#[tokio::test]
async fn two_secrets_are_valid_while_rotating_and_a_withdrawn_one_is_not() {
    let gateway = closed(|config| config.auth.secrets.push(Secret::new(NEXT_SECRET))).await;
    for secret in [SECRET, NEXT_SECRET] {
        bearer(&gateway, &Signer::Secret(secret).sign(&claims("42", &ALL))).await;
    }
    gateway.end().await;
    let gateway = closed(|config| config.auth.secrets = vec![Secret::new(NEXT_SECRET)]).await;
    assert_turned_away(&gateway, &token(&claims("42", &ALL)), "unauthorized", 4500).await;
    gateway.end().await;
}

#[tokio::test]
async fn strangers_may_what_is_set_and_tokens_count_beside() {
    let gateway = closed(|config| config.auth.anonymous = Anonymous::View).await;
    let mut guest = gateway.viewer("demo").await;
    guest.ask_in_vain(publish("demo"), "forbidden").await;
    let mut member = bearer(&gateway, &token(&claims("42", &ALL))).await;
    member.join("demo").await;
    member.publish("demo", "hi").await;
    guest.hears("demo", "hi").await;
    // A bad token is not taken for none.
    assert_turned_away(&gateway, "x.y.z", "unauthorized", 4500).await;
    gateway.end().await;
    // In development without keys nothing changes, whatever a page sends.
    let open = TestGateway::start().await;
    let mut guest = bearer(&open, "x.y.z").await;
    guest.join("demo").await;
    guest.publish("demo", "hi").await;
    open.end().await;
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_before_the_upgrade() {
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.auth.origins = vec!["https://example.com".parse().unwrap()];
    })
    .await;
    let dial = |origin| Dial { headers: vec![("Origin", origin)], ..Dial::default() };
    let mut witness = gateway.dial(dial("https://example.com")).await;
    gateway.client().await.assert_lives().await;
    for other in ["https://evil.example", "null"] {
        let refused = TestClient::try_dial(gateway.public, dial(other)).await.err().unwrap();
        assert!(refused.to_string().contains("403"), "{refused}");
        let path = "/v1/rooms/demo/events";
        let answer = http::request(gateway.public, "GET", path, &[("Origin", other)], b"").await;
        answer.assert_refused(403, "forbidden");
        witness.assert_lives().await;
    }
    assert_eq!(gateway.metric("barrage_turned_away_total", "origin").await, 4.0);
    gateway.end().await;
}

#[tokio::test]
async fn a_user_holds_sixteen_connections_wherever_they_come_from() {
    let gateway = closed(|_| {}).await;
    let mine = token(&claims("42", &ALL));
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(bearer(&gateway, &mine).await);
    }
    // A fresh token is no new user.
    let again = Signer::Secret(SECRET).sign(&claims("42", &["view"]));
    let path = format!("/ws?token={again}");
    let dial = || TestClient::try_dial(gateway.public, Dial { path: &path, ..Dial::default() });
    let mut over = dial().await.expect("an upgrade");
    assert_eq!(over.ends().await, Some(4504));
    assert!(over.memory.messages.is_empty(), "{:?}", over.memory.messages);
    assert_eq!(gateway.metric("barrage_closes_total", "too_many_connections").await, 1.0);
    bearer(&gateway, &token(&claims("43", &ALL))).await.assert_lives().await;
    for client in &mut held {
        client.assert_lives().await;
    }
    // Whoever goes makes room.
    held.pop().unwrap().close().await;
    until("a place", || async {
        let mut client = dial().await.ok()?;
        while !client.memory.ended && client.memory.first("welcome").is_none() {
            client.read().await;
        }
        client.memory.first("welcome").map(drop)
    })
    .await;
    gateway.end().await;
}

#[tokio::test]
async fn connections_of_a_user_share_what_the_user_may_publish() {
    let gateway = closed(|config| {
        config.session.publishes = Rate { burst: 5, period: Duration::from_secs(60) };
    })
    .await;
    let mine = token(&claims("42", &ALL));
    let mut devices = Vec::new();
    for _ in 0..5 {
        let mut device = bearer(&gateway, &mine).await;
        device.join("demo").await;
        device.publish("demo", "hi").await;
        devices.push(device);
    }
    // A new connection brings nothing new, and neither does leaving.
    drop(devices.pop());
    let mut another = bearer(&gateway, &mine).await;
    another.join("demo").await;
    for device in devices.iter_mut().chain([&mut another]) {
        let refused = device.ask_in_vain(publish("demo"), "rate_limited").await;
        assert!(refused["retry_after_ms"].as_u64().unwrap() > 0, "{refused}");
    }
    assert_eq!(gateway.metric("barrage_refusals_total", "rate_limited").await, 5.0);
    let mut other = bearer(&gateway, &token(&claims("43", &ALL))).await;
    other.join("demo").await;
    other.publish("demo", "hi").await;
    gateway.end().await;
}

#[tokio::test]
async fn event_streams_ask_for_the_same() {
    let gateway = closed(|_| {}).await;
    let get = |query: String| {
        let path = format!("/v1/rooms/demo/events?{query}");
        async move { http::request(gateway.public, "GET", &path, &[], b"").await }
    };
    let faults = |fault: &'static str| ("barrage_token_faults_total", fault);
    let refused = gateway.counts(faults("missing"), 1.0, get(String::new())).await;
    refused.assert_refused(401, "unauthorized");
    let refused = gateway.counts(faults("malformed"), 1.0, get("token=x.y.z".to_owned())).await;
    refused.assert_refused(401, "unauthorized");
    let old = token(&json!({ "sub": "42", "exp": now_s() - 1 }));
    let refused = gateway.counts(faults("expired"), 1.0, get(format!("token={old}"))).await;
    refused.assert_refused(401, "token_expired");
    let chat_only = token(&claims("42", &["chat"]));
    let turned_away = ("barrage_turned_away_total", "forbidden");
    let refused = gateway.counts(turned_away, 1.0, get(format!("token={chat_only}"))).await;
    refused.assert_refused(403, "forbidden");

    let mut claims = claims("42", &["view"]);
    let lag = Lag::measure();
    let ends_s = now_s() + 6;
    claims["exp"] = json!(ends_s);
    let query = format!("token={}", token(&claims));
    let ask = Ask { query: &query, ..Ask::default() };
    let mut stream = EventClient::open(gateway.public, "demo", ask).await;
    assert_eq!(stream.answer.status, 200);
    stream.joined().await;
    let expired = ("barrage_closes_total", "token_expired");
    gateway.counts(expired, 1.0, soon("the end of the token", stream.ends())).await;
    let late_s = now_s().checked_sub(ends_s).expect("not before its time");
    assert!(Duration::from_secs(late_s) < within_2_s(&lag), "{late_s} s late");
    gateway.end().await;
}

#[tokio::test]
async fn streams_and_sockets_of_a_user_count_together() {
    let gateway = closed(|config| config.guests.connections_per_user_max = 2).await;
    let query = format!("token={}", token(&claims("42", &ALL)));
    let mut socket = bearer(&gateway, &token(&claims("42", &ALL))).await;
    let mut stream = {
        let ask = Ask { query: &query, ..Ask::default() };
        EventClient::open(gateway.public, "demo", ask).await
    };
    stream.joined().await;
    let turned_away = ("barrage_turned_away_total", "user_connections");
    let path = format!("/v1/rooms/demo/events?{query}");
    let third = http::request(gateway.public, "GET", &path, &[], b"");
    let third = gateway.counts(turned_away, 1.0, third).await;
    third.assert_refused(429, "rate_limited");
    assert!(third.header("retry-after").is_some() && third.text().contains("this user"));
    assert_eq!(gateway.metric("barrage_http_requests_total", "4xx").await, 1.0, "counted once");
    socket.assert_lives().await;
    gateway.end().await;
}
