//! What one node publishes into one room: what waits, and the batch in flight.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::envelope::{BATCH_BYTES_MAX, Batch, event_bytes};
use protocol::event::Event;
use protocol::ids::BootId;

use super::window::Rate;
use super::{ACK_MS_MAX, Answer, FLIGHT_MS_MAX, Lane, SILENCE_MS_MAX, Time};

/// Events of one batch: as many as its count can tell, far above what its bytes hold.
const BATCH_EVENTS_MAX: usize = 4_096;

/// One room.
#[derive(Debug, Default)]
pub(super) struct RoomQueue {
    waiting: VecDeque<(Lane, Event, Answer)>,
    pub(super) flight: Option<Flight>,
    began_ms: Option<u64>,
    rate: Rate,
    /// Events ever put into batches.
    told: u64,
    /// When to look again.
    pub(super) due_ms: Option<u64>,
}

/// A batch that is not acked yet.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) counter: u64,
    pub(super) payload: Bytes,
    pub(super) answers: Vec<Answer>,
    /// When it was first sent on a link that is still there.
    pub(super) first_ms: u64,
    /// When it was last sent.
    pub(super) sent_ms: u64,
}

impl RoomQueue {
    pub(super) fn push(&mut self, lane: Lane, event: Event, answer: Answer, now_ms: u64) {
        self.rate.note(now_ms);
        self.waiting.push_back((lane, event, answer));
    }

    /// Whether the next batch may begin.
    pub(super) fn may_begin(&self, now_ms: u64) -> bool {
        let is_time = || self.window_end_ms(now_ms) <= now_ms;
        self.flight.is_none() && !self.waiting.is_empty() && is_time()
    }

    fn window_end_ms(&self, now_ms: u64) -> u64 {
        self.began_ms.map_or(0, |began_ms| began_ms + self.rate.window_ms(now_ms))
    }

    /// Makes a batch of what waits, as far as it goes the same way.
    pub(super) fn seal(&mut self, from: BootId, counter: u64, now: Time) -> (Lane, Flight) {
        let (mut events, mut answers, mut bytes) = (Vec::new(), Vec::new(), 0);
        let lane = self.waiting.front().map_or(Lane::Log, |(lane, ..)| *lane);
        while let Some((_, event, _)) = self.waiting.front().filter(|(next, ..)| *next == lane) {
            bytes += event_bytes(event);
            let is_full = bytes > BATCH_BYTES_MAX || events.len() == BATCH_EVENTS_MAX;
            if is_full && !events.is_empty() {
                break;
            }
            let (_, event, answer) = self.waiting.pop_front().expect("looked at above");
            events.push(event);
            answers.push(answer);
        }
        let first = self.told;
        self.told += events.len() as u64;
        self.began_ms = Some(now.ms);
        let payload = Batch { from, counter, first, origin_ms: now.unix_ms, events }.encode();
        (lane, Flight { counter, payload, answers, first_ms: now.ms, sent_ms: now.ms })
    }

    /// The batch in flight is acked.
    pub(super) fn land(&mut self, counter: u64) -> Option<Flight> {
        self.flight.take_if(|flight| flight.counter == counter)
    }

    /// The batch in flight, to be sent again if its ack is late.
    pub(super) fn resend_if_late(&mut self, now_ms: u64) -> Option<(u64, Bytes)> {
        let is_late = |flight: &&mut Flight| flight.sent_ms + ACK_MS_MAX <= now_ms;
        let flight = self.flight.as_mut().filter(is_late)?;
        flight.sent_ms = now_ms;
        Some((flight.counter, flight.payload.clone()))
    }

    /// The batch in flight, to be sent again over a new link; its patience begins anew.
    pub(super) fn resend_over_new_link(&mut self, now_ms: u64) -> Option<(u64, Bytes)> {
        let flight = self.flight.as_mut()?;
        (flight.sent_ms, flight.first_ms) = (now_ms, now_ms);
        Some((flight.counter, flight.payload.clone()))
    }

    /// Notes when to look again, and returns it if it has changed.
    pub(super) fn plan(&mut self, log_acked_ms: u64, now_ms: u64) -> Option<u64> {
        let due_ms = match &self.flight {
            Some(flight) => {
                let silent_ms = log_acked_ms.max(flight.first_ms) + SILENCE_MS_MAX;
                let late_ms = flight.first_ms + FLIGHT_MS_MAX;
                Some((flight.sent_ms + ACK_MS_MAX).min(silent_ms).min(late_ms))
            }
            None if self.waiting.is_empty() => None,
            None => Some(self.window_end_ms(now_ms).max(now_ms + 1)),
        };
        let is_new = due_ms.is_some() && due_ms != self.due_ms;
        self.due_ms = due_ms;
        due_ms.filter(|_| is_new)
    }

    /// Gives everything up; the counter in flight, and who waits.
    pub(super) fn abandon(&mut self) -> (Option<u64>, Vec<Answer>) {
        self.due_ms = None;
        let flight = self.flight.take();
        let counter = flight.as_ref().map(|flight| flight.counter);
        let flying = flight.into_iter().flat_map(|flight| flight.answers);
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|(.., answer)| answer);
        (counter, flying.chain(waiting).collect())
    }

    /// Whether nothing waits and nothing was sent since then.
    pub(super) fn is_idle_since(&self, since_ms: u64) -> bool {
        let is_old = self.began_ms.is_none_or(|began_ms| began_ms < since_ms);
        self.flight.is_none() && self.waiting.is_empty() && is_old
    }
}
