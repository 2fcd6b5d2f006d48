use proptest::prelude::*;

use super::*;
use crate::deflate::Deflater;
use crate::frame::tests::client_frame;
use crate::frame::{FrameRules, unmask};

const BYTES_MAX: usize = 1000;
const RULES: FrameRules = FrameRules { payload_bytes_max: BYTES_MAX, compression: true };

/// What a connection makes of its client's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Control(Opcode, Vec<u8>),
    Closed(CloseReason),
}

/// A connection as a gateway has it: bytes that have not made a frame yet, and an assembler.
#[derive(Default)]
struct Connection {
    unread: Vec<u8>,
    assembler: Assembler,
    inflater: Inflater,
    scratch: Vec<u8>,
    seen: Vec<Seen>,
}

impl Connection {
    fn receive(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while !matches!(self.seen.last(), Some(Seen::Closed(_))) {
            match self.take_frame() {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => self.seen.push(Seen::Closed(reason)),
            }
        }
    }

    fn take_frame(&mut self) -> Result<bool, CloseReason> {
        let header = ClientHeader::parse(&self.unread, RULES).map_err(|f| f.close_reason())?;
        let Some(header) = header.filter(|h| h.frame_bytes() <= self.unread.len()) else {
            return Ok(false);
        };
        let mut frame: Vec<u8> = self.unread.drain(..header.frame_bytes()).collect();
        let payload = &mut frame[header.header_bytes..];
        unmask(payload, header.mask);
        if header.opcode.is_control() {
            self.seen.push(Seen::Control(header.opcode, payload.to_vec()));
        }
        let message =
            self.assembler.push(&header, payload, &mut self.inflater, &mut self.scratch, BYTES_MAX);
        match message.map_err(MessageFault::close_reason)? {
            Some(Message::Text(text)) => self.seen.push(Seen::Text(text.to_owned())),
            Some(Message::Binary(bytes)) => self.seen.push(Seen::Binary(bytes.to_vec())),
            None => {}
        }
        Ok(true)
    }
}

fn read(frames: &[Vec<u8>]) -> Vec<Seen> {
    let mut connection = Connection::default();
    connection.receive(&frames.concat());
    connection.seen
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    Deflater::new().deflate(payload)
}

#[test]
fn an_idle_assembler_is_one_pointer() {
    assert_eq!(size_of::<Assembler>(), size_of::<usize>());
}

#[test]
fn an_unfragmented_message_is_the_payload_itself() {
    let header = ClientHeader::parse(&client_frame(0x81, b"hello"), RULES).unwrap().unwrap();
    let payload = b"hello";
    let mut assembler = Assembler::default();
    let mut scratch = Vec::new();
    let message = assembler.push(&header, payload, &mut Inflater::new(), &mut scratch, BYTES_MAX);
    let Ok(Some(Message::Text(text))) = message else { panic!("{message:?}") };
    assert_eq!(text.as_ptr(), payload.as_ptr());
    assert_eq!(scratch.capacity(), 0);
}

#[test]
fn parts_make_a_message_even_when_they_cut_a_character() {
    let word = "弹幕".as_bytes();
    assert_eq!(
        read(&[
            client_frame(0x01, &word[..1]),
            client_frame(0x00, &word[1..5]),
            client_frame(0x00, b""),
            client_frame(0x80, &word[5..]),
            client_frame(0x02, b"\x01"),
            client_frame(0x80, b"\x02"),
        ]),
        [text("弹幕"), Seen::Binary(vec![1, 2])]
    );
}

#[test]
fn control_frames_may_stand_between_the_parts() {
    assert_eq!(
        read(&[
            client_frame(0x01, b"a"),
            client_frame(0x89, b"ping"),
            client_frame(0x8a, b""),
            client_frame(0x80, b"b"),
        ]),
        [
            Seen::Control(Opcode::Ping, b"ping".to_vec()),
            Seen::Control(Opcode::Pong, vec![]),
            text("ab")
        ]
    );
}

#[test]
fn compressed_messages_are_inflated_whole_or_in_parts() {
    let long = "ha".repeat(400);
    let small = deflated(long.as_bytes());
    let (head, tail) = small.split_at(3);
    assert_eq!(
        read(&[
            client_frame(0xc1, &deflated(b"hello")),
            client_frame(0x41, head),
            client_frame(0x80, tail),
            client_frame(0x81, b"plain"),
            client_frame(0xc2, &deflated(b"\xff\xfe")),
        ]),
        [text("hello"), text(&long), text("plain"), Seen::Binary(vec![0xff, 0xfe])]
    );
}

#[test]
fn parts_out_of_sequence_close() {
    let framing = [Seen::Closed(CloseReason::Framing)];
    assert_eq!(read(&[client_frame(0x80, b"a")]), framing);
    assert_eq!(read(&[client_frame(0x00, b"a")]), framing);
    for first in [0x81, 0x01, 0x82, 0xc1] {
        assert_eq!(
            read(&[client_frame(0x01, b"a"), client_frame(first, b"b")]),
            framing,
            "{first:#x}"
        );
    }
    assert_eq!(
        read(&[client_frame(0x01, b"a"), client_frame(0x80, b"b"), client_frame(0x80, b"c")]),
        [text("ab"), Seen::Closed(CloseReason::Framing)]
    );
}

#[test]
fn parts_are_counted_before_they_are_kept() {
    let too_large = Seen::Closed(CloseReason::TooLarge);
    let mut connection = Connection::default();
    connection.receive(&client_frame(0x01, &[b'x'; 600]));
    connection.receive(&client_frame(0x00, &[b'x'; 400]));
    assert_eq!(connection.seen, []);
    assert!(!connection.assembler.is_idle());
    let partial = connection.assembler.partial.as_ref().unwrap();
    assert!(partial.bytes.capacity() <= BYTES_MAX, "{}", partial.bytes.capacity());
    connection.receive(&client_frame(0x00, b"x"));
    assert_eq!(connection.seen, [too_large]);
}

#[test]
fn a_part_of_every_size_up_to_the_limit_is_kept_in_no_more_room_than_that() {
    let mut connection = Connection::default();
    connection.receive(&client_frame(0x01, b""));
    for _ in 0..BYTES_MAX {
        connection.receive(&client_frame(0x00, b"x"));
        let room = connection.assembler.partial.as_ref().unwrap().bytes.capacity();
        assert!(room <= BYTES_MAX, "{room}");
    }
    connection.receive(&client_frame(0x80, b""));
    assert_eq!(connection.seen, [text(&"x".repeat(BYTES_MAX))]);
    assert!(connection.assembler.is_idle());
}

#[test]
fn the_limit_holds_for_what_inflates() {
    let too_large = [Seen::Closed(CloseReason::TooLarge)];
    let fits = deflated(&[b'x'; BYTES_MAX]);
    let bomb = deflated(&[b'x'; BYTES_MAX + 1]);
    assert_eq!(read(&[client_frame(0xc1, &fits)]), [text(&"x".repeat(BYTES_MAX))]);
    assert_eq!(read(&[client_frame(0xc1, &bomb)]), too_large);
    let (head, tail) = bomb.split_at(4);
    assert_eq!(read(&[client_frame(0x41, head), client_frame(0x80, tail)]), too_large);
}

#[test]
fn a_payload_above_the_limit_is_refused_whatever_the_header_rules_were() {
    let lax = FrameRules { payload_bytes_max: usize::MAX, compression: true };
    for first in [0x81, 0x01] {
        let frame = client_frame(first, &[b'x'; 11]);
        let header = ClientHeader::parse(&frame, lax).unwrap().unwrap();
        let (mut inflater, mut scratch) = (Inflater::new(), Vec::new());
        let mut assembler = Assembler::default();
        let pushed = assembler.push(&header, &[b'x'; 11], &mut inflater, &mut scratch, 10);
        assert_eq!(pushed, Err(MessageFault::TooLarge));
    }
}

#[test]
fn what_is_not_utf_8_or_does_not_inflate_closes_with_payload() {
    let payload = [Seen::Closed(CloseReason::Payload)];
    assert_eq!(read(&[client_frame(0x81, b"\xff")]), payload);
    assert_eq!(read(&[client_frame(0x81, "弹".as_bytes().split_last().unwrap().1)]), payload);
    assert_eq!(read(&[client_frame(0x01, b"\xed\xa0"), client_frame(0x80, b"\x80")]), payload);
    assert_eq!(read(&[client_frame(0xc1, &deflated(b"\xff"))]), payload);
    assert_eq!(read(&[client_frame(0xc1, b"\xff\xff\xff")]), payload);
    assert_eq!(read(&[client_frame(0xc1, b"")]), payload);
}

/// A few frames of every sort, most of them legal.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        "[a-z弹幕]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    let frame = (any::<u8>(), any::<prop::sample::Index>(), payload).prop_map(
        |(garbage, which, payload)| {
            let firsts = [0x81, 0x82, 0x01, 0x00, 0x80, 0xc1, 0x41, 0x89, 0x8a, garbage];
            let first = *which.get(&firsts);
            let payload = match first {
                0xc1 => deflated(&payload),
                0x89 | 0x8a => payload[..payload.len().min(125)].to_vec(),
                _ => payload,
            };
            client_frame(first, &payload)
        },
    );
    prop::collection::vec(frame, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_messages_are_the_same(
        stream in any_frames(), cuts in prop::collection::vec(1usize..200, 1..50)
    ) {
        let whole = read(std::slice::from_ref(&stream));
        let mut connection = Connection::default();
        let mut rest = stream.as_slice();
        for cut in cuts.into_iter().cycle() {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            connection.receive(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(whole, connection.seen);
    }

    #[test]
    fn garbage_never_panics(stream in prop::collection::vec(any::<u8>(), 0..400)) {
        read(&[stream]);
    }
}
