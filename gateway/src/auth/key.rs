//! One key that proves tokens, with the one algorithm that it is used with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// PKCS #1 1.5 with SHA-256, from 2048 bits.
const RSA: &RsaParameters = &RSA_PKCS1_2048_8192_SHA256;

/// How a token is signed. These four and no others: `none` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    /// HMAC with SHA-256, by a secret.
    Hs256,
    /// RSA with PKCS #1 1.5 and SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Signing {
    /// The algorithm of this name in the header of a token.
    pub(crate) fn parse(alg: &str) -> Option<Self> {
        Some(match alg {
            "HS256" => Self::Hs256,
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// The modulus of an RSA key, at least (RFC 7518 section 3.3): 2048 bits, in bytes.
const RSA_BYTES_MIN: usize = 256;
/// An uncompressed point of P-256: 4, x, y (SEC 1 section 2.3.3), in bytes.
const P256_POINT_BYTES: usize = 65;
/// A public key of Ed25519 (RFC 8032 section 5.1.5), in bytes.
const ED25519_BYTES: usize = 32;

/// A key. Says nothing of itself in logs.
#[derive(Clone)]
pub(crate) struct Key {
    kid: Option<Box<str>>,
    signing: Signing,
    key: DecodingKey,
}

/// Why something is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    /// Not a public key that tokens can be signed for.
    #[error("not a public key in PEM form of RSA, of P-256 or of Ed25519")]
    Unusable,
    /// A private key: whoever has it can make tokens, so it does not belong here.
    #[error("this is a private key; give the public one")]
    Private,
    /// Too short to be safe.
    #[error("an RSA key of less than 2048 bits")]
    Short,
}

impl Key {
    /// A shared secret, for HS256.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        let key = DecodingKey::from_secret(secret);
        Self { kid: None, signing: Signing::Hs256, key }
    }

    /// A public key in PEM form: RSA is for RS256, P-256 for ES256, Ed25519 for EdDSA.
    ///
    /// # Errors
    /// [`KeyFault`]: not a public key, or not one of these.
    pub(crate) fn pem(kid: Option<&str>, pem: &[u8]) -> Result<Self, KeyFault> {
        let private = b"PRIVATE KEY-----";
        if pem.windows(private.len()).any(|part| part == private) {
            return Err(KeyFault::Private);
        }
        let (signing, key) = None
            .or_else(|| Some((Signing::Rs256, DecodingKey::from_rsa_pem(pem).ok()?)))
            .or_else(|| Some((Signing::Es256, DecodingKey::from_ec_pem(pem).ok()?)))
            .or_else(|| Some((Signing::EdDsa, DecodingKey::from_ed_pem(pem).ok()?)))
            .ok_or(KeyFault::Unusable)?;
        Self::public(kid, signing, key)
    }

    /// A public key that was read from somewhere; checks that it is one.
    ///
    /// # Errors
    /// [`KeyFault`]
    pub(crate) fn public(
        kid: Option<&str>,
        signing: Signing,
        key: DecodingKey,
    ) -> Result<Self, KeyFault> {
        use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let is_sound = match (signing, key.kind()) {
            (Signing::Rs256, RsaModulusExponent { n, .. }) if n.len() < RSA_BYTES_MIN => {
                return Err(KeyFault::Short);
            }
            // The DER of a key holds a little more than the modulus.
            (Signing::Rs256, SecretOrDer(der)) if der.len() < RSA_BYTES_MIN => {
                return Err(KeyFault::Short);
            }
            (Signing::Rs256, _) => true,
            (Signing::Es256, SecretOrDer(point)) => point.len() == P256_POINT_BYTES,
            (Signing::EdDsa, SecretOrDer(point)) => point.len() == ED25519_BYTES,
            _ => false,
        };
        // The library takes a key apart only when it is used: use it once, so that a key that
        // cannot work is found here. The verdict on a signature of nothing does not matter.
        if !is_sound || crypto::verify("", b"", &key, signing.algorithm()).is_err() {
            return Err(KeyFault::Unusable);
        }
        Ok(Self { kid: kid.map(Into::into), signing, key })
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm of this key.
    pub(crate) fn signing(&self) -> Signing {
        self.signing
    }

    /// Whether a signature (in base64url) of a text was made for this key.
    ///
    /// By *ring*, since it is done on the thread of a shard while its clients wait.
    pub(crate) fn proves(&self, text: &str, signature: &str) -> bool {
        use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let Ok(made) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let text = text.as_bytes();
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(text, &made)
        };
        let proved = match (self.signing, self.key.kind()) {
            (Signing::Hs256, SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), text, &made)
            }
            (Signing::Rs256, SecretOrDer(der)) => by(RSA, der),
            (Signing::Rs256, RsaModulusExponent { n, e }) => {
                let (n, e) = (without_zeros(n), without_zeros(e));
                RsaPublicKeyComponents { n, e }.verify(RSA, text, &made)
            }
            (Signing::Es256, SecretOrDer(point)) => by(&ECDSA_P256_SHA256_FIXED, point),
            (Signing::EdDsa, SecretOrDer(point)) => by(&ED25519, point),
            (Signing::Hs256 | Signing::Es256 | Signing::EdDsa, _) => return false,
        };
        proved.is_ok()
    }
}

/// A number as *ring* wants it: without zeros in front.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, signing, .. } = self;
        f.debug_struct("Key").field("kid", kid).field("signing", signing).finish_non_exhaustive()
    }
}
