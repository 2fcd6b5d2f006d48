//! The hub's loop: commands, deliveries and time in; frames and answers out to shards.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use broker_bridge::{Broker, Busy, RoomDelivery};
use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::deflate::{DEFLATE_BYTES_MIN, Deflater};
use protocol::ids::RoomId;
use protocol::{event_stream, frame};
use slab::Slab;
use tokio::sync::oneshot;

use crate::client::Form;
use crate::health::Pulse;
use crate::hub::open::OpenRooms;
use crate::hub::{HubCommand, HubInbox};
use crate::metrics::{JoinOutcome, Metrics, Queue};
use crate::now::{Clock, Now};
use crate::room::effect::{Answer, Effect, Info, Join, Question, RoomFrame, Variant};
use crate::room::{Room, RoomSettings};
use crate::shard::{AnswerTail, FrameVariant, RoomCommand, ShardAnswer, ShardFrame, ShardHandle};

/// Inputs taken in one go before rooms get their turns.
const INPUTS_PER_TURN: usize = 256;
/// A refused subscription is tried again after this time.
const RETRY: Duration = Duration::from_millis(20);
/// An answer above this size is shared instead of copied for each client: below it, a second
/// write to the socket costs more than the copy.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// What every room of a hub starts with.
#[derive(Debug, Clone, Copy, Default)]
pub struct HubRules {
    /// The settings of rooms.
    pub room: RoomSettings,
}

/// One hub.
pub(crate) struct Hub {
    clock: Clock,
    rules: HubRules,
    broker: Arc<dyn Broker>,
    shards: Arc<[ShardHandle]>,
    metrics: Arc<Metrics>,
    pulse: Pulse,
    rooms: OpenRooms,
    /// Subscriptions that the broker was too busy for.
    refused: Vec<Verb>,
    questions: Slab<oneshot::Sender<Info>>,
    deflater: Deflater,
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
        rules: HubRules,
        broker: Arc<dyn Broker>,
        shards: Arc<[ShardHandle]>,
        metrics: Arc<Metrics>,
        pulse: Pulse,
    ) -> Self {
        Self {
            clock,
            rules,
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
            Wake::Command(command) => self.command(command, now),
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

    fn command(&mut self, command: HubCommand, now: Now) {
        match command {
            HubCommand::Join { room, join } => {
                let room = self.open(room, now);
                self.rooms[room].join(join);
                self.rooms.reschedule(room, now);
            }
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
        }
    }

    /// The number of a room, which is subscribed if it was not open here.
    fn open(&mut self, id: RoomId, now: Now) -> usize {
        if let Some(room) = self.rooms.find(&id) {
            return room;
        }
        let (settings, shards) = (self.rules.room, self.shards.len());
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
            // Those who waited for a fetch are answered without it: nothing is left undone.
            for effect in effects.drain(..) {
                self.carry_out_one(&id, effect, &mut Vec::new()).await;
            }
        }
    }

    async fn carry_out_one(&mut self, id: &RoomId, effect: Effect, undone: &mut Vec<Undone>) {
        match effect {
            Effect::Answer(answer) => self.answer(id, answer).await,
            Effect::Refuse { joins, refusal } => {
                self.metrics.joined(JoinOutcome::Refused, joins.len());
                for (shard, joins) in by_shard(joins) {
                    let room = id.clone();
                    let refusal = refusal.clone();
                    self.shards[shard].room(RoomCommand::Refuse { room, joins, refusal }).await;
                }
            }
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
            Effect::Closed { sent, left_out, due_ms } => {
                let lag_ms = self.clock.now().unix_ms.saturating_sub(due_ms);
                self.metrics.slot_lag_seconds.observe(lag_ms as f64 / 1000.0);
                self.metrics.batch_events.observe(sent as f64);
                left_out.iter().for_each(|(class, n)| self.metrics.left_out(class, n));
            }
            Effect::Repeats(count) => self.metrics.repeats.inc_by(count as u64),
        }
    }

    async fn answer(&mut self, id: &RoomId, answer: Answer) {
        let outcome = match answer.recovered {
            None => JoinOutcome::Fresh,
            Some(true) => JoinOutcome::Recovered,
            Some(false) => JoinOutcome::NotRecovered,
        };
        self.metrics.joined(outcome, answer.joins.len());
        let tail = if answer.tail.len() < SHARED_BYTES_MIN {
            AnswerTail::Copied(answer.tail.into())
        } else {
            AnswerTail::Shared(frame::text_last(&answer.tail))
        };
        for (shard, joins) in by_shard(answer.joins) {
            let (room, tail) = (id.clone(), tail.clone());
            let answer = ShardAnswer { room, joins, head: answer.head, tail };
            self.shards[shard].room(RoomCommand::Answer(answer)).await;
        }
    }

    async fn send_frame(&mut self, id: &RoomId, frame: RoomFrame) {
        let RoomFrame { name, variants, shards, plain, deflated, event_stream } = frame;
        let encode = |variant| self.encode(name, variant, plain, deflated, event_stream);
        let variants: Arc<[FrameVariant]> = variants.into_iter().map(encode).collect();
        for shard in shards {
            let frame = ShardFrame { room: id.clone(), variants: Arc::clone(&variants) };
            self.shards[usize::from(shard)].room(RoomCommand::Frame(frame)).await;
        }
    }

    /// Makes complete frames of a batch: the one place where that happens, once per form.
    fn encode(
        &mut self,
        name: &str,
        variant: Variant,
        plain: bool,
        deflated: bool,
        event_stream: bool,
    ) -> FrameVariant {
        let Variant { prev, cursor, payload, count, state } = variant;
        let small = payload.len() < DEFLATE_BYTES_MIN;
        let plain = (plain || (deflated && small)).then(|| frame::text(&payload));
        let mut forms: [Option<Bytes>; Form::ALL.len()] = [None, None, None];
        forms[Form::EventStream as usize] =
            event_stream.then(|| event_stream::event(name, Some(cursor), &[&payload]));
        forms[Form::Deflated as usize] = match (deflated, small) {
            (false, _) => None,
            // A frame of a compressing connection may be plain (RFC 7692 section 6).
            (true, true) => plain.clone(),
            (true, false) => Some(frame::deflated_text(&self.deflater.deflate(&payload))),
        };
        forms[Form::Plain as usize] = plain;
        FrameVariant { prev, cursor, count, missed: 0, state, forms }
    }
}

fn waiting(inbox: &mut HubInbox) -> Option<Wake> {
    if let Ok(command) = inbox.commands.try_recv() {
        return Some(Wake::Command(command));
    }
    let (room, delivery) = inbox.deliveries.try_recv().ok()?;
    Some(Wake::Delivery(room, delivery))
}

/// Sorts joins by the shard that their clients sit on.
fn by_shard(joins: Vec<Join>) -> AHashMap<usize, Vec<Join>> {
    let mut sorted: AHashMap<usize, Vec<Join>> = AHashMap::new();
    for join in joins {
        sorted.entry(usize::from(join.address.shard)).or_default().push(join);
    }
    sorted
}
