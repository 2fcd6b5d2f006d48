//! Whatever a client sends is handed over whole or ends that client, and no other.

mod garbage;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::deflate::Deflater;
use protocol::frame::unmask;

use super::*;

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;
const COMPRESSED: u8 = 0x40;
const MORE: u8 = 0x01;
const LAST: u8 = 0x80;

/// A masked frame with the given first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    frame.extend_from_slice(&mask);
    let start = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[start..], mask);
    frame
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    Deflater::new().deflate(payload)
}

/// One client: what it carries between reads, and what was handed over of it.
struct Someone {
    carry: Carry,
    rules: FrameRules,
    taken: Vec<Taken>,
    /// After how many messages it is not listened to any more.
    stops_after: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Taken {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

fn text(text: &str) -> Taken {
    Taken::Text(text.to_owned())
}

impl Someone {
    fn new(compression: bool) -> Self {
        let rules = FrameRules { payload_bytes_max: 1_000, compression };
        Self { carry: Carry::default(), rules, taken: Vec::new(), stops_after: usize::MAX }
    }

    fn sends(&mut self, reader: &mut Reader, bytes: &[u8]) -> Read {
        let mut carry = std::mem::take(&mut self.carry);
        let source = |into: &mut [u8]| {
            into[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        };
        let read = reader.read(source, &mut carry, self);
        self.carry = carry;
        read
    }
}

impl Client for Someone {
    fn rules(&self) -> FrameRules {
        self.rules
    }

    fn take(&mut self, inbound: Inbound<'_>, _: &mut Decoder) -> Next {
        self.taken.push(match inbound {
            Inbound::Text(text) => Taken::Text(text.to_owned()),
            Inbound::Ping(payload) => Taken::Ping(payload.to_vec()),
            Inbound::Pong => Taken::Pong,
            Inbound::Close(code) => Taken::Close(code),
        });
        if self.taken.len() >= self.stops_after { Next::Stop } else { Next::GoOn }
    }
}

/// A conversation with everything in it, and what is to be handed over of it.
fn conversation() -> (Vec<u8>, Vec<Taken>) {
    let long = "长".repeat(100);
    let compressed = deflated("compressed ".repeat(20).as_bytes());
    let (head, tail) = compressed.split_at(7);
    let bytes = [
        frame(TEXT, b"one"),
        frame(PING, b"p"),
        frame(MORE, "an é in t".as_bytes().split_at(4).0),
        frame(PING, b"between"),
        frame(0, "an é in t".as_bytes().split_at(4).1),
        frame(LAST, b"wo"),
        frame(TEXT | COMPRESSED, &deflated(b"short")),
        frame(MORE | COMPRESSED, head),
        frame(PONG, b""),
        frame(LAST, tail),
        frame(TEXT, long.as_bytes()),
        frame(TEXT, b""),
        frame(CLOSE, &[0x03, 0xe9, b'b', b'y', b'e']),
    ];
    let taken = vec![
        text("one"),
        Taken::Ping(b"p".to_vec()),
        Taken::Ping(b"between".to_vec()),
        text("an é in two"),
        text("short"),
        Taken::Pong,
        text(&"compressed ".repeat(20)),
        text(&long),
        text(""),
        Taken::Close(Some(1001)),
    ];
    (bytes.concat(), taken)
}

#[test]
fn every_message_is_handed_over_whole_and_in_order() {
    let (bytes, taken) = conversation();
    let mut someone = Someone::new(true);
    assert_eq!(someone.sends(&mut Reader::new(), &bytes), Read::Bytes(bytes.len()));
    assert_eq!(someone.taken, taken);
}

#[test]
fn it_does_not_matter_where_the_network_cuts() {
    let (bytes, taken) = conversation();
    let mut reader = Reader::new();
    for cut in 0..=bytes.len() {
        let mut someone = Someone::new(true);
        for part in [&bytes[..cut], &bytes[cut..]] {
            if !part.is_empty() {
                assert_eq!(someone.sends(&mut reader, part), Read::Bytes(part.len()));
            }
        }
        assert_eq!(someone.taken, taken, "cut at {cut}");
    }
}

#[test]
fn a_client_may_send_one_byte_at_a_time_between_those_of_others() {
    let (bytes, taken) = conversation();
    let mut reader = Reader::new();
    let mut everyone: Vec<_> = (0..3).map(|_| Someone::new(true)).collect();
    for byte in &bytes {
        for someone in &mut everyone {
            assert_eq!(someone.sends(&mut reader, &[*byte]), Read::Bytes(1));
        }
    }
    assert!(everyone.iter().all(|someone| someone.taken == taken));
}

#[test]
fn between_two_frames_a_connection_holds_no_memory() {
    let mut reader = Reader::new();
    let mut someone = Someone::new(true);
    let bytes = frame(TEXT, b"hello");
    someone.sends(&mut reader, &bytes[..3]);
    someone.sends(&mut reader, &bytes[3..]);
    assert_eq!((someone.carry.bytes.capacity(), someone.taken.len()), (0, 1));
    someone.sends(&mut reader, &bytes[..4]);
    assert_eq!(someone.carry.bytes.capacity(), 4, "of half a frame, no more than that");
    someone.sends(&mut reader, &bytes[4..]);
    someone.sends(&mut reader, &frame(MORE, b"in "));
    assert_eq!(someone.carry.bytes.capacity(), 0);
    assert!(!someone.carry.assembler.is_idle());
    someone.sends(&mut reader, &frame(LAST, b"parts"));
    assert!(someone.carry.assembler.is_idle());
}

#[test]
fn a_frame_of_the_very_limit_passes_on_every_connection() {
    let mut reader = Reader::new();
    for limit in [1_000, protocol::limits::PEER_FRAME_BYTES_MAX] {
        let mut someone = Someone::new(false);
        someone.rules.payload_bytes_max = limit;
        let bytes = frame(TEXT, &vec![b'x'; limit]);
        // More than is read at once.
        for part in bytes.chunks(50_000) {
            someone.sends(&mut reader, part);
        }
        assert_eq!(someone.taken, [text(&"x".repeat(limit))]);
    }
}

#[test]
fn rules_that_change_with_a_message_hold_for_the_next_one() {
    struct Narrowing(Someone);
    impl Client for Narrowing {
        fn rules(&self) -> FrameRules {
            self.0.rules
        }
        fn take(&mut self, inbound: Inbound<'_>, decoder: &mut Decoder) -> Next {
            self.0.rules.payload_bytes_max = 10;
            self.0.take(inbound, decoder)
        }
    }
    let mut someone = Narrowing(Someone::new(false));
    let bytes = [frame(TEXT, &[b'x'; 20]), frame(TEXT, &[b'y'; 20])].concat();
    let source = |into: &mut [u8]| {
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    };
    let read = Reader::new().read(source, &mut Carry::default(), &mut someone);
    assert_eq!(read, Read::Fault(CloseReason::TooLarge));
    assert_eq!(someone.0.taken.len(), 1);
}

#[test]
fn a_client_that_is_told_to_go_is_not_listened_to_any_more() {
    let mut someone = Someone { stops_after: 1, ..Someone::new(false) };
    let bytes = [frame(TEXT, b"one"), frame(TEXT, b"two"), vec![0xff]].concat();
    assert_eq!(someone.sends(&mut Reader::new(), &bytes), Read::Bytes(bytes.len()));
    assert_eq!(someone.taken, [text("one")]);
}

#[test]
fn the_end_of_a_socket_and_a_pause_are_told_apart() {
    let mut reader = Reader::new();
    let mut someone = Someone::new(false);
    let half = frame(TEXT, b"hello");
    someone.sends(&mut reader, &half[..5]);
    let mut read = |result: io::Result<usize>| {
        let mut carry = std::mem::take(&mut someone.carry);
        let read = reader.read(|_| result, &mut carry, &mut someone);
        someone.carry = carry;
        read
    };
    assert_eq!(read(Err(io::ErrorKind::WouldBlock.into())), Read::Nothing);
    assert_eq!(read(Ok(0)), Read::Ended);
    assert_eq!(read(Err(io::ErrorKind::ConnectionReset.into())), Read::Ended);
    someone.sends(&mut reader, &half[5..]);
    assert_eq!(someone.taken, [text("hello")], "a pause has lost nothing");
}

proptest! {
    #[test]
    fn messages_survive_any_cuts_and_parts(
        messages in vec(("[ -~é长]{0,80}", 1..4usize, any::<bool>()), 1..10),
        cuts in vec(1..60usize, 1..20)
    ) {
        let mut bytes = Vec::new();
        for (message, parts, is_compressed) in &messages {
            let payload = if *is_compressed { deflated(message.as_bytes()) } else { message.as_bytes().to_vec() };
            let length = payload.len().div_ceil(*parts).max(1);
            let chunks: Vec<&[u8]> = payload.chunks(length).collect();
            let chunks = if chunks.is_empty() { vec![&[][..]] } else { chunks };
            for (at, chunk) in chunks.iter().enumerate() {
                let opcode = if at == 0 { MORE } else { 0 };
                let fin = if at + 1 == chunks.len() { LAST } else { 0 };
                let compressed = if at == 0 && *is_compressed { COMPRESSED } else { 0 };
                bytes.extend(frame(opcode | fin | compressed, chunk));
            }
        }
        let mut reader = Reader::new();
        let mut someone = Someone::new(true);
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            prop_assert_eq!(someone.sends(&mut reader, part), Read::Bytes(part.len()));
            rest = after;
        }
        let expected: Vec<_> = messages.iter().map(|(message, ..)| text(message)).collect();
        prop_assert_eq!(someone.taken, expected);
        prop_assert_eq!(someone.carry.bytes.capacity(), 0);
    }
}
