//! Which keyed events a room has lately had, so that a retry through another gateway shows once.

use std::collections::VecDeque;

use ahash::AHashSet;
use broker_bridge::Entry;
use protocol::event::Event;
use protocol::ids::EventId;

/// How long an id is remembered, in milliseconds.
const REMEMBERED_MS: u64 = 60_000;
/// How many ids are remembered: 60 s of 1,000 keyed events/s, 16 bytes twice each.
const REMEMBERED_MAX: usize = 60_000;

/// The keyed event ids of the last minute, by origin time, in log order.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: AHashSet<EventId>,
    order: VecDeque<(u64, EventId)>,
}

impl Seen {
    /// The events of an entry that may pass.
    pub(crate) fn admitted(&mut self, entry: &Entry) -> Vec<Event> {
        let events = entry.events.iter();
        events.filter(|event| self.admit(event.id, entry.origin_ms)).cloned().collect()
    }

    /// Whether the event is keyed, and its id is among those remembered.
    pub(crate) fn has(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    /// Whether the event may pass: it is not keyed, or its id was not seen in the last minute.
    ///
    /// Ages by the origin times of the log, not by the local clock, so that every hub decides
    /// alike.
    pub(crate) fn admit(&mut self, id: EventId, origin_ms: u64) -> bool {
        while let Some((seen_ms, oldest)) = self.order.front()
            && (seen_ms + REMEMBERED_MS < origin_ms || self.order.len() >= REMEMBERED_MAX)
        {
            self.ids.remove(oldest);
            self.order.pop_front();
        }
        if !id.is_keyed() {
            return true;
        }
        let new = self.ids.insert(id);
        if new {
            self.order.push_back((origin_ms, id));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::RoomId;

    fn keyed(key: &str) -> EventId {
        EventId::keyed("42", &RoomId::parse("demo").unwrap(), key)
    }

    #[test]
    fn a_key_passes_once_a_minute() {
        let mut seen = Seen::default();
        assert!(seen.admit(keyed("a"), 0));
        assert!(!seen.admit(keyed("a"), 60_000));
        assert!(seen.admit(keyed("b"), 60_000));
        assert!(seen.admit(keyed("a"), 60_001));
    }

    #[test]
    fn events_without_a_key_always_pass_and_take_no_memory() {
        let mut seen = Seen::default();
        let id = EventId::random([1; 16]);
        assert!(seen.admit(id, 0) && seen.admit(id, 0));
        assert!(seen.order.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for n in 0..REMEMBERED_MAX + 10 {
            assert!(seen.admit(keyed(&n.to_string()), 0));
        }
        assert_eq!((seen.ids.len(), seen.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
