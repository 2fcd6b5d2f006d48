//! What goes past the logs: heard at each server by itself, so that the crash of one hides little.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_nats::{ConnectOptions, Message};
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use protocol::envelope::Batch;
use protocol::ids::{EventId, RoomId};
use tokio::task::JoinHandle;

use super::stream::namespace;
use crate::crowd::ROOMS;

/// Listens for events that have no number.
#[derive(Debug)]
pub(crate) struct Ears {
    heard: Arc<Mutex<HashSet<EventId>>>,
    task: JoinHandle<()>,
}

impl Ears {
    pub(super) async fn start(urls: &str) -> Self {
        let mut rooms = Vec::new();
        for url in urls.split(',') {
            let options = ConnectOptions::new().retry_on_initial_connect();
            let client = options.connect(url).await.expect("servers that can be reached");
            for room in ROOMS {
                let subject = namespace().live(&RoomId::parse(room).unwrap());
                rooms.push(client.subscribe(subject).await.expect("an open client"));
            }
        }
        let heard = Arc::new(Mutex::new(HashSet::new()));
        let own = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut messages = select_all(rooms);
            while let Some(message) = messages.next().await {
                own.lock().unwrap().extend(unnumbered(message));
            }
        });
        Self { heard, task }
    }

    /// All that was heard.
    pub(super) fn heard(self) -> HashSet<EventId> {
        self.task.abort();
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn unnumbered(message: Message) -> Vec<EventId> {
    if message.headers.is_some_and(|headers| headers.get("Nats-Sequence").is_some()) {
        return Vec::new();
    }
    let batch = Batch::decode(message.payload).expect("gateways send batches");
    batch.events.iter().map(|event| event.id).collect()
}
