//! What the configuration promises, through its sources.

mod faults;
mod shown;
mod sources;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::auth::config::Anonymous;
use crate::client::session::PaidFromClients;
use crate::config::settings::{SETTINGS, Setting};
use crate::config::{Config, Faults, Loaded, Sources, is_local};

/// Sources with these flags and this environment.
fn sources(flags: &[&str], environment: &[(&str, &str)]) -> Sources {
    let os = |text: &str| OsString::from(text);
    let environment: Vec<_> = environment.iter().map(|(n, v)| (os(n), os(v))).collect();
    let flags = ["barrage-gateway"].iter().chain(flags);
    Sources::new(flags, environment).expect("these flags exist")
}

fn load(flags: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Faults> {
    sources(flags, environment).load()
}

/// Loads what is valid by itself, and fails if anything is not.
fn assemble(flags: &[&str], environment: &[(&str, &str)]) -> Loaded {
    let (loaded, faults) = sources(flags, environment).assemble();
    assert!(faults.is_empty(), "{}", Faults(faults));
    loaded
}

/// Loads a file of this text, under the name that [`TestFile`] gives it, and further flags.
fn load_file(text: &str, flags: &[&str]) -> Result<Loaded, Faults> {
    let file = TestFile::new(text);
    load(&[&["--config", file.name()], flags].concat(), &[])
}

/// A file of its own, deleted at the end.
struct TestFile(PathBuf);

impl TestFile {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("barrage-config-test-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a temporary file can be written");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("the name is UTF-8")
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // What is left there is cleaned up by the system.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A committed file of the repository.
fn committed(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(name)).unwrap_or_default()
}

fn setting(key: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("there is such a setting")
}

#[test]
fn nothing_said_means_closed_and_local() {
    let config = Config::from_flags(&[]).unwrap();
    assert!(is_local(config.listen) && is_local(config.admin_listen));
    assert_eq!(config.auth.anonymous, Anonymous::Refused);
    assert_eq!(config.session.paid_from_clients, PaidFromClients::Refused);
    assert!(config.api_keys.is_empty());
}

#[test]
fn dev_opens_what_is_needed_to_try_it() {
    let flags = ["--dev", "--tick", "250", "--base-path", "/live/", "--api-key", "mine"];
    let config = Config::from_flags(&flags).unwrap();
    assert_eq!(config.auth.anonymous, Anonymous::Chat);
    let keys: Vec<_> = config.api_keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["mine", "dev"]);
    assert_eq!(config.hub.room.tick_ms, 250);
    assert_eq!(config.public.base_path, "/live");
    assert_eq!(config.public.client_json, r#"{"dev":true,"tick_ms":250}"#);
    assert_eq!(config.drain.window_s, 5);
    assert!(is_local(config.listen));
}
