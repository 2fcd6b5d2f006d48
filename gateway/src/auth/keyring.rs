//! The keys of one moment, and the judgement on a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::limits::TOKEN_BYTES_MAX;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::auth::claims::Expected;
use crate::auth::key::{Key, Signing};
use crate::auth::{Claims, TokenFault};

/// Keys, each with its one algorithm, and what tokens must say besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring {
    keys: Vec<Key>,
    expected: Expected,
}

/// The part of a token that says how to read it (RFC 7515 section 4.1); `jku`, `jwk`, `x5u` and
/// their like are not looked at: a token does not choose who proves it.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; we understand none.
    crit: Option<IgnoredAny>,
}

impl Keyring {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        Self { keys, expected: Expected::default() }
    }

    /// The same keys for tokens that say this of themselves.
    pub(crate) fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Judges a token: first its signature, then its claims, then its time (`now_s`, in seconds
    /// since 1970).
    ///
    /// # Errors
    /// [`TokenFault`]
    pub(crate) fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let header: Header = part(header)?;
        if header.crit.is_some() {
            return Err(TokenFault::Algorithm);
        }
        let signing = Signing::parse(&header.alg).ok_or(TokenFault::Algorithm)?;
        let mut fault = TokenFault::UnknownKey;
        for key in self.keys_for(header.kid.as_deref()) {
            // The header never decides how a key is used: it is only compared.
            if key.signing() == signing {
                if key.proves(signed, signature) {
                    return Claims::read(part(payload)?, &self.expected, now_s);
                }
                fault = TokenFault::Signature;
            } else if fault == TokenFault::UnknownKey {
                fault = TokenFault::Algorithm;
            }
        }
        Err(fault)
    }

    /// The keys of a name; for a token that names none, those without a name, or the only key.
    fn keys_for(&self, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let only = kid.is_none() && self.keys.len() == 1;
        self.keys.iter().filter(move |key| only || key.kid() == kid)
    }
}

fn part<T: serde::de::DeserializeOwned>(encoded: &str) -> Result<T, TokenFault> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenFault::Malformed)
}

#[cfg(test)]
mod tests;
