//! Bodies, by way of a publish and by way of the server API: the rules are the same.

use super::*;

/// The body as text, after both ways have given the same.
fn body(kind: &str, body: &str) -> Result<String, (Code, &'static str)> {
    let message = format!(r#"{{"type":"publish","room":"a","kind":"{kind}","body":{body}}}"#);
    let mut decoder = Decoder::new();
    let published = match decoder.decode(message.as_bytes()) {
        Ok(Request { command: Command::Publish { body, .. }, .. }) => Ok(format!("{body:?}")),
        Err(DecodeError::Refused { refusal, .. }) => Err((refusal.code, refusal.message)),
        other => panic!("{message} gave {other:?}"),
    };
    let raw: &RawValue = serde_json::from_str(body).unwrap();
    let decoded = decoder.decode_body(Kind::parse(kind).unwrap(), raw);
    let by_server = decoded.map(|b| format!("{b:?}")).map_err(|r| (r.code, r.message));
    assert_eq!(published, by_server, "{message}");
    published
}

fn text(written: &str) -> Result<String, (Code, &'static str)> {
    let message = format!(r#"{{"type":"publish","room":"a","body":{{"text":"{written}"}}}}"#);
    let mut decoder = Decoder::new();
    match decoder.decode(message.as_bytes()).map(|request| request.command) {
        Ok(Command::Publish { body: PublishBody::Chat(chat), .. }) => Ok(chat.text.into_owned()),
        Err(DecodeError::Refused { refusal, .. }) => Err((refusal.code, refusal.message)),
        other => panic!("{message} gave {other:?}"),
    }
}

const NO_TEXT: (Code, &str) = (Code::BadRequest, "`text` must have 1 to 200 characters");
const NOT_AN_OBJECT: (Code, &str) = (Code::BadRequest, "`body` must be a JSON object");

#[test]
fn a_chat_has_text_mode_colour_size_and_emotes() {
    assert_eq!(
        body("chat", r#"{"text":"前方高能"}"#).unwrap(),
        r#"Chat(Chat { text: "前方高能", mode: Scroll, color: Color([255, 255, 255]), size: Medium, emotes: [] })"#
    );
    assert_eq!(
        body(
            "chat",
            r##"{"text":"[ok]","mode":"top","color":"#FFcc00","size":"large",
                 "emotes":[{"code":"[ok]","url":"https://example.org/ok.webp","w":1}],"more":{}}"##
        )
        .unwrap(),
        r#"Chat(Chat { text: "[ok]", mode: Top, color: Color([255, 204, 0]), size: Large, emotes: [Emote { code: "[ok]", url: "https://example.org/ok.webp" }] })"#
    );
    let plain = body("chat", r#"{"text":"hi"}"#);
    let nulls = r#"{"text":"hi","mode":null,"color":null,"size":null,"emotes":null}"#;
    assert_eq!(body("chat", nulls), plain);
    let twice = r#"{"text":"no","mode":"top","text":"hi","mode":"scroll"}"#;
    assert_eq!(body("chat", twice), plain);
}

#[test]
fn every_mode_and_size_is_read() {
    for (word, name) in
        [("scroll", "Scroll"), ("top", "Top"), ("bottom", "Bottom"), ("reverse", "Reverse")]
    {
        let chat = body("chat", &format!(r#"{{"text":"a","mode":"{word}"}}"#)).unwrap();
        assert!(chat.contains(&format!("mode: {name},")), "{chat}");
    }
    for (word, name) in [("small", "Small"), ("medium", "Medium"), ("large", "Large")] {
        let chat = body("chat", &format!(r#"{{"text":"a","size":"{word}"}}"#)).unwrap();
        assert!(chat.contains(&format!("size: {name},")), "{chat}");
    }
}

#[test]
fn a_chat_that_is_wrong_is_refused_with_a_text_that_helps() {
    use Code::{BadRequest, TooLarge};
    let mode = (BadRequest, "`mode` must be `scroll`, `top`, `bottom` or `reverse`");
    let color = (BadRequest, "`color` must be `#` and six hexadecimal digits");
    let size = (BadRequest, "`size` must be `small`, `medium` or `large`");
    let list = (BadRequest, "`emotes` must be an array of objects");
    let emote = (BadRequest, "an emote needs a `code` and a `url`");
    for (written, expected) in [
        ("null", NOT_AN_OBJECT),
        ("[]", NOT_AN_OBJECT),
        (r#""hi""#, NOT_AN_OBJECT),
        ("{}", NO_TEXT),
        (r#"{"text":null}"#, NO_TEXT),
        (r#"{"text":5}"#, NO_TEXT),
        (r#"{"text":""}"#, NO_TEXT),
        (r#"{"text":"a","mode":"fly"}"#, mode),
        (r#"{"text":"a","mode":1}"#, mode),
        (r#"{"text":"a","color":"red"}"#, color),
        (r#"{"text":"a","color":16777215}"#, color),
        (r#"{"text":"a","size":"huge"}"#, size),
        (r#"{"text":"a","size":25}"#, size),
        (r#"{"text":"a","emotes":{}}"#, list),
        (r#"{"text":"a","emotes":"x"}"#, list),
        (r#"{"text":"a","emotes":[1]}"#, list),
        (r#"{"text":"a","emotes":[{}]}"#, emote),
        (r#"{"text":"a","emotes":[{"code":"a"}]}"#, emote),
        (r#"{"text":"a","emotes":[{"code":"","url":"u"}]}"#, emote),
        (r#"{"text":"a","emotes":[{"code":"a","url":""}]}"#, emote),
        (r#"{"text":"a","emotes":[{"code":"a","url":7}]}"#, emote),
        (r#"{"text":"a","emotes":[{"code":"a\u0000","url":"u"}]}"#, emote),
    ] {
        assert_eq!(body("chat", written), Err(expected), "{written}");
    }
    let emotes = |count: usize, code: usize, url: usize| {
        let emote = format!(r#"{{"code":"{}","url":"{}"}}"#, "码".repeat(code), "u".repeat(url));
        body("chat", &format!(r#"{{"text":"a","emotes":[{}]}}"#, vec![emote; count].join(",")))
    };
    assert!(emotes(16, 32, 256).is_ok());
    assert_eq!(emotes(17, 1, 1), Err((TooLarge, "`emotes` can be at most 16")));
    let code = (TooLarge, "the `code` of an emote can have at most 32 characters");
    assert_eq!(emotes(1, 33, 1), Err(code));
    let url = (TooLarge, "the `url` of an emote can have at most 256 bytes");
    assert_eq!(emotes(1, 1, 257), Err(url));
}

#[test]
fn a_text_has_1_to_200_characters_after_cleaning() {
    assert_eq!(text(&"弹".repeat(200)), Ok("弹".repeat(200)));
    let too_large = (Code::TooLarge, "`text` can have at most 200 characters");
    assert_eq!(text(&"弹".repeat(201)), Err(too_large));
    assert_eq!(text(&format!("   {}  ", "a".repeat(200))), Ok("a".repeat(200)));
    assert_eq!(text(&r"\u200b".repeat(300)), Err(NO_TEXT));
    assert_eq!(text("   "), Err(NO_TEXT));
    assert_eq!(text(r"\u3000\n\t"), Err(NO_TEXT));
}

#[test]
fn what_cannot_be_seen_is_taken_out_of_a_text() {
    for (written, shown) in [
        (r"a\u0000b\u001bc", "abc"),
        (r"a\nb\tc", "abc"),
        (r"abc\u202edef", "abcdef"),
        ("a\u{200b}\u{feff}b", "ab"),
        (r"  \u200b  a b \u2060 ", "a b"),
        ("👩\u{200d}👩\u{200d}👧", "👩\u{200d}👩\u{200d}👧"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        (r#"\"quoted\" \\ \/ "#, r#""quoted" \ /"#),
    ] {
        assert_eq!(text(written).as_deref(), Ok(shown), "{written}");
    }
}

#[test]
fn a_text_is_borrowed_unless_something_is_taken_out_of_it() {
    let mut decoder = Decoder::new();
    let mut is_borrowed = |text: &str| {
        let message = format!(r#"{{"type":"publish","room":"a","body":{{"text":"{text}"}}}}"#);
        let request = decoder.decode(message.as_bytes()).unwrap();
        let Command::Publish { body: PublishBody::Chat(chat), .. } = request.command else {
            panic!("{message}")
        };
        matches!(chat.text, std::borrow::Cow::Borrowed(_))
    };
    assert!(is_borrowed("plain"));
    assert!(is_borrowed("  around  "));
    assert!(is_borrowed(r"\u5f39\u5e55"));
    assert!(!is_borrowed(r"a\u0007b"));
}

#[test]
fn likes_are_counted_from_1_to_50() {
    for (written, count) in [
        ("{}", 1),
        ("null", 1),
        (r#"{"count":null}"#, 1),
        (r#"{"count":1}"#, 1),
        (r#"{"count":50}"#, 50),
        (r#"{"count":9,"count":3,"x":[]}"#, 3),
    ] {
        assert_eq!(body("like", written), Ok(format!("Likes({count})")), "{written}");
    }
    let bad = (Code::BadRequest, "`count` must be an integer from 1 to 50");
    for written in ["0", "-1", "1.0", "\"3\"", "true", "[]"] {
        assert_eq!(body("like", &format!(r#"{{"count":{written}}}"#)), Err(bad), "{written}");
    }
    let many = (Code::TooLarge, "`count` can be at most 50");
    for written in ["51", "4294967296", "4294967297", "18446744073709551615"] {
        assert_eq!(body("like", &format!(r#"{{"count":{written}}}"#)), Err(many), "{written}");
    }
    for written in ["[]", "1", "\"1\""] {
        assert_eq!(body("like", written), Err(NOT_AN_OBJECT), "{written}");
    }
}

const OPAQUE: [&str; 6] = ["gift", "paid", "enter", "system", "notice", "x-poll"];

#[test]
fn other_bodies_are_passed_on_byte_for_byte() {
    let written = r#"{ "n" : 1.0e2, "big":12345678901234567890123, "s":"\u00e9\/", "a":[ ], "n":2 , "d":-0 }"#;
    for kind in OPAQUE {
        assert_eq!(body(kind, written), Ok(format!("Opaque(RawValue({written}))")));
    }
}

#[test]
fn integers_of_any_length_pass_and_floats_beyond_every_reader_do_not() {
    let digits = format!(r#"{{"n":{}}}"#, "9".repeat(100));
    assert_eq!(body("gift", &digits), Ok(format!("Opaque(RawValue({digits}))")));
    for number in ["1e400".to_owned(), "9".repeat(400)] {
        let message =
            format!(r#"{{"type":"publish","room":"a","kind":"gift","body":{{"n":{number}}}}}"#);
        assert_eq!(malformed(message.as_bytes()), "the message is not JSON");
    }
}

#[test]
fn other_bodies_are_objects_of_at_most_8_kib() {
    for kind in OPAQUE {
        for written in ["null", "[]", "1", "\"{}\"", "true"] {
            assert_eq!(body(kind, written), Err(NOT_AN_OBJECT), "{kind} {written}");
        }
        let missing = format!(r#"{{"type":"publish","room":"a","kind":"{kind}"}}"#);
        assert_eq!(refused(&missing), NOT_AN_OBJECT);
    }
    let of_bytes = |bytes: usize| format!(r#"{{"s":"{}"}}"#, "x".repeat(bytes - 8));
    assert_eq!(of_bytes(100).len(), 100);
    assert!(body("gift", &of_bytes(8 * 1024)).is_ok());
    let too_large = (Code::TooLarge, "`body` can have at most 8 KiB");
    assert_eq!(body("gift", &of_bytes(8 * 1024 + 1)), Err(too_large));
}

#[test]
fn a_chat_without_a_body_is_refused() {
    assert_eq!(refused(r#"{"type":"publish","room":"a"}"#), NOT_AN_OBJECT);
}
