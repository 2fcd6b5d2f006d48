//! How a room answers: joins with what was missed, questions with what it is like.

use std::time::Duration;

use broker_bridge::Entry;
use protocol::cursor::{Bookmark, Cursor};
use protocol::refusal::{Code, Refusal};
use protocol::select::LeftOut;
use protocol::to_client::Joined;

use crate::now::Now;
use crate::room::effect::{Answer, Effect, Info, Join};
use crate::room::log::{Log, Missed, Past};
use crate::room::{FETCHING_MAX, Fetching, JOINS_COLLECTED, Room};

/// Neither is it known what they have missed, nor that it is gone.
const UNTOLD: Refusal = Refusal::until(
    Code::Unavailable,
    "what you have missed cannot be told now; try again",
    Duration::from_secs(1),
);

/// What a client that could not be told everything gets instead, if it asked for nothing.
const FALLBACK_EVENTS: usize = 50;

impl Room {
    pub(super) fn answer_joins(&mut self, now: Now, out: &mut Vec<Effect>) {
        let waiting = &mut self.waiting;
        let is_early = waiting.answered.is_some_and(|at| at + JOINS_COLLECTED > now.mono);
        if waiting.joins.is_empty() || is_early {
            return;
        }
        waiting.answered = Some(now.mono);
        for (since, history, joins) in alike(std::mem::take(&mut waiting.joins)) {
            let past = self.log.as_ref().zip(since).map(|(log, since)| log.since(since));
            if let (Some(Past::Older), Some(since)) = (&past, since) {
                self.fetch(since, joins, now, out);
            } else {
                self.answer(joins, past, history, now, out);
            }
        }
    }

    fn fetch(&mut self, since: Bookmark, joins: Vec<Join>, now: Now, out: &mut Vec<Effect>) {
        let fetching = &mut self.waiting.fetching;
        let after = since.known_from();
        match fetching.iter_mut().find(|fetching| fetching.after == after) {
            Some(fetching) => fetching.joins.extend(joins),
            None => {
                fetching.push(Fetching { after, asked: now.mono, joins });
                out.push(Effect::Fetch(after));
            }
        }
    }

    /// The broker has answered a fetch, or has lost what was asked for (`None`).
    pub(super) fn fetched(
        &mut self,
        after: Cursor,
        entries: Option<Vec<Entry>>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let fetching = &mut self.waiting.fetching;
        let Some(at) = fetching.iter().position(|fetching| fetching.after == after) else { return };
        let Fetching { joins, .. } = fetching.swap_remove(at);
        self.answer_alike(joins, now, out, |log, since| {
            entries.as_deref().map_or(Past::Lost, |entries| log.since_fetched(since, entries))
        });
    }

    /// Answers joins whose past has been found out, or not.
    pub(super) fn answer_alike(
        &mut self,
        joins: Vec<Join>,
        now: Now,
        out: &mut Vec<Effect>,
        past: impl Fn(&Log, Bookmark) -> Past,
    ) {
        for (since, history, joins) in alike(joins) {
            let known = self.log.as_ref().zip(since).map(|(log, since)| past(log, since));
            self.answer(joins, known, history, now, out);
        }
    }

    /// The broker cannot be asked: those who wait for this fetch may try again, here or elsewhere.
    pub(crate) fn fetch_refused(&mut self, after: Cursor, now: Now, out: &mut Vec<Effect>) {
        let fetching = &mut self.waiting.fetching;
        let Some(at) = fetching.iter().position(|fetching| fetching.after == after) else { return };
        let Fetching { joins, .. } = fetching.swap_remove(at);
        out.push(Effect::Refuse { joins, refusal: UNTOLD });
        self.note_if_empty(now);
    }

    /// Refuses those who have waited too long for the broker to tell what they have missed.
    pub(super) fn give_up_fetches(&mut self, now: Now, out: &mut Vec<Effect>) {
        let is_late = |fetching: &&Fetching| fetching.asked + FETCHING_MAX <= now.mono;
        while let Some(after) = self.waiting.fetching.iter().find(is_late).map(|late| late.after) {
            self.fetch_refused(after, now, out);
        }
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
            // They all learn the state from the answer; nobody else is here to be told.
            self.tally.told_all(now.mono_ms());
            self.settings.all_told();
        } else {
            self.tally.told_some();
        }
        let Some(log) = self.log.as_mut() else { return };
        log.mark_join();
        let settings = self.settings.present();
        let newest = |count: usize| {
            let events = log.newest(count.min(settings.history_events));
            Missed { events, left_out: LeftOut::default() }
        };
        let (recovered, missed) = match past {
            None => (None, newest(history)),
            Some(Past::Known(missed)) => (Some(true), missed),
            Some(Past::Older | Past::Lost) => {
                (Some(false), newest(if history > 0 { history } else { FALLBACK_EVENTS }))
            }
        };
        let head = log.bookmark(log.head().seq);
        let events: Vec<_> = missed.events.into_iter().map(|event| event.json).collect();
        let state = self.state();
        let tail = Joined {
            room: &self.id,
            cursor: head,
            recovered,
            events: &events,
            left_out: &missed.left_out,
            tick_ms: settings.tick_ms,
            state: &state,
        }
        .render_tail();
        self.note_state(now);
        out.push(Effect::Answer(Answer { joins, tail, head, recovered }));
    }

    pub(super) fn answer_questions(&mut self, out: &mut Vec<Effect>) {
        let Some(log) = &self.log else { return };
        let events_max = self.settings.present().history_events;
        for question in std::mem::take(&mut self.waiting.questions) {
            let newest = log.newest(question.events.min(events_max));
            let info = Info {
                room: self.id.clone(),
                cursor: log.bookmark(log.head().seq),
                state: self.state(),
                events: newest.into_iter().map(|event| event.json).collect(),
            };
            out.push(Effect::Info(question.ticket, info.into()));
        }
    }

    pub(super) fn refuse_all(&mut self, out: &mut Vec<Effect>) {
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
        self.empty_since.get_or_insert(self.started);
    }
}

/// Groups joins that asked for the same, so that each answer is rendered once.
fn alike(mut joins: Vec<Join>) -> Vec<(Option<Bookmark>, usize, Vec<Join>)> {
    let key = |join: &Join| (join.since, join.history);
    let mut groups: Vec<(Option<Bookmark>, usize, Vec<Join>)> = Vec::new();
    joins.sort_by_key(|join| {
        (join.since.map(|since| (since.at.seq, since.known_from().seq, since.held())), join.history)
    });
    for join in joins {
        let (since, history) = key(&join);
        match groups.last_mut() {
            Some((s, h, group)) if (*s, *h) == (since, history) => group.push(join),
            _ => groups.push((since, history, vec![join])),
        }
    }
    groups
}
