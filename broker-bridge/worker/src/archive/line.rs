//! One line of an archive: an event with its place in the log.
//!
//! ```json
//! {"cursor":"00f1e2d3c4b5a697:1042","index":0,"stored_ms":1763636400123,"class":"chat","weight":100,"event":{"id":"…","kind":"chat","ts":1763636400120,…}}
//! ```
//!
//! `cursor` is the entry's place in the room's log, `index` the event's place in that entry: the
//! two together occur once. `stored_ms` is when the log stored the entry; `event` is the event as
//! viewers got it.

use std::io;

use bytes::Bytes;
use protocol::cursor::{Cursor, Epoch, Seq};
use protocol::event::Event;
use protocol::ids::RoomId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::part::Span;

/// An entry of a room's log, as the archive takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose log.
    pub room: RoomId,
    /// Which numbering.
    pub epoch: Epoch,
    /// Its number.
    pub seq: Seq,
    /// When the log stored it, in milliseconds since 1970; decides its segment.
    pub stored_ms: u64,
    /// Its events, in order.
    pub events: Vec<Event>,
}

/// One line, read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// The entry's place in the log, as text: `epoch:sequence`.
    pub cursor: String,
    /// The event's place in the entry.
    pub index: u32,
    /// When the log stored the entry, in milliseconds since 1970.
    pub stored_ms: u64,
    /// The name of the event's class.
    pub class: String,
    /// The event's weight.
    pub weight: u8,
    /// The event as viewers got it.
    pub event: Box<RawValue>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// It is not one of ours.
    pub fn read(line: &[u8]) -> io::Result<Self> {
        serde_json::from_slice(line).map_err(io::Error::from)
    }

    /// When a gateway accepted the event, in milliseconds since 1970; `None` if it does not say.
    pub fn ts_ms(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Head {
            ts: u64,
        }
        serde_json::from_str(self.event.get()).map(|Head { ts }| ts).ok()
    }
}

/// Appends the lines of an entry to `out`; `None` and nothing appended if there is none, or if an
/// event is not JSON.
pub(crate) fn write(entry: &Entry, out: &mut Vec<u8>) -> Option<Span> {
    #[derive(Serialize)]
    struct Written<'a> {
        cursor: Cursor,
        index: usize,
        stored_ms: u64,
        class: &'static str,
        weight: u8,
        event: &'a RawValue,
    }
    let cursor = Cursor { epoch: entry.epoch, seq: entry.seq };
    let start = out.len();
    for (index, event) in entry.events.iter().enumerate() {
        let json = one_line(&event.json);
        let (class, weight, stored_ms) = (event.class.text(), event.weight, entry.stored_ms);
        let written = serde_json::from_slice(&json).and_then(|event| {
            let line = Written { cursor, index, stored_ms, class, weight, event };
            serde_json::to_writer(&mut *out, &line)
        });
        if written.is_err() {
            out.truncate(start);
            return None;
        }
        out.push(b'\n');
    }
    let times = || entry.events.iter().map(|event| event.ts_ms);
    Some(Span {
        epoch: entry.epoch,
        first: entry.seq,
        last: entry.seq,
        from_ms: times().min()?,
        to_ms: times().max()?,
        events: u32::try_from(entry.events.len()).ok()?,
    })
}

/// The JSON without line breaks. They can only stand between its tokens (inside a string they are
/// escaped), where an application may have put them into a body that we pass on as it came.
fn one_line(json: &Bytes) -> Bytes {
    let is_break = |b: &u8| matches!(b, b'\n' | b'\r');
    if !json.iter().any(is_break) {
        return json.clone();
    }
    json.iter().map(|b| if is_break(b) { b' ' } else { *b }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use protocol::event::{Body, Chat, Color, Draft, Kind, Mode, Size, WEIGHT_DEFAULT};
    use protocol::ids::EventId;

    pub(crate) fn epoch(n: u8) -> Epoch {
        Epoch::from_bytes([n; 8])
    }

    /// A danmaku with this text.
    pub(crate) fn chat(text: &str, ts_ms: u64) -> Event {
        let chat = Chat {
            text: text.to_owned().into(),
            mode: Mode::Top,
            color: Color([0xff, 0xcc, 0]),
            size: Size::Large,
            emotes: Vec::new(),
        };
        draft(Kind::Chat, Body::Chat(chat), ts_ms)
    }

    fn draft(kind: Kind<'_>, body: Body<'_>, ts_ms: u64) -> Event {
        let id = EventId::random([7; 16]);
        Draft { id, kind, ts_ms, user: None, body, weight: WEIGHT_DEFAULT }.render()
    }

    /// An entry of the room `demo` with one danmaku for each text.
    pub(crate) fn entry(seq: Seq, stored_ms: u64, texts: &[&str]) -> Entry {
        let events = texts.iter().map(|text| chat(text, stored_ms)).collect();
        let room = RoomId::parse("demo").unwrap();
        Entry { room, epoch: epoch(1), seq, stored_ms, events }
    }

    #[test]
    fn entry_is_a_line_for_each_event() {
        let mut lines = Vec::new();
        let span = write(&entry(42, 1_000, &["a", "b"]), &mut lines).unwrap();
        assert_eq!((span.first, span.last, span.events), (42, 42, 2));
        assert_eq!((span.from_ms, span.to_ms), (1_000, 1_000));
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(
            text.lines().nth(1).unwrap(),
            r##"{"cursor":"0101010101010101:42","index":1,"stored_ms":1000,"class":"chat","weight":100,"event":{"id":"BwcHBwcHBwcHBwcHBwcHBw","kind":"chat","ts":1000,"body":{"text":"b","mode":"top","color":"#ffcc00","size":"large"}}}"##
        );
        let line = Line::read(text.lines().next().unwrap().as_bytes()).unwrap();
        assert_eq!((line.cursor.as_str(), line.index), ("0101010101010101:42", 0));
        assert_eq!(line.ts_ms(), Some(1_000));
    }

    #[test]
    fn body_with_line_breaks_stays_on_its_line() {
        let body: Box<RawValue> =
            serde_json::from_str("{\r\n  \"a\": \"x\\ny\",\n \"b\": 1}").unwrap();
        let events = vec![draft(Kind::Extension("x-poll"), Body::Opaque(&body), 1)];
        let mut lines = Vec::new();
        write(&Entry { events, ..entry(1, 1, &[]) }, &mut lines).unwrap();
        assert_eq!(lines.iter().filter(|b| **b == b'\n').count(), 1);
        let line = Line::read(&lines).unwrap();
        assert!(line.event.get().contains(r#""a": "x\ny""#), "{}", line.event);
    }

    #[test]
    fn what_is_not_json_leaves_nothing_behind() {
        let mut broken = chat("a", 1);
        broken.json = Bytes::from_static(b"{\"id\":");
        let events = vec![chat("good", 1), broken];
        let mut lines = b"before\n".to_vec();
        assert_eq!(write(&Entry { events, ..entry(1, 1, &[]) }, &mut lines), None);
        assert_eq!(lines, b"before\n");
    }
}
