//! Which room needs a turn when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue of rooms (by number) ordered by the time of their next turn, in milliseconds since
/// 1970. A turn too many does nothing, so a booking that was brought forward is left in place.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    /// The earliest booking of each room.
    booked: Vec<Option<u64>>,
}

impl Schedule {
    /// Asks for a turn; does nothing if the room has an earlier one.
    pub(crate) fn add(&mut self, due_ms: u64, room: usize) {
        if self.booked.len() <= room {
            self.booked.resize(room + 1, None);
        }
        if self.booked[room].is_none_or(|booked_ms| booked_ms > due_ms) {
            self.booked[room] = Some(due_ms);
            self.queue.push(Reverse((due_ms, room)));
        }
    }

    /// When the next turn is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// Takes a room whose turn is due.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Option<usize> {
        self.queue.peek().filter(|Reverse((due_ms, _))| *due_ms <= now_ms)?;
        let Reverse((due_ms, room)) = self.queue.pop()?;
        if self.booked[room] == Some(due_ms) {
            self.booked[room] = None;
        }
        Some(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_come_in_the_order_of_their_times_and_not_before() {
        let mut schedule = Schedule::default();
        schedule.add(30, 3);
        schedule.add(10, 1);
        schedule.add(20, 2);
        schedule.add(25, 1);
        assert_eq!(schedule.next_ms(), Some(10));
        assert_eq!(schedule.take_due(9), None);
        assert_eq!(schedule.take_due(25), Some(1));
        assert_eq!(schedule.take_due(25), Some(2));
        assert_eq!(schedule.take_due(25), None);
        assert_eq!(schedule.next_ms(), Some(30));
    }
}
