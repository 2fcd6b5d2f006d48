//! One message of a client: what is accepted obeys the limits, and is what another reader of JSON
//! finds in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::from_client::{Command, Decoder, PublishBody, Request, Role};
use protocol::ids::is_invisible;
use protocol::limits;
use serde_json::Value;

fuzz_target!(|message: &[u8]| {
    let mut decoder = Decoder::new();
    let first = match decoder.decode(message) {
        Ok(request) => {
            check(&request, message);
            Ok(format!("{request:?}"))
        }
        Err(error) => Err(error),
    };
    let again = decoder.decode(message).map(|request| format!("{request:?}"));
    assert_eq!(first, again, "a used decoder is like a new one");
});

fn check(request: &Request<'_>, message: &[u8]) {
    let read: Value = serde_json::from_slice(message).expect("accepted, so it is JSON");
    assert_eq!(request.id.map(|id| id.number()), read["id"].as_u64());
    match &request.command {
        Command::Join { room, role, since, history } => {
            assert_eq!(read["type"], "join");
            assert_eq!(read["room"], *room);
            assert_eq!(*role == Role::Peer, read["as"] == "peer");
            assert_eq!(since.is_some(), !read["since"].is_null());
            assert_eq!(*history as u64, read["history"].as_u64().unwrap_or(0));
            assert!(*history <= limits::HISTORY_EVENTS_MAX);
        }
        Command::Leave { room } => {
            assert_eq!(read["type"], "leave");
            assert_eq!(read["room"], *room);
        }
        Command::Publish { room, kind, body, key } => {
            assert_eq!(read["type"], "publish");
            assert_eq!(read["room"], *room);
            assert_eq!(read["kind"].as_str().unwrap_or("chat"), kind.text());
            assert_eq!(read["key"].as_str(), *key);
            assert!(key.is_none_or(|key| (1..=64).contains(&key.chars().count())));
            check_body(body, &read["body"]);
        }
        Command::Refresh { token } => {
            assert_eq!(read["type"], "refresh");
            assert_eq!(read["token"], token.0);
            assert!((1..=limits::TOKEN_BYTES_MAX).contains(&token.0.len()));
        }
        Command::Ping { ts } => {
            assert_eq!(read["type"], "ping");
            let ts = ts.map(|ts| serde_json::from_str::<Value>(ts.get()).expect("a number"));
            assert_eq!(ts.unwrap_or_default(), read["ts"]);
        }
    }
}

fn check_body(body: &PublishBody<'_>, read: &Value) {
    match body {
        PublishBody::Chat(chat) => {
            let chars = chat.text.chars().count();
            assert!((1..=limits::TEXT_CHARS_MAX).contains(&chars));
            assert!(!chat.text.chars().any(is_invisible));
            assert_eq!(chat.text.trim(), chat.text);
            assert!(chat.emotes.len() <= limits::EMOTES_MAX);
            let written = read["text"].as_str().expect("a text");
            let visible: String = written.chars().filter(|c| !is_invisible(*c)).collect();
            assert_eq!(chat.text, visible.trim());
            serde_json::to_string(chat).expect("it can be rendered");
        }
        PublishBody::Likes(count) => {
            assert!((1..=limits::LIKES_PER_PUBLISH_MAX).contains(count));
            assert_eq!(u64::from(*count), read["count"].as_u64().unwrap_or(1));
        }
        PublishBody::Opaque(raw) => {
            assert!(raw.get().len() <= limits::BODY_BYTES_MAX);
            let raw: Value = serde_json::from_str(raw.get()).expect("it is JSON");
            assert!(raw.is_object());
            assert_eq!(raw, *read);
        }
    }
}
