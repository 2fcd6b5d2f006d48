//! Server-sent events (HTML standard, section 9.2): how a room is watched where no WebSocket can
//! be opened.
//!
//! | line | what |
//! | --- | --- |
//! | `event: batch` | what `data` holds: the `type` of the message |
//! | `id: <cursor>` | what the browser brings back as `Last-Event-ID` |
//! | `data: {…}` | the JSON of the message, the same as over a WebSocket |
//! | empty | the end of the event |

use bytes::Bytes;

use crate::cursor::Bookmark;

/// Room for everything in an event but its data, in bytes.
const ENVELOPE_BYTES: usize = 80;

/// One event. The JSON may come in parts.
pub fn event(name: &str, id: Option<Bookmark>, json: &[&[u8]]) -> Bytes {
    let bytes: usize = json.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + bytes);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    if let Some(id) = id {
        out.extend_from_slice(format!("\nid: {id}").as_bytes());
    }
    out.extend_from_slice(b"\ndata: ");
    let start = out.len();
    json.iter().for_each(|part| out.extend_from_slice(part));
    // Bodies are passed on as they were written. A line's end in JSON stands between two of its
    // pieces, where a space means the same; in an event it would begin another line.
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n\n");
    out.into()
}

/// A comment, which keeps an idle connection alive and is no event.
pub fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// When to come back after the end of the stream.
pub fn retry(after_ms: u64) -> Bytes {
    format!("retry: {after_ms}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{Cursor, Epoch};

    #[test]
    fn an_event_has_its_name_its_cursor_and_one_line_of_data() {
        let cursor = Cursor { epoch: Epoch::random([0, 0, 0, 0, 0, 0, 0, 9]), seq: 7 };
        let whole = event("batch", Some(cursor.into()), &[b"{\"a\":", b"1}"]);
        assert_eq!(&whole[..], b"event: batch\nid: 0000000000000009:7\ndata: {\"a\":1}\n\n");
        assert_eq!(&event("gap", None, &[b"{}"])[..], b"event: gap\ndata: {}\n\n");
    }

    #[test]
    fn no_body_can_begin_a_line_of_its_own() {
        let whole = event("batch", None, &[b"{\r\n\n\"body\":\nevent: goodbye\r}"]);
        assert_eq!(&whole[..], b"event: batch\ndata: {   \"body\": event: goodbye }\n\n");
    }
}
