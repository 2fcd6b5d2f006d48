//! What the suite needs of an implementation, and a node with the questions that tests ask.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use broker_bridge::{
    Ack, Broker, Busy, Deliveries, Directed, Entry, PendingAck, PublishError, RoomDelivery,
};
use bytes::Bytes;
use protocol::cursor::Cursor;
use protocol::event::{Class, Event, WEIGHT_DEFAULT};
use protocol::ids::{EventId, RoomId};

/// Entries that a fabric under test keeps of one room; no other bound may be reached earlier.
pub(crate) const HISTORY_ENTRIES_MAX: usize = 1_000;

/// How long a test waits before it is called failed: longer than any implementation takes to
/// notice that a node is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// An implementation of `Broker`, running, with nothing in it.
pub(crate) trait Fabric: Sized {
    /// Whether what it runs on is installed; if not, the test says so and is skipped.
    fn is_here() -> bool {
        true
    }

    /// Starts it.
    async fn start() -> Self;

    /// Adds a node to it. Dropping the node is its death.
    async fn node(&mut self) -> Node;

    /// Ends it while its nodes are still there.
    async fn end(self);
}

/// One node: its handle and what is delivered to it.
pub(crate) struct Node {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) deliveries: Deliveries,
}

impl Node {
    pub(crate) fn new((broker, deliveries): (Arc<dyn Broker>, Deliveries)) -> Self {
        Self { broker, deliveries }
    }

    /// The next delivery about a room, whichever it is.
    pub(crate) async fn next(&mut self) -> (RoomId, RoomDelivery) {
        patiently(self.deliveries.rooms.recv()).await.expect("the deliveries have ended")
    }

    /// The next delivery, which must be about this room.
    pub(crate) async fn next_of(&mut self, room: &RoomId) -> RoomDelivery {
        let (of, delivery) = self.next().await;
        assert_eq!(&of, room, "{delivery:?}");
        delivery
    }

    /// The next payload past the logs.
    pub(crate) async fn next_direct(&mut self) -> Directed {
        patiently(self.deliveries.direct.recv()).await.expect("the deliveries have ended")
    }

    /// Subscribes to a room; the next delivery must be its `Opened`.
    pub(crate) async fn open(&mut self, room: &RoomId) -> (Cursor, Vec<Entry>) {
        until_accepted(|| self.broker.subscribe(room)).await;
        match self.next_of(room).await {
            RoomDelivery::Opened { head, recent } => (head, recent),
            other => panic!("expected opened, got {other:?}"),
        }
    }

    /// Publishes, again and again while the queue is full.
    pub(crate) async fn publish(&self, room: &RoomId, event: Event) -> PendingAck {
        publish(&self.broker, room, event).await
    }

    /// Publishes and waits for the ack.
    pub(crate) async fn publish_and_wait(&self, room: &RoomId, event: Event) {
        assert_eq!(acked(self.publish(room, event).await).await, Ok(Ack { stored: true }));
    }

    /// Takes entries until that many events have come, checks that each is linked to the one
    /// before, and returns the position reached.
    pub(crate) async fn follow(
        &mut self,
        room: &RoomId,
        from: Cursor,
        events: usize,
    ) -> (Cursor, Vec<Event>) {
        let mut at = from;
        let mut got: Vec<Event> = Vec::new();
        while got.len() < events {
            match self.next_of(room).await {
                RoomDelivery::Entry { epoch, entry } => {
                    assert_eq!((epoch, entry.prev), (at.epoch, at.seq), "{entry:?}");
                    assert!(entry.seq > entry.prev, "{entry:?}");
                    at = at.at(entry.seq);
                    got.extend(entry.events.iter().cloned());
                }
                other => panic!("expected an entry, got {other:?}"),
            }
        }
        (at, got)
    }

    /// Asks for everything after a cursor; the next delivery must be the answer.
    pub(crate) async fn fetch(&mut self, room: &RoomId, after: Cursor) -> Option<Vec<Entry>> {
        until_accepted(|| self.broker.fetch(room, after)).await;
        match self.next_of(room).await {
            RoomDelivery::Fetched { after: asked, entries } => {
                assert_eq!(asked, after);
                entries
            }
            other => panic!("expected fetched, got {other:?}"),
        }
    }
}

/// Publishes through a handle, again and again while the queue is full.
pub(crate) async fn publish(broker: &Arc<dyn Broker>, room: &RoomId, event: Event) -> PendingAck {
    until_accepted(|| broker.publish(room, event.clone())).await
}

/// Tries a verb until the queue has room for it.
pub(crate) async fn until_accepted<T>(verb: impl Fn() -> Result<T, Busy>) -> T {
    patiently(async {
        loop {
            match verb() {
                Ok(accepted) => return accepted,
                Err(Busy) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// Waits for an ack.
pub(crate) async fn acked(pending: PendingAck) -> Result<Ack, PublishError> {
    patiently(pending).await
}

/// Waits for something that must happen.
pub(crate) async fn patiently<T>(condition: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, condition).await.expect("waited in vain")
}

/// A room of that name.
pub(crate) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// The nth event of a publisher.
pub(crate) fn event(publisher: u64, nth: u64) -> Event {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&publisher.to_be_bytes());
    id[8..].copy_from_slice(&nth.to_be_bytes());
    Event {
        id: EventId::random(id),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: 1_760_000_000_000 + nth,
        json: Bytes::from(format!(r#"{{"publisher":{publisher},"nth":{nth}}}"#)),
    }
}

/// The first events of a publisher.
pub(crate) fn events(publisher: u64, count: u64) -> Vec<Event> {
    (0..count).map(|nth| event(publisher, nth)).collect()
}

/// The events of entries, in order.
pub(crate) fn events_of(entries: &[Entry]) -> Vec<Event> {
    entries.iter().flat_map(|entry| entry.events.iter().cloned()).collect()
}
