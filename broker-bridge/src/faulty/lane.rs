//! The line of deliveries on their way to the gateway, in which some are held up.
//!
//! In: deliveries with their fates, and the time. Out: deliveries when they are due. Pure.

use std::collections::VecDeque;

use protocol::ids::RoomId;

use super::dice::Dice;
use super::faults::Faults;
use crate::RoomDelivery;

/// Later entries of its room that may overtake an entry.
pub(super) const OVERTAKEN_BY_MAX: u64 = 4;
/// How long an entry waits to be overtaken, in milliseconds, before it goes on all the same.
pub(super) const OVERTAKING_MS_MAX: u64 = 1_000;
/// Deliveries on their way. When it is full, no more are taken from the broker.
const LANE_MAX: usize = 1_024;
/// Entries that wait to be overtaken. When there are as many, no further one is held back.
const HELD_MAX: usize = 64;

/// What happens to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    /// It never arrives.
    pub(super) is_lost: bool,
    /// It never arrives, and the gateway is told so.
    pub(super) is_told_lost: bool,
    /// How long it is on its way, with everything behind it.
    pub(super) delay_ms: u64,
    /// How many later entries of its room arrive before it.
    pub(super) overtaken_by: u64,
    /// A copy of it arrives after so many later entries of its room.
    pub(super) copy_after: Option<u64>,
}

impl Fate {
    /// Rolls the fate of an entry. Every roll is made whatever the rates are, so that changing
    /// one of them changes nothing else.
    pub(super) fn roll(mut dice: Dice, faults: &Faults) -> Self {
        let is_lost = dice.happens(faults.loss_permille);
        let delay_ms = dice.up_to(faults.delay_ms_max);
        let (is_overtaken, by) =
            (dice.happens(faults.reorder_permille), 1 + dice.up_to(OVERTAKEN_BY_MAX - 1));
        let (is_copied, after) =
            (dice.happens(faults.duplication_permille), dice.up_to(OVERTAKEN_BY_MAX));
        let is_told_lost = dice.happens(faults.told_loss_permille) && !is_lost;
        Self {
            is_lost,
            is_told_lost,
            delay_ms,
            overtaken_by: if is_overtaken { by } else { 0 },
            copy_after: is_copied.then_some(after),
        }
    }
}

/// The line.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Those that only wait for their time, which never decreases from one to the next.
    moving: VecDeque<Moving>,
    /// Those that wait to be overtaken.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Moving {
    due_ms: u64,
    room: RoomId,
    delivery: RoomDelivery,
}

#[derive(Debug)]
struct Held {
    until_ms: u64,
    overtakers_left: u64,
    room: RoomId,
    delivery: RoomDelivery,
}

impl Lane {
    /// Whether no more may be put in.
    pub(super) fn is_full(&self) -> bool {
        self.moving.len() >= LANE_MAX
    }

    /// Puts in something that keeps its place.
    pub(super) fn put(&mut self, room: RoomId, delivery: RoomDelivery, now_ms: u64) {
        let due_ms = self.moving.back().map_or(now_ms, |last| last.due_ms.max(now_ms));
        self.moving.push_back(Moving { due_ms, room, delivery });
    }

    /// Puts in an entry with its fate; says which of it came true, as there are bounds.
    pub(super) fn put_entry(
        &mut self,
        room: RoomId,
        delivery: RoomDelivery,
        mut fate: Fate,
        now_ms: u64,
    ) -> Fate {
        if fate.is_lost {
            return Fate { is_lost: true, ..Fate::default() };
        }
        if self.held.len() + 2 > HELD_MAX {
            fate.overtaken_by = 0;
            fate.copy_after = None;
        }
        if fate.overtaken_by > 0 {
            fate.delay_ms = 0;
            self.hold(room.clone(), delivery.clone(), fate.overtaken_by, now_ms);
        } else {
            self.put(room.clone(), delivery.clone(), now_ms + fate.delay_ms);
            self.overtake(&room, now_ms);
        }
        match fate.copy_after {
            Some(0) if fate.overtaken_by == 0 => self.put(room, delivery, now_ms),
            Some(after) => self.hold(room, delivery, fate.overtaken_by + after, now_ms),
            None => {}
        }
        fate
    }

    fn hold(&mut self, room: RoomId, delivery: RoomDelivery, overtakers_left: u64, now_ms: u64) {
        let until_ms = now_ms + OVERTAKING_MS_MAX;
        self.held.push(Held { until_ms, overtakers_left, room, delivery });
    }

    /// An entry of this room moves: those it overtakes are one nearer to moving themselves.
    fn overtake(&mut self, room: &RoomId, now_ms: u64) {
        count_overtaken(&mut self.held, room);
        self.release(now_ms);
    }

    /// Lets everybody move who was held long enough, which overtakes those held before them.
    fn release(&mut self, now_ms: u64) {
        let is_free = |held: &Held| held.overtakers_left == 0 || held.until_ms <= now_ms;
        while let Some(at) = self.held.iter().position(is_free) {
            let held = self.held.remove(at);
            count_overtaken(&mut self.held[..at], &held.room);
            self.put(held.room, held.delivery, now_ms);
        }
    }

    /// When there will be something to take out; `None` if the line is empty.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        let moving = self.moving.front().map(|moving| moving.due_ms);
        let held = self.held.iter().map(|held| held.until_ms).min();
        moving.into_iter().chain(held).min()
    }

    /// Takes out the next delivery that is due.
    pub(super) fn take(&mut self, now_ms: u64) -> Option<(RoomId, RoomDelivery)> {
        self.release(now_ms);
        if self.moving.front()?.due_ms > now_ms {
            return None;
        }
        self.moving.pop_front().map(|moving| (moving.room, moving.delivery))
    }
}

fn count_overtaken(held: &mut [Held], room: &RoomId) {
    for held in held.iter_mut().filter(|held| held.room == *room) {
        held.overtakers_left = held.overtakers_left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
