//! A certificate for trying things out, made at the start and never written down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::http::tls::{TlsFault, provider};

/// A certificate for this machine and for the address that is listened on.
///
/// # Errors
/// Nothing that can be foreseen.
pub(super) fn make(listen: SocketAddr) -> Result<CertifiedKey, TlsFault> {
    let mut names = vec![
        "localhost".to_owned(),
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ];
    let ip: IpAddr = listen.ip();
    if !ip.is_unspecified() && !ip.is_loopback() {
        names.push(ip.to_string());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Barrage, for trying it out");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider())?)
}
