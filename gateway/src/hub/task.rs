//! The hub's loop: commands, deliveries and time in; frames and answers out to shards.

use std::sync::Arc;
use std::time::Duration;

use broker_bridge::{Broker, Busy, RoomDelivery};
use protocol::cursor::Cursor;
use protocol::deflate::Deflater;
use protocol::ids::RoomId;
use protocol::refusal::Code;
use slab::Slab;
use tokio::sync::oneshot;

use crate::documented::documented;
use crate::health::Pulse;
use crate::hub::open::OpenRooms;
use crate::hub::{HubCommand, HubInbox};
use crate::metrics::{Metrics, Queue};
use crate::now::{Clock, Now};
use crate::room::effect::{Effect, Info, Join, Question};
use crate::room::{Room, RoomSettings};
use crate::settings::KnownRooms;
use crate::shard::ShardHandle;

/// Inputs taken in one go before rooms get their turns.
const INPUTS_PER_TURN: usize = 256;
/// A refused subscription is tried again after this time.
const RETRY: Duration = Duration::from_millis(20);
documented! {
    /// How rooms start.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct HubRules {
        /// The settings of rooms that have none of their own.
        pub room: RoomSettings,
        /// Whether rooms must be created before they are used: joining and publishing elsewhere is
        /// refused with `no_such_room`. A room is created by giving it settings through the server
        /// API, if need be empty ones. Default: no, a room exists when somebody comes. Then whoever
        /// may view and chat can fill the gateway with rooms of any name.
        pub created_only: bool,
    }
}

/// One hub.
pub(crate) struct Hub {
    clock: Clock,
    known: KnownRooms,
    broker: Arc<dyn Broker>,
    pub(super) shards: Arc<[ShardHandle]>,
    pub(super) metrics: Arc<Metrics>,
    pulse: Pulse,
    rooms: OpenRooms,
    /// Subscriptions that the broker was too busy for.
    refused: Vec<Verb>,
    questions: Slab<oneshot::Sender<Info>>,
    pub(super) deflater: Deflater,
}

/// A subscription to change.
#[derive(Debug, Clone)]
enum Verb {
    Subscribe(RoomId),
    Unsubscribe(RoomId),
}

/// What the broker was too busy for.
enum Undone {
    Fetch(Cursor),
    Report,
}

/// What the loop has waited for.
enum Wake {
    Command(HubCommand),
    Delivery(RoomId, RoomDelivery),
    Time,
    Ended,
}

impl Hub {
    pub(crate) fn new(
        clock: Clock,
        known: KnownRooms,
        broker: Arc<dyn Broker>,
        shards: Arc<[ShardHandle]>,
        metrics: Arc<Metrics>,
        pulse: Pulse,
    ) -> Self {
        Self {
            clock,
            known,
            broker,
            shards,
            metrics,
            pulse,
            rooms: OpenRooms::default(),
            refused: Vec::new(),
            questions: Slab::new(),
            deflater: Deflater::new(),
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self, mut inbox: HubInbox) {
        let mut effects = Vec::new();
        loop {
            let wake = self.wake(&mut inbox).await;
            let now = self.clock.now();
            self.pulse.beat(now);
            if matches!(wake, Wake::Ended) {
                return;
            }
            self.apply(wake, now, &mut effects).await;
            for _ in 0..INPUTS_PER_TURN {
                let Some(wake) = waiting(&mut inbox) else { break };
                self.apply(wake, now, &mut effects).await;
            }
            self.retry_refused();
            self.turn_rooms(now, &mut effects).await;
        }
    }

    async fn wake(&mut self, inbox: &mut HubInbox) -> Wake {
        let sleep = self.until_next_turn();
        tokio::select! {
            biased;
            command = inbox.commands.recv() => command.map_or(Wake::Ended, Wake::Command),
            Some((room, delivery)) = inbox.deliveries.recv() => Wake::Delivery(room, delivery),
            () = tokio::time::sleep(sleep) => Wake::Time,
        }
    }

    fn until_next_turn(&self) -> Duration {
        /// Nothing is due: turn all the same, to show that this loop is well.
        const IDLE: Duration = Duration::from_secs(1);
        let now = self.clock.now();
        let turn = self.rooms.next_turn().map_or(IDLE, |due| due.saturating_sub(now.mono));
        turn.min(if self.refused.is_empty() { IDLE } else { RETRY })
    }

    async fn apply(&mut self, wake: Wake, now: Now, effects: &mut Vec<Effect>) {
        match wake {
            Wake::Command(command) => self.command(command, now, effects).await,
            Wake::Delivery(id, delivery) => {
                // A delivery for a room that was given up is late, and harmless.
                let Some(room) = self.rooms.find(&id) else { return };
                self.rooms[room].deliver(delivery, now, effects);
                self.carry_out(room, now, effects).await;
                self.rooms.reschedule(room, now);
            }
            Wake::Time | Wake::Ended => {}
        }
    }

    async fn command(&mut self, command: HubCommand, now: Now, effects: &mut Vec<Effect>) {
        match command {
            HubCommand::Join { room, join } => match self.known.admit(&room) {
                Ok(()) => self.join(room, join, now),
                Err(refusal) => self.refuse(&room, vec![join], refusal).await,
            },
            HubCommand::Leave { room, address, seat } => {
                let Some(room) = self.rooms.find(&room) else { return };
                self.rooms[room].leave(address, seat, now);
                self.rooms.reschedule(room, now);
            }
            HubCommand::Like { room, likes } => {
                self.metrics.likes.inc_by(u64::from(likes));
                // The application may like a room whose viewers are all elsewhere.
                let room = self.open(room, now);
                self.rooms[room].like(likes, now);
                self.rooms.reschedule(room, now);
            }
            HubCommand::Ask { room, events, answer } => {
                let room = self.open(room, now);
                let ticket = self.questions.insert(answer) as u64;
                self.rooms[room].ask(Question { ticket, events });
                self.rooms.reschedule(room, now);
            }
            HubCommand::Set { room } => self.set(&room, now, effects).await,
        }
    }

    /// A room has other settings, or is no more.
    async fn set(&mut self, id: &RoomId, now: Now, effects: &mut Vec<Effect>) {
        let Some(room) = self.rooms.find(id) else { return };
        self.rooms[room].set(self.known.of(id), now);
        if let Err(refusal) = self.known.admit(id)
            && refusal.code == Code::NoSuchRoom
        {
            self.rooms[room].close(&refusal, now, effects);
            self.carry_out(room, now, effects).await;
        }
        self.rooms.reschedule(room, now);
    }

    fn join(&mut self, room: RoomId, join: Join, now: Now) {
        let room = self.open(room, now);
        self.rooms[room].join(join);
        self.rooms.reschedule(room, now);
    }

    /// The number of a room, which is subscribed if it was not open here.
    fn open(&mut self, id: RoomId, now: Now) -> usize {
        if let Some(room) = self.rooms.find(&id) {
            return room;
        }
        let (settings, shards) = (self.known.of(&id), self.shards.len());
        let room = Room::new(id.clone(), settings, self.broker.grace_ms(), shards, now);
        let room = self.rooms.insert(room);
        self.metrics.rooms.inc();
        self.try_verb(Verb::Subscribe(id));
        room
    }

    fn try_verb(&mut self, verb: Verb) {
        if !self.refused.is_empty() {
            // Behind those: a room may have been given up and opened since.
            self.refused.push(verb);
            return;
        }
        let done = match &verb {
            Verb::Subscribe(room) => self.broker.subscribe(room),
            Verb::Unsubscribe(room) => self.broker.unsubscribe(room),
        };
        if done == Err(Busy) {
            self.metrics.queue_full(Queue::Broker);
            self.refused.push(verb);
        }
    }

    /// Tries what was refused again, in order.
    fn retry_refused(&mut self) {
        for verb in std::mem::take(&mut self.refused) {
            self.try_verb(verb);
        }
    }

    async fn turn_rooms(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // All that is due now, and nothing that is booked meanwhile: the loop turns in any case.
        for room in self.rooms.take_due(now) {
            // The schedule may hold a room that was forgotten, or one that has had this turn.
            let Some(state) = self.rooms.get_mut(room) else { continue };
            if state.due(now).is_none_or(|due| due > now.mono) {
                // What it was booked for may have gone, and it relied on this booking since.
                self.rooms.reschedule(room, now);
                continue;
            }
            state.turn(now, effects);
            let over = state.is_over(now);
            self.carry_out(room, now, effects).await;
            if over {
                self.forget(room);
            } else {
                self.rooms.reschedule(room, now);
            }
        }
        self.rooms.give_back(now);
    }

    fn forget(&mut self, room: usize) {
        let room = self.rooms.remove(room);
        self.metrics.rooms.dec();
        self.try_verb(Verb::Unsubscribe(room.id().clone()));
    }

    async fn carry_out(&mut self, room: usize, now: Now, effects: &mut Vec<Effect>) {
        let id = self.rooms[room].id().clone();
        let mut todo = std::mem::take(effects);
        let mut undone = Vec::new();
        for effect in todo.drain(..) {
            self.carry_out_one(&id, effect, &mut undone).await;
        }
        *effects = todo;
        for undone in undone {
            match undone {
                Undone::Fetch(cursor) => self.rooms[room].fetch_refused(cursor, now, effects),
                Undone::Report => self.rooms[room].report_refused(),
            }
            // Those who waited for a fetch are refused: nothing is left undone.
            for effect in effects.drain(..) {
                self.carry_out_one(&id, effect, &mut Vec::new()).await;
            }
        }
    }

    async fn carry_out_one(&mut self, id: &RoomId, effect: Effect, undone: &mut Vec<Undone>) {
        match effect {
            Effect::Answer(answer) => self.answer(id, answer).await,
            Effect::Refuse { joins, refusal } => self.refuse(id, joins, refusal).await,
            Effect::Dismiss { shards, refusal } => self.dismiss(id, shards, refusal).await,
            Effect::Frame(frame) => self.send_frame(id, frame).await,
            Effect::Fetch(cursor) => {
                if self.broker.fetch(id, cursor) == Err(Busy) {
                    self.metrics.queue_full(Queue::Broker);
                    undone.push(Undone::Fetch(cursor));
                }
            }
            Effect::Report(counts) => {
                if self.broker.report(id, counts) == Err(Busy) {
                    self.metrics.queue_full(Queue::Broker);
                    undone.push(Undone::Report);
                }
            }
            Effect::Info(ticket, info) => {
                if let Some(answer) = self.questions.try_remove(ticket as usize) {
                    let _ = answer.send(*info);
                }
            }
            Effect::NoInfo(ticket) => {
                let _ = self.questions.try_remove(ticket as usize);
            }
            Effect::Closed { sent, left_out, held, due_ms } => {
                let lag_ms = self.clock.now().unix_ms.saturating_sub(due_ms);
                self.metrics.slot_lag_seconds.observe(lag_ms as f64 / 1000.0);
                self.metrics.batch_events.observe(sent as f64);
                self.metrics.held.inc_by(u64::from(held));
                left_out.iter().for_each(|(class, n)| self.metrics.left_out(class, n));
            }
            Effect::Repeats(count) => self.metrics.repeats.inc_by(count as u64),
        }
    }
}

fn waiting(inbox: &mut HubInbox) -> Option<Wake> {
    if let Ok(command) = inbox.commands.try_recv() {
        return Some(Wake::Command(command));
    }
    let (room, delivery) = inbox.deliveries.try_recv().ok()?;
    Some(Wake::Delivery(room, delivery))
}
