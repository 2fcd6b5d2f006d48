//! The judgement on tokens, for benches.

use crate::auth::Keyring;
use crate::auth::key::Key;

/// One key, and the judgement on tokens with it.
#[derive(Debug)]
pub struct TokenStage(Keyring);

impl TokenStage {
    /// With a shared secret.
    pub fn with_secret(secret: &[u8]) -> Self {
        Self(Keyring::new(vec![Key::secret(secret)]))
    }

    /// With a public key in PEM form; `None` if it is not one.
    pub fn with_pem(pem: &[u8]) -> Option<Self> {
        Some(Self(Keyring::new(vec![Key::pem(None, pem).ok()?])))
    }

    /// Whether a token is good, at a time in seconds since 1970.
    pub fn is_good(&self, token: &str, now_s: u64) -> bool {
        self.0.verify(token, now_s).is_ok()
    }
}
