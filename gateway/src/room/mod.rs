//! One room on this gateway: a machine without clock, tasks or sockets.
//!
//! Inputs are joins, leaves, likes, the broker's deliveries and [`Room::turn`] with the time;
//! what comes of them is a list of [`Effect`]s that the hub carries out. [`Room::due_ms`] says
//! when the next turn is needed.

pub(crate) mod effect;
mod listeners;
mod log;
mod ring;
mod seen;
mod slots;
mod tally;
#[cfg(test)]
mod tests;

use broker_bridge::{Entry, RoomDelivery};
use protocol::cursor::{Cursor, Seq};
use protocol::ids::{Address, RoomId};
use protocol::refusal::{Code, Refusal};
use protocol::select::{Budget, LeftOut};
use protocol::slot::SlotClock;
use protocol::to_client::{Batch, Joined, Settings, State, StateChange};
use std::time::Duration;

use crate::client::Seat;
use crate::now::Now;
use crate::room::effect::{Answer, Effect, Info, Join, Question, RoomFrame, Variant};
use crate::room::listeners::Listeners;
use crate::room::log::{Log, Missed, Past};
use crate::room::slots::{ClosedSlot, Slots};
use crate::room::tally::Tally;

/// Joins are collected for this long, so that a storm of them has few different heads.
const JOINS_COLLECTED_MS: u64 = 5;
/// A room that does not open in this time refuses those who wait.
const OPENING_MS_MAX: u64 = 5_000;
/// A room is kept this long after its last viewer: reloads come back within seconds.
const LINGER_MS: u64 = 20_000;
/// What a client that could not be told everything gets instead, if it asked for nothing.
const FALLBACK_EVENTS: usize = 50;

/// The settings of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomSettings {
    /// The length of a slot, in milliseconds.
    pub tick_ms: u32,
    /// Events per second.
    pub budget: Budget,
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
            let fetching = self.waiting.fetching.iter_mut().map(|(_, joins)| joins);
            for joins in fetching.chain([&mut self.waiting.joins]) {
                joins.retain(|join| !is_them(join));
            }
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
        let linger = self.empty_since_ms.map(|since_ms| since_ms + LINGER_MS);
        let Some(log) = &self.log else {
            let asked = !waiting.joins.is_empty() || !waiting.questions.is_empty();
            return asked.then_some(self.started_ms + OPENING_MS_MAX).or(linger);
        };
        let joins = (!waiting.joins.is_empty()).then_some(waiting.answered_ms + JOINS_COLLECTED_MS);
        let questions = (!waiting.questions.is_empty()).then_some(0);
        let times = [log.due_ms(), joins, questions, self.state_due_ms, linger];
        times.into_iter().flatten().min()
    }

    /// Whether nobody has been here for so long that the room can be forgotten.
    pub(crate) fn is_over(&self, now: Now) -> bool {
        self.empty_since_ms.is_some_and(|since_ms| since_ms + LINGER_MS <= now.unix_ms)
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

    fn close_slots(&mut self, now: Now, out: &mut Vec<Effect>) {
        let tell = self.state_due_ms.is_some_and(|due_ms| due_ms <= now.unix_ms);
        let mut told = false;
        while let Some((closed, heads)) =
            self.log.as_mut().and_then(|log| log.close_due(now.unix_ms))
        {
            out.push(Effect::Closed { left_out: left_out_of(&closed), sent: closed.sent.len() });
            if self.listeners.is_empty() {
                continue;
            }
            let state = if told { StateChange::default() } else { self.state_change(now) };
            told = true;
            out.push(Effect::Frame(self.frame(&closed, &heads, &state)));
        }
        if tell && !told && !self.listeners.is_empty() {
            let state = self.state_change(now);
            if !state.is_empty() {
                out.push(Effect::Frame(self.state_frame(&state)));
            }
        }
    }

    fn state_change(&mut self, now: Now) -> StateChange {
        self.state_due_ms = None;
        let (online, likes) = self.tally.tell(now.unix_ms);
        StateChange { online, likes, ..StateChange::default() }
    }

    fn frame(&self, closed: &ClosedSlot, heads: &[Seq], state: &StateChange) -> RoomFrame {
        let cursors = std::iter::once(closed.prev).chain(heads.iter().copied());
        let variants = cursors.map(|prev| {
            let (sent, left_out) = closed.after(prev);
            let events: Vec<_> = sent.map(|event| event.json.clone()).collect();
            self.variant(prev, closed.last, &events, &left_out, closed.held, state)
        });
        self.frame_of(variants.collect())
    }

    /// A frame that tells nothing but what changed in the room's state.
    fn state_frame(&self, state: &StateChange) -> RoomFrame {
        let log = self.log.as_ref().expect("state is told to members, whom an open log has seated");
        let (seq, held) = (log.head().seq, log.held());
        self.frame_of(vec![self.variant(seq, seq, &[], &LeftOut::default(), held, state)])
    }

    fn variant(
        &self,
        prev: Seq,
        last: Seq,
        events: &[bytes::Bytes],
        left_out: &LeftOut,
        held: u32,
        state: &StateChange,
    ) -> Variant {
        let head = self.log.as_ref().expect("frames are made of an open log").head();
        let (from, to) = (head.at(prev), head.at(last));
        let mut payload = Vec::new();
        Batch {
            room: &self.id,
            prev: from,
            cursor: to,
            events,
            left_out,
            held,
            state: (!state.is_empty()).then_some(state),
        }
        .render(&mut payload);
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX) + left_out.total();
        Variant { prev: from, cursor: to, payload, count }
    }

    fn frame_of(&self, variants: Vec<Variant>) -> RoomFrame {
        let deflated = self.listeners.wants(crate::client::Form::Deflated);
        let plain = self.listeners.wants(crate::client::Form::Plain);
        RoomFrame { variants, shards: self.listeners.shards().collect(), plain, deflated }
    }

    fn answer_joins(&mut self, now: Now, out: &mut Vec<Effect>) {
        let waiting = &mut self.waiting;
        if waiting.joins.is_empty() || waiting.answered_ms + JOINS_COLLECTED_MS > now.unix_ms {
            return;
        }
        waiting.answered_ms = now.unix_ms;
        for (since, history, joins) in alike(std::mem::take(&mut waiting.joins)) {
            let past = self.log.as_ref().zip(since).map(|(log, since)| log.since(since));
            if let (Some(Past::Older), Some(since)) = (&past, since) {
                self.fetch(since, joins, out);
            } else {
                self.answer(joins, past, history, now, out);
            }
        }
    }

    fn fetch(&mut self, since: Cursor, joins: Vec<Join>, out: &mut Vec<Effect>) {
        let fetching = &mut self.waiting.fetching;
        match fetching.iter_mut().find(|(cursor, _)| *cursor == since) {
            Some((_, others)) => others.extend(joins),
            None => {
                fetching.push((since, joins));
                out.push(Effect::Fetch(since));
            }
        }
    }

    /// The broker has answered a fetch, or could not be asked (`None`).
    fn fetched(
        &mut self,
        after: Cursor,
        entries: Option<Vec<Entry>>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let fetching = &mut self.waiting.fetching;
        let Some(at) = fetching.iter().position(|(cursor, _)| *cursor == after) else { return };
        let (_, joins) = fetching.swap_remove(at);
        let Some(log) = &self.log else { return };
        let past = entries.map_or(Past::Lost, |entries| log.since_fetched(after, entries));
        for (_, history, joins) in alike(joins) {
            self.answer(joins, Some(past.clone()), history, now, out);
        }
    }

    /// The broker cannot be asked: those who wait for this fetch are answered without it.
    pub(crate) fn fetch_refused(&mut self, after: Cursor, now: Now, out: &mut Vec<Effect>) {
        self.fetched(after, None, now, out);
    }

    /// Seats clients that asked for the same, with one shared answer.
    fn answer(
        &mut self,
        joins: Vec<Join>,
        past: Option<Past>,
        history: usize,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let alone = self.listeners.is_empty();
        for join in &joins {
            self.listeners.add(join.address, join.seat);
            self.tally.came();
        }
        if alone {
            // They all learn the count from the answer; nobody else is here to be told.
            self.tally.told_online(now.unix_ms);
        }
        let Some(log) = self.log.as_mut() else { return };
        log.mark_join();
        let (recovered, missed) = match past {
            None => (None, Missed { events: log.newest(history), left_out: LeftOut::default() }),
            Some(Past::Known(missed)) => (Some(true), missed),
            Some(Past::Older | Past::Lost) => {
                let newest = if history > 0 { history } else { FALLBACK_EVENTS };
                (Some(false), Missed { events: log.newest(newest), left_out: LeftOut::default() })
            }
        };
        let head = log.head();
        let held = log.held();
        let events: Vec<_> = missed.events.into_iter().map(|event| event.json).collect();
        let state = self.state();
        let tail = Joined {
            room: &self.id,
            cursor: head,
            recovered,
            events: &events,
            left_out: &missed.left_out,
            held,
            tick_ms: self.settings.tick_ms,
            state: &state,
        }
        .render_tail();
        self.note_state(now);
        out.push(Effect::Answer(Answer { joins, tail, head, recovered }));
    }

    fn answer_questions(&mut self, out: &mut Vec<Effect>) {
        let Some(log) = &self.log else { return };
        for question in std::mem::take(&mut self.waiting.questions) {
            let info = Info {
                room: self.id.clone(),
                cursor: log.head(),
                state: self.state(),
                events: log.newest(question.events).into_iter().map(|e| e.json).collect(),
            };
            out.push(Effect::Info(question.ticket, info));
        }
    }

    fn refuse_all(&mut self, out: &mut Vec<Effect>) {
        const UNOPENED: Refusal = Refusal::until(
            Code::Unavailable,
            "the room cannot be opened now; try again",
            Duration::from_secs(1),
        );
        let joins = std::mem::take(&mut self.waiting.joins);
        if !joins.is_empty() {
            out.push(Effect::Refuse { joins, refusal: UNOPENED });
        }
        for question in self.waiting.questions.drain(..) {
            out.push(Effect::NoInfo(question.ticket));
        }
        self.empty_since_ms.get_or_insert(self.started_ms);
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

    /// Sets the time at which a change of the state is to be told, if there is one.
    fn note_state(&mut self, now: Now) {
        if self.state_due_ms.is_none()
            && let Some(log) = &self.log
        {
            self.state_due_ms = self.tally.due_ms(log.slot_end_ms(now.unix_ms));
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

fn left_out_of(closed: &ClosedSlot) -> LeftOut {
    let mut left_out = LeftOut::default();
    closed.left_out.iter().for_each(|(_, class)| left_out.add(*class));
    left_out
}

/// Groups joins that asked for the same, so that each answer is rendered once.
fn alike(mut joins: Vec<Join>) -> Vec<(Option<Cursor>, usize, Vec<Join>)> {
    let key = |join: &Join| (join.since, join.history);
    let mut groups: Vec<(Option<Cursor>, usize, Vec<Join>)> = Vec::new();
    joins.sort_by_key(|join| (join.since.map(|since| since.seq), join.history));
    for join in joins {
        let (since, history) = key(&join);
        match groups.last_mut() {
            Some((s, h, group)) if (*s, *h) == (since, history) => group.push(join),
            _ => groups.push((since, history, vec![join])),
        }
    }
    groups
}
