//! When what is published: an open-loop schedule with retries.
//!
//! A machine: it is asked for the next request, told what came of it, and keeps the [`Ledger`].
//! The schedule never waits for answers: what has become due while requests are in flight goes
//! out with the next one, and how late an event was sent for the first time is its lag.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::distribution::Distribution;
use crate::now::Now;
use crate::replay::ledger::{Ledger, Own, Step};

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
    step: Step,
    unix_ms: u64,
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
    pub(crate) lag: Distribution,
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
    /// The first request that may have published it without our knowing.
    doubt: Option<(Step, u64)>,
}

/// Publishes a plan: one time for each event, in order.
#[derive(Debug)]
pub(crate) struct Publisher {
    attempts: Vec<Attempts>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    in_flight: usize,
    /// What has been published.
    pub(crate) ledger: Ledger,
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
            ledger: Ledger::default(),
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
        Some(Request { events, step: self.ledger.advance(), unix_ms: now.unix_ms })
    }

    fn begin_attempt(&mut self, event: usize, due: Instant, now: Instant) {
        let attempts = &mut self.attempts[event];
        attempts.count += 1;
        if attempts.give_up_at.is_none() {
            attempts.give_up_at = Some(now + TRY_FOR);
            self.tally.lag.record(now.saturating_duration_since(due));
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
        let step = self.ledger.advance();
        let short = Outcome::Again { reason: "no result".into(), after: None, doubtful: true };
        let outcomes = outcomes.into_iter().chain(std::iter::repeat(short));
        for (place, (event, outcome)) in request.events.iter().zip(outcomes).enumerate() {
            match outcome {
                Outcome::Acked { id, ts_ms, stored } => {
                    let doubt = self.attempts[*event].doubt;
                    let (from, since_ms) = doubt.unwrap_or((request.step, request.unix_ms));
                    let place = doubt.is_none().then_some(place);
                    self.ledger.enter(id, Own { from, to: step, place });
                    self.tally.not_stored += u64::from(!stored);
                    self.tally.clocks_differ |= !(since_ms..=now.unix_ms).contains(&ts_ms);
                    self.tally.last_acked = Some(now.mono);
                }
                Outcome::Refused(code) => self.end_unpublished(*event, code),
                Outcome::Again { reason, after, doubtful } => {
                    if doubtful {
                        let first = (request.step, request.unix_ms);
                        self.attempts[*event].doubt.get_or_insert(first);
                    }
                    self.try_again(*event, reason, after, now.mono, jitter);
                }
            }
        }
    }

    fn try_again(
        &mut self,
        event: usize,
        reason: String,
        after: Option<Duration>,
        now: Instant,
        jitter: f64,
    ) {
        let attempts = self.attempts[event];
        let doublings = attempts.count.saturating_sub(1).min(16);
        let pause = (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_MAX);
        let at =
            now + after.unwrap_or_default() + pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        if attempts.give_up_at.is_some_and(|give_up_at| at > give_up_at) {
            self.end_unpublished(event, reason);
        } else {
            *self.tally.retries.entry(reason).or_default() += 1;
            self.due.push(Reverse((at, event)));
        }
    }

    fn end_unpublished(&mut self, event: usize, reason: String) {
        if self.attempts[event].doubt.is_some() {
            self.tally.unanswered += 1;
        } else {
            *self.tally.refused.entry(reason).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests;
