//! What nodes count in rooms: told on change, repeated, and asked for when a room opens.
//!
//! In: this node's counts, which rooms are open, what others say, which nodes are gone. Out:
//! deliveries about open rooms. All of it is soft state: whatever is lost is said again.

use std::future::Future;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use protocol::envelope::notes::{Count, Counts as Note, Question};
use protocol::ids::{BootId, RoomId};
use protocol::subject::{Namespace, Partition};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use super::registry::say_goodbye;
use crate::{Counts, RoomDelivery};

/// Verbs taken at once.
const TURN_MAX: usize = 256;
/// Questions and reports of so long go out together, so that answers to a room that opens
/// everywhere at once do not come as one burst per node.
const COLLECT: Duration = Duration::from_millis(100);
/// What is counted is said again after so many collections: every 30 s.
const REPEAT_AFTER: u32 = 300;
/// How long the last words may take.
const LAST_WORDS_MAX: Duration = Duration::from_millis(200);
/// Rooms in one note.
const NOTE_ROOMS_MAX: usize = 1_000;

/// What the task is told.
#[derive(Debug)]
pub(super) enum CountsVerb {
    /// The gateway counts this here now.
    Report(RoomId, Counts),
    /// The room is open here: what others count is of interest.
    Opened(RoomId),
    /// It is not any more.
    Closed(RoomId),
    /// A node is gone.
    Gone(BootId),
}

/// The state of the task.
pub(super) struct Tellers {
    boot: BootId,
    namespace: Namespace,
    client: Client,
    deliveries: mpsc::Sender<(RoomId, RoomDelivery)>,
    own: AHashMap<RoomId, Counts>,
    /// What others count in rooms that are open here.
    open: AHashMap<RoomId, Vec<(BootId, Counts)>>,
    heard: AHashSet<Partition>,
    subscriptions: SelectAll<Subscriber>,
    to_tell: Vec<RoomId>,
    to_ask: Vec<RoomId>,
    collections: u32,
}

impl Tellers {
    pub(super) fn new(
        boot: BootId,
        namespace: Namespace,
        client: Client,
        deliveries: mpsc::Sender<(RoomId, RoomDelivery)>,
    ) -> Self {
        Self {
            boot,
            namespace,
            client,
            deliveries,
            own: AHashMap::new(),
            open: AHashMap::new(),
            heard: AHashSet::new(),
            subscriptions: SelectAll::new(),
            to_tell: Vec::new(),
            to_ask: Vec::new(),
            collections: 0,
        }
    }

    /// Runs until the end. Then it says what it has to say still, and that this node is gone: in
    /// this order, so that nobody counts for it what is not there any more.
    pub(super) async fn run_until(
        mut self,
        mut verbs: mpsc::Receiver<CountsVerb>,
        end: impl Future<Output = ()>,
    ) {
        tokio::select! {
            biased;
            () = end => {}
            () = self.run(&mut verbs) => {}
        }
        let last_words = async {
            while let Ok(verb) = verbs.try_recv() {
                if let CountsVerb::Report(room, counts) = verb {
                    self.note(room, counts);
                }
            }
            self.say().await;
            say_goodbye(&self.client, &self.namespace, self.boot).await;
            self.client.flush().await
        };
        if !matches!(timeout(LAST_WORDS_MAX, last_words).await, Ok(Ok(()))) {
            tracing::debug!("the other nodes could not be told of the end");
        }
    }

    async fn run(&mut self, verbs: &mut mpsc::Receiver<CountsVerb>) {
        let mut taken = Vec::new();
        let mut collect = interval(COLLECT);
        loop {
            tokio::select! {
                count = verbs.recv_many(&mut taken, TURN_MAX) => {
                    if count == 0 {
                        return;
                    }
                    for verb in taken.drain(..) {
                        self.apply(verb).await;
                    }
                }
                Some(message) = self.subscriptions.next() => self.hear(&message).await,
                _ = collect.tick() => self.say().await,
            }
        }
    }

    async fn apply(&mut self, verb: CountsVerb) {
        match verb {
            CountsVerb::Report(room, counts) => self.note(room, counts),
            CountsVerb::Opened(room) => {
                self.listen(&room).await;
                self.open.entry(room.clone()).or_default();
                self.to_ask.push(room);
            }
            CountsVerb::Closed(room) => {
                self.open.remove(&room);
                if self.own.get(&room).is_some_and(|own| own.likes == 0) {
                    self.own.remove(&room);
                }
            }
            CountsVerb::Gone(node) => self.forget(node).await,
        }
    }

    fn note(&mut self, room: RoomId, counts: Counts) {
        self.own.insert(room.clone(), counts);
        self.to_tell.push(room);
    }

    async fn listen(&mut self, room: &RoomId) {
        let partition = Partition::of_room(room);
        if self.heard.insert(partition) {
            match self.client.subscribe(self.namespace.counts(partition)).await {
                Ok(subscriber) => self.subscriptions.push(subscriber),
                Err(error) => tracing::error!(%error, "cannot subscribe to counts"),
            }
        }
    }

    async fn hear(&mut self, message: &Message) {
        if let Ok(note) = Note::decode(message.payload.clone()) {
            if note.from != self.boot {
                for count in note.counts {
                    self.learn(count).await;
                }
            }
        } else if let Ok(question) = Question::decode(message.payload.clone())
            && question.from != self.boot
        {
            let own = |room: &RoomId| self.own.contains_key(room) || self.open.contains_key(room);
            self.to_tell.extend(question.rooms.into_iter().filter(own));
        }
    }

    async fn learn(&mut self, count: Count) {
        let Count { room, node, online, likes } = count;
        let Some(known) = self.open.get_mut(&room).filter(|_| node != self.boot) else { return };
        let counts = Counts { online, likes };
        match known.iter_mut().find(|(boot, _)| *boot == node) {
            Some((_, known)) if *known == counts => return,
            // Somebody else speaks for a node that is gone: only its likes are news.
            Some((_, known)) if likes < known.likes => return,
            Some((_, known)) => *known = counts,
            None => known.push((node, counts)),
        }
        self.deliver(room, RoomDelivery::Counts { node, counts }).await;
    }

    /// Ends what a node counted, its likes excepted.
    async fn forget(&mut self, node: BootId) {
        let mut told = Vec::new();
        for (room, known) in &mut self.open {
            if let Some((_, counts)) = known.iter_mut().find(|(boot, _)| *boot == node) {
                counts.online = 0;
                told.push(room.clone());
            }
            known.retain(|(boot, counts)| *boot != node || counts.likes > 0);
        }
        for room in told {
            self.deliver(room, RoomDelivery::NodeGone { node }).await;
        }
    }

    /// Says what there is to say, by partition.
    async fn say(&mut self) {
        self.collections += 1;
        if self.collections.is_multiple_of(REPEAT_AFTER) {
            self.to_tell.extend(self.own.keys().cloned());
        }
        for (partition, rooms) in by_partition(&mut self.to_ask) {
            for rooms in rooms.chunks(NOTE_ROOMS_MAX) {
                let question = Question { from: self.boot, rooms: rooms.to_vec() };
                self.publish(partition, question.encode()).await;
            }
        }
        for (partition, rooms) in by_partition(&mut self.to_tell) {
            for rooms in rooms.chunks(NOTE_ROOMS_MAX) {
                let counts = rooms.iter().flat_map(|room| self.counts_of(room)).collect();
                let note = Note { from: self.boot, counts };
                self.publish(partition, note.encode()).await;
            }
        }
    }

    /// What is counted here, and the likes of nodes that are gone, whom nobody else speaks for.
    fn counts_of(&self, room: &RoomId) -> Vec<Count> {
        let count = |node: BootId, counts: Counts| {
            let Counts { online, likes } = counts;
            Count { room: room.clone(), node, online, likes }
        };
        let own = self.own.get(room).map(|own| count(self.boot, *own));
        let known = self.open.get(room).into_iter().flatten();
        let gone = known.filter(|(_, counts)| counts.online == 0 && counts.likes > 0);
        own.into_iter().chain(gone.map(|(node, counts)| count(*node, *counts))).collect()
    }

    async fn publish(&self, partition: Partition, note: Bytes) {
        let subject = self.namespace.counts(partition);
        if let Err(error) = self.client.publish(subject, note).await {
            tracing::debug!(%error, "counts could not be told");
        }
    }

    async fn deliver(&self, room: RoomId, delivery: RoomDelivery) {
        // A gateway that takes nothing any more has ended.
        let _ = self.deliveries.send((room, delivery)).await;
    }
}

fn by_partition(rooms: &mut Vec<RoomId>) -> AHashMap<Partition, Vec<RoomId>> {
    let mut sorted: AHashMap<Partition, Vec<RoomId>> = AHashMap::new();
    rooms.sort();
    rooms.dedup();
    for room in rooms.drain(..) {
        sorted.entry(Partition::of_room(&room)).or_default().push(room);
    }
    sorted
}
