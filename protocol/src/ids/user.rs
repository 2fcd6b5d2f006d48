//! The names of users.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};

use super::{IdError, check};
use crate::limits;

/// The id of a user, as the application knows it: 1 to 64 bytes of UTF-8, nothing invisible.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Parses a user id.
    ///
    /// # Errors
    /// [`IdError`]: empty, over 64 bytes, or holds invisible characters.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check(text, limits::USER_ID_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// Makes the id of an anonymous connection: `anon-` and 60 random bits in base64url.
    pub fn anonymous(random: [u8; 8]) -> Self {
        let tail = URL_SAFE_NO_PAD.encode(random);
        Self(format!("anon-{}", &tail[..10]).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_users_are_told_apart() {
        assert_ne!(UserId::anonymous([1; 8]), UserId::anonymous([2; 8]));
        assert_eq!(UserId::anonymous([0; 8]).as_str(), "anon-AAAAAAAAAA");
    }
}
