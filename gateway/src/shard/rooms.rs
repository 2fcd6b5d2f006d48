//! The rooms that have members on one shard, and the work that waits for them.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::AHashMap;
use protocol::ids::RoomId;
use protocol::refusal::Refusal;
use slab::Slab;

use crate::client::members::Members;
use crate::shard::overtake::overtake;
use crate::shard::{ShardAnswer, ShardFrame};

/// A frame that has waited so long for its turn is overtaken by the next of its room: longer than
/// any flush of a shard that keeps up, and shorter than anybody would call it live.
const WAIT_MAX: Duration = Duration::from_millis(250);
/// So many frames of a room wait, however fast they came.
const FRAMES_MAX: usize = 64;

/// Something to do for a room, in order: an answer seats its clients before the frames after it,
/// and after the frames before it.
#[derive(Debug)]
pub(crate) enum Job {
    Seat(ShardAnswer),
    /// A frame, and since when it waits.
    Flush {
        frame: ShardFrame,
        since: Duration,
    },
    /// Everybody is put out, and told why.
    Dismiss(Refusal),
}

/// A room on this shard.
#[derive(Debug)]
pub(crate) struct RoomSeats {
    pub(crate) id: RoomId,
    pub(crate) members: Members,
    /// Clients that wait for the hub's answer.
    pub(crate) expected: u32,
    jobs: VecDeque<Job>,
}

impl RoomSeats {
    /// The frames of which nobody has been sent anything, the oldest first.
    fn waiting(&self) -> impl Iterator<Item = (usize, &ShardFrame, Duration)> {
        let begun = usize::from(self.members.is_being_served());
        self.jobs.iter().enumerate().skip(begun).filter_map(|(at, job)| match job {
            Job::Flush { frame, since } => Some((at, frame, *since)),
            Job::Seat(_) | Job::Dismiss(_) => None,
        })
    }

    /// Whether frames have waited for too long, or too many wait.
    fn is_behind(&self, now: Duration) -> bool {
        let mut waiting = self.waiting();
        let oldest = waiting.next();
        oldest.is_some_and(|(_, _, since)| since + WAIT_MAX <= now)
            || waiting.count() + 1 >= FRAMES_MAX
    }
}

/// The rooms of one shard. Rooms with work take turns, so that a large room's flush does not hold
/// up a small one's.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    slab: Slab<RoomSeats>,
    by_id: AHashMap<RoomId, u32>,
    turn: VecDeque<u32>,
    jobs: usize,
}

impl Rooms {
    /// The number of a room, which is made if nobody here was in it.
    pub(crate) fn enter(&mut self, id: &RoomId) -> u32 {
        if let Some(room) = self.by_id.get(id) {
            return *room;
        }
        let seats = RoomSeats {
            id: id.clone(),
            members: Members::default(),
            expected: 0,
            jobs: VecDeque::new(),
        };
        let room = u32::try_from(self.slab.insert(seats)).expect("fewer rooms than 2^32");
        self.by_id.insert(id.clone(), room);
        room
    }

    pub(crate) fn find(&self, id: &RoomId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&mut self, room: u32) -> Option<&mut RoomSeats> {
        self.slab.get_mut(room as usize)
    }

    /// Forgets a room in which nobody sits and for which nothing waits.
    pub(crate) fn forget_if_empty(&mut self, room: u32) {
        let Some(seats) = self.slab.get(room as usize) else { return };
        if seats.members.is_empty() && seats.expected == 0 && seats.jobs.is_empty() {
            let seats = self.slab.remove(room as usize);
            self.by_id.remove(&seats.id);
        }
    }

    /// Queues work for a room; `false` if nobody here is in it.
    pub(crate) fn queue(&mut self, id: &RoomId, job: Job) -> bool {
        let Some(room) = self.find(id) else { return false };
        let Some(seats) = self.slab.get_mut(room as usize) else { return false };
        seats.jobs.push_back(job);
        self.jobs += 1;
        if seats.jobs.len() == 1 {
            self.turn.push_back(room);
        }
        true
    }

    /// Queues a frame for a room. If the room is behind, all that wait are overtaken by it;
    /// returns how many.
    pub(crate) fn queue_frame(&mut self, mut frame: ShardFrame, now: Duration) -> usize {
        let Some(room) = self.find(&frame.room) else { return 0 };
        let mut overtaken = 0;
        if let Some(seats) = self.slab.get_mut(room as usize).filter(|seats| seats.is_behind(now)) {
            let (places, older): (Vec<_>, Vec<_>) =
                seats.waiting().map(|(at, frame, _)| (at, frame)).unzip();
            frame = overtake(&older, &frame);
            overtaken = places.len();
            for at in places.into_iter().rev() {
                seats.jobs.remove(at);
            }
            self.jobs -= overtaken;
        }
        let id = frame.room.clone();
        self.queue(&id, Job::Flush { frame, since: now });
        overtaken
    }

    /// How much work waits.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// The room whose turn it is, and its first job, taken out.
    pub(crate) fn take_turn(&mut self) -> Option<(u32, Job)> {
        let room = self.turn.pop_front()?;
        let job = self.slab.get_mut(room as usize)?.jobs.pop_front()?;
        self.jobs -= 1;
        Some((room, job))
    }

    /// Ends a room's turn; a job that is not finished goes on in its next turn.
    pub(crate) fn end_turn(&mut self, room: u32, unfinished: Option<Job>) {
        let Some(seats) = self.slab.get_mut(room as usize) else { return };
        if let Some(job) = unfinished {
            seats.jobs.push_front(job);
            self.jobs += 1;
        }
        if seats.jobs.is_empty() {
            self.forget_if_empty(room);
        } else {
            self.turn.push_back(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    fn frame(name: &str) -> ShardFrame {
        ShardFrame { room: id(name), variants: [].into() }
    }

    fn flush(name: &str) -> Job {
        Job::Flush { frame: frame(name), since: Duration::ZERO }
    }

    /// Rooms in which somebody is expected.
    fn rooms(names: &[&str]) -> Rooms {
        let mut rooms = Rooms::default();
        for name in names {
            let room = rooms.enter(&id(name));
            rooms.get(room).unwrap().expected = 1;
        }
        rooms
    }

    /// The names of the rooms whose turns come, each turn finishing its job.
    fn turns(rooms: &mut Rooms) -> Vec<String> {
        let mut turns = Vec::new();
        while let Some((room, _)) = rooms.take_turn() {
            turns.push(rooms.get(room).unwrap().id.as_str().to_owned());
            rooms.end_turn(room, None);
        }
        turns
    }

    #[test]
    fn rooms_with_work_take_turns() {
        let mut rooms = rooms(&["a", "b", "c"]);
        for name in ["a", "a", "a", "b", "c", "b"] {
            assert!(rooms.queue(&id(name), flush(name)));
        }
        assert_eq!(rooms.jobs(), 6);
        assert_eq!(turns(&mut rooms), ["a", "b", "c", "a", "b", "a"]);
        assert_eq!(rooms.jobs(), 0);
    }

    #[test]
    fn an_unfinished_job_is_the_first_of_its_rooms_next_turn() {
        let mut rooms = rooms(&["a", "b"]);
        rooms.queue(&id("a"), flush("a"));
        rooms.queue(&id("b"), flush("b"));
        let (room, job) = rooms.take_turn().unwrap();
        assert_eq!(rooms.jobs(), 1);
        rooms.end_turn(room, Some(job));
        assert_eq!((rooms.jobs(), turns(&mut rooms)), (2, vec!["b".to_owned(), "a".to_owned()]));
    }

    #[test]
    fn a_room_that_nobody_here_is_in_has_no_work() {
        let mut rooms = rooms(&["a"]);
        assert!(!rooms.queue(&id("b"), flush("b")));
        assert_eq!((rooms.jobs(), turns(&mut rooms).len()), (0, 0));
    }

    #[test]
    fn a_room_is_forgotten_with_its_last_member_and_its_last_job() {
        let mut rooms = rooms(&["a"]);
        let room = rooms.find(&id("a")).unwrap();
        rooms.forget_if_empty(room);
        assert!(rooms.find(&id("a")).is_some(), "somebody is expected");
        rooms.queue(&id("a"), flush("a"));
        rooms.get(room).unwrap().expected = 0;
        rooms.forget_if_empty(room);
        assert!(rooms.find(&id("a")).is_some(), "something is to do");
        turns(&mut rooms);
        assert_eq!(rooms.find(&id("a")), None);
    }
}
