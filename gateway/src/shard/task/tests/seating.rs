//! Who sits where, and gets what: from the expectation through the answer to the frames.

use protocol::from_client::RequestId;
use protocol::refusal::{Code, Refusal};

use tokio::sync::Notify;

use super::*;
use crate::shard::EventStream;

#[tokio::test]
async fn an_answer_seats_a_client_between_the_frames_before_and_after_it() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.expect(&peer, "a", 1);
    stage.frame("a", &[(0, 3)]);
    stage.answer("a", 3, &[(&peer, 1)]);
    stage.frame("a", &[(3, 5)]);
    stage.frame("b", &[(0, 9)]);
    stage.work();
    assert_eq!(peer.text().await, joined(3));
    assert_eq!(peer.text().await, "a:3-5");
    assert_eq!(stage.sent(&mut peer).await, []);
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
}

#[tokio::test]
async fn a_joined_carries_the_number_of_its_command() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.expect(&peer, "a", 1);
    let join = Join { id: RequestId::new(7), ..join(&peer, 1) };
    let tail = AnswerTail::Copied("\"x\":1}".into());
    let answer = ShardAnswer { room: room_id("a"), joins: vec![join], head: cursor(0), tail };
    stage.shard.room(RoomCommand::Answer(answer), stage.now);
    stage.work();
    assert_eq!(peer.text().await, r#"{"type":"joined","id":7,"x":1}"#);
}

#[tokio::test]
async fn each_member_gets_the_variant_that_goes_on_where_it_stands() {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for head in [0, 2, 3] {
        let mut peer = stage.attach("ann").await;
        stage.seat(&mut peer, "a", head).await;
        peers.push(peer);
    }
    stage.frame("a", &[(0, 3), (2, 3)]);
    stage.frame("a", &[(3, 4)]);
    stage.work();
    let mut told = Vec::new();
    for peer in &mut peers {
        let sent = stage.sent(peer).await;
        let texts = sent.into_iter().map(|seen| String::from_utf8(seen.payload).unwrap());
        told.push(texts.collect::<Vec<_>>());
    }
    assert_eq!(told, [vec!["a:0-3", "a:3-4"], vec!["a:2-3", "a:3-4"], vec!["a:3-4"]]);
    assert_eq!(stage.metric("barrage_unmatched_total"), 0);
    assert_eq!(stage.metric("barrage_frames_sent_total{lane=\"danmaku\"}"), 5);
}

#[tokio::test]
async fn a_member_whom_no_variant_fits_is_counted() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.seat(&mut peer, "a", 1).await;
    stage.frame("a", &[(0, 3)]);
    stage.work();
    assert_eq!(stage.sent(&mut peer).await, []);
    assert_eq!(stage.metric("barrage_unmatched_total"), 1);
}

#[tokio::test]
async fn the_answer_to_a_join_that_was_given_up_finds_nobody() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.expect(&peer, "a", 1);
    stage.unseat(&peer, "a", 1);
    stage.answer("a", 0, &[(&peer, 1)]);
    stage.frame("a", &[(0, 1)]);
    stage.work();
    assert_eq!(stage.sent(&mut peer).await, []);
    assert_eq!(stage.shard.rooms.find(&room_id("a")), None, "the room is forgotten");
}

#[tokio::test]
async fn who_joins_again_is_seated_by_the_answer_to_that_and_told_once() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.expect(&peer, "a", 1);
    stage.unseat(&peer, "a", 1);
    stage.expect(&peer, "a", 2);
    stage.answer("a", 3, &[(&peer, 1)]);
    stage.frame("a", &[(3, 4)]);
    stage.answer("a", 4, &[(&peer, 2)]);
    stage.frame("a", &[(4, 5)]);
    stage.work();
    assert_eq!(peer.text().await, joined(4));
    assert_eq!(peer.text().await, "a:4-5");
    assert_eq!(stage.sent(&mut peer).await, []);
}

#[tokio::test]
async fn a_member_that_joins_again_starts_at_its_new_head() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.seat(&mut peer, "a", 3).await;
    stage.unseat(&peer, "a", 1);
    stage.expect(&peer, "a", 2);
    stage.frame("a", &[(3, 5)]);
    stage.answer("a", 5, &[(&peer, 2)]);
    stage.frame("a", &[(5, 6)]);
    stage.work();
    assert_eq!(peer.text().await, joined(5));
    assert_eq!(peer.text().await, "a:5-6");
    assert_eq!(stage.sent(&mut peer).await, []);
}

#[tokio::test]
async fn after_a_leave_no_frame_comes_not_even_one_that_was_queued() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.seat(&mut peer, "a", 0).await;
    stage.frame("a", &[(0, 1)]);
    stage.unseat(&peer, "a", 9);
    stage.unseat(&peer, "b", 1);
    stage.unseat(&peer, "a", 1);
    stage.work();
    assert_eq!(stage.sent(&mut peer).await, []);
    assert_eq!(stage.shard.rooms.find(&room_id("a")), None);
}

#[tokio::test]
async fn a_refusal_is_told_and_frees_the_seat() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.expect(&peer, "a", 1);
    let refusal = Refusal::new(Code::Unavailable, "not now");
    let joins = vec![Join { id: RequestId::new(4), ..join(&peer, 1) }];
    stage.shard.room(RoomCommand::Refuse { room: room_id("a"), joins, refusal }, stage.now);
    let told = r#"{"type":"error","id":4,"code":"unavailable","message":"not now","room":"a"}"#;
    assert_eq!(peer.text().await, told);
    assert_eq!(stage.shard.rooms.find(&room_id("a")), None);
}

#[tokio::test]
async fn a_client_is_in_several_rooms_at_once() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    for room in ["a", "b", "c"] {
        stage.seat(&mut peer, room, 0).await;
    }
    stage.unseat(&peer, "b", 1);
    for room in ["a", "b", "c"] {
        stage.frame(room, &[(0, 1)]);
    }
    stage.work();
    assert_eq!((peer.text().await.as_str(), peer.text().await.as_str()), ("a:0-1", "c:0-1"));
    assert_eq!(stage.sent(&mut peer).await, []);
}

#[tokio::test]
async fn whoever_leaves_takes_nobody_elses_seat_along() {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for _ in 0..6 {
        let mut peer = stage.attach("ann").await;
        stage.seat(&mut peer, "a", 0).await;
        stage.seat(&mut peer, "b", 0).await;
        peers.push(peer);
    }
    for (n, leaver) in [2, 0, 3].into_iter().enumerate() {
        if n == 1 {
            stage.unseat(&peers[leaver], "a", 1);
        } else {
            stage.control(Control::Detach(peers[leaver].address));
        }
    }
    stage.frame("a", &[(0, 1)]);
    stage.frame("b", &[(0, 1)]);
    stage.work();
    for (n, peer) in peers.iter_mut().enumerate() {
        if n != 2 && n != 3 {
            let frames = stage.sent(peer).await.len();
            assert_eq!(frames, if n == 0 { 1 } else { 2 }, "client {n}");
        }
    }
    for peer in &peers {
        stage.control(Control::Detach(peer.address));
    }
    assert_eq!(stage.shard.rooms.find(&room_id("a")), None);
    assert_eq!(stage.shard.rooms.find(&room_id("b")), None);
}

#[tokio::test]
async fn a_large_answer_arrives_as_one_message_in_two_parts() {
    let mut stage = Stage::new();
    let mut peer = stage.attach("ann").await;
    stage.expect(&peer, "a", 1);
    let tail = AnswerTail::Shared(frame::text_last(b"\"large\":true}"));
    stage.answer_with("a", 0, &[(&peer, 1)], tail);
    stage.work();
    let (first, last) = (peer.frame().await.unwrap(), peer.frame().await.unwrap());
    assert_eq!((first.first, last.first), (0x01, 0x80));
    let message = [first.payload, last.payload].concat();
    assert_eq!(message, br#"{"type":"joined","large":true}"#);
}

#[tokio::test]
async fn nothing_but_control_frames_comes_between_the_parts_of_a_large_answer() {
    let mut stage = Stage::new();
    let mut peer = stage.attach_with("ann", Some(4_096)).await;
    stage.seat(&mut peer, "b", 0).await;
    let mut sent = 0;
    while stage.shard.clients.get(peer.address).unwrap().outbox.is_empty() {
        stage.frame_of("b", &[(sent, sent + 1)], 8_000);
        stage.work();
        sent += 1;
    }
    stage.expect(&peer, "a", 1);
    let tail = AnswerTail::Shared(frame::text_last(&[b'x'; 60_000]));
    stage.answer_with("a", 0, &[(&peer, 1)], tail);
    stage.frame_of("b", &[(sent, sent + 1)], 8_000);
    stage.work();
    stage.send(peer.address, "reply");
    let mut order = Vec::new();
    while order.last() != Some(&"b") {
        tokio::select! {
            seen = peer.frame() => {
                let seen = seen.unwrap();
                order.push(match (seen.first, seen.payload.first()) {
                    (0x01, _) => "first",
                    (0x80, _) => "last",
                    (TEXT, Some(b'b')) if seen.payload.starts_with(format!("b:{sent}-").as_bytes()) => "b",
                    (TEXT, Some(b'b')) => continue,
                    _ => "reply",
                });
            }
            Some((slot, generation)) = stage.shard.watched.next() => {
                stage.shard.writable(slot, generation, stage.now);
            }
        }
    }
    assert_eq!(order, ["first", "last", "reply", "b"]);
}

#[tokio::test]
async fn viewers_of_event_streams_share_the_bytes_of_an_answer() {
    let mut stage = Stage::new();
    let (room, seat) = (room_id("demo"), Seat { number: 1, form: Form::EventStream });
    let (mut joins, mut ends) = (Vec::new(), Vec::new());
    for user in ["ann", "bob"] {
        let (stream, frames) = EventStream::new(Rc::new(Notify::new()));
        let sink = stage.handover.leave(ClientSink::Events(Rc::new(stream)));
        let (answer, address) = oneshot::channel();
        let user = UserId::parse(user).unwrap();
        stage.control(Control::Attach { sink, user, first: None, answer });
        let address = address.await.unwrap();
        stage.control(Control::Expect { address, room: room.clone(), seat });
        joins.push(Join { address, seat, id: None, since: None, history: 0 });
        ends.push(frames);
    }
    let tail = AnswerTail::Copied("\"at\":7}".into());
    let answer = ShardAnswer { room, joins, head: cursor(7), tail };
    stage.shard.room(RoomCommand::Answer(answer), stage.now);
    stage.work();
    let mut told = Vec::new();
    for frames in &mut ends {
        told.push(std::future::poll_fn(|cx| frames.poll_next(cx)).await.unwrap());
    }
    assert!(told[0].starts_with(b"event: joined\nid: "), "{:?}", told[0]);
    assert!(told[0].ends_with(b"{\"type\":\"joined\",\"at\":7}\n\n"), "{:?}", told[0]);
    assert_eq!((told[0].as_ptr(), &told[0]), (told[1].as_ptr(), &told[1]), "one copy for both");
}

const GONE: Refusal = Refusal::new(Code::NoSuchRoom, "it is no more");

impl Stage {
    fn dismiss(&mut self, room: &str) {
        let (room, refusal) = (room_id(room), GONE);
        self.shard.room(RoomCommand::Dismiss { room, refusal }, self.now);
    }
}

#[tokio::test]
async fn a_room_that_is_over_puts_out_who_was_answered_before_and_nobody_else() {
    let mut stage = Stage::new();
    let (mut ann, mut bob) = (stage.attach("ann").await, stage.attach("bob").await);
    stage.expect(&ann, "a", 1);
    stage.expect(&bob, "a", 1);
    stage.answer("a", 0, &[(&ann, 1)]);
    stage.frame("a", &[(0, 1)]);
    stage.dismiss("a");
    // The room was created anew meanwhile.
    stage.answer("a", 1, &[(&bob, 1)]);
    stage.frame("a", &[(1, 2)]);
    stage.work();
    let told = [
        joined(0),
        "a:0-1".to_owned(),
        r#"{"type":"error","code":"no_such_room","message":"it is no more","room":"a"}"#.to_owned(),
        r#"{"type":"left","room":"a"}"#.to_owned(),
    ];
    for expected in told {
        assert_eq!(ann.text().await, expected);
    }
    assert_eq!(stage.sent(&mut ann).await, []);
    assert_eq!((bob.text().await, bob.text().await), (joined(1), "a:1-2".to_owned()));
    let refused: Vec<_> = ann.socket.take_refused().collect();
    assert_eq!(refused, [(room_id("a"), seat(1))], "its reader gives the seat up");
    assert_eq!(stage.metric("barrage_refusals_total{code=\"no_such_room\"}"), 1);
}

#[tokio::test]
async fn a_large_room_is_emptied_in_turns_and_then_forgotten() {
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for _ in 0..WRITES_PER_TURN + 2 {
        let mut peer = stage.attach("ann").await;
        stage.seat(&mut peer, "a", 0).await;
        peers.push(peer);
    }
    stage.dismiss("a");
    stage.shard.work(stage.now);
    assert_eq!(stage.shard.rooms.jobs(), 1, "others have their turn");
    stage.work();
    assert_eq!(stage.shard.rooms.find(&room_id("a")), None);
    for peer in &mut peers {
        assert!(peer.text().await.contains("no_such_room"));
        assert_eq!(peer.text().await, r#"{"type":"left","room":"a"}"#);
    }
}
