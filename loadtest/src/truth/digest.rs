//! Messages of a gateway, each understood once.
//!
//! Ten thousand viewers of a room get the same bytes ten thousand times. So a message about a
//! room is looked up by the hash (xxh3, 128 bits) of its bytes, and only one that is new is
//! inflated and parsed. What it tells is kept under a number, and a viewer keeps only numbers.

use std::collections::HashMap;
use std::rc::Rc;

use ahash::AHashMap;
use protocol::deflate::Inflater;
use protocol::event::Class;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::truth::told::{CursorNo, EventNo, FOREIGN, FOREIGN_OTHER, Kind, Told, ToldNo};
use crate::wire::message::{Batch, EventHead, Gap, Goodbye, Joined, LeftOut, Message, Refused};

/// The longest message that is inflated, in bytes.
const INFLATED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages after which those that were not seen again are forgotten.
const GENERATION: usize = 4096;

/// What a message says to the client that got it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// Something about a room.
    Told(ToldNo),
    /// The answer to a publish: the `id` of the command.
    Ack(u64),
    /// The answer to a ping: the `id` of the command.
    Pong(u64),
    /// A command was refused: its `id`, and why.
    Refused(Option<u64>, Refused),
    /// The gateway is about to close.
    Goodbye(Goodbye),
    /// Nothing that matters here.
    Other,
    /// Not a message of the protocol.
    Malformed(String),
}

/// The messages of one process.
pub(crate) struct Digests {
    run: u32,
    inflater: Inflater,
    inflated: Vec<u8>,
    recent: AHashMap<u128, ToldNo>,
    /// The generation before: what is still in use moves over to the recent one.
    older: AHashMap<u128, ToldNo>,
    /// Everything told so far, by number.
    pub(crate) told: Vec<Told>,
    rooms: HashMap<Box<str>, Rc<str>>,
    cursors: AHashMap<Rc<str>, CursorNo>,
    foreign: AHashMap<Box<str>, EventNo>,
    /// The id that each own event came with; another id with the same mark is another event.
    own_ids: AHashMap<EventNo, u64>,
    /// Messages that had to be parsed.
    pub(crate) parsed: u64,
}

/// An answer to one command; everything else of it is skipped.
#[derive(serde::Deserialize)]
struct Reply {
    #[serde(rename = "type")]
    kind: Box<str>,
    id: Option<u64>,
}

impl Digests {
    /// Nothing heard yet; `run` tells own events from others.
    pub(crate) fn new(run: u32) -> Self {
        Self {
            run,
            inflater: Inflater::new(),
            inflated: Vec::new(),
            recent: AHashMap::new(),
            older: AHashMap::new(),
            told: Vec::new(),
            rooms: HashMap::new(),
            cursors: AHashMap::new(),
            foreign: AHashMap::new(),
            own_ids: AHashMap::new(),
            parsed: 0,
        }
    }

    /// Understands a message.
    pub(crate) fn hear(&mut self, payload: &[u8], compressed: bool) -> Heard {
        if !compressed && let Some(reply) = reply(payload) {
            return reply;
        }
        let hash = xxh3_128(payload);
        if let Some(&no) = self.recent.get(&hash) {
            return Heard::Told(no);
        }
        let heard = match self.older.remove(&hash) {
            Some(no) => Heard::Told(no),
            None if compressed => {
                let mut plain = std::mem::take(&mut self.inflated);
                let heard = match self.inflater.inflate(payload, INFLATED_BYTES_MAX, &mut plain) {
                    Ok(()) => reply(&plain).unwrap_or_else(|| self.parse(&plain)),
                    Err(fault) => Heard::Malformed(fault.to_string()),
                };
                self.inflated = plain;
                heard
            }
            None => self.parse(payload),
        };
        if let Heard::Told(no) = heard {
            if self.recent.len() >= GENERATION {
                self.older = std::mem::take(&mut self.recent);
            }
            self.recent.insert(hash, no);
        }
        heard
    }

    fn parse(&mut self, payload: &[u8]) -> Heard {
        self.parsed += 1;
        let message = match serde_json::from_slice(payload) {
            Ok(message) => message,
            Err(error) => return Heard::Malformed(error.to_string()),
        };
        let told = match message {
            Message::Joined(joined) => self.joined(joined),
            Message::Batch(batch) => self.batch(batch),
            Message::Gap(gap) => self.gap(gap),
            Message::Error(refused) => {
                let id = serde_json::from_slice::<Reply>(payload).ok().and_then(|reply| reply.id);
                return Heard::Refused(id, refused);
            }
            Message::Goodbye(goodbye) => return Heard::Goodbye(goodbye),
            Message::Welcome(_) | Message::Other => return Heard::Other,
        };
        self.told.push(told);
        Heard::Told((self.told.len() - 1) as ToldNo)
    }

    fn joined(&mut self, joined: Joined) -> Told {
        let kind = Kind::Joined { recovered: joined.recovered };
        let mut told = self.told(kind, &joined.room, &joined.cursor, &joined.cursor);
        self.enter(&mut told, &joined.events, &joined.left_out);
        Told { held: joined.held, tick_ms: joined.tick_ms, ..told }
    }

    fn batch(&mut self, batch: Batch) -> Told {
        let mut told = self.told(Kind::Batch, &batch.room, &batch.prev, &batch.cursor);
        self.enter(&mut told, &batch.events, &batch.left_out);
        Told { held: batch.held, ..told }
    }

    fn gap(&mut self, gap: Gap) -> Told {
        Told { gap: gap.count, ..self.told(Kind::Gap, &gap.room, &gap.from, &gap.to) }
    }

    fn told(&mut self, kind: Kind, room: &str, prev: &str, cursor: &str) -> Told {
        let room = match self.rooms.get(room) {
            Some(room) => room.clone(),
            None => self.rooms.entry(room.into()).or_insert_with(|| room.into()).clone(),
        };
        let (prev, _) = self.cursor(prev);
        let (cursor, cursor_text) = self.cursor(cursor);
        Told {
            kind,
            room,
            prev,
            cursor,
            cursor_text,
            events: Vec::new(),
            intended_us: Vec::new(),
            left_out_chat: 0,
            left_out_other: 0,
            gap: 0,
            held: 0,
            tick_ms: None,
        }
    }

    fn cursor(&mut self, text: &str) -> (CursorNo, Rc<str>) {
        if let Some((text, no)) = self.cursors.get_key_value(text) {
            return (*no, text.clone());
        }
        let (text, no) = (Rc::<str>::from(text), self.cursors.len() as CursorNo);
        self.cursors.insert(text.clone(), no);
        (no, text)
    }

    fn enter(&mut self, told: &mut Told, events: &[EventHead], left_out: &LeftOut) {
        for event in events {
            let (no, intended_us) = self.number(event);
            told.events.push(no);
            told.intended_us.extend(intended_us);
        }
        for (class, count) in left_out {
            match class == Class::Chat.text() {
                true => told.left_out_chat += count,
                false => told.left_out_other += count,
            }
        }
    }

    /// The number of an event, and of an own one when it was to be sent.
    fn number(&mut self, event: &EventHead) -> (EventNo, Option<u64>) {
        let mark = event.mark().filter(|mark| mark.run == self.run && mark.number < FOREIGN);
        if let Some(mark) = mark {
            let id = xxh3_64(event.id.as_bytes());
            if *self.own_ids.entry(mark.number).or_insert(id) == id {
                return (mark.number, Some(mark.intended_us));
            }
        }
        if let Some(no) = self.foreign.get(&*event.id) {
            return (*no, None);
        }
        let class = if event.class() == Class::Chat { 0 } else { FOREIGN_OTHER };
        let no = FOREIGN | class | self.foreign.len() as EventNo;
        self.foreign.insert((*event.id).into(), no);
        (no, None)
    }
}

/// Acks and pongs, which differ for everybody: only their `id` is read.
fn reply(payload: &[u8]) -> Option<Heard> {
    let is = |kind: &str| payload.get(9..).is_some_and(|rest| rest.starts_with(kind.as_bytes()));
    if is("welcome\"") {
        return Some(Heard::Other);
    }
    if !is("ack\"") && !is("pong\"") {
        return None;
    }
    let reply: Reply = serde_json::from_slice(payload).ok()?;
    match (&*reply.kind, reply.id) {
        ("ack", Some(id)) => Some(Heard::Ack(id)),
        ("pong", Some(id)) => Some(Heard::Pong(id)),
        _ => Some(Heard::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::mark::Mark;

    fn batch(prev: u64, texts: &[(&str, String)]) -> String {
        let events: Vec<_> = texts
            .iter()
            .map(|(id, text)| {
                serde_json::json!({"id": id, "kind": "chat", "ts": 1, "body": {"text": text}})
            })
            .collect();
        serde_json::json!({"type": "batch", "room": "a", "prev": format!("e:{prev}"),
            "cursor": format!("e:{}", prev + 1), "events": events, "left_out": {"chat": 2, "ambient": 1}})
        .to_string()
    }

    fn mark(run: u32, number: u32) -> String {
        Mark { run, number, intended_us: 5 }.to_string()
    }

    #[test]
    fn equal_bytes_are_understood_once() {
        let mut digests = Digests::new(7);
        let bytes = batch(0, &[("x", mark(7, 3))]);
        let first = digests.hear(bytes.as_bytes(), false);
        assert_eq!(first, Heard::Told(0));
        assert_eq!(digests.hear(bytes.as_bytes(), false), first);
        assert_eq!((digests.parsed, digests.told.len()), (1, 1));
        let told = &digests.told[0];
        assert_eq!((told.events.as_slice(), told.intended_us.as_slice()), (&[3][..], &[5][..]));
        assert_eq!((told.left_out_chat, told.left_out_other, told.prev), (2, 1, 0));
    }

    #[test]
    fn compressed_messages_are_the_same_messages() {
        let mut digests = Digests::new(7);
        let bytes = batch(0, &[("x", mark(7, 3))]);
        let deflated = protocol::deflate::Deflater::new().deflate(bytes.as_bytes());
        assert_eq!(digests.hear(&deflated, true), Heard::Told(0));
        assert_eq!(digests.hear(&deflated, true), Heard::Told(0));
        assert_eq!((digests.parsed, digests.told[0].events.as_slice()), (1, &[3][..]));
    }

    #[test]
    fn others_and_impostors_are_foreign() {
        let mut digests = Digests::new(7);
        let events =
            [("x", mark(7, 3)), ("y", mark(8, 3)), ("z", mark(7, 3)), ("y", "hi".to_owned())];
        digests.hear(batch(0, &events).as_bytes(), false);
        assert_eq!(digests.told[0].events, [3, FOREIGN, FOREIGN + 1, FOREIGN]);
    }

    #[test]
    fn cursors_meet_across_messages() {
        let mut digests = Digests::new(7);
        digests.hear(batch(0, &[]).as_bytes(), false);
        digests.hear(batch(1, &[]).as_bytes(), false);
        assert_eq!(digests.told[0].cursor, digests.told[1].prev);
        assert_eq!(&*digests.told[1].cursor_text, "e:2");
    }

    #[test]
    fn replies_are_told_apart() {
        let mut digests = Digests::new(7);
        let mut hear = |text: &str| digests.hear(text.as_bytes(), false);
        assert_eq!(hear(r#"{"type":"ack","id":9,"stored":true,"event":{}}"#), Heard::Ack(9));
        assert_eq!(hear(r#"{"type":"pong","id":4,"now":1}"#), Heard::Pong(4));
        assert_eq!(hear(r#"{"type":"welcome","node":"n"}"#), Heard::Other);
        assert_eq!(hear(r#"{"type":"weather"}"#), Heard::Other);
        let refused = hear(r#"{"type":"error","id":4,"code":"busy","message":"m"}"#);
        assert!(matches!(refused, Heard::Refused(Some(4), refused) if refused.code == "busy"));
        assert!(matches!(hear("[]"), Heard::Malformed(_)));
    }
}
