//! Everything but bodies.

use super::*;

#[track_caller]
fn command(message: &str, expected: &str) {
    let mut decoder = Decoder::new();
    let request = decoder.decode(message.as_bytes());
    let request = request.unwrap_or_else(|error| panic!("{message} gave {error}"));
    assert_eq!(format!("{:?}", request.command), expected, "{message}");
}

#[test]
fn joins() {
    command(
        r#"{"type":"join","room":"demo"}"#,
        r#"Join { room: "demo", role: Viewer, since: None, history: 0 }"#,
    );
    command(
        r#"{"type":"join","room":"直播间","as":"peer","since":"00000000000000ff:42:17:3","history":100}"#,
        r#"Join { room: "直播间", role: Peer, since: Some(Bookmark { at: Cursor { epoch: Epoch(255), seq: 42 }, owed: Some(Owed { oldest: 17, count: 3 }) }), history: 100 }"#,
    );
    command(
        r#"{"type":"join","room":"a","as":"viewer","since":null,"history":0}"#,
        r#"Join { room: "a", role: Viewer, since: None, history: 0 }"#,
    );
}

#[test]
fn leaves() {
    command(r#"{"type":"leave","room":"demo"}"#, r#"Leave { room: "demo" }"#);
}

#[test]
fn publishes() {
    command(
        r#"{"type":"publish","room":"demo","body":{"text":"hi"},"key":"k-1"}"#,
        r#"Publish { room: "demo", kind: Chat, body: Chat(Chat { text: "hi", mode: Scroll, color: Color([255, 255, 255]), size: Medium, emotes: [] }), key: Some("k-1") }"#,
    );
    command(
        r#"{"type":"publish","room":"demo","kind":"like"}"#,
        r#"Publish { room: "demo", kind: Like, body: Likes(1), key: None }"#,
    );
    command(
        r#"{"type":"publish","room":"demo","kind":"x-poll","body":{}}"#,
        r#"Publish { room: "demo", kind: Extension("x-poll"), body: Opaque(RawValue({})), key: None }"#,
    );
}

#[test]
fn refreshes_do_not_show_their_token() {
    command(r#"{"type":"refresh","token":"secret"}"#, "Refresh { token: Token(…) }");
    let mut decoder = Decoder::new();
    let request = decoder.decode(br#"{"type":"refresh","token":"a.b.c"}"#).unwrap();
    assert!(matches!(request.command, Command::Refresh { token: Token("a.b.c") }));
}

#[test]
fn pings_keep_their_number_as_it_was_written() {
    command(r#"{"type":"ping"}"#, "Ping { ts: None }");
    command(r#"{"type":"ping","ts":null}"#, "Ping { ts: None }");
    for ts in ["0", "-0", "1760000000000", "1.50", "1e3", "-2.5E-7", "18446744073709551615"] {
        let expected = format!("Ping {{ ts: Some(RawValue({ts})) }}");
        command(&format!(r#"{{"type":"ping","ts": {ts} }}"#), &expected);
    }
}

#[test]
fn the_number_of_a_command_is_told_whether_it_is_allowed_or_not() {
    let mut decoder = Decoder::new();
    let id = |number| RequestId::new(number).unwrap();
    let request = decoder.decode(br#"{"type":"ping","id":9007199254740991}"#).unwrap();
    assert_eq!(request.id, Some(RequestId::MAX));
    let request = decoder.decode(br#"{"type":"ping","id":null}"#).unwrap();
    assert_eq!(request.id, None);
    for message in
        [&br#"{"type":"join","id":7}"#[..], br#"{"id":7,"type":"dance"}"#, br#"{"id":7,"type":""}"#]
    {
        let Err(DecodeError::Refused { id: refused, .. }) = decoder.decode(message) else {
            panic!("{}", message.escape_ascii())
        };
        assert_eq!(refused, Some(id(7)));
    }
}

#[test]
fn a_number_of_a_command_is_a_positive_safe_integer() {
    for id in ["0", "-1", "1.0", "1e3", "\"7\"", "true", "{}", "[]", "9007199254740992"] {
        let error = decode(&format!(r#"{{"type":"ping","id":{id}}}"#)).unwrap_err();
        let refusal = Refusal::bad_request("`id` must be an integer from 1 to 2^53 - 1");
        assert_eq!(error, DecodeError::Refused { id: None, refusal }, "{id}");
    }
    assert_eq!(RequestId::new(0), None);
    assert_eq!(RequestId::new(1 << 53), None);
    assert_eq!(RequestId::new(5).map(RequestId::number), Some(5));
}

#[test]
fn the_order_of_fields_and_unknown_fields_do_not_matter() {
    command(
        r#" { "future" : [{"type":"leave"}, "room"], "room" : "demo" , "type" : "leave" } "#,
        r#"Leave { room: "demo" }"#,
    );
}

#[test]
fn of_two_fields_with_one_name_the_last_counts() {
    command(r#"{"type":"join","room":"a","type":"leave","room":"b"}"#, r#"Leave { room: "b" }"#);
    command(
        r#"{"type":"publish","room":"a","kind":"gift","body":{"n":1},"body":{"n":2}}"#,
        r#"Publish { room: "a", kind: Gift, body: Opaque(RawValue({"n":2})), key: None }"#,
    );
    command(r#"{"type":"ping","ts":1,"\u0074s":2}"#, "Ping { ts: Some(RawValue(2)) }");
    command(r#"{"type":"ping","ts":1,"ts":null}"#, "Ping { ts: None }");
}

#[test]
fn names_and_texts_may_be_written_with_escapes() {
    command(
        r#"{"\u0074ype":"l\u0065ave","room":"\u76f4\u64ad \ud83c\udf89\n"}"#,
        r#"Leave { room: "直播 🎉\n" }"#,
    );
}

#[test]
fn types_that_are_not_known_are_refused_with_their_code() {
    for name in ["signal", "update", "state", "call", "moderate", "media", "request", "ice", "ack"]
    {
        let (code, message) = refused(&format!(r#"{{"type":"{name}","room":"demo"}}"#));
        assert_eq!(code, Code::UnknownType, "{name}");
        assert_eq!(message, "there is no command of this `type`");
    }
}

#[test]
fn what_has_no_type_or_is_no_object_or_no_json_is_malformed() {
    for message in ["{}", r#"{"id":1}"#, r#"{"type":null}"#, r#"{"type":1}"#, r#"{"Type":"ping"}"#]
    {
        assert_eq!(malformed(message.as_bytes()), "the message has no `type`", "{message}");
    }
    for message in ["[]", "1", "null", "true", "\"ping\"", r#"[{"type":"ping"}]"#] {
        let text = malformed(message.as_bytes());
        assert_eq!(text, "the message is not a JSON object", "{message}");
    }
    for message in [
        &b""[..],
        b" ",
        b"{",
        b"}",
        b"ping",
        br#"{"type":"ping"}}"#,
        br#"{"type":"ping"} {"type":"ping"}"#,
        br#"{"type":"ping",}"#,
        br#"{'type':'ping'}"#,
        br#"{"type":"ping"/**/}"#,
        br#"{"type":"ping","ts":01}"#,
        br#"{"type":"ping","ts":+1}"#,
        br#"{"type":"ping","ts":NaN}"#,
        br#"{"type":"ping","x":"\q"}"#,
        b"{\"type\":\"ping\",\"x\":\"a\nb\"}",
        b"{\"type\":\"ping\",\"x\":\"\xff\"}",
        b"{\"type\":\"ping\"}\0",
        b"\xef\xbb\xbf{\"type\":\"ping\"}",
    ] {
        assert_eq!(malformed(message), "the message is not JSON", "{}", message.escape_ascii());
    }
}

#[test]
fn a_character_cut_in_half_has_a_text_of_its_own() {
    for half in [r"\ud83d", r"\ude00", r"\ud83d\u0041", r"\ud83dx"] {
        let message = format!(r#"{{"type":"publish","room":"a","body":{{"text":"{half}"}}}}"#);
        assert_eq!(malformed(message.as_bytes()), "a text holds half of a surrogate pair");
    }
}

#[test]
fn fields_that_are_wrong_are_refused_with_a_text_that_helps() {
    use Code::{BadRequest, TooLarge};
    let room = (BadRequest, "`room` must be the name of a room");
    let role = (BadRequest, "`as` must be `viewer` or `peer`");
    let since = (BadRequest, "`since` must be a cursor as the server told it");
    let history = (BadRequest, "`history` must be an integer from 0 to 100");
    let long_history = (TooLarge, "`history` can be at most 100 events");
    let kind = (
        BadRequest,
        "`kind` must be a kind of event, or `x-` and 1 to 32 of a-z, 0-9, `-`, `_`, `.`",
    );
    let key = (BadRequest, "`key` must have 1 to 64 characters, none of them invisible");
    let ts = (BadRequest, "`ts` must be a number");
    for (fields, expected) in [
        (r#""type":"join""#, room),
        (r#""type":"join","room":null"#, room),
        (r#""type":"leave","room":5"#, room),
        (r#""type":"publish","body":{"text":"hi"}"#, room),
        (r#""type":"join","room":"a","as":"host""#, role),
        (r#""type":"join","room":"a","as":1"#, role),
        (r#""type":"join","room":"a","since":"42""#, since),
        (r#""type":"join","room":"a","since":42"#, since),
        (r#""type":"join","room":"a","history":-1"#, history),
        (r#""type":"join","room":"a","history":1.5"#, history),
        (r#""type":"join","room":"a","history":"10""#, history),
        (r#""type":"join","room":"a","history":101"#, long_history),
        (r#""type":"join","room":"a","history":18446744073709551615"#, long_history),
        (r#""type":"publish","room":"a","kind":"dance","body":{}"#, kind),
        (r#""type":"publish","room":"a","kind":"x-","body":{}"#, kind),
        (r#""type":"publish","room":"a","kind":7,"body":{}"#, kind),
        (r#""type":"publish","room":"a","key":"","body":{"text":"hi"}"#, key),
        (r#""type":"publish","room":"a","key":"a\u200bb","body":{"text":"hi"}"#, key),
        (r#""type":"publish","room":"a","key":7,"body":{"text":"hi"}"#, key),
        (r#""type":"ping","ts":"1""#, ts),
        (r#""type":"ping","ts":{}"#, ts),
        (r#""type":"ping","ts":true"#, ts),
    ] {
        assert_eq!(refused(&format!("{{{fields}}}")), expected, "{fields}");
    }
}

#[test]
fn limits_are_exact() {
    let key = |chars: usize| {
        let key = "键".repeat(chars);
        decode(&format!(r#"{{"type":"publish","room":"a","body":{{"text":"hi"}},"key":"{key}"}}"#))
    };
    let refusal = |error| match error {
        DecodeError::Refused { refusal, .. } => refusal,
        DecodeError::Malformed(refusal) => panic!("{refusal}"),
    };
    assert!(key(64).is_ok());
    let too_long = Refusal::too_large("`key` can have at most 64 characters");
    assert_eq!(key(65).map_err(refusal), Err(too_long));

    let ts = |digits: usize| {
        let ts = "1".repeat(digits - 3);
        decode(&format!(r#"{{"type":"ping","ts":0.1{ts}}}"#))
    };
    assert!(ts(32).is_ok());
    let too_long = Refusal::too_large("`ts` can have at most 32 characters");
    assert_eq!(ts(33).map_err(refusal), Err(too_long));
}
