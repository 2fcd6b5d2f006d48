//! What a client that does not read is owed: order, bounds, and an account that closes.

mod model;

use std::convert::Infallible;

use protocol::cursor::{Cursor, Epoch, Owed};
use protocol::frame;
use protocol::to_client::{GapReason, ServerMessage};
use serde_json::{Value, json};

use super::*;

const NO_TIME: Duration = Duration::ZERO;

fn at(seq: u64) -> Bookmark {
    Cursor { epoch: Epoch::random([7; 8]), seq }.into()
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn text(message: &Value) -> Bytes {
    frame::text(message.to_string().as_bytes())
}

fn control(n: u64) -> Bytes {
    text(&json!({ "control": n }))
}

/// A batch of `count` events after `prev`, padded to at least so many bytes.
fn batch(name: &str, prev: u64, cursor: u64, count: u32, bytes: usize) -> HeldBatch {
    let (from, to, padding) = (at(prev), at(cursor), "x".repeat(bytes));
    let message = json!({
        "room": name, "prev": from, "cursor": to, "count": count, "padding": padding
    });
    let form = Form::Plain;
    HeldBatch {
        room: room(name),
        prev: from,
        cursor: to,
        form,
        frame: text(&message),
        count,
        missed: 0,
        state: StateChange::default(),
    }
}

/// An outbox whose socket has taken half of a control frame numbered 0.
fn stuck() -> Outbox {
    let mut outbox = Outbox::default();
    let frame = control(0);
    let half = frame.len() / 2;
    outbox.stuck(Lane::Control, frame, half, NO_TIME);
    outbox
}

#[test]
fn what_is_written_to_its_end_is_told_by_lane_with_all_its_bytes() {
    let mut outbox = stuck();
    outbox.push_control(control(1)).unwrap();
    outbox.push_batch(batch("demo", 1, 2, 1, 0));
    let waiting = [control(0), control(1), batch("demo", 1, 2, 1, 0).frame];
    let unwritten = waiting[0].len() - waiting[0].len() / 2;
    // The first frame to its end, and half of the second.
    let mut budget = unwritten + waiting[1].len() / 2;
    let mut write = |frame: &Bytes, at: usize| {
        let taken = budget.min(frame.len() - at);
        budget -= taken;
        Ok::<usize, Infallible>(taken)
    };
    let Ok(finished) = outbox.drain(NO_TIME, &mut write);
    let bytes = waiting[0].len() as u64;
    assert_eq!(finished, Finished { control_frames: 1, danmaku_frames: 0, bytes });
    let Ok(finished) = outbox.drain(NO_TIME, |frame, at| Ok::<_, Infallible>(frame.len() - at));
    let bytes = (waiting[1].len() + waiting[2].len()) as u64;
    assert_eq!(finished, Finished { control_frames: 1, danmaku_frames: 1, bytes });
}

/// Writes up to so many bytes, at most `chunk` at once; returns them.
fn drain(outbox: &mut Outbox, budget: usize, chunk: usize) -> Vec<u8> {
    let mut written = Vec::new();
    let Ok(_) = outbox.drain(NO_TIME, |frame, at| {
        let bytes = &frame[at..];
        let count = bytes.len().min(chunk).min(budget - written.len());
        written.extend_from_slice(&bytes[..count]);
        Ok::<usize, Infallible>(count)
    });
    written
}

/// The whole frames at the start of a stream, each with its offset; and the rest.
fn frames(stream: &[u8]) -> (Vec<(usize, Value)>, &[u8]) {
    let mut frames = Vec::new();
    let mut at = 0;
    loop {
        let rest = &stream[at..];
        let (header, length) = match rest {
            [0x81, 127, length @ ..] if length.len() >= 8 => {
                (10, u64::from_be_bytes(*length.first_chunk().unwrap()) as usize)
            }
            [0x81, 126, length @ ..] if length.len() >= 2 => {
                (4, usize::from(u16::from_be_bytes(*length.first_chunk().unwrap())))
            }
            [0x81, length @ ..=125, ..] => (2, usize::from(*length)),
            [0x81, ..] | [] => return (frames, rest),
            garbage => {
                panic!("not the beginning of a frame: {:?}", &garbage[..garbage.len().min(9)])
            }
        };
        if rest.len() < header + length {
            return (frames, rest);
        }
        frames.push((at, serde_json::from_slice(&rest[header..header + length]).unwrap()));
        at += header + length;
    }
}

/// Everything that an outbox still writes, behind the half of control frame 0.
fn rest(mut outbox: Outbox) -> Vec<Value> {
    let frame = control(0);
    let mut stream = frame[..frame.len() / 2].to_vec();
    stream.extend(drain(&mut outbox, usize::MAX, usize::MAX));
    assert!(outbox.is_empty());
    let (frames, rest) = frames(&stream);
    assert!(rest.is_empty(), "frames are whole");
    assert_eq!(frames[0].1, json!({ "control": 0 }), "what was begun is finished first");
    frames.into_iter().skip(1).map(|(_, message)| message).collect()
}

/// Messages in short: `c3` is a control frame, `a:5-7` a batch, `a?2-5=9` a gap of nine events.
fn short(message: &Value) -> String {
    let seq = |name: &str| message[name].as_str().unwrap().parse::<Bookmark>().unwrap().at.seq;
    let room = message["room"].as_str().unwrap_or_default();
    if let Some(n) = message["control"].as_u64() {
        format!("c{n}")
    } else if message["type"] == "gap" {
        assert_eq!(message["reason"], "slow");
        format!("{room}?{}-{}={}", seq("from"), seq("to"), message["count"])
    } else {
        format!("{room}:{}-{}", seq("prev"), seq("cursor"))
    }
}

fn owed(outbox: Outbox) -> String {
    rest(outbox).iter().map(short).collect::<Vec<_>>().join(" ")
}

#[test]
fn state_of_dropped_batches_is_told_behind_the_gap() {
    let mut outbox = stuck();
    let mut first = batch("a", 0, 5, 5, 0);
    first.state.likes = Some(1);
    let mut second = batch("a", 5, 9, 4, 0);
    second.state.online = Some(7);
    second.cursor.owed = Some(Owed { oldest: 7, count: 2 });
    outbox.push_batch(first);
    outbox.push_batch(second);
    outbox.push_batch(batch("a", 9, 12, 3, 0));
    let written = drain(&mut outbox, usize::MAX, usize::MAX);
    let written = String::from_utf8_lossy(&written);
    let order = ["\"type\":\"gap\"", "\"online\":7,\"likes\":1", "\"count\":3"];
    let places: Vec<_> = order.iter().map(|text| written.find(text).unwrap()).collect();
    assert!(places.is_sorted(), "{written}");
    let state = &written[places[0]..places[2]];
    assert!(
        state.contains("\"prev\":\"0707070707070707:9:7:2\",\"cursor\":\"0707070707070707:9:7:2\"")
    );
    assert!(state.contains("\"held\":2"), "{state}");
}

#[test]
fn a_client_that_reads_costs_one_pointer() {
    assert_eq!(size_of::<Outbox>(), size_of::<usize>());
    let outbox = Outbox::default();
    assert_eq!((outbox.is_empty(), outbox.stuck_since()), (true, None));
}

#[test]
fn what_was_begun_is_finished_then_control_goes_before_batches() {
    let mut outbox = stuck();
    outbox.push_batch(batch("a", 0, 1, 1, 0));
    outbox.push_control(control(1)).unwrap();
    outbox.push_batch(batch("b", 0, 1, 1, 0));
    outbox.push_control(control(2)).unwrap();
    assert_eq!(owed(outbox), "c1 c2 a:0-1 b:0-1");
}

#[test]
fn a_newer_batch_replaces_the_older_and_one_gap_tells_what_was_dropped() {
    let mut outbox = stuck();
    assert_eq!(outbox.push_batch(batch("a", 2, 5, 4, 0)), 0);
    assert_eq!(outbox.push_batch(batch("a", 5, 6, 1, 0)), 4);
    assert_eq!(outbox.push_batch(batch("a", 6, 9, 7, 0)), 1);
    assert_eq!(outbox.push_batch(batch("b", 0, 3, 3, 0)), 0);
    assert_eq!(owed(outbox), "a?2-6=5 a:6-9 b:0-3");
}

#[test]
fn a_control_frame_may_go_between_a_gap_and_its_batch() {
    let mut outbox = stuck();
    outbox.push_batch(batch("a", 0, 1, 1, 0));
    outbox.push_batch(batch("a", 1, 2, 1, 0));
    let tail = control(0).len() - control(0).len() / 2;
    assert_eq!(drain(&mut outbox, tail + 5, usize::MAX).len(), tail + 5);
    outbox.push_control(control(1)).unwrap();
    outbox.push_batch(batch("a", 2, 3, 1, 0));
    let message = ServerMessage::Gap {
        room: &room("a"),
        from: at(0),
        to: at(1),
        count: 1,
        reason: GapReason::Slow,
    };
    let mut stream = frame::text(&message.render())[..5].to_vec();
    stream.extend(drain(&mut outbox, usize::MAX, usize::MAX));
    let owed: Vec<_> = frames(&stream).0.iter().map(|(_, message)| short(message)).collect();
    assert_eq!(owed, ["a?0-1=1", "c1", "a?1-2=1", "a:2-3"]);
}

#[test]
fn batches_of_all_rooms_together_are_bounded_and_what_goes_is_told() {
    let mut outbox = stuck();
    let third = UNSENT_BYTES_MAX / 3;
    let mut dropped = 0;
    for name in ["a", "b", "c", "d"] {
        dropped += outbox.push_batch(batch(name, 0, 1, 2, third));
        assert!(outbox.0.as_ref().unwrap().batch_bytes <= UNSENT_BYTES_MAX);
    }
    assert_eq!((dropped, owed(outbox).as_str()), (4, "a?0-1=2 b?0-1=2 c:0-1 d:0-1"));
}

#[test]
fn a_batch_above_the_bound_is_told_as_a_gap() {
    let mut outbox = stuck();
    assert_eq!(outbox.push_batch(batch("a", 0, 1, 2, UNSENT_BYTES_MAX)), 2);
    assert_eq!(owed(outbox), "a?0-1=2");
}

#[test]
fn a_full_control_lane_says_so_and_keeps_what_it_has() {
    let mut outbox = stuck();
    for n in 1..=CONTROL_LANE_MESSAGES_MAX as u64 {
        assert_eq!(outbox.push_control(control(n)), Ok(()));
    }
    assert_eq!(outbox.push_control(control(999)), Err(Overflow));
    assert_eq!(rest(outbox).len(), CONTROL_LANE_MESSAGES_MAX);

    let mut outbox = stuck();
    let half =
        text(&json!({ "control": 1, "padding": "x".repeat(CONTROL_LANE_BYTES_MAX / 2 - 100) }));
    outbox.push_control(half.clone()).unwrap();
    outbox.push_control(half.clone()).unwrap();
    assert_eq!(outbox.push_control(half), Err(Overflow));
    outbox.push_control(control(2)).unwrap();
    assert_eq!(owed(outbox), "c1 c1 c2");
}

#[test]
fn a_room_that_was_left_is_owed_nothing() {
    let mut outbox = stuck();
    outbox.push_batch(batch("a", 0, 1, 1, 10));
    outbox.push_batch(batch("a", 1, 2, 1, 10));
    outbox.push_batch(batch("b", 0, 1, 1, 10));
    outbox.forget_room(&room("a"));
    outbox.forget_room(&room("c"));
    outbox.push_batch(batch("a", 7, 8, 1, 10));
    assert_eq!(owed(outbox), "b:0-1 a:7-8");
}

#[test]
fn what_is_forgotten_frees_its_bytes() {
    let mut outbox = stuck();
    outbox.push_batch(batch("a", 0, 1, 1, 1_000));
    outbox.push_batch(batch("b", 0, 1, 1, 1_000));
    outbox.forget_room(&room("a"));
    let one = batch("b", 0, 1, 1, 1_000).frame.len();
    assert_eq!(outbox.0.as_ref().unwrap().batch_bytes, one);
    outbox.forget_batches();
    assert_eq!(outbox.0.as_ref().unwrap().batch_bytes, 0);
    outbox.push_control(control(1)).unwrap();
    assert_eq!(owed(outbox), "c1", "batches are forgotten, control is not");
}

#[test]
fn of_everything_only_what_was_begun_cannot_be_forgotten() {
    let mut outbox = stuck();
    for n in 1..=CONTROL_LANE_MESSAGES_MAX as u64 {
        outbox.push_control(control(n)).unwrap();
    }
    outbox.push_batch(batch("a", 0, 1, 1, 0));
    outbox.forget_all();
    assert_eq!(outbox.push_control(control(7)), Ok(()));
    assert_eq!(owed(outbox), "c7");
}

#[test]
fn a_client_is_stuck_since_it_last_took_a_byte() {
    let mut outbox = Outbox::default();
    let second = Duration::from_secs;
    outbox.stuck(Lane::Control, control(1), 0, second(3));
    outbox.push_control(control(2)).unwrap();
    outbox.push_batch(batch("a", 0, 1, 1, 0));
    assert_eq!(outbox.stuck_since(), Some(second(3)));
    let Ok(_) = outbox.drain(second(5), |_, _| Ok::<usize, Infallible>(0));
    assert_eq!(outbox.stuck_since(), Some(second(3)), "it took nothing");
    let mut budget = 1;
    let Ok(_) =
        outbox.drain(second(7), |_, _| Ok::<usize, Infallible>(std::mem::take(&mut budget)));
    assert_eq!(outbox.stuck_since(), Some(second(7)));
    outbox.forget_all();
    assert_eq!(outbox.stuck_since(), Some(second(7)));
}

#[test]
fn an_error_of_the_socket_ends_the_draining() {
    let mut outbox = stuck();
    assert_eq!(outbox.drain(NO_TIME, |_, _| Err("gone")), Err("gone"));
}
