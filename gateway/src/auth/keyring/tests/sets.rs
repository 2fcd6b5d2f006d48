//! Sets of keys as issuers publish them.

use super::*;
use crate::auth::jwks::{self, JwksFault};

/// The parts of a public key, in base64url.
fn jwk(signer: Signer, kid: &str) -> Value {
    let (algorithm, key) = signer.key();
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm).unwrap();
    let mut jwk = serde_json::to_value(jwk).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

fn read(set: &Value) -> Result<Vec<Key>, JwksFault> {
    jwks::read(set.to_string().as_bytes())
}

#[test]
fn every_kind_of_public_key_is_read_and_proves_its_tokens() {
    let kinds = [(Signer::Rsa, "r"), (Signer::P256, "p"), (Signer::Ed25519, "e")];
    let set = json!({ "keys": kinds.map(|(signer, kid)| jwk(signer, kid)) });
    let ring = Keyring::new(read(&set).unwrap());
    assert_eq!(ring.len(), 3);
    for (signer, kid) in kinds {
        let token = signer.mint(Some(kid), &payload());
        assert!(ring.verify(&token, NOW_S).is_ok(), "{kid}");
        // Not by another key of the set, and not as another kind.
        for (_, other) in kinds.iter().filter(|(_, other)| *other != kid) {
            assert_eq!(fault(&ring, &signer.mint(Some(other), &payload())), TokenFault::Algorithm);
        }
    }
}

#[test]
fn what_cannot_prove_is_passed_over() {
    let good = jwk(Signer::Ed25519, "good");
    let changed = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let others = vec![
        json!(null),
        json!("key"),
        json!({}),
        json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "alg": "HS256" }),
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("alg", json!("ES256")),
        changed("alg", json!("none")),
        changed("crv", json!("Ed448")),
        changed("x", json!("")),
        changed("x", json!("AAAA")),
        changed("x", json!(7)),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) }),
    ];
    for other in &others {
        assert_eq!(read(&json!({ "keys": [other] })).unwrap_err(), JwksFault::Empty, "{other}");
    }
    let all: Vec<_> = others.into_iter().chain([good]).collect();
    assert_eq!(read(&json!({ "keys": all })).unwrap().len(), 1);
}

#[test]
fn what_is_no_set_is_told() {
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>", &"[".repeat(10_000)] {
        assert_eq!(jwks::read(text.as_bytes()).unwrap_err(), JwksFault::Malformed, "{text}");
    }
    let many = vec![jwk(Signer::Ed25519, "a"); 65];
    assert_eq!(read(&json!({ "keys": many })).unwrap_err(), JwksFault::TooMany);
}
