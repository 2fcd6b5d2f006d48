//! A broker with seeded faults around any other, for tests of what stands above it.
//!
//! Entries are lost, delayed, duplicated and reordered on their way to the gateway; verbs are
//! refused, and acks are lost. Every fate is decided by the seed together with the room and
//! number of the entry, or the count of the verb: so the same run meets the same faults, and
//! under a paused clock at the same times. Everything that is not an entry keeps its place in the
//! line, and what goes past the logs is left alone.

mod dice;
mod faults;
mod lane;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::event::Event;
use protocol::ids::{BootId, RoomId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

pub use self::faults::{Faults, Injected};

use self::dice::Dice;
use self::faults::{Tally, count};
use self::lane::{Fate, Lane};
use crate::{
    Broker, Busy, Counts, Deliveries, Load, Node, PendingAck, Queue, Recipient, RoomDelivery,
};

/// Deliveries that wait for the gateway behind the faults.
const ROOM_DELIVERIES_MAX: usize = 1_024;

/// A broker whose verbs and deliveries meet with faults.
pub struct Faulty {
    shared: Arc<Shared>,
    broker: Arc<dyn Broker>,
}

/// The test's hand on a [`Faulty`] broker: what goes wrong from now on, and what did.
#[derive(Debug)]
pub struct FaultyControl {
    shared: Arc<Shared>,
    pump: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    seed: u64,
    faults: watch::Sender<Faults>,
    tally: Tally,
    verbs: AtomicU64,
}

impl Faulty {
    /// Puts faults around a broker and its deliveries.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn wrap(
        broker: Arc<dyn Broker>,
        deliveries: Deliveries,
        seed: u64,
        faults: Faults,
    ) -> (Arc<dyn Broker>, Deliveries, FaultyControl) {
        let shared = Arc::new(Shared {
            seed,
            faults: watch::Sender::new(faults),
            tally: Tally::default(),
            verbs: AtomicU64::new(0),
        });
        let Deliveries { rooms: from, direct, settings, status } = deliveries;
        let (to, rooms) = mpsc::channel(ROOM_DELIVERIES_MAX);
        let pump = tokio::spawn(pump(from, to, Arc::clone(&shared)));
        let control = FaultyControl { shared: Arc::clone(&shared), pump };
        let deliveries = Deliveries { rooms, direct, settings, status };
        (Arc::new(Faulty { shared, broker }), deliveries, control)
    }

    fn admit(&self) -> Result<(), Busy> {
        self.shared.admit(&mut self.shared.dice_for_verb())
    }

    fn publish_by(
        &self,
        publish: impl FnOnce(&dyn Broker) -> Result<PendingAck, Busy>,
    ) -> Result<PendingAck, Busy> {
        let mut dice = self.shared.dice_for_verb();
        self.shared.admit(&mut dice)?;
        let pending = publish(&*self.broker)?;
        let Faults { lost_ack_permille, ack_delay_ms, .. } = *self.shared.faults.borrow();
        let is_lost = dice.happens(lost_ack_permille);
        count(&self.shared.tally.acks_lost, is_lost);
        Ok(match ack_delay_ms {
            // A pending ack that nobody will answer reads as unavailable.
            _ if is_lost => PendingAck::channel().1,
            0 => pending,
            later_ms => later(pending, Duration::from_millis(later_ms)),
        })
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl FaultyControl {
    /// The seed that decides everything.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// Changes what goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// What went wrong so far.
    pub fn injected(&self) -> Injected {
        self.shared.tally.read()
    }

    /// Waits until the deliveries have ended: the broker is gone, or nobody takes them any more.
    pub async fn ended(self) {
        if let Err(error) = self.pump.await {
            tracing::error!(%error, seed = self.shared.seed, "the pump of a faulty broker failed");
        }
    }
}

impl Shared {
    fn dice_for_verb(&self) -> Dice {
        Dice::for_verb(self.seed, self.verbs.fetch_add(1, Ordering::Relaxed))
    }

    fn admit(&self, dice: &mut Dice) -> Result<(), Busy> {
        let is_refused = dice.happens(self.faults.borrow().busy_permille);
        count(&self.tally.refused, is_refused);
        if is_refused { Err(Busy) } else { Ok(()) }
    }

    /// Puts a delivery into the lane, and counts what happened to it there.
    fn route(&self, lane: &mut Lane, room: RoomId, delivery: RoomDelivery, now_ms: u64) {
        let (seq, events) = match &delivery {
            RoomDelivery::Entry { entry, .. } => (entry.seq, entry.events.len() as u64),
            RoomDelivery::Opened { .. }
            | RoomDelivery::Live { .. }
            | RoomDelivery::Lost { .. }
            | RoomDelivery::Silent { .. }
            | RoomDelivery::Fetched { .. }
            | RoomDelivery::Counts { .. }
            | RoomDelivery::NodeGone { .. } => return lane.put(room, delivery, now_ms),
        };
        let dice = Dice::for_entry(self.seed, &room, seq);
        let fate = Fate::roll(dice, &self.faults.borrow());
        count(&self.tally.told_lost, fate.is_told_lost);
        if fate.is_told_lost {
            return lane.put(room, RoomDelivery::Lost { upto: seq, events }, now_ms);
        }
        let fate = lane.put_entry(room, delivery, fate, now_ms);
        count(&self.tally.lost, fate.is_lost);
        count(&self.tally.delayed, fate.delay_ms > 0);
        count(&self.tally.reordered, fate.overtaken_by > 0);
        count(&self.tally.duplicated, fate.copy_after.is_some());
    }
}

/// The same ack, but later.
fn later(pending: PendingAck, by: Duration) -> PendingAck {
    let (answer, later) = PendingAck::channel();
    tokio::spawn(async move {
        let ack = pending.await;
        tokio::time::sleep(by).await;
        // Nobody may wait for it any more.
        let _ = answer.send(ack);
    });
    later
}

impl Broker for Faulty {
    fn boot(&self) -> BootId {
        self.broker.boot()
    }

    fn grace_ms(&self) -> u64 {
        self.broker.grace_ms()
    }

    fn publish(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        self.publish_by(|broker| broker.publish(room, event))
    }

    fn publish_live(&self, room: &RoomId, event: Event) -> Result<PendingAck, Busy> {
        self.publish_by(|broker| broker.publish_live(room, event))
    }

    fn subscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.admit()?;
        self.broker.subscribe(room)
    }

    fn unsubscribe(&self, room: &RoomId) -> Result<(), Busy> {
        self.admit()?;
        self.broker.unsubscribe(room)
    }

    fn fetch(&self, room: &RoomId, after: Cursor) -> Result<(), Busy> {
        self.admit()?;
        self.broker.fetch(room, after)
    }

    fn send(&self, to: Recipient, payload: Bytes) -> Result<(), Busy> {
        self.admit()?;
        self.broker.send(to, payload)
    }

    fn report(&self, room: &RoomId, counts: Counts) -> Result<(), Busy> {
        self.admit()?;
        self.broker.report(room, counts)
    }

    fn put_settings(&self, room: &RoomId, settings: Option<Bytes>) -> Result<PendingAck, Busy> {
        self.admit()?;
        self.broker.put_settings(room, settings)
    }

    fn announce(&self, load: Load) {
        self.broker.announce(load);
    }

    fn nodes(&self) -> Vec<Node> {
        self.broker.nodes()
    }

    fn queues(&self) -> Vec<(Queue, usize)> {
        self.broker.queues()
    }
}

/// Moves deliveries through the lane until either end is gone.
async fn pump(
    mut from: mpsc::Receiver<(RoomId, RoomDelivery)>,
    to: mpsc::Sender<(RoomId, RoomDelivery)>,
    shared: Arc<Shared>,
) {
    let started = Instant::now();
    let mut lane = Lane::default();
    let mut has_ended = false;
    loop {
        let now_ms = elapsed_ms(started);
        while let Some(delivery) = lane.take(now_ms) {
            if to.send(delivery).await.is_err() {
                return;
            }
        }
        let due_ms = lane.next_due_ms();
        if has_ended && due_ms.is_none() {
            return;
        }
        let due = started + Duration::from_millis(due_ms.unwrap_or(0));
        tokio::select! {
            biased;
            () = to.closed() => return,
            next = from.recv(), if !has_ended && !lane.is_full() => match next {
                Some((room, delivery)) => {
                    shared.route(&mut lane, room, delivery, elapsed_ms(started));
                }
                None => has_ended = true,
            },
            () = sleep_until(due), if due_ms.is_some() => {}
        }
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
