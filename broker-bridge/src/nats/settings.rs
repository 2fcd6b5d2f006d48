//! Rooms' settings, in a bucket of the server: kept there, watched by every node.

use std::time::Duration;

use ahash::AHashMap;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::{Config as Bucket, Entry, Operation, Store};
use async_nats::jetstream::stream::StorageType;
use bytes::Bytes;
use futures_util::StreamExt;
use protocol::ids::RoomId;
use protocol::subject::{Namespace, parse_room_key, room_key};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::publisher::Answer;
use crate::{Ack, PublishError, SETTINGS_BYTES_MAX, SettingsDelivery};

/// Changes kept of each room: watchers that are a little late see them all.
const HISTORY: i64 = 16;
/// Watches are renewed so often, in case one has gone quiet.
const RENEW_EVERY: Duration = Duration::from_secs(300);
/// How long a change may take to be kept.
const PATIENCE: Duration = Duration::from_secs(3);

/// A change that a node wants.
pub(super) type Put = (RoomId, Option<Bytes>, Answer);
/// What the gateway is told.
pub(super) type Told = mpsc::Sender<SettingsDelivery>;

/// Where the bucket is, or is to be.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) context: Context,
    pub(super) namespace: Namespace,
    pub(super) replicas: usize,
}

/// Opens the bucket, or makes it.
pub(super) async fn open(place: &Place) -> Result<Store, String> {
    let Place { context, namespace, replicas } = place;
    let bucket = namespace.settings_bucket();
    if let Ok(store) = context.get_key_value(&bucket).await {
        return Ok(store);
    }
    let wanted = Bucket {
        bucket: bucket.clone(),
        description: "Settings of Barrage's rooms".to_owned(),
        max_value_size: i32::try_from(SETTINGS_BYTES_MAX).expect("a page"),
        history: HISTORY,
        storage: StorageType::File,
        num_replicas: *replicas,
        ..Bucket::default()
    };
    match context.create_key_value(wanted).await {
        Ok(store) => Ok(store),
        // Somebody else was faster.
        Err(error) => context.get_key_value(&bucket).await.map_err(|_| error.to_string()),
    }
}

/// Keeps changes and tells them, until the queue is closed.
pub(super) async fn run(
    mut opened: watch::Receiver<Option<(Place, Store)>>,
    puts: mpsc::Receiver<Put>,
    told: Told,
) {
    let (place, store) = match opened.wait_for(Option::is_some).await {
        Ok(opened) => opened.clone().expect("waited for"),
        Err(_) => return,
    };
    tokio::select! {
        () = keep(&store, puts) => {}
        () = watch(&place, &store, told) => {}
    }
}

async fn keep(store: &Store, mut puts: mpsc::Receiver<Put>) {
    while let Some((room, settings, answer)) = puts.recv().await {
        let key = room_key(&room);
        let kept = timeout(PATIENCE, async {
            match settings {
                Some(settings) => {
                    store.put(key, settings).await.map(drop).map_err(|e| e.to_string())
                }
                None => store.delete(key).await.map_err(|e| e.to_string()),
            }
        });
        let answered = match kept.await {
            Ok(Ok(())) => Ok(Ack { stored: true }),
            Ok(Err(error)) => {
                tracing::warn!(error, "settings could not be kept");
                Err(PublishError::Unavailable)
            }
            Err(_) => Err(PublishError::Unavailable),
        };
        let _ = answer.send(answered);
    }
}

/// Watches the bucket, again and again: each watch begins with everything that is kept. A bucket
/// that somebody deletes is made again.
async fn watch(place: &Place, store: &Store, told: Told) {
    let mut watcher = Watcher { told, known: AHashMap::new(), last: 0, is_complete: false };
    loop {
        if let Err(error) = open(place).await {
            tracing::debug!(error, "the bucket of settings is not there");
        }
        let until = Instant::now() + RENEW_EVERY;
        if watcher.watch_until(store, until).await == Err(Gone) {
            return;
        }
        // Many gateways that lose their watches together do not renew them together.
        sleep(Duration::from_millis(200 + rand::random::<u64>() % 800)).await;
    }
}

/// Nobody listens any more.
#[derive(Debug, PartialEq, Eq)]
struct Gone;

/// What the gateway was told.
struct Watcher {
    told: Told,
    /// The last change of each room.
    known: AHashMap<RoomId, u64>,
    /// The last change of all.
    last: u64,
    is_complete: bool,
}

impl Watcher {
    async fn watch_until(&mut self, store: &Store, until: Instant) -> Result<(), Gone> {
        let opened = async {
            let changes = store.watch_with_history(">").await.map_err(|e| e.to_string())?;
            // Asked behind the watch: an empty bucket has nothing that it could begin with.
            let info = store.stream.get_info().await.map_err(|e| e.to_string())?;
            Ok::<_, String>((changes, info.state))
        };
        let mut changes = match opened.await {
            Ok((changes, state)) => {
                if state.last_sequence < self.last {
                    // Another bucket, which counts anew. What the old one held goes on being so.
                    tracing::warn!("the bucket of settings was lost and is a new one");
                    (self.known, self.last) = (AHashMap::new(), 0);
                }
                if state.messages == 0 {
                    self.complete().await?;
                }
                changes
            }
            Err(error) => {
                tracing::debug!(error, "settings cannot be watched yet");
                return Ok(());
            }
        };
        loop {
            let change = tokio::select! {
                change = changes.next() => change,
                () = sleep_until(until) => return Ok(()),
            };
            match change {
                Some(Ok(entry)) => {
                    let is_last = entry.seen_current;
                    self.take(entry).await?;
                    if is_last {
                        self.complete().await?;
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the watch of settings is renewed");
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    async fn take(&mut self, entry: Entry) -> Result<(), Gone> {
        let Ok(room) = parse_room_key(&entry.key) else { return Ok(()) };
        let revision = self.known.get(&room).copied();
        if revision.is_some_and(|revision| entry.revision <= revision) {
            return Ok(());
        }
        self.known.insert(room.clone(), entry.revision);
        self.last = self.last.max(entry.revision);
        let settings = match entry.operation {
            Operation::Put => Some(entry.value),
            // What was forgotten before we knew of it is no news.
            Operation::Delete | Operation::Purge if revision.is_none() => return Ok(()),
            Operation::Delete | Operation::Purge => None,
        };
        self.told.send(SettingsDelivery::Room(room, settings)).await.map_err(|_| Gone)
    }

    async fn complete(&mut self) -> Result<(), Gone> {
        if std::mem::replace(&mut self.is_complete, true) {
            return Ok(());
        }
        self.told.send(SettingsDelivery::Complete).await.map_err(|_| Gone)
    }
}
