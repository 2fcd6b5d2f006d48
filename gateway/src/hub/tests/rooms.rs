//! A room's life on a hub: opened by the first join, turned when it is due, forgotten in time.

use super::*;

use tokio::sync::oneshot;

#[tokio::test(start_paused = true)]
async fn a_join_is_answered_at_once_and_a_frame_comes_at_the_end_of_its_slot() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    let answer = stage.answer(0).await;
    assert_eq!((stage.now_ms(), answer.joins.as_slice()), (START_MS, [join(0)].as_slice()));
    assert_eq!(answer.head.at.seq, 0);

    let end_ms = stage.slot_end_ms("demo");
    stage.publish("demo", chat(1, START_MS, 0));
    let frame = stage.frame(0).await;
    assert_eq!((stage.now_ms(), numbers(&frame)), (end_ms, vec![1]));
    let variant = &frame.variants[0];
    assert_eq!((variant.prev.at.seq, variant.cursor.at.seq, variant.count), (0, 1, 1));
    stage.silence(0, Duration::from_secs(3_600)).await;
    stage.silence(1, Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn shards_share_the_frames_that_are_made_once() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.join("demo", 1).await;
    stage.join("demo", 3).await;
    assert_eq!(stage.answer(0).await.joins, [join(0)]);
    let mut seated: Vec<_> = stage.answer(1).await.joins;
    while seated.len() < 2 {
        seated.extend(stage.answer(1).await.joins);
    }
    assert_eq!(seated, [join(1), join(3)]);
    stage.publish("demo", chat(1, START_MS, 0));
    let (first, second) = (stage.frame(0).await, stage.frame(1).await);
    assert!(Arc::ptr_eq(&first.variants, &second.variants));
}

#[tokio::test(start_paused = true)]
async fn rooms_do_not_wait_for_each_other() {
    let (mut stage, _bus) = Stage::on_a_bus();
    for name in ["a", "b", "c"] {
        stage.join(name, 0).await;
        stage.answer(0).await;
        stage.publish(name, chat(1, START_MS, 0));
    }
    let mut expected: Vec<_> = ["a", "b", "c"].map(|name| (stage.slot_end_ms(name), name)).into();
    expected.sort_unstable();
    for (end_ms, name) in expected {
        assert_eq!(stage.frame(0).await.room, room_id(name));
        assert_eq!(stage.now_ms(), end_ms);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_made_in_the_forms_that_somebody_wants() {
    let (mut stage, _bus) = Stage::on_a_bus();
    let deflating = |slot| Join { seat: Seat { number: 1, form: Form::Deflated }, ..join(slot) };
    stage.join_with("demo", deflating(0)).await;
    stage.answer(0).await;
    let mut made = Vec::new();
    for (bytes, leaves) in [(0, false), (2_000, false), (2_000, true)] {
        if leaves {
            stage.join("demo", 2).await;
            stage.answer(0).await;
        }
        stage.publish("demo", chat(made.len() as u64, stage.now_ms(), bytes));
        let frame = stage.frame(0).await;
        let first_byte = |form: Form| Some(frame.variants[0].forms[form as usize].as_ref()?[0]);
        made.push((first_byte(Form::Plain), first_byte(Form::Deflated)));
        stage.pass(u64::from(TICK_MS)).await;
    }
    // A short one goes out as it is; a long one compressed, and plain only for who wants that.
    assert_eq!(made[..2], [(Some(0x81), Some(0x81)), (None, Some(0xc1))]);
    assert_eq!(made[2], (Some(0x81), Some(0xc1)));
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_encoded_once_for_all() {
    let (mut stage, _bus) = Stage::on_a_bus();
    for n in 0..40 {
        stage.publish("demo", chat(n, START_MS, 300));
    }
    for (history, is_shared) in [(0, false), (40, true)] {
        stage.join_with("demo", Join { history, ..join(0) }).await;
        let answer = stage.answer(0).await;
        assert_eq!(matches!(answer.tail, AnswerTail::Shared(_)), is_shared);
        stage.pass(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_is_given_up_when_nobody_has_been_there_for_a_while() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.answer(0).await;
    stage.pass(60_000).await;
    stage.leave("demo", 0).await;
    stage.pass(19_990).await;
    assert_eq!(stage.metrics.rooms.get(), 1);
    stage.pass(20).await;
    assert_eq!(stage.metrics.rooms.get(), 0);
    // Whoever comes now finds everything that was published in between.
    stage.publish("demo", chat(1, stage.now_ms(), 0));
    stage.join_with("demo", Join { history: 10, ..join(1) }).await;
    assert_eq!(stage.answer(1).await.head.at.seq, 1);
    assert_eq!(stage.metrics.rooms.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn deliveries_for_a_room_that_was_given_up_are_harmless() {
    let (mut stage, _bus) = Stage::on_a_bus();
    let head = Cursor { epoch: protocol::cursor::Epoch::random([9; 8]), seq: 5 };
    let opened = RoomDelivery::Opened { head, recent: Vec::new() };
    stage.hubs.deliver(room_id("gone"), opened).await;
    stage.leave("gone", 0).await;
    stage.join("demo", 0).await;
    stage.answer(0).await;
    assert_eq!(stage.metrics.rooms.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_within_the_collecting_does_not_cost_the_room_its_turn() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.join("demo", 0).await;
    stage.answer(0).await;
    let end_ms = stage.slot_end_ms("demo");
    stage.join("demo", 2).await;
    stage.publish("demo", chat(1, START_MS, 0));
    stage.pass(2).await;
    stage.leave("demo", 2).await;
    let frame = timeout(Duration::from_secs(5), stage.frame(0)).await.expect("the slot ends");
    assert_eq!((numbers(&frame), stage.now_ms()), (vec![1], end_ms));
}

#[tokio::test(start_paused = true)]
async fn likes_for_a_room_without_viewers_here_are_counted_and_then_told() {
    let (mut stage, _bus) = Stage::on_a_bus();
    stage.hubs.command(HubCommand::Like { room: room_id("demo"), likes: 3 }).await;
    stage.pass(10).await;
    assert_eq!((stage.metrics.likes.get(), stage.metrics.rooms.get()), (3, 1));
    stage.join("demo", 0).await;
    let AnswerTail::Copied(tail) = stage.answer(0).await.tail else { panic!("it is short") };
    let tail = String::from_utf8(tail.to_vec()).unwrap();
    assert!(tail.contains(r#""online":1,"likes":3"#), "{tail}");
    stage.silence(0, Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_and_opens_the_room_for_a_while() {
    let (stage, _bus) = Stage::on_a_bus();
    stage.publish("demo", chat(1, START_MS, 0));
    stage.publish("demo", chat(2, START_MS, 0));
    let (answer, info) = oneshot::channel();
    let ask = HubCommand::Ask { room: room_id("demo"), events: 1, answer };
    stage.hubs.command(ask).await;
    let info = info.await.unwrap();
    assert_eq!((info.cursor.at.seq, info.events.len(), info.state.online), (2, 1, 0));
    assert_eq!(stage.metrics.rooms.get(), 1);
    stage.pass(20_010).await;
    assert_eq!(stage.metrics.rooms.get(), 0);
}
