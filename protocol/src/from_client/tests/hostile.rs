//! Messages that nobody sends by accident.

use proptest::prelude::*;

use super::*;
use crate::ids::is_invisible;
use crate::limits::{BODY_BYTES_MAX, TEXT_CHARS_MAX, TOKEN_BYTES_MAX};

fn nested(depth: usize) -> String {
    // The message itself is the first level.
    let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
    format!(r#"{{"type":"ping","x":{open}{close}}}"#)
}

#[test]
fn nesting_is_bounded_and_overflows_nothing() {
    assert!(decode(&nested(JSON_DEPTH_MAX)).is_ok());
    for depth in [JSON_DEPTH_MAX + 1, 100, 30_000] {
        let text = malformed(nested(depth).as_bytes());
        assert_eq!(text, "objects and arrays nest too deeply", "{depth}");
    }
    let open = "{\"a\":".repeat(10_000);
    assert_eq!(malformed(open.as_bytes()), "objects and arrays nest too deeply");

    let deep = format!("{}1{}", r#"{"a":"#.repeat(50), "}".repeat(50));
    let deep: Box<RawValue> = serde_json::from_str(&deep).unwrap();
    let refusal = Refusal::bad_request("objects and arrays nest too deeply");
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode_body(Kind::Gift, &deep).unwrap_err(), refusal);
}

#[test]
fn a_message_of_nothing_but_structure_is_only_slow_to_refuse() {
    for piece in ["[", "{", "\"", "\\", ":", ",", "]", "}", "[,", "{}", "\"\","] {
        let message = piece.repeat(64 * 1024 / piece.len());
        assert!(Decoder::new().decode(message.as_bytes()).is_err(), "{piece}");
    }
}

#[test]
fn a_decoder_forgets_the_last_message() {
    let mut decoder = Decoder::new();
    let big = format!(r#"{{"type":"join","room":"{}","history":3}}"#, "x".repeat(10_000));
    assert!(decoder.decode(big.as_bytes()).is_ok());
    assert!(decoder.decode(br#"{"type":"jo"#).is_err());
    let small = format!("{:?}", decoder.decode(br#"{"type":"join","room":"a"}"#).unwrap());
    assert_eq!(small, decode(r#"{"type":"join","room":"a"}"#).unwrap());
}

/// Text that is likely to be a message, or nearly one.
fn any_message() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        ".{0,10}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        "(join|leave|publish|ping|chat|gift|like|x-a|viewer|top|#ffffff|0{16}:1)"
            .prop_map(|s| format!("\"{s}\"")),
        r#"\PC{0,5}"#,
    ];
    let name = "(type|id|room|as|since|history|kind|body|key|ts|text|mode|color|size|count|emotes|code|url|[a-z]?)";
    let object = move |value: BoxedStrategy<String>| {
        prop::collection::vec((name, value), 0..8).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", fields.join(","))
        })
    };
    let inner = scalar.prop_recursive(4, 64, 8, move |value| {
        prop_oneof![
            object(value.clone()),
            prop::collection::vec(value, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    });
    object(inner.boxed())
}

/// Whatever is accepted obeys the limits.
fn obeys(request: &Request<'_>) -> bool {
    match &request.command {
        Command::Publish { body: PublishBody::Chat(chat), .. } => {
            let chars = chat.text.chars().count();
            (1..=TEXT_CHARS_MAX).contains(&chars) && !chat.text.chars().any(is_invisible)
        }
        Command::Publish { body: PublishBody::Likes(count), .. } => (1..=50).contains(count),
        Command::Publish { body: PublishBody::Opaque(raw), .. } => {
            raw.get().starts_with('{') && raw.get().len() <= BODY_BYTES_MAX
        }
        Command::Join { history, .. } => *history <= 100,
        Command::Refresh { token } => (1..=TOKEN_BYTES_MAX).contains(&token.0.len()),
        Command::Leave { .. } | Command::Ping { .. } => true,
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Decoder::new().decode(&message);
    }

    #[test]
    fn what_is_nearly_a_message_never_panics_and_what_is_accepted_obeys(message in any_message()) {
        let mut decoder = Decoder::new();
        match decoder.decode(message.as_bytes()) {
            Ok(request) => prop_assert!(obeys(&request), "{request:?}"),
            Err(DecodeError::Refused { refusal, .. } | DecodeError::Malformed(refusal)) => {
                prop_assert!(refusal.retry_after.is_none());
            }
        }
    }

    #[test]
    fn any_text_is_cleaned_or_refused(text: String) {
        let body = serde_json::to_string(&text).unwrap();
        let message = format!(r#"{{"type":"publish","room":"a","body":{{"text":{body}}}}}"#);
        let mut decoder = Decoder::new();
        if let Ok(request) = decoder.decode(message.as_bytes()) {
            prop_assert!(obeys(&request), "{request:?}");
        }
    }
}
