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

    /// Nobody is seated any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.shards.len());
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

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::BootId;

    fn address(shard: u16, slot: u32) -> Address {
        Address { boot: BootId::random([1; 8]), shard, slot, generation: 1 }
    }

    fn seat(form: Form) -> Seat {
        Seat { number: 1, form }
    }

    fn shards(listeners: &Listeners) -> Vec<u16> {
        listeners.shards().collect()
    }

    #[test]
    fn a_shard_listens_while_somebody_sits_on_it() {
        let mut listeners = Listeners::new(3);
        assert!(listeners.is_empty() && shards(&listeners).is_empty());
        listeners.add(address(2, 7), seat(Form::Plain));
        listeners.add(address(2, 8), seat(Form::Plain));
        listeners.add(address(0, 7), seat(Form::Plain));
        assert_eq!(shards(&listeners), [0, 2]);
        assert!(listeners.remove(address(2, 7), seat(Form::Plain)));
        assert_eq!(shards(&listeners), [0, 2]);
        assert!(listeners.remove(address(2, 8), seat(Form::Plain)));
        assert!(listeners.remove(address(0, 7), seat(Form::Plain)));
        assert!(listeners.is_empty() && shards(&listeners).is_empty());
    }

    #[test]
    fn a_form_is_wanted_while_somebody_wants_it() {
        let mut listeners = Listeners::new(2);
        listeners.add(address(0, 1), seat(Form::Plain));
        listeners.add(address(1, 1), seat(Form::Deflated));
        assert!(listeners.wants(Form::Plain) && listeners.wants(Form::Deflated));
        listeners.remove(address(0, 1), seat(Form::Plain));
        assert!(!listeners.wants(Form::Plain) && listeners.wants(Form::Deflated));
    }

    #[test]
    fn nobody_is_counted_twice_or_taken_for_another() {
        let mut listeners = Listeners::new(1);
        let next = Address { generation: 2, ..address(0, 1) };
        let again = Seat { number: 2, form: Form::Plain };
        listeners.add(address(0, 1), seat(Form::Plain));
        listeners.add(address(0, 1), seat(Form::Plain));
        for (address, seat) in [(next, seat(Form::Plain)), (address(0, 1), again)] {
            assert!(!listeners.remove(address, seat));
        }
        assert!(listeners.remove(address(0, 1), seat(Form::Plain)));
        assert!(!listeners.remove(address(0, 1), seat(Form::Plain)));
        assert!(listeners.is_empty() && !listeners.wants(Form::Plain));
    }
}
