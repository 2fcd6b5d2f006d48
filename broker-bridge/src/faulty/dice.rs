//! Decisions by seed: the same seed and the same question give the same answer, in any order.

use protocol::cursor::Seq;
use protocol::ids::RoomId;

/// A stream of numbers that looks random (splitmix64: Steele, Lea and Flood, "Fast Splittable
/// Pseudorandom Number Generators", OOPSLA 2014).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice that decide what happens to an entry.
    pub(super) fn for_entry(seed: u64, room: &RoomId, seq: Seq) -> Self {
        Self(mix(seed ^ room.stable_hash()) ^ mix(seq))
    }

    /// The dice that decide what happens to the nth verb.
    pub(super) fn for_verb(seed: u64, nth: u64) -> Self {
        Self(mix(!seed) ^ mix(nth))
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(super) fn happens(&mut self, permille: u16) -> bool {
        self.roll() % 1_000 < u64::from(permille)
    }

    /// A number from 0 up to and including `max`.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        // `max` is small against 2^64: the bias towards low numbers is beyond notice.
        self.roll() % max.saturating_add(1)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_permille_is_always_and_none_is_never() {
        for nth in 0..1_000 {
            assert!(Dice::for_verb(1, nth).happens(1_000));
            assert!(!Dice::for_verb(1, nth).happens(0));
        }
    }

    #[test]
    fn what_happens_ten_times_in_a_hundred_does_so() {
        let happened = (0..10_000).filter(|nth| Dice::for_verb(7, *nth).happens(100)).count();
        assert!((900..=1_100).contains(&happened), "{happened}");
    }

    #[test]
    fn rooms_and_numbers_and_seeds_are_told_apart() {
        let rolls = |seed, room: &str, seq| {
            let mut dice = Dice::for_entry(seed, &RoomId::internal(room), seq);
            (dice.roll(), dice.roll())
        };
        let one = rolls(1, "a", 1);
        assert_eq!(one, rolls(1, "a", 1));
        for other in [rolls(2, "a", 1), rolls(1, "b", 1), rolls(1, "a", 2)] {
            assert_ne!(one, other);
        }
    }
}
