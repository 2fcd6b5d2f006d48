//! Who is seated in a room, which shards they sit on, and in which forms they want its frames.

use ahash::AHashSet;
use protocol::ids::Address;

use crate::client::{Form, Seat};

/// The seated clients of a room: about 20 bytes each, and counts per shard and form.
#[derive(Debug)]
pub(crate) struct Listeners {
    seated: AHashSet<Key>,
    shards: Vec<[u32; Form::ALL.len()]>,
}

/// An address of this node without its boot id, and the seat: all that tells clients apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    slot: u32,
    generation: u32,
    shard: u16,
    seat: Seat,
}

impl Key {
    fn new(address: Address, seat: Seat) -> Self {
        let Address { shard, slot, generation, .. } = address;
        Self { slot, generation, shard, seat }
    }
}

impl Listeners {
    pub(crate) fn new(shards: usize) -> Self {
        Self { seated: AHashSet::new(), shards: vec![[0; Form::ALL.len()]; shards] }
    }

    pub(crate) fn add(&mut self, address: Address, seat: Seat) {
        if self.seated.insert(Key::new(address, seat)) {
            self.shards[usize::from(address.shard)][seat.form as usize] += 1;
        }
    }

    /// Whether they were seated.
    pub(crate) fn remove(&mut self, address: Address, seat: Seat) -> bool {
        let seated = self.seated.remove(&Key::new(address, seat));
        if seated {
            self.shards[usize::from(address.shard)][seat.form as usize] -= 1;
        }
        seated
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seated.is_empty()
    }

    /// The shards that have at least one listener.
    pub(crate) fn shards(&self) -> impl Iterator<Item = u16> + '_ {
        let listening = self.shards.iter().enumerate().filter(|(_, f)| f.iter().any(|n| *n > 0));
        listening.map(|(shard, _)| u16::try_from(shard).expect("a shard's number is a u16"))
    }

    /// Whether anybody wants frames in this form.
    pub(crate) fn wants(&self, form: Form) -> bool {
        self.shards.iter().any(|forms| forms[form as usize] > 0)
    }
}
