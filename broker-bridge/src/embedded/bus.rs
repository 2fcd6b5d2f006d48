//! The task of the rooms: it owns all logs and subscriptions, takes the nodes' verbs in turn, and
//! hands out what follows from them before it takes the next.
//!
//! A node that does not take its deliveries holds this task up; the verbs pile up in the queues
//! of the nodes, and in the end their callers are told [`Busy`](crate::Busy). Nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use protocol::cursor::Cursor;
use protocol::event::Event;
use protocol::ids::{BootId, RoomId};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::members::{Delivered, Members, Turn};
use super::rooms::{Handing, Out, Rooms};
use crate::stats::Stats;
use crate::{Ack, Counts, PublishError, RoomDelivery};

/// How much longer than its age an entry may stay, so that a quiet bus wakes at most once in that
/// time.
const EXPIRY_SLACK: Duration = Duration::from_secs(1);

/// What a node wants of a room.
#[derive(Debug)]
pub(super) enum Verb {
    Publish { lane: Lane, event: Event, answer: oneshot::Sender<Result<Ack, PublishError>> },
    Subscribe,
    Unsubscribe,
    Fetch { after: Cursor },
    Report { counts: Counts },
}

/// Where an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Into the room's log.
    Log,
    /// Past it.
    Live,
}

pub(super) type RoomVerb = (RoomId, Verb);
pub(super) type RoomMembers = Members<RoomVerb, (RoomId, RoomDelivery)>;

/// The state of the task.
pub(super) struct RoomBus {
    members: RoomMembers,
    rooms: Rooms,
    out: Out,
    stats: Arc<Stats>,
    started: Instant,
}

impl RoomBus {
    pub(super) fn new(members: RoomMembers, rooms: Rooms, stats: Arc<Stats>) -> Self {
        Self { members, rooms, out: Out::new(), stats, started: Instant::now() }
    }

    /// Runs until all nodes are gone and none can join.
    pub(super) async fn run(mut self) {
        let mut verbs = Vec::new();
        loop {
            let expiry = self.next_expiry();
            let turn = tokio::select! {
                biased;
                turn = self.members.next(&mut verbs) => Some(turn),
                () = sleep_until(expiry.unwrap_or(self.started)), if expiry.is_some() => None,
            };
            let now_ms = self.now_ms();
            self.rooms.expire(now_ms);
            match turn {
                Some(Turn::Verbs(node)) => {
                    for (room, verb) in verbs.drain(..) {
                        self.apply(node, room, verb, now_ms).await;
                    }
                }
                Some(Turn::Left(node)) => self.rooms.leave(node, &mut self.out),
                Some(Turn::Ended) => return,
                None => {}
            }
            self.hand_out().await;
        }
    }

    async fn apply(&mut self, node: BootId, room: RoomId, verb: Verb, now_ms: u64) {
        let out = &mut self.out;
        match verb {
            Verb::Publish { lane, event, answer } => {
                match lane {
                    Lane::Log => {
                        self.rooms.publish(&room, event, now_ms, out);
                        self.stats.count_published(1);
                    }
                    Lane::Live => {
                        self.rooms.publish_live(&room, event, out);
                        self.stats.count_unstored(1);
                    }
                }
                self.hand_out().await;
                // The publisher may have lost interest; the event is out all the same.
                let _ = answer.send(Ok(Ack { stored: lane == Lane::Log }));
            }
            Verb::Subscribe => self.rooms.subscribe(node, &room, out),
            Verb::Unsubscribe => self.rooms.unsubscribe(node, &room),
            Verb::Fetch { after } => self.rooms.fetch(node, &room, after, out),
            Verb::Report { counts } => self.rooms.report(node, &room, counts, out),
        }
        self.hand_out().await;
    }

    async fn hand_out(&mut self) {
        while let Some(Handing { to, room, delivery }) = self.out.pop_front() {
            match self.members.deliver(to, (room, delivery)).await {
                Delivered::Left => self.rooms.leave(to, &mut self.out),
                Delivered::Yes | Delivered::Unknown => {}
            }
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        let due = Duration::from_millis(self.rooms.next_expiry_ms()?);
        self.started.checked_add(due.saturating_add(EXPIRY_SLACK))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
