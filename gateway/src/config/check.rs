//! What no setting can judge by itself: contradictions, and what stands in other files.

use std::path::Path;

use crate::auth::config::SECRET_BYTES_MIN;
use crate::config::fault::{Fault, Origin};
use crate::config::file::text_of;
use crate::config::kind::is_key;
use crate::config::settings::SETTINGS;
use crate::config::{Config, is_local};
use crate::http::address::Preface;
use crate::secret::Secret;

/// A shorter key of the server API is warned of: what a caller may try is not limited.
const API_KEY_CHARS_MIN: usize = 16;

/// What is wrong although every value is fine by itself, as key and reason.
pub(super) fn contradictions(config: &Config) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let shown = |key: &str| {
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        setting.and_then(|setting| setting.kind.show(config)).unwrap_or_default()
    };
    if config.timing.ping_timeout_s <= config.timing.ping_interval_s {
        let interval = shown("clients.ping_interval");
        found.push((
            "clients.ping_timeout",
            format!("must be longer than clients.ping_interval = {interval}"),
        ));
    }
    if !config.dev && !config.auth.has_long_secrets() {
        found.push(("jwt.secret", format!("must have at least {SECRET_BYTES_MIN} bytes")));
    }
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        let listen = shown("listen");
        found.push(("admin.listen", format!("must be another address than listen = {listen}")));
    }
    if config.public.proxies.preface == Preface::ProxyV2
        && config.public.proxies.networks.is_empty()
    {
        found.push((
            "proxies.preface",
            "needs proxies.trust: headers are believed from named networks only".to_owned(),
        ));
    }
    if let Err(fault) = config.tls.check(config.listen) {
        found.push((fault.key(), fault.to_string()));
    }
    if !config.nats.namespace.is_namespace() {
        let why = "must be 1 to 32 letters, digits, `-` or `_`".to_owned();
        found.push(("nats.namespace", why));
    }
    found.extend(config.nats.contradictions());
    found
}

/// What is dangerous although nothing is wrong with it.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if config.dev && !is_local(config.listen) {
        found.push(format!(
            "dev with listen = \"{}\": whoever reaches this machine may chat, send gifts and come as \
             often as they like; never do this where strangers are",
            config.listen
        ));
    }
    if !is_local(config.admin_listen) {
        let key = if config.dev { ", and everybody knows the key `dev`" } else { "" };
        found.push(format!(
            "admin.listen = \"{}\": the admin port can be reached from other machines{key}",
            config.admin_listen
        ));
    }
    let keys = &config.api_keys;
    let short = keys.iter().filter(|key| key.expose().len() < API_KEY_CHARS_MIN).count();
    if !config.dev && short > 0 {
        let of = keys.len();
        found.push(format!(
            "api: {short} of the {of} keys have fewer than {API_KEY_CHARS_MIN} characters and can \
             be guessed"
        ));
    }
    found
}

/// The keys of a file, one a line.
///
/// # Errors
/// The file cannot be read, holds no key, or something that is none; without the keys.
pub(super) fn keys_of(path: &Path) -> Result<Vec<Secret>, Vec<Fault>> {
    let fault = |line, why: String| {
        let origin = Origin::File { path: path.to_owned(), line };
        Fault { origin, key: String::new(), value: None, why }
    };
    let text = text_of(path).map_err(|why| vec![fault(None, why)])?;
    let lines = text.lines().map(str::trim).enumerate();
    let keys: Vec<_> = lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')).collect();
    let faults: Vec<_> = keys.iter().filter(|(_, key)| !is_key(key)).collect();
    if !faults.is_empty() {
        let why = "a key must be visible ASCII, without spaces";
        return Err(faults.iter().map(|(n, _)| fault(Some(n + 1), why.to_owned())).collect());
    }
    if keys.is_empty() {
        return Err(vec![fault(None, "holds no key".to_owned())]);
    }
    Ok(keys.into_iter().map(|(_, key)| Secret::new(key)).collect())
}
