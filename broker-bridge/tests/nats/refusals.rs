//! Servers and streams that will not do.

use std::time::Duration;

use broker_bridge::nats::{LogRules, StartError};
use broker_bridge::{Busy, PublishError};
use rig::nats::{Binary, Nats as Server, old_server};
use rig::wait::soon;

use crate::support::{Gateway, Log, config, event, room};

#[tokio::test]
async fn a_server_before_2_11_is_refused_with_its_version() {
    let gateway = Gateway::start(config(&old_server().await)).await;
    let refused = soon("a refusal", gateway.nats.refused()).await;
    assert_eq!(refused, StartError::TooOld { server: "old".into(), version: "2.10.26".into() });
    let told = refused.to_string();
    assert!(told.contains("2.10.26") && told.contains("2.11"), "{told}");
    // It has ended, as the contract says.
    let pending = gateway.broker.publish(&room("a"), event(1)).unwrap();
    assert_eq!(soon("an answer", pending).await, Err(PublishError::Unavailable));
    rig::wait::until("an end", || async {
        (gateway.broker.subscribe(&room("a")) == Err(Busy)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_set_up_otherwise_is_refused_and_the_difference_named() {
    let Some(binary) = Binary::oldest() else { return };
    let server = Server::single(&binary).await;
    let first = Gateway::ready(config(&server.url())).await;
    // The same settings are welcome.
    Gateway::ready(config(&server.url())).await.nats.shutdown().await;
    let mut other = config(&server.url());
    other.log = LogRules { room_entries_max: 77, ..other.log };
    let refused = soon("a refusal", Gateway::start(other).await.nats.refused()).await;
    let told = refused.to_string();
    assert!(told.contains("barrage_h00"), "{told}");
    assert!(told.contains("max_msgs_per_subject is 16384, it should be 77"), "{told}");
    // Whoever runs already is not disturbed.
    first.store(&room("a"), 1).await;
}

#[tokio::test]
async fn streams_keep_entries_for_as_long_as_any_gateway_has_wanted() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _told = tracing::subscriber::set_default(subscriber);
    let Some(binary) = Binary::oldest() else { return };
    let server = Server::single(&binary).await;
    let mut first = Gateway::ready(config(&server.url())).await;
    let (room, client) = (room("a"), async_nats::connect(server.url()).await.unwrap());
    let head = first.open(&room).await;
    // No gateway takes away what others keep, in whatever order they start.
    for (age, kept) in [(5, 600), (3600, 3600), (600, 3600)] {
        let (age, kept) = (Duration::from_secs(age), Duration::from_secs(kept));
        let mut other = config(&server.url());
        other.log = LogRules { age, ..other.log };
        let second = Gateway::ready(other).await;
        for stream in 0..16 {
            let name = format!("barrage_h{stream:02}");
            let context = async_nats::jetstream::new(client.clone());
            let found = context.get_stream(name).await.unwrap().cached_info().config.clone();
            let window = Duration::from_secs(20);
            assert_eq!((found.max_age, found.duplicate_window), (kept, window));
            assert!(found.metadata.contains_key("barrage-epoch"), "the numbering goes on");
        }
        second.nats.shutdown().await;
        let warned = log.take().lines().filter(|line| line.contains("WARN")).count();
        assert_eq!(warned, usize::from(age < kept), "a word for whoever wants it shorter");
    }
    // Whoever runs already is not disturbed.
    first.store(&room, 1).await;
    assert_eq!(first.next_in_short(&room).await, "entry [1]");
    first.broker.fetch(&room, head).unwrap();
    assert!(format!("{:?}", first.next(&room).await).contains("Fetched"));
}

#[tokio::test]
async fn several_replicas_on_a_single_server_are_refused() {
    let Some(binary) = Binary::newest() else { return };
    let server = Server::single(&binary).await;
    let config = broker_bridge::nats::Config { replicas: Some(3), ..config(&server.url()) };
    let refused = soon("a refusal", Gateway::start(config).await.nats.refused()).await;
    assert!(refused.to_string().contains("several replicas need a cluster"), "{refused}");
}
