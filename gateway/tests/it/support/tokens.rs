//! Tokens, and an issuer that publishes its keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::config::Config;
use gateway::secret::Secret;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::{Dial, TestClient};
use super::gateway::TestGateway;

/// The secret of most tests, and the one that follows it.
pub(crate) const SECRET: &str = "a secret of the tests, long enough";
pub(crate) const NEXT_SECRET: &str = "another secret of the tests, as long";

macro_rules! key_file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/", $name, ".pem"))
    };
}

/// What tokens are signed with, and the id of the key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signer {
    Secret(&'static str),
    Rsa(&'static str),
    P256(&'static str),
    Ed25519(&'static str),
    Other(&'static str),
}

impl Signer {
    fn parts(self) -> (Algorithm, EncodingKey, Option<&'static str>) {
        let ed = EncodingKey::from_ed_pem;
        match self {
            Self::Secret(secret) => {
                (Algorithm::HS256, EncodingKey::from_secret(secret.as_bytes()), None)
            }
            Self::Rsa(kid) => {
                let key = EncodingKey::from_rsa_pem(key_file!("rsa.private"));
                (Algorithm::RS256, key.unwrap(), Some(kid))
            }
            Self::P256(kid) => {
                let key = EncodingKey::from_ec_pem(key_file!("p256.private"));
                (Algorithm::ES256, key.unwrap(), Some(kid))
            }
            Self::Ed25519(kid) => {
                (Algorithm::EdDSA, ed(key_file!("ed25519.private")).unwrap(), Some(kid))
            }
            Self::Other(kid) => {
                (Algorithm::EdDSA, ed(key_file!("other.private")).unwrap(), Some(kid))
            }
        }
    }

    /// Signs claims.
    pub(crate) fn sign(self, claims: &Value) -> String {
        let (algorithm, key, kid) = self.parts();
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, claims, &key).unwrap()
    }

    fn jwk(self) -> Value {
        let (algorithm, key, kid) = self.parts();
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap());
        jwk.as_mut().unwrap()["kid"] = json!(kid);
        jwk.unwrap()
    }
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims of a user for the room `demo` that end in an hour.
pub(crate) fn claims(user: &str, can: &[&str]) -> Value {
    json!({ "sub": user, "exp": now_s() + 3600, "rooms": [{ "room": "demo", "can": can }] })
}

/// A token with these claims, signed with the secret of the tests.
pub(crate) fn token(claims: &Value) -> String {
    Signer::Secret(SECRET).sign(claims)
}

/// A gateway in production that knows the secret of the tests, and nobody without a token.
pub(crate) async fn closed(change: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(|config| {
        config.auth.anonymous = gateway::config::Anonymous::Refused;
        config.auth.secrets = vec![Secret::new(SECRET)];
        change(config);
    })
    .await
}

/// A client with a token in its address that was welcomed.
pub(crate) async fn bearer(gateway: &TestGateway, token: &str) -> TestClient {
    let path = format!("/ws?token={token}");
    gateway.dial(Dial { path: &path, ..Dial::default() }).await
}

/// Fails unless whoever brings this token is told this and closed so, and nothing else.
pub(crate) async fn assert_turned_away(gateway: &TestGateway, token: &str, code: &str, close: u16) {
    let path = format!("/ws?token={token}");
    let dial = Dial { path: &path, ..Dial::default() };
    let mut client = TestClient::try_dial(gateway.public, dial).await.expect("an upgrade");
    assert_eq!(client.ends().await, Some(close), "{token}");
    let told: Vec<_> = client.memory.messages.iter().map(|m| (&m["type"], &m["code"])).collect();
    assert_eq!(told, [(&json!("error"), &json!(code))], "{token}");
}

/// Publishes keys over HTTP.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    body: watch::Sender<Option<String>>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (body, bodies) = watch::channel(None);
        let asked = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(serve(listener, bodies, Arc::clone(&asked)));
        let issuer = Self { address, body, asked, task };
        issuer.publish(keys);
        issuer
    }

    /// Publishes these keys from now on.
    pub(crate) fn publish(&self, keys: &[Signer]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.body.send_replace(Some(json!({ "keys": keys }).to_string()));
    }

    /// Answers 500 from now on.
    pub(crate) fn fail(&self) {
        self.body.send_replace(None);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    body: watch::Receiver<Option<String>>,
    asked: Arc<AtomicUsize>,
) {
    while let Ok((mut stream, _)) = listener.accept().await {
        asked.fetch_add(1, Ordering::SeqCst);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let body = body.borrow().clone();
        let status = if body.is_some() { "200 OK" } else { "500 Internal Server Error" };
        let body = body.unwrap_or_default();
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}
