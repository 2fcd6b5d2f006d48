//! How clients end: closed for a reason, gone by themselves, or told to go elsewhere.

use super::slow::told;
use super::*;

impl Stage {
    fn close(&mut self, peer: &Peer, reason: CloseReason) {
        let address = peer.address;
        self.control(Control::Close { address, reason });
    }

    fn closes(&self, reason: &str) -> u64 {
        self.metric(&format!("barrage_closes_total{{reason=\"{reason}\"}}"))
    }
}

/// Whether our reader has been told that the connection has ended.
fn is_cut_off(peer: &Peer) -> bool {
    matches!(peer.socket.try_read(&mut [0]), Ok(0))
}

#[tokio::test]
async fn every_reason_is_told_with_its_code_and_ends_the_stream() {
    for reason in CloseReason::ALL {
        let mut stage = Stage::new();
        let mut peer = stage.attach("ann").await;
        stage.close(&peer, reason);
        peer.is_closed(reason).await;
        assert_eq!(stage.closes(reason.text()), 1);
    }
}

#[tokio::test]
async fn a_client_is_closed_once_and_told_nothing_after_that() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.seat(&mut peer, "a", 0).await;
    stage.close(&peer, CloseReason::Kicked);
    stage.close(&peer, CloseReason::Banned);
    stage.send(peer.address, "late");
    stage.control(Control::SendTo { user: None, frame: frame::text(b"late") });
    stage.frame("a", &[(0, 1)]);
    stage.work();
    stage.control(Control::Drain { window_s: 0 });
    stage.wait_until(2);
    peer.is_closed(CloseReason::Kicked).await;
    assert_eq!(
        (stage.closes("kicked"), stage.closes("banned"), stage.closes("draining")),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_close_is_answered_with_the_clients_own_code() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    let (address, frame) = (peer.address, frame::close_echo(Some(1001)));
    stage.control(Control::Echo { address, frame });
    let payload = 1001_u16.to_be_bytes().to_vec();
    assert_eq!(peer.frame().await, Some(Seen { first: CLOSE, payload }));
    assert_eq!(peer.frame().await, None);
    assert_eq!(stage.closes("normal"), 1);
}

#[tokio::test]
async fn a_client_that_does_not_go_is_cut_off_after_five_seconds() {
    let mut stage = Stage::new();
    let peer = stage.attach("ann").await;
    stage.wait_until(10);
    stage.close(&peer, CloseReason::Kicked);
    stage.wait_until(14);
    assert!(!is_cut_off(&peer), "it may still answer");
    stage.wait_until(15);
    timeout(PATIENCE, peer.socket.readable()).await.unwrap().unwrap();
    assert!(is_cut_off(&peer));
}

#[tokio::test]
async fn a_client_that_goes_without_a_word_is_lost_and_one_that_was_closed_is_not() {
    let mut stage = Stage::new();
    let (lost, closed) = (stage.attach("ann").await, stage.attach("ben").await);
    stage.close(&closed, CloseReason::Kicked);
    for peer in [&lost, &closed, &lost] {
        stage.control(Control::Detach(peer.address));
    }
    assert_eq!((stage.closes("lost"), stage.closes("kicked")), (1, 1));
}

#[tokio::test]
async fn nothing_for_a_client_reaches_the_next_owner_of_its_slot() {
    let mut stage = Stage::new();
    let old = stage.attach("ann").await;
    stage.control(Control::Detach(old.address));
    let mut new = stage.attach("ben").await;
    assert_eq!(new.address.slot, old.address.slot);
    stage.send(old.address, "for the old one");
    stage.expect(&old, "a", 1);
    stage.close(&old, CloseReason::Kicked);
    let (address, frame) = (old.address, frame::close_echo(None));
    stage.control(Control::Echo { address, frame });
    stage.control(Control::Detach(old.address));
    let elsewhere = Address { boot: BootId::random([9; 8]), ..new.address };
    stage.send(elsewhere, "for another life of this node");
    assert_eq!(stage.sent(&mut new).await, []);
    assert_eq!(stage.shard.rooms.find(&room_id("a")), None);
}

#[tokio::test]
async fn a_payload_for_a_user_reaches_all_its_connections_and_no_others() {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for user in ["ann", "ben", "ann"] {
        peers.push(stage.attach(user).await);
    }
    let ann = UserId::parse("ann").unwrap();
    stage.control(Control::SendTo { user: Some(ann), frame: frame::text(b"for ann") });
    stage.control(Control::SendTo { user: None, frame: frame::text(b"for all") });
    let mut told = Vec::new();
    for peer in &mut peers {
        told.push(stage.sent(peer).await.len());
    }
    assert_eq!(told, [2, 1, 2]);
}

/// Reads a goodbye and the close after it; returns when the client is to come back.
async fn goodbye(peer: &mut Peer) -> u64 {
    let text = peer.text().await;
    let goodbye: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&goodbye["type"], &goodbye["reason"]), (&"goodbye".into(), &"draining".into()));
    assert_eq!(goodbye["reconnect"], true);
    peer.is_closed(CloseReason::Draining).await;
    goodbye["reconnect_after_ms"].as_u64().unwrap()
}

#[tokio::test]
async fn a_drain_says_goodbye_to_everybody_spread_over_its_window() {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for _ in 0..40 {
        peers.push(stage.attach("ann").await);
    }
    stage.control(Control::Drain { window_s: 3 });
    let mut told = Vec::new();
    for second in 1..=4 {
        stage.wait_until(second);
        told.push(stage.closes("draining"));
    }
    assert_eq!(told[3], 40, "all have been told when the window ends");
    assert!(told[0] < 40 && told.is_sorted(), "not all at once: {told:?}");
    for peer in &mut peers {
        assert!(goodbye(peer).await < 500);
    }
}

#[tokio::test]
async fn who_comes_during_a_drain_is_told_within_the_window_and_later_ones_at_once() {
    let mut stage = Stage::new();
    stage.control(Control::Drain { window_s: 2 });
    let mut during = Vec::new();
    for _ in 0..40 {
        during.push(stage.attach("ann").await);
    }
    stage.wait_until(1);
    let told = stage.closes("draining");
    assert!((1..40).contains(&told), "spread over the window: {told} in the first second");
    stage.wait_until(3);
    for peer in &mut during {
        goodbye(peer).await;
    }
    stage.wait_until(60);
    let mut after = stage.attach("ben").await;
    stage.wait_until(61);
    goodbye(&mut after).await;
}

#[tokio::test]
async fn an_ack_comes_before_the_goodbye() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    peer.socket.owed().owe();
    peer.socket.owed().owe();
    stage.control(Control::Drain { window_s: 0 });
    stage.wait_until(1);
    for text in [&b"first"[..], b"second"] {
        assert_eq!(stage.closes("draining"), 0, "acks are awaited");
        let (address, frame) = (peer.address, frame::text(text));
        stage.control(Control::Answer { address, frame });
    }
    stage.wait_until(2);
    assert_eq!(peer.text().await, "first");
    assert_eq!(peer.text().await, "second");
    goodbye(&mut peer).await;
}

#[tokio::test]
async fn an_ack_that_does_not_come_is_not_waited_for_beyond_the_window() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    peer.socket.owed().owe();
    stage.control(Control::Drain { window_s: 1 });
    stage.wait_until(3);
    assert_eq!(stage.closes("draining"), 0);
    stage.wait_until(4);
    goodbye(&mut peer).await;
}

#[tokio::test]
async fn in_a_hurry_everybody_is_told_at_once() {
    let mut stage = Stage::new();
    let (mut one, mut other) = (stage.attach("ann").await, stage.attach("ben").await);
    other.socket.owed().owe();
    stage.control(Control::Drain { window_s: 30 });
    stage.control(Control::Hurry);
    goodbye(&mut one).await;
    goodbye(&mut other).await;
    let mut late = stage.attach("eve").await;
    stage.wait_until(1);
    goodbye(&mut late).await;
}

#[tokio::test]
async fn a_shard_that_runs_attaches_writes_and_ends_with_its_handles() {
    tokio::task::LocalSet::new().run_until(run_and_end()).await;
}

async fn run_and_end() {
    let (handle, inbox) = crate::shard::ShardHandle::channel();
    let Stage { shard, handover, .. } = Stage::new();
    let task = tokio::task::spawn_local(shard.run(inbox));
    let (stream, server) = pair(None).await;
    let socket = Rc::new(Socket::plain(server));
    let sink = handover.leave(ClientSink::Socket(Rc::clone(&socket)));
    let address = handle.attach(sink, UserId::parse("ann").unwrap(), None).await.unwrap();
    let mut peer = Peer { stream, socket, address, bytes: Vec::new() };
    handle.control(Control::Expect { address, room: room_id("a"), seat: seat(1) }).await;
    let tail = AnswerTail::Copied("\"at\":0}".into());
    let joins = vec![join(&peer, 1)];
    let answer = ShardAnswer { room: room_id("a"), joins, head: cursor(0), tail };
    handle.room(RoomCommand::Answer(answer)).await;
    for at in 0..2_000 {
        let variants = [variant("a", at, at + 1, 0)].into();
        handle.room(RoomCommand::Frame(ShardFrame { room: room_id("a"), variants })).await;
    }
    assert_eq!(peer.text().await, joined(0));
    let mut at = 0;
    while at < 2_000 {
        // More came at once than may wait, so some are overtaken.
        let (prev, last, count) = told(&peer.frame().await.unwrap());
        assert_eq!((prev, count), (at, last - prev));
        at = last;
    }
    drop(handle);
    timeout(PATIENCE, task).await.unwrap().unwrap();
}
