//! The commands that viewers and speakers send, as JSON text.
//!
//! Every command of a kind carries the same `id` on every connection, so that the answers of a
//! gateway to many clients are equal byte for byte and need to be understood only once.

use serde_json::json;

use crate::truth::mark::Mark;

/// The `id` of every join.
pub(crate) const JOIN_ID: u64 = 1;

/// Joins a room, from a cursor on if there is one.
pub(crate) fn join(room: &str, since: Option<&str>) -> String {
    match since {
        Some(since) => {
            json!({"type": "join", "id": JOIN_ID, "room": room, "since": since}).to_string()
        }
        None => json!({"type": "join", "id": JOIN_ID, "room": room}).to_string(),
    }
}

/// Publishes an event with its mark. `id` is what the ack will carry; `bytes` is about how long
/// the text is to be (chat: at most 200 characters, and longer than the mark in any case).
pub(crate) fn publish(room: &str, id: u64, kind: &str, mark: Mark, bytes: usize) -> String {
    let mark = mark.to_string();
    let filler = "danmaku ".chars().cycle().take(bytes.saturating_sub(mark.len() + 1));
    let text = filler.chain([' ']).collect::<String>() + &mark;
    json!({"type": "publish", "id": id, "room": room, "kind": kind, "body": {"text": text.trim()}})
        .to_string()
}

/// Asks for a sign of life.
pub(crate) fn ping(id: u64) -> String {
    json!({"type": "ping", "id": id}).to_string()
}
