//! How a room changes its settings: at the end of the running slot, which every gateway that has
//! heard of the change by then reaches in the same instant.

use std::time::Duration;

use protocol::slot::SlotClock;
use protocol::to_client::Settings;

use crate::now::Now;
use crate::room::log::Log;
use crate::room::slots::Slots;
use crate::room::{Room, RoomSettings};

/// The settings in force, and those to come.
#[derive(Debug)]
pub(super) struct InForce {
    present: RoomSettings,
    next: Option<Next>,
    /// Whether members have not been told of the present ones.
    untold: bool,
}

/// Settings that are in force from the end of a slot on.
#[derive(Debug)]
struct Next {
    settings: RoomSettings,
    /// That end, in milliseconds since 1970.
    at_ms: u64,
}

impl InForce {
    pub(super) fn new(settings: RoomSettings) -> Self {
        Self { present: settings, next: None, untold: false }
    }

    pub(super) fn present(&self) -> RoomSettings {
        self.present
    }

    /// Whether members have not been told of the present ones.
    pub(super) fn is_untold(&self) -> bool {
        self.untold
    }

    /// Everybody has learned of the present ones, or nobody is here.
    pub(super) fn all_told(&mut self) {
        self.untold = false;
    }

    /// What members are to be told now.
    pub(super) fn tell(&mut self) -> Option<Settings> {
        std::mem::take(&mut self.untold).then(|| self.present.told())
    }
}

impl Room {
    /// The room is to go by these settings.
    pub(crate) fn set(&mut self, settings: RoomSettings, now: Now) {
        let Some(log) = &self.log else {
            self.settings = InForce::new(settings);
            return;
        };
        let end_ms = log.slot_end_ms(now.unix_ms);
        let in_force = &mut self.settings;
        // Whoever changes them again and again does not put the first change off.
        let at_ms = in_force.next.as_ref().map_or(end_ms, |next| next.at_ms.min(end_ms));
        let is_change = settings != in_force.present;
        in_force.next = is_change.then_some(Next { settings, at_ms });
    }

    /// When the next settings come into force, on the monotonic clock.
    pub(super) fn settings_due(&self, log: &Log, now: Now) -> Option<Duration> {
        Some(now.mono_at(self.settings_due_ms(log, now)?))
    }

    fn settings_due_ms(&self, log: &Log, now: Now) -> Option<u64> {
        let next = self.settings.next.as_ref()?;
        // The one that was noted is the later one only if the clock was set back.
        let at_ms = next.at_ms.min(log.slot_end_ms(now.unix_ms));
        // As late as the slot that ends there.
        Some(at_ms.saturating_add(self.grace_ms))
    }

    /// Notes anew when the next settings come, in case the clock was set back.
    pub(super) fn note_settings(&mut self, now: Now) {
        if let (Some(next), Some(log)) = (&mut self.settings.next, &self.log) {
            next.at_ms = next.at_ms.min(log.slot_end_ms(now.unix_ms));
        }
    }

    /// Puts settings into force whose time has come; what is open is not cut by them yet.
    pub(super) fn take_settings(&mut self, now: Now) -> bool {
        let due_ms = self.log.as_ref().and_then(|log| self.settings_due_ms(log, now));
        if due_ms.is_none_or(|due_ms| due_ms > now.unix_ms) {
            return false;
        }
        let Some(Next { settings, .. }) = self.settings.next.take() else { return false };
        self.settings.present = settings;
        self.settings.untold = !self.listeners.is_empty();
        true
    }

    /// Cuts what is open, and what comes, by the present settings.
    pub(super) fn recut(&mut self, now: Now) {
        let (clock, settings) = (self.clock(), self.settings.present);
        if let Some(log) = &mut self.log {
            log.recut(clock, settings.budget.per_slot(settings.tick_ms), now.unix_ms);
        }
    }

    /// Slots by the present settings.
    pub(super) fn slots(&self) -> Slots {
        let settings = self.settings.present;
        let budget = settings.budget.per_slot(settings.tick_ms);
        Slots::new(self.clock(), budget, self.grace_ms)
    }

    fn clock(&self) -> SlotClock {
        SlotClock::new(&self.id, self.settings.present.tick_ms)
    }
}

impl RoomSettings {
    /// What viewers are told of them.
    pub(crate) fn told(self) -> Settings {
        let Self { tick_ms, budget, history_events, ephemeral } = self;
        Settings {
            tick_ms,
            chat_per_s: count(budget.chat),
            higher_per_s: count(budget.higher),
            history_events: count(history_events),
            ephemeral,
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
