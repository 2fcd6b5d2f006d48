//! What the tests of a room are made of: small events, a room that turns when it is due, and
//! what its members are told, read back from the messages.

use broker_bridge::{Entry, RoomDelivery};
use protocol::cursor::{Bookmark, Cursor, Epoch, Seq};
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{Address, BootId, EventId, RoomId};
use protocol::select::Budget;
use protocol::slot::SlotClock;
use serde_json::Value;
use std::time::Duration;

use crate::client::{Form, Seat};
use crate::now::Now;
use crate::room::effect::{Answer, Effect, Join, RoomFrame, Variant};
use crate::room::{Room, RoomSettings};

pub(crate) const TICK_MS: u64 = 1_000;
/// Three chat events per slot, and two above.
pub(crate) const BUDGET: Budget = Budget { chat: 3, higher: 2 };
pub(crate) const SETTINGS: RoomSettings =
    RoomSettings { tick_ms: 1_000, budget: BUDGET, history_events: 100, ephemeral: false };

pub(crate) fn room_id() -> RoomId {
    RoomId::parse("demo").unwrap()
}

pub(crate) fn clock() -> SlotClock {
    SlotClock::new(&room_id(), SETTINGS.tick_ms)
}

/// The first moment of a slot in the year 2025; offsets of the tests count from here.
pub(crate) fn start_ms() -> u64 {
    clock().end_of(clock().slot_of(1_760_000_000_000))
}

pub(crate) fn at(offset_ms: u64) -> Now {
    Now { mono: Duration::from_millis(offset_ms), unix_ms: start_ms() + offset_ms }
}

pub(crate) fn cursor(seq: Seq) -> Cursor {
    Cursor { epoch: Epoch::random([7; 8]), seq }
}

/// An event whose JSON is `{"n":…}`.
pub(crate) fn event(n: u64, class: Class) -> Event {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    let json = format!("{{\"n\":{n}}}").into();
    Event { id: EventId::random(bytes), class, weight: WEIGHT_DEFAULT, ts_ms: 0, json }
}

/// An event that was published with an idempotency key.
pub(crate) fn keyed(n: u64, class: Class, key: &str) -> Event {
    Event { id: EventId::keyed("42", &room_id(), key), ..event(n, class) }
}

/// An entry that follows the one numbered one less.
pub(crate) fn entry(seq: Seq, origin_offset_ms: u64, events: Vec<Event>) -> Entry {
    Entry {
        seq,
        prev: seq - 1,
        origin_ms: start_ms().wrapping_add(origin_offset_ms),
        events: events.into(),
    }
}

/// An entry of one event that has the number of the entry.
pub(crate) fn one(seq: Seq, origin_offset_ms: u64, class: Class) -> Entry {
    entry(seq, origin_offset_ms, vec![event(seq, class)])
}

pub(crate) fn address(slot: u32) -> Address {
    Address { boot: BootId::random([1; 8]), shard: (slot % 2) as u16, slot, generation: 1 }
}

pub(crate) fn seat(number: u16) -> Seat {
    Seat { number, form: Form::Plain }
}

/// A join without a past, of the client in a slot.
pub(crate) fn join(slot: u32) -> Join {
    Join { address: address(slot), seat: seat(1), id: None, since: None, history: 0 }
}

/// A room, its time, and the effects that nobody has taken yet.
pub(crate) struct Driven {
    pub(crate) room: Room,
    pub(crate) now: Now,
    pub(crate) effects: Vec<Effect>,
}

impl Driven {
    /// A room that the broker has not opened.
    pub(crate) fn unopened(grace_ms: u64) -> Self {
        let room = Room::new(room_id(), SETTINGS, grace_ms, 2, at(0));
        Self { room, now: at(0), effects: Vec::new() }
    }

    /// An empty room, just opened.
    pub(crate) fn opened(grace_ms: u64) -> Self {
        Self::opened_with(grace_ms, 0, Vec::new())
    }

    pub(crate) fn opened_with(grace_ms: u64, head: Seq, recent: Vec<Entry>) -> Self {
        let mut driven = Self::unopened(grace_ms);
        driven.deliver(RoomDelivery::Opened { head: cursor(head), recent });
        driven
    }

    /// Lets time pass up to the given offset, with a turn whenever one is due.
    ///
    /// # Panics
    /// If a turn leaves something due at the same moment: its hub would never come to rest.
    pub(crate) fn wait_until(&mut self, offset_ms: u64) {
        let until = at(offset_ms);
        while let Some(due) = self.room.due(self.now).filter(|due| *due <= until.mono) {
            let offset_ms = due.as_millis() as u64;
            self.now = if offset_ms > self.offset_ms() { at(offset_ms) } else { self.now };
            self.room.turn(self.now, &mut self.effects);
            if self.room.is_over(self.now) {
                break;
            }
            let due = self.room.due(self.now);
            assert!(due.is_none_or(|due| due > self.now.mono), "it turns forever");
        }
        self.now = until;
    }

    pub(crate) fn offset_ms(&self) -> u64 {
        self.now.unix_ms - start_ms()
    }

    /// Does what is due right now.
    pub(crate) fn settle(&mut self) {
        self.wait_until(self.offset_ms());
    }

    pub(crate) fn deliver(&mut self, delivery: RoomDelivery) {
        self.room.deliver(delivery, self.now, &mut self.effects);
    }

    pub(crate) fn entry(&mut self, entry: Entry) {
        self.deliver(RoomDelivery::Entry { epoch: cursor(0).epoch, entry });
    }

    /// Has a client join at once, and drops the effects of that.
    pub(crate) fn seated(mut self, slot: u32) -> Self {
        self.room.join(join(slot));
        self.settle();
        assert_eq!(self.take_answers().len(), 1, "a lone join is answered at once");
        self.effects.clear();
        self
    }

    pub(crate) fn leave(&mut self, slot: u32) {
        self.room.leave(address(slot), seat(1), self.now);
    }

    pub(crate) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Takes the answers; other effects stay.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        self.take_if(|it| if let Effect::Answer(answer) = it { Ok(answer) } else { Err(it) })
    }

    /// Takes the frames; other effects stay.
    pub(crate) fn take_frames(&mut self) -> Vec<RoomFrame> {
        self.take_if(|it| if let Effect::Frame(frame) = it { Ok(frame) } else { Err(it) })
    }

    pub(crate) fn take_if<T>(&mut self, take: impl Fn(Effect) -> Result<T, Effect>) -> Vec<T> {
        let mut taken = Vec::new();
        let mut left = Vec::new();
        for effect in self.take() {
            match take(effect) {
                Ok(it) => taken.push(it),
                Err(effect) => left.push(effect),
            }
        }
        self.effects = left;
        taken
    }

    /// Takes the frames, as those who were here all along are told them, and asserts that
    /// nothing but reports and bookkeeping is left.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        let told = self.take_frames().iter().map(|frame| Told::of(&frame.variants[0])).collect();
        let is_bookkeeping =
            |effect: &Effect| matches!(effect, Effect::Closed { .. } | Effect::Report(_));
        assert!(self.effects.iter().all(is_bookkeeping), "left over: {:?}", self.effects);
        self.effects.clear();
        told
    }
}

/// What a message says about events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// `None` in answers.
    pub(crate) prev: Option<Seq>,
    pub(crate) cursor: Seq,
    /// What was held before it, if it is a batch, and is held after it.
    pub(crate) bookmarks: (Option<Bookmark>, Bookmark),
    pub(crate) events: Vec<u64>,
    pub(crate) left_out: u64,
    pub(crate) held: u64,
    pub(crate) recovered: Option<bool>,
    /// (online, likes), each if it is told.
    pub(crate) state: (Option<u64>, Option<u64>),
    /// The tick, if the settings are told.
    pub(crate) tick_ms: Option<u64>,
}

impl Told {
    pub(crate) fn of(variant: &Variant) -> Self {
        let told = Self::parse(&serde_json::from_slice(&variant.payload).unwrap());
        let count = told.events.len() as u64 + told.left_out;
        let bookmarks = (Some(variant.prev), variant.cursor);
        assert_eq!(told.bookmarks, bookmarks, "the frame says what the message says");
        assert_eq!(count, u64::from(variant.count), "the frame says what the message says");
        told
    }

    pub(crate) fn answer(answer: &Answer) -> Self {
        let json = [b"{", answer.tail.as_slice()].concat();
        let told = Self::parse(&serde_json::from_slice(&json).unwrap());
        assert_eq!(told.bookmarks, (None, answer.head), "the effect says what the message says");
        assert_eq!(told.recovered, answer.recovered, "the effect says what the message says");
        told
    }

    fn parse(json: &Value) -> Self {
        let bookmark = |value: &Value| value.as_str().map(|c| c.parse::<Bookmark>().unwrap());
        if json["type"] == "gap" {
            let (from, to) = (bookmark(&json["from"]).unwrap(), bookmark(&json["to"]).unwrap());
            return Self {
                prev: Some(from.at.seq),
                cursor: to.at.seq,
                bookmarks: (Some(from), to),
                events: Vec::new(),
                left_out: json["count"].as_u64().unwrap(),
                held: to.held().into(),
                recovered: None,
                state: (None, None),
                tick_ms: None,
            };
        }
        let (prev, cursor) = (bookmark(&json["prev"]), bookmark(&json["cursor"]).unwrap());
        assert_eq!(json["held"].as_u64().unwrap_or(0), u64::from(cursor.held()));
        let left_out = json["left_out"].as_object();
        Self {
            prev: prev.map(|prev| prev.at.seq),
            cursor: cursor.at.seq,
            bookmarks: (prev, cursor),
            events: json["events"].as_array().unwrap().iter().map(number).collect(),
            left_out: left_out.map_or(0, |l| l.values().map(|n| n.as_u64().unwrap()).sum()),
            held: json["held"].as_u64().unwrap_or(0),
            recovered: json["recovered"].as_bool(),
            state: (json["state"]["online"].as_u64(), json["state"]["likes"].as_u64()),
            tick_ms: json["state"]["settings"]["tick_ms"].as_u64(),
        }
    }
}

fn number(event: &Value) -> u64 {
    event["n"].as_u64().unwrap()
}
