//! What a client says, and what becomes of it.

use crate::engine::slot::{Phase, Slot};
use crate::engine::world::World;
use crate::plan::Send;
use crate::truth::ledger::{Fate, Own};
use crate::truth::mark::Mark;
use crate::wire::commands;

/// The `id` of a publish is this and the number of its event.
pub(super) const PUBLISH_ID: u64 = 16;

/// A publish without an answer yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    number: u32,
    intended_us: u64,
    sent_us: u64,
}

impl Slot {
    /// Publishes an event, or keeps it until there is a connection: its time does not wait.
    pub(crate) fn publish(&mut self, send: Send, world: &mut World) {
        if self.phase != Phase::In {
            self.waiting.push(send);
            return;
        }
        let intended_us = world.begin_us + send.at_us;
        let mark = Mark { run: world.plan.run, number: send.number, intended_us };
        let room = &world.plan.rooms[self.room(world)].name;
        let id = PUBLISH_ID + u64::from(send.number);
        let command = commands::publish(room, id, send.kind.text(), mark, send.bytes.into());
        self.write(&command, world);
        self.pending.push(Pending { number: send.number, intended_us, sent_us: world.now_us });
        world.tally.send_lag.record(world.now_us.saturating_sub(intended_us));
        world.tally.second(world.now_us.saturating_sub(world.start_us)).sent += 1;
        world.tally.count("sent", 1);
    }

    /// What it has published with this id is acked, or refused.
    pub(super) fn answered(&mut self, id: u64, accepted: bool, world: &mut World) {
        let is_it = |pending: &Pending| PUBLISH_ID + u64::from(pending.number) == id;
        let Some(at) = self.pending.iter().position(is_it) else { return };
        let pending = self.pending.swap_remove(at);
        if !accepted {
            return;
        }
        world.tally.ack.record(world.now_us.saturating_sub(pending.intended_us));
        world.tally.second(world.now_us.saturating_sub(world.start_us)).acked += 1;
        world.tally.count("acked", 1);
        self.enter(pending, Fate::Acked, world);
    }

    fn enter(&self, pending: Pending, fate: Fate, world: &mut World) {
        let (room, speaker) = (self.room(world), world.plan.clients[self.index].number);
        let Pending { number, sent_us: from_us, .. } = pending;
        world.sent.push((room, Own { number, from_us, to_us: world.now_us, speaker, fate }));
    }

    /// Enters what has no answer as such.
    pub(crate) fn give_up_pending(&mut self, world: &mut World) {
        for pending in std::mem::take(&mut self.pending) {
            world.tally.count("unanswered", 1);
            self.enter(pending, Fate::Unanswered, world);
        }
    }

    /// What was to be sent and never could be.
    pub(crate) fn unsent(&self) -> usize {
        self.waiting.len()
    }

    /// Whether an answer to a publish is still to come.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.pending.is_empty() || (!self.waiting.is_empty() && self.life.gave_up.is_none())
    }
}
