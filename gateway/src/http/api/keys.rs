//! Keys of the server API.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::documented::documented;
use crate::secret::Secret;

documented! {
    /// Who may use the server API.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct ApiRules {
        /// Keys of the server API, sent as `Authorization: Bearer KEY`; two while rotating. Default:
        /// none, and without any the server API is closed. Whoever has one can publish
        /// everything in every room, so a key of fewer than 16 characters is warned of. A key in a
        /// flag can be seen by every user of the machine: prefer the environment or a file.
        pub keys: Vec<Secret>,
        /// A file with further keys of the server API, one a line; empty lines and lines that begin
        /// with `#` are skipped. Default: none. It is read again with the configuration, so that keys
        /// are rotated without a restart: add the new key, reload, move the callers, remove the
        /// old key, reload.
        pub key_file: Option<PathBuf>,
    }
}

/// The keys that are valid now.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiKeys(Arc<ArcSwap<Vec<Secret>>>);

impl ApiKeys {
    pub(crate) fn new(keys: Vec<Secret>) -> Self {
        let valid = Self::default();
        valid.replace(keys);
        valid
    }

    /// Forgets the keys of before.
    pub(crate) fn replace(&self, keys: Vec<Secret>) {
        self.0.store(Arc::new(keys));
    }

    /// Whether a caller with this key may go on.
    pub(super) fn allow(&self, given: &str) -> bool {
        self.0.load().iter().any(|known| same(known.expose(), given))
    }
}

/// Compares keys in a time that depends on their lengths only.
fn same(known: &str, given: &str) -> bool {
    known.len() == given.len()
        && known.bytes().zip(given.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_keys_are_valid_no_longer() {
        let keys = ApiKeys::new(vec![Secret::new("old"), Secret::new("new")]);
        assert!(keys.allow("old") && keys.allow("new") && !keys.allow("ne"));
        keys.replace(vec![Secret::new("new")]);
        assert!(!keys.allow("old") && keys.allow("new") && !keys.allow(""));
    }
}
