//! Tokens of every kind, good and bad.

mod attacks;
mod payloads;
mod sets;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::auth::Right;

const NOW_S: u64 = 1_760_000_000;
const SECRET: &str = "a secret of the tests, long enough";

macro_rules! key_file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/", $name, ".pem"))
    };
}
use key_file;

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signer {
    Secret(&'static str),
    Rsa,
    P256,
    Ed25519,
    Other,
}

const SIGNERS: [Signer; 4] = [Signer::Secret(SECRET), Signer::Rsa, Signer::P256, Signer::Ed25519];

impl Signer {
    fn key(self) -> (Algorithm, EncodingKey) {
        match self {
            Self::Secret(secret) => (Algorithm::HS256, EncodingKey::from_secret(secret.as_bytes())),
            Self::Rsa => {
                let pem = key_file!("rsa.private");
                (Algorithm::RS256, EncodingKey::from_rsa_pem(pem).unwrap())
            }
            Self::P256 => {
                let pem = key_file!("p256.private");
                (Algorithm::ES256, EncodingKey::from_ec_pem(pem).unwrap())
            }
            Self::Ed25519 => {
                let pem = key_file!("ed25519.private");
                (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem).unwrap())
            }
            Self::Other => {
                let pem = key_file!("other.private");
                (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem).unwrap())
            }
        }
    }

    fn public(self, kid: Option<&str>) -> Key {
        match self {
            Self::Secret(secret) => Key::secret(secret.as_bytes()),
            Self::Rsa => Key::pem(kid, key_file!("rsa")).unwrap(),
            Self::P256 => Key::pem(kid, key_file!("p256")).unwrap(),
            Self::Ed25519 => Key::pem(kid, key_file!("ed25519")).unwrap(),
            Self::Other => Key::pem(kid, key_file!("other")).unwrap(),
        }
    }

    fn mint(self, kid: Option<&str>, payload: &Value) -> String {
        let (algorithm, key) = self.key();
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, payload, &key).unwrap()
    }
}

/// The claims that a token needs, valid for a minute.
fn payload() -> Value {
    json!({ "sub": "42", "exp": NOW_S + 60 })
}

fn ring(keys: impl IntoIterator<Item = Key>) -> Keyring {
    Keyring::new(keys.into_iter().collect())
}

fn fault(ring: &Keyring, token: &str) -> TokenFault {
    ring.verify(token, NOW_S).expect_err("this token is bad")
}

#[test]
fn a_token_of_each_algorithm_is_proved_by_its_key_and_by_no_other() {
    for signer in SIGNERS {
        let token = signer.mint(None, &payload());
        for other in SIGNERS {
            let verdict = ring([other.public(None)]).verify(&token, NOW_S);
            if other == signer {
                assert_eq!(verdict.unwrap().user.id.as_str(), "42", "{signer:?}");
            } else {
                assert_eq!(verdict, Err(TokenFault::Algorithm), "{signer:?} {other:?}");
            }
        }
    }
}

#[test]
fn a_token_says_who_somebody_is_and_what_they_may_do() {
    let token = Signer::Ed25519.mint(
        Some("a"),
        &json!({
            "sub": "42", "exp": NOW_S + 60, "iat": NOW_S, "nbf": NOW_S, "iss": "me", "aud": "you",
            "name": " 小\u{202e}明 ", "level": 12, "roles": ["moderator", "vip\u{200b}"],
            "rooms": [
                { "room": "demo", "can": ["view", "chat", "fly"] },
                { "room": "live-*", "can": ["view", "signal", "moderate"], "more": {} },
            ],
        }),
    );
    let claims = ring([Signer::Ed25519.public(Some("a"))]).verify(&token, NOW_S).unwrap();
    assert_eq!(claims.expires_s, NOW_S + 60);
    assert_eq!(claims.user.name.as_deref(), Some("小明"));
    assert_eq!(claims.user.level, Some(12));
    assert_eq!(
        claims.user.roles.iter().map(|role| &**role).collect::<Vec<_>>(),
        ["moderator", "vip"]
    );
    assert!(claims.grants.may("demo", Right::Chat) && !claims.grants.may("demo", Right::Signal));
    assert!(
        claims.grants.may("live-1", Right::Moderate) && !claims.grants.may("other", Right::View)
    );
}

#[test]
fn a_token_is_valid_for_its_time() {
    let ring = ring([Signer::Secret(SECRET).public(None)]);
    let at = |payload: Value| ring.verify(&Signer::Secret(SECRET).mint(None, &payload), NOW_S);
    assert_eq!(at(json!({ "sub": "42", "exp": NOW_S })), Err(TokenFault::Expired));
    assert_eq!(at(json!({ "sub": "42", "exp": 0 })), Err(TokenFault::Expired));
    assert_eq!(at(json!({ "sub": "42", "exp": NOW_S + 1 })).unwrap().expires_s, NOW_S + 1);
    assert_eq!(at(json!({ "sub": "42", "exp": 1.76e9 + 1.9 })).unwrap().expires_s, NOW_S + 1);
    for claim in ["nbf", "iat"] {
        let from = |s: u64| at(json!({ "sub": "42", "exp": NOW_S + 60, claim: s }));
        assert!(from(NOW_S + 10).is_ok(), "clocks differ a little");
        assert_eq!(from(NOW_S + 11), Err(TokenFault::NotYet));
    }
}

#[test]
fn keys_rotate_by_their_names() {
    let (old, new) = (Signer::Ed25519, Signer::Other);
    let (of_old, of_new) = (old.mint(Some("1"), &payload()), new.mint(Some("2"), &payload()));
    let one = ring([old.public(Some("1"))]);
    assert!(one.verify(&of_old, NOW_S).is_ok());
    assert_eq!(fault(&one, &of_new), TokenFault::UnknownKey);
    let both = ring([old.public(Some("1")), new.public(Some("2"))]);
    assert!(both.verify(&of_old, NOW_S).is_ok() && both.verify(&of_new, NOW_S).is_ok());
    // A name is not a proof.
    assert_eq!(fault(&both, &old.mint(Some("2"), &payload())), TokenFault::Signature);
    assert_eq!(fault(&ring([new.public(Some("2"))]), &of_old), TokenFault::UnknownKey);
}

#[test]
fn a_token_without_a_key_id_is_for_keys_without_one_or_for_the_only_key() {
    let token = Signer::Ed25519.mint(None, &payload());
    assert!(ring([Signer::Ed25519.public(Some("1"))]).verify(&token, NOW_S).is_ok());
    let two = ring([Signer::Ed25519.public(Some("1")), Signer::Other.public(Some("2"))]);
    assert_eq!(fault(&two, &token), TokenFault::UnknownKey);
    let unnamed = ring([Signer::Other.public(None), Signer::Ed25519.public(None)]);
    assert!(unnamed.verify(&token, NOW_S).is_ok());
}

#[test]
fn two_secrets_are_valid_while_rotating() {
    let other = "another secret of the tests, as long";
    let both = ring([SECRET, other].map(|secret| Key::secret(secret.as_bytes())));
    for secret in [SECRET, other] {
        assert!(both.verify(&Signer::Secret(secret).mint(None, &payload()), NOW_S).is_ok());
    }
    let third = Signer::Secret("a third secret that nobody gave out").mint(None, &payload());
    assert_eq!(fault(&both, &third), TokenFault::Signature);
}

#[test]
fn what_is_no_public_key_of_ours_is_refused() {
    use crate::auth::key::KeyFault;
    let pem = |pem: &[u8]| Key::pem(None, pem).map(|_| ()).unwrap_err();
    assert_eq!(pem(key_file!("rsa.private")), KeyFault::Private);
    assert_eq!(pem(key_file!("ed25519.private")), KeyFault::Private);
    assert_eq!(pem(key_file!("p384")), KeyFault::Unusable);
    assert_eq!(pem(key_file!("rsa1024")), KeyFault::Short);
    assert_eq!(pem(b"hello"), KeyFault::Unusable);
    assert_eq!(pem(&key_file!("p256")[..90]), KeyFault::Unusable);
    let shown = format!("{:?}", Key::secret(SECRET.as_bytes()));
    assert!(!shown.contains("secret of"), "{shown}");
}
