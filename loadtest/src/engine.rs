//! One worker's clients: one thread, one epoll set, no task and no buffer per connection.
//!
//! The engine looks at all sockets that have something, sleeps for a millisecond and looks again.
//! A client that waited for each frame would be woken for each frame, and the gateway's writes
//! would pay for that. How long a frame may have waited for the next look is measured, and told.
//!
//! A viewer costs its [`Slot`], four bytes for each message it got and the kernel's socket.

mod agenda;
mod connections;
mod mind;
pub(crate) mod slot;
mod sockets;
pub(crate) mod tally;
pub(crate) mod world;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use mio::{Events, Poll};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use self::agenda::{Agenda, Due, Timer};
use self::mind::{Mind, Reading};
use self::slot::{End, Phase, Slot};
use self::sockets::Line;
use self::tally::Tally;
use self::world::World;
use crate::clock::Clock;
use crate::plan::{Act, Plan};
use crate::truth::digest::Digests;

/// Bytes read from a socket at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Sockets that are looked at in one call.
const EVENTS: usize = 4096;
/// Between two sips of a client that reads at a trickle, in µs.
const SIP_EVERY_US: u64 = 100_000;
/// The longest time without a look when nothing is due and nothing happens.
const IDLE_MAX: Duration = Duration::from_millis(20);

/// The clients of a worker.
pub(crate) struct Engine {
    /// What they share.
    pub(crate) world: World,
    /// The clients.
    pub(crate) slots: Vec<Slot>,
    clock: Clock,
    poll: Poll,
    events: Events,
    lines: Vec<Option<Line>>,
    minds: Vec<Mind>,
    agenda: Agenda,
    queue: VecDeque<usize>,
    on_their_way: usize,
    buffer: Vec<u8>,
    /// When the sockets were looked at last.
    looked_us: Option<u64>,
}

impl Engine {
    /// Clients that have not been told to start.
    ///
    /// # Errors
    /// The system has no epoll set for us.
    pub(crate) fn new(plan: Plan, clock: Clock) -> io::Result<Self> {
        let count = plan.clients.len();
        let seed =
            u64::from(plan.run) ^ u64::from(plan.clients.first().map_or(0, |c| c.number)) << 32;
        Ok(Self {
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            lines: (0..count).map(|_| None).collect(),
            minds: (0..count).map(|_| Mind::default()).collect(),
            slots: (0..count).map(Slot::new).collect(),
            agenda: Agenda::new(&plan),
            queue: VecDeque::new(),
            on_their_way: 0,
            buffer: vec![0; BUFFER_BYTES],
            looked_us: None,
            world: World {
                digests: Digests::new(plan.run),
                tally: Tally::new(plan.groups.len(), plan.phases.len() + 1),
                phases: vec![u64::MAX; plan.phases.len()],
                sent: Vec::new(),
                now_us: clock.now_us(),
                start_us: u64::MAX,
                begin_us: u64::MAX,
                told_last_us: 0,
                joined: 0,
                random: StdRng::seed_from_u64(seed),
                plan,
            },
        })
    }

    /// Starts at this time, in µs since 1970: clients come in.
    pub(crate) fn start(&mut self, at_us: u64) {
        self.world.start_us = at_us;
        self.agenda.start(at_us);
    }

    /// Begins at this time, in µs since 1970: clients speak and act.
    pub(crate) fn begin(&mut self, at_us: u64) {
        self.world.begin_us = at_us;
        self.world.phases =
            self.world.plan.phases.iter().map(|phase| at_us + phase.at_us).collect();
        self.agenda.begin(at_us);
    }

    /// Does what is due, then looks at the sockets; ends with the pause before the next look.
    pub(crate) fn turn(&mut self) {
        self.world.now_us = self.clock.now_us();
        while let Some(due) = self.agenda.next(self.world.now_us) {
            self.due(due);
        }
        self.open();
        let (sweep_us, wake_us) = (self.world.plan.sweep_us, self.agenda.wake_us());
        let idle = Duration::from_micros(wake_us.saturating_sub(self.clock.now_us())).min(IDLE_MAX);
        if let Some(looked_us) = self.looked_us {
            let stall_us = self.clock.now_us().saturating_sub(looked_us);
            self.world.tally.sweep_lag.record_stall(stall_us, sweep_us.max(1_000));
        }
        self.look(if sweep_us == 0 { idle } else { Duration::ZERO });
        self.looked_us = Some(self.clock.now_us());
        let is_all = self.events.iter().count() < EVENTS;
        self.handle();
        if sweep_us > 0 && is_all {
            std::thread::park_timeout(idle.min(Duration::from_micros(sweep_us)));
        }
    }

    fn look(&mut self, timeout: Duration) {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout)) {
            self.events.clear();
            self.world.tally.count(format!("poll: {error}"), 1);
        }
    }

    fn handle(&mut self) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let index = event.token().0;
            let Some(line) = &mut self.lines[index] else { continue };
            line.unread |= event.is_readable() || event.is_read_closed() || event.is_error();
            if line.unread {
                self.read(index, event.is_read_closed() || event.is_error());
            }
            self.write(index);
        }
        self.events = events;
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Act(index, act) => self.act(index, act),
            Due::Send(index, send) => {
                self.slots[index].publish(send, &mut self.world);
                self.write(index);
            }
            Due::Timer(index, timer) => self.timer(index, timer),
        }
    }

    fn act(&mut self, index: usize, act: Act) {
        let mind = &mut self.minds[index];
        match act {
            Act::Connect { resume } => {
                (mind.wanted, mind.resume, mind.reading) = (true, resume, Reading::All);
                self.slots[index].intended_us = self.agenda.due_us();
                self.queue.push_back(index);
            }
            Act::Drop => {
                mind.wanted = false;
                self.hang_up(index);
            }
            Act::Leave => {
                mind.wanted = false;
                self.slots[index].leave(&mut self.world);
                self.write(index);
            }
            Act::Stop => mind.reading = Reading::Nothing,
            Act::Trickle(bytes_per_s) => {
                mind.reading = Reading::Trickle(bytes_per_s);
                self.agenda.later(self.world.now_us, index, Timer::Sip);
            }
            Act::Read => {
                mind.reading = Reading::All;
                self.read(index, true);
                self.write(index);
            }
        }
    }

    fn timer(&mut self, index: usize, timer: Timer) {
        let now_us = self.world.now_us;
        let mind = &mut self.minds[index];
        match timer {
            Timer::Return if mind.wanted => {
                self.slots[index].intended_us = now_us;
                self.queue.push_back(index);
            }
            Timer::Deadline(attempt) if attempt == mind.attempt => {
                if matches!(self.slots[index].phase, Phase::Upgrading | Phase::Joining) {
                    self.gone(index, End::ComeBack(None, "not in the room in time".into()));
                }
            }
            Timer::Sip => {
                if let Reading::Trickle(bytes_per_s) = mind.reading {
                    mind.thirst = (u64::from(bytes_per_s) * SIP_EVERY_US / 1_000_000) as usize;
                    self.read(index, false);
                    self.write(index);
                    self.agenda.later(now_us + SIP_EVERY_US, index, Timer::Sip);
                }
            }
            Timer::Beat => {
                let intended_us = self.agenda.due_us();
                self.slots[index].ping(intended_us, &mut self.world);
                self.write(index);
                let beat_us = self.world.plan.heartbeat_us;
                self.agenda.later(intended_us + beat_us, index, Timer::Beat);
            }
            Timer::Return | Timer::Deadline(_) => {}
        }
    }

    /// Ends the run: nothing is read any more, and lives are as they are.
    pub(crate) fn finish(&mut self) {
        for index in 0..self.slots.len() {
            let is_in = self.slots[index].phase == Phase::In;
            let slot = &mut self.slots[index];
            slot.give_up_pending(&mut self.world);
            slot.life.ended = !is_in;
            let unsent = slot.unsent() as u64;
            if unsent > 0 {
                self.world.tally.count("unsent", unsent);
            }
            if self.minds[index].wanted && !is_in && slot.life.gave_up.is_none() {
                slot.life.gave_up = Some("was not in the room at the end".into());
            }
        }
    }

    /// Drops all connections.
    pub(crate) fn hang_up_all(&mut self) {
        for index in 0..self.slots.len() {
            self.hang_up(index);
        }
    }
}
