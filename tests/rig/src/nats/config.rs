//! The configuration file of one nats-server.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::authority::Files;

/// How the servers are to be set up, beside what every rig has.
#[derive(Debug, Default)]
pub struct Options {
    /// Clients must use TLS with this server certificate.
    pub tls: Option<Tls>,
    /// Clients must be one of these.
    pub users: Vec<User>,
    /// More lines of configuration, as they stand.
    pub more: String,
}

/// The server's side of TLS.
#[derive(Debug)]
pub struct Tls {
    /// What the server shows; its `authority` is whom it trusts.
    pub files: Files,
    /// Whether clients must show a certificate too.
    pub clients: ClientCertificates,
}

/// Whether clients must show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They need not.
    Unasked,
    /// They must, signed by the authority.
    Required,
}

/// Somebody who may connect, and the subjects that they may use.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// Subjects that may be published to; empty for all.
    pub publish: Vec<String>,
    /// Subjects that may be subscribed to; empty for all.
    pub subscribe: Vec<String>,
}

/// Where one node is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) client: SocketAddr,
    pub(super) monitor: SocketAddr,
    pub(super) route: SocketAddr,
}

/// Writes the file.
pub(super) fn text(
    name: &str,
    addresses: &Addresses,
    routes: &[SocketAddr],
    store: &Path,
    options: &Options,
) -> String {
    let Addresses { client, monitor, route } = addresses;
    let store = quoted(&store.to_string_lossy());
    let mut text = format!(
        "server_name: {name}\nlisten: \"{client}\"\nhttp: \"{monitor}\"\n\
         write_deadline: \"2s\"\nping_interval: \"10s\"\n\
         lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"2s\"\n\
         jetstream {{ store_dir: {store}, max_mem: 64MB, max_file: 16GB, sync_interval: \"1s\" }}\n"
    );
    if !routes.is_empty() {
        let routes: Vec<_> = routes.iter().map(|route| format!("\"nats://{route}\"")).collect();
        // Not advertised: clients are to keep to the addresses, or proxies, that they were given.
        let _ = writeln!(
            text,
            "cluster {{ name: rig, listen: \"{route}\", no_advertise: true, routes: [{}] }}",
            routes.join(", ")
        );
    }
    if let Some(tls) = &options.tls {
        let file = |path: &Path| quoted(&path.to_string_lossy());
        let verify = tls.clients == ClientCertificates::Required;
        let _ = writeln!(
            text,
            "tls {{ cert_file: {}, key_file: {}, ca_file: {}, verify: {verify} }}",
            file(&tls.files.certificate),
            file(&tls.files.key),
            file(&tls.files.authority),
        );
    }
    if !options.users.is_empty() {
        let users: Vec<_> = options.users.iter().map(user).collect();
        let _ = writeln!(text, "authorization {{ users: [\n{}\n] }}", users.join(",\n"));
    }
    text + &options.more + "\n"
}

fn user(user: &User) -> String {
    let mut permissions = Vec::new();
    for (verb, subjects) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
        if !subjects.is_empty() {
            let subjects: Vec<_> = subjects.iter().map(|subject| quoted(subject)).collect();
            permissions.push(format!("{verb}: [{}]", subjects.join(", ")));
        }
    }
    let (name, password) = (quoted(&user.name), quoted(&user.password));
    format!(
        "  {{ user: {name}, password: {password}, permissions: {{ {} }} }}",
        permissions.join(", ")
    )
}

fn quoted(text: &str) -> String {
    assert!(!text.contains(['"', '\\', '\n']), "no quotes in names: {text}");
    format!("\"{text}\"")
}
