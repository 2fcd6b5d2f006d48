//! Which room needs a turn when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The same end of a slot is found up to so much later, because unix time is counted in whole
/// milliseconds: no reason for another booking.
const CLOCKS_APART: Duration = Duration::from_millis(1);

/// A queue of rooms (by number) ordered by the time of their next turn, on the monotonic
/// clock. A turn too many does nothing, so a booking that was brought forward is left in place.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    /// The earliest booking of each room.
    booked: Vec<Option<Duration>>,
}

impl Schedule {
    /// Asks for a turn; does nothing if the room has an earlier one, or one a trifle later.
    pub(crate) fn add(&mut self, due: Duration, room: usize) {
        if self.booked.len() <= room {
            self.booked.resize(room + 1, None);
        }
        if self.booked[room].is_none_or(|booked| booked > due + CLOCKS_APART) {
            self.booked[room] = Some(due);
            self.queue.push(Reverse((due, room)));
        }
    }

    /// When the next turn is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes a room whose turn is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<usize> {
        self.queue.peek().filter(|Reverse((due, _))| *due <= now)?;
        let Reverse((due, room)) = self.queue.pop()?;
        if self.booked[room] == Some(due) {
            self.booked[room] = None;
        }
        Some(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn rooms_come_in_the_order_of_their_times_and_not_before() {
        let mut schedule = Schedule::default();
        schedule.add(ms(30), 3);
        schedule.add(ms(10), 1);
        schedule.add(ms(20), 2);
        schedule.add(ms(25), 1);
        assert_eq!(schedule.next(), Some(ms(10)));
        assert_eq!(schedule.take_due(ms(9)), None);
        assert_eq!(schedule.take_due(ms(25)), Some(1));
        assert_eq!(schedule.take_due(ms(25)), Some(2));
        assert_eq!(schedule.take_due(ms(25)), None);
        assert_eq!(schedule.next(), Some(ms(30)));
    }
}
