//! Keys that come and go while a gateway runs, and what is logged of tokens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gateway::secret::Secret;
use serde_json::json;

use crate::support::client::{Dial, TestClient};
use crate::support::http::Api;
use crate::support::issuer::Issuer;
use crate::support::tokens::{
    NEXT_SECRET, SECRET, Signer, assert_turned_away, bearer, claims, closed, token,
};
use crate::support::{soon, until};

const ALL: [&str; 2] = ["view", "chat"];
const OLD: Signer = Signer::Ed25519("old");
const NEW: Signer = Signer::Other("new");

#[tokio::test]
async fn published_keys_rotate_without_anybody_being_turned_away() {
    let issuer = Issuer::start(&[OLD, Signer::Rsa("r"), Signer::P256("p")]).await;
    let url = issuer.url();
    let gateway = closed(|config| {
        config.auth.jwks_url = Some(url.parse().unwrap());
        config.auth.keys_pause = Duration::from_millis(300);
    })
    .await;
    for signer in [OLD, Signer::Rsa("r"), Signer::P256("p"), Signer::Secret(SECRET)] {
        bearer(&gateway, &signer.sign(&claims("42", &ALL))).await;
    }
    let mut session = bearer(&gateway, &OLD.sign(&claims("42", &ALL))).await;
    // The first bearer of a new key waits a moment and is let in.
    issuer.publish(&[OLD, NEW]);
    let fresh = NEW.sign(&claims("42", &ALL));
    bearer(&gateway, &fresh).await;
    assert_eq!(session.ask(json!({ "type": "refresh", "token": fresh })).await["type"], "ack");
    // The old key is withdrawn when the keys are fetched again.
    issuer.publish(&[NEW]);
    assert_turned_away(
        &gateway,
        &Signer::Ed25519("x").sign(&claims("1", &ALL)),
        "unauthorized",
        4500,
    )
    .await;
    assert_turned_away(&gateway, &OLD.sign(&claims("42", &ALL)), "unauthorized", 4500).await;
    gateway.until_metric("barrage_keys", "", |keys| keys == 2.0).await;
    gateway.end().await;
}

#[tokio::test]
async fn an_issuer_that_fails_leaves_the_keys_as_they_were() {
    let issuer = Issuer::start(&[OLD]).await;
    let url = issuer.url();
    let gateway = closed(|config| {
        config.auth.jwks_url = Some(url.parse().unwrap());
        config.auth.keys_pause = Duration::from_millis(100);
        config.auth.jwks_every = Duration::from_millis(100);
    })
    .await;
    bearer(&gateway, &OLD.sign(&claims("42", &ALL))).await;
    issuer.fail();
    gateway.until_metric("barrage_key_refreshes_total", "failed", |failed| failed >= 2.0).await;
    let mut client = bearer(&gateway, &OLD.sign(&claims("42", &ALL))).await;
    // Nobody can say whether this key exists: its bearer is to come back.
    let unknown = NEW.sign(&claims("42", &ALL));
    assert_turned_away(&gateway, &unknown, "unavailable", 4004).await;
    let refresh = json!({ "type": "refresh", "token": unknown });
    assert!(client.ask_in_vain(refresh, "unavailable").await["retry_after_ms"].is_u64());
    issuer.publish(&[NEW]);
    gateway.until_metric("barrage_key_refreshes_total", "whole", |whole| whole >= 2.0).await;
    bearer(&gateway, &unknown).await;
    gateway.end().await;
}

#[tokio::test]
async fn forged_key_ids_do_not_load_the_issuer() {
    const PAUSE: Duration = Duration::from_secs(2);
    let issuer = Issuer::start(&[OLD]).await;
    let url = issuer.url();
    let gateway = closed(|config| {
        config.shards = 1;
        config.auth.jwks_url = Some(url.parse().unwrap());
        config.auth.keys_pause = PAUSE;
    })
    .await;
    let mut witness = bearer(&gateway, &OLD.sign(&claims("42", &ALL))).await;
    let (before, begun) = (issuer.asked(), Instant::now());
    let token = Signer::Other("made-up").sign(&claims("42", &ALL));
    let forgers = (0..20).map(|_| assert_turned_away(&gateway, &token, "unauthorized", 4500));
    futures_util::future::join_all(forgers).await;
    let (asked, taken) = (issuer.asked() - before, begun.elapsed());
    let most = 2 + taken.div_duration_f64(PAUSE) as usize;
    assert!(asked <= most, "{asked} questions in {taken:?}");
    assert_eq!(gateway.metric("barrage_token_faults_total", "unknown_key").await, 20.0);
    assert_eq!(gateway.metric("barrage_closes_total", "bad_token").await, 20.0);
    witness.assert_lives().await;
    gateway.end().await;
}

#[tokio::test]
async fn key_files_are_read_anew() {
    let folder = std::env::temp_dir().join(format!("barrage-keys-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("new.pem");
    let of_tests =
        |name: &str| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys")).join(name);
    std::fs::copy(of_tests("p256.pem"), &path).unwrap();
    let text = path.to_str().unwrap().to_owned();
    let gateway = closed(|config| {
        config.auth.key_files = vec![text.parse().unwrap()];
        config.auth.keys_pause = Duration::from_millis(100);
    })
    .await;
    bearer(&gateway, &Signer::P256("new").sign(&claims("42", &ALL))).await;
    std::fs::copy(of_tests("other.pem"), &path).unwrap();
    // A key id that nobody knows has the files read at once.
    assert_turned_away(&gateway, &OLD.sign(&claims("1", &ALL)), "unauthorized", 4500).await;
    bearer(&gateway, &NEW.sign(&claims("42", &ALL))).await;
    std::fs::remove_dir_all(&folder).unwrap();
    gateway.end().await;
}

#[tokio::test]
async fn a_reload_brings_secrets_and_withdraws_them() {
    let gateway = closed(|_| {}).await;
    let (old, new) = (Signer::Secret(SECRET), Signer::Secret(NEXT_SECRET));
    let [of_old, of_new] = [old, new].map(|signer| signer.sign(&claims("42", &ALL)));
    let mut session = bearer(&gateway, &of_old).await;
    assert_turned_away(&gateway, &of_new, "unauthorized", 4500).await;
    gateway.reload(|config| {
        config.auth.secrets = [SECRET, NEXT_SECRET].map(Secret::new).to_vec();
    });
    gateway.until_metric("barrage_keys", "", |keys| keys == 2.0).await;
    bearer(&gateway, &of_old).await;
    bearer(&gateway, &of_new).await;
    gateway.reload(|config| config.auth.secrets = vec![Secret::new(NEXT_SECRET)]);
    gateway.until_metric("barrage_keys", "", |keys| keys == 1.0).await;
    assert_turned_away(&gateway, &of_old, "unauthorized", 4500).await;
    // Whoever is in stays until the end of the token, and cannot go on with another of that key.
    session.assert_lives().await;
    let refresh = json!({ "type": "refresh", "token": of_old });
    session.ask_in_vain(refresh, "unauthorized").await;
    gateway.end().await;
}

#[tokio::test]
async fn the_first_secret_comes_and_the_last_one_goes_without_a_restart() {
    let gateway = closed(|config| config.auth.secrets.clear()).await;
    let token = token(&claims("42", &ALL));
    // Without keys no token is looked at: it is as if there were none.
    assert_turned_away(&gateway, &token, "unauthorized", 4500).await;
    assert_eq!(gateway.metric("barrage_token_faults_total", "missing").await, 1.0);
    gateway.reload(|config| config.auth.secrets = vec![Secret::new(SECRET)]);
    gateway.until_metric("barrage_keys", "", |keys| keys == 1.0).await;
    bearer(&gateway, &token).await.join("demo").await;
    gateway.reload(|config| config.auth.secrets.clear());
    gateway.until_metric("barrage_keys", "", |keys| keys == 0.0).await;
    assert_turned_away(&gateway, &token, "unauthorized", 4500).await;
    assert_eq!(gateway.metric("barrage_token_faults_total", "missing").await, 2.0);
    gateway.end().await;
}

/// What people say, and what keys of the server API are tried.
const WORDS: &str = "只有房间里的人听见";
const NAME: &str = "a-name-that-only-people-see";
const KEY_OF_EVENT: &str = "a-key-of-one-event";
const WRONG_KEY: &str = "a-wrong-key-of-the-server-api";

/// Says something in every way in which something can be said, well and badly.
async fn say_everywhere(public: SocketAddr, admin: SocketAddr, token: &str) {
    let path = format!("/ws?token={token}");
    let mut client = TestClient::dial(public, Dial { path: &path, ..Dial::default() }).await;
    client.join("demo").await;
    let body = json!({ "text": WORDS });
    let publish = json!({ "type": "publish", "room": "demo", "key": KEY_OF_EVENT, "body": body });
    assert_eq!(client.ask(publish).await["type"], "ack");
    let event = json!({ "user": { "id": "7", "name": NAME }, "body": { "text": WORDS } });
    Api::dev(admin).publish("demo", event.clone()).await;
    client.until("both", |memory| (memory.account("demo").received.len() == 2).then_some(())).await;
    let wrong = Api { admin, bearer: format!("Bearer {WRONG_KEY}") };
    let event = event.to_string();
    wrong.post("/v1/events", event.as_bytes()).await.assert_refused(401, "unauthorized");
    let half = &event.as_bytes()[..event.len() - 1];
    Api::dev(admin).post("/v1/rooms/demo/events", half).await.assert_refused(400, "bad_request");
    client.ask_in_vain(json!({ "type": WORDS }), "unknown_type").await;
    client.say(&format!("{{\"type\":\"publish\",\"body\":\"{WORDS}")).await;
    client
        .until("an error", |memory| {
            memory.messages.iter().rev().find(|m| m["code"] == "bad_request").cloned()
        })
        .await;
    let guest = format!("/ws?name={NAME}");
    TestClient::dial(public, Dial { path: &guest, ..Dial::default() }).await.close().await;
}

#[tokio::test]
async fn no_token_no_secret_and_no_text_is_ever_logged() {
    let log = std::env::temp_dir().join(format!("barrage-log-test-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_barrage-gateway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BARRAGE_")) {
        command.env_remove(name);
    }
    let mut child = command
        .args(["--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("BARRAGE_JWT_SECRET", SECRET.replace(' ', "-").replace(',', ""))
        .env("BARRAGE_LOG", "trace")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let read = || std::fs::read_to_string(&log).unwrap();
    let [public, admin] = until("the addresses in the log", || async {
        let text = read();
        let address = |name| text.split_once(name)?.1.split_whitespace().next()?.parse().ok();
        Some([address("public=")?, address("admin=")?])
    })
    .await;
    let secret: &'static str = "a-secret-of-the-tests-long-enough";
    let sign = |user| Signer::Secret(secret).sign(&claims(user, &ALL));
    let (good, other, forged) = (sign("42"), sign("43"), token(&claims("42", &ALL)));
    let (path, offer) = (format!("/ws?token={good}"), format!("bearer.{good}, barrage.v1"));
    let (bad, header) = (format!("/ws?token={forged}"), format!("Bearer {good}"));
    for dial in [
        Dial { path: &path, ..Dial::default() },
        Dial { headers: vec![("Sec-WebSocket-Protocol", &offer)], ..Dial::default() },
        Dial { headers: vec![("Authorization", &header)], ..Dial::default() },
    ] {
        let mut client = TestClient::dial(public, dial).await;
        client.join("demo").await;
        for (token, reply) in [(&good, "ack"), (&other, "error"), (&forged, "error")] {
            let refresh = json!({ "type": "refresh", "token": token });
            assert_eq!(client.ask(refresh).await["type"], reply);
        }
    }
    let dial = Dial { path: &bad, ..Dial::default() };
    let mut refused = TestClient::try_dial(public, dial).await.unwrap();
    assert_eq!(refused.ends().await, Some(4500));
    say_everywhere(public, admin, &good).await;
    child.kill().unwrap();
    soon("the end", async { child.wait().unwrap() }).await;
    let text = read();
    std::fs::remove_file(&log).unwrap();
    assert!(text.contains("INFO") && text.contains("started"), "a log: {text}");
    for said in [WORDS, NAME, KEY_OF_EVENT, WRONG_KEY] {
        assert!(!text.contains(said), "{said}: {text}");
    }
    for kept in [secret, &good, &other, &forged] {
        // The signature alone would do harm; the payload is somebody's business.
        for part in kept.split('.').filter(|part| part.len() > 20) {
            assert!(!text.contains(part), "{part}");
        }
    }
}
