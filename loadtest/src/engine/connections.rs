//! The clients' connections: opened as many as may be on their way at once, read as each client
//! reads, written, and ended.

use mio::{Interest, Token};
use rand::RngExt as _;

use super::Engine;
use super::agenda::Timer;
use super::mind::{Reading, pause};
use super::slot::{End, Phase};
use super::sockets::{self, Came, Line};

/// How long a connection may take from its beginning to `joined`, in µs.
const JOIN_TIMEOUT_US: u64 = 20_000_000;
impl Engine {
    /// Opens connections, as many as may be on their way at once.
    pub(super) fn open(&mut self) {
        while self.on_their_way < self.world.plan.in_flight_max {
            let Some(index) = self.queue.pop_front() else { return };
            if !self.minds[index].wanted || self.lines[index].is_some() {
                continue;
            }
            self.world.now_us = self.clock.now_us();
            self.connect(index);
        }
    }

    pub(super) fn connect(&mut self, index: usize) {
        let now_us = self.world.now_us;
        self.world.tally.count("connections", 1);
        self.on_their_way += 1;
        let mind = &mut self.minds[index];
        mind.attempt += 1;
        let (resume, attempt) = (mind.resume, mind.attempt);
        self.slots[index].connect(&self.world, resume);
        let client = &self.world.plan.clients[index];
        let (to, from) = (self.world.plan.target.address, client.source);
        let line = sockets::connect(to, from, client.is_slow()).and_then(|mut line| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut line.stream, Token(index), interest)?;
            Ok(line)
        });
        match line {
            Ok(line) => {
                self.lines[index] = Some(line);
                self.agenda.later(now_us + JOIN_TIMEOUT_US, index, Timer::Deadline(attempt));
            }
            Err(error) => self.gone(index, End::ComeBack(None, format!("cannot connect: {error}"))),
        }
    }

    pub(super) fn hang_up(&mut self, index: usize) {
        let Some(line) = self.lines[index].take() else { return };
        line.cut();
        self.leave_phase(index);
    }

    /// The client's connection has ended, and not because it was to.
    pub(super) fn gone(&mut self, index: usize, end: End) {
        self.lines[index] = None;
        let was_in = self.slots[index].phase == Phase::In;
        self.leave_phase(index);
        let (mind, slot) = (&mut self.minds[index], &mut self.slots[index]);
        if !mind.wanted {
            return;
        }
        let (after_us, why) = match end {
            End::ComeBack(after_us, why) => (after_us, why),
            End::StayAway(why) => {
                mind.wanted = false;
                slot.life.gave_up = Some(why.into());
                return;
            }
        };
        slot.life.breaks += u32::from(was_in);
        let name = if was_in { "broken" } else { "failed" };
        self.world.tally.count(format!("{name}: {why}"), 1);
        let pause_us = after_us.unwrap_or_else(|| pause(slot.failures, self.world.random.random()));
        slot.failures += 1;
        self.agenda.later(self.world.now_us + pause_us, index, Timer::Return);
    }

    pub(super) fn leave_phase(&mut self, index: usize) {
        if matches!(self.slots[index].phase, Phase::Upgrading | Phase::Joining) {
            self.on_their_way -= 1;
        }
        self.slots[index].lost(&mut self.world);
    }

    /// Reads what the client wants to read; `to_the_end` does not trust a short read.
    pub(super) fn read(&mut self, index: usize, to_the_end: bool) {
        let mut room = match self.minds[index].reading {
            Reading::All => usize::MAX,
            Reading::Nothing => 0,
            Reading::Trickle(_) => std::mem::take(&mut self.minds[index].thirst),
        };
        while room > 0 {
            let Some(line) = &mut self.lines[index] else { return };
            let take = room.min(self.buffer.len());
            let came = line.read(&mut self.buffer[..take]);
            let length = match came {
                Came::More(length) | Came::All(length) => length,
                Came::Nothing => return line.unread = false,
                Came::End => return self.gone(index, End::ComeBack(None, "broken".into())),
            };
            room -= length;
            self.world.now_us = self.clock.now_us();
            let was_in = self.slots[index].phase == Phase::In;
            let end = self.slots[index].read(&self.buffer[..length], &mut self.world);
            if !was_in && self.slots[index].phase == Phase::In {
                self.on_their_way -= 1;
            }
            if let Some(end) = end {
                return self.gone(index, end);
            }
            if came == Came::All(length) && !to_the_end {
                return line_read(&mut self.lines[index]);
            }
        }
    }

    pub(super) fn write(&mut self, index: usize) {
        let Some(line) = &mut self.lines[index] else { return };
        let slot = &mut self.slots[index];
        if !slot.out.is_empty() && !line.write(&mut slot.out) {
            self.gone(index, End::ComeBack(None, "broken".into()));
        }
    }
}

fn line_read(line: &mut Option<Line>) {
    if let Some(line) = line {
        line.unread = false;
    }
}
