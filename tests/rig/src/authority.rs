//! Certificates for tests of TLS: an authority, and those that it vouches for.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;

const CERTIFICATE: &str = "CERTIFICATE";

/// An authority that signs certificates. Its files go with it.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// PEM files of one certificate.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificate of the authority that signed it.
    pub authority: PathBuf,
}

impl Authority {
    /// Founds one.
    ///
    /// # Panics
    /// The files cannot be written.
    pub fn found() -> Self {
        let folder = TempDir::with_prefix("barrage-authority-").expect("a temporary folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("authority.pem"), pem(CERTIFICATE, own.der())).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// The certificate of the authority itself.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Signs a certificate for `localhost` and 127.0.0.1, good for servers and for clients.
    ///
    /// # Panics
    /// The files cannot be written.
    pub fn sign(&self, name: &str) -> Files {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str, pem: String| self.write(&format!("{name}.{kind}.pem"), &pem);
        Files {
            certificate: file("certificate", pem(CERTIFICATE, signed.der())),
            key: file("key", pem("PRIVATE KEY", &key.serialize_der())),
            authority: self.file(),
        }
    }

    fn write(&self, name: &str, pem: &str) -> PathBuf {
        let path = Path::new(self.folder.path()).join(name);
        std::fs::write(&path, pem).unwrap();
        path
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
}
