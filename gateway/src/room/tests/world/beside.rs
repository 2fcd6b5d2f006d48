//! What comes beside the entries of the log: live events, and word of entries that are lost.

use broker_bridge::RoomDelivery;
use protocol::cursor::Seq;
use protocol::event::Class;

use super::{Place, Published, World};
use crate::room::tests::fixtures::{entry, event};

/// Live events have numbers of their own.
const LIVE_FIRST: u64 = 1_000_000;

/// Whether an event is in no log.
pub(super) fn is_live(number: u64) -> bool {
    number >= LIVE_FIRST
}

impl World {
    /// Live events come, of a class of which nothing is left out: everybody who is seated has to
    /// get them, as long as they stay.
    pub(crate) fn deliver_live(&mut self, events: u64) {
        if !self.opened {
            return;
        }
        let numbers = self.live_next..self.live_next + events;
        self.live_next = numbers.end;
        let numbers: Vec<u64> = numbers.map(|nth| LIVE_FIRST + nth).collect();
        for viewer in &mut self.viewers {
            if let (Place::Seated { .. }, Some(account)) = (viewer.place, &mut viewer.account) {
                account.awaited.extend(&numbers);
            }
        }
        let events = numbers.iter().map(|n| event(*n, Class::Moderation)).collect();
        let origin_ms = self.driven.now.unix_ms;
        self.driven.deliver(RoomDelivery::Live { origin_ms, events });
        self.carry_out();
    }

    /// An entry is published that this gateway never gets. Gifts stay out of it: which of them are
    /// still to come is told apart by their order.
    pub(crate) fn lose(&mut self, classes: &[Class]) {
        let seq = self.log.len() as Seq + 1;
        let classes = classes.iter().filter(|class| **class != Class::Paid);
        let made: Vec<_> =
            (seq * 100..).zip(classes).map(|(n, class)| (n, event(n, *class))).collect();
        if made.is_empty() {
            return;
        }
        for (n, event) in &made {
            self.published.insert(*n, Published { id: event.id, seq, class: event.class });
        }
        let events = made.len() as u64;
        let origin_ms = self.driven.offset_ms();
        self.log.push(entry(seq, origin_ms, made.into_iter().map(|(_, event)| event).collect()));
        if self.opened {
            self.driven.deliver(RoomDelivery::Lost { upto: seq, events });
            self.carry_out();
        }
    }
}
