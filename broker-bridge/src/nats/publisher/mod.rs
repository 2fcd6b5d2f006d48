//! What a node publishes, as a machine: per room one batch in flight, retries, and the way past a
//! log that does not answer.
//!
//! In: events, acks, how the links are, the time. Out: what is to be sent, and answers to the
//! publishers. A batch is sent at once if none is in flight and the last one began a window ago;
//! else events are collected. A log that has not acked anything for a while is down: then batches
//! go out live, unstored, until a probe is acked. Events that are not for the log go out live in
//! any case, in their turn.

mod queue;
mod task;
mod window;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ahash::AHashMap;
use bytes::Bytes;
use protocol::event::Event;
use protocol::ids::{BootId, RoomId};
use protocol::subject::{Partition, STREAMS, StreamIndex};
use tokio::sync::oneshot;

use self::queue::RoomQueue;
pub(super) use self::task::{Outlet, run};
use crate::{Ack, PublishError};

/// A batch that is not acked is sent again after this time, under the same id.
const ACK_MS_MAX: u64 = 1_000;
/// A log that acks nothing for this long is down; a link that is down for this long is lost.
const SILENCE_MS_MAX: u64 = 1_500;
/// A single batch that a living log does not ack for this long goes out live.
const FLIGHT_MS_MAX: u64 = 5_000;
/// Between two probes of a log that is down.
const PROBE_EVERY_MS: u64 = 500;
/// A room that published nothing for longer than logs are kept is forgotten, its count included.
const IDLE_MS_MAX: u64 = 660_000;

/// Who waits for an ack.
pub(super) type Answer = oneshot::Sender<Result<Ack, PublishError>>;

/// Where an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Into the room's log.
    Log,
    /// To the viewers, past the log.
    Live,
}

/// An event that a node wants to publish.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) room: RoomId,
    pub(super) lane: Lane,
    pub(super) event: Event,
    pub(super) answer: Answer,
}

/// Something to be sent.
#[derive(Debug)]
pub(super) enum Send {
    /// Into the room's log; the ack comes back under this counter.
    Log { room: RoomId, counter: u64, payload: Bytes },
    /// To the viewers, past the log. The publishers are answered once it is on its way.
    Live { room: RoomId, payload: Bytes, answers: Vec<Answer> },
    /// Into a log, to see whether it acks; the ack comes back under this counter.
    Probe { stream: StreamIndex, counter: u64 },
}

/// How a log is, as its publisher sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Up { acked_ms: u64 },
    Down { probe: u64, probed_ms: u64 },
}

/// All that one node publishes.
pub(super) struct Publisher {
    boot: BootId,
    links: Vec<LinkSince>,
    link_of: fn(Partition, usize) -> usize,
    rooms: AHashMap<RoomId, RoomQueue>,
    flying: AHashMap<u64, RoomId>,
    due: BinaryHeap<Reverse<(u64, RoomId)>>,
    logs: [Health; STREAMS as usize],
    counter: u64,
    waiting: usize,
    retries: u64,
    swept_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct LinkSince {
    is_up: bool,
    since_ms: u64,
}

impl Publisher {
    /// All links are down until it is told otherwise.
    pub(super) fn new(
        boot: BootId,
        links: usize,
        link_of: fn(Partition, usize) -> usize,
        now_ms: u64,
    ) -> Self {
        // A link that was never up is lost from the beginning.
        let long_ago = LinkSince { is_up: false, since_ms: now_ms };
        Self {
            boot,
            links: vec![long_ago; links],
            link_of,
            rooms: AHashMap::new(),
            flying: AHashMap::new(),
            due: BinaryHeap::new(),
            logs: [Health::Up { acked_ms: now_ms }; STREAMS as usize],
            counter: 0,
            waiting: 0,
            retries: 0,
            swept_ms: now_ms,
        }
    }

    /// Events that wait, in flight or not.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Batches that were sent again since this was asked last.
    pub(super) fn take_retries(&mut self) -> u64 {
        std::mem::take(&mut self.retries)
    }

    /// Whether all logs ack.
    pub(super) fn has_log(&self) -> bool {
        self.logs.iter().all(|health| matches!(health, Health::Up { .. }))
    }

    /// An event to be published.
    pub(super) fn push(&mut self, publication: Publication, now: Time, out: &mut Vec<Send>) {
        let Publication { room, lane, event, answer } = publication;
        if self.is_lost(&room, now.ms) {
            let _ = answer.send(Err(PublishError::Unavailable));
            return;
        }
        self.waiting += 1;
        let queue = self.rooms.entry(room.clone()).or_default();
        queue.push(lane, event, answer, now.ms);
        self.advance(room, now, out);
    }

    /// A batch or a probe is acked. Returns how many events are stored by it.
    pub(super) fn acked(&mut self, counter: u64, now: Time, out: &mut Vec<Send>) -> usize {
        let Some(room) = self.flying.remove(&counter) else {
            self.probe_acked(counter, now, out);
            return 0;
        };
        self.logs[stream_of(&room)] = Health::Up { acked_ms: now.ms };
        let landed = self.rooms.get_mut(&room).and_then(|queue| queue.land(counter));
        let answers = landed.map(|flight| flight.answers).unwrap_or_default();
        let stored = answers.len();
        self.waiting -= stored;
        for answer in answers {
            let _ = answer.send(Ok(Ack { stored: true }));
        }
        self.advance(room, now, out);
        stored
    }

    fn probe_acked(&mut self, counter: u64, now: Time, out: &mut Vec<Send>) {
        let is_it =
            |health: &Health| matches!(health, Health::Down { probe, .. } if *probe == counter);
        let Some(at) = self.logs.iter().position(is_it) else { return };
        tracing::info!(stream = at, "the log acks again");
        self.logs[at] = Health::Up { acked_ms: now.ms };
        let rooms: Vec<RoomId> =
            self.rooms.keys().filter(|room| stream_of(room) == at).cloned().collect();
        rooms.into_iter().for_each(|room| self.advance(room, now, out));
    }

    /// A link is made, or lost.
    pub(super) fn link(&mut self, at: usize, is_up: bool, now: Time, out: &mut Vec<Send>) {
        if self.links[at].is_up == is_up {
            return;
        }
        self.links[at] = LinkSince { is_up, since_ms: now.ms };
        if !is_up {
            return;
        }
        for stream in StreamIndex::all() {
            if self.link_of_stream(stream) == at
                && let Health::Up { acked_ms } = &mut self.logs[stream.number()]
            {
                *acked_ms = now.ms;
            }
        }
        for room in self.rooms_of(at) {
            let queue = self.rooms.get_mut(&room).expect("just listed");
            if let Some((counter, payload)) = queue.resend(now.ms, true) {
                self.retries += 1;
                out.push(Send::Log { room: room.clone(), counter, payload });
            }
            self.advance(room, now, out);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Time, out: &mut Vec<Send>) {
        self.fail_what_is_lost(now);
        self.probe(now, out);
        while let Some(Reverse((due_ms, _))) = self.due.peek()
            && *due_ms <= now.ms
        {
            let Some(Reverse((due_ms, room))) = self.due.pop() else { return };
            // Records are only corrected here: one that was replaced is skipped.
            if self.rooms.get(&room).is_some_and(|queue| queue.due_ms == Some(due_ms)) {
                self.advance(room, now, out);
            }
        }
        if self.swept_ms + IDLE_MS_MAX / 10 <= now.ms {
            self.swept_ms = now.ms;
            self.rooms.retain(|_, queue| !queue.is_idle_since(now.ms.saturating_sub(IDLE_MS_MAX)));
        }
    }

    /// When the next [`Publisher::tick`] is due.
    pub(super) fn next_due_ms(&mut self) -> Option<u64> {
        // Records of what has been done meanwhile need nobody to wake up.
        while let Some(Reverse((due_ms, room))) = self.due.peek()
            && self.rooms.get(room).and_then(|queue| queue.due_ms) != Some(*due_ms)
        {
            self.due.pop();
        }
        let rooms = self.due.peek().map(|Reverse((due_ms, _))| *due_ms);
        let probes = self.logs.iter().filter_map(|health| match health {
            Health::Up { .. } => None,
            Health::Down { probed_ms, .. } => Some(probed_ms + PROBE_EVERY_MS),
        });
        let links = self.links.iter().filter(|link| !link.is_up && self.waiting > 0);
        let losses = links.map(|link| link.since_ms + SILENCE_MS_MAX);
        rooms.into_iter().chain(probes).chain(losses).min()
    }

    /// Sends for a room what can be sent, and notes when to look again.
    fn advance(&mut self, room: RoomId, now: Time, out: &mut Vec<Send>) {
        let at = stream_of(&room);
        let link = self.links[(self.link_of)(Partition::of_room(&room), self.links.len())];
        let Some(queue) = self.rooms.get_mut(&room) else { return };
        if !link.is_up {
            queue.due_ms = None;
            return;
        }
        if let Some(flight) = &queue.flight {
            let is_silent = match self.logs[at] {
                Health::Up { acked_ms } => {
                    let since_ms = acked_ms.max(flight.first_ms);
                    since_ms + SILENCE_MS_MAX <= now.ms || flight.first_ms + FLIGHT_MS_MAX <= now.ms
                }
                Health::Down { .. } => true,
            };
            if is_silent {
                let flight = queue.flight.take().expect("looked at above");
                self.flying.remove(&flight.counter);
                self.waiting -= flight.answers.len();
                let (payload, answers) = (flight.payload, flight.answers);
                out.push(Send::Live { room: room.clone(), payload, answers });
                self.go_down(at, now, out);
            } else if flight.sent_ms + ACK_MS_MAX <= now.ms
                && let Some((counter, payload)) = queue.resend(now.ms, false)
            {
                self.retries += 1;
                out.push(Send::Log { room: room.clone(), counter, payload });
            }
        }
        let queue = self.rooms.get_mut(&room).expect("there above");
        if queue.may_begin(now.ms) {
            self.counter += 1;
            let counter = self.counter;
            let (lane, batch) = queue.seal(self.boot, counter, now);
            if lane == Lane::Log && matches!(self.logs[at], Health::Up { .. }) {
                out.push(Send::Log { room: room.clone(), counter, payload: batch.payload.clone() });
                self.flying.insert(counter, room.clone());
                queue.flight = Some(batch);
            } else {
                self.waiting -= batch.answers.len();
                let (payload, answers) = (batch.payload, batch.answers);
                out.push(Send::Live { room: room.clone(), payload, answers });
            }
        }
        let silence_ms = match self.logs[at] {
            Health::Up { acked_ms } => acked_ms,
            Health::Down { .. } => now.ms,
        };
        if let Some(due_ms) = queue.plan(silence_ms, now.ms) {
            self.due.push(Reverse((due_ms, room)));
        }
    }

    /// A log does not ack: its rooms go out live from now on.
    fn go_down(&mut self, at: usize, now: Time, out: &mut Vec<Send>) {
        if let Health::Up { acked_ms } = self.logs[at]
            && acked_ms + SILENCE_MS_MAX <= now.ms
        {
            tracing::warn!(stream = at, "the log does not ack, its rooms go out live and unstored");
            self.counter += 1;
            self.logs[at] = Health::Down { probe: self.counter, probed_ms: now.ms };
            let stream = StreamIndex::all().nth(at).expect("as many as there are");
            out.push(Send::Probe { stream, counter: self.counter });
            let others: Vec<RoomId> = self
                .rooms
                .iter()
                .filter(|(room, queue)| queue.flight.is_some() && stream_of(room) == at)
                .map(|(room, _)| room.clone())
                .collect();
            others.into_iter().for_each(|room| self.advance(room, now, out));
        }
    }

    fn probe(&mut self, now: Time, out: &mut Vec<Send>) {
        for stream in StreamIndex::all() {
            if let Health::Down { probed_ms, .. } = self.logs[stream.number()]
                && probed_ms + PROBE_EVERY_MS <= now.ms
            {
                self.counter += 1;
                self.logs[stream.number()] =
                    Health::Down { probe: self.counter, probed_ms: now.ms };
                if self.links[self.link_of_stream(stream)].is_up {
                    out.push(Send::Probe { stream, counter: self.counter });
                }
            }
        }
    }

    /// What waits for a link that is lost is refused.
    fn fail_what_is_lost(&mut self, now: Time) {
        for at in 0..self.links.len() {
            let link = self.links[at];
            if link.is_up || self.waiting == 0 || link.since_ms + SILENCE_MS_MAX > now.ms {
                continue;
            }
            for room in self.rooms_of(at) {
                let queue = self.rooms.get_mut(&room).expect("just listed");
                let (flight, answers) = queue.abandon();
                if let Some(counter) = flight {
                    self.flying.remove(&counter);
                }
                self.waiting -= answers.len();
                for answer in answers {
                    let _ = answer.send(Err(PublishError::Unavailable));
                }
            }
        }
    }

    fn is_lost(&self, room: &RoomId, now_ms: u64) -> bool {
        let link = self.links[(self.link_of)(Partition::of_room(room), self.links.len())];
        !link.is_up && link.since_ms + SILENCE_MS_MAX <= now_ms
    }

    fn link_of_stream(&self, stream: StreamIndex) -> usize {
        let first = stream.partitions().next().expect("a stream has partitions");
        (self.link_of)(first, self.links.len())
    }

    fn rooms_of(&self, link: usize) -> Vec<RoomId> {
        let is_of =
            |room: &&RoomId| (self.link_of)(Partition::of_room(room), self.links.len()) == link;
        self.rooms.keys().filter(is_of).cloned().collect()
    }
}

/// The time, as the driver reads it once per turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    /// Since the start, never going back.
    pub(super) ms: u64,
    /// Since 1970.
    pub(super) unix_ms: u64,
}

fn stream_of(room: &RoomId) -> usize {
    Partition::of_room(room).stream().number()
}

#[cfg(test)]
mod tests;
