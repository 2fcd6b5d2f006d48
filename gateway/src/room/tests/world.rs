//! A model around a room: a log, a broker, and viewers who keep the account that the protocol
//! promises them. Every message is checked when it arrives.

mod beside;

use std::collections::{HashMap, HashSet};

use broker_bridge::{Entry, RoomDelivery};
use protocol::cursor::{Bookmark, Seq};
use protocol::event::{Class, Event};
use protocol::ids::EventId;
use protocol::select::Budget;

use self::beside::is_live;
use super::fixtures::{
    Driven, SETTINGS, Told, address, cursor, entry, event, join, keyed, room_id, seat,
};
use crate::room::effect::{Answer, Effect, Join, RoomFrame};
use crate::room::{Room, RoomSettings};

/// The room, what its broker knows, and its viewers by slot.
pub(crate) struct World {
    driven: Driven,
    grace_ms: u64,
    opened: bool,
    /// How often a room has opened.
    opens: u32,
    log: Vec<Entry>,
    published: HashMap<u64, Published>,
    /// How many live events there were.
    live_next: u64,
    fetches: Vec<Seq>,
    viewers: Vec<Viewer>,
    online: u64,
    likes: u64,
    settings: RoomSettings,
}

/// An event that counts, by the number in its JSON.
#[derive(Debug, Clone, Copy)]
struct Published {
    id: EventId,
    seq: Seq,
    class: Class,
}

#[derive(Debug, Default)]
struct Viewer {
    seats: u16,
    place: Place,
    account: Option<Account>,
    /// (online, likes) as last told.
    state: (u64, u64),
    tick_ms: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Absent,
    Waiting {
        since: Option<Bookmark>,
    },
    /// What its shard has told it.
    Seated {
        told: Seq,
    },
}

/// What a viewer was told since it joined.
#[derive(Debug, Default)]
struct Account {
    joined: Seq,
    held_at_join: u64,
    cursor: Seq,
    bookmark: Option<Bookmark>,
    held: u64,
    /// Gifts from before the join that were still to come.
    held_gifts: HashSet<EventId>,
    received: HashSet<EventId>,
    /// Live events that came, and those that have to.
    live: HashSet<u64>,
    awaited: HashSet<u64>,
    left_out: u64,
    /// The last event in log order, of gifts and of all others.
    newest: [u64; 2],
}

impl World {
    pub(crate) fn new(grace_ms: u64, viewers: usize) -> Self {
        Self {
            driven: Driven::unopened(grace_ms),
            grace_ms,
            opened: false,
            opens: 0,
            log: Vec::new(),
            published: HashMap::new(),
            live_next: 0,
            fetches: Vec::new(),
            viewers: std::iter::repeat_with(Viewer::default).take(viewers).collect(),
            online: 0,
            likes: 0,
            settings: SETTINGS,
        }
    }

    /// The room is to go by other settings.
    pub(crate) fn set(&mut self, tick_ms: u32, chat: usize) {
        let budget = Budget { chat, ..SETTINGS.budget };
        self.settings = RoomSettings { tick_ms, budget, ..SETTINGS };
        self.driven.room.set(self.settings, self.driven.now);
        self.wait(0);
    }

    /// Lets time pass. A room that is over is forgotten, and its name taken by a new one.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.driven.wait_until(self.driven.offset_ms() + ms);
        self.carry_out();
        if self.driven.room.is_over(self.driven.now) {
            assert!(self.viewers.iter().all(|v| v.place == Place::Absent), "somebody is here");
            let now = self.driven.now;
            let room = Room::new(room_id(), self.settings, self.grace_ms, 2, now);
            self.driven = Driven { room, now, effects: Vec::new() };
            self.opened = false;
            self.fetches.clear();
            self.likes = 0;
        }
    }

    /// The broker opens the room, and knows so many of the newest entries.
    pub(crate) fn open(&mut self, recent: usize) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        self.opens += 1;
        let mut from = self.log.len() - recent.min(self.log.len());
        // Whether a key was used before what is known, nobody can know.
        while self.log[from..].iter().any(|e| self.repeats_before(e, from)) {
            from -= 1;
        }
        let head = cursor(self.log.len() as Seq);
        self.driven.deliver(RoomDelivery::Opened { head, recent: self.log[from..].to_vec() });
        self.carry_out();
    }

    fn repeats_before(&self, entry: &Entry, at: usize) -> bool {
        let earlier = self.log[..at].iter().flat_map(|e| e.events.iter());
        let keyed: HashSet<EventId> = earlier.map(|e| e.id).filter(|id| id.is_keyed()).collect();
        entry.events.iter().any(|event| keyed.contains(&event.id))
    }

    /// An entry is published, some time after it was made. Events with a key may be repeats.
    pub(crate) fn publish(&mut self, age_ms: u64, events: &[(Class, Option<u8>)]) {
        let seq = self.log.len() as Seq + 1;
        let mut made: Vec<Event> = Vec::new();
        for (at, (class, key)) in events.iter().enumerate() {
            let n = seq * 100 + at as u64;
            // A key is repeated soon or never, and not to a room that has not heard of it.
            let scope = (self.driven.offset_ms() / 30_000, self.opens);
            let event = match key {
                Some(key) => keyed(n, *class, &format!("{key} {scope:?}")),
                None => event(n, *class),
            };
            let first = self.published.values().all(|p| p.id != event.id);
            if first {
                self.published.insert(n, Published { id: event.id, seq, class: *class });
            }
            made.push(event);
        }
        let origin_ms = self.driven.offset_ms().saturating_sub(age_ms);
        self.log.push(entry(seq, origin_ms, made));
        if self.opened {
            self.driven.entry(self.log[seq as usize - 1].clone());
            self.carry_out();
        }
    }

    /// The newest entry is delivered once more.
    pub(crate) fn deliver_again(&mut self) {
        if let Some(entry) = self.log.last().filter(|_| self.opened).cloned() {
            self.driven.entry(entry);
            self.carry_out();
        }
    }

    pub(crate) fn join(&mut self, viewer: usize, history: usize, resumes: bool) {
        let slot = viewer as u32;
        let viewer = &mut self.viewers[viewer];
        if viewer.place != Place::Absent {
            return;
        }
        viewer.seats += 1;
        let since =
            viewer.account.as_ref().filter(|_| resumes).and_then(|account| account.bookmark);
        viewer.place = Place::Waiting { since };
        let seat = seat(viewer.seats);
        self.driven.room.join(Join { seat, since, history, ..join(slot) });
        self.wait(0);
    }

    pub(crate) fn leave(&mut self, viewer: usize) {
        let at = address(viewer as u32);
        let viewer = &mut self.viewers[viewer];
        let place = std::mem::take(&mut viewer.place);
        if let Some(account) = &mut viewer.account {
            account.awaited.clear();
        }
        if place != Place::Absent {
            self.online -= u64::from(matches!(place, Place::Seated { .. }));
            self.driven.room.leave(at, seat(viewer.seats), self.driven.now);
            self.wait(0);
        }
    }

    pub(crate) fn like(&mut self) {
        self.likes += 1;
        self.driven.room.like(1, self.driven.now);
        self.wait(0);
    }

    /// The broker answers the oldest fetch, or has lost what was asked for.
    pub(crate) fn answer_fetch(&mut self, knows: bool) {
        if self.fetches.is_empty() {
            return;
        }
        let after = self.fetches.remove(0);
        let entries = &self.log[after as usize..];
        let splits_a_key = entries.iter().any(|entry| self.repeats_before(entry, after as usize));
        let entries = (knows && !splits_a_key).then(|| entries.to_vec());
        self.driven.deliver(RoomDelivery::Fetched { after: cursor(after), entries });
        self.carry_out();
    }

    /// Everything comes to rest, and every viewer's account is complete.
    pub(crate) fn settle(&mut self) {
        self.open(100);
        self.wait(10);
        while !self.fetches.is_empty() {
            self.answer_fetch(true);
        }
        // A hundred events are paid at most, five go out per slot; online is told last.
        self.wait(60_000);
        self.wait(10_000);
        let head = self.log.len() as Seq;
        for viewer in &self.viewers {
            assert!(!matches!(viewer.place, Place::Waiting { .. }), "every join is answered");
            if let (Place::Seated { .. }, Some(account)) = (viewer.place, &viewer.account) {
                assert_eq!((account.cursor, account.held), (head, 0), "everything is told");
                assert!(account.awaited.is_empty(), "live events are missing: {account:?}");
                assert_eq!(viewer.state, (self.online, self.likes), "the state is told");
                assert_eq!(viewer.tick_ms, u64::from(self.settings.tick_ms), "and the settings");
            }
        }
        self.wait(3_600_000);
    }

    fn carry_out(&mut self) {
        for effect in self.driven.take() {
            match effect {
                Effect::Answer(answer) => self.answered(&answer),
                Effect::Refuse { joins, .. } => {
                    for join in joins {
                        let viewer = &mut self.viewers[join.address.slot as usize];
                        assert!(matches!(viewer.place, Place::Waiting { .. }));
                        viewer.place = Place::Absent;
                    }
                }
                Effect::Frame(frame) => self.framed(&frame),
                Effect::Fetch(after) => self.fetches.push(after.seq),
                Effect::Report(_) | Effect::Closed { .. } | Effect::Repeats(_) => {}
                Effect::Info(..) | Effect::NoInfo(_) => panic!("nobody has asked"),
                Effect::Dismiss { .. } => panic!("the room goes on"),
            }
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let told = Told::answer(answer);
        for join in &answer.joins {
            let viewer = &mut self.viewers[join.address.slot as usize];
            let Place::Waiting { since } = viewer.place else { panic!("not asked for") };
            assert_eq!((join.seat, join.since), (seat(viewer.seats), since));
            assert_eq!(told.recovered.is_some(), since.is_some());
            viewer.place = Place::Seated { told: told.cursor };
            viewer.state = (told.state.0.unwrap(), told.state.1.unwrap());
            viewer.tick_ms = told.tick_ms.unwrap();
            self.online += 1;
            match &mut viewer.account {
                Some(account) if told.recovered == Some(true) => {
                    account.take(&told, &self.published);
                }
                _ => viewer.account = Some(Account::new(&told, &self.published)),
            }
        }
    }

    fn framed(&mut self, frame: &RoomFrame) {
        let first = &frame.variants[0];
        for variant in &frame.variants {
            let told = Told::of(variant);
            assert!(
                variant.prev != variant.cursor
                    || !told.events.is_empty()
                    || told.state != (None, None)
                    || told.tick_ms.is_some(),
                "a frame tells something"
            );
        }
        let seated = self.viewers.iter_mut().enumerate();
        for (slot, viewer) in seated {
            let Place::Seated { told: at } = viewer.place else { continue };
            assert!(
                frame.plain
                    && !frame.deflated
                    && frame.shards.contains(&address(slot as u32).shard)
            );
            let Some(variant) = frame.variants.iter().find(|v| v.prev.at.seq == at) else {
                assert!(at >= first.cursor.at.seq, "it is not passed over");
                continue;
            };
            let told = Told::of(variant);
            viewer.place = Place::Seated { told: told.cursor };
            viewer.state.0 = told.state.0.unwrap_or(viewer.state.0);
            viewer.state.1 = told.state.1.unwrap_or(viewer.state.1);
            viewer.tick_ms = told.tick_ms.unwrap_or(viewer.tick_ms);
            let account = viewer.account.as_mut().unwrap();
            assert_eq!(told.bookmarks.0, account.bookmark);
            account.take(&told, &self.published);
        }
    }
}

impl Account {
    fn new(told: &Told, published: &HashMap<u64, Published>) -> Self {
        assert!(told.events.iter().all(|n| is_live(*n) || published[n].seq <= told.cursor));
        let is_gift = |p: &Published| p.class == Class::Paid && p.seq <= told.cursor;
        let mut gifts: Vec<u64> = published.iter().filter(|p| is_gift(p.1)).map(|p| *p.0).collect();
        gifts.sort_unstable();
        // Gifts go out in the order of the log, so it is the newest that are still to come.
        let held_gifts = gifts.iter().rev().take(told.held as usize).map(|n| published[n].id);
        let held_gifts = held_gifts.collect();
        Self {
            joined: told.cursor,
            held_at_join: told.held,
            cursor: told.cursor,
            bookmark: Some(told.bookmarks.1),
            held: told.held,
            held_gifts,
            ..Self::default()
        }
    }

    /// Takes a message: nothing comes twice, everything in log order, and the account closes.
    fn take(&mut self, told: &Told, published: &HashMap<u64, Published>) {
        for n in &told.events {
            if is_live(*n) {
                assert!(self.live.insert(*n), "live event {n} came twice");
                self.awaited.remove(n);
                continue;
            }
            let event = published[n];
            assert!(event.seq <= told.cursor);
            assert!(event.seq > self.joined || self.held_gifts.contains(&event.id), "not owed");
            assert!(self.received.insert(event.id), "{n} came twice");
            let newest = &mut self.newest[usize::from(event.class == Class::Paid)];
            assert!(*n > *newest, "{n} came after {newest}");
            *newest = *n;
        }
        self.left_out += told.left_out;
        (self.cursor, self.held) = (told.cursor, told.held);
        self.bookmark = Some(told.bookmarks.1);
        let range = self.joined + 1..=self.cursor;
        let owed = published.values().filter(|p| range.contains(&p.seq)).count() as u64;
        let counted = self.received.len() as u64 + self.left_out + self.held;
        assert_eq!(counted, owed + self.held_at_join, "{self:?} {told:?}");
    }
}
