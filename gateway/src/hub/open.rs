//! The rooms that are open on a hub, by number, and which of them needs a turn when.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use ahash::AHashMap;
use protocol::ids::RoomId;
use slab::Slab;

use crate::hub::schedule::Schedule;
use crate::now::Now;
use crate::room::Room;

/// Places kept for rooms to come; it takes more than that, and more than four times as many as
/// there are rooms, before they are given back.
const SPARE: usize = 64;

/// Open rooms by number. A number is good until [`OpenRooms::give_back`].
#[derive(Debug, Default)]
pub(crate) struct OpenRooms {
    rooms: Slab<Room>,
    by_id: AHashMap<RoomId, usize>,
    schedule: Schedule,
}

impl OpenRooms {
    /// The number of a room, if it is open.
    pub(crate) fn find(&self, id: &RoomId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The room of a number, unless it has been closed.
    pub(crate) fn get_mut(&mut self, room: usize) -> Option<&mut Room> {
        self.rooms.get_mut(room)
    }

    /// Takes in a room that is not open; returns its number.
    pub(crate) fn insert(&mut self, room: Room) -> usize {
        let id = room.id().clone();
        let number = self.rooms.insert(room);
        self.by_id.insert(id, number);
        number
    }

    /// Closes an open room.
    pub(crate) fn remove(&mut self, room: usize) -> Room {
        let room = self.rooms.remove(room);
        self.by_id.remove(room.id());
        room
    }

    /// Books the turn that a room needs; does nothing for a room that has been closed.
    pub(crate) fn reschedule(&mut self, room: usize, now: Now) {
        if let Some(due) = self.rooms.get(room).and_then(|room| room.due(now)) {
            self.schedule.add(due, room);
        }
    }

    /// When the next turn is due, on the monotonic clock.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        self.schedule.next()
    }

    /// Takes all rooms whose turns are due; some of them may be closed, or have had their turn.
    pub(crate) fn take_due(&mut self, now: Now) -> Vec<usize> {
        std::iter::from_fn(|| self.schedule.take_due(now.mono)).collect()
    }

    /// Gives back the memory of a crowd of rooms that has gone. The others get new numbers.
    pub(crate) fn give_back(&mut self, now: Now) {
        if self.rooms.capacity() <= SPARE + 4 * self.rooms.len() {
            return;
        }
        let mut rooms = Slab::with_capacity(2 * self.rooms.len());
        self.by_id = AHashMap::with_capacity(2 * self.rooms.len());
        self.schedule = Schedule::default();
        std::mem::swap(&mut rooms, &mut self.rooms);
        for (_, room) in rooms {
            let room = self.insert(room);
            self.reschedule(room, now);
        }
    }
}

impl Index<usize> for OpenRooms {
    type Output = Room;

    fn index(&self, room: usize) -> &Room {
        &self.rooms[room]
    }
}

impl IndexMut<usize> for OpenRooms {
    fn index_mut(&mut self, room: usize) -> &mut Room {
        &mut self.rooms[room]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::RoomSettings;

    const CROWD: usize = 10_000;
    const START: Now = Now { mono: Duration::ZERO, unix_ms: 0 };

    fn room(number: usize) -> Room {
        let id = RoomId::parse(&format!("room-{number}")).unwrap();
        let now = Now { mono: Duration::from_millis(number as u64), ..START };
        Room::new(id, RoomSettings::default(), 0, 1, now)
    }

    #[test]
    fn a_crowd_of_rooms_that_has_gone_leaves_no_memory_and_the_others_keep_their_turns() {
        let mut open = OpenRooms::default();
        for number in 0..CROWD {
            let number = open.insert(room(number));
            open.reschedule(number, START);
        }
        open.give_back(START);
        assert_eq!(open.find(room(77).id()), Some(77), "nothing is too much");
        let stay = [0, 4_000, CROWD - 1];
        for number in (0..CROWD).filter(|number| !stay.contains(number)) {
            open.remove(number);
        }
        open.give_back(START);
        assert!(open.rooms.capacity() < 10, "{}", open.rooms.capacity());
        assert!(open.by_id.capacity() < 20, "{}", open.by_id.capacity());
        for number in stay {
            let found = open.find(room(number).id()).expect("it stays");
            assert_eq!(open[found].id(), room(number).id());
        }
        let first = room(0).due(START);
        assert!(first.is_some());
        assert_eq!(open.next_turn(), first);
        let mut due: Vec<_> = open.take_due(Now { mono: Duration::MAX, unix_ms: 0 });
        due.sort_unstable();
        assert_eq!(due, [0, 1, 2], "each has one booking");
    }

    #[test]
    fn a_few_rooms_more_or_less_move_nobody() {
        let mut open = OpenRooms::default();
        for number in 0..SPARE {
            open.insert(room(number));
        }
        (0..SPARE - 1).for_each(|number| drop(open.remove(number)));
        open.give_back(START);
        assert_eq!(open.find(room(SPARE - 1).id()), Some(SPARE - 1));
    }
}
