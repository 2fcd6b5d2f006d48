//! A set of public keys as an issuer of tokens publishes it (RFC 7517).

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::key::{Key, Signing};

/// Keys in one set, at most: an issuer has two or three.
const KEYS_MAX: usize = 64;

/// A text that is no set of keys, or one without any that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwksFault {
    /// Not an object with a list `keys`.
    #[error("not a set of JSON Web Keys")]
    Malformed,
    /// More than any issuer needs.
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
    /// None that tokens can be proved with.
    #[error("no key for RS256, ES256 or EdDSA among them")]
    Empty,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Reads the keys that can prove tokens. Others (for encryption, of other kinds, broken) are
/// passed over, so that an issuer may add what we do not know. Secrets are never taken from a
/// set: what is published proves nothing.
///
/// # Errors
/// [`JwksFault`]
pub(crate) fn read(json: &[u8]) -> Result<Vec<Key>, JwksFault> {
    let Set { keys } = serde_json::from_slice(json).map_err(|_| JwksFault::Malformed)?;
    if keys.len() > KEYS_MAX {
        return Err(JwksFault::TooMany);
    }
    let keys: Vec<Key> = keys.iter().filter_map(read_key).collect();
    if keys.is_empty() { Err(JwksFault::Empty) } else { Ok(keys) }
}

fn read_key(jwk: &Value) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    if operations.is_some_and(|listed| !listed.iter().any(|operation| operation == "verify")) {
        return None;
    }
    let (signing, key) = match (text("kty")?, text("crv")) {
        ("RSA", _) => (Signing::Rs256, DecodingKey::from_rsa_components(text("n")?, text("e")?)),
        ("EC", Some("P-256")) => {
            (Signing::Es256, DecodingKey::from_ec_components(text("x")?, text("y")?))
        }
        ("OKP", Some("Ed25519")) => (Signing::EdDsa, DecodingKey::from_ed_components(text("x")?)),
        _ => return None,
    };
    if text("alg").is_some_and(|alg| Signing::parse(alg) != Some(signing)) {
        return None;
    }
    Key::public(text("kid"), signing, key.ok()?).ok()
}
