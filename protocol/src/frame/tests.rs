use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fastwebsockets::{Frame, OpCode, Role, after_handshake_split};
use proptest::prelude::*;

use super::*;

const RULES: FrameRules = FrameRules { payload_bytes_max: 1 << 20, compression: true };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it: the given first byte, the shortest length, masked.
pub(crate) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame(first, &[]).to_vec();
    frame.pop();
    match payload.len() {
        short @ ..=125 => frame.push(short as u8),
        medium @ ..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame[1] |= MASK;
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("bytes in memory are always ready"),
    }
}

/// Reads server frames as a client does.
fn as_client(bytes: &[u8]) -> Vec<(bool, OpCode, Vec<u8>)> {
    let (mut reader, _) = after_handshake_split(bytes, Vec::new(), Role::Client);
    reader.set_auto_pong(false);
    reader.set_auto_close(false);
    let mut frames = Vec::new();
    while let Ok(frame) =
        now(reader.read_frame(&mut |_: Frame<'_>| async { Ok::<(), Infallible>(()) }))
    {
        frames.push((frame.fin, frame.opcode, frame.payload.to_vec()));
    }
    frames
}

#[test]
fn server_frames_are_as_rfc_6455_has_them() {
    assert_eq!(text(b"Hello")[..], *b"\x81\x05Hello", "the example of section 5.7");
    assert_eq!(text(b"")[..], *b"\x81\x00");
    assert_eq!(binary(b"\x00\xff")[..], *b"\x82\x02\x00\xff");
    assert_eq!(text_first(b"Hel")[..], *b"\x01\x03Hel", "the example of section 5.7");
    assert_eq!(text_last(b"lo")[..], *b"\x80\x02lo");
    assert_eq!(ping(b"Hello")[..], *b"\x89\x05Hello");
    assert_eq!(pong(b"")[..], *b"\x8a\x00");
    assert_eq!(deflated_text(b"\xf2\x48\xcd\xc9\xc9\x07\x00")[..3], *b"\xc1\x07\xf2");
    assert_eq!(close(CloseReason::TooSlow)[..], *b"\x88\x0a\x0f\xa1too_slow");
    assert_eq!(close_echo(Some(1001))[..], *b"\x88\x02\x03\xe9");
    assert_eq!(close_echo(None)[..], *b"\x88\x00");
}

#[test]
fn every_close_of_the_catalogue_is_a_legal_close_frame() {
    for reason in CloseReason::ALL {
        let frame = close(reason);
        assert!(frame.len() <= 2 + CONTROL_BYTES_MAX);
        assert_eq!(read_close(&frame[2..]), Ok(Some(reason.code())), "{reason:?}");
    }
}

#[test]
fn lengths_are_encoded_in_their_shortest_form() {
    for (payload_bytes, header_bytes) in
        [(0, 2), (1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (100_000, 10)]
    {
        let payload = vec![b'x'; payload_bytes];
        let frame = text(&payload);
        assert_eq!(frame.len(), header_bytes + payload_bytes);
        assert_eq!(as_client(&frame), [(true, OpCode::Text, payload.clone())]);

        let frame = client_frame(0x82, &payload);
        let header = ClientHeader::parse(&frame, RULES).unwrap().unwrap();
        assert_eq!(header.header_bytes, header_bytes + 4);
        assert_eq!(header.payload_bytes, payload_bytes);
        assert_eq!(header.frame_bytes(), frame.len());
    }
}

#[test]
fn a_client_reads_what_the_gateway_writes() {
    let mut stream = Vec::new();
    for frame in [text(b"{}"), text_first(b"head,"), text_last(&[b'x'; 70_000]), ping(b"12")] {
        stream.extend_from_slice(&frame);
    }
    stream.extend_from_slice(&close(CloseReason::Draining));
    let frames = as_client(&stream);
    assert_eq!(frames[0], (true, OpCode::Text, b"{}".to_vec()));
    assert_eq!(frames[1], (false, OpCode::Text, b"head,".to_vec()));
    assert_eq!(frames[2], (true, OpCode::Continuation, vec![b'x'; 70_000]));
    assert_eq!(frames[3], (true, OpCode::Ping, b"12".to_vec()));
    assert_eq!(frames[4], (true, OpCode::Close, b"\x0f\xa0draining".to_vec()));
    assert_eq!(frames.len(), 5);
}

#[test]
fn the_masked_hello_of_the_rfc_is_read() {
    let mut frame = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let header = ClientHeader::parse(&frame, RULES).unwrap().unwrap();
    let expected = ClientHeader {
        opcode: Opcode::Text,
        fin: true,
        compressed: false,
        header_bytes: 6,
        payload_bytes: 5,
        mask: KEY,
    };
    assert_eq!(header, expected);
    unmask(&mut frame[6..], header.mask);
    assert_eq!(frame[6..], *b"Hello");
}

#[test]
fn a_header_that_is_not_all_there_waits() {
    for payload_bytes in [0, 125, 126, 65_535, 65_536] {
        let frame = client_frame(0x81, &vec![0; payload_bytes]);
        let header = ClientHeader::parse(&frame, RULES).unwrap().unwrap();
        for length in 0..header.header_bytes {
            assert_eq!(ClientHeader::parse(&frame[..length], RULES), Ok(None), "{length}");
        }
        assert_eq!(ClientHeader::parse(&frame[..header.header_bytes], RULES), Ok(Some(header)));
    }
}

#[test]
fn what_breaks_the_rfc_is_refused_as_soon_as_it_is_seen() {
    let plain = FrameRules { compression: false, ..RULES };
    for (name, bytes) in [
        ("unmasked", &[0x81, 0x05][..]),
        ("RSV2", &[0xa1, 0x85]),
        ("RSV3", &[0x91, 0x85]),
        ("opcode 3", &[0x83, 0x85]),
        ("opcode 7", &[0x87, 0x85]),
        ("opcode 11", &[0x8b, 0x85]),
        ("opcode 15", &[0x8f, 0x85]),
        ("ping in parts", &[0x09, 0x80]),
        ("close in parts", &[0x08, 0x80]),
        ("long ping", &[0x89, 0xfe]),
        ("very long pong", &[0x8a, 0xff]),
        ("compressed continuation", &[0xc0, 0x85]),
        ("compressed ping", &[0xc9, 0x85]),
        ("125 in 16 bits", &[0x81, 0xfe, 0, 125]),
        ("65535 in 64 bits", &[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        ("64-bit length with the top bit", &[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(ClientHeader::parse(bytes, RULES), Err(FrameFault::Framing), "{name}");
        assert_eq!(ClientHeader::parse(bytes, plain), Err(FrameFault::Framing), "{name}");
    }
    assert_eq!(ClientHeader::parse(&[0xc1, 0x85], plain), Err(FrameFault::Framing));
    assert_eq!(ClientHeader::parse(&[0xc1, 0x85], RULES), Ok(None));
    assert_eq!(FrameFault::Framing.close_reason(), CloseReason::Framing);
}

#[test]
fn a_payload_above_the_limit_is_refused_from_its_header() {
    let rules = FrameRules { payload_bytes_max: 200, compression: false };
    let header = |frame: &[u8]| ClientHeader::parse(&frame[..4], rules);
    assert_eq!(header(&client_frame(0x81, &[0; 200])), Ok(None));
    assert_eq!(header(&client_frame(0x81, &[0; 201])), Err(FrameFault::TooLarge));
    let huge = [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(ClientHeader::parse(&huge, rules), Err(FrameFault::TooLarge));
    assert_eq!(FrameFault::TooLarge.close_reason(), CloseReason::TooLarge);

    let strict = FrameRules { payload_bytes_max: 0, compression: false };
    let ping = client_frame(0x89, &[0; 125]);
    assert!(ClientHeader::parse(&ping, strict).unwrap().is_some(), "control has its own limit");
}

#[test]
fn every_opcode_and_flag_is_told() {
    for (first, opcode, fin, compressed) in [
        (0x00, Opcode::Continuation, false, false),
        (0x80, Opcode::Continuation, true, false),
        (0x01, Opcode::Text, false, false),
        (0xc1, Opcode::Text, true, true),
        (0x41, Opcode::Text, false, true),
        (0xc2, Opcode::Binary, true, true),
        (0x88, Opcode::Close, true, false),
        (0x89, Opcode::Ping, true, false),
        (0x8a, Opcode::Pong, true, false),
    ] {
        let header = ClientHeader::parse(&client_frame(first, b"x"), RULES).unwrap().unwrap();
        assert_eq!((header.opcode, header.fin, header.compressed), (opcode, fin, compressed));
        assert_eq!(opcode.is_control(), (first & 0x0f) >= 8);
    }
}

#[test]
fn close_frames_of_clients_are_checked() {
    assert_eq!(read_close(b""), Ok(None));
    assert_eq!(read_close(b"\x03\xe8"), Ok(Some(1000)));
    assert_eq!(read_close("\u{3}\u{e8}".as_bytes()), Err(CloseReason::Framing), "0x03c3");
    assert_eq!(read_close(b"\x0f\xa0bye"), Ok(Some(4000)));
    assert_eq!(read_close(b"\x03"), Err(CloseReason::Framing));
    assert_eq!(read_close(b"\x03\xe8\xff"), Err(CloseReason::Payload));
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535u16] {
        assert_eq!(read_close(&code.to_be_bytes()), Err(CloseReason::Framing), "{code}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..20), payload_bytes_max: usize,
        compression: bool
    ) {
        let rules = FrameRules { payload_bytes_max, compression };
        if let Ok(Some(header)) = ClientHeader::parse(&bytes, rules) {
            prop_assert!(header.header_bytes <= bytes.len());
            prop_assert!(header.frame_bytes() >= header.payload_bytes);
            prop_assert!(
                header.payload_bytes <= payload_bytes_max.max(CONTROL_BYTES_MAX)
            );
            // The header says all there is: written again, it is the same bytes.
            let mut again = vec![
                u8::from(header.fin) << 7 | u8::from(header.compressed) << 6 | header.opcode as u8
            ];
            again.extend_from_slice(&bytes[1..header.header_bytes - 4]);
            again.extend_from_slice(&header.mask);
            prop_assert_eq!(&again, &bytes[..header.header_bytes]);
        }
        let _ = read_close(&bytes);
    }

    #[test]
    fn unmasking_is_byte_by_byte_with_the_key(
        payload in prop::collection::vec(any::<u8>(), 0..100), mask: [u8; 4]
    ) {
        let expected: Vec<u8> =
            payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        let mut unmasked = payload.clone();
        unmask(&mut unmasked, mask);
        prop_assert_eq!(&unmasked, &expected);
        unmask(&mut unmasked, mask);
        prop_assert_eq!(unmasked, payload);
    }
}
