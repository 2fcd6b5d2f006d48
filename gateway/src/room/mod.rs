//! One room on this gateway: a machine without clock, tasks or sockets.
//!
//! Inputs are joins, leaves, likes, the broker's deliveries and [`Room::turn`] with the time;
//! what comes of them is a list of [`Effect`]s that the hub carries out. [`Room::due_ms`] says
//! when the next turn is needed.

mod answers;
pub(crate) mod effect;
mod frames;
mod listeners;
mod log;
mod ring;
mod seen;
mod slots;
mod tally;
#[cfg(test)]
mod tests;

use broker_bridge::{Entry, RoomDelivery};
use protocol::cursor::Cursor;
use protocol::ids::{Address, RoomId};
use protocol::select::Budget;
use protocol::slot::SlotClock;
use protocol::to_client::{Settings, State};

use crate::client::Seat;
use crate::documented::documented;
use crate::now::Now;
use crate::room::effect::{Effect, Join, Question};
use crate::room::listeners::Listeners;
use crate::room::log::Log;
use crate::room::slots::Slots;
use crate::room::tally::Tally;

/// Joins are collected for this long, so that a storm of them has few different heads.
const JOINS_COLLECTED_MS: u64 = 5;
/// A room that does not open in this time refuses those who wait.
const OPENING_MS_MAX: u64 = 5_000;
/// A room is kept this long after its last viewer: reloads come back within seconds.
const LINGER_MS: u64 = 20_000;
/// The same if likes were counted here: as long as brokers keep its events.
const LINGER_LIKED_MS: u64 = 600_000;

documented! {
    /// The settings of a room.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RoomSettings {
        /// The length of a slot in milliseconds: a room's messages go out in one frame per slot.
        /// Default: 1000, which people do not notice in a stream of comments. Shorter feels quicker
        /// and costs proportionally more frames (below 100 ms the frames cost more than what is in
        /// them); longer looks like bursts.
        pub tick_ms: u32,
        /// Events per second. Default: 40 chats, about what a screen shows before comments lie on
        /// top of each other, and 10 of the higher classes.
        pub budget: Budget,
    }
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self { tick_ms: 1000, budget: Budget { chat: 40, higher: 10 } }
    }
}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    settings: RoomSettings,
    grace_ms: u64,
    /// `None` until the broker has opened the room.
    log: Option<Log>,
    waiting: Waiting,
    tally: Tally,
    /// The slot's end at which the members are told of a change.
    state_due_ms: Option<u64>,
    listeners: Listeners,
    started_ms: u64,
    empty_since_ms: Option<u64>,
}

/// Who waits for an answer.
#[derive(Debug, Default)]
struct Waiting {
    joins: Vec<Join>,
    answered_ms: u64,
    /// Joins whose past is being fetched, by cursor.
    fetching: Vec<(Cursor, Vec<Join>)>,
    questions: Vec<Question>,
}

impl Room {
    pub(crate) fn new(
        id: RoomId,
        settings: RoomSettings,
        grace_ms: u64,
        shards: usize,
        now: Now,
    ) -> Self {
        Self {
            id,
            settings,
            grace_ms,
            log: None,
            waiting: Waiting::default(),
            tally: Tally::default(),
            state_due_ms: None,
            listeners: Listeners::new(shards),
            started_ms: now.unix_ms,
            empty_since_ms: Some(now.unix_ms),
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &RoomId {
        &self.id
    }

    /// Somebody wants in. Answered in one of the next turns.
    pub(crate) fn join(&mut self, join: Join) {
        self.empty_since_ms = None;
        self.waiting.joins.push(join);
    }

    /// Somebody leaves, answered or not.
    pub(crate) fn leave(&mut self, address: Address, seat: Seat, now: Now) {
        let is_them = |join: &Join| join.address == address && join.seat == seat;
        if self.listeners.remove(address, seat) {
            self.tally.left();
            self.note_state(now);
        } else {
            let waiting = &mut self.waiting;
            let fetching = waiting.fetching.iter_mut().map(|(_, joins)| joins);
            for joins in fetching.chain([&mut waiting.joins]) {
                joins.retain(|join| !is_them(join));
            }
            waiting.fetching.retain(|(_, joins)| !joins.is_empty());
        }
        self.note_if_empty(now);
    }

    /// Likes of somebody in the room.
    pub(crate) fn like(&mut self, likes: u32, now: Now) {
        self.tally.liked(likes);
        self.note_state(now);
    }

    /// Somebody asks what the room is like. Answered in one of the next turns.
    pub(crate) fn ask(&mut self, question: Question) {
        self.waiting.questions.push(question);
    }

    /// The broker has something for the room.
    pub(crate) fn deliver(&mut self, delivery: RoomDelivery, now: Now, out: &mut Vec<Effect>) {
        match delivery {
            RoomDelivery::Opened { head, recent } => self.open(head, recent, now),
            RoomDelivery::Entry { epoch, entry } => {
                if let Some(log) = self.log.as_mut().filter(|log| log.head().epoch == epoch) {
                    let repeats = log.add(entry, now.unix_ms).unwrap_or(0);
                    if repeats > 0 {
                        out.push(Effect::Repeats(repeats));
                    }
                }
            }
            // The embedded broker delivers neither: its log is always there, and complete.
            RoomDelivery::Live { .. } | RoomDelivery::Lost { .. } => {}
            RoomDelivery::Fetched { after, entries } => self.fetched(after, entries, now, out),
            RoomDelivery::Counts { node, counts } => {
                self.tally.elsewhere(node, counts);
                self.note_state(now);
            }
            RoomDelivery::NodeGone { node } => {
                self.tally.node_gone(node);
                self.note_state(now);
            }
        }
    }

    fn open(&mut self, head: Cursor, recent: Vec<Entry>, now: Now) {
        let clock = SlotClock::new(&self.id, self.settings.tick_ms);
        let budget = self.settings.budget.per_slot(self.settings.tick_ms);
        let slots = Slots::new(clock, budget, self.grace_ms);
        self.log = Some(Log::open(head, recent, slots, now.unix_ms));
    }

    /// When the next turn is needed, in milliseconds since 1970.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let waiting = &self.waiting;
        let linger = self.over_ms();
        let Some(log) = &self.log else {
            let asked = !waiting.joins.is_empty() || !waiting.questions.is_empty();
            return asked.then_some(self.started_ms + OPENING_MS_MAX).or(linger);
        };
        let joins = (!waiting.joins.is_empty()).then_some(waiting.answered_ms + JOINS_COLLECTED_MS);
        let questions = (!waiting.questions.is_empty()).then_some(0);
        let (state, report) = (self.state_frame_due_ms(), self.tally.report_due_ms());
        let times = [log.due_ms(), joins, questions, state, report, linger];
        times.into_iter().flatten().min()
    }

    /// Whether nobody has been here for so long that the room can be forgotten.
    pub(crate) fn is_over(&self, now: Now) -> bool {
        self.over_ms().is_some_and(|over_ms| over_ms <= now.unix_ms)
    }

    fn over_ms(&self) -> Option<u64> {
        let linger_ms = if self.tally.has_likes() { LINGER_LIKED_MS } else { LINGER_MS };
        self.empty_since_ms.map(|since_ms| since_ms + linger_ms)
    }

    /// The broker was too busy for the last report.
    pub(crate) fn report_refused(&mut self) {
        self.tally.report_refused();
    }

    /// Does everything that is due.
    pub(crate) fn turn(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.log.is_none() {
            if self.started_ms + OPENING_MS_MAX <= now.unix_ms {
                self.refuse_all(out);
            }
            return;
        }
        self.close_slots(now, out);
        self.answer_joins(now, out);
        self.answer_questions(out);
        if let Some(counts) = self.tally.report(now.unix_ms) {
            out.push(Effect::Report(counts));
        }
        self.note_state(now);
    }

    fn state(&self) -> State {
        let total = self.tally.total();
        State {
            online: total.online,
            likes: total.likes,
            settings: Settings {
                tick_ms: self.settings.tick_ms,
                chat_per_s: per_second(self.settings.budget.chat),
                higher_per_s: per_second(self.settings.budget.higher),
            },
            pinned: Vec::new(),
        }
    }

    fn note_if_empty(&mut self, now: Now) {
        let waiting = &self.waiting;
        if self.listeners.is_empty() && waiting.joins.is_empty() && waiting.fetching.is_empty() {
            self.empty_since_ms = Some(now.unix_ms);
        }
    }
}

fn per_second(budget: usize) -> u32 {
    u32::try_from(budget).unwrap_or(u32::MAX)
}
