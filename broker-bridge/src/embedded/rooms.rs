//! All rooms of a bus: their logs, who listens, and what every node counts.
//!
//! In: the verbs of the nodes and the time. Out: deliveries to nodes, in order. Pure: it reads no
//! clock, and fresh epochs come from the function that it was given.
//!
//! A room exists while somebody listens or an entry is kept. Then it is forgotten, numbering and
//! all; should it come back, it does so under a fresh epoch, so that no old cursor fits it. That
//! bounds the memory of names that were used once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use ahash::AHashMap;
use protocol::cursor::{Cursor, Epoch};
use protocol::event::Event;
use protocol::ids::{BootId, RoomId};

use super::log::{Log, Retention};
use crate::{Counts, RoomDelivery};

/// Newest entries that come with `Opened`: more than the 100 events that a join may ask for, and
/// enough for a few slots of a busy room.
const RECENT_ENTRIES_MAX: usize = 256;
/// Bytes of JSON that come with `Opened`: as much as one resume may replay.
const RECENT_BYTES_MAX: usize = protocol::limits::RESUME_BYTES_MAX;

/// Places kept for rooms to come; it takes more than that, and more than four times as many as
/// there are rooms, before they are given back.
const SPARE: usize = 64;

const _: () = assert!(RECENT_ENTRIES_MAX >= protocol::limits::HISTORY_EVENTS_MAX);

/// What is to be handed to a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handing {
    pub(super) to: BootId,
    pub(super) room: RoomId,
    pub(super) delivery: RoomDelivery,
}

/// Deliveries in the order in which they are to be handed out.
pub(super) type Out = VecDeque<Handing>;

/// Draws an epoch that was never used before.
pub(super) type FreshEpoch = Box<dyn FnMut() -> Epoch + Send>;

/// The rooms of a bus.
pub(super) struct Rooms {
    retention: Retention,
    fresh_epoch: FreshEpoch,
    rooms: AHashMap<RoomId, Room>,
    /// One record per log that holds anything: when its oldest entry was stored, or earlier.
    ages: BinaryHeap<Reverse<(u64, RoomId)>>,
    bytes: usize,
}

struct Room {
    log: Log,
    listeners: Vec<BootId>,
    counts: Vec<(BootId, Counts)>,
}

impl Rooms {
    pub(super) fn new(retention: Retention, fresh_epoch: FreshEpoch) -> Self {
        Self { retention, fresh_epoch, rooms: AHashMap::new(), ages: BinaryHeap::new(), bytes: 0 }
    }

    /// Appends an event to a room's log and hands it to everybody who listens.
    pub(super) fn publish(&mut self, id: &RoomId, event: Event, now_ms: u64, out: &mut Out) {
        let retention = self.retention;
        let room = self.open(id);
        let bytes_before = room.log.bytes();
        let epoch = room.log.head().epoch;
        let entry = room.log.append(event, now_ms, &retention).clone();
        for &to in &room.listeners {
            let delivery = RoomDelivery::Entry { epoch, entry: entry.clone() };
            out.push_back(Handing { to, room: id.clone(), delivery });
        }
        let bytes_after = room.log.bytes();
        self.bytes = self.bytes - bytes_before + bytes_after;
        if bytes_before == 0 {
            self.ages.push(Reverse((now_ms, id.clone())));
        }
        while self.bytes > self.retention.bytes_max {
            self.evict_oldest();
        }
    }

    /// Hands an event to everybody who listens, and keeps nothing of it.
    pub(super) fn publish_live(&self, id: &RoomId, event: Event, out: &mut Out) {
        let Some(room) = self.rooms.get(id) else { return };
        let (origin_ms, events) = (event.ts_ms, Arc::from([event]));
        for &to in &room.listeners {
            let delivery = RoomDelivery::Live { origin_ms, events: Arc::clone(&events) };
            out.push_back(Handing { to, room: id.clone(), delivery });
        }
    }

    /// Starts the deliveries of a room to a node.
    pub(super) fn subscribe(&mut self, node: BootId, id: &RoomId, out: &mut Out) {
        let room = self.open(id);
        if !room.listeners.contains(&node) {
            room.listeners.push(node);
        }
        let opened = RoomDelivery::Opened {
            head: room.log.head(),
            recent: room.log.recent(RECENT_ENTRIES_MAX, RECENT_BYTES_MAX),
        };
        let counted = room.counts.iter().filter(|(other, _)| *other != node);
        let counted = counted.map(|&(node, counts)| RoomDelivery::Counts { node, counts });
        for delivery in std::iter::once(opened).chain(counted) {
            out.push_back(Handing { to: node, room: id.clone(), delivery });
        }
    }

    /// Ends the deliveries of a room to a node.
    pub(super) fn unsubscribe(&mut self, node: BootId, id: &RoomId) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.listeners.retain(|listener| *listener != node);
        if room.is_idle() {
            self.forget(id);
        }
    }

    /// Answers what came after a cursor; a node that does not listen is told nothing.
    pub(super) fn fetch(&self, node: BootId, id: &RoomId, after: Cursor, out: &mut Out) {
        let room = self.rooms.get(id).filter(|room| room.listeners.contains(&node));
        let entries = room.and_then(|room| room.log.since(after));
        let delivery = RoomDelivery::Fetched { after, entries };
        out.push_back(Handing { to: node, room: id.clone(), delivery });
    }

    /// Keeps what a node counts, and tells the others who listen. A room that does not exist has
    /// nobody to tell.
    pub(super) fn report(&mut self, node: BootId, id: &RoomId, counts: Counts, out: &mut Out) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        match room.counts.iter_mut().find(|(other, _)| *other == node) {
            Some((_, known)) => *known = counts,
            None => room.counts.push((node, counts)),
        }
        room.tell_others(id, node, &RoomDelivery::Counts { node, counts }, out);
    }

    /// Ends everything of a node that is gone. Its likes stay: nodes that subscribe later learn
    /// of them as counts without viewers.
    pub(super) fn leave(&mut self, node: BootId, out: &mut Out) {
        self.rooms.retain(|id, room| {
            room.listeners.retain(|listener| *listener != node);
            if let Some(at) = room.counts.iter().position(|(other, _)| *other == node) {
                room.tell_others(id, node, &RoomDelivery::NodeGone { node }, out);
                room.counts[at].1.online = 0;
                if room.counts[at].1.likes == 0 {
                    room.counts.swap_remove(at);
                }
            }
            !room.is_idle()
        });
    }

    /// When [`Rooms::expire`] will next find something, or earlier; `None` if nothing is kept.
    pub(super) fn next_expiry_ms(&self) -> Option<u64> {
        self.ages
            .peek()
            .map(|Reverse((oldest_ms, _))| oldest_ms.saturating_add(self.retention.age_ms))
    }

    /// Evicts what is too old.
    pub(super) fn expire(&mut self, now_ms: u64) {
        let age_ms = self.retention.age_ms;
        while self.next_expiry_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            self.evict_from_oldest(|log, _| log.expire(now_ms, age_ms));
        }
    }

    fn evict_oldest(&mut self) {
        self.evict_from_oldest(|log, recorded_ms| {
            // The record may be older than the log's oldest entry: then it is only corrected.
            if log.oldest_ms() == Some(recorded_ms) {
                log.evict_oldest();
            }
        });
    }

    /// Lets the log with the oldest record evict, and renews that record.
    fn evict_from_oldest(&mut self, evict: impl FnOnce(&mut Log, u64)) {
        let Some(Reverse((recorded_ms, id))) = self.ages.pop() else { return };
        let room = self.rooms.get_mut(&id).expect("a room with entries exists");
        self.bytes -= room.log.bytes();
        evict(&mut room.log, recorded_ms);
        self.bytes += room.log.bytes();
        if let Some(oldest_ms) = room.log.oldest_ms() {
            self.ages.push(Reverse((oldest_ms, id)));
        } else if room.is_idle() {
            self.forget(&id);
        }
    }

    /// Forgets an idle room, and gives back the memory of a crowd of rooms that has gone.
    fn forget(&mut self, id: &RoomId) {
        self.rooms.remove(id);
        let (rooms, ages) = (self.rooms.len(), self.ages.len());
        if self.rooms.capacity() > SPARE + 4 * rooms {
            self.rooms.shrink_to(2 * rooms);
            self.ages.shrink_to(2 * ages);
        }
    }

    fn open(&mut self, id: &RoomId) -> &mut Room {
        self.rooms.entry(id.clone()).or_insert_with(|| Room {
            log: Log::new((self.fresh_epoch)()),
            listeners: Vec::new(),
            counts: Vec::new(),
        })
    }
}

impl Room {
    fn is_idle(&self) -> bool {
        self.listeners.is_empty() && self.log.oldest_ms().is_none()
    }

    fn tell_others(&self, id: &RoomId, node: BootId, what: &RoomDelivery, out: &mut Out) {
        for &to in self.listeners.iter().filter(|listener| **listener != node) {
            out.push_back(Handing { to, room: id.clone(), delivery: what.clone() });
        }
    }
}

#[cfg(test)]
mod tests;
