//! What time does to a client that says nothing, or takes nothing.

use super::*;

impl Stage {
    fn pings(&self) -> u64 {
        self.metric("barrage_pings_total")
    }
}

#[tokio::test]
async fn a_client_that_was_sent_nothing_is_pinged() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.wait_until(24);
    assert_eq!(stage.pings(), 0);
    stage.wait_until(25);
    assert_eq!(stage.pings(), 1);
    assert_eq!(peer.frame().await, Some(Seen { first: PING, payload: Vec::new() }));
}

#[tokio::test]
async fn whatever_is_sent_saves_a_ping() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.seat(&mut peer, "a", 0).await;
    for at in 1..=10 {
        stage.wait_until(at * 20);
        if at % 2 == 0 {
            stage.send(peer.address, "reply");
        } else {
            stage.frame("a", &[(at / 2, at / 2 + 1)]);
            stage.work();
        }
    }
    stage.wait_until(224);
    assert_eq!(stage.pings(), 0);
    stage.wait_until(225);
    assert_eq!(stage.pings(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_closed_when_its_time_is_over() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.wait_until(59);
    assert_eq!((stage.pings(), stage.metric("barrage_closes_total{reason=\"no_pong\"}")), (1, 0));
    stage.wait_until(60);
    assert_eq!(peer.frame().await.unwrap().first, PING);
    peer.is_closed(CloseReason::NoPong).await;
}

#[tokio::test]
async fn a_client_that_says_anything_is_well() {
    let mut stage = Stage::new();
    let peer = stage.attach("ann").await;
    stage.wait_until(59);
    peer.socket.heard(59);
    stage.wait_until(70);
    assert_eq!(stage.metric("barrage_closes_total{reason=\"no_pong\"}"), 0);
}

/// Fills the socket of a client at the present second.
async fn stuck(stage: &mut Stage) -> Peer {
    let peer = stage.attach_with("ann", Some(4_096)).await;
    while stage.shard.clients.get(peer.address).unwrap().outbox.is_empty() {
        stage.send(peer.address, &"x".repeat(8_000));
    }
    peer
}

#[tokio::test]
async fn a_client_that_takes_a_little_now_and_then_is_slow_but_not_stuck() {
    let mut stage = Stage::new();
    let mut peer = stuck(&mut stage).await;
    for n in 1..=4 {
        stage.send(peer.address, &"y".repeat(100_000));
        stage.wait_until(n * 14);
        let mut taken = vec![0; 1_000];
        let address = peer.address;
        let stuck_since =
            |stage: &mut Stage| stage.shard.clients.get(address).unwrap().outbox.stuck_since();
        while stuck_since(&mut stage) != Some(stage.now.mono) {
            tokio::select! {
                biased;
                Some((slot, generation)) = stage.shard.watched.next() => {
                    stage.shard.writable(slot, generation, stage.now);
                }
                read = peer.stream.read(&mut taken) => assert!(read.unwrap() > 0),
            }
        }
    }
    stage.wait_until(4 * 14 + 14);
    assert_eq!(stage.metric("barrage_closes_total{reason=\"too_slow\"}"), 0);
    stage.wait_until(4 * 14 + 15);
    assert_eq!(stage.metric("barrage_closes_total{reason=\"too_slow\"}"), 1);
}

#[tokio::test]
async fn a_client_that_answers_is_pinged_again_after_the_same_time() {
    let mut stage = Stage::new();
    let peer = stage.attach("ann").await;
    for n in 1..=5 {
        stage.wait_until(n * 25);
        assert_eq!(stage.pings(), n, "proxies forget what is silent for longer");
        peer.socket.heard(stage.now.mono_s() + 1);
        stage.wait_until(n * 25 + 24);
        assert_eq!(stage.pings(), n);
    }
}

#[tokio::test]
async fn pings_of_clients_that_came_in_one_second_are_spread() {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for _ in 0..10 {
        peers.push(stage.attach("ann").await);
    }
    let mut pings = Vec::new();
    for second in 20..=25 {
        stage.wait_until(second);
        pings.push(stage.pings());
    }
    assert_eq!(pings, [0, 2, 4, 6, 8, 10]);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_closed_when_its_time_is_over() {
    let too_slow = "barrage_closes_total{reason=\"too_slow\"}";
    for since in [0, 3, 40] {
        let mut stage = Stage::new();
        stage.wait_until(since);
        let peer = stuck(&mut stage).await;
        stage.wait_until(since + 14);
        assert_eq!(stage.metric(too_slow), 0, "since {since}");
        stage.wait_until(since + 15);
        assert_eq!((stage.metric(too_slow), stage.pings()), (1, 0), "since {since}");
        // It does not read its close frame either.
        stage.wait_until(since + 20);
        timeout(PATIENCE, peer.socket.readable()).await.unwrap().unwrap();
        assert!(matches!(peer.socket.try_read(&mut [0]), Ok(0)));
    }
}
