//! What has to be asked of the streams, and what becomes of the answers.

use std::time::Duration;

use ahash::AHashMap;
use async_nats::Message;
use protocol::cursor::{Epoch, Seq};
use protocol::ids::RoomId;
use protocol::subject::StreamIndex;
use tokio::time::{sleep, timeout};

use super::super::ask::AskError;
use super::follow::Stored;
use super::history::{After, Historian, Standing, sequence, stored_subject};
use super::{AGAIN_AFTER, Rooms, stream_of};

/// Questions under way at once.
pub(super) const JOBS_MAX: usize = 16;

/// A room that was silent for this part of the time that logs are kept is told so. Who was there
/// has the rest of that time to come back.
const SILENT_FOR: u32 = 4;

/// How long a stream's leader may take to say which numbering it is.
const LEADER_MAX: Duration = Duration::from_millis(300);

/// Something to be asked.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// Where rooms of one stream stand that have just been subscribed.
    Open { stream: StreamIndex, rooms: Vec<RoomId> },
    /// The newest batches of a room that has any.
    Recent { room: RoomId, standing: Standing, last: Box<Message> },
    /// What a room missed.
    Fill { room: RoomId },
    /// What came after a cursor.
    Fetch { room: RoomId, after: Seq },
    /// Whether the rooms of a stream have everything up to its end.
    Audit { stream: StreamIndex, from: Seq },
}

/// What comes after a room's last entry (`None`: too much), and in which numbering, if the
/// stream's leader says so: while it has none, its copies are read all the same.
type Filling = (Option<Epoch>, Option<Vec<Stored>>);

/// The answer to a job.
pub(super) enum Done {
    Opened {
        job: Job,
        found: Result<(Standing, Vec<Message>), AskError>,
    },
    Recent {
        job: Job,
        found: Result<Vec<Stored>, AskError>,
    },
    Filled {
        room: RoomId,
        found: Result<Filling, AskError>,
    },
    Fetched {
        room: RoomId,
        after: Seq,
        found: Result<After, AskError>,
    },
    Audited {
        stream: StreamIndex,
        found: Result<(Standing, Vec<Message>), AskError>,
    },
    /// A job to be tried again now.
    Again(Job),
}

impl Job {
    /// Asks. `subjects` are those of the rooms to audit, `last` is where a room stands that is to be
    /// filled, or whose past is asked for.
    pub(super) async fn run(self, historian: Historian, subjects: Vec<String>, last: Seq) -> Done {
        match &self {
            Self::Open { stream, rooms } => {
                let subjects: Vec<String> =
                    rooms.iter().map(|room| historian.namespace.log(room)).collect();
                let found = open(&historian, *stream, &subjects).await;
                Done::Opened { found, job: self }
            }
            Self::Recent { room, last, .. } => {
                let subject = historian.namespace.log(room);
                let found = historian.recent(stream_of(room), &subject, last).await;
                Done::Recent { found, job: self }
            }
            Self::Fill { room } => {
                let found = fill(&historian, room, last).await;
                Done::Filled { found, room: room.clone() }
            }
            Self::Fetch { room, after } => {
                let subject = historian.namespace.log(room);
                let found = historian.after(stream_of(room), &subject, *after, last).await;
                Done::Fetched { found, room: room.clone(), after: *after }
            }
            Self::Audit { stream, from } => {
                let found = audit(&historian, *stream, &subjects, *from).await;
                Done::Audited { found, stream: *stream }
            }
        }
    }

    /// The same job, a little later.
    async fn later(self) -> Done {
        sleep(AGAIN_AFTER).await;
        Done::Again(self)
    }
}

/// Waits until the subscriptions are active, then asks where the stream and the rooms stand.
async fn open(
    historian: &Historian,
    stream: StreamIndex,
    subjects: &[String],
) -> Result<(Standing, Vec<Message>), AskError> {
    historian.asker.barrier().await?;
    let standing = historian.standing(stream, None).await?;
    Ok((standing, historian.lasts(stream, subjects, 0).await?))
}

async fn fill(historian: &Historian, room: &RoomId, last: Seq) -> Result<Filling, AskError> {
    let (stream, subject) = (stream_of(room), historian.namespace.log(room));
    let found = historian.from(stream, &subject, last + 1).await?;
    let standing = timeout(LEADER_MAX, historian.standing(stream, None)).await;
    Ok((standing.ok().and_then(Result::ok).map(|standing| standing.epoch), found))
}

async fn audit(
    historian: &Historian,
    stream: StreamIndex,
    subjects: &[String],
    from: Seq,
) -> Result<(Standing, Vec<Message>), AskError> {
    let standing = historian.standing(stream, None).await?;
    // A stream that has gone back to before what was seen is another one: everything is new.
    let from = if standing.last < from { 0 } else { from };
    Ok((standing, historian.lasts(stream, subjects, from + 1).await?))
}

impl Rooms {
    /// Takes the answer to a job.
    pub(super) fn finish(&mut self, done: Done) {
        match done {
            Done::Again(job) => {
                self.fetches += usize::from(matches!(job, Job::Fetch { .. }));
                self.queued.push_back(job);
            }
            Done::Opened { job, found } => match found {
                Ok((standing, lasts)) => self.place(job, standing, lasts),
                Err(error) => self.retry(job, &error),
            },
            Done::Recent { job, found } => match (found, job) {
                (Ok(recent), Job::Recent { room: id, standing, .. }) => {
                    if let Some(room) = self.rooms.get_mut(&id) {
                        room.open(&id, standing, recent, &mut self.out);
                    }
                }
                (Err(error), job) => self.retry(job, &error),
                (Ok(_), _) => {}
            },
            Done::Filled { room: id, found } => self.filled(id, found),
            Done::Fetched { room: id, after, found } => {
                if let Some(room) = self.rooms.get_mut(&id)
                    && room.answer(&id, after, found.as_ref().ok(), &mut self.out)
                {
                    self.running.push(Box::pin(Job::Fetch { room: id, after }.later()));
                }
            }
            Done::Audited { stream, found } => match found {
                Ok((standing, lasts)) => self.audited(stream, standing, &lasts),
                Err(error) => {
                    tracing::debug!(%error, "a stream could not be compared yet");
                    let from = self.audited[stream.number()];
                    self.running.push(Box::pin(Job::Audit { stream, from }.later()));
                }
            },
        }
    }

    fn filled(&mut self, id: RoomId, found: Result<Filling, AskError>) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let Some((epoch, _)) = room.position() else { return };
        match found {
            Ok((found_epoch, Some(found))) if found_epoch.is_none_or(|found| found == epoch) => {
                room.filled(&id, Some(found), found_epoch.is_some(), &mut self.out);
            }
            // Another log, or more than can be made up for: the room begins anew.
            Ok(_) => {
                room.reopen();
                let stream = stream_of(&id);
                self.queued.push_back(Job::Open { stream, rooms: vec![id] });
            }
            Err(_) => room.filled(&id, None, false, &mut self.out),
        }
    }

    /// Opens the rooms that hold nothing; those that do are asked for their newest.
    fn place(&mut self, job: Job, standing: Standing, lasts: Vec<Message>) {
        let Job::Open { rooms, .. } = job else { return };
        let mut lasts: AHashMap<String, Message> = lasts
            .into_iter()
            .filter_map(|last| Some((stored_subject(&last)?.to_owned(), last)))
            .collect();
        for id in rooms {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            match lasts.remove(&self.ground.namespace.log(&id)) {
                None => room.open(&id, standing, Vec::new(), &mut self.out),
                Some(last) => {
                    let last = Box::new(last);
                    self.queued.push_back(Job::Recent { room: id, standing, last });
                }
            }
        }
    }

    fn retry(&mut self, job: Job, error: &AskError) {
        tracing::debug!(%error, "a room could not be opened yet");
        self.running.push(Box::pin(job.later()));
    }

    /// Rooms that are behind catch up; those of another numbering begin anew.
    fn audited(&mut self, stream: StreamIndex, standing: Standing, lasts: &[Message]) {
        let before = std::mem::replace(&mut self.audited[stream.number()], standing.last);
        let mut renumbered = Vec::new();
        for (id, room) in &mut self.rooms {
            let is_another = room.position().is_some_and(|(epoch, _)| epoch != standing.epoch);
            if stream_of(id) == stream && is_another {
                room.reopen();
                renumbered.push(id.clone());
            }
        }
        if !renumbered.is_empty() {
            tracing::warn!(stream = stream.number(), "the log is numbered anew");
            self.queued.push_back(Job::Open { stream, rooms: renumbered });
        }
        for last in lasts {
            let (Some(subject), Some(seq)) = (stored_subject(last), sequence(last)) else {
                continue;
            };
            let Ok(id) = self.ground.namespace.room(subject) else { continue };
            if let Some(room) = self.rooms.get_mut(&id) {
                room.learn(seq);
            }
        }
        // Not up to where the stream is now: a copy of it that was asked may be a little behind.
        if before <= standing.last {
            let patience = self.ground.age / SILENT_FOR;
            let of_stream = self.rooms.iter_mut().filter(|(id, _)| stream_of(id) == stream);
            of_stream.for_each(|(id, room)| room.silent(id, before, patience, &mut self.out));
        }
    }
}
