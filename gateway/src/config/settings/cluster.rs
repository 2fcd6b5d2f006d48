//! The settings of a gateway that is one of several.

use super::Setting;
use crate::config::kind;
use crate::config::nats::{NatsRules, NodeRules};

const NAME: &str = "1 to 128 visible ASCII characters without spaces";
const URL: &str = "`nats://host:port` or `tls://host:port`, without user and password";
const CLUSTER: &str = "the URLs of a cluster's servers with spaces between them, each \
                       `nats://host:port` or `tls://host:port`, without user and password";

pub(super) fn nats() -> Vec<Setting> {
    let doc = |field| NatsRules::DOCS.of(field);
    let with = |example: &str, setting| Setting { example: example.to_owned(), ..setting };
    let file = |key, field, name| {
        with("/etc/barrage/nats.pem", Setting::new(key, kind::file(field), doc(name)))
    };
    let namespace = kind::value(NAME, "live", |c| &mut c.nats.namespace);
    let replicas = kind::value("`auto`, 1, 3 or 5", "3", |c| &mut c.nats.replicas);
    let connections = kind::count(1..=16, |c| &mut c.nats.connections);
    let entries = kind::count(100..=10_000_000, |c| &mut c.nats.room_entries);
    let bytes = kind::count(1 << 20..=1 << 40, |c| &mut c.nats.stream_bytes);
    let url = kind::confidential(URL, |c| &mut c.nats.urls);
    let more = kind::confidential(CLUSTER, |c| &mut c.nats.more_clusters);
    vec![
        with("nats://127.0.0.1:4222", Setting::new("nats.url", url, doc("urls")))
            .flag("nats", "URL[,URL...]"),
        with(
            "nats://10.0.1.1:4222 nats://10.0.1.2:4222",
            Setting::new("nats.more_clusters", more, doc("more_clusters")),
        ),
        Setting::new("nats.namespace", namespace, doc("namespace")),
        Setting::new("nats.replicas", replicas, doc("replicas")),
        Setting::new("nats.connections", connections, doc("connections")),
        Setting::new("nats.room_entries", entries, doc("room_entries")),
        Setting::new("nats.stream_bytes", bytes, doc("stream_bytes")),
        file("nats.credentials_file", |c| &mut c.nats.credentials_file, "credentials_file"),
        file("nats.nkey_file", |c| &mut c.nats.nkey_file, "nkey_file"),
        Setting::new("nats.token", kind::secret(|c| &mut c.nats.token), doc("token")),
        with(
            "barrage",
            Setting::new("nats.user", kind::parsed(NAME, |c| &mut c.nats.user), doc("user")),
        ),
        Setting::new("nats.password", kind::secret(|c| &mut c.nats.password), doc("password")),
        file("nats.ca_file", |c| &mut c.nats.ca_file, "ca_file"),
        file("nats.cert_file", |c| &mut c.nats.certificate_file, "certificate_file"),
        file("nats.key_file", |c| &mut c.nats.key_file, "key_file"),
    ]
}

pub(super) fn node() -> Vec<Setting> {
    let doc = |field| NodeRules::DOCS.of(field);
    let named = |key, example: &str, kind, name| Setting {
        example: example.to_owned(),
        ..Setting::new(key, kind, doc(name))
    };
    let (name, public, admin) = (
        kind::parsed(NAME, |c| &mut c.node.name),
        kind::parsed(NAME, |c| &mut c.node.public),
        kind::parsed(NAME, |c| &mut c.node.admin),
    );
    vec![
        named("node.name", "gateway-1", name, "name").flag("node-name", "NAME"),
        named("node.public", "live-1.example.com:443", public, "public"),
        named("node.admin", "10.0.0.1:9090", admin, "admin"),
    ]
}
