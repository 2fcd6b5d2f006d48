//! Brings the entries of one stream to the keeper, and acks what has become durable.
//!
//! The archive knows how far it has come, so a life of the worker begins with a consumer that is
//! made anew behind that entry; so does whatever happens when deliveries are lost on the way. The
//! consumer is durable all the same: it shows operators how far the archive is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{Context, Message};
use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::StreamExt as _;
use protocol::cursor::{Cursor, Epoch};
use protocol::envelope::Batch;
use protocol::subject::Namespace;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::intake::{Intake, Verdict};
use super::keeper::{Durable, Job, WAITING_ENTRIES_MAX};
use super::metrics::Metrics;
use crate::archive::Entry;

/// Under which a stream's metadata has its epoch.
const EPOCH_KEY: &str = "barrage-epoch";
/// What is fetched at once: entries, their bytes (the largest one fits), and how long for.
const FETCH_ENTRIES: usize = 512;
const FETCH_BYTES: usize = 2 * 1024 * 1024;
const FETCH_FOR: Duration = Duration::from_secs(1);
/// How long the end of a fetch is waited for beyond its time.
const FETCH_GRACE: Duration = Duration::from_secs(4);
/// Entries that may be unacked: those that wait for a commit, and those on the way.
const UNACKED_MAX: i64 = 2 * WAITING_ENTRIES_MAX as i64;
/// After this the server delivers again what is unacked; it is known then, and dropped.
const ACK_WAIT: Duration = Duration::from_secs(120);
/// How long a question to the server may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between tries: doubled up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long the last commit of a worker that ends may take before its acks are left to the next.
const LAST_COMMIT: Duration = Duration::from_secs(30);

/// What every consumer needs.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) namespace: Namespace,
    /// The durable name of the consumers.
    pub(super) name: Arc<str>,
    pub(super) durable: watch::Receiver<Durable>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) metrics: Arc<Metrics>,
}

/// The consumer of one stream.
pub(super) struct Consumer {
    context: Context,
    stream: Arc<str>,
    jobs: mpsc::Sender<Job>,
    around: Surroundings,
    /// The last entry that was handed on, if any ever was.
    received: Option<Cursor>,
    acks: Acks,
}

/// What is to be acked once it is durable: the last entry of each fetch and where its ack goes.
struct Acks {
    client: Client,
    waiting: VecDeque<(Cursor, Subject)>,
}

/// Why a consumer has to be made anew.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Nats(String),
    #[error("no answer")]
    NoAnswer,
    #[error("the stream says no epoch")]
    NoEpoch,
    #[error("a delivery was lost")]
    Lost,
    #[error("the keeper has ended")]
    Ended,
}

impl Fault {
    fn nats(error: impl std::fmt::Display) -> Self {
        Self::Nats(error.to_string())
    }
}

/// What the consumers of a stream are made of.
struct Source {
    consumer: PullConsumer,
    epoch: Epoch,
    intake: Intake,
}

impl Consumer {
    pub(super) fn new(
        client: Client,
        context: Context,
        stream: &str,
        jobs: mpsc::Sender<Job>,
        around: Surroundings,
    ) -> Self {
        let received = around.durable.borrow().get(stream).map(|position| position.cursor);
        let acks = Acks { client, waiting: VecDeque::new() };
        Self { context, stream: stream.into(), jobs, around, received, acks }
    }

    /// Runs until the worker is to stop, and then until what it has handed on is acked.
    pub(super) async fn run(mut self) {
        let mut stop = self.around.stop.clone();
        tokio::select! {
            () = self.consume() => {}
            // The other side of the channel lives as long as the worker.
            _ = stop.wait_for(|stop| *stop) => {}
        }
        self.finish().await;
    }

    async fn consume(&mut self) {
        let mut delay = RETRY.0;
        loop {
            let fault = match self.source().await {
                Ok(mut source) => {
                    delay = RETRY.0;
                    self.follow(&mut source).await
                }
                Err(fault) => fault,
            };
            if matches!(fault, Fault::Ended) {
                return;
            }
            tracing::debug!(stream = &*self.stream, %fault, retry_in = ?delay, "begins anew");
            sleep(delay).await;
            delay = RETRY.1.min(delay * 2);
        }
    }

    /// Makes the consumer, behind what was received.
    async fn source(&mut self) -> Result<Source, Fault> {
        let stream = answer(self.context.get_stream(&*self.stream)).await?;
        let epoch = epoch(&stream).ok_or(Fault::NoEpoch)?;
        let received = self.received.filter(|cursor| cursor.epoch == epoch).map_or(0, |c| c.seq);
        let last = stream.cached_info().state.last_sequence;
        if last < received {
            // Only a log that has lost its end can be behind us.
            tracing::error!(stream = &*self.stream, last, received, "the stream has lost its end");
        }
        let name = self.around.name.to_string();
        // There is none before the first life of the worker.
        let _ = answer(stream.delete_consumer(&name)).await;
        let config = pull::Config {
            durable_name: Some(name),
            description: Some("Barrage's archive".to_owned()),
            deliver_policy: match received {
                0 => DeliverPolicy::All,
                received => DeliverPolicy::ByStartSequence { start_sequence: received + 1 },
            },
            ack_policy: AckPolicy::All,
            ack_wait: ACK_WAIT,
            max_ack_pending: UNACKED_MAX,
            ..pull::Config::default()
        };
        let consumer = answer(stream.create_consumer(config)).await?;
        self.around.metrics.consumers.inc();
        self.acks.waiting.clear();
        let (stream, behind) = (&*self.stream, consumer.cached_info().num_pending);
        tracing::info!(stream, %epoch, received, behind, "archiving");
        self.behind(behind);
        Ok(Source { consumer, epoch, intake: Intake::behind(received) })
    }

    /// Hands on what comes, until something is wrong.
    async fn follow(&mut self, source: &mut Source) -> Fault {
        loop {
            let messages = match fetch(&source.consumer).await {
                Ok(messages) => messages,
                Err(fault) => return fault,
            };
            let last = messages.last().and_then(|message| message.reply.clone());
            for message in messages {
                if let Err(fault) = self.hand_on(source, message).await {
                    return fault;
                }
            }
            self.acks.waiting.extend(self.received.zip(last));
            self.acks.up_to(&self.around.durable, &self.stream).await;
        }
    }

    async fn hand_on(&mut self, source: &mut Source, message: Message) -> Result<(), Fault> {
        let info = message.info().map_err(Fault::nats)?;
        let seq = info.stream_sequence;
        match source.intake.judge(info.consumer_sequence, seq) {
            Verdict::New => {}
            Verdict::Repeated => return Ok(()),
            Verdict::Broken => return Err(Fault::Lost),
        }
        self.behind(info.pending);
        let stored_ms = u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000);
        let cursor = Cursor { epoch: source.epoch, seq };
        let job = self.job(cursor, stored_ms.unwrap_or_default(), &message);
        self.jobs.send(job).await.map_err(|_| Fault::Ended)?;
        self.received = Some(cursor);
        Ok(())
    }

    fn job(&self, cursor: Cursor, stored_ms: u64, message: &Message) -> Job {
        let stream = self.stream.clone();
        let room = self.around.namespace.room(&message.subject);
        let (Ok(room), Ok(batch)) = (room, Batch::decode(message.payload.clone())) else {
            self.around.metrics.unusable.inc();
            tracing::warn!(stream = &*stream, seq = cursor.seq, "an entry cannot be read");
            return Job::Pass(stream, cursor, stored_ms);
        };
        if room.as_str().starts_with('$') {
            // The fabric's own: nobody says anything there.
            return Job::Pass(stream, cursor, stored_ms);
        }
        let Cursor { epoch, seq } = cursor;
        Job::Keep(stream, Entry { room, epoch, seq, stored_ms, events: batch.events })
    }

    /// Lets the keeper, which ends when nobody hands anything on any more, do its last commit,
    /// and acks that.
    async fn finish(self) {
        let Self { stream, jobs, mut around, received, mut acks, .. } = self;
        drop(jobs);
        let is_durable =
            |durable: &Durable| durable.get(&*stream).map(|position| position.cursor) == received;
        let last = around.durable.wait_for(is_durable);
        // Without it the next life of the worker is given the rest again.
        let _ = timeout(LAST_COMMIT, last).await;
        acks.up_to(&around.durable, &stream).await;
    }

    fn behind(&self, entries: u64) {
        let entries = i64::try_from(entries).unwrap_or(i64::MAX);
        self.around.metrics.behind.with_label_values(&[&*self.stream]).set(entries);
    }
}

impl Acks {
    /// Acks the last entry that is durable, and with it all before.
    async fn up_to(&mut self, durable: &watch::Receiver<Durable>, stream: &str) {
        let Some(durable) = durable.borrow().get(stream).map(|position| position.cursor) else {
            return;
        };
        let is_durable = |at: &Cursor| at.epoch == durable.epoch && at.seq <= durable.seq;
        let mut last = None;
        while self.waiting.front().is_some_and(|(cursor, _)| is_durable(cursor)) {
            last = self.waiting.pop_front();
        }
        if let Some((_, reply)) = last {
            // An ack that does not arrive is made up for by the next one.
            let ack = self.client.publish(reply, Bytes::from_static(b"+ACK"));
            let _ = timeout(PATIENCE, ack).await;
        }
    }
}

fn epoch(stream: &Stream) -> Option<Epoch> {
    let metadata = &stream.cached_info().config.metadata;
    metadata.get(EPOCH_KEY)?.parse().ok()
}

async fn answer<T, E: std::fmt::Display>(
    question: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    timeout(PATIENCE, question).await.map_err(|_| Fault::NoAnswer)?.map_err(Fault::nats)
}

/// Some of what the stream has, at once if it has anything.
async fn fetch(consumer: &PullConsumer) -> Result<Vec<Message>, Fault> {
    let batch = consumer
        .batch()
        .max_messages(FETCH_ENTRIES)
        .max_bytes(FETCH_BYTES)
        .expires(FETCH_FOR)
        .messages();
    let mut batch = answer(batch).await?;
    let mut messages = Vec::new();
    let whole = async {
        while let Some(message) = batch.next().await {
            match message {
                Ok(message) => messages.push(message),
                Err(error) => return Err(Fault::nats(error)),
            }
        }
        Ok(())
    };
    let ended = timeout(FETCH_FOR + FETCH_GRACE, whole).await.unwrap_or(Err(Fault::NoAnswer));
    match ended {
        // What has come is good, whatever came then; the next fetch tells.
        Err(fault) if messages.is_empty() => Err(fault),
        _ => Ok(messages),
    }
}
