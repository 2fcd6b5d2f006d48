//! When a batch goes out: the slots of a room's clock.
//!
//! `slot = floor((unix_ms − phase) / tick_ms)` with `phase = xxh3(room) mod tick_ms`: equal on
//! every gateway, and spread over the rooms so that they do not all flush in the same instant.

use crate::ids::RoomId;

/// The number of a slot of one room's clock.
pub type Slot = u64;

/// The clock of one room: its tick length and its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotClock {
    tick_ms: u64,
    phase_ms: u64,
}

impl SlotClock {
    /// The clock of a room with the given tick.
    ///
    /// # Panics
    /// If the tick is zero; the configuration does not allow it.
    pub fn new(room: &RoomId, tick_ms: u32) -> Self {
        assert!(tick_ms > 0, "a tick lasts at least a millisecond");
        let tick_ms = u64::from(tick_ms);
        Self { tick_ms, phase_ms: room.stable_hash() % tick_ms }
    }

    /// The length of a slot, in milliseconds.
    pub fn tick_ms(self) -> u64 {
        self.tick_ms
    }

    /// The slot that a moment (milliseconds since 1970) belongs to.
    pub fn slot_of(self, unix_ms: u64) -> Slot {
        // The phase is below one tick, so moments of the first tick of 1970 share slot 0.
        unix_ms.saturating_sub(self.phase_ms) / self.tick_ms
    }

    /// The first moment (milliseconds since 1970) after a slot.
    pub fn end_of(self, slot: Slot) -> u64 {
        slot.saturating_add(1).saturating_mul(self.tick_ms).saturating_add(self.phase_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_room_has_the_same_clock_on_every_node() {
        let room = RoomId::parse("demo").unwrap();
        assert_eq!(SlotClock::new(&room, 1000), SlotClock::new(&room.clone(), 1000));
        assert_eq!(SlotClock::new(&room, 1000).phase_ms, room.stable_hash() % 1000);
    }

    #[test]
    fn rooms_do_not_all_flush_in_the_same_instant() {
        let phases: std::collections::HashSet<u64> = (0..1000)
            .map(|n| SlotClock::new(&RoomId::parse(&format!("room-{n}")).unwrap(), 1000).phase_ms)
            .collect();
        assert!(phases.len() > 500, "{} different phases of 1000 rooms", phases.len());
    }

    proptest! {
        #[test]
        fn a_moment_is_before_the_end_of_its_slot_and_not_before_the_end_of_the_last(
            unix_ms in 10_000_000u64..4_000_000_000_000, tick_ms in 1u32..60_000, name in "[a-z]{1,8}"
        ) {
            let clock = SlotClock::new(&RoomId::parse(&name).unwrap(), tick_ms);
            let slot = clock.slot_of(unix_ms);
            prop_assert!(unix_ms < clock.end_of(slot));
            prop_assert!(unix_ms >= clock.end_of(slot - 1));
        }
    }
}
