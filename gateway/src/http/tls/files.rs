//! A certificate and its key in two files, followed while they change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::http::tls::{TlsFault, provider};

/// More than a chain of certificates takes, in bytes; a larger file is something else.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Two files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// What they looked like when they were last looked at.
    seen: [Look; 2],
}

/// What tells a new version of a file from an old one without reading it.
type Look = Option<(SystemTime, u64)>;

impl Files {
    pub(super) fn new(certificate: &Path, key: &Path) -> Self {
        let seen = [look(certificate), look(key)];
        Self { certificate: certificate.to_owned(), key: key.to_owned(), seen }
    }

    /// Whether they have changed since this was asked last.
    pub(super) fn changed(&mut self) -> bool {
        let now = [look(&self.certificate), look(&self.key)];
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// Reads both, and makes sure that they belong together.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) fn read(&self) -> Result<CertifiedKey, TlsFault> {
        let certificate_fault =
            |why: String| TlsFault::Certificate { path: self.certificate.clone(), why };
        let key_fault = |why: String| TlsFault::Key { path: self.key.clone(), why };

        let pem = read(&self.certificate).map_err(certificate_fault)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| certificate_fault(error.to_string()))?;
        if chain.is_empty() {
            return Err(certificate_fault("no certificate in it".to_owned()));
        }
        let pem = read(&self.key).map_err(key_fault)?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| key_fault("no private key in it, or one that is encrypted".to_owned()))?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                return key_fault("the key of another certificate".to_owned());
            }
            certificate_fault(error.to_string())
        })
    }
}

fn look(path: &Path) -> Look {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    if about.len() > FILE_BYTES_MAX {
        return Err("larger than a certificate can be".to_owned());
    }
    fs::read(path).map_err(|error| error.to_string())
}
