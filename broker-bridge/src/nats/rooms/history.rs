//! What is asked of the streams: where a room stands, what came lately, what came after a cursor.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use protocol::cursor::{Epoch, Seq};
use protocol::envelope::Batch;
use protocol::limits::{HISTORY_EVENTS_MAX, RESUME_BYTES_MAX};
use protocol::subject::{Namespace, StreamIndex};
use serde::Deserialize;

use super::super::ask::{AskError, Asker, Get, Got, number};
use super::super::streams::EPOCH_KEY;
use super::follow::Stored;

/// Subjects in one question for their last messages; the server allows 1,024.
const LASTS_MAX: usize = 512;
/// Newest entries that come with a room.
const RECENT_ENTRIES_MAX: usize = 256;
/// How far back the newest entries are looked for at first.
const RECENT: Duration = Duration::from_secs(30);
/// What a fetch brings at most: more than any client is told.
const FETCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Asks for what one stream holds.
#[derive(Clone)]
pub(super) struct Historian {
    pub(super) asker: Asker,
    pub(super) namespace: Namespace,
    pub(super) room_entries_max: u64,
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) epoch: Epoch,
    pub(super) first: Seq,
    pub(super) last: Seq,
    /// How many messages it holds of the subject that was asked about.
    pub(super) of_subject: u64,
}

/// What came after a cursor.
#[derive(Debug)]
pub(super) enum After {
    /// All of it.
    All(Vec<Stored>),
    /// The cursor is ahead of this node, which has not heard of this entry yet.
    Ahead(Seq),
    /// Some of it is gone.
    Gone,
    /// It is more than anybody should be told.
    TooMuch,
}

#[derive(Deserialize)]
struct InfoAnswer {
    config: Option<InfoConfig>,
    state: Option<InfoState>,
    error: Option<InfoError>,
}

#[derive(Deserialize)]
struct InfoConfig {
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct InfoState {
    first_seq: Seq,
    last_seq: Seq,
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

#[derive(Deserialize)]
struct InfoError {
    description: String,
}

impl Historian {
    /// Where the stream stands, as its leader knows it.
    pub(super) async fn standing(
        &self,
        stream: StreamIndex,
        subject: Option<&str>,
    ) -> Result<Standing, AskError> {
        let name = self.namespace.stream(stream);
        let question = match subject {
            Some(subject) => Bytes::from(format!(r#"{{"subjects_filter":"{subject}"}}"#)),
            None => Bytes::new(),
        };
        let answer = self.asker.ask(format!("$JS.API.STREAM.INFO.{name}"), question).await?;
        let answer: InfoAnswer = serde_json::from_slice(&answer)
            .map_err(|error| AskError::Strange(error.to_string()))?;
        if let Some(error) = answer.error {
            return Err(AskError::Refused(error.description));
        }
        let (Some(config), Some(state)) = (answer.config, answer.state) else {
            return Err(AskError::Strange("no state".to_owned()));
        };
        let epoch = config.metadata.get(EPOCH_KEY).and_then(|epoch| epoch.parse().ok());
        let epoch = epoch.ok_or_else(|| AskError::Strange(format!("no {EPOCH_KEY}")))?;
        let of_subject = state
            .subjects
            .and_then(|subjects| subject.and_then(|subject| subjects.get(subject).copied()));
        Ok(Standing {
            epoch,
            first: state.first_seq,
            last: state.last_seq,
            of_subject: of_subject.unwrap_or(0),
        })
    }

    /// The last message of each of these subjects that has at least this sequence.
    pub(super) async fn lasts(
        &self,
        stream: StreamIndex,
        subjects: &[String],
        from: Seq,
    ) -> Result<Vec<Message>, AskError> {
        let name = self.namespace.stream(stream);
        let mut lasts = Vec::new();
        for subjects in subjects.chunks(LASTS_MAX) {
            lasts.extend(self.asker.get(&name, &Get::lasts(subjects, from)).await?.messages);
        }
        Ok(lasts)
    }

    /// The newest batches of a subject up to its last message, oldest first.
    pub(super) async fn recent(
        &self,
        stream: StreamIndex,
        subject: &str,
        last: &Message,
    ) -> Result<Vec<Stored>, AskError> {
        let name = self.namespace.stream(stream);
        if let Some(time) = time_before(last, RECENT) {
            let got = self.read_on(&name, subject, Get::since(subject, time)).await?;
            let events: usize = got.iter().map(|stored| stored.batch.events.len()).sum();
            if events >= HISTORY_EVENTS_MAX {
                return Ok(got);
            }
        }
        self.read_on(&name, subject, Get::from(subject, 1)).await
    }

    /// Reads to the end, keeping the newest.
    async fn read_on(
        &self,
        name: &str,
        subject: &str,
        first: Get<'_>,
    ) -> Result<Vec<Stored>, AskError> {
        let mut kept = VecDeque::new();
        let mut bytes = 0;
        let mut got = self.asker.get(name, &first).await?;
        loop {
            let next = got.messages.last().and_then(sequence).unwrap_or(0) + 1;
            for stored in batches(&got) {
                bytes += stored.batch.bytes();
                kept.push_back(stored);
                while kept.len() > RECENT_ENTRIES_MAX || bytes > RESUME_BYTES_MAX && kept.len() > 1
                {
                    let oldest = kept.pop_front().expect("not empty");
                    bytes -= oldest.batch.bytes();
                }
            }
            if !got.has_more || got.messages.is_empty() {
                return Ok(kept.into());
            }
            got = self.asker.get(name, &Get::from(subject, next)).await?;
        }
    }

    /// Every batch of a subject from a sequence on, whether or not any is gone.
    pub(super) async fn from(
        &self,
        stream: StreamIndex,
        subject: &str,
        from: Seq,
    ) -> Result<Option<Vec<Stored>>, AskError> {
        let name = self.namespace.stream(stream);
        let (mut all, mut bytes, mut next) = (Vec::new(), 0, from);
        loop {
            let got = self.asker.get(&name, &Get::from(subject, next)).await?;
            next = got.messages.last().and_then(sequence).unwrap_or(next).saturating_add(1);
            let is_end = !got.has_more || got.messages.is_empty();
            for stored in batches(&got) {
                bytes += stored.batch.bytes();
                all.push(stored);
            }
            if bytes > FETCH_BYTES_MAX {
                return Ok(None);
            }
            if is_end {
                return Ok(Some(all));
            }
        }
    }

    /// What came after a cursor of this log, if all of it is still there: then something at or before the
    /// cursor is still there too, or nothing that young has been dropped anywhere in the stream.
    ///
    /// `last` is what was delivered here: a cursor beyond it is of a node that is ahead, or that
    /// saw the same silence later.
    pub(super) async fn after(
        &self,
        stream: StreamIndex,
        subject: &str,
        after: Seq,
        last: Seq,
    ) -> Result<After, AskError> {
        if after > last {
            let Some(ahead) = self.from(stream, subject, last + 1).await? else {
                return Ok(After::TooMuch);
            };
            if let Some(ahead) = ahead.iter().rfind(|stored| stored.seq <= after) {
                return Ok(After::Ahead(ahead.seq));
            }
        }
        let Some(mut all) = self.from(stream, subject, after).await? else {
            return Ok(After::TooMuch);
        };
        if all.first().is_some_and(|first| first.seq == after) {
            all.remove(0);
            return Ok(After::All(all));
        }
        let standing = self.standing(stream, Some(subject)).await?;
        if standing.last < after {
            return Ok(After::Gone);
        }
        let is_dropping = standing.of_subject >= self.room_entries_max;
        if standing.first <= after.saturating_add(1) && !is_dropping {
            return Ok(After::All(all));
        }
        let name = self.namespace.stream(stream);
        let oldest = Get { batch: 1, ..Get::from(subject, 1) };
        let oldest = self.asker.get(&name, &oldest).await?;
        let is_covered = oldest.messages.first().and_then(sequence).is_some_and(|seq| seq <= after);
        Ok(if is_covered { After::All(all) } else { After::Gone })
    }
}

/// The sequence of a message of a stream.
pub(super) fn sequence(message: &Message) -> Option<Seq> {
    number(message, "Nats-Sequence")
}

/// The subject under which a message was stored.
pub(super) fn stored_subject(message: &Message) -> Option<&str> {
    Some(message.headers.as_ref()?.get("Nats-Subject")?.as_str())
}

/// The batch in a message. What is not one was not published by us; it is skipped.
pub(super) fn batch(message: &Message) -> Option<Batch> {
    // A copy: otherwise one small batch would keep a whole read buffer in memory.
    let decoded = Batch::decode(Bytes::copy_from_slice(&message.payload));
    decoded.inspect_err(|error| tracing::debug!(%error, "not a batch")).ok()
}

fn batches(got: &Got) -> impl Iterator<Item = Stored> {
    got.messages.iter().filter_map(|message| {
        Some(Stored { seq: sequence(message)?, prev: 0, batch: batch(message)? })
    })
}

/// Some time before a message was stored, RFC 3339.
fn time_before(message: &Message, before: Duration) -> Option<String> {
    let stored = message.headers.as_ref()?.get("Nats-Time-Stamp")?;
    let stored = humantime::parse_rfc3339(stored.as_str()).ok()?;
    Some(humantime::format_rfc3339(stored.checked_sub(before)?).to_string())
}
