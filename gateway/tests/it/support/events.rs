//! Events for the server API to publish.

use serde_json::{Value, json};

/// A danmaku.
pub(crate) fn chat(room: &str, text: &str) -> Value {
    json!({ "room": room, "body": { "text": text } })
}

/// A danmaku of a moderator.
pub(crate) fn staff(room: &str, text: &str) -> Value {
    let user = json!({ "id": "7", "name": "管理", "roles": ["moderator"] });
    json!({ "room": room, "user": user, "body": { "text": text } })
}

/// An event of another kind.
pub(crate) fn other(room: &str, kind: &str, text: &str) -> Value {
    json!({ "room": room, "kind": kind, "body": { "text": text } })
}

/// Danmaku numbered from one to `count`.
pub(crate) fn chats(room: &str, count: usize) -> Vec<Value> {
    (1..=count).map(|n| chat(room, &format!("弹幕 {n}"))).collect()
}
