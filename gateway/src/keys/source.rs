//! Where keys come from, and what each source has given last.

use std::path::Path;

use anyhow::Context as _;

use crate::auth::claims::Expected;
use crate::auth::config::{AuthConfig, JwksUrl, KeyFile};
use crate::auth::key::Key;
use crate::auth::{Keyring, jwks};
use crate::keys::authorities::Authorities;
use crate::keys::fetch;

/// A key file, in bytes, at most: the largest keys need 1 KiB.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where keys come from. Of a source that fails, the keys that it gave last stay.
pub(super) struct Sources {
    secrets: Vec<Key>,
    files: Vec<(KeyFile, Option<Key>)>,
    url: Option<JwksUrl>,
    authorities: Authorities,
    published: Vec<Key>,
    expected: Expected,
}

impl Sources {
    pub(super) fn new(config: &AuthConfig) -> Self {
        Self {
            secrets: config
                .secrets
                .iter()
                .map(|secret| Key::secret(secret.expose().as_bytes()))
                .collect(),
            files: config.key_files.iter().map(|file| (file.clone(), None)).collect(),
            url: config.jwks_url.clone(),
            authorities: Authorities(config.jwks_ca_file.clone()),
            published: Vec::new(),
            expected: config.expected(),
        }
    }

    /// Takes what a configuration says that was read anew; what was read or fetched from where
    /// it still comes from stays until it is read again.
    pub(super) fn replace(&mut self, config: &AuthConfig) {
        let mut old = std::mem::replace(self, Self::new(config));
        for (file, key) in &mut self.files {
            *key = old.files.iter().find(|(other, _)| other == file).and_then(|(_, k)| k.clone());
        }
        if old.url == self.url && old.authorities == self.authorities {
            self.published = std::mem::take(&mut old.published);
        }
    }

    pub(super) fn ring(&self) -> Keyring {
        let files = self.files.iter().filter_map(|(_, key)| key.as_ref());
        let keys = self.secrets.iter().chain(files).chain(&self.published).cloned().collect();
        Keyring::new(keys).expecting(self.expected.clone())
    }

    /// Reads every key file.
    ///
    /// # Errors
    /// The first file that cannot be read or holds no key; the others are read all the same.
    pub(super) fn read_files(&mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        for (file, key) in &mut self.files {
            match read_file(file) {
                Ok(read) => *key = Some(read),
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    /// Fetches the published keys, if there is such a source.
    ///
    /// # Errors
    /// They cannot be fetched or are none.
    pub(super) async fn fetch(&mut self) -> anyhow::Result<()> {
        if let Some(url) = &self.url {
            self.published = jwks::read(&fetch::get(url, &self.authorities).await?)?;
        }
        Ok(())
    }
}

fn read_file(KeyFile { kid, path }: &KeyFile) -> anyhow::Result<Key> {
    let named = || format!("the key file {}", path.display());
    let pem = read_bounded(path).with_context(named)?;
    Key::pem(Some(kid), &pem).with_context(named)
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
