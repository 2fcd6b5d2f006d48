//! What a client is owed and has not been sent: two lanes, each bounded.
//!
//! A client that reads has an empty outbox, which costs one pointer. When its socket takes no
//! more, the frame being written is finished first; then the control lane (in order, never
//! dropped: its overflow ends the client), then one batch per room. A newer batch of a room
//! replaces the older one, and what was dropped is told in one `gap` before the next batch, with
//! what changed of the room's state meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use protocol::cursor::Bookmark;
use protocol::ids::RoomId;
use protocol::limits::{CONTROL_LANE_BYTES_MAX, CONTROL_LANE_MESSAGES_MAX, UNSENT_BYTES_MAX};
use protocol::to_client::StateChange;

use crate::client::Form;
use crate::client::missed::{Gap, Untold};

/// A batch that waits to be written.
#[derive(Debug, Clone)]
pub(crate) struct HeldBatch {
    pub(crate) room: RoomId,
    pub(crate) prev: Bookmark,
    pub(crate) cursor: Bookmark,
    /// The form in which its client is told about the room.
    pub(crate) form: Form,
    pub(crate) frame: Bytes,
    /// How many events it accounts for.
    pub(crate) count: u32,
    /// How many of them it tells as missed, which is noted already.
    pub(crate) missed: u32,
    /// What it tells of the room's state.
    pub(crate) state: StateChange,
}

/// What a frame was for, and how it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Replies and signals: in order, never dropped.
    Control,
    /// Batches, and the gaps of those that were dropped.
    Danmaku,
}

/// What has been written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Finished {
    pub(crate) control_frames: u64,
    pub(crate) danmaku_frames: u64,
    pub(crate) bytes: u64,
}

impl Finished {
    pub(crate) fn add(&mut self, lane: Lane, frame: &Bytes) {
        match lane {
            Lane::Control => self.control_frames += 1,
            Lane::Danmaku => self.danmaku_frames += 1,
        }
        self.bytes += frame.len() as u64;
    }
}

/// A frame that is being written.
#[derive(Debug)]
struct Tail {
    lane: Lane,
    frame: Bytes,
    written: usize,
}

/// The control lane is over its bound: the client is too slow for the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

/// What a client that does not read is owed.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Option<Box<Backlog>>);

#[derive(Debug, Default)]
struct Backlog {
    tail: Option<Tail>,
    control: VecDeque<Bytes>,
    control_bytes: usize,
    rooms: VecDeque<RoomBacklog>,
    batch_bytes: usize,
    stuck_since: Duration,
}

#[derive(Debug)]
struct RoomBacklog {
    room: RoomId,
    gap: Option<Gap>,
    /// What dropped batches told of the room's state, to be told behind the gap.
    untold: Option<Untold>,
    batch: Option<HeldBatch>,
}

impl Outbox {
    /// Whether nothing waits, so that a frame may be written at once.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Since when the client has taken nothing; `None` if it is owed nothing.
    pub(crate) fn stuck_since(&self) -> Option<Duration> {
        self.0.as_ref().map(|backlog| backlog.stuck_since)
    }

    /// The socket took only part of a frame (or nothing of it).
    pub(crate) fn stuck(&mut self, lane: Lane, frame: Bytes, written: usize, now: Duration) {
        let backlog = self.0.get_or_insert_default();
        debug_assert!(backlog.tail.is_none(), "a frame is finished before the next is begun");
        backlog.tail = Some(Tail { lane, frame, written });
        backlog.stuck_since = now;
    }

    /// Queues a frame of the control lane.
    ///
    /// # Errors
    /// [`Overflow`] if the lane is full; the frame is not queued.
    pub(crate) fn push_control(&mut self, frame: Bytes) -> Result<(), Overflow> {
        let backlog = self.0.get_or_insert_default();
        if backlog.control.len() >= CONTROL_LANE_MESSAGES_MAX
            || backlog.control_bytes + frame.len() > CONTROL_LANE_BYTES_MAX
        {
            return Err(Overflow);
        }
        backlog.control_bytes += frame.len();
        backlog.control.push_back(frame);
        Ok(())
    }

    /// Queues a batch; returns how many events of older batches were dropped for it.
    pub(crate) fn push_batch(&mut self, batch: HeldBatch) -> u32 {
        let backlog = self.0.get_or_insert_default();
        let at = backlog.room_index(&batch.room);
        let mut dropped = backlog.drop_batch(at);
        backlog.batch_bytes += batch.frame.len();
        backlog.rooms[at].batch = Some(batch);
        // Over the bound of all rooms together: the batches that have waited longest go.
        let mut oldest = 0;
        while backlog.batch_bytes > UNSENT_BYTES_MAX && oldest < backlog.rooms.len() {
            dropped += backlog.drop_batch(oldest);
            oldest += 1;
        }
        dropped
    }

    /// Forgets what is owed for a room that the client has left.
    pub(crate) fn forget_room(&mut self, room: &RoomId) {
        let Some(backlog) = &mut self.0 else { return };
        if let Some(at) = backlog.rooms.iter().position(|r| r.room == *room)
            && let Some(RoomBacklog { batch: Some(batch), .. }) = backlog.rooms.remove(at)
        {
            backlog.batch_bytes -= batch.frame.len();
        }
    }

    /// Forgets the batches that wait: the client is being closed.
    pub(crate) fn forget_batches(&mut self) {
        if let Some(backlog) = &mut self.0 {
            backlog.rooms.clear();
            backlog.batch_bytes = 0;
        }
    }

    /// Forgets everything but the frame being written.
    pub(crate) fn forget_all(&mut self) {
        if let Some(backlog) = &mut self.0 {
            let (tail, stuck_since) = (backlog.tail.take(), backlog.stuck_since);
            **backlog = Backlog { tail, stuck_since, ..Backlog::default() };
        }
    }

    /// Writes what is owed, in order, until nothing is left or the socket takes no more; returns
    /// what was written to its end.
    ///
    /// `write` is given a frame and how much of it is written; it returns how many bytes it took,
    /// 0 if none can be taken now.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) fn drain<E>(
        &mut self,
        now: Duration,
        mut write: impl FnMut(&Bytes, usize) -> Result<usize, E>,
    ) -> Result<Finished, E> {
        let mut finished = Finished::default();
        let Some(backlog) = &mut self.0 else { return Ok(finished) };
        while let Some(Tail { lane, frame, written }) = backlog.next() {
            let taken = write(&frame, written)?;
            if taken > 0 {
                backlog.stuck_since = now;
            }
            if written + taken < frame.len() {
                backlog.tail = Some(Tail { lane, frame, written: written + taken });
                return Ok(finished);
            }
            finished.add(lane, &frame);
        }
        self.0 = None;
        Ok(finished)
    }
}

impl Backlog {
    fn room_index(&mut self, room: &RoomId) -> usize {
        self.rooms.iter().position(|r| r.room == *room).unwrap_or_else(|| {
            self.rooms.push_back(RoomBacklog {
                room: room.clone(),
                gap: None,
                untold: None,
                batch: None,
            });
            self.rooms.len() - 1
        })
    }

    /// Turns the waiting batch of a room into (more of) its gap.
    fn drop_batch(&mut self, at: usize) -> u32 {
        let backlog = &mut self.rooms[at];
        let Some(batch) = backlog.batch.take() else { return 0 };
        self.batch_bytes -= batch.frame.len();
        let mut state = backlog.untold.take().map(|untold| untold.state).unwrap_or_default();
        state.merge(batch.state);
        backlog.untold = Some(Untold { at: batch.cursor, form: batch.form, state });
        if batch.count == 0 && batch.prev == batch.cursor {
            // It told nothing but the room's state.
            return 0;
        }
        let gap = backlog.gap.get_or_insert(Gap {
            from: batch.prev,
            to: batch.cursor,
            count: 0,
            form: batch.form,
        });
        gap.to = batch.cursor;
        gap.count += batch.count;
        batch.count - batch.missed
    }

    fn next(&mut self) -> Option<Tail> {
        if let Some(tail) = self.tail.take() {
            return Some(tail);
        }
        if let Some(frame) = self.control.pop_front() {
            self.control_bytes -= frame.len();
            return Some(Tail { lane: Lane::Control, frame, written: 0 });
        }
        let frame = self.next_danmaku()?;
        Some(Tail { lane: Lane::Danmaku, frame, written: 0 })
    }

    fn next_danmaku(&mut self) -> Option<Bytes> {
        let backlog = self.rooms.front_mut()?;
        if let Some(gap) = backlog.gap.take() {
            return Some(gap.frame(&backlog.room));
        }
        if let Some(untold) = backlog.untold.take().filter(|it| !it.state.is_empty()) {
            return Some(untold.frame(&backlog.room));
        }
        let batch = self.rooms.pop_front()?.batch;
        match batch {
            Some(batch) => {
                self.batch_bytes -= batch.frame.len();
                Some(batch.frame)
            }
            None => self.next_danmaku(),
        }
    }
}

#[cfg(test)]
mod tests;
