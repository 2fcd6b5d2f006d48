//! What is due when: the acts and sends of the plan, and timers that come up on the way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::plan::{Act, At, Plan, Send};

/// A timer of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Comes back.
    Return,
    /// This attempt to connect has taken too long.
    Deadline(u32),
    /// Reads a little.
    Sip,
    /// Asks for a sign of life.
    Beat,
}

/// What a client, given by its place in the plan, has to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// An act of the plan.
    Act(usize, Act),
    /// A publish of the plan.
    Send(usize, Send),
    /// A timer.
    Timer(usize, Timer),
}

/// A part of the plan in order of time, latest first.
#[derive(Debug)]
struct Sheet<T> {
    /// Added to every time; `None` until it is known.
    base_us: Option<u64>,
    entries: Vec<(u64, usize, T)>,
}

/// Everything that is to come.
#[derive(Debug)]
pub(crate) struct Agenda {
    arrivals: Sheet<Act>,
    acts: Sheet<Act>,
    sends: Sheet<Send>,
    timers: BinaryHeap<Reverse<(u64, usize, Timer)>>,
    heartbeat_us: u64,
    clients: usize,
    due_us: u64,
}

impl<T> Sheet<T> {
    /// `entries` in the order of the clients; those of one client stay in order.
    fn new(mut entries: Vec<(u64, usize, T)>) -> Self {
        entries.sort_by_key(|(at_us, ..)| *at_us);
        entries.reverse();
        Self { base_us: None, entries }
    }

    fn wake_us(&self) -> u64 {
        let next = self.entries.last().zip(self.base_us);
        next.map_or(u64::MAX, |((at_us, ..), base_us)| base_us.saturating_add(*at_us))
    }

    fn next(&mut self, now_us: u64) -> Option<(u64, usize, T)> {
        let wake_us = self.wake_us();
        if wake_us > now_us {
            return None;
        }
        self.entries.pop().map(|(_, index, what)| (wake_us, index, what))
    }
}

impl Agenda {
    /// The agenda of a plan, whose start and beginning are not known yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        let (mut arrivals, mut acts, mut sends) = (Vec::new(), Vec::new(), Vec::new());
        for (index, client) in plan.clients.iter().enumerate() {
            for (at, act) in &client.acts {
                match at {
                    At::Start(us) => arrivals.push((*us, index, *act)),
                    At::Begin(us) => acts.push((*us, index, *act)),
                }
            }
            sends.extend(client.sends.iter().map(|send| (send.at_us, index, send.clone())));
        }
        Self {
            arrivals: Sheet::new(arrivals),
            acts: Sheet::new(acts),
            sends: Sheet::new(sends),
            timers: BinaryHeap::new(),
            heartbeat_us: plan.heartbeat_us,
            clients: plan.clients.len(),
            due_us: 0,
        }
    }

    /// The start is at this time, in µs since 1970.
    pub(crate) fn start(&mut self, at_us: u64) {
        self.arrivals.base_us = Some(at_us);
    }

    /// The beginning is at this time, in µs since 1970.
    pub(crate) fn begin(&mut self, at_us: u64) {
        self.acts.base_us = Some(at_us);
        self.sends.base_us = Some(at_us);
        if self.heartbeat_us > 0 {
            for index in 0..self.clients {
                let share = self.heartbeat_us * index as u64 / self.clients as u64;
                self.later(at_us + share, index, Timer::Beat);
            }
        }
    }

    /// Sets a timer.
    pub(crate) fn later(&mut self, at_us: u64, index: usize, timer: Timer) {
        self.timers.push(Reverse((at_us, index, timer)));
    }

    /// Takes something that is due.
    pub(crate) fn next(&mut self, now_us: u64) -> Option<Due> {
        let arrival = self.arrivals.next(now_us).or_else(|| self.acts.next(now_us));
        if let Some((due_us, index, act)) = arrival {
            self.due_us = due_us;
            return Some(Due::Act(index, act));
        }
        if let Some((due_us, index, send)) = self.sends.next(now_us) {
            self.due_us = due_us;
            return Some(Due::Send(index, send));
        }
        let Reverse((due_us, index, timer)) = *self.timers.peek().filter(|t| t.0.0 <= now_us)?;
        self.timers.pop();
        self.due_us = due_us;
        Some(Due::Timer(index, timer))
    }

    /// When what was taken last was to be done.
    pub(crate) fn due_us(&self) -> u64 {
        self.due_us
    }

    /// When something is due next.
    pub(crate) fn wake_us(&self) -> u64 {
        let timer_us = self.timers.peek().map_or(u64::MAX, |timer| timer.0.0);
        [self.arrivals.wake_us(), self.acts.wake_us(), self.sends.wake_us(), timer_us]
            .into_iter()
            .min()
            .unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_their_time_and_not_before_their_base_is_known() {
        let mut sheet = Sheet::new(vec![(30, 0, 'c'), (10, 1, 'a'), (20, 0, 'b')]);
        assert_eq!((sheet.wake_us(), sheet.next(u64::MAX - 1)), (u64::MAX, None));
        sheet.base_us = Some(1000);
        assert_eq!(sheet.wake_us(), 1010);
        assert_eq!(sheet.next(1009), None);
        assert_eq!(sheet.next(1025), Some((1010, 1, 'a')));
        assert_eq!(sheet.next(1025), Some((1020, 0, 'b')));
        assert_eq!(sheet.next(1025), None);
    }
}
