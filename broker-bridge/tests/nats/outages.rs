//! Logs and servers that are gone, and come back.

use broker_bridge::{Ack, PublishError, RoomDelivery, SettingsDelivery, Status};
use protocol::ids::RoomId;
use rig::nats::{Binary, Nats as Server};
use rig::wait::{soon, until};

use crate::support::{Gateway, Operator, config, room};

#[tokio::test]
async fn without_its_log_a_room_goes_on_live_and_comes_back_under_a_new_numbering() {
    for binary in Binary::all() {
        let server = Server::single(&binary).await;
        let mut gateway = Gateway::ready(config(&server.url())).await;
        let (operator, room) = (Operator::at(&server.url()).await, room("a"));
        let head = gateway.open(&room).await;
        gateway.store(&room, 1).await;
        assert_eq!(gateway.next_in_short(&room).await, "entry [1]");
        operator.context.delete_stream(operator.stream_name(&room)).await.unwrap();
        assert_eq!(gateway.publish(&room, 2).await, Ok(Ack { stored: false }));
        assert_eq!(gateway.next_in_short(&room).await, "live [2]");
        assert_eq!(gateway.nats.stats().unstored(), 1);
        // The stream is made again, and the room stores again.
        gateway.well().await;
        gateway.store(&room, 3).await;
        let RoomDelivery::Opened { head: again, recent } = gateway.next(&room).await else {
            panic!("expected opened");
        };
        assert_ne!(again.epoch, head.epoch);
        assert_eq!(recent.len(), 1);
        gateway.store(&room, 4).await;
        assert_eq!(gateway.next_in_short(&room).await, "entry [4]");
    }
}

#[tokio::test]
async fn a_gateway_may_start_before_its_server() {
    let Some(binary) = Binary::oldest() else { return };
    let mut server = Server::single(&binary).await;
    let url = server.url();
    server.node(0).kill();
    let mut gateway = Gateway::start(config(&url)).await;
    assert_eq!(*gateway.deliveries.status.borrow(), Status { reachable: false, log: false });
    assert_eq!(gateway.publish(&room("a"), 1).await, Err(PublishError::Unavailable));
    gateway.broker.subscribe(&room("a")).unwrap();
    server.restart_all().await;
    gateway.well().await;
    assert_eq!(gateway.next_in_short(&room("a")).await, "opened");
    gateway.store(&room("a"), 2).await;
    assert_eq!(gateway.next_in_short(&room("a")).await, "entry [2]");
}

#[tokio::test]
async fn without_its_server_a_gateway_refuses_and_with_it_nothing_acked_is_missing() {
    let Some(binary) = Binary::newest() else { return };
    let mut server = Server::single(&binary).await;
    let mut gateway = Gateway::ready(config(&server.url())).await;
    let room = room("a");
    gateway.open(&room).await;
    gateway.store(&room, 1).await;
    server.node(0).kill();
    let unreachable = gateway.deliveries.status.wait_for(|status| !status.reachable);
    soon("a status", unreachable).await.unwrap();
    assert_eq!(gateway.publish(&room, 2).await, Err(PublishError::Unavailable));
    // From now on there is nothing to wait for.
    let refused = gateway.broker.publish(&room, crate::support::event(3)).unwrap();
    assert_eq!(soon("a refusal", refused).await, Err(PublishError::Unavailable));
    server.restart_all().await;
    gateway.well().await;
    until("an ack", || async { gateway.publish(&room, 4).await.ok() }).await;
    assert_eq!(gateway.next_in_short(&room).await, "entry [1]");
    let mut told = gateway.next_in_short(&room).await;
    // What was refused is not in the log: it was never handed over.
    if told == "lost 1" {
        told = gateway.next_in_short(&room).await;
    }
    assert_eq!(told, "entry [4]");
}

#[tokio::test]
async fn in_a_cluster_nothing_acked_as_stored_is_missing_when_the_leader_of_a_log_dies() {
    let Some(binary) = Binary::newest() else { return };
    let mut server = Server::cluster(&binary).await;
    let mut gateway = Gateway::ready(config(&server.url())).await;
    let operator = Operator::at(server.url().split(',').next().unwrap()).await;
    let room = room("a");
    assert_eq!(operator.stream(&room).await.cached_info().config.num_replicas, 3);
    gateway.open(&room).await;
    let leader = server.until_led(&operator.stream_name(&room), |_| true).await;
    let mut sent = Vec::new();
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    let publishing = async {
        for nth in 1_u64.. {
            pace.tick().await;
            if nth == 10 {
                server.node(leader).kill();
            }
            if let Ok(Ack { stored: true }) = gateway.publish(&room, nth).await {
                sent.push(format!("entry [{nth}]"));
                if nth > 10 {
                    return;
                }
            }
        }
    };
    soon("a log that acks again", publishing).await;
    // The log acks again, and everything acked as stored comes once, in order.
    assert!(sent.len() >= 10, "{sent:?}");
    let mut told = Vec::new();
    while told.last() != sent.last() {
        let next = gateway.next_in_short(&room).await;
        if sent.contains(&next) {
            told.push(next);
        }
    }
    assert_eq!(told, sent);
}

#[tokio::test]
async fn a_bucket_of_settings_that_is_lost_is_made_again() {
    let Some(binary) = Binary::newest() else { return };
    let server = Server::single(&binary).await;
    let mut gateway = Gateway::ready(config(&server.url())).await;
    let (operator, room) = (Operator::at(&server.url()).await, room("a"));
    let complete = soon("all settings", gateway.deliveries.settings.recv()).await;
    assert_eq!(complete, Some(SettingsDelivery::Complete));
    for settings in [r#"{"tick_ms":1}"#, r#"{"tick_ms":2}"#] {
        put(&mut gateway, &room, settings).await;
    }
    operator.context.delete_key_value("barrage_rooms").await.unwrap();
    // Its revisions begin anew, below those that are known.
    put(&mut gateway, &room, r#"{"tick_ms":3}"#).await;
    let mut late = Gateway::ready(config(&server.url())).await;
    let told = soon("what is kept", late.deliveries.settings.recv()).await;
    assert_eq!(told, Some(SettingsDelivery::Room(room, Some(r#"{"tick_ms":3}"#.into()))));
}

/// Has settings kept, and waits until they are told.
async fn put(gateway: &mut Gateway, room: &RoomId, settings: &'static str) {
    until("an ack", || async {
        let pending = gateway.broker.put_settings(room, Some(settings.into())).unwrap();
        soon("an answer", pending).await.ok()
    })
    .await;
    let told = soon("the change", gateway.deliveries.settings.recv()).await;
    assert_eq!(told, Some(SettingsDelivery::Room(room.clone(), Some(settings.into()))));
}
