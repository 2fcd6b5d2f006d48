//! The shard's loop: commands in, frames out.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::close::CloseReason;
use protocol::ids::{Address, BootId, UserId};
use tokio::time::{Interval, MissedTickBehavior};

use crate::client::outbox::Lane;
use crate::documented::documented;
use crate::health::Pulse;
use crate::metrics::Metrics;
use crate::now::{Clock, Now};
use crate::shard::clients::{Client, Clients, Life};
use crate::shard::flush::Sent;
use crate::shard::leaving::Leaving;
use crate::shard::rooms::Rooms;
use crate::shard::watch::Watch;
use crate::shard::wheel::Wheel;
use crate::shard::{Control, Handover, RoomCommand, ShardInbox};

/// Writes between two looks at the control queue and the readers: about 1 ms of writing, so a
/// reply waits no longer for a large flush.
pub(super) const WRITES_PER_TURN: usize = 128;

documented! {
    /// When a shard gives up on a client.
    #[derive(Debug, Clone, Copy)]
    pub struct ShardRules {
        /// A client that was sent nothing for this long is pinged, in seconds. Default: 25, below
        /// the 30 to 60 seconds after which proxies and mobile networks forget an idle connection.
        /// Shorter wakes phones and costs a frame per client each time; longer lets proxies cut idle
        /// clients off.
        pub ping_interval_s: u32,
        /// A client that was pinged and has sent nothing for this long is closed (4002), in seconds;
        /// more than the ping interval. Default: 60, so that a phone that changes networks has 35
        /// seconds to answer. Shorter closes clients on bad networks; longer keeps dead ones,
        /// with their memory and in the count of viewers.
        pub ping_timeout_s: u32,
        /// A client whose socket takes nothing for this long is closed (4001), in seconds.
        /// Default: 15, a tunnel or a lift. Shorter closes viewers who would have caught up; longer
        /// holds up to 512 KiB of batches for each that will not.
        pub stuck_s: u32,
    }
}

impl Default for ShardRules {
    fn default() -> Self {
        Self { ping_interval_s: 25, ping_timeout_s: 60, stuck_s: 15 }
    }
}

/// One shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(super) clock: Clock,
    pub(super) rules: ShardRules,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pulse: Pulse,
    handover: Handover,
    pub(super) clients: Clients,
    pub(super) rooms: Rooms,
    pub(super) wheel: Wheel,
    pub(super) watched: FuturesUnordered<Watch>,
    pub(super) leaving: Leaving,
    /// The second in which the timers were last looked at.
    pub(super) looked_s: u32,
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
        handover: Handover,
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
            handover,
            clients: Clients::new(boot, shard),
            rooms: Rooms::default(),
            wheel: Wheel::new(clock.now().mono_s()),
            watched: FuturesUnordered::new(),
            leaving: Leaving::No,
            looked_s: 0,
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
                // Work waits: let the readers have their turn, and do not wait for more.
                tokio::task::yield_now().await;
            }
            let now = self.clock.now();
            self.take_writable(now).await;
            self.take_waiting(&mut inbox, now);
            if now.mono_s() > self.looked_s {
                self.second(now);
            }
            self.work(now);
        }
    }

    async fn wake(&mut self, inbox: &mut ShardInbox, second: &mut Interval) -> Wake {
        let watching = !self.watched.is_empty();
        tokio::select! {
            biased;
            control = inbox.control.recv() => control.map_or(Wake::Ended, Wake::Control),
            Some((slot, generation)) = self.watched.next(), if watching => {
                Wake::Writable(slot, generation)
            }
            Some(command) = inbox.rooms.recv() => Wake::Room(command),
            _ = second.tick() => Wake::Second,
        }
    }

    /// Writes to sockets that were full and are not any more, as far as a turn goes.
    async fn take_writable(&mut self, now: Now) {
        for _ in 0..WRITES_PER_TURN {
            let next = std::future::poll_fn(|cx| {
                let next = self.watched.poll_next_unpin(cx);
                Poll::Ready(if let Poll::Ready(next) = next { next } else { None })
            });
            let Some((slot, generation)) = next.await else { return };
            self.writable(slot, generation, now);
        }
    }

    /// Takes what waits in the queues: all of control first, because a connection announces a
    /// seat here before it asks a hub for it, and the hub's answer must find it.
    fn take_waiting(&mut self, inbox: &mut ShardInbox, now: Now) {
        for _ in 0..inbox.control.len() {
            let Ok(control) = inbox.control.try_recv() else { break };
            self.control(control, now);
        }
        for _ in 0..inbox.rooms.len() {
            let Ok(command) = inbox.rooms.try_recv() else { break };
            self.room(command, now);
        }
    }

    fn apply(&mut self, wake: Wake, now: Now) -> bool {
        match wake {
            Wake::Control(control) => self.control(control, now),
            Wake::Room(command) => self.room(command, now),
            Wake::Writable(slot, generation) => self.writable(slot, generation, now),
            // Looked at in every turn, whatever woke it.
            Wake::Second => {}
            Wake::Ended => return false,
        }
        true
    }

    fn control(&mut self, control: Control, now: Now) {
        match control {
            Control::Attach { sink, user, first, answer } => {
                let Some(sink) = self.handover.collect(sink) else { return };
                let address = self.attach(sink, user, now);
                if let Some(first) = first {
                    self.send(address, &first, now);
                }
                // A connection that does not wait for its address any more detaches all the same.
                let _ = answer.send(address);
            }
            Control::Detach(address) => self.detach(address),
            Control::Expires { address, at_s } => self.expires(address, at_s, now),
            Control::Expect { address, room, seat } => self.expect(address, &room, seat),
            Control::Unseat { address, room, seat } => self.unseat(address, &room, seat),
            Control::Send { address, frame } => self.send(address, &frame, now),
            Control::SendTo { user, frame } => self.send_to(user.as_ref(), &frame, now),
            Control::Answer { address, frame } => self.answer(address, &frame, now),
            Control::Close { address, reason } => {
                self.close(address.slot, address.generation, reason, now);
            }
            Control::Echo { address, frame } => {
                let Address { slot, generation, .. } = address;
                self.end(slot, generation, CloseReason::Normal, &frame, now);
            }
            Control::Drain { window_s } => self.drain(window_s),
            Control::Hurry => self.hurry(now),
        }
    }

    pub(super) fn send(&mut self, address: Address, frame: &Bytes, now: Now) {
        let Some(client) = self.clients.get(address) else { return };
        if matches!(client.life, Life::Closing(_)) {
            return;
        }
        let sent = client.send_control(frame, now.mono);
        self.sent_control(address.slot, address.generation, frame.len(), sent, now);
    }

    fn answer(&mut self, address: Address, frame: &Bytes, now: Now) {
        if let Some(client) = self.clients.get(address) {
            client.sink.answered();
        }
        self.send(address, frame, now);
    }

    pub(super) fn sent_control(
        &mut self,
        slot: u32,
        generation: u32,
        bytes: usize,
        sent: Sent,
        now: Now,
    ) {
        match sent {
            Sent::Whole => {
                self.metrics.sent(Lane::Control, 1, bytes as u64);
            }
            Sent::Stuck => self.watch(slot, generation),
            Sent::Queued { .. } => {}
            Sent::Overflow => self.close(slot, generation, CloseReason::TooSlow, now),
            Sent::Broken => self.abort(slot, generation),
        }
    }

    fn send_to(&mut self, user: Option<&UserId>, frame: &Bytes, now: Now) {
        let chosen = |client: &Client| user.is_none_or(|user| client.user == *user);
        let mut sent: Vec<(u32, u32, usize, Sent)> = Vec::new();
        for (slot, client) in self.clients.iter_mut().filter(|(_, client)| chosen(client)) {
            if !matches!(client.life, Life::Closing(_)) {
                let frame = client.sink.message(frame);
                let outcome = client.send_control(&frame, now.mono);
                sent.push((slot, client.generation, frame.len(), outcome));
            }
        }
        for (slot, generation, bytes, sent) in sent {
            self.sent_control(slot, generation, bytes, sent, now);
        }
    }
}

#[cfg(feature = "bench")]
pub(crate) mod bench;
#[cfg(test)]
mod tests;
