//! Rooms take turns, and a flush is a walk in which others may leave.

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
