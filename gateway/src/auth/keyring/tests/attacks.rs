//! Tokens that somebody made up.

use proptest::prelude::*;

use super::*;

/// A token of any header and payload, signed with HS256.
fn signed(header: &Value, payload: &Value, secret: &[u8]) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encoded(header), encoded(payload));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{text}.{signature}")
}

fn all() -> Keyring {
    ring(SIGNERS.map(|signer| signer.public(Some("k"))))
}

#[test]
fn a_public_key_is_never_a_secret() {
    // The classic: sign with HS256, the public key as the secret.
    for (signer, pem) in [
        (Signer::Rsa, &key_file!("rsa")[..]),
        (Signer::P256, &key_file!("p256")[..]),
        (Signer::Ed25519, &key_file!("ed25519")[..]),
    ] {
        let only = ring([signer.public(None)]);
        let token = signed(&json!({ "alg": "HS256" }), &payload(), pem);
        assert_eq!(fault(&only, &token), TokenFault::Algorithm);
        for alg in ["RS256", "ES256", "EdDSA"] {
            let token = signed(&json!({ "alg": alg }), &payload(), pem);
            let expected = [TokenFault::Algorithm, TokenFault::Signature];
            assert!(expected.contains(&fault(&only, &token)), "{alg}");
        }
    }
}

#[test]
fn a_token_without_a_signature_is_none() {
    let ring = ring([Signer::Secret(SECRET).public(None)]);
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "PS256", "RS512"] {
        let unsigned = format!("{}.{}.", encoded(&json!({ "alg": alg })), encoded(&payload()));
        assert_eq!(fault(&ring, &unsigned), TokenFault::Algorithm, "{alg}");
        let proper = signed(&json!({ "alg": alg }), &payload(), SECRET.as_bytes());
        assert_eq!(fault(&ring, &proper), TokenFault::Algorithm, "{alg}");
    }
    let token = Signer::Secret(SECRET).mint(None, &payload());
    let (text, _) = token.rsplit_once('.').unwrap();
    assert_eq!(fault(&ring, &format!("{text}.")), TokenFault::Signature);
}

#[test]
fn a_token_does_not_choose_who_proves_it() {
    let ring = ring([Signer::Secret(SECRET).public(None)]);
    let theirs = "a secret that somebody else has made up";
    let header = json!({
        "alg": "HS256", "jku": "https://evil.example/keys",
        "jwk": { "kty": "oct", "k": URL_SAFE_NO_PAD.encode(theirs) },
    });
    assert_eq!(
        fault(&ring, &signed(&header, &payload(), theirs.as_bytes())),
        TokenFault::Signature
    );
    let critical = json!({ "alg": "HS256", "crit": ["b64"], "b64": false });
    let token = signed(&critical, &payload(), SECRET.as_bytes());
    assert_eq!(fault(&ring, &token), TokenFault::Algorithm);
}

#[test]
fn what_is_no_token_is_malformed() {
    let ring = all();
    let good = Signer::Secret(SECRET).mint(None, &payload());
    let long = format!("{}.{}.x", "a".repeat(5_000), "b".repeat(5_000));
    let deep = format!("{}.e30.x", URL_SAFE_NO_PAD.encode("[".repeat(4_000)));
    let twice = format!("{}.e30.x", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"none"}"#));
    let odd = format!("{}.e30.x", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":7}"#));
    for token in
        ["", ".", "..", "...", "a.b", "e30.e30.e30", "a.b.c.d", " ", &long, &deep, &twice, &odd]
    {
        assert_eq!(fault(&ring, token), TokenFault::Malformed, "{token}");
    }
    for token in [format!("{good}.x"), format!(" {good}"), format!("{good}=")] {
        assert!(ring.verify(&token, NOW_S).is_err(), "{token}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(token in "\\PC{0,60}", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}") {
        prop_assert!(all().verify(&token, NOW_S).is_err());
        prop_assert!(all().verify(&parts, NOW_S).is_err());
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_refused(which in 0usize..4, at in 0.0f64..1.0, to in "[A-Za-z0-9_.-]") {
        let signer = SIGNERS[which];
        let ring = ring([signer.public(None)]);
        let token = signer.mint(None, &payload());
        let at = (at * token.len() as f64) as usize;
        let mut changed = token.clone();
        changed.replace_range(at..=at, &to);
        // The last letter of a part has bits that mean nothing; they must be zero all the same.
        prop_assume!(changed != token);
        prop_assert!(ring.verify(&changed, NOW_S).is_err(), "{changed}");
    }
}
