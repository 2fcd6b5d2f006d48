//! The task of the rooms that are open on this node: subscriptions, and what each room's log
//! brings.
//!
//! In: the verbs of the gateway, messages of the servers, answers of the streams. Out: deliveries
//! about rooms. Everything that has to be asked for is a job; the task itself never waits for an
//! answer, only for its gateway to take a delivery.

mod follow;
mod history;
mod jobs;
mod room;
mod told;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use async_nats::Message;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{Abortable, FuturesUnordered, Map, SelectAll};
use protocol::cursor::{Cursor, Seq};
use protocol::ids::RoomId;
use protocol::subject::{Namespace, Partition, STREAMS, StreamIndex};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval};

use self::follow::{Stored, Verdict};
use self::history::Historian;
use self::jobs::{Done, JOBS_MAX, Job};
use self::room::Room;
use super::counts::CountsVerb;
use super::link::{Link, LinkState};
use crate::RoomDelivery;
use crate::stats::Stats;

/// Verbs taken at once.
const TURN_MAX: usize = 512;
/// How often open rooms are compared with their streams: what was lost at the very end of what a
/// room has heard shows in nothing that comes after. More often where logs are kept for a short
/// time only: for an eighth of that time.
const AUDIT_EVERY_MAX: Duration = Duration::from_secs(30);
/// A hole that the stream has not filled after this time is told as lost.
const HOLE_MAX: Duration = Duration::from_secs(2);
/// The same while the stream does not answer at all: longer than it takes to choose a leader.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Fetches that wait. The other questions are at most as many as rooms are open.
const FETCHES_MAX: usize = 4_096;
/// Between two attempts at the same thing.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(50);

/// What the gateway wants of a room.
#[derive(Debug)]
pub(super) enum RoomVerb {
    Subscribe,
    Unsubscribe,
    Fetch { after: Cursor },
}

/// What the task needs.
pub(super) struct Ground {
    pub(super) namespace: Namespace,
    pub(super) links: Vec<Link>,
    pub(super) askers: Vec<super::ask::Asker>,
    pub(super) link_of: fn(Partition, usize) -> usize,
    pub(super) ready: watch::Receiver<bool>,
    pub(super) room_entries_max: u32,
    /// How long logs are kept.
    pub(super) age: Duration,
    pub(super) deliveries: mpsc::Sender<(RoomId, RoomDelivery)>,
    pub(super) counts: mpsc::Sender<CountsVerb>,
    pub(super) stats: Arc<Stats>,
}

type Tagged =
    Map<Abortable<async_nats::Subscriber>, Box<dyn FnMut(Message) -> (RoomId, Message) + Send>>;

/// The state of the task.
pub(super) struct Rooms {
    ground: Ground,
    rooms: AHashMap<RoomId, Room>,
    subscriptions: SelectAll<Tagged>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Jobs that wait for their turn.
    queued: VecDeque<Job>,
    /// How many of them are fetches.
    fetches: usize,
    /// How far each stream was compared with the rooms.
    audited: [Seq; STREAMS as usize],
    links: Vec<LinkState>,
    out: Vec<(RoomId, RoomDelivery)>,
    /// Rooms that have just been subscribed, to be opened together.
    opening: Vec<RoomId>,
}

impl Rooms {
    pub(super) fn new(ground: Ground) -> Self {
        let links = vec![LinkState::default(); ground.links.len()];
        Self {
            ground,
            rooms: AHashMap::new(),
            subscriptions: SelectAll::new(),
            running: FuturesUnordered::new(),
            queued: VecDeque::new(),
            fetches: 0,
            audited: [0; STREAMS as usize],
            links,
            out: Vec::new(),
            opening: Vec::new(),
        }
    }

    /// Runs until the queue of verbs is closed.
    pub(super) async fn run(mut self, mut verbs: mpsc::Receiver<(RoomId, RoomVerb)>) {
        let mut ready = self.ground.ready.clone();
        if ready.wait_for(|ready| *ready).await.is_err() {
            return;
        }
        let mut taken = Vec::new();
        let mut audit = interval(AUDIT_EVERY_MAX.min(self.ground.age / 8));
        let mut tick = interval(TICK);
        audit.reset();
        loop {
            tokio::select! {
                count = verbs.recv_many(&mut taken, TURN_MAX) => {
                    if count == 0 {
                        return;
                    }
                    for (room, verb) in taken.drain(..) {
                        self.apply(room, verb).await;
                    }
                    self.open_together();
                }
                Some((room, message)) = self.subscriptions.next() => self.arrive(&room, &message),
                Some(done) = self.running.next() => self.finish(done),
                _ = audit.tick() => self.audit_all(),
                _ = tick.tick() => self.tick(),
            }
            self.start_jobs();
            self.ground.stats.set_lookups(self.queued.len());
            self.hand_out().await;
        }
    }

    async fn apply(&mut self, id: RoomId, verb: RoomVerb) {
        match verb {
            RoomVerb::Subscribe => self.subscribe(id).await,
            RoomVerb::Unsubscribe => {
                if let Some(room) = self.rooms.remove(&id) {
                    room.subscription.abort();
                    let _ = self.ground.counts.send(CountsVerb::Closed(id)).await;
                }
            }
            RoomVerb::Fetch { after } => self.fetch(id, after),
        }
    }

    async fn subscribe(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.reopen();
            self.opening.push(id);
            return;
        }
        let link = self.link_of(&id);
        let subject = self.ground.namespace.live(&id);
        let subscriber = match self.ground.links[link].client.subscribe(subject).await {
            Ok(subscriber) => subscriber,
            Err(error) => return tracing::error!(%error, "cannot subscribe to a room"),
        };
        let (subscriber, subscription) = futures_util::stream::abortable(subscriber);
        let tag = id.clone();
        let tagged = subscriber.map(Box::new(move |message| (tag.clone(), message)) as Box<_>);
        self.subscriptions.push(tagged);
        self.rooms.insert(id.clone(), Room::new(subscription));
        self.opening.push(id);
    }

    /// Opens what was subscribed in this turn, the rooms of a stream together.
    fn open_together(&mut self) {
        let mut by_stream: AHashMap<StreamIndex, Vec<RoomId>> = AHashMap::new();
        for room in std::mem::take(&mut self.opening) {
            by_stream.entry(stream_of(&room)).or_default().push(room);
        }
        for (stream, rooms) in by_stream {
            self.queued.push_back(Job::Open { stream, rooms });
        }
    }

    fn fetch(&mut self, id: RoomId, after: Cursor) {
        let room = self.rooms.get_mut(&id);
        // A room that is not open yet, or opens once more, cannot be asked.
        let Some((room, (epoch, last))) = room.and_then(|room| {
            let position = room.position()?;
            Some((room, position))
        }) else {
            return;
        };
        if after.epoch != epoch {
            self.out.push((id, RoomDelivery::Fetched { after, entries: None }));
        } else if after.seq == last {
            self.out.push((id, RoomDelivery::Fetched { after, entries: Some(Vec::new()) }));
        } else {
            // Single flight: who asks for the same is told the same, but from here on.
            let is_first = !room.asked.iter().any(|asked| asked.after == after);
            if is_first && self.fetches >= FETCHES_MAX {
                // Whoever waits for it gives up in a while, and may try again.
                return self.ground.stats.count_busy();
            }
            let upto = room.entry();
            room.asked.push(room::Asked { after, upto, since: Vec::new(), tries: 0 });
            if is_first {
                self.fetches += 1;
                self.queued.push_back(Job::Fetch { room: id, after: after.seq });
            }
        }
    }

    fn arrive(&mut self, id: &RoomId, message: &Message) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let Some(batch) = history::batch(message) else { return };
        let Some(seq) = history::sequence(message) else {
            room.live(id, batch, &mut self.out);
            return;
        };
        let prev = super::ask::number(message, "Nats-Last-Sequence").unwrap_or(0);
        let verdict = room.stored(id, Stored { seq, prev, batch }, &mut self.out);
        if let Some(job) = room.heal(id, Instant::now(), &mut self.out) {
            self.queued.push_back(job);
        }
        match verdict {
            Verdict::Done | Verdict::Unlinked => {}
            Verdict::Hole => self.ground.stats.count_hole(),
            Verdict::Suspect => self.audit(stream_of(id)),
        }
    }

    /// Fills holes, and gives up those that are too old.
    fn tick(&mut self) {
        let now = Instant::now();
        for at in 0..self.links.len() {
            let state = *self.ground.links[at].state.borrow();
            let known = std::mem::replace(&mut self.links[at], state);
            let is_back = state.connects > known.connects && known.connects > 0;
            if is_back || state.overflows > known.overflows {
                self.audit_link(at);
            }
        }
        for (id, room) in &mut self.rooms {
            if let Some(job) = room.heal(id, now, &mut self.out) {
                self.queued.push_back(job);
            }
        }
    }

    fn audit_all(&mut self) {
        (0..self.links.len()).for_each(|link| self.audit_link(link));
    }

    fn audit_link(&mut self, link: usize) {
        for stream in StreamIndex::all() {
            let first = stream.partitions().next().expect("a stream has partitions");
            let is_used = self.rooms.keys().any(|room| stream_of(room) == stream);
            if is_used && (self.ground.link_of)(first, self.links.len()) == link {
                self.audit(stream);
            }
        }
    }

    fn audit(&mut self, stream: StreamIndex) {
        let is_it =
            |job: &Job| matches!(job, Job::Audit { stream: queued, .. } if *queued == stream);
        if !self.queued.iter().any(is_it) {
            self.queued.push_back(Job::Audit { stream, from: self.audited[stream.number()] });
        }
    }

    fn start_jobs(&mut self) {
        while self.running.len() < JOBS_MAX
            && let Some(job) = self.queued.pop_front()
        {
            self.fetches -= usize::from(matches!(job, Job::Fetch { .. }));
            let (link, subjects) = match &job {
                Job::Audit { stream, .. } => {
                    let rooms = self.rooms.keys().filter(|room| stream_of(room) == *stream);
                    let first = stream.partitions().next().expect("a stream has partitions");
                    let subjects = rooms.map(|room| self.ground.namespace.log(room)).collect();
                    ((self.ground.link_of)(first, self.links.len()), subjects)
                }
                Job::Open { rooms, .. } => (self.link_of(&rooms[0]), Vec::new()),
                Job::Recent { room, .. } | Job::Fill { room } | Job::Fetch { room, .. } => {
                    (self.link_of(room), Vec::new())
                }
            };
            let historian = Historian {
                asker: self.ground.askers[link].clone(),
                namespace: self.ground.namespace.clone(),
                room_entries_max: u64::from(self.ground.room_entries_max),
            };
            let from = match &job {
                Job::Fill { room } | Job::Fetch { room, .. } => {
                    self.rooms.get(room).and_then(Room::position)
                }
                Job::Open { .. } | Job::Recent { .. } | Job::Audit { .. } => None,
            };
            let from = from.map_or(0, |(_, last)| last);
            self.running.push(Box::pin(job.run(historian, subjects, from)));
        }
    }

    async fn hand_out(&mut self) {
        for (room, delivery) in std::mem::take(&mut self.out) {
            let opened = matches!(delivery, RoomDelivery::Opened { .. }).then(|| room.clone());
            match &delivery {
                RoomDelivery::Entry { entry, .. } => {
                    self.ground.stats.count_received(entry.events.len() as u64);
                }
                RoomDelivery::Live { events, .. } => {
                    self.ground.stats.count_received(events.len() as u64);
                }
                RoomDelivery::Lost { events, .. } => self.ground.stats.count_lost(*events),
                RoomDelivery::Opened { .. }
                | RoomDelivery::Silent { .. }
                | RoomDelivery::Fetched { .. }
                | RoomDelivery::Counts { .. }
                | RoomDelivery::NodeGone { .. } => {}
            }
            if self.ground.deliveries.send((room, delivery)).await.is_err() {
                return;
            }
            if let Some(room) = opened {
                // Counts come only after the room is open.
                let _ = self.ground.counts.send(CountsVerb::Opened(room)).await;
            }
        }
    }

    fn link_of(&self, room: &RoomId) -> usize {
        (self.ground.link_of)(Partition::of_room(room), self.links.len())
    }
}

fn stream_of(room: &RoomId) -> StreamIndex {
    Partition::of_room(room).stream()
}
