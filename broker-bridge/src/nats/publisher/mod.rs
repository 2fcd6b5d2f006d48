//! What a node publishes, as a machine: per room one batch in flight, retries, and the way past a
//! log that does not answer.
//!
//! In: events, acks, how the links are, the time. Out: what is to be sent, and answers to the
//! publishers. A batch is sent at once if none is in flight and the last one began a window ago;
//! else events are collected. A log that has not acked anything for a while is down: then batches
//! go out live, unstored, until a probe is acked. Events that are not for the log go out live in
//! any case, in their turn.

mod logs;
mod messages;
mod queue;
mod task;
mod ways;
mod window;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ahash::AHashMap;
use protocol::ids::{BootId, RoomId};
use protocol::subject::{Partition, StreamIndex};

use self::logs::Logs;
pub(super) use self::messages::{Answer, Lane, Publication, Send, Time};
use self::queue::{Flight, RoomQueue};
pub(super) use self::task::{Outlet, run};
use self::ways::Ways;
use crate::{Ack, PublishError};

/// A batch that is not acked is sent again after this time, under the same id.
const ACK_MS_MAX: u64 = 1_000;
/// A log that acks nothing for this long is down; a link that is down for this long is lost.
const SILENCE_MS_MAX: u64 = 1_500;
/// A single batch that a living log does not ack for this long goes out live.
const FLIGHT_MS_MAX: u64 = 5_000;
/// A room that published nothing for so long is forgotten. Its count begins at 0 again, which those
/// who follow it take for a beginning.
const IDLE_MS_MAX: u64 = 660_000;

/// All that one node publishes.
pub(super) struct Publisher {
    boot: BootId,
    ways: Ways,
    logs: Logs,
    rooms: AHashMap<RoomId, RoomQueue>,
    flying: AHashMap<u64, RoomId>,
    due: BinaryHeap<Reverse<(u64, RoomId)>>,
    counter: u64,
    waiting: usize,
    retries: u64,
    swept_ms: u64,
}

impl Publisher {
    /// All links are down until it is told otherwise.
    pub(super) fn new(
        boot: BootId,
        links: usize,
        link_of: fn(Partition, usize) -> usize,
        now_ms: u64,
    ) -> Self {
        Self {
            boot,
            ways: Ways::new(links, link_of, now_ms),
            logs: Logs::new(now_ms),
            rooms: AHashMap::new(),
            flying: AHashMap::new(),
            due: BinaryHeap::new(),
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
        self.logs.are_up()
    }

    /// An event to be published.
    pub(super) fn push(&mut self, publication: Publication, now: Time, out: &mut Vec<Send>) {
        let Publication { room, lane, event, answer } = publication;
        if self.ways.is_lost(&room, now.ms) {
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
        self.logs.acked(stream_of(&room), now.ms);
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
        let Some(at) = self.logs.probe_acked(counter, now.ms) else { return };
        tracing::info!(stream = at, "the log acks again");
        let rooms: Vec<RoomId> =
            self.rooms.keys().filter(|room| stream_of(room) == at).cloned().collect();
        rooms.into_iter().for_each(|room| self.advance(room, now, out));
    }

    /// A link is made, or lost.
    pub(super) fn link(&mut self, at: usize, is_up: bool, now: Time, out: &mut Vec<Send>) {
        if !self.ways.note(at, is_up, now.ms) || !is_up {
            return;
        }
        for stream in StreamIndex::all().filter(|stream| self.ways.of_stream(*stream) == at) {
            self.logs.pardon(stream.number(), now.ms);
        }
        for room in self.rooms_of(at) {
            let queue = self.rooms.get_mut(&room).expect("just listed");
            if let Some((counter, payload)) = queue.resend_over_new_link(now.ms) {
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
        let losses = self.ways.next_loss_ms().filter(|_| self.waiting > 0);
        rooms.into_iter().chain(self.logs.next_probe_ms()).chain(losses).min()
    }

    /// Sends for a room what can be sent, and notes when to look again.
    fn advance(&mut self, room: RoomId, now: Time, out: &mut Vec<Send>) {
        let Some(queue) = self.rooms.get_mut(&room) else { return };
        if !self.ways.is_up(&room) {
            queue.due_ms = None;
            return;
        }
        self.pursue(&room, now, out);
        self.begin(&room, now, out);
        let acked_ms = self.logs.acked_ms(stream_of(&room)).unwrap_or(now.ms);
        let queue = self.rooms.get_mut(&room).expect("there above");
        if let Some(due_ms) = queue.plan(acked_ms, now.ms) {
            self.due.push(Reverse((due_ms, room)));
        }
    }

    /// Sends the batch in flight again, or past a log that ignores it.
    fn pursue(&mut self, room: &RoomId, now: Time, out: &mut Vec<Send>) {
        let at = stream_of(room);
        let queue = self.rooms.get_mut(room).expect("there, as advance has seen");
        let Some(first_ms) = queue.flight.as_ref().map(|flight| flight.first_ms) else { return };
        if self.logs.ignores(at, first_ms, now.ms)
            && let Some(flight) = queue.flight.take()
        {
            self.flying.remove(&flight.counter);
            out.push(self.live(room, flight));
            self.go_down(at, now, out);
        } else if let Some((counter, payload)) = queue.resend_if_late(now.ms) {
            self.retries += 1;
            out.push(Send::Log { room: room.clone(), counter, payload });
        }
    }

    /// Sends the next batch, if it is time.
    fn begin(&mut self, room: &RoomId, now: Time, out: &mut Vec<Send>) {
        let queue = self.rooms.get_mut(room).expect("there, as advance has seen");
        if !queue.may_begin(now.ms) {
            return;
        }
        self.counter += 1;
        let counter = self.counter;
        let (lane, batch) = queue.seal(self.boot, counter, now);
        if lane == Lane::Log && self.logs.acked_ms(stream_of(room)).is_some() {
            out.push(Send::Log { room: room.clone(), counter, payload: batch.payload.clone() });
            self.flying.insert(counter, room.clone());
            queue.flight = Some(batch);
        } else {
            out.push(self.live(room, batch));
        }
    }

    /// A batch on its way past the log: nobody waits for an ack of it.
    fn live(&mut self, room: &RoomId, batch: Flight) -> Send {
        self.waiting -= batch.answers.len();
        Send::Live { room: room.clone(), payload: batch.payload, answers: batch.answers }
    }

    /// A log does not ack: its rooms go out live from now on.
    fn go_down(&mut self, at: usize, now: Time, out: &mut Vec<Send>) {
        if !self.logs.is_silent(at, now.ms) {
            return;
        }
        tracing::warn!(stream = at, "the log does not ack, its rooms go out live and unstored");
        let stream = StreamIndex::all().nth(at).expect("as many as there are");
        out.push(self.probe_of(stream, now));
        let others: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(room, queue)| queue.flight.is_some() && stream_of(room) == at)
            .map(|(room, _)| room.clone())
            .collect();
        others.into_iter().for_each(|room| self.advance(room, now, out));
    }

    fn probe(&mut self, now: Time, out: &mut Vec<Send>) {
        for stream in self.logs.due_for_a_probe(now.ms) {
            let probe = self.probe_of(stream, now);
            if self.ways.leads_to(stream) {
                out.push(probe);
            }
        }
    }

    fn probe_of(&mut self, stream: StreamIndex, now: Time) -> Send {
        self.counter += 1;
        self.logs.probed(stream.number(), self.counter, now.ms);
        Send::Probe { stream, counter: self.counter }
    }

    /// What waits for a link that is lost is refused.
    fn fail_what_is_lost(&mut self, now: Time) {
        if self.waiting == 0 {
            return;
        }
        for at in self.ways.lost(now.ms) {
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

    fn rooms_of(&self, link: usize) -> Vec<RoomId> {
        let is_of = |room: &&RoomId| self.ways.of_room(room) == link;
        self.rooms.keys().filter(is_of).cloned().collect()
    }
}

fn stream_of(room: &RoomId) -> usize {
    Partition::of_room(room).stream().number()
}

#[cfg(test)]
mod tests;
