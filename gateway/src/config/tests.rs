//! What the configuration promises, through its sources.

use std::ffi::OsString;

use crate::client::session::PaidFromClients;
use crate::config::{Config, Faults, Loaded, Sources, is_local};
use crate::http::upgrade::Anonymous;

/// Loads from flags and an environment.
fn load(flags: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Faults> {
    let os = |text: &str| OsString::from(text);
    let environment: Vec<_> = environment.iter().map(|(n, v)| (os(n), os(v))).collect();
    let flags = ["barrage-gateway"].iter().chain(flags);
    Sources::new(flags, environment).expect("these flags exist").load()
}

#[test]
fn nothing_said_means_closed_and_local() {
    let config = Config::from_flags(&[]).unwrap();
    assert!(is_local(config.listen) && is_local(config.admin_listen));
    assert_eq!(config.public.anonymous, Anonymous::Refused);
    assert_eq!(config.session.paid_from_clients, PaidFromClients::Refused);
    assert!(config.api_keys.is_empty());
}

#[test]
fn dev_opens_what_is_needed_to_try_it() {
    let flags = ["--dev", "--tick", "250", "--base-path", "/live/", "--api-key", "mine"];
    let config = Config::from_flags(&flags).unwrap();
    assert_eq!(config.public.anonymous, Anonymous::Chat);
    let keys: Vec<_> = config.api_keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["mine", "dev"]);
    assert_eq!(config.hub.room.tick_ms, 250);
    assert_eq!(config.public.base_path, "/live");
    assert_eq!(config.public.client_json, r#"{"dev":true,"tick_ms":250}"#);
    assert_eq!(config.drain.window_s, 5);
    assert!(is_local(config.listen));
}

#[test]
fn every_fault_is_told_at_once() {
    let flags = ["--tick", "70000", "--base-path", "live"];
    let faults = load(&flags, &[("BARRAGE_SHARDS", "0")]).unwrap_err();
    assert_eq!(faults.0.len(), 3);
    let told = faults.to_string();
    for part in ["--tick 70000: ", "--base-path live: ", "BARRAGE_SHARDS=0: "] {
        assert!(told.contains(part), "{told}");
    }
}
