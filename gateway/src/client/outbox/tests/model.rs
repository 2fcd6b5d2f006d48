//! A client that writes through its outbox, however little its socket takes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ROOMS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Control,
    Batch { room: usize, events: u32, bytes: usize },
    Leave(usize),
    Write { budget: usize, chunk: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![8 => 0..400usize, 1 => 100_000..300_000usize];
    let budget = prop_oneof![6 => 0..300usize, 2 => 300..3_000usize, 1 => Just(2_000_000)];
    prop_oneof![
        2 => Just(Step::Control),
        6 => (0..ROOMS.len(), 0..9u32, bytes)
            .prop_map(|(room, events, bytes)| Step::Batch { room, events, bytes }),
        1 => (0..ROOMS.len()).prop_map(Step::Leave),
        4 => (budget, 1..600usize).prop_map(|(budget, chunk)| Step::Write { budget, chunk }),
    ]
}

/// A client that writes through its outbox, and everything that it was to be told.
#[derive(Default)]
struct Client {
    outbox: Outbox,
    stream: Vec<u8>,
    controls: u64,
    /// Where each control frame was pushed in the stream.
    pushed: Vec<usize>,
    /// How far each room has come, and how many events that were.
    rooms: [(u64, u32); ROOMS.len()],
    /// The cursor, count and place in the stream of the last leave of each room.
    left: [(u64, u32, usize); ROOMS.len()],
}

impl Client {
    /// Sends a frame at once, of which the socket takes the first few bytes.
    fn write(&mut self, lane: Lane, frame: Bytes, taken: usize) {
        let taken = taken.min(frame.len());
        self.stream.extend_from_slice(&frame[..taken]);
        if taken < frame.len() {
            self.outbox.stuck(lane, frame, taken, NO_TIME);
        }
    }

    fn step(&mut self, step: &Step, taken: usize) {
        match *step {
            Step::Control => {
                self.pushed.push(self.stream.len());
                let frame = control(self.controls);
                self.controls += 1;
                if self.outbox.is_empty() {
                    self.write(Lane::Control, frame, taken);
                } else {
                    self.outbox.push_control(frame).unwrap();
                }
            }
            Step::Batch { room, events, bytes } => {
                let (cursor, count) = &mut self.rooms[room];
                let prev = *cursor;
                *cursor += 1;
                *count += events;
                let batch = batch(ROOMS[room], prev, *cursor, events, bytes);
                if self.outbox.is_empty() {
                    self.write(Lane::Danmaku, batch.frame, taken);
                } else {
                    self.outbox.push_batch(batch);
                    let backlog = self.outbox.0.as_ref().unwrap();
                    assert!(backlog.batch_bytes <= UNSENT_BYTES_MAX);
                    let held: usize =
                        backlog.rooms.iter().flat_map(|r| &r.batch).map(|b| b.frame.len()).sum();
                    assert_eq!(backlog.batch_bytes, held);
                }
            }
            Step::Leave(room) => {
                self.outbox.forget_room(&super::room(ROOMS[room]));
                let (cursor, count) = self.rooms[room];
                // A frame of which the socket has taken nothing yet has begun all the same.
                let begun = self.outbox.0.as_ref().and_then(|backlog| backlog.tail.as_ref());
                let unseen = usize::from(begun.is_some_and(|tail| tail.written == 0));
                self.left[room] = (cursor, count, self.stream.len() + unseen);
            }
            Step::Write { budget, chunk } => {
                let written = drain(&mut self.outbox, budget, chunk);
                self.stream.extend(written);
            }
        }
    }
}

#[test]
fn a_batch_that_was_handed_to_a_full_socket_still_goes_out_before_the_leave_is_told() {
    let mut client = Client::default();
    let batch = Step::Batch { room: 1, events: 0, bytes: 0 };
    for step in [batch, Step::Leave(1), Step::Control] {
        client.step(&step, 0);
    }
    let written = drain(&mut client.outbox, usize::MAX, usize::MAX);
    let (frames, _) = frames(&written);
    assert_eq!(
        frames.iter().map(|(_, message)| short(message)).collect::<Vec<_>>(),
        ["b:0-1", "c0"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// However little the socket takes at a time, the client sees whole frames in a legal order,
    /// and knows of every event what became of it.
    #[test]
    fn a_slow_client_sees_whole_frames_in_order_and_its_account_closes(
        steps in vec((step(), prop_oneof![Just(0usize), 0..200usize, Just(usize::MAX)]), 1..150)
    ) {
        let mut client = Client::default();
        for (step, taken) in &steps {
            client.step(step, *taken);
        }
        let written = drain(&mut client.outbox, usize::MAX, usize::MAX);
        client.stream.extend(written);
        prop_assert!(client.outbox.is_empty());

        let (frames, rest) = frames(&client.stream);
        prop_assert!(rest.is_empty(), "frames are whole");
        let mut controls = 0;
        // Where each room stands, and how many events it was told of since it was last left.
        let mut told: [(u64, u64); ROOMS.len()] = Default::default();
        for (offset, message) in &frames {
            if let Some(n) = message["control"].as_u64() {
                prop_assert_eq!(n, controls, "control frames come in order");
                controls += 1;
                continue;
            }
            let waiting = client.pushed.get(controls as usize);
            prop_assert!(waiting.is_none_or(|pushed| pushed >= offset), "control goes first");
            let room = ROOMS.iter().position(|name| message["room"] == *name).unwrap();
            let seq = |name: &str| message[name].as_str().map(|c| c.parse::<Bookmark>().unwrap().at.seq);
            let (from, to) = (seq("prev").or(seq("from")).unwrap(), seq("cursor").or(seq("to")).unwrap());
            let (left_at, _, left_offset) = client.left[room];
            if from < left_at {
                prop_assert!(*offset < left_offset, "nothing of a room begins after it was left");
                continue;
            }
            let (cursor, count) = &mut told[room];
            *cursor = (*cursor).max(left_at);
            prop_assert_eq!(from, *cursor, "batches and gaps follow each other");
            *cursor = to;
            *count += message["count"].as_u64().unwrap();
        }
        prop_assert_eq!(controls, client.controls, "no control frame is dropped");
        for ((told, rooms), left) in told.iter().zip(client.rooms).zip(client.left) {
            prop_assert_eq!((told.0.max(left.0), told.1), (rooms.0, u64::from(rooms.1 - left.1)));
        }
    }
}
