//! When what is published: an open-loop schedule with retries.
//!
//! A machine: it is asked for the next request, told what came of it, and keeps a list of what was published.
//! The schedule never waits for answers: what has become due while requests are in flight goes
//! out with the next one, and how late an event was sent for the first time is its lag.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::micros;
use crate::histogram::Histogram;
use crate::now::Now;
use crate::truth::ledger::{Fate, Own};

/// Requests in flight at once: at 5 ms an answer, enough for 1,600 single requests a second.
const IN_FLIGHT_MAX: usize = 8;
/// Events of one request; the server API takes no more.
pub(crate) const EVENTS_PER_REQUEST_MAX: usize = 500;
/// How long one event is tried. Gateways remember an idempotency key for 60 s: a retry must not
/// come later, or it would be a second event.
const TRY_FOR: Duration = Duration::from_secs(30);
/// Pause before the second attempt; doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// The longest pause that we choose ourselves.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What came of one event of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Published.
    Acked {
        /// Its id.
        id: Arc<str>,
        /// When the server accepted it, in milliseconds since 1970.
        ts_ms: u64,
        /// Whether the log keeps it.
        stored: bool,
    },
    /// Not published, and trying again will not help.
    Refused(
        /// The code of the refusal.
        String,
    ),
    /// To be tried again.
    Again {
        /// The code of the refusal, or what went wrong.
        reason: String,
        /// Not before this time has passed.
        after: Option<Duration>,
        /// Whether it may have been published all the same.
        doubtful: bool,
    },
}

/// Events to be published with one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Their indices in the plan, in order of time.
    pub(crate) events: Vec<usize>,
    /// Which request it is; the log keeps the order of its events.
    nth: u32,
    us: u64,
}

/// What the publisher has counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests sent.
    pub(crate) requests: u64,
    /// Of these, with more than one event.
    pub(crate) requests_of_many: u64,
    /// Attempts after the first, by what went wrong with the one before.
    pub(crate) retries: BTreeMap<String, u64>,
    /// Events that were surely not published, by the code of the last refusal.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Events that were given up without knowing whether they were published.
    pub(crate) unanswered: u64,
    /// Events that the log does not keep.
    pub(crate) not_stored: u64,
    /// First attempts after their time.
    pub(crate) lag: Histogram,
    /// Events acked.
    pub(crate) acked: u64,
    /// Acks that carried the id of an event acked before.
    pub(crate) repeated_ids: u64,
    /// When the first request was sent.
    pub(crate) first_sent: Option<Instant>,
    /// When the last event was acked.
    pub(crate) last_acked: Option<Instant>,
    /// Whether an ack carried a time outside its request: the server's clock is not ours.
    pub(crate) clocks_differ: bool,
}

/// What is known of one event of the plan.
#[derive(Debug, Clone, Copy)]
struct Attempts {
    count: u32,
    give_up_at: Option<Instant>,
    /// When the first request was sent that may have published it without our knowing.
    doubt: Option<u64>,
}

/// Publishes a plan: one time for each event, in order.
#[derive(Debug)]
pub(crate) struct Publisher {
    attempts: Vec<Attempts>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    in_flight: usize,
    /// What was published, or may have been; numbers are indices in the plan.
    pub(crate) ledger: Vec<Own>,
    ids: HashSet<Arc<str>>,
    /// What has been counted.
    pub(crate) tally: Tally,
}

impl Publisher {
    /// Plans events for these times.
    pub(crate) fn new(times: impl Iterator<Item = Instant>) -> Self {
        let due: BinaryHeap<_> = times.enumerate().map(|(at, time)| Reverse((time, at))).collect();
        Self {
            attempts: vec![Attempts { count: 0, give_up_at: None, doubt: None }; due.len()],
            due,
            in_flight: 0,
            ledger: Vec::new(),
            ids: HashSet::new(),
            tally: Tally::default(),
        }
    }

    /// Whether every event is published, refused or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.in_flight == 0 && self.due.is_empty()
    }

    /// When to ask for the next request; `None` while there is nothing to send, or no room for
    /// more in flight.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let Reverse((time, _)) = self.due.peek()?;
        (self.in_flight < IN_FLIGHT_MAX).then_some(*time)
    }

    /// Takes what is due, if anything is.
    pub(crate) fn next(&mut self, now: Now) -> Option<Request> {
        if self.wake()? > now.mono {
            return None;
        }
        let mut events = Vec::new();
        while events.len() < EVENTS_PER_REQUEST_MAX
            && let Some(Reverse((time, event))) = self.due.peek().copied()
            && time <= now.mono
        {
            self.due.pop();
            self.begin_attempt(event, time, now.mono);
            events.push(event);
        }
        self.in_flight += 1;
        self.tally.requests += 1;
        self.tally.requests_of_many += u64::from(events.len() > 1);
        self.tally.first_sent.get_or_insert(now.mono);
        let nth = u32::try_from(self.tally.requests).unwrap_or(u32::MAX);
        Some(Request { events, nth, us: now.us })
    }

    fn begin_attempt(&mut self, event: usize, due: Instant, now: Instant) {
        let attempts = &mut self.attempts[event];
        attempts.count += 1;
        if attempts.give_up_at.is_none() {
            attempts.give_up_at = Some(now + TRY_FOR);
            self.tally.lag.record(micros(now.saturating_duration_since(due)));
        }
    }

    /// Takes what came of a request. `jitter` between 0 and 1 spreads retries: 1 is the full
    /// pause, 0 half of it.
    pub(crate) fn answered(
        &mut self,
        request: Request,
        outcomes: Vec<Outcome>,
        now: Now,
        jitter: f64,
    ) {
        self.in_flight -= 1;
        let short = Outcome::Again { reason: "no result".into(), after: None, doubtful: true };
        let outcomes = outcomes.into_iter().chain(std::iter::repeat(short));
        for (event, outcome) in request.events.iter().zip(outcomes) {
            match outcome {
                Outcome::Acked { id, ts_ms, stored } => {
                    let doubt = self.attempts[*event].doubt;
                    let from_us = doubt.unwrap_or(request.us);
                    // One that was tried again has lost its place among the others.
                    let is_first = self.attempts[*event].count == 1;
                    let speaker = if is_first { request.nth } else { alone(*event) };
                    self.enter(*event, from_us, now.us, speaker, Fate::Acked);
                    self.tally.acked += 1;
                    self.tally.repeated_ids += u64::from(!self.ids.insert(id));
                    self.tally.not_stored += u64::from(!stored);
                    let span_ms = from_us / 1000..=now.us / 1000;
                    self.tally.clocks_differ |= !span_ms.contains(&ts_ms);
                    self.tally.last_acked = Some(now.mono);
                }
                Outcome::Refused(code) => self.end_unpublished(*event, code, now.us),
                Outcome::Again { reason, after, doubtful } => {
                    if doubtful {
                        self.attempts[*event].doubt.get_or_insert(request.us);
                    }
                    self.try_again(*event, reason, after, now, jitter);
                }
            }
        }
    }

    fn try_again(
        &mut self,
        event: usize,
        reason: String,
        after: Option<Duration>,
        now: Now,
        jitter: f64,
    ) {
        let attempts = self.attempts[event];
        let doublings = attempts.count.saturating_sub(1).min(16);
        let pause = (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_MAX);
        let at = now.mono
            + after.unwrap_or_default()
            + pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        if attempts.give_up_at.is_some_and(|give_up_at| at > give_up_at) {
            self.end_unpublished(event, reason, now.us);
        } else {
            *self.tally.retries.entry(reason).or_default() += 1;
            self.due.push(Reverse((at, event)));
        }
    }

    fn end_unpublished(&mut self, event: usize, reason: String, now_us: u64) {
        if let Some(from_us) = self.attempts[event].doubt {
            self.enter(event, from_us, now_us, alone(event), Fate::Unanswered);
            self.tally.unanswered += 1;
        } else {
            *self.tally.refused.entry(reason).or_default() += 1;
        }
    }

    fn enter(&mut self, event: usize, from_us: u64, to_us: u64, speaker: u32, fate: Fate) {
        self.ledger.push(Own { number: event as u32, from_us, to_us, speaker, fate });
    }
}

/// A speaker who has said nothing but this event.
fn alone(event: usize) -> u32 {
    u32::MAX - event as u32
}

#[cfg(test)]
mod tests;
