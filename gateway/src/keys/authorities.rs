//! Who may vouch for an issuer's certificate.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Those in a file, or those that this machine trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authorities(pub(super) Option<PathBuf>);

impl Authorities {
    /// What is needed to speak TLS to an issuer. Reads files, off this thread: there are
    /// hundreds of certificates, and they may have changed since the last time.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub(super) async fn client(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let authorities = self.clone();
        let roots = tokio::task::spawn_blocking(move || authorities.roots()).await??;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let certificates: Vec<_> = match &self.0 {
            Some(path) => CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .with_context(|| format!("cannot read certificates from {}", path.display()))?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        ensure!(!roots.is_empty(), "nobody to vouch for the issuer's certificate is known here");
        Ok(roots)
    }
}
