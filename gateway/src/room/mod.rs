//! One room on this gateway: a machine without clock, tasks or sockets.
//!
//! Inputs are joins, leaves, likes, the broker's deliveries and [`Room::turn`] with the time;
//! what comes of them is a list of [`Effect`]s that the hub carries out. [`Room::due`] says when
//! the next turn is needed. Slots go by unix time, so that all gateways cut alike; everything
//! else goes by the monotonic clock, which nobody sets.

mod answers;
mod change;
pub(crate) mod effect;
mod frames;
mod listeners;
mod log;
mod losses;
mod ring;
mod seen;
mod slots;
mod tally;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

use broker_bridge::RoomDelivery;
use protocol::cursor::Cursor;
use protocol::ids::{Address, RoomId};
use protocol::limits::HISTORY_EVENTS_MAX;
use protocol::refusal::Refusal;
use protocol::select::Budget;
use protocol::to_client::State;

use crate::client::Seat;
use crate::documented::documented;
use crate::now::Now;
use crate::room::change::InForce;
use crate::room::effect::{Effect, Join, Question};
use crate::room::listeners::Listeners;
use crate::room::log::Log;
use crate::room::tally::Tally;

/// Joins are collected for this long, so that a storm of them has few different heads.
const JOINS_COLLECTED: Duration = Duration::from_millis(5);
/// A room that does not open in this time refuses those who wait.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// Those whose past the broker does not tell in this time are refused; they may try again.
const FETCHING_MAX: Duration = Duration::from_secs(5);
/// A room is kept this long after its last viewer: reloads come back within seconds.
const LINGER: Duration = Duration::from_secs(20);
/// The same if likes were counted here: as long as brokers keep its events.
const LINGER_LIKED: Duration = Duration::from_secs(600);

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
        /// How many of its newest events a room shows at most to those who join it or ask for its
        /// history. Default: 100. Fewer make a room look emptier to those who come; 0 shows them
        /// only what is said from then on. Those who come back get what they missed in any case.
        pub history_events: usize,
        /// Whether what is published goes past the room's log: to those who are here, at most once,
        /// and not to those who come back or come late. Default: no. For what is of the moment only.
        pub ephemeral: bool,
    }
}

impl RoomSettings {
    /// What a tick may be, in milliseconds: up to the slowest that still feels live.
    pub(crate) const TICK_MS: RangeInclusive<u32> = 1..=60_000;
    /// What each part of the budget may be, in events per second.
    pub(crate) const EVENTS_PER_S: RangeInclusive<usize> = 1..=10_000;
    /// How many of its newest events a room may show.
    pub(crate) const HISTORY_EVENTS: RangeInclusive<usize> = 0..=HISTORY_EVENTS_MAX;
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            tick_ms: 1000,
            budget: Budget { chat: 40, higher: 10 },
            history_events: HISTORY_EVENTS_MAX,
            ephemeral: false,
        }
    }
}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    settings: InForce,
    grace_ms: u64,
    /// `None` until the broker has opened the room.
    log: Option<Log>,
    waiting: Waiting,
    tally: Tally,
    /// The slot's end at which the members are told of a change.
    state_due_ms: Option<u64>,
    listeners: Listeners,
    started: Duration,
    empty_since: Option<Duration>,
}

/// Who waits for an answer.
#[derive(Debug, Default)]
struct Waiting {
    joins: Vec<Join>,
    answered: Option<Duration>,
    fetching: Vec<Fetching>,
    questions: Vec<Question>,
}

/// Joins whose past is being fetched.
#[derive(Debug)]
struct Fetching {
    after: Cursor,
    asked: Duration,
    joins: Vec<Join>,
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
            settings: InForce::new(settings),
            grace_ms,
            log: None,
            waiting: Waiting::default(),
            tally: Tally::default(),
            state_due_ms: None,
            listeners: Listeners::new(shards),
            started: now.mono,
            empty_since: Some(now.mono),
        }
    }

    /// Its name.
    pub(crate) fn id(&self) -> &RoomId {
        &self.id
    }

    /// Somebody wants in. Answered in one of the next turns.
    pub(crate) fn join(&mut self, join: Join) {
        self.empty_since = None;
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
            let fetching = waiting.fetching.iter_mut().map(|fetching| &mut fetching.joins);
            for joins in fetching.chain([&mut waiting.joins]) {
                joins.retain(|join| !is_them(join));
            }
            waiting.fetching.retain(|fetching| !fetching.joins.is_empty());
        }
        self.note_if_empty(now);
    }

    /// The room is no more: whoever waits is refused, and whoever is in it is put out.
    pub(crate) fn close(&mut self, refusal: &Refusal, now: Now, out: &mut Vec<Effect>) {
        let Waiting { joins, fetching, .. } = &mut self.waiting;
        let fetching = fetching.drain(..).flat_map(|fetching| fetching.joins);
        let joins: Vec<_> = joins.drain(..).chain(fetching).collect();
        if !joins.is_empty() {
            out.push(Effect::Refuse { joins, refusal: refusal.clone() });
        }
        let shards: Vec<_> = self.listeners.shards().collect();
        if !shards.is_empty() {
            out.push(Effect::Dismiss { shards, refusal: refusal.clone() });
            self.listeners.clear();
            self.tally.all_left();
            self.note_state(now);
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
            RoomDelivery::Opened { head, recent } => self.opened(head, recent, now, out),
            RoomDelivery::Entry { epoch, entry } => {
                if let Some(log) = self.log.as_mut().filter(|log| log.head().epoch == epoch) {
                    let repeats = log.add(entry, now.unix_ms).unwrap_or(0);
                    if repeats > 0 {
                        out.push(Effect::Repeats(repeats));
                    }
                }
            }
            RoomDelivery::Live { origin_ms, events } => {
                if let Some(log) = &mut self.log {
                    let repeats = log.add_live(origin_ms, &events, now.unix_ms);
                    if repeats > 0 {
                        out.push(Effect::Repeats(repeats));
                    }
                }
            }
            RoomDelivery::Silent { upto } => {
                // A batch of nothing brings members there at the end of the slot.
                if let Some(log) = &mut self.log {
                    log.add_silence(upto, now.unix_ms);
                }
            }
            RoomDelivery::Lost { upto, events } => self.lost(upto, events, now, out),
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

    /// When the next turn is needed, on the monotonic clock.
    pub(crate) fn due(&self, now: Now) -> Option<Duration> {
        let waiting = &self.waiting;
        let over = self.over();
        let Some(log) = &self.log else {
            let asked = !waiting.joins.is_empty() || !waiting.questions.is_empty();
            return asked.then_some(self.started + OPENING_MAX).or(over);
        };
        let joins = (!waiting.joins.is_empty())
            .then_some(waiting.answered.map_or(Duration::ZERO, |at| at + JOINS_COLLECTED));
        let fetched = waiting.fetching.iter().map(|fetching| fetching.asked + FETCHING_MAX).min();
        let questions = (!waiting.questions.is_empty()).then_some(Duration::ZERO);
        let report = self.tally.report_due_ms().map(Duration::from_millis);
        let slot = log.due_ms(now.unix_ms).map(|due_ms| now.mono_at(due_ms));
        let state = self.state_frame_due_ms(now).map(|due_ms| now.mono_at(due_ms));
        let settings = self.settings_due(log, now);
        let due = [slot, joins, fetched, questions, state, report, settings, over];
        due.into_iter().flatten().min()
    }

    /// Whether nobody has been here for so long that the room can be forgotten.
    pub(crate) fn is_over(&self, now: Now) -> bool {
        self.over().is_some_and(|over| over <= now.mono)
    }

    fn over(&self) -> Option<Duration> {
        let linger = if self.tally.has_likes() { LINGER_LIKED } else { LINGER };
        self.empty_since.map(|since| since + linger)
    }

    /// The broker was too busy for the last report.
    pub(crate) fn report_refused(&mut self) {
        self.tally.report_refused();
    }

    /// Does everything that is due.
    pub(crate) fn turn(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.log.is_none() {
            if self.started + OPENING_MAX <= now.mono {
                self.refuse_all(out);
            }
            return;
        }
        self.close_slots(now, out);
        self.give_up_fetches(now, out);
        self.answer_joins(now, out);
        self.answer_questions(out);
        if let Some(counts) = self.tally.report(now.mono_ms()) {
            out.push(Effect::Report(counts));
        }
        self.note_state(now);
        self.note_settings(now);
    }

    fn state(&self) -> State {
        let total = self.tally.total();
        State {
            online: total.online,
            likes: total.likes,
            settings: self.settings.present().told(),
            pinned: Vec::new(),
        }
    }

    fn note_if_empty(&mut self, now: Now) {
        let waiting = &self.waiting;
        if self.listeners.is_empty() && waiting.joins.is_empty() && waiting.fetching.is_empty() {
            self.empty_since = Some(now.mono);
        }
    }
}
