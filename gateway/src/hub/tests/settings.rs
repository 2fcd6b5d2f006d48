//! Rooms whose settings the broker tells.

use protocol::refusal::Code;

use super::*;

async fn put(stage: &Stage, room: &str, json: Option<&'static str>) {
    let json = json.map(|json| bytes::Bytes::from_static(json.as_bytes()));
    let pending = stage.broker.put_settings(&room_id(room), json).unwrap();
    assert!(pending.await.unwrap().stored);
}

/// The tick in a frame that tells settings.
fn tick(frame: &ShardFrame) -> Option<u64> {
    let message: serde_json::Value = serde_json::from_str(&plain(frame)).unwrap();
    message["state"]["settings"]["tick_ms"].as_u64()
}

#[tokio::test(start_paused = true)]
async fn an_open_room_changes_at_the_end_of_its_slot_and_goes_back_likewise() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.answer(0).await;
    let first_end_ms = stage.slot_end_ms("demo");
    put(&stage, "demo", Some(r#"{"tick_ms":250}"#)).await;
    assert_eq!(tick(&stage.frame(0).await), Some(250));
    assert_eq!(stage.now_ms(), first_end_ms);
    stage.publish("demo", chat(1, first_end_ms, 0));
    assert_eq!(numbers(&stage.frame(0).await), [1]);
    assert!(stage.now_ms() <= first_end_ms + 250);
    put(&stage, "demo", None).await;
    assert_eq!(tick(&stage.frame(0).await), Some(1_000));
    assert!(stage.now_ms() <= first_end_ms + 500);
    put(&stage, "other", Some(r#"{"tick_ms":250}"#)).await;
    stage.silence(0, Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_opens_with_its_settings() {
    let (mut stage, _bus) = Stage::on_a_bus();
    put(&stage, "demo", Some(r#"{"tick_ms":250}"#)).await;
    stage.pass(1).await;
    stage.join("demo", 0).await;
    let AnswerTail::Copied(tail) = stage.answer(0).await.tail else { panic!("it is small") };
    let tail = String::from_utf8(tail.to_vec()).unwrap();
    assert!(tail.contains("\"tick_ms\":250,\"state\""), "{tail}");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_must_be_created_first_takes_nobody_in_until_it_is() {
    let bus = Bus::start(BusConfig::default());
    let (broker, deliveries) = bus.node(BootId::random([1; 8]));
    let mut stage = Stage::with(broker, deliveries, HubRules { created_only: true, ..rules() });
    stage.join("demo", 0).await;
    let RoomCommand::Refuse { joins, refusal, .. } = stage.next(0).await else {
        panic!("there is no such room")
    };
    assert_eq!((joins, refusal.code), (vec![join(0)], Code::NoSuchRoom));
    assert_eq!(stage.metrics.rooms.get(), 0, "nothing was opened for it");
    put(&stage, "demo", Some("{}")).await;
    stage.pass(1).await;
    stage.join("demo", 0).await;
    stage.answer(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_deleted_puts_out_who_is_in_it_and_refuses_who_waits() {
    let bus = Bus::start(BusConfig::default());
    let (broker, deliveries) = bus.node(BootId::random([1; 8]));
    let mut stage = Stage::with(broker, deliveries, HubRules { created_only: true, ..rules() });
    put(&stage, "demo", Some("{}")).await;
    stage.pass(1).await;
    stage.join("demo", 0).await;
    stage.answer(0).await;
    // It waits until joins have been collected.
    stage.join("demo", 2).await;
    put(&stage, "demo", None).await;
    let RoomCommand::Refuse { joins, refusal, .. } = stage.next(0).await else {
        panic!("there is no such room any more")
    };
    assert_eq!((joins, refusal.code), (vec![join(2)], Code::NoSuchRoom));
    let RoomCommand::Dismiss { room, refusal } = stage.next(0).await else { panic!("it is over") };
    assert_eq!((room, refusal.code), (room_id("demo"), Code::NoSuchRoom));
    stage.silence(1, Duration::from_secs(1)).await;
    put(&stage, "demo", Some("{}")).await;
    stage.pass(1).await;
    stage.join("demo", 4).await;
    let AnswerTail::Copied(tail) = stage.answer(0).await.tail else { panic!("it is small") };
    let tail = String::from_utf8(tail.to_vec()).unwrap();
    assert!(tail.contains("\"online\":1"), "nobody else is in: {tail}");
}
