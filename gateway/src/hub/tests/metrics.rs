//! What a hub counts while it works.

use super::*;

#[tokio::test(start_paused = true)]
async fn joins_are_counted_by_how_they_ended() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.join("demo", 2).await;
    let head = stage.answer(0).await.head;
    let lost = Cursor { epoch: protocol::cursor::Epoch::random([9; 8]), seq: 0 };
    for since in [head, lost.into()] {
        stage.pass(10).await;
        stage.join_with("demo", Join { since: Some(since), ..join(4) }).await;
        stage.answer(0).await;
    }
    let joins = |outcome| stage.metric(&format!("barrage_joins_total{{outcome=\"{outcome}\"}}"));
    let counted = ["fresh", "recovered", "not_recovered", "refused"].map(joins);
    assert_eq!(counted, [2.0, 1.0, 1.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn slots_are_counted_with_what_they_sent_and_left_out() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.answer(0).await;
    for n in 0..45 {
        stage.publish("demo", chat(n, START_MS, 0));
    }
    assert_eq!(numbers(&stage.frame(0).await).len(), 40);
    assert_eq!(stage.metric("barrage_left_out_total{class=\"chat\"}"), 5.0);
    assert_eq!(stage.metric("barrage_batch_events_sum"), 40.0);
    assert_eq!(stage.metric("barrage_batch_events_count"), 1.0);
    assert_eq!(stage.metric("barrage_slot_lag_seconds_count"), 1.0);
    assert_eq!(stage.metric("barrage_slot_lag_seconds_sum"), 0.0, "virtual time has no lag");
}

#[tokio::test(start_paused = true)]
async fn paid_events_are_counted_for_each_slot_that_they_wait_for() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.answer(0).await;
    for n in 0..120 {
        stage.publish("demo", Event { class: Class::Paid, ..chat(n, START_MS, 0) });
    }
    for (sent, held) in [(50, 70.0), (50, 90.0), (20, 90.0)] {
        assert_eq!(numbers(&stage.frame(0).await).len(), sent);
        assert_eq!(stage.metric("barrage_held_total"), held);
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_are_counted_and_not_sent() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.answer(0).await;
    let id = EventId::keyed("42", &room_id("demo"), "key");
    for n in 0..3 {
        stage.publish("demo", Event { id, ..chat(n, START_MS, 0) });
    }
    assert_eq!(numbers(&stage.frame(0).await), [0]);
    assert_eq!(stage.metric("barrage_repeats_total"), 2.0);
}
