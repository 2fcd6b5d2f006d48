//! The servers are real, and every fault of them really happens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use rig::authority::Authority;
use rig::nats::{Binary, ClientCertificates, Nats, Options, Tls, User};
use rig::wait::{soon, until};

/// How long an answer is waited for where none must come.
const SILENCE: Duration = Duration::from_millis(500);

async fn client(url: &str) -> Client {
    let urls: Vec<&str> = url.split(',').collect();
    soon("a connection", ConnectOptions::new().connect(urls)).await.unwrap()
}

async fn make_stream(client: &Client, name: &str, replicas: usize) -> jetstream::Context {
    let context = jetstream::new(client.clone());
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        num_replicas: replicas,
        ..stream::Config::default()
    };
    soon("a stream", context.create_stream(config)).await.unwrap();
    context
}

async fn store(context: &jetstream::Context, subject: &str) -> Option<u64> {
    let ack = context.publish(subject.to_owned(), "x".into()).await.ok()?;
    Some(tokio::time::timeout(SILENCE, ack.into_future()).await.ok()?.ok()?.sequence)
}

/// Retries, as JetStream has no leader for a while.
async fn store_at_last(context: &jetstream::Context, subject: &str) -> u64 {
    until("an ack", || store(context, subject)).await
}

#[tokio::test]
async fn a_single_server_of_each_version_has_jetstream_and_keeps_its_store_over_a_crash() {
    for binary in Binary::all() {
        let mut nats = Nats::single(&binary).await;
        let told = nats.nodes()[0].monitor("/varz").await.unwrap();
        assert_eq!(told["version"], binary.version);
        let connection = client(&nats.url()).await;
        let context = make_stream(&connection, "log", 1).await;
        assert_eq!(store_at_last(&context, "log.a").await, 1);
        assert_eq!(nats.until_led("log", |_| true).await, 0);
        let (first, address) = (nats.nodes()[0].id().unwrap(), nats.addresses());
        nats.node(0).kill();
        assert!(!nats.node(0).is_up() && nats.nodes()[0].monitor("/varz").await.is_none());
        nats.restart_all().await;
        assert_eq!(nats.addresses(), address);
        assert_ne!(nats.nodes()[0].id(), Some(first));
        assert_eq!(store_at_last(&context, "log.a").await, 2, "the first is still there");
    }
}

#[tokio::test]
async fn a_cluster_goes_on_without_the_node_that_led_a_stream() {
    for binary in Binary::all() {
        let mut nats = Nats::cluster(&binary).await;
        let connection = client(&nats.url()).await;
        let context = make_stream(&connection, "log", 3).await;
        let first = store_at_last(&context, "log.a").await;
        let leader = nats.until_led("log", |_| true).await;
        nats.node(leader).kill();
        let next = nats.until_led("log", |at| at != leader).await;
        assert_ne!(next, leader);
        let second = store_at_last(&context, "log.a").await;
        assert!(second > first, "{second} after {first}");
        nats.restart_all().await;
        assert!(nats.node(leader).is_up());
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_does_so_and_one_that_leaves_slowly_tells_its_clients() {
    let Some(binary) = Binary::newest() else { return };
    let mut nats = Nats::cluster(&binary).await;
    assert!(nats.node(0).terminate().await.code().is_some());
    nats.restart_all().await;
    let (told, mut events) = tokio::sync::mpsc::channel(16);
    let options = ConnectOptions::new().event_callback(move |event| {
        let told = told.clone();
        async move {
            let _ = told.send(event).await;
        }
    });
    let connection = soon("a connection", options.connect(nats.nodes()[1].url())).await.unwrap();
    nats.node(1).lame_duck();
    soon("the lame duck", async {
        while events.recv().await != Some(async_nats::Event::LameDuckMode) {}
    })
    .await;
    drop(connection);
    nats.node(1).ended().await;
    nats.restart_all().await;
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_goes_on() {
    let Some(binary) = Binary::newest() else { return };
    let mut nats = Nats::single(&binary).await;
    let connection = client(&nats.url()).await;
    let mut inbox = connection.subscribe("a").await.unwrap();
    connection.flush().await.unwrap();
    nats.node(0).pause();
    connection.publish("a", "x".into()).await.unwrap();
    assert!(tokio::time::timeout(SILENCE, inbox.next()).await.is_err());
    assert!(nats.node(0).is_up() && nats.nodes()[0].monitor("/varz").await.is_none());
    nats.node(0).resume();
    assert!(soon("the message", inbox.next()).await.is_some());
}

#[tokio::test]
async fn tls_is_mutual_and_a_user_may_do_what_it_may_and_no_more() {
    let Some(binary) = Binary::newest() else { return };
    let authority = Authority::found();
    let user = User {
        name: "ann".to_owned(),
        password: "secret".to_owned(),
        publish: vec!["open.>".to_owned()],
        subscribe: vec!["open.>".to_owned()],
    };
    let options = Options {
        tls: Some(Tls { files: authority.sign("server"), clients: ClientCertificates::Required }),
        users: vec![user],
        ..Options::default()
    };
    let nats = Nats::single_with(&binary, &options).await;
    let own = authority.sign("client");
    let encrypted = || {
        let roots = ConnectOptions::new().add_root_certificates(own.authority.clone());
        roots.require_tls(true)
    };
    let certified = || encrypted().add_client_certificate(own.certificate.clone(), own.key.clone());
    let user = |options: ConnectOptions| options.user_and_password("ann".into(), "secret".into());
    let wrong = [
        ("no TLS", user(ConnectOptions::new())),
        ("no certificate", user(encrypted())),
        ("no user", certified()),
        ("a wrong password", certified().user_and_password("ann".into(), "guess".into())),
    ];
    for (what, options) in wrong {
        assert!(options.connect(nats.url()).await.is_err(), "{what}");
    }
    let connection = soon("a connection", user(certified()).connect(nats.url())).await.unwrap();
    let mut open = connection.subscribe("open.a").await.unwrap();
    let mut shut = connection.subscribe("shut.a").await.unwrap();
    connection.publish("shut.a", "x".into()).await.unwrap();
    connection.publish("open.a", "x".into()).await.unwrap();
    assert!(soon("what is allowed", open.next()).await.is_some());
    assert!(tokio::time::timeout(SILENCE, shut.next()).await.is_err());
}

#[tokio::test]
async fn nothing_stays_behind() {
    let Some(binary) = Binary::newest() else { return };
    let nats = Nats::cluster(&binary).await;
    let ids: Vec<_> = nats.nodes().iter().map(|node| node.id().unwrap()).collect();
    let address = nats.addresses()[0];
    let folder = nats.folder().to_owned();
    assert!(folder.join("n1/store").is_dir());
    drop(nats);
    assert!(!folder.exists());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    for id in ids {
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}
