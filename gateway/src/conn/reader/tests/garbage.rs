//! Everything that breaks the protocol ends its client, and no other.

use super::*;

/// Everything that breaks the protocol, and what the client is closed with. Some of it needs
/// permessage-deflate to have been negotiated.
fn garbage() -> Vec<(&'static str, bool, Vec<u8>, CloseReason)> {
    let unmasked = vec![TEXT, 2, b'h', b'i'];
    let huge = |length: u64| [vec![TEXT, 0xff], length.to_be_bytes().to_vec()].concat();
    let bomb = deflated(&[b'a'; 1_001]);
    let mut reserved_opcodes = Vec::new();
    for opcode in [0x3, 0x7, 0xb, 0xf] {
        let bytes = frame(0x80 | opcode, b"");
        reserved_opcodes.push(("reserved opcode", true, bytes, CloseReason::Framing));
    }
    let cases = vec![
        ("RSV2", true, frame(TEXT | 0x20, b"x"), CloseReason::Framing),
        ("RSV3", true, frame(TEXT | 0x10, b"x"), CloseReason::Framing),
        ("RSV1, not negotiated", false, frame(TEXT | COMPRESSED, b"x"), CloseReason::Framing),
        ("RSV1 on a ping", true, frame(PING | COMPRESSED, b""), CloseReason::Framing),
        (
            "RSV1 on a continuation",
            true,
            [frame(MORE, b"x"), frame(LAST | COMPRESSED, b"y")].concat(),
            CloseReason::Framing,
        ),
        ("unmasked", true, unmasked, CloseReason::Framing),
        ("long ping", true, frame(PING, &[0; 126]), CloseReason::Framing),
        ("ping in parts", true, frame(PING & 0x7f, b""), CloseReason::Framing),
        ("length in long form", true, vec![TEXT, 0x80 | 126, 0, 125], CloseReason::Framing),
        ("length with the highest bit", true, huge(1 << 63), CloseReason::Framing),
        ("above the limit", true, frame(TEXT, &[b'x'; 1_001]), CloseReason::TooLarge),
        ("far above the limit", true, huge(1 << 62), CloseReason::TooLarge),
        (
            "parts above the limit",
            true,
            [frame(MORE, &[b'x'; 600]), frame(LAST, &[b'x'; 600])].concat(),
            CloseReason::TooLarge,
        ),
        ("inflates above the limit", true, frame(TEXT | COMPRESSED, &bomb), CloseReason::TooLarge),
        ("no deflate", true, frame(TEXT | COMPRESSED, &[0xff; 9]), CloseReason::Payload),
        ("no UTF-8", true, frame(TEXT, b"\xff"), CloseReason::Payload),
        ("half a character", true, frame(TEXT, "é".as_bytes().split_at(1).0), CloseReason::Payload),
        (
            "no UTF-8 after inflating",
            true,
            frame(TEXT | COMPRESSED, &deflated(b"\xc3\x28")),
            CloseReason::Payload,
        ),
        ("binary", true, frame(0x82, b"x"), CloseReason::Binary),
        ("continuation of nothing", true, frame(LAST, b"x"), CloseReason::Framing),
        (
            "message within a message",
            true,
            [frame(MORE, b"x"), frame(TEXT, b"y")].concat(),
            CloseReason::Framing,
        ),
        ("half a close code", true, frame(CLOSE, &[3]), CloseReason::Framing),
        ("a close code for reports only", true, frame(CLOSE, &[0x03, 0xee]), CloseReason::Framing),
        ("close reason, no UTF-8", true, frame(CLOSE, b"\x03\xe8\xff"), CloseReason::Payload),
    ];
    [cases, reserved_opcodes].concat()
}

#[test]
fn garbage_ends_its_client_and_the_next_one_is_served() {
    let mut reader = Reader::new();
    for (what, compression, bytes, reason) in garbage() {
        let mut villain = Someone::new(compression);
        assert_eq!(villain.sends(&mut reader, &bytes), Read::Fault(reason), "{what}");
        assert_eq!(villain.taken, [], "{what}");

        let mut next = Someone::new(true);
        let (bytes, taken) = conversation();
        next.sends(&mut reader, &bytes);
        assert_eq!(next.taken, taken, "after {what}");
    }
}

#[test]
fn garbage_is_found_however_it_is_cut() {
    let mut reader = Reader::new();
    for (what, compression, bytes, reason) in garbage() {
        let mut villain = Someone::new(compression);
        let reads: Vec<_> = bytes.iter().map(|byte| villain.sends(&mut reader, &[*byte])).collect();
        let fault = reads.iter().find(|read| **read != Read::Bytes(1));
        assert_eq!(fault, Some(&Read::Fault(reason)), "{what}");
    }
}

#[test]
fn what_was_said_before_the_garbage_is_heard() {
    let mut someone = Someone::new(true);
    let bytes = [frame(TEXT, b"hi"), frame(LAST, b"x"), frame(TEXT, b"ho")].concat();
    assert_eq!(someone.sends(&mut Reader::new(), &bytes), Read::Fault(CloseReason::Framing));
    assert_eq!(someone.taken, [text("hi")]);
}

proptest! {
    #[test]
    fn no_bytes_do_any_harm(
        bytes in vec(prop_oneof![any::<u8>(), Just(TEXT), Just(0x80), Just(0x85)], 1..200),
        cuts in vec(1..50usize, 1..20), compression: bool
    ) {
        let mut reader = Reader::new();
        let mut someone = Someone::new(compression);
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            if part.is_empty() || !matches!(someone.sends(&mut reader, part), Read::Bytes(_)) {
                break;
            }
            rest = after;
        }
        let mut next = Someone::new(false);
        next.sends(&mut reader, &frame(TEXT, b"hello"));
        prop_assert_eq!(next.taken, [text("hello")]);
    }
}
