//! What is known of rooms' settings: a snapshot that is read, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ahash::AHashMap;
use arc_swap::ArcSwap;
use broker_bridge::{Broker, Busy, PendingAck};
use protocol::event::Event;
use protocol::ids::RoomId;
use protocol::refusal::{Code, Refusal};
use tokio::sync::watch;

use crate::hub::HubRules;
use crate::room::RoomSettings;
use crate::settings::OwnSettings;

/// The snapshot is in so many parts: a change copies one of them, a few hundred rooms where
/// 100,000 have settings.
const PARTS: u64 = 256;

const NO_SUCH_ROOM: Refusal =
    Refusal::new(Code::NoSuchRoom, "rooms are created before they are used, and this one was not");
const STARTING: Refusal = Refusal::until(
    Code::Unavailable,
    "this gateway does not know its rooms yet; try again",
    Duration::from_secs(1),
);

/// What is known of rooms' settings; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct KnownRooms(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: HubRules,
    parts: Box<[ArcSwap<AHashMap<RoomId, OwnSettings>>]>,
    count: AtomicUsize,
    is_complete: AtomicBool,
    /// Tells those who can wait that something has changed.
    changes: watch::Sender<()>,
}

/// Why an event was not published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unpublished {
    /// Not into this room, or not now.
    Refused(Refusal),
    /// The broker's queue is full.
    Busy,
}

impl KnownRooms {
    /// Nothing is known yet: nobody is let in.
    pub(crate) fn new(rules: HubRules) -> Self {
        let parts = (0..PARTS).map(|_| ArcSwap::default()).collect();
        let (count, is_complete) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (changes, _) = watch::channel(());
        Self(Arc::new(Shared { rules, parts, count, is_complete, changes }))
    }

    /// What a room has set itself; `None` if it has no settings.
    pub(crate) fn own(&self, room: &RoomId) -> Option<OwnSettings> {
        self.part(room).load().get(room).copied()
    }

    /// What a room goes by.
    pub(crate) fn of(&self, room: &RoomId) -> RoomSettings {
        self.own(room).unwrap_or_default().over(self.0.rules.room)
    }

    /// Whether a room may be used.
    ///
    /// # Errors
    /// The refusal: it has not been created although rooms must be, or nobody can know yet.
    pub(crate) fn admit(&self, room: &RoomId) -> Result<(), Refusal> {
        self.usable(room).map(drop)
    }

    /// Publishes an event as its room wants it: into the log, or past it.
    ///
    /// # Errors
    /// [`Unpublished`]: nothing was accepted.
    pub(crate) fn publish(
        &self,
        broker: &dyn Broker,
        room: &RoomId,
        event: Event,
    ) -> Result<PendingAck, Unpublished> {
        let settings = self.usable(room).map_err(Unpublished::Refused)?;
        let published = match settings.ephemeral {
            true => broker.publish_live(room, event),
            false => broker.publish(room, event),
        };
        published.map_err(|Busy| Unpublished::Busy)
    }

    fn usable(&self, room: &RoomId) -> Result<RoomSettings, Refusal> {
        if !self.is_complete() {
            return Err(STARTING);
        }
        let own = self.own(room);
        if self.0.rules.created_only && own.is_none() {
            return Err(NO_SUCH_ROOM);
        }
        Ok(own.unwrap_or_default().over(self.0.rules.room))
    }

    /// How many rooms have settings.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Whether everything that was kept when this gateway started is known.
    fn is_complete(&self) -> bool {
        self.0.is_complete.load(Ordering::Acquire)
    }

    /// Everything is known.
    pub(crate) fn complete(&self) {
        self.0.is_complete.store(true, Ordering::Release);
        self.0.changes.send_replace(());
    }

    /// Notes what a room has set itself. For one task alone: of two at a time, one would be lost.
    pub(super) fn keep(&self, room: RoomId, own: Option<OwnSettings>) {
        let part = self.part(&room);
        let mut rooms = AHashMap::clone(&part.load());
        let before = rooms.len();
        match own {
            Some(own) => rooms.insert(room, own),
            None => rooms.remove(&room),
        };
        let after = rooms.len();
        part.store(Arc::new(rooms));
        self.0.count.store(self.count() + after - before, Ordering::Relaxed);
        self.0.changes.send_replace(());
    }

    /// Waits until everything is known.
    pub(crate) async fn completed(&self) {
        self.until(|| self.is_complete()).await;
    }

    /// Waits until a room has these settings of its own.
    pub(crate) async fn have(&self, room: &RoomId, own: Option<OwnSettings>) {
        self.until(|| self.own(room) == own).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        let mut changes = self.0.changes.subscribe();
        // The sender lives as long as this does.
        let _ = changes.wait_for(|()| holds()).await;
    }

    fn part(&self, room: &RoomId) -> &ArcSwap<AHashMap<RoomId, OwnSettings>> {
        &self.0.parts[(room.stable_hash() % PARTS) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    fn tick(tick_ms: u32) -> Option<OwnSettings> {
        Some(OwnSettings { tick_ms: Some(tick_ms), ..OwnSettings::default() })
    }

    #[test]
    fn a_room_goes_by_its_own_settings_until_they_are_gone() {
        let known = KnownRooms::new(HubRules::default());
        let other = known.of(&room("other"));
        known.keep(room("demo"), tick(100));
        assert_eq!((known.of(&room("demo")).tick_ms, known.count()), (100, 1));
        known.keep(room("demo"), tick(200));
        assert_eq!((known.own(&room("demo")), known.count()), (tick(200), 1));
        assert_eq!(known.of(&room("other")), other);
        known.keep(room("demo"), None);
        known.keep(room("demo"), None);
        assert_eq!((known.of(&room("demo")), known.count()), (other, 0));
    }

    #[test]
    fn many_rooms_are_counted() {
        let known = KnownRooms::new(HubRules::default());
        (0..2_000).for_each(|n| known.keep(room(&n.to_string()), tick(n + 1)));
        assert_eq!(known.count(), 2_000);
        assert!((0..2_000).all(|n| known.of(&room(&n.to_string())).tick_ms == n + 1));
    }

    #[test]
    fn nobody_is_let_in_before_everything_is_known() {
        let known = KnownRooms::new(HubRules::default());
        assert_eq!(known.admit(&room("demo")), Err(STARTING));
        known.complete();
        assert_eq!(known.admit(&room("demo")), Ok(()));
    }

    #[test]
    fn where_rooms_must_be_created_those_with_settings_are() {
        let rules = HubRules { created_only: true, ..HubRules::default() };
        let known = KnownRooms::new(rules);
        known.complete();
        assert_eq!(known.admit(&room("demo")), Err(NO_SUCH_ROOM));
        known.keep(room("demo"), Some(OwnSettings::default()));
        assert_eq!(known.admit(&room("demo")), Ok(()));
        known.keep(room("demo"), None);
        assert_eq!(known.admit(&room("demo")), Err(NO_SUCH_ROOM));
    }

    #[tokio::test]
    async fn whoever_waits_for_settings_gets_them() {
        let known = KnownRooms::new(HubRules::default());
        let (also, demo) = (known.clone(), room("demo"));
        let waiting = tokio::spawn(async move {
            also.completed().await;
            also.have(&demo, tick(7)).await;
        });
        tokio::task::yield_now().await;
        known.complete();
        known.keep(room("demo"), tick(7));
        waiting.await.unwrap();
        known.have(&room("other"), None).await;
    }
}
