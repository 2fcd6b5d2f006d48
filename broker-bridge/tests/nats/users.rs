//! A gateway whose user may do no more than the file for operators says, over mutual TLS.

use std::time::Duration;

use broker_bridge::nats::{Config, LogRules, Login, Secret, Tls as GatewayTls};
use broker_bridge::{Ack, Counts, Recipient, SettingsDelivery};
use bytes::Bytes;
use rig::authority::Authority;
use rig::nats::{Binary, ClientCertificates, Nats as Server, Options, Tls, User};
use rig::wait::{soon, until};

use crate::support::{Gateway, config, room};

const PERMISSIONS: &str = include_str!("../../../docs/nats-permissions.conf");

/// The subjects that the file lists under a verb.
fn subjects(verb: &str) -> Vec<String> {
    let list = PERMISSIONS.split_once(&format!("{verb}: [")).unwrap().1.split_once(']').unwrap().0;
    let quoted = list.lines().filter(|line| !line.trim_start().starts_with('#'));
    quoted.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_documented_permissions_are_enough_and_mutual_tls_works() {
    for binary in Binary::all() {
        let authority = Authority::found();
        let files = authority.sign("gateway");
        let options = Options {
            tls: Some(Tls {
                files: authority.sign("server"),
                clients: ClientCertificates::Required,
            }),
            users: vec![User {
                name: "gateway".into(),
                password: "secret".into(),
                publish: subjects("publish"),
                subscribe: subjects("subscribe"),
            }],
            ..Options::default()
        };
        let server = Server::single_with(&binary, &options).await;
        let config = || Config {
            login: Login::Password { user: "gateway".into(), password: Secret("secret".into()) },
            tls: GatewayTls {
                ca: Some(authority.file()),
                certificate: Some((files.certificate.clone(), files.key.clone())),
            },
            ..config(&server.url())
        };
        // The second one wants the logs to be kept for longer.
        let log = LogRules { age: Duration::from_secs(900), ..config().log };
        let mut one = Gateway::ready(config()).await;
        let mut two = Gateway::ready(Config { log, ..config() }).await;
        let room = room("直播间");
        let head = one.open(&room).await;
        two.open(&room).await;
        one.store(&room, 1).await;
        assert_eq!(one.next_in_short(&room).await, "entry [1]");
        assert_eq!(two.next_in_short(&room).await, "entry [1]");
        two.broker.fetch(&room, head).unwrap();
        assert!(format!("{:?}", two.next(&room).await).contains("Fetched"));
        two.broker.send(Recipient::Everybody, Bytes::from_static(b"{}")).unwrap();
        soon("a payload", one.deliveries.direct.recv()).await.unwrap();
        one.broker.report(&room, Counts { online: 1, likes: 2 }).unwrap();
        assert!(format!("{:?}", two.next(&room).await).contains("Counts"));
        until("each other", || async { (one.broker.nodes().len() == 2).then_some(()) }).await;
        let put = one.broker.put_settings(&room, Some(Bytes::from_static(b"{}"))).unwrap();
        assert_eq!(soon("an ack", put).await, Ok(Ack { stored: true }));
        let told = soon("all settings", two.deliveries.settings.recv()).await;
        assert_eq!(told, Some(SettingsDelivery::Complete));
        let told = soon("settings", two.deliveries.settings.recv()).await;
        assert_eq!(told, Some(SettingsDelivery::Room(room, Some(Bytes::from_static(b"{}")))));
        let log = server.nodes()[0].log();
        assert!(!log.contains("Violation"), "{log}");
    }
}
