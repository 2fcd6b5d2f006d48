//! Rooms take turns, and a flush is a walk in which others may leave.

use serde_json::json;

use super::*;

/// More members than one turn serves.
const MANY: usize = WRITES_PER_TURN * 2 + 10;

/// A stage with many members in the room `large`.
async fn crowded() -> (Stage, Vec<Peer>) {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for _ in 0..MANY {
        let mut peer = stage.attach("ann").await;
        stage.seat(&mut peer, "large", 0).await;
        peers.push(peer);
    }
    (stage, peers)
}

#[tokio::test]
async fn a_large_rooms_flush_delays_a_small_rooms_by_one_turn() {
    let (mut stage, mut peers) = crowded().await;
    let mut small = stage.attach("ben").await;
    stage.seat(&mut small, "small", 0).await;
    stage.frame("large", &[(0, 1)]);
    stage.frame("small", &[(0, 1)]);
    stage.frame("large", &[(1, 2)]);
    let written = |stage: &Stage| stage.metric("barrage_frames_sent_total{lane=\"danmaku\"}");
    stage.shard.work(stage.now);
    assert_eq!(written(&stage), WRITES_PER_TURN as u64);
    stage.shard.work(stage.now);
    assert_eq!(small.text().await, "small:0-1");
    stage.shard.work(stage.now);
    stage.shard.work(stage.now);
    assert_eq!(written(&stage), 1 + MANY as u64, "then the large room goes on where it was");
    stage.work();
    for peer in &mut peers {
        assert_eq!(peer.text().await, "large:0-1");
        assert_eq!(peer.text().await, "large:1-2");
    }
}

#[tokio::test]
async fn everybody_who_stays_is_served_once_whoever_leaves_during_the_flush() {
    let (mut stage, mut peers) = crowded().await;
    stage.frame("large", &[(0, 1)]);
    stage.shard.work(stage.now);
    // Some who were served, some who were not, the last of all, and the next one in line.
    let leavers = [3, 100, WRITES_PER_TURN, WRITES_PER_TURN + 70, MANY - 1];
    for leaver in leavers {
        stage.control(Control::Detach(peers[leaver].address));
    }
    stage.work();
    stage.frame("large", &[(1, 2)]);
    stage.work();
    for (n, peer) in peers.iter_mut().enumerate() {
        if !leavers.contains(&n) {
            assert_eq!(peer.text().await, "large:0-1", "client {n}");
            assert_eq!(peer.text().await, "large:1-2", "client {n}");
        }
    }
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
}

#[tokio::test]
async fn who_is_seated_during_a_flush_waits_for_its_end() {
    let (mut stage, mut peers) = crowded().await;
    let mut late = stage.attach("ben").await;
    stage.expect(&late, "large", 1);
    stage.frame("large", &[(0, 1)]);
    stage.answer("large", 1, &[(&late, 1)]);
    stage.frame("large", &[(1, 2)]);
    stage.work();
    assert_eq!(late.text().await, joined(1));
    assert_eq!(late.text().await, "large:1-2");
    assert_eq!(peers.last_mut().unwrap().text().await, "large:0-1");
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
}

#[tokio::test]
async fn a_room_that_everybody_leaves_during_its_flush_is_forgotten() {
    let (mut stage, peers) = crowded().await;
    stage.frame("large", &[(0, 1)]);
    stage.frame("large", &[(1, 2)]);
    stage.shard.work(stage.now);
    for peer in &peers {
        stage.control(Control::Detach(peer.address));
    }
    stage.work();
    assert_eq!((stage.shard.rooms.jobs(), stage.shard.rooms.find(&room_id("large"))), (0, None));
}

/// A stage that is behind: of the frame 0-1 some have been served, and 1-2 and 2-3 wait since a
/// second ago.
async fn behind() -> (Stage, Vec<Peer>) {
    let (mut stage, peers) = crowded().await;
    stage.frame("large", &[(0, 1)]);
    stage.shard.work(stage.now);
    stage.frame("large", &[(1, 2)]);
    stage.frame("large", &[(2, 3)]);
    stage.wait_until(1);
    (stage, peers)
}

/// Asserts that the next message is a gap over these cursors.
async fn is_told_a_gap(peer: &mut Peer, from: u64, to: u64) {
    let gap: serde_json::Value = serde_json::from_str(&peer.text().await).unwrap();
    let (from_cursor, to_cursor) = (cursor(from).to_string(), cursor(to).to_string());
    assert_eq!((gap["type"].as_str(), gap["count"].as_u64()), (Some("gap"), Some(to - from)));
    assert_eq!(
        (gap["from"].as_str(), gap["to"].as_str()),
        (Some(&*from_cursor), Some(&*to_cursor))
    );
}

#[tokio::test]
async fn frames_that_wait_for_too_long_are_overtaken_and_told_as_a_gap() {
    let (mut stage, mut peers) = behind().await;
    stage.frame("large", &[(3, 4)]);
    assert_eq!(stage.shard.rooms.jobs(), 2, "the one that was begun, and the newest");
    stage.work();
    for peer in &mut peers {
        assert_eq!(peer.text().await, "large:0-1");
        is_told_a_gap(peer, 1, 3).await;
        assert_eq!(peer.text().await, "large:3-4");
    }
    assert_eq!(stage.metric("barrage_overtaken_frames_total"), 2);
    assert_eq!(stage.metric("barrage_gap_events_total"), 2 * MANY as u64);
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
}

#[tokio::test]
async fn who_is_seated_while_frames_wait_is_told_what_came_after() {
    let (mut stage, mut peers) = behind().await;
    let mut late = stage.attach("ben").await;
    stage.expect(&late, "large", 1);
    stage.answer("large", 3, &[(&late, 1)]);
    stage.frame("large", &[(3, 5)]);
    stage.work();
    assert_eq!(late.text().await, joined(3));
    assert_eq!(late.text().await, "large:3-5");
    let last = peers.last_mut().unwrap();
    assert_eq!(last.text().await, "large:0-1");
    is_told_a_gap(last, 1, 3).await;
    assert_eq!(last.text().await, "large:3-5");
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
}

/// A frame of nothing but held events moves no cursor, only what is still to come at it.
#[tokio::test]
async fn who_is_seated_between_frames_of_held_events_is_told_only_what_came_after() {
    let owing = |count| Bookmark { owed: Some(Owed { oldest: 1, count }), ..cursor(1) };
    let (mut stage, mut peers) = crowded().await;
    let paced = |stage: &mut Stage, variants: &[(Bookmark, Bookmark)]| {
        let variants = variants.iter().map(|(prev, cursor)| FrameVariant {
            prev: *prev,
            cursor: *cursor,
            count: prev.held().saturating_sub(cursor.held()),
            ..variant("large", 1, 1, 0)
        });
        let frame = ShardFrame { room: room_id("large"), variants: variants.collect() };
        stage.shard.room(RoomCommand::Frame(frame), stage.now);
    };
    paced(&mut stage, &[(cursor(0), owing(9))]);
    stage.shard.work(stage.now);
    paced(&mut stage, &[(owing(9), owing(7))]);
    let mut late = stage.attach("ben").await;
    stage.expect(&late, "large", 1);
    stage.answer_at("large", owing(7), &[(&late, 1)]);
    stage.wait_until(1);
    paced(&mut stage, &[(owing(7), owing(4))]);
    stage.work();
    assert_eq!(stage.metric("barrage_overtaken_frames_total"), 1);
    assert_eq!(late.text().await, joined(1));
    assert_eq!(late.text().await, "large:1-1", "no gap");
    assert_eq!(peers[0].text().await, "large:1-1");
    let gap: serde_json::Value = serde_json::from_str(&peers[0].text().await).unwrap();
    let (from, to) = (owing(9).to_string(), owing(7).to_string());
    assert_eq!((&gap["from"], &gap["to"], &gap["count"]), (&json!(from), &json!(to), &json!(2)));
    assert_eq!(peers[0].text().await, "large:1-1");
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
}

#[tokio::test]
async fn frames_that_come_at_once_are_all_sent_as_long_as_there_are_few() {
    let (mut stage, mut peers) = crowded().await;
    stage.frame("large", &[(0, 1)]);
    stage.shard.work(stage.now);
    for n in 1..65 {
        stage.frame("large", &[(n, n + 1)]);
    }
    assert_eq!(stage.metric("barrage_overtaken_frames_total"), 0);
    stage.frame("large", &[(65, 66)]);
    assert_eq!(stage.metric("barrage_overtaken_frames_total"), 64);
    stage.work();
    let peer = &mut peers[0];
    assert_eq!(peer.text().await, "large:0-1");
    is_told_a_gap(peer, 1, 65).await;
    assert_eq!(peer.text().await, "large:65-66");
}

#[tokio::test]
async fn a_client_that_does_not_read_and_is_overtaken_is_told_one_gap() {
    let (mut stage, mut peers) = behind().await;
    let last = peers.last_mut().unwrap();
    let address = last.address;
    // As if its socket were full.
    let client = stage.shard.clients.get(address).unwrap();
    client.outbox.stuck(Lane::Control, frame::text(b"stuck"), 0, stage.now.mono);
    stage.frame("large", &[(3, 4)]);
    stage.work();
    stage.frame("large", &[(4, 5)]);
    stage.work();
    stage.shard.writable(address.slot, address.generation, stage.now);
    assert_eq!(last.text().await, "stuck");
    is_told_a_gap(last, 0, 4).await;
    assert_eq!(last.text().await, "large:4-5");
    let missed = 2 * (MANY as u64 - 1) + 4;
    assert_eq!(stage.metric("barrage_gap_events_total"), missed, "each is counted once");
}
