//! The WebSocket protocol itself, against `/echo`: the core of what the Autobahn test suite asks
//! (`scripts/autobahn.sh` runs all of it), by its chapters.

use protocol::deflate::{Deflater, Inflater};
use tokio::io::AsyncWriteExt as _;

use crate::support::echo::Caller;
use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, RSV1, RSV2, RSV3, TEXT,
};
use crate::support::gateway::TestGateway;
use crate::support::http;

fn utf8(bytes: usize) -> Vec<u8> {
    "Hello-µ@ßöäüàá-中文!".bytes().cycle().take(bytes - bytes % 29).chain(*b"x").collect()
}

#[tokio::test]
async fn chapter_1_and_9_messages_of_every_size_come_back() {
    let gateway = TestGateway::start().await;
    let mut caller = Caller::plain(gateway.public).await;
    for size in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 262_144, 1_048_576] {
        let text = if size == 0 { Vec::new() } else { vec![b'*'; size] };
        caller.send(&[Frame::new(FIN | TEXT, text.clone())]).await;
        caller.hears(FIN | TEXT, &text, "text").await;
        let bytes = vec![0xfe; size];
        caller.send(&[Frame::new(FIN | BINARY, bytes.clone())]).await;
        caller.hears(FIN | BINARY, &bytes, "binary").await;
    }
    // In small pieces, and in many parts.
    let frame = Frame::new(FIN | TEXT, utf8(4_000));
    for piece in frame.bytes().chunks(997) {
        caller.stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    caller.hears(FIN | TEXT, &utf8(4_000), "in pieces").await;
    let whole = utf8(65_536);
    let mut parts: Vec<Frame> =
        whole.chunks(256).map(|part| Frame::new(CONTINUATION, part)).collect();
    parts.first_mut().unwrap().first = TEXT;
    parts.last_mut().unwrap().first |= FIN;
    caller.send(&parts).await;
    caller.hears(FIN | TEXT, &whole, "in parts").await;
    gateway.end().await;
}

#[tokio::test]
async fn chapter_2_pings_are_answered_and_unasked_pongs_are_not() {
    let gateway = TestGateway::start().await;
    let mut caller = Caller::plain(gateway.public).await;
    let payloads = [Vec::new(), b"Hello".to_vec(), vec![0, 0xff, 0xfe], vec![0xfe; 125]];
    for payload in payloads {
        caller.send(&[Frame::new(FIN | PING, payload.clone())]).await;
        caller.hears(FIN | PONG, &payload, "a pong").await;
    }
    caller.send(&[Frame::new(FIN | PONG, *b"unasked"), Frame::new(FIN | PING, *b"1")]).await;
    caller.hears(FIN | PONG, b"1", "only the ping is answered").await;
    let pings: Vec<Frame> = (0..10).map(|n| Frame::new(FIN | PING, [n])).collect();
    caller.send(&pings).await;
    for n in 0..10 {
        caller.hears(FIN | PONG, &[n], "in order").await;
    }
    caller.send(&[Frame::new(FIN | PING, vec![0; 126])]).await;
    assert_eq!(caller.is_closed("a long ping").await, 1002);
    gateway.end().await;
}

#[tokio::test]
async fn chapters_3_and_4_reserved_bits_and_opcodes_fail_the_connection() {
    let gateway = TestGateway::start().await;
    let bits = [RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3];
    let mut cases = Vec::new();
    for bits in bits {
        for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
            cases.push(FIN | bits | opcode);
        }
    }
    cases.extend([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(|opcode| FIN | opcode));
    for first in cases {
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&[Frame::text("before"), Frame::new(first, *b"x"), Frame::text("after")]).await;
        caller.hears(FIN | TEXT, b"before", "what came before").await;
        assert_eq!(caller.is_closed(&format!("{first:#x}")).await, 1002, "{first:#x}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn chapter_5_parts_make_a_message_and_control_frames_stand_between_them() {
    let gateway = TestGateway::start().await;
    let mut caller = Caller::plain(gateway.public).await;
    for opcode in [TEXT, BINARY] {
        caller
            .send(&[
                Frame::new(opcode, *b"one"),
                Frame::new(FIN | PING, *b"between"),
                Frame::new(CONTINUATION, *b""),
                Frame::new(FIN | PONG, *b""),
                Frame::new(FIN | CONTINUATION, *b"two"),
            ])
            .await;
        caller.hears(FIN | PONG, b"between", "at once").await;
        caller.hears(FIN | opcode, b"onetwo", "whole").await;
    }
    let broken: [(&str, Vec<Frame>); 6] = [
        ("a ping in parts", vec![Frame::new(PING, *b"a"), Frame::new(FIN | CONTINUATION, *b"b")]),
        ("a pong in parts", vec![Frame::new(PONG, *b"a"), Frame::new(FIN | CONTINUATION, *b"b")]),
        ("the last part of nothing", vec![Frame::new(FIN | CONTINUATION, *b"a")]),
        ("a part of nothing", vec![Frame::new(CONTINUATION, *b"a"), Frame::text("b")]),
        ("a message in a message", vec![Frame::new(TEXT, *b"a"), Frame::text("b")]),
        (
            "a part behind the last",
            vec![
                Frame::new(TEXT, *b"a"),
                Frame::new(FIN | CONTINUATION, *b"b"),
                Frame::new(FIN | CONTINUATION, *b"c"),
            ],
        ),
    ];
    for (what, frames) in broken {
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&frames).await;
        if what == "a part behind the last" {
            caller.hears(FIN | TEXT, b"ab", what).await;
        }
        assert_eq!(caller.is_closed(what).await, 1002, "{what}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn chapter_6_text_is_utf8_and_anything_else_is_told_before_its_end() {
    let gateway = TestGateway::start().await;
    let valid: [&[u8]; 8] = [
        "κόσμε".as_bytes(),
        b"\0",
        b"\x7f",
        b"\xc2\x80",
        b"\xe0\xa0\x80",
        b"\xed\x9f\xbf",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
    ];
    let mut caller = Caller::plain(gateway.public).await;
    for text in valid {
        caller.send(&[Frame::new(FIN | TEXT, text)]).await;
        caller.hears(FIN | TEXT, text, "valid").await;
        // Cut anywhere, also inside a character.
        for at in 0..=text.len() {
            let (first, last) = text.split_at(at);
            caller.send(&[Frame::new(TEXT, first), Frame::new(FIN | CONTINUATION, last)]).await;
            caller.hears(FIN | TEXT, text, "in two parts").await;
        }
    }
    let invalid: [&[u8]; 12] = [
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x80\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ];
    for text in invalid {
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&[Frame::new(FIN | TEXT, text)]).await;
        assert_eq!(caller.is_closed("invalid").await, 1007, "{text:x?}");
        // The message does not end: it is told all the same.
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&[Frame::new(TEXT, *b"ok "), Frame::new(CONTINUATION, text)]).await;
        assert_eq!(caller.is_closed("fail fast").await, 1007, "{text:x?}");
    }
    for half in [&b"\xce"[..], b"\xe1\xbd", b"\xf0\x9f\x98"] {
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&[Frame::new(TEXT, half), Frame::new(FIN | CONTINUATION, *b"")]).await;
        assert_eq!(caller.is_closed("half a character").await, 1007);
    }
    gateway.end().await;
}

#[tokio::test]
async fn chapter_7_closes_are_answered_and_nothing_follows() {
    let gateway = TestGateway::start().await;
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let mut caller = Caller::plain(gateway.public).await;
        caller
            .send(&[Frame::close(code), Frame::text("after"), Frame::new(FIN | PING, *b"")])
            .await;
        assert_eq!(caller.is_closed("a close").await, code);
    }
    let mut caller = Caller::plain(gateway.public).await;
    caller.send(&[Frame::new(FIN | CLOSE, *b"")]).await;
    assert_eq!(caller.is_closed("without a code").await, 1005);
    let reason = |bytes: &[u8]| Frame::new(FIN | CLOSE, [&1000_u16.to_be_bytes(), bytes].concat());
    let mut caller = Caller::plain(gateway.public).await;
    caller.send(&[reason(&[b'*'; 123])]).await;
    assert_eq!(caller.is_closed("the longest reason").await, 1000);
    let broken = [
        (Frame::new(FIN | CLOSE, [3]), 1002),
        (reason(&[b'*'; 124]), 1002),
        (reason(b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"), 1007),
    ];
    for (frame, code) in broken {
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&[frame]).await;
        assert_eq!(caller.is_closed("a bad close").await, code);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let mut caller = Caller::plain(gateway.public).await;
        caller.send(&[Frame::close(code)]).await;
        assert_eq!(caller.is_closed("a bad code").await, 1002, "{code}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn chapters_12_and_13_compressed_messages_of_every_size_come_back_compressed() {
    let gateway = TestGateway::start().await;
    let mut caller = Caller::deflating(gateway.public).await;
    let (mut deflater, mut inflater, mut whole) = (Deflater::new(), Inflater::new(), Vec::new());
    for size in [0, 16, 64, 256, 1_024, 8_192, 65_536, 131_072, 1_048_576 - 64] {
        for opcode in [TEXT, BINARY] {
            let payload = if size == 0 { Vec::new() } else { utf8(size) };
            let deflated = deflater.deflate(&payload);
            // Whole, and in parts of which only the first says that it is compressed.
            let mut parts: Vec<Frame> =
                deflated.chunks(1_000).map(|part| Frame::new(CONTINUATION, part)).collect();
            parts.first_mut().unwrap().first = RSV1 | opcode;
            parts.last_mut().unwrap().first |= FIN;
            for frames in [vec![Frame::new(FIN | RSV1 | opcode, deflated.clone())], parts] {
                caller.send(&frames).await;
                let said = caller.next().await.unwrap();
                assert_eq!(said.first, FIN | RSV1 | opcode);
                inflater.inflate(&said.payload, 2_000_000, &mut whole).unwrap();
                assert!(whole == payload, "{size}");
            }
        }
    }
    // Uncompressed messages stay welcome.
    caller.send(&[Frame::text("plain")]).await;
    assert_eq!(caller.next().await.unwrap().first, FIN | RSV1 | TEXT);
    for first in [FIN | RSV1 | PING, FIN | RSV1 | CLOSE, FIN | RSV2 | TEXT] {
        let mut caller = Caller::deflating(gateway.public).await;
        caller.send(&[Frame::new(first, *b"")]).await;
        assert_eq!(caller.is_closed("a bit too many").await, 1002);
    }
    let mut caller = Caller::deflating(gateway.public).await;
    caller.send(&[Frame::new(FIN | RSV1 | TEXT, deflater.deflate(b"\xed\xa0\x80"))]).await;
    assert_eq!(caller.is_closed("invalid UTF-8 inside").await, 1007);
    gateway.end().await;
}

#[tokio::test]
async fn compression_is_negotiated_as_offered_or_not_at_all() {
    let gateway = TestGateway::start().await;
    let offers = [
        ("permessage-deflate", true),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", true),
        ("permessage-deflate; client_max_window_bits", true),
        ("permessage-deflate; client_max_window_bits=9", true),
        ("permessage-deflate; server_max_window_bits=9", false),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", true),
        ("permessage-deflate; unknown", false),
        ("x-webkit-deflate-frame", false),
    ];
    for (offer, is_accepted) in offers {
        let header = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let (head, mut caller) = Caller::dial(gateway.public, "/echo", &header).await;
        assert_eq!(head.contains("permessage-deflate"), is_accepted, "{offer}: {head}");
        caller.send(&[Frame::text("hello")]).await;
        let compressed = if is_accepted { RSV1 } else { 0 };
        assert_eq!(caller.next().await.unwrap().first, FIN | compressed | TEXT, "{offer}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn the_echo_has_the_limit_of_viewers_unless_told_otherwise_and_exists_in_development_only() {
    let gateway = TestGateway::start().await;
    for (path, limit) in [("/echo", 16 * 1024), ("/echo?max=100", 100)] {
        let (_, mut caller) = Caller::dial(gateway.public, path, "").await;
        caller.send(&[Frame::new(FIN | BINARY, vec![0; limit])]).await;
        caller.hears(FIN | BINARY, &vec![0; limit], path).await;
        caller.send(&[Frame::new(FIN | BINARY, vec![0; limit + 1])]).await;
        assert_eq!(caller.is_closed(path).await, 1009);
    }
    gateway.end().await;
    let gateway = TestGateway::with(|config| config.public.echo = false).await;
    let answer = http::request(gateway.public, "GET", "/echo", &[], b"").await;
    answer.assert_refused(404, "not_found");
    gateway.end().await;
}
