//! Who sits in a room on one shard, in an order that a flush can pause in.
//!
//! A flush walks the members from the front, a few at a time; somebody may leave in between.
//! Members that were served stay in front of those that were not, so nobody is served twice or
//! passed over. Nobody is seated while a flush is under way.

use protocol::cursor::{Bookmark, Seq};

use crate::client::Form;

/// A member: the slot it sits in, the form in which it wants batches, and the place in the room
/// up to which it was told. 16 bytes: a flush walks over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) slot: u32,
    pub(crate) form: Form,
    /// How many paid events are still to come, modulo 2¹⁶: slots of nothing but such events move
    /// no entry, and leave fewer.
    held: u16,
    entry: Seq,
}

const _: () = assert!(size_of::<Member>() == 16);

impl Member {
    /// A member that was told up to there.
    pub(crate) fn at(told: Bookmark, slot: u32, form: Form) -> Self {
        Self { slot, form, held: told.held() as u16, entry: told.at.seq }
    }

    /// Whether it was told up to there, and no further.
    pub(crate) fn stands_at(&self, place: Bookmark) -> bool {
        self.entry == place.at.seq && self.held == place.held() as u16
    }

    /// It is told up to there.
    pub(crate) fn goes_to(&mut self, place: Bookmark) {
        *self = Self::at(place, self.slot, self.form);
    }

    /// Whether it was not told all up to there.
    pub(crate) fn is_behind(&self, place: Bookmark) -> bool {
        let is_owed = self.entry == place.at.seq && self.held > place.held() as u16;
        self.entry < place.at.seq || is_owed
    }
}

/// The members of one room on one shard.
#[derive(Debug, Default)]
pub(crate) struct Members {
    list: Vec<Member>,
    served: usize,
}

impl Members {
    /// Seats a member; returns its position.
    pub(crate) fn seat(&mut self, member: Member) -> usize {
        debug_assert_eq!(self.served, 0, "nobody is seated while a flush is under way");
        self.list.push(member);
        self.list.len() - 1
    }

    /// Removes the member at a position. `moved(slot, position)` is told of every other member
    /// whose position changes (at most two).
    pub(crate) fn remove(&mut self, position: usize, mut moved: impl FnMut(u32, usize)) {
        let mut hole = position;
        if hole < self.served {
            // The last one served fills the hole, and the hole moves to the border.
            self.served -= 1;
            if hole != self.served {
                self.list.swap(hole, self.served);
                moved(self.list[hole].slot, hole);
            }
            hole = self.served;
        }
        self.list.swap_remove(hole);
        if let Some(member) = self.list.get(hole) {
            moved(member.slot, hole);
        }
    }

    /// The slot of the last member.
    pub(crate) fn last(&self) -> Option<u32> {
        self.list.last().map(|member| member.slot)
    }

    /// The next members to serve, at most `count`; empty when all have been served.
    pub(crate) fn serve(&mut self, count: usize) -> &mut [Member] {
        let from = self.served;
        self.served = (from + count).min(self.list.len());
        &mut self.list[from..self.served]
    }

    /// Whether the flush has reached the end; if so the next one starts from the front.
    pub(crate) fn finish_if_served(&mut self) -> bool {
        let done = self.served == self.list.len();
        if done {
            self.served = 0;
        }
        done
    }

    /// Whether a flush is under way: some have been served, and others not.
    pub(crate) fn is_being_served(&self) -> bool {
        self.served > 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::cursor::{Cursor, Epoch};
    use std::collections::HashMap;

    fn member(slot: u32) -> Member {
        let told = Cursor { epoch: Epoch::random([7; 8]), seq: 0 };
        Member::at(told.into(), slot, Form::Plain)
    }

    fn seated(count: u32) -> (Members, HashMap<u32, usize>) {
        let mut members = Members::default();
        let positions = (0..count).map(|slot| (slot, members.seat(member(slot)))).collect();
        (members, positions)
    }

    #[test]
    fn a_flush_pauses_and_goes_on() {
        let (mut members, _) = seated(5);
        assert_eq!(members.serve(3).iter().map(|m| m.slot).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(!members.finish_if_served());
        assert_eq!(members.serve(3).iter().map(|m| m.slot).collect::<Vec<_>>(), [3, 4]);
        assert!(members.finish_if_served());
        assert_eq!(members.serve(9).len(), 5);
    }

    proptest! {
        #[test]
        fn everybody_who_stays_is_served_once_whoever_leaves_in_between(
            count in 1u32..40, steps in prop::collection::vec((1usize..6, 0u32..40), 1..60)
        ) {
            let (mut members, mut positions) = seated(count);
            let mut served: HashMap<u32, usize> = HashMap::new();
            for (chunk, leaver) in steps {
                members.serve(chunk).iter().for_each(|m| *served.entry(m.slot).or_default() += 1);
                if let Some(position) = positions.remove(&leaver) {
                    members.remove(position, |slot, position| { positions.insert(slot, position); });
                }
                for (slot, position) in &positions {
                    prop_assert_eq!(members.list[*position].slot, *slot);
                }
            }
            while !members.finish_if_served() {
                members.serve(7).iter().for_each(|m| *served.entry(m.slot).or_default() += 1);
            }
            prop_assert!(positions.keys().all(|slot| served.get(slot) == Some(&1)));
            prop_assert!(served.values().all(|times| *times == 1));
        }
    }
}
