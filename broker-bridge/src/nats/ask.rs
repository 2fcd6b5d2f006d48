//! Questions to the server, each with an inbox of its own.
//!
//! The client's own requests keep some memory for each one that is never answered; an inbox that
//! is dropped does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Messages in one answer.
pub(super) const ANSWER_MESSAGES_MAX: usize = 512;
/// Bytes in one answer: a quarter of what the server holds back for a client that is slow.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Who asks on one connection.
#[derive(Clone)]
pub(super) struct Asker {
    client: Client,
    inbox: Arc<str>,
    next: Arc<AtomicU64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    /// None in time, or nobody there who could.
    #[error("no answer")]
    NoAnswer,
    /// One that cannot be understood.
    #[error("the answer is not understood: {0}")]
    Strange(String),
    /// A refusal.
    #[error("refused: {0}")]
    Refused(String),
}

/// What is asked of a stream's messages.
#[derive(Debug, Default, Serialize)]
pub(super) struct Get<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq: Option<u64>,
    #[serde(rename = "next_by_subj", skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<&'a str>,
    #[serde(rename = "multi_last", skip_serializing_if = "<[String]>::is_empty")]
    pub(super) lasts: &'a [String],
    /// RFC 3339.
    #[serde(rename = "start_time", skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    pub(super) batch: usize,
    pub(super) max_bytes: usize,
}

/// What a stream answers.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) messages: Vec<Message>,
    /// Whether there are more behind these.
    pub(super) has_more: bool,
}

impl Asker {
    /// `inbox` must belong to this connection alone.
    pub(super) fn new(client: Client, inbox: String) -> Self {
        Self { client, inbox: inbox.into(), next: Arc::default() }
    }

    /// Returns once the server knows everything that was sent on this connection before.
    pub(super) async fn barrier(&self) -> Result<(), AskError> {
        let (inbox, mut answers) = self.open().await?;
        self.send(inbox.clone(), None, Bytes::new()).await?;
        next(&mut answers).await.map(drop)
    }

    /// One question, one answer.
    pub(super) async fn ask(&self, subject: String, question: Bytes) -> Result<Bytes, AskError> {
        let (inbox, mut answers) = self.open().await?;
        self.send(subject, Some(inbox), question).await?;
        let answer = next(&mut answers).await?;
        match answer.status {
            None => Ok(answer.payload),
            Some(_) => Err(AskError::NoAnswer),
        }
    }

    /// Some messages of a stream.
    pub(super) async fn get(&self, stream: &str, get: &Get<'_>) -> Result<Got, AskError> {
        let question = serde_json::to_vec(get).expect("texts and numbers always serialise");
        let (inbox, mut answers) = self.open().await?;
        self.send(format!("$JS.API.DIRECT.GET.{stream}"), Some(inbox), question.into()).await?;
        let mut got = Got::default();
        loop {
            let message = next(&mut answers).await?;
            match message.status.map(|status| status.as_u16()) {
                None => got.messages.push(message),
                Some(204) => {
                    got.has_more = number(&message, "Nats-Num-Pending").is_some_and(|n| n > 0);
                    return Ok(got);
                }
                Some(404) => return Ok(got),
                Some(503) => return Err(AskError::NoAnswer),
                Some(status) => {
                    let why = message.description.unwrap_or_default();
                    return Err(AskError::Refused(format!("{status} {why}")));
                }
            }
        }
    }

    async fn open(&self) -> Result<(String, Subscriber), AskError> {
        let inbox = format!("{}.{}", self.inbox, self.next.fetch_add(1, Ordering::Relaxed));
        let opened = timeout(PATIENCE, self.client.subscribe(inbox.clone())).await;
        let answers = opened.map_err(|_| AskError::NoAnswer)?;
        Ok((inbox, answers.map_err(|error| AskError::Refused(error.to_string()))?))
    }

    async fn send(
        &self,
        subject: String,
        reply: Option<String>,
        body: Bytes,
    ) -> Result<(), AskError> {
        let sent = async {
            match reply {
                Some(reply) => self.client.publish_with_reply(subject, reply, body).await,
                None => self.client.publish(subject, body).await,
            }
        };
        match timeout(PATIENCE, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(AskError::Refused(error.to_string())),
            Err(_) => Err(AskError::NoAnswer),
        }
    }
}

impl<'a> Get<'a> {
    /// The messages of one subject from a sequence on.
    pub(super) fn from(subject: &'a str, seq: u64) -> Self {
        Self { seq: Some(seq.max(1)), next: Some(subject), ..Self::bounded() }
    }

    /// The messages of one subject since a time.
    pub(super) fn since(subject: &'a str, time: String) -> Self {
        Self { since: Some(time), next: Some(subject), ..Self::bounded() }
    }

    /// The last message of each of these subjects, if it has at least this sequence.
    pub(super) fn lasts(subjects: &'a [String], from: u64) -> Self {
        Self { seq: (from > 0).then_some(from), lasts: subjects, ..Self::bounded() }
    }

    fn bounded() -> Self {
        Self { batch: ANSWER_MESSAGES_MAX, max_bytes: ANSWER_BYTES_MAX, ..Self::default() }
    }
}

async fn next(answers: &mut Subscriber) -> Result<Message, AskError> {
    match timeout(PATIENCE, answers.next()).await {
        Ok(Some(message)) => Ok(message),
        Ok(None) | Err(_) => Err(AskError::NoAnswer),
    }
}

/// A header that holds a number.
pub(super) fn number(message: &Message, header: &str) -> Option<u64> {
    message.headers.as_ref()?.get(header)?.as_str().parse().ok()
}
