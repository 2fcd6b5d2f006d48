//! Tokens, and gateways that ask for them.

use std::time::{SystemTime, UNIX_EPOCH};

use gateway::config::Config;
use gateway::secret::Secret;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

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

    /// The public key, as an issuer publishes it.
    pub(crate) fn jwk(self) -> Value {
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
