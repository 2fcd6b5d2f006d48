//! The shard's loop: commands in, frames out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::close::CloseReason;
use protocol::frame;
use protocol::ids::{Address, BootId, RoomId, UserId};
use protocol::refusal::Refusal;
use protocol::to_client::{ServerMessage, joined_head};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::client::Seat;
use crate::client::members::Member;
use crate::client::outbox::HeldBatch;
use crate::health::Pulse;
use crate::metrics::{ConnectionEnd, FrameLane, Metrics};
use crate::now::{Clock, Now};
use crate::room::effect::Join;
use crate::shard::clients::{Client, Clients, Life, SeatAt};
use crate::shard::flush::Sent;
use crate::shard::rooms::{Job, Rooms};
use crate::shard::wheel::Wheel;
use crate::shard::{
    AnswerTail, ClientSink, Control, FrameVariant, RoomCommand, ShardAnswer, ShardFrame, ShardInbox,
};

/// Writes between two looks at the control queue and the readers: about 1 ms of writing, so a
/// reply waits no longer for a large flush.
const WRITES_PER_TURN: usize = 128;
/// Control commands applied in one go.
const CONTROLS_PER_TURN: usize = 256;
/// Room jobs taken out of the queue before the hubs have to wait.
const JOBS_MAX: usize = 1024;
/// How long a client that was told to go may take to read it.
const CLOSING_S: u32 = 5;
/// Pings of clients that fell silent in the same second are spread over so many seconds.
const PING_SPREAD_S: u32 = 5;

/// When a shard gives up on a client.
#[derive(Debug, Clone, Copy)]
pub struct ShardRules {
    /// A ping goes out when nothing was sent for this long, in seconds.
    pub ping_interval_s: u32,
    /// A client is closed when nothing was heard for this long although it was pinged, in seconds.
    pub ping_timeout_s: u32,
    /// A client is closed when its socket has taken nothing for this long, in seconds.
    pub stuck_s: u32,
}

/// One shard.
#[derive(Debug)]
pub(crate) struct Shard {
    clock: Clock,
    rules: ShardRules,
    metrics: Arc<Metrics>,
    pulse: Pulse,
    clients: Clients,
    rooms: Rooms,
    wheel: Wheel,
    watched: FuturesUnordered<Watch>,
    leaving: Leaving,
}

/// Whether clients are told to go elsewhere.
#[derive(Debug)]
enum Leaving {
    No,
    /// Who is told goodbye in which of the next seconds, the last first.
    Goodbyes(Vec<Vec<(u32, u32)>>),
}

/// What the loop has waited for.
enum Wake {
    Control(Control),
    Room(RoomCommand),
    Writable(u32, u32),
    Second,
    Ended,
}

impl Shard {
    pub(crate) fn new(
        boot: BootId,
        shard: u16,
        clock: Clock,
        rules: ShardRules,
        metrics: Arc<Metrics>,
        pulse: Pulse,
    ) -> Self {
        Self {
            clock,
            rules,
            metrics,
            pulse,
            clients: Clients::new(boot, shard),
            rooms: Rooms::default(),
            wheel: Wheel::new(clock.now().mono_s()),
            watched: FuturesUnordered::new(),
            leaving: Leaving::No,
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self, mut inbox: ShardInbox) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            if self.rooms.jobs() == 0 {
                let wake = self.wake(&mut inbox, &mut second).await;
                let now = self.clock.now();
                if !self.apply(wake, now) {
                    return;
                }
            } else {
                // Work waits: look at what is there, but do not wait for more.
                tokio::task::yield_now().await;
                tokio::select! {
                    biased;
                    wake = self.wake(&mut inbox, &mut second) => {
                        let now = self.clock.now();
                        if !self.apply(wake, now) {
                            return;
                        }
                    }
                    () = std::future::ready(()) => {}
                }
            }
            let now = self.clock.now();
            self.take_waiting(&mut inbox, now);
            self.work(now);
        }
    }

    async fn wake(&mut self, inbox: &mut ShardInbox, second: &mut Interval) -> Wake {
        let has_room = self.rooms.jobs() < JOBS_MAX;
        let watching = !self.watched.is_empty();
        tokio::select! {
            biased;
            control = inbox.control.recv() => control.map_or(Wake::Ended, Wake::Control),
            Some((slot, generation)) = self.watched.next(), if watching => {
                Wake::Writable(slot, generation)
            }
            Some(command) = inbox.rooms.recv(), if has_room => Wake::Room(command),
            _ = second.tick() => Wake::Second,
        }
    }

    /// Takes what waits in the queues, control first.
    fn take_waiting(&mut self, inbox: &mut ShardInbox, now: Now) {
        for _ in 0..CONTROLS_PER_TURN {
            match inbox.control.try_recv() {
                Ok(control) => self.control(control, now),
                Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => {
                    break;
                }
            }
        }
        while self.rooms.jobs() < JOBS_MAX {
            let Ok(command) = inbox.rooms.try_recv() else { break };
            self.room(command, now);
        }
    }

    fn apply(&mut self, wake: Wake, now: Now) -> bool {
        match wake {
            Wake::Control(control) => self.control(control, now),
            Wake::Room(command) => self.room(command, now),
            Wake::Writable(slot, generation) => self.writable(slot, generation, now),
            Wake::Second => self.second(now),
            Wake::Ended => return false,
        }
        true
    }

    fn control(&mut self, control: Control, now: Now) {
        match control {
            Control::Attach { sink, user, answer } => {
                let address = self.attach(sink, user, now);
                // A connection that does not wait for its address any more detaches all the same.
                let _ = answer.send(address);
            }
            Control::Detach(address) => self.detach(address),
            Control::Expect { address, room, seat } => self.expect(address, &room, seat),
            Control::Unseat { address, room, seat } => self.unseat(address, &room, seat),
            Control::Send { address, frame } => self.send(address, &frame, now),
            Control::SendTo { user, frame } => self.send_to(user.as_ref(), &frame, now),
            Control::Close { address, reason } => {
                self.close(address.slot, address.generation, reason, now);
            }
            Control::Echo { address, frame } => {
                let Address { slot, generation, .. } = address;
                self.end(slot, generation, CloseReason::Normal, &frame, now);
            }
            Control::Drain { window_s } => self.drain(window_s),
        }
    }

    fn attach(&mut self, sink: ClientSink, user: UserId, now: Now) -> Address {
        let now_s = now.mono_s();
        let address = self.clients.attach(sink, user, now_s);
        self.wheel.set(address.slot, address.generation, now_s + self.rules.ping_interval_s);
        if let Leaving::Goodbyes(seconds) = &mut self.leaving {
            // It got through the door as it closed.
            let latecomer = (address.slot, address.generation);
            match seconds.last_mut() {
                Some(next) => next.push(latecomer),
                None => seconds.push(vec![latecomer]),
            }
        }
        address
    }

    fn detach(&mut self, address: Address) {
        let Some(client) = self.clients.detach(address) else { return };
        if !matches!(client.life, Life::Closing(_)) {
            self.metrics.closed(ConnectionEnd::Lost);
        }
        // Wakes the watch on a full socket, which holds the socket open.
        client.sink.abort();
        for seat in &client.seats {
            self.take_seat_away(*seat);
        }
    }

    fn expect(&mut self, address: Address, room: &RoomId, seat: Seat) {
        let Some(client) = self.clients.get(address) else { return };
        let room = self.rooms.enter(room);
        client.seats.push(SeatAt { room, seat, position: None });
        if let Some(seats) = self.rooms.get(room) {
            seats.expected += 1;
        }
    }

    fn unseat(&mut self, address: Address, room: &RoomId, seat: Seat) {
        let Some(client) = self.clients.get(address) else { return };
        let Some(number) = self.rooms.find(room) else { return };
        let is_it = |s: &SeatAt| s.room == number && s.seat == seat;
        if let Some(at) = client.seats.iter().position(is_it) {
            client.outbox.forget_room(room);
            let seat = client.seats.swap_remove(at);
            self.take_seat_away(seat);
        }
    }

    fn take_seat_away(&mut self, seat: SeatAt) {
        let clients = &mut self.clients;
        let Some(room) = self.rooms.get(seat.room) else { return };
        match seat.position {
            None => room.expected -= 1,
            Some(position) => room.members.remove(position as usize, |slot, position| {
                if let Some(client) = clients.seated(slot) {
                    client.moved(seat.room, position);
                }
            }),
        }
        self.rooms.forget_if_empty(seat.room);
    }

    fn send(&mut self, address: Address, frame: &Bytes, now: Now) {
        let Some(client) = self.clients.get(address) else { return };
        if matches!(client.life, Life::Closing(_)) {
            return;
        }
        let sent = client.send_control(frame, now.mono);
        self.sent_control(address.slot, address.generation, frame.len(), sent, now);
    }

    fn sent_control(&mut self, slot: u32, generation: u32, bytes: usize, sent: Sent, now: Now) {
        match sent {
            Sent::Whole => {
                self.metrics.frames(FrameLane::Control, 1);
                self.metrics.sent_bytes.inc_by(bytes as u64);
            }
            Sent::Stuck => self.watch(slot, generation),
            Sent::Queued { .. } => {}
            Sent::Overflow => self.close(slot, generation, CloseReason::TooSlow, now),
            Sent::Broken => self.abort(slot, generation),
        }
    }

    fn send_to(&mut self, user: Option<&UserId>, frame: &Bytes, now: Now) {
        let chosen = |client: &Client| user.is_none_or(|user| client.user == *user);
        let mut sent: Vec<(u32, u32, Sent)> = Vec::new();
        for (slot, client) in self.clients.iter_mut().filter(|(_, client)| chosen(client)) {
            if !matches!(client.life, Life::Closing(_)) {
                sent.push((slot, client.generation, client.send_control(frame, now.mono)));
            }
        }
        for (slot, generation, sent) in sent {
            self.sent_control(slot, generation, frame.len(), sent, now);
        }
    }

    fn close(&mut self, slot: u32, generation: u32, reason: CloseReason, now: Now) {
        self.end(slot, generation, reason, &frame::close(reason), now);
    }

    /// Begins the end of a client: a close frame behind what waits on its control lane, then the
    /// socket. Batches are not waited for.
    fn end(&mut self, slot: u32, generation: u32, reason: CloseReason, close: &Bytes, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        if matches!(client.life, Life::Closing(_)) {
            return;
        }
        client.life = Life::Closing(now.mono_s() + CLOSING_S);
        let was_stuck = !client.outbox.is_empty();
        client.outbox.forget_batches();
        let mut sent = client.send_control(close, now.mono);
        if sent == Sent::Overflow {
            client.outbox.forget_all();
            sent = client.send_control(close, now.mono);
        }
        match sent {
            Sent::Whole => client.sink.finish(),
            Sent::Stuck if !was_stuck => self.watch(slot, generation),
            Sent::Stuck | Sent::Queued { .. } | Sent::Overflow => {}
            Sent::Broken => client.sink.abort(),
        }
        self.wheel.set(slot, generation, now.mono_s() + CLOSING_S);
        self.metrics.closed(ConnectionEnd::Closed(reason));
    }

    fn abort(&mut self, slot: u32, generation: u32) {
        if let Some(client) = self.clients.at(slot, generation) {
            client.sink.abort();
        }
    }

    /// Asks to be woken when a full socket takes more.
    fn watch(&mut self, slot: u32, generation: u32) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        self.metrics.stuck.inc();
        self.watched.push(Watch::new(client.sink.clone(), slot, generation));
    }

    fn writable(&mut self, slot: u32, generation: u32, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        match client.drain(now.mono) {
            Sent::Whole if matches!(client.life, Life::Closing(_)) => client.sink.finish(),
            Sent::Whole | Sent::Queued { .. } | Sent::Overflow => {}
            Sent::Stuck => {
                let sink = client.sink.clone();
                self.watched.push(Watch::new(sink, slot, generation));
            }
            Sent::Broken => client.sink.abort(),
        }
    }

    fn room(&mut self, command: RoomCommand, now: Now) {
        match command {
            RoomCommand::Answer(answer) => {
                let room = answer.room.clone();
                self.rooms.queue(&room, Job::Seat(answer));
            }
            RoomCommand::Frame(frame) => {
                let room = frame.room.clone();
                self.rooms.queue(&room, Job::Flush(frame));
            }
            RoomCommand::Refuse { room, joins, refusal } => {
                joins.iter().for_each(|join| self.refuse(&room, join, &refusal, now));
            }
        }
    }

    fn refuse(&mut self, room: &RoomId, join: &Join, refusal: &Refusal, now: Now) {
        self.unseat(join.address, room, join.seat);
        let error = ServerMessage::refusal(join.id, Some(room.as_str()), refusal);
        self.send(join.address, &frame::text(&error.render()), now);
    }

    /// Does one turn of the room whose turn it is.
    fn work(&mut self, now: Now) {
        let Some((room, job)) = self.rooms.take_turn() else { return };
        let unfinished = match job {
            Job::Seat(answer) => {
                self.seat(room, &answer, now);
                None
            }
            Job::Flush(frame) => (!self.flush(room, &frame, now)).then_some(Job::Flush(frame)),
        };
        self.rooms.end_turn(room, unfinished);
    }

    fn seat(&mut self, room: u32, answer: &ShardAnswer, now: Now) {
        for join in &answer.joins {
            let Some(client) = self.clients.get(join.address) else { continue };
            let is_it = |s: &&mut SeatAt| s.room == room && s.seat == join.seat;
            // A client that left, or joined anew, before the answer came has no such seat.
            let Some(seat) = client.seats.iter_mut().find(is_it) else { continue };
            let Some(seats) = self.rooms.get(room) else { continue };
            let member = Member { slot: join.address.slot, told: answer.head.seq };
            seats.expected -= 1;
            seat.position = Some(seats.members.seat(member) as u32);
            self.send_joined(join, &answer.tail, now);
        }
    }

    fn send_joined(&mut self, join: &Join, tail: &AnswerTail, now: Now) {
        let mut message = joined_head(join.id);
        match tail {
            AnswerTail::Copied(tail) => {
                message.extend_from_slice(tail);
                self.send(join.address, &frame::text(&message), now);
            }
            AnswerTail::Shared(last) => {
                self.send(join.address, &frame::text_first(&message), now);
                self.send(join.address, last, now);
            }
        }
    }

    /// Writes a room's frame to some of its members; returns whether all have been served.
    fn flush(&mut self, room: u32, shard_frame: &ShardFrame, now: Now) -> bool {
        let Some(seats) = self.rooms.get(room) else { return true };
        let mut tally = FlushTally::default();
        let mut ends: Vec<(u32, u32, Sent)> = Vec::new();
        for member in seats.members.serve(WRITES_PER_TURN) {
            let Some(client) = self.clients.seated(member.slot) else { continue };
            let Some(variant) = variant_for(member, &shard_frame.variants) else {
                tally.unmatched += u64::from(member.told < shard_frame.variants[0].cursor.seq);
                continue;
            };
            member.told = variant.cursor.seq;
            let form = client.seats.iter().find(|s| s.room == room).map(|s| s.seat.form);
            let Some(frame) = form.and_then(|form| variant.forms[form as usize].as_ref()) else {
                tally.unmatched += 1;
                continue;
            };
            if matches!(client.life, Life::Closing(_)) {
                continue;
            }
            let sent = client.send_batch(frame, now.mono, || HeldBatch {
                room: shard_frame.room.clone(),
                prev: variant.prev,
                cursor: variant.cursor,
                frame: frame.clone(),
                count: variant.count,
            });
            match sent {
                Sent::Whole => {
                    tally.frames += 1;
                    tally.bytes += frame.len() as u64;
                }
                Sent::Queued { dropped } => tally.dropped += u64::from(dropped),
                Sent::Stuck | Sent::Broken | Sent::Overflow => {
                    ends.push((member.slot, client.generation, sent));
                }
            }
        }
        let done = seats.members.finish_if_served();
        tally.record(&self.metrics);
        for (slot, generation, sent) in ends {
            self.sent_control(slot, generation, 0, sent, now);
        }
        done
    }

    /// Looks at the clients whose timers are due.
    fn second(&mut self, now: Now) {
        self.pulse.beat(now);
        for (slot, generation) in self.wheel.due(now.mono_s()) {
            self.look(slot, generation, now);
        }
        let Leaving::Goodbyes(seconds) = &mut self.leaving else { return };
        for (slot, generation) in seconds.pop().unwrap_or_default() {
            self.say_goodbye(slot, generation, now);
        }
    }

    fn look(&mut self, slot: u32, generation: u32, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        let rules = &self.rules;
        let now_s = now.mono_s();
        let stuck_at = client.outbox.stuck_since().map(|t| t.as_secs() as u32 + rules.stuck_s);
        if matches!(client.life, Life::Pinged(at) if client.sink.heard_s() >= at) {
            client.life = Life::Open;
        }
        let next = match (client.life, stuck_at) {
            (Life::Closing(until), _) if until <= now_s => return client.sink.abort(),
            (Life::Closing(until), _) => until,
            (_, Some(at)) if at <= now_s => {
                return self.close(slot, generation, CloseReason::TooSlow, now);
            }
            // Nothing can be sent, so no ping either.
            (_, Some(at)) => at,
            (Life::Pinged(at), None) => {
                let until = at + rules.ping_timeout_s.saturating_sub(rules.ping_interval_s);
                if until <= now_s {
                    return self.close(slot, generation, CloseReason::NoPong, now);
                }
                until
            }
            (Life::Open, None) => {
                let spread = slot % PING_SPREAD_S.min(rules.ping_interval_s);
                let due = client.sent_s + rules.ping_interval_s - spread;
                if due <= now_s {
                    return self.ping(slot, generation, now);
                }
                due
            }
        };
        self.wheel.set(slot, generation, next);
    }

    fn ping(&mut self, slot: u32, generation: u32, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        client.life = Life::Pinged(now.mono_s());
        let ping = frame::ping(&[]);
        let sent = client.send_control(&ping, now.mono);
        self.metrics.pings.inc();
        self.sent_control(slot, generation, ping.len(), sent, now);
        let patience = self.rules.ping_timeout_s.saturating_sub(self.rules.ping_interval_s);
        self.wheel.set(slot, generation, now.mono_s() + patience);
    }

    /// Draws for every client the second in which it is told goodbye.
    fn drain(&mut self, window_s: u32) {
        let mut seconds: Vec<Vec<(u32, u32)>> = vec![Vec::new(); window_s as usize + 1];
        for (slot, client) in self.clients.iter_mut() {
            let second = rand::random_range(0..=window_s);
            seconds[second as usize].push((slot, client.generation));
        }
        self.leaving = Leaving::Goodbyes(seconds);
    }

    fn say_goodbye(&mut self, slot: u32, generation: u32, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        if matches!(client.life, Life::Closing(_)) {
            return;
        }
        let after_ms = rand::random_range(0..RECONNECT_SPREAD_MS);
        let goodbye = ServerMessage::goodbye(CloseReason::Draining, Some(after_ms));
        let goodbye = frame::text(&goodbye.render());
        let sent = client.send_control(&goodbye, now.mono);
        self.sent_control(slot, generation, goodbye.len(), sent, now);
        self.close(slot, generation, CloseReason::Draining, now);
    }
}

/// A drained client comes back within this time, in milliseconds, each at its own moment.
const RECONNECT_SPREAD_MS: u64 = 500;

/// The variant that goes on where the member's last one ended; `None` if it has all of it.
fn variant_for<'a>(member: &Member, variants: &'a [FrameVariant]) -> Option<&'a FrameVariant> {
    variants.iter().find(|variant| variant.prev.seq == member.told)
}

/// What one turn of a flush did, recorded once per turn instead of once per frame.
#[derive(Debug, Default)]
struct FlushTally {
    frames: u64,
    bytes: u64,
    dropped: u64,
    unmatched: u64,
}

impl FlushTally {
    fn record(self, metrics: &Metrics) {
        metrics.frames(FrameLane::Danmaku, self.frames);
        metrics.sent_bytes.inc_by(self.bytes);
        metrics.gap_events.inc_by(self.dropped);
        metrics.unmatched.inc_by(self.unmatched);
    }
}

/// Waits until a full socket takes more.
struct Watch(Pin<Box<dyn Future<Output = (u32, u32)> + Send>>);

impl Watch {
    fn new(sink: ClientSink, slot: u32, generation: u32) -> Self {
        Self(Box::pin(async move {
            sink.writable().await;
            (slot, generation)
        }))
    }
}

impl Future for Watch {
    type Output = (u32, u32);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
