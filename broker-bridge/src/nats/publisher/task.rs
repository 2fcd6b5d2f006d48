//! The task that publishes: drives the machine, and talks to the links.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{SelectAll, StreamExt};
use protocol::ids::BootId;
use protocol::subject::{Namespace, Partition};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::super::link::Link;
use super::{Publication, Publisher, Send, Time};
use crate::stats::Stats;
use crate::{Ack, PublishError};

/// Events that wait inside the machine; more stay in the queue before it.
const WAITING_MAX: usize = 8_192;
/// Publications taken at once.
const TURN_MAX: usize = 256;

/// What a node wants to publish.
pub(in crate::nats) type Publications = mpsc::Receiver<Publication>;

/// What the task needs.
pub(in crate::nats) struct Outlet {
    pub(in crate::nats) boot: BootId,
    pub(in crate::nats) namespace: Namespace,
    pub(in crate::nats) links: Vec<Link>,
    pub(in crate::nats) link_of: fn(Partition, usize) -> usize,
    /// Whether the streams are there.
    pub(in crate::nats) ready: watch::Receiver<bool>,
    /// Tells whether all logs ack.
    pub(in crate::nats) has_log: watch::Sender<bool>,
    pub(in crate::nats) stats: Arc<Stats>,
}

/// Publishes until the queue is closed.
pub(in crate::nats) async fn run(outlet: Outlet, mut publications: Publications) {
    let started = Instant::now();
    let now = || Time { ms: elapsed_ms(started), unix_ms: unix_ms() };
    let links = outlet.links.len();
    let mut publisher = Publisher::new(outlet.boot, links, outlet.link_of, 0);
    let mut acks = outlet.subscribe_to_acks().await;
    let mut states: Vec<_> = outlet.links.iter().map(|link| link.state.clone()).collect();
    let mut ready = outlet.ready.clone();
    let (mut taken, mut out) = (Vec::new(), Vec::new());
    loop {
        let due = publisher.next_due_ms().map(|due_ms| started + Duration::from_millis(due_ms));
        let has_room = publisher.waiting() < WAITING_MAX;
        tokio::select! {
            biased;
            Some(ack) = acks.next() => outlet.acked(&ack, &mut publisher, now(), &mut out),
            () = changed(&mut states) => {}
            _ = ready.changed(), if !*outlet.ready.borrow() => {}
            count = publications.recv_many(&mut taken, TURN_MAX), if has_room => if count == 0 {
                return;
            },
            () = sleep_until(due.unwrap_or(started)), if due.is_some() => {}
        }
        let now = now();
        let is_ready = *outlet.ready.borrow();
        for (at, link) in outlet.links.iter().enumerate() {
            publisher.link(at, is_ready && link.is_up(), now, &mut out);
        }
        for publication in taken.drain(..) {
            if is_ready {
                publisher.push(publication, now, &mut out);
            } else {
                let _ = publication.answer.send(Err(PublishError::Unavailable));
            }
        }
        publisher.tick(now, &mut out);
        outlet.stats.count_retries(publisher.take_retries());
        outlet.stats.set_waiting(publisher.waiting() as u64);
        out.drain(..).for_each(|send| outlet.send(send));
        outlet.has_log.send_if_modified(|known| {
            let has_log = publisher.has_log();
            std::mem::replace(known, has_log) != has_log
        });
    }
}

impl Outlet {
    async fn subscribe_to_acks(&self) -> SelectAll<Subscriber> {
        let mut acks = SelectAll::new();
        for (at, link) in self.links.iter().enumerate() {
            match link.client.subscribe(format!("{}.*", self.inbox(at))).await {
                Ok(subscriber) => acks.push(subscriber),
                Err(error) => tracing::error!(%error, "cannot subscribe to acks"),
            }
        }
        acks
    }

    fn inbox(&self, link: usize) -> String {
        format!("{}.a{link}", self.namespace.inbox(self.boot))
    }

    fn acked(&self, ack: &Message, publisher: &mut Publisher, now: Time, out: &mut Vec<Send>) {
        let counter = ack.subject.rsplit('.').next().and_then(|counter| counter.parse().ok());
        match counter {
            Some(counter) if is_ack(&ack.payload) => {
                let stored = publisher.acked(counter, now, out);
                self.stats.count_published(stored as u64);
            }
            // Nobody there, or refused: it is tried again.
            _ => {
                let said = String::from_utf8_lossy(&ack.payload).into_owned();
                tracing::debug!(said, "a log does not take a batch");
            }
        }
    }

    /// Hands something to its link. The client takes it at once, or not at all.
    fn send(&self, send: Send) {
        match send {
            Send::Log { room, counter, payload } => {
                let link = (self.link_of)(Partition::of_room(&room), self.links.len());
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", format!("{}-{counter}", self.boot));
                let subject = self.namespace.log(&room);
                // What is not taken is not acked either, so it is sent again.
                self.hand_over(link, subject, Some((counter, headers)), payload);
            }
            Send::Live { room, payload, answers } => {
                let link = (self.link_of)(Partition::of_room(&room), self.links.len());
                let is_sent = self.hand_over(link, self.namespace.live(&room), None, payload);
                let answer = if is_sent {
                    Ok(Ack { stored: false })
                } else {
                    Err(PublishError::Unavailable)
                };
                if is_sent {
                    self.stats.count_unstored(answers.len() as u64);
                }
                for waiting in answers {
                    let _ = waiting.send(answer);
                }
            }
            Send::Probe { stream, counter } => {
                let first = stream.partitions().next().expect("a stream has partitions");
                let link = (self.link_of)(first, self.links.len());
                let subject = self.namespace.probe(stream);
                self.hand_over(link, subject, Some((counter, HeaderMap::new())), Bytes::new());
            }
        }
    }

    fn hand_over(
        &self,
        link: usize,
        subject: String,
        log: Option<(u64, HeaderMap)>,
        payload: Bytes,
    ) -> bool {
        let client = &self.links[link].client;
        let handed = async {
            match log {
                Some((counter, headers)) => {
                    let reply = format!("{}.{counter}", self.inbox(link));
                    client.publish_with_reply_and_headers(subject, reply, headers, payload).await
                }
                None => client.publish(subject, payload).await,
            }
        };
        let handed = tokio::task::coop::unconstrained(handed).now_or_never();
        if !matches!(handed, Some(Ok(()))) {
            tracing::debug!("a link takes nothing more");
            return false;
        }
        true
    }
}

/// Whether a log says that it holds a batch. A refusal names a sequence too: 0.
fn is_ack(said: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct PubAck {
        #[serde(default)]
        seq: u64,
        error: Option<IgnoredAny>,
    }
    serde_json::from_slice::<PubAck>(said).is_ok_and(|ack| ack.seq > 0 && ack.error.is_none())
}

/// Waits until any of the links has changed.
async fn changed(states: &mut [watch::Receiver<super::super::link::LinkState>]) {
    let changes = states.iter_mut().map(|state| Box::pin(state.changed()));
    let (ended, _, _) = futures_util::future::select_all(changes).await;
    if ended.is_err() {
        std::future::pending::<()>().await;
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_ack_though_it_names_a_sequence() {
        assert!(is_ack(br#"{"stream":"barrage_h00", "seq":1}"#));
        assert!(is_ack(br#"{"stream":"barrage_h00","seq":7,"duplicate":true}"#));
        // The same message is on its way into the log already, and may not arrive.
        let conflict = br#"{"error":{"code":409,"err_code":10158,"description":"in process"},"stream":"barrage_h00","seq":0}"#;
        assert!(!is_ack(conflict));
        assert!(!is_ack(br#"{"stream":"barrage_h00","seq":0}"#));
        assert!(!is_ack(b""));
    }
}
