//! Clients that do not read: others do not notice, and they are told what they missed.

use protocol::limits::CONTROL_LANE_MESSAGES_MAX;

use super::*;

const BATCH_BYTES: usize = 8_000;

/// A stage with a client in the room `a` whose socket is full, and how many batches that took.
async fn stuck() -> (Stage, Peer, u64) {
    let mut stage = Stage::new();
    let mut slow = stage.attach_with("ann", Some(4_096)).await;
    stage.seat(&mut slow, "a", 0).await;
    let mut sent = 0;
    while stage.shard.clients.get(slow.address).unwrap().outbox.is_empty() {
        stage.frame_of("a", &[(sent, sent + 1)], BATCH_BYTES);
        stage.work();
        sent += 1;
    }
    (stage, slow, sent)
}

/// Reads until something is true of a frame, while the shard writes what is owed.
async fn read_until(
    stage: &mut Stage,
    peer: &mut Peer,
    mut is_last: impl FnMut(&Seen) -> bool,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !seen.last().is_some_and(&mut is_last) {
        tokio::select! {
            frame = peer.frame() => seen.push(frame.expect("it is not the end yet")),
            Some((slot, generation)) = stage.shard.watched.next() => {
                stage.shard.writable(slot, generation, stage.now);
            }
        }
    }
    seen
}

/// The cursors of a batch or gap and how many events it accounts for.
pub(super) fn told(seen: &Seen) -> (u64, u64, u64) {
    let text = std::str::from_utf8(&seen.payload).unwrap().trim_end();
    let seq = |cursor: &serde_json::Value| {
        cursor.as_str().unwrap().parse::<Bookmark>().map(|cursor| cursor.at.seq).unwrap()
    };
    if let Some((prev, last)) = text.strip_prefix("a:").and_then(|range| range.split_once('-')) {
        let (prev, last) = (prev.parse().unwrap(), last.parse().unwrap());
        return (prev, last, last - prev);
    }
    let gap: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!((gap["type"].as_str(), gap["reason"].as_str()), (Some("gap"), Some("slow")));
    (seq(&gap["from"]), seq(&gap["to"]), gap["count"].as_u64().unwrap())
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_others() {
    let (mut stage, slow, mut at) = stuck().await;
    let mut fast = stage.attach("ben").await;
    stage.seat(&mut fast, "a", at).await;
    for _ in 0..200 {
        stage.frame_of("a", &[(at, at + 1)], BATCH_BYTES);
        stage.work();
        let text = fast.text().await;
        assert_eq!(text.trim_end(), format!("a:{at}-{}", at + 1));
        at += 1;
    }
    assert!(!stage.shard.clients.get(slow.address).unwrap().outbox.is_empty());
    assert_eq!(stage.metric("barrage_stuck_total"), 1);
    assert_eq!(stage.metric("barrage_gap_events_total"), 199, "all but the one that waits");
}

#[tokio::test]
async fn a_client_that_reads_again_is_told_what_it_missed() {
    let (mut stage, mut slow, mut at) = stuck().await;
    for _ in 0..50 {
        stage.frame_of("a", &[(at, at + 1)], BATCH_BYTES);
        stage.work();
        at += 1;
    }
    let is_last = |seen: &Seen| told(seen).1 == at;
    let seen = read_until(&mut stage, &mut slow, is_last).await;
    let (mut cursor, mut count) = (0, 0);
    for seen in &seen {
        let (from, to, events) = told(seen);
        assert_eq!(from, cursor, "batches and gaps follow each other");
        (cursor, count) = (to, count + events);
    }
    assert_eq!((cursor, count), (at, at));
    assert_eq!(seen.iter().filter(|seen| seen.payload[0] == b'{').count(), 1, "one gap");

    stage.frame("a", &[(at, at + 1)]);
    stage.work();
    assert_eq!(slow.text().await, format!("a:{at}-{}", at + 1), "and goes on as before");
}

#[tokio::test]
async fn a_client_that_leaves_a_room_gets_nothing_more_of_it() {
    let (mut stage, mut slow, at) = stuck().await;
    stage.frame("a", &[(at, at + 1)]);
    stage.frame("a", &[(at + 1, at + 2)]);
    stage.work();
    stage.unseat(&slow, "a", 1);
    stage.send(slow.address, "left");
    let seen = read_until(&mut stage, &mut slow, |seen| seen.payload == b"left").await;
    assert_eq!(seen.len() as u64, at + 1, "the frame that was begun is finished");
    assert_eq!(stage.sent(&mut slow).await, []);
}

#[tokio::test]
async fn a_control_lane_that_overflows_ends_the_client() {
    let (mut stage, mut slow, at) = stuck().await;
    for _ in 0..=CONTROL_LANE_MESSAGES_MAX {
        assert_eq!(stage.metric("barrage_closes_total{reason=\"too_slow\"}"), 0);
        stage.send(slow.address, "reply");
    }
    assert_eq!(stage.metric("barrage_closes_total{reason=\"too_slow\"}"), 1);
    stage.send(slow.address, "too late");
    let seen = read_until(&mut stage, &mut slow, |seen| seen.first == CLOSE).await;
    assert_eq!(seen.len() as u64, at + 1, "the frame that was begun is finished, then the close");
    assert_eq!(seen.last().unwrap().payload[..2], CloseReason::TooSlow.code().to_be_bytes());
    assert_eq!(slow.frame().await, None);
}

#[tokio::test]
async fn a_slow_client_that_is_closed_gets_its_replies_first_and_no_batches() {
    let (mut stage, mut slow, at) = stuck().await;
    stage.frame("a", &[(at, at + 1)]);
    stage.work();
    stage.send(slow.address, "reply");
    let (address, reason) = (slow.address, CloseReason::Kicked);
    stage.control(Control::Close { address, reason });
    stage.frame("a", &[(at + 1, at + 2)]);
    stage.work();
    let seen = read_until(&mut stage, &mut slow, |seen| seen.first == CLOSE).await;
    assert_eq!(seen.len() as u64, at + 2);
    assert_eq!(seen[at as usize].payload, b"reply");
    assert_eq!(slow.frame().await, None, "nothing comes after the close frame");
}

#[tokio::test]
async fn a_full_socket_that_ends_is_let_go() {
    let (mut stage, slow, _) = stuck().await;
    stage.control(Control::Detach(slow.address));
    timeout(PATIENCE, slow.socket.readable()).await.unwrap().unwrap();
    assert!(matches!(slow.socket.try_read(&mut [0]), Ok(0)), "it is cut off");
    let woken = timeout(PATIENCE, stage.shard.watched.next()).await.unwrap();
    let (slot, generation) = woken.unwrap();
    stage.shard.writable(slot, generation, stage.now);
    assert!(stage.shard.watched.is_empty());
    assert_eq!(Rc::strong_count(&slow.socket), 1, "nobody else holds the socket");
}
