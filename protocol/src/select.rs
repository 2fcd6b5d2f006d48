//! Who is left out: a room's budget and the choice of the events that are sent.
//!
//! Every gateway makes the same choice from the same events without talking to the others,
//! because the rank of an event depends on nothing but the event: class, then weight, then
//! [`EventId::lot`]. A smaller budget selects a prefix of what a larger one selects.

use std::cmp::Reverse;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::event::{Class, Event};
use crate::ids::EventId;
use crate::limits::HELD_EVENTS_MAX;

/// How many events of a room are sent, per slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Chat and ambient events together.
    pub chat: usize,
    /// What is added for the classes above chat; chat cannot use it, they can use chat's.
    pub higher: usize,
}

impl Budget {
    /// Sends everything.
    pub const UNLIMITED: Self = Self { chat: usize::MAX / 2, higher: usize::MAX / 2 };

    /// Scales a budget per second to a slot of the given length; at least one each.
    pub fn per_slot(self, tick_ms: u32) -> Self {
        let scale = |per_second: usize| {
            let scaled = (per_second as u128 * u128::from(tick_ms)).div_ceil(1000);
            usize::try_from(scaled).unwrap_or(usize::MAX / 2).clamp(1, usize::MAX / 2)
        };
        Self { chat: scale(self.chat), higher: scale(self.higher) }
    }

    fn total(self) -> usize {
        self.chat + self.higher
    }
}

/// What becomes of an event at the end of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the batch.
    Sent,
    /// It is counted in `left_out`.
    LeftOut,
    /// It is paid for and the slot is full: it goes out in one of the next slots.
    Held,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its class.
    pub class: Class,
    /// Its weight.
    pub weight: u8,
    /// Its id.
    pub id: EventId,
}

impl From<&Event> for Candidate {
    fn from(event: &Event) -> Self {
        Self { class: event.class, weight: event.weight, id: event.id }
    }
}

/// Decides the fate of a slot's events (given in log order; fates come in the same order).
///
/// The budget is filled from the highest class down: control and moderation always, paid in log
/// order, staff, then chat and ambient by rank within their own share. Held events of earlier
/// slots are to be put in front. No more than [`HELD_EVENTS_MAX`] are held: what is paid beyond
/// that goes out over the budget.
pub fn select(candidates: &[Candidate], budget: Budget) -> Vec<Fate> {
    let mut fates = vec![Fate::Sent; candidates.len()];
    if candidates.len() <= budget.chat {
        return fates;
    }
    let mut ranked: Vec<(Class, Reverse<u8>, u64, usize)> = Vec::new();
    let unconditional =
        candidates.iter().filter(|c| matches!(c.class, Class::Control | Class::Moderation)).count();
    let mut left = budget.total().saturating_sub(unconditional);
    let paid = candidates.iter().filter(|c| c.class == Class::Paid).count();
    let mut paid_left = left.min(paid).max(paid.saturating_sub(HELD_EVENTS_MAX));
    left = left.saturating_sub(paid_left);
    for (at, candidate) in candidates.iter().enumerate() {
        match candidate.class {
            Class::Control | Class::Moderation => {}
            Class::Paid if paid_left > 0 => paid_left -= 1,
            Class::Paid => fates[at] = Fate::Held,
            Class::Staff | Class::Chat | Class::Ambient => {
                ranked.push((candidate.class, Reverse(candidate.weight), candidate.id.lot(), at));
            }
        }
    }
    ranked.sort_unstable();
    let staff = ranked.iter().filter(|r| r.0 == Class::Staff).count().min(left);
    let rest = (left - staff).min(budget.chat);
    let mut staff_left = staff;
    let mut rest_left = rest;
    for (class, _, _, at) in ranked {
        let share = if class == Class::Staff { &mut staff_left } else { &mut rest_left };
        if *share == 0 {
            fates[at] = Fate::LeftOut;
        } else {
            *share -= 1;
        }
    }
    fates
}

/// How many events of each class were left out. On the wire `{class: count}`, zeros omitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut([u32; Class::ALL.len()]);

impl LeftOut {
    /// Counts one more.
    pub fn add(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// How many in all.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// The counts by class, zeros omitted.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u32)> + '_ {
        Class::ALL.into_iter().map(|c| (c, self.0[c as usize])).filter(|(_, count)| *count > 0)
    }
}

impl Serialize for LeftOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (class, count) in self.iter() {
            map.serialize_entry(class.text(), &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(class: Class, weight: u8, n: u64) -> Candidate {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Candidate { class, weight, id: EventId::random(bytes) }
    }

    fn sent(candidates: &[Candidate], budget: Budget) -> Vec<usize> {
        let fates = select(candidates, budget);
        (0..candidates.len()).filter(|at| fates[*at] == Fate::Sent).collect()
    }

    const SMALL: Budget = Budget { chat: 3, higher: 2 };

    #[test]
    fn a_quiet_slot_is_sent_whole() {
        let quiet: Vec<_> = (0..3).map(|n| candidate(Class::Ambient, 0, n)).collect();
        assert_eq!(select(&quiet, SMALL), [Fate::Sent; 3]);
    }

    #[test]
    fn ambient_goes_first_and_heavier_chat_stays() {
        let slot = [
            candidate(Class::Ambient, 255, 0),
            candidate(Class::Chat, 1, 1),
            candidate(Class::Chat, 9, 2),
            candidate(Class::Chat, 5, 3),
            candidate(Class::Chat, 7, 4),
        ];
        assert_eq!(sent(&slot, SMALL), [2, 3, 4]);
    }

    #[test]
    fn moderation_is_never_left_out_even_far_above_the_budget() {
        let slot: Vec<_> = (0..50).map(|n| candidate(Class::Moderation, 0, n)).collect();
        assert_eq!(sent(&slot, SMALL).len(), 50);
    }

    #[test]
    fn paid_beyond_the_whole_budget_is_held_in_order_and_never_left_out() {
        let slot: Vec<_> = (0..8).map(|n| candidate(Class::Paid, 0, n)).collect();
        let fates = select(&slot, SMALL);
        assert_eq!(fates[..5], [Fate::Sent; 5]);
        assert_eq!(fates[5..], [Fate::Held; 3]);
    }

    #[test]
    fn more_is_not_held_than_a_room_may_hold_and_the_oldest_go_first() {
        let slot: Vec<_> =
            (0..HELD_EVENTS_MAX as u64 + 8).map(|n| candidate(Class::Paid, 0, n)).collect();
        let fates = select(&slot, SMALL);
        assert_eq!(fates[..8], [Fate::Sent; 8]);
        assert!(fates[8..].iter().all(|fate| *fate == Fate::Held));
        let fates = select(&slot[4..], SMALL);
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Sent).count(), 5, "the budget");
        let mut slot = slot;
        slot.push(candidate(Class::Staff, 0, 9_999));
        assert_eq!(select(&slot, SMALL).last(), Some(&Fate::LeftOut), "the budget is used up");
    }

    #[test]
    fn chat_cannot_use_the_share_of_higher_classes() {
        let slot: Vec<_> = (0..9).map(|n| candidate(Class::Chat, 0, n)).collect();
        assert_eq!(sent(&slot, SMALL).len(), 3);
        let mut slot = slot;
        slot.extend((0..2).map(|n| candidate(Class::Staff, 0, 100 + n)));
        assert_eq!(sent(&slot, SMALL).len(), 5);
    }

    #[test]
    fn a_budget_per_second_is_scaled_by_the_tick() {
        let budget = Budget { chat: 40, higher: 10 };
        assert_eq!(budget.per_slot(1000), budget);
        assert_eq!(budget.per_slot(250), Budget { chat: 10, higher: 3 });
        assert_eq!(budget.per_slot(1), Budget { chat: 1, higher: 1 });
        assert_eq!(Budget::UNLIMITED.per_slot(60_000), Budget::UNLIMITED);
    }

    fn any_slot() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::vec((0usize..6, any::<u8>()), 0..200).prop_map(|slot| {
            let made = slot.into_iter().enumerate();
            made.map(|(n, (class, weight))| candidate(Class::ALL[class], weight, n as u64))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_smaller_budget_selects_a_subset(slot in any_slot(), chat in 1usize..50, higher in 1usize..20,
            less_chat in 0usize..50, less_higher in 0usize..20)
        {
            let large = Budget { chat, higher };
            let small = Budget {
                chat: chat.saturating_sub(less_chat).max(1),
                higher: higher.saturating_sub(less_higher).max(1),
            };
            let large = sent(&slot, large);
            prop_assert!(sent(&slot, small).iter().all(|at| large.contains(at)));
        }

        #[test]
        fn the_choice_does_not_depend_on_order_of_arrival(slot in any_slot(), seed: u64) {
            let budget = Budget { chat: 10, higher: 5 };
            // Paid goes by log order, which is the same everywhere; all else goes by rank.
            let slot: Vec<_> = slot.into_iter().filter(|c| c.class != Class::Paid).collect();
            let mut shuffled = slot.clone();
            shuffled.sort_by_key(|c| c.id.lot() ^ seed);
            let ids = |slot: &[Candidate]| {
                let mut ids: Vec<_> = sent(slot, budget).iter().map(|at| slot[*at].id).collect();
                ids.sort();
                ids
            };
            prop_assert_eq!(ids(&slot), ids(&shuffled));
        }

        #[test]
        fn only_paid_is_held_and_paid_control_and_moderation_are_never_left_out(slot in any_slot()) {
            for (candidate, fate) in slot.iter().zip(select(&slot, SMALL)) {
                match fate {
                    Fate::Held => prop_assert_eq!(candidate.class, Class::Paid),
                    Fate::LeftOut => prop_assert!(candidate.class >= Class::Staff),
                    Fate::Sent => {}
                }
            }
        }
    }
}
