//! Certificates that are there, broken, changed and made.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barrage-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn rules(&self) -> TlsRules {
        TlsRules {
            certificate_file: Some(self.0.join("certificate.pem")),
            key_file: Some(self.0.join("key.pem")),
            mode: TlsMode::Off,
        }
    }

    /// Puts a new certificate and its key there.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write("certificate.pem", &pem("CERTIFICATE", made.cert.der()));
        self.write("key.pem", &pem("PRIVATE KEY", &made.signing_key.serialize_der()));
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn fault(rules: &TlsRules) -> String {
    rules.check(listen()).unwrap_err().to_string()
}

#[test]
fn nothing_asked_for_is_plain_http() {
    assert!(TlsRules::default().load(listen()).unwrap().is_none());
}

#[test]
fn a_self_signed_certificate_is_another_at_each_start() {
    let rules = TlsRules { mode: TlsMode::SelfSigned, ..TlsRules::default() };
    let prints = [(); 2].map(|()| {
        let tls = rules.load(listen()).unwrap().unwrap();
        fingerprint(&tls.current.0.load())
    });
    assert_ne!(prints[0], prints[1]);
    assert_eq!((prints[0].len(), prints[0].matches(':').count()), (32 * 3 - 1, 31));
}

#[test]
fn what_is_wrong_with_files_is_told_with_their_names() {
    let folder = Folder::new("faults");
    let rules = folder.rules();
    assert!(fault(&rules).contains("certificate.pem"), "{}", fault(&rules));
    folder.renew();
    rules.check(listen()).unwrap();
    folder.write("key.pem", "no key");
    assert!(fault(&rules).contains("key.pem"), "{}", fault(&rules));
    folder.renew();
    let key = fs::read_to_string(folder.0.join("key.pem")).unwrap();
    folder.renew();
    folder.write("key.pem", &key);
    assert!(
        fault(&rules).ends_with("key.pem: the key of another certificate"),
        "{}",
        fault(&rules)
    );
    folder.write("certificate.pem", &key);
    assert!(fault(&rules).ends_with("no certificate in it"), "{}", fault(&rules));
    folder.write("certificate.pem", &"x".repeat(2 * 1024 * 1024));
    assert!(fault(&rules).contains("larger"), "{}", fault(&rules));
}

#[test]
fn half_a_pair_and_two_sources_are_refused() {
    let file = Some(Path::new("certificate.pem").to_owned());
    let half = TlsRules { certificate_file: file.clone(), ..TlsRules::default() };
    assert!(matches!(half.check(listen()), Err(TlsFault::OneFile)));
    let two =
        TlsRules { certificate_file: file.clone(), key_file: file, mode: TlsMode::SelfSigned };
    assert!(matches!(two.check(listen()), Err(TlsFault::TwoSources)));
}

#[test]
fn a_change_of_either_file_is_noticed_once() {
    let folder = Folder::new("changes");
    folder.renew();
    let rules = folder.rules();
    let mut files = rules.load(listen()).unwrap().unwrap().files.unwrap();
    assert!(!files.changed());
    folder.write("key.pem", "longer or shorter");
    assert!(files.changed() && !files.changed());
    fs::remove_file(folder.0.join("certificate.pem")).unwrap();
    assert!(files.changed() && !files.changed());
}
