//! The connection map of one shard: clients by slot, each slot with a generation.

use std::time::Duration;

use protocol::ids::{Address, BootId, UserId};
use slab::Slab;
use smallvec::SmallVec;

use crate::client::Seat;
use crate::client::outbox::Outbox;
use crate::now::Now;
use crate::shard::ClientSink;

/// A client as its shard holds it: about a hundred bytes while it reads.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) generation: u32,
    pub(crate) sink: ClientSink,
    pub(crate) user: UserId,
    pub(crate) outbox: Outbox,
    pub(crate) seats: SmallVec<[SeatAt; 1]>,
    /// When something was last written to it, in seconds.
    pub(crate) sent_s: u32,
    pub(crate) life: Life,
    /// The second of its next look; entries of the wheel for earlier ones are left over.
    pub(crate) look_s: u32,
    /// When its token ends, in seconds since 1970; [`NEVER_S`] without one.
    pub(crate) expires_s: u32,
}

/// After the last second that is counted: in the year 2106.
pub(crate) const NEVER_S: u32 = u32::MAX;

/// Whether a client is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// A ping went out at this second, and nothing was heard since.
    Pinged(u32),
    /// It was told to go; at this second its socket is closed for it.
    Closing(u32),
}

/// Where a client sits in a room of this shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeatAt {
    pub(crate) room: u32,
    pub(crate) seat: Seat,
    /// Its position among the members; `None` while the hub's answer is awaited.
    pub(crate) position: Option<u32>,
}

/// Clients by slot.
#[derive(Debug)]
pub(crate) struct Clients {
    boot: BootId,
    shard: u16,
    slab: Slab<Client>,
    /// How many clients have sat in each slot.
    generations: Vec<u32>,
}

impl Clients {
    pub(crate) fn new(boot: BootId, shard: u16) -> Self {
        Self { boot, shard, slab: Slab::new(), generations: Vec::new() }
    }

    pub(crate) fn attach(&mut self, sink: ClientSink, user: UserId, now_s: u32) -> Address {
        let entry = self.slab.vacant_entry();
        let slot = entry.key();
        if slot == self.generations.len() {
            self.generations.push(0);
        }
        self.generations[slot] = self.generations[slot].wrapping_add(1);
        let generation = self.generations[slot];
        entry.insert(Client {
            generation,
            sink,
            user,
            outbox: Outbox::default(),
            seats: SmallVec::new(),
            sent_s: now_s,
            life: Life::Open,
            look_s: now_s,
            expires_s: NEVER_S,
        });
        let slot = u32::try_from(slot).expect("a process has fewer than 2^32 sockets");
        Address { boot: self.boot, shard: self.shard, slot, generation }
    }

    pub(crate) fn detach(&mut self, address: Address) -> Option<Client> {
        self.get(address)?;
        Some(self.slab.remove(address.slot as usize))
    }

    /// The client at an address, unless it has gone.
    pub(crate) fn get(&mut self, address: Address) -> Option<&mut Client> {
        if address.boot != self.boot || address.shard != self.shard {
            return None;
        }
        self.at(address.slot, address.generation)
    }

    /// The client in a slot, unless that is another one by now.
    pub(crate) fn at(&mut self, slot: u32, generation: u32) -> Option<&mut Client> {
        self.slab.get_mut(slot as usize).filter(|client| client.generation == generation)
    }

    /// The client in a slot that is known to be taken, such as a member's.
    pub(crate) fn seated(&mut self, slot: u32) -> Option<&mut Client> {
        self.slab.get_mut(slot as usize)
    }

    /// The address of the client in a slot, and its seat in a room of which it is a member.
    pub(crate) fn seat_in(&self, slot: u32, room: u32) -> Option<(Address, Seat)> {
        let client = self.slab.get(slot as usize)?;
        let is_it = |seat: &&SeatAt| seat.room == room && seat.position.is_some();
        let seat = client.seats.iter().find(is_it)?.seat;
        let (boot, shard, generation) = (self.boot, self.shard, client.generation);
        Some((Address { boot, shard, slot, generation }, seat))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Client)> {
        self.slab.iter_mut().map(|(slot, client)| (slot as u32, client))
    }
}

impl Client {
    /// The second of the monotonic clock in which its token ends.
    pub(crate) fn ends_s(&self, now: Now) -> u32 {
        let left_ms = (u64::from(self.expires_s) * 1000).saturating_sub(now.unix_ms);
        let ends = now.mono.saturating_add(Duration::from_millis(left_ms));
        u32::try_from(ends.as_secs()).unwrap_or(u32::MAX)
    }

    /// Whether something that it has asked for is under way.
    pub(crate) fn is_owed(&self) -> bool {
        self.sink.is_owed() || self.seats.iter().any(|seat| seat.position.is_none())
    }

    /// Notes where this client sits in a room after others have left it.
    pub(crate) fn moved(&mut self, room: u32, position: usize) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.room == room) {
            seat.position = Some(position as u32);
        }
    }
}
