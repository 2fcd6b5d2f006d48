//! Every setting, declared once.

mod cluster;

use std::sync::LazyLock;
use std::time::Duration;

use crate::auth::config::{Anonymous, AuthConfig};
use crate::client::guests::{AddressLimits, GuestRules};
use crate::client::session::{PaidFromClients, SessionRules};
use crate::config::kind::{self, Kind};
use crate::config::{Config, DrainRules, HistoryRules, cores};
use crate::http::address::{Preface, Proxies};
use crate::http::api::keys::ApiRules;
use crate::http::serve::PublicRules;
use crate::http::tls::{TlsMode, TlsRules};
use crate::hub::HubRules;
use crate::room::RoomSettings;
use crate::shard::ShardRules;

const HOUR_S: u32 = 3600;
/// A client that reloads its page comes back within this time.
const HISTORY_MIN: Duration = Duration::from_secs(1);
const HISTORY_MAX: Duration = Duration::from_secs(24 * 3600);

const ANONYMOUS: &[(&str, Anonymous)] =
    &[("refused", Anonymous::Refused), ("view", Anonymous::View), ("chat", Anonymous::Chat)];

/// One setting.
pub(super) struct Setting {
    /// Its key in the file; with `BARRAGE_` before it, in capitals and with `_` for `.`, its
    /// name in the environment.
    pub(super) key: &'static str,
    /// Its flag, for the few that scripts rely on.
    pub(super) flag: Option<Flag>,
    /// Another name in the environment: that of its flag.
    pub(super) env_alias: Option<&'static str>,
    pub(super) kind: Kind,
    /// What it does, and what breaks when it is too low or too high.
    pub(super) doc: String,
    /// The default in words, where it depends on the machine.
    pub(super) default_says: Option<&'static str>,
    /// A value that is no default, as a text: for the sample and for tests.
    pub(super) example: String,
    /// Whether a reload is enough; otherwise it needs a restart.
    pub(super) is_reloadable: bool,
}

/// A flag of the command line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    /// Without its dashes.
    pub(super) name: &'static str,
    /// What stands for its value in the help; none if it has no value.
    pub(super) value: Option<&'static str>,
}

impl Setting {
    fn new(key: &'static str, kind: Kind, doc: String) -> Self {
        let example = kind.example.clone();
        Self {
            key,
            flag: None,
            env_alias: None,
            kind,
            doc,
            default_says: None,
            example,
            is_reloadable: false,
        }
    }

    fn flag(self, name: &'static str, value: &'static str) -> Self {
        let value = (!value.is_empty()).then_some(value);
        Self { flag: Some(Flag { name, value }), ..self }
    }

    fn reloadable(self) -> Self {
        Self { is_reloadable: true, ..self }
    }

    /// Its names in the environment, the proper one first.
    pub(super) fn env_names(&self) -> impl Iterator<Item = String> {
        let proper = format!("BARRAGE_{}", self.key.to_ascii_uppercase().replace('.', "_"));
        [proper].into_iter().chain(self.env_alias.map(str::to_owned))
    }
}

/// Every setting, in the order of the reference: those of the file's top first, then by section.
pub(super) static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let local = [top(), tls(), jwt(), admin(), rooms(), clients(), limits(), proxies(), drain()];
    local.into_iter().chain([cluster::nats(), cluster::node()]).flatten().collect()
});

fn top() -> Vec<Setting> {
    let doc = |field| Config::DOCS.of(field);
    let public = |field| PublicRules::DOCS.of(field);
    let auth = |field| AuthConfig::DOCS.of(field);
    let anonymous = kind::choice(ANONYMOUS, |c| &mut c.auth.anonymous);
    let origins = kind::list("an origin such as `https://example.com`", |c| &mut c.auth.origins);
    let shards = kind::count_or_auto(1..=1024, cores, |c| &mut c.shards);
    vec![
        Setting::new("dev", kind::switch(|c| &mut c.dev), doc("dev")).flag("dev", ""),
        Setting::new("listen", kind::address(|c| &mut c.listen), doc("listen"))
            .flag("listen", "ADDR"),
        Setting {
            default_says: Some("\"auto\""),
            ..Setting::new("shards", shards, doc("shards")).flag("shards", "N")
        },
        Setting::new("base_path", kind::path(|c| &mut c.public.base_path), public("base_path"))
            .flag("base-path", "PATH"),
        Setting::new("anonymous", anonymous, auth("anonymous")).flag("anonymous", "WHAT"),
        Setting {
            example: "[\"https://example.com\"]".to_owned(),
            ..Setting::new("allow_origin", origins, auth("origins")).flag("allow-origin", "ORIGIN")
        },
        Setting::new("log", kind::log_filter(|c| &mut c.log), doc("log")).reloadable(),
    ]
}

fn tls() -> Vec<Setting> {
    let doc = |field| TlsRules::DOCS.of(field);
    let modes = &[("off", TlsMode::Off), ("self-signed", TlsMode::SelfSigned)];
    let file = |example: &str, setting| Setting { example: example.to_owned(), ..setting };
    vec![
        Setting::new("tls.mode", kind::choice(modes, |c| &mut c.tls.mode), doc("mode"))
            .flag("tls", "HOW"),
        file(
            "/etc/barrage/certificate.pem",
            Setting::new(
                "tls.cert_file",
                kind::file(|c| &mut c.tls.certificate_file),
                doc("certificate_file"),
            )
            .flag("tls-cert", "FILE"),
        ),
        file(
            "/etc/barrage/key.pem",
            Setting::new("tls.key_file", kind::file(|c| &mut c.tls.key_file), doc("key_file"))
                .flag("tls-key", "FILE"),
        ),
    ]
}

fn jwt() -> Vec<Setting> {
    let doc = |field| AuthConfig::DOCS.of(field);
    let files =
        kind::list("the name of a file, perhaps with the key's id and `=` before it", |c| {
            &mut c.auth.key_files
        });
    let url = kind::parsed(
        "an address that begins with `https://`, or with `http://` and is on this machine",
        |c| &mut c.auth.jwks_url,
    );
    let text = |example: &str, key, field, name| Setting {
        example: example.to_owned(),
        ..Setting::new(key, kind::text("a text", field), doc(name)).reloadable()
    };
    vec![
        Setting {
            example: "a-secret-of-at-least-32-random-bytes".to_owned(),
            ..Setting::new("jwt.secret", kind::secrets(|c| &mut c.auth.secrets), doc("secrets"))
                .flag("jwt-secret", "SECRET")
                .reloadable()
        },
        Setting {
            example: "[\"2026=/etc/barrage/2026.pem\"]".to_owned(),
            ..Setting::new("jwt.key_file", files, doc("key_files"))
                .flag("jwt-key-file", "PATH")
                .reloadable()
        },
        Setting {
            example: "https://id.example.com/jwks.json".to_owned(),
            ..Setting::new("jwt.jwks_url", url, doc("jwks_url"))
                .flag("jwks-url", "URL")
                .reloadable()
        },
        Setting {
            example: "/etc/barrage/ca.pem".to_owned(),
            ..Setting::new(
                "jwt.jwks_ca_file",
                kind::file(|c| &mut c.auth.jwks_ca_file),
                doc("jwks_ca_file"),
            )
            .reloadable()
        },
        text("https://id.example.com/", "jwt.issuer", |c| &mut c.auth.issuer, "issuer"),
        text("barrage", "jwt.audience", |c| &mut c.auth.audience, "audience"),
    ]
}

fn admin() -> Vec<Setting> {
    let doc = |field| ApiRules::DOCS.of(field);
    vec![
        Setting::new(
            "admin.listen",
            kind::address(|c| &mut c.admin_listen),
            Config::DOCS.of("admin_listen"),
        )
        .flag("admin-listen", "ADDR"),
        Setting {
            example: "the-key".to_owned(),
            ..Setting::new("api.key", kind::secrets(|c| &mut c.api.keys), doc("keys"))
                .flag("api-key", "KEY")
                .reloadable()
        },
        Setting {
            example: "/etc/barrage/api-keys".to_owned(),
            ..Setting::new("api.key_file", kind::file(|c| &mut c.api.key_file), doc("key_file"))
                .reloadable()
        },
    ]
}

fn rooms() -> Vec<Setting> {
    let doc = |field| RoomSettings::DOCS.of(field);
    let tick = kind::millis(RoomSettings::TICK_MS, |c| &mut c.hub.room.tick_ms);
    let newest = kind::count(RoomSettings::HISTORY_EVENTS, |c| &mut c.hub.room.history_events);
    let created_only = kind::switch(|c| &mut c.hub.created_only);
    let history = kind::time(HISTORY_MIN..=HISTORY_MAX, |c| &mut c.history.age);
    vec![
        Setting {
            env_alias: Some("BARRAGE_TICK_MS"),
            ..Setting::new("rooms.tick_ms", tick, doc("tick_ms"))
                .flag("tick", "MS")
        },
        Setting::new(
            "rooms.chat_per_s",
            kind::count(RoomSettings::EVENTS_PER_S, |c| &mut c.hub.room.budget.chat),
            "Chats and ambient events that a room sends per second; what is over it is left out and \
             counted, the same on every gateway. Default: 40, about what a screen shows before \
             comments lie on top of each other. Lower leaves out chats that people would have \
             read; higher costs every viewer's traffic for what nobody can read."
                .to_owned(),
        ),
        Setting::new(
            "rooms.higher_per_s",
            kind::count(RoomSettings::EVENTS_PER_S, |c| &mut c.hub.room.budget.higher),
            "What is added to the budget per second for the classes above chat (gifts, paid, \
             system). Default: 10. Chat cannot use it; they can use what chat leaves. Lower makes \
             paid events wait for later slots; higher crowds the screen."
                .to_owned(),
        ),
        Setting::new("rooms.history", history, HistoryRules::DOCS.of("age"))
            .flag("history", "TIME"),
        Setting {
            example: "20".to_owned(),
            ..Setting::new("rooms.history_events", newest, doc("history_events"))
        },
        Setting::new("rooms.created_only", created_only, HubRules::DOCS.of("created_only")),
    ]
}

fn clients() -> Vec<Setting> {
    let session = |field| SessionRules::DOCS.of(field);
    let shard = |field| ShardRules::DOCS.of(field);
    let paid = kind::choice(
        &[("refused", PaidFromClients::Refused), ("allowed", PaidFromClients::Allowed)],
        |c| &mut c.session.paid_from_clients,
    );
    let publishes = kind::rate(|c| &mut c.session.publishes);
    let commands = kind::rate(|c| &mut c.session.commands);
    let likes = kind::rate(|c| &mut c.session.likes);
    let interval = kind::seconds(1..=HOUR_S, |c| &mut c.timing.ping_interval_s);
    let timeout = kind::seconds(2..=2 * HOUR_S, |c| &mut c.timing.ping_timeout_s);
    let stuck = kind::seconds(1..=HOUR_S, |c| &mut c.timing.stuck_s);
    vec![
        Setting::new("clients.publishes", publishes, session("publishes")),
        Setting::new("clients.commands", commands, session("commands")),
        Setting::new("clients.likes", likes, session("likes")),
        Setting::new("clients.paid", paid, session("paid_from_clients")),
        Setting::new("clients.ping_interval", interval, shard("ping_interval_s")),
        Setting::new("clients.ping_timeout", timeout, shard("ping_timeout_s")),
        Setting::new("clients.stuck", stuck, shard("stuck_s")),
    ]
}

fn limits() -> Vec<Setting> {
    let doc = |field| GuestRules::DOCS.of(field);
    let all = kind::count(1..=10_000_000, |c| &mut c.guests.connections_max);
    let of_user = kind::count(1..=1_000_000, |c| &mut c.guests.connections_per_user_max);
    let of_address = kind::count(1..=10_000_000, |c| &mut c.guests.address_connections_max);
    let handshakes = kind::rate(|c| &mut c.guests.address_handshakes);
    let switch = kind::choice(&[("on", AddressLimits::On), ("off", AddressLimits::Off)], |c| {
        &mut c.guests.address_limits
    });
    vec![
        Setting::new("limits.connections", all, doc("connections_max")),
        Setting::new("limits.user_connections", of_user, doc("connections_per_user_max")),
        Setting::new("limits.addresses", switch, doc("address_limits")),
        Setting::new("limits.address_connections", of_address, doc("address_connections_max")),
        Setting::new("limits.address_handshakes", handshakes, doc("address_handshakes")),
    ]
}

fn proxies() -> Vec<Setting> {
    let doc = |field| Proxies::DOCS.of(field);
    let preface =
        kind::choice(&[("nothing", Preface::Nothing), ("proxy_v2", Preface::ProxyV2)], |c| {
            &mut c.public.proxies.preface
        });
    vec![
        Setting {
            example: "10.0.0.0/8".to_owned(),
            ..Setting::new(
                "proxies.trust",
                kind::networks(|c| &mut c.public.proxies.networks),
                doc("networks"),
            )
            .flag("trust-proxy", "NETWORK")
        },
        Setting::new("proxies.preface", preface, doc("preface")),
    ]
}

fn drain() -> Vec<Setting> {
    const DELAY_MAX: Duration = Duration::from_secs(600);
    let doc = |field| DrainRules::DOCS.of(field);
    let delay = kind::time(Duration::ZERO..=DELAY_MAX, |c| &mut c.drain.delay);
    let window = kind::seconds(0..=HOUR_S, |c| &mut c.drain.window_s);
    let grace = kind::time(Duration::ZERO..=DELAY_MAX, |c| &mut c.drain.grace);
    vec![
        Setting::new("drain.delay", delay, doc("delay")),
        Setting::new("drain.window", window, doc("window_s")),
        Setting::new("drain.grace", grace, doc("grace")),
    ]
}
