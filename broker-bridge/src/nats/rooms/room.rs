//! One open room: its phase, what is asked of its past, and its holes.

use futures_util::stream::AbortHandle;
use protocol::cursor::{Cursor, Epoch, Seq};
use protocol::envelope::Batch;
use protocol::ids::RoomId;
use tokio::time::{Duration, Instant};

use super::follow::{Follow, Stored, Verdict};
use super::history::{After, Standing};
use super::jobs::Job;
use super::{AGAIN_AFTER, HOLE_MAX, SILENCE_MAX};
use crate::{Entry, RoomDelivery};

/// What arrives while a room opens and waits; more is fetched afterwards.
const WAITING_MAX: usize = 256;
/// How often a fetch is tried that nobody answers, or only a server behind the others: every
/// 100 ms, for longer than it takes to choose a leader.
const FETCH_TRIES: u32 = 100;

/// One room.
pub(super) struct Room {
    pub(super) subscription: AbortHandle,
    phase: Phase,
    pub(super) asked: Vec<Asked>,
    hole: Option<Hole>,
    /// Since when nothing was stored here, or since it was told so.
    silent_since: Instant,
}

/// How far a room has come.
pub(super) enum Phase {
    /// Its head is asked for; what arrives waits.
    Opening(Vec<Arrived>),
    /// It is followed.
    Open(Box<Follow>),
}

/// What arrives while a room opens.
pub(super) enum Arrived {
    Stored(Stored),
    Live(Batch),
}

/// A question for what came after a cursor.
pub(super) struct Asked {
    pub(super) after: Cursor,
    /// The last entry that there was when it was asked.
    pub(super) upto: Seq,
    /// What was delivered since.
    pub(super) since: Vec<Entry>,
    pub(super) tries: u32,
}

struct Hole {
    since: Instant,
    /// When the stream is to be asked again; `None` while it is.
    again_at: Option<Instant>,
    /// Whether it has answered, if not with everything.
    is_answered: bool,
}

type Out = Vec<(RoomId, RoomDelivery)>;

impl Room {
    pub(super) fn new(subscription: AbortHandle) -> Self {
        Self {
            subscription,
            phase: Phase::Opening(Vec::new()),
            asked: Vec::new(),
            hole: None,
            silent_since: Instant::now(),
        }
    }

    /// Where it stands; `None` until it is open.
    pub(super) fn position(&self) -> Option<(Epoch, Seq)> {
        match &self.phase {
            Phase::Open(follow) => Some((follow.epoch(), follow.last())),
            Phase::Opening(_) => None,
        }
    }

    /// The last entry that there was; 0 if none is known.
    pub(super) fn entry(&self) -> Seq {
        match &self.phase {
            Phase::Open(follow) => follow.entry(),
            Phase::Opening(_) => 0,
        }
    }

    /// Nothing was stored up to here. Told if nothing was for this long.
    pub(super) fn silent(&mut self, id: &RoomId, upto: Seq, patience: Duration, out: &mut Out) {
        let Phase::Open(follow) = &mut self.phase else { return };
        if self.silent_since.elapsed() >= patience {
            let mut deliveries = Vec::new();
            follow.silent(upto, &mut deliveries);
            self.pass_on(id, deliveries, out);
        }
    }

    /// Begins anew. Who asks for its past is told nothing.
    pub(super) fn reopen(&mut self) {
        self.phase = Phase::Opening(Vec::new());
        self.hole = None;
    }

    /// A live batch has arrived.
    pub(super) fn live(&mut self, id: &RoomId, batch: Batch, out: &mut Out) {
        match &mut self.phase {
            Phase::Opening(waiting) if waiting.len() < WAITING_MAX => {
                waiting.push(Arrived::Live(batch));
            }
            Phase::Opening(_) => {}
            Phase::Open(follow) => {
                let mut deliveries = Vec::new();
                follow.live(batch, &mut deliveries);
                self.pass_on(id, deliveries, out);
            }
        }
    }

    /// A stored batch has arrived.
    pub(super) fn stored(&mut self, id: &RoomId, stored: Stored, out: &mut Out) -> Verdict {
        match &mut self.phase {
            Phase::Opening(waiting) => {
                // What does not fit is a hole later, and is fetched.
                if waiting.len() < WAITING_MAX {
                    waiting.push(Arrived::Stored(stored));
                }
                Verdict::Done
            }
            Phase::Open(follow) => {
                let mut deliveries = Vec::new();
                let verdict = follow.stored(stored, &mut deliveries);
                self.pass_on(id, deliveries, out);
                self.note_hole(Instant::now());
                verdict
            }
        }
    }

    /// The stream is known to hold something of this room up to here.
    pub(super) fn learn(&mut self, seq: Seq) {
        if let Phase::Open(follow) = &mut self.phase {
            follow.learn(seq);
            self.note_hole(Instant::now());
        }
    }

    /// Its head is known: it opens, and what waited comes after.
    pub(super) fn open(
        &mut self,
        id: &RoomId,
        standing: Standing,
        recent: Vec<Stored>,
        out: &mut Out,
    ) {
        let Phase::Opening(waiting) = &mut self.phase else { return };
        let waiting = std::mem::take(waiting);
        // An empty room stands where its stream does, so that all nodes see a position that lasts.
        let last = recent.last().map_or(standing.last, |newest| newest.seq);
        let head = Cursor { epoch: standing.epoch, seq: last };
        self.phase = Phase::Open(Box::new(Follow::open(head, &recent)));
        self.silent_since = Instant::now();
        // Who asked in another numbering is told that nothing of it is left; who asked in this one
        // is not answered, and may ask again.
        for asked in std::mem::take(&mut self.asked) {
            if asked.after.epoch == standing.epoch {
                continue;
            }
            let nothing = RoomDelivery::Fetched { after: asked.after, entries: None };
            out.push((id.clone(), nothing));
        }
        // What came before the oldest of these is not known, only that it is older.
        let before = recent.first().map_or(last, |oldest| oldest.seq - 1);
        out.push((id.clone(), RoomDelivery::Opened { head, recent: linked(before, recent) }));
        for arrived in waiting {
            match arrived {
                Arrived::Live(batch) => self.live(id, batch, out),
                Arrived::Stored(stored) if stored.seq > last => {
                    self.stored(id, stored, out);
                }
                Arrived::Stored(_) => {}
            }
        }
    }

    /// Asks the stream for what is missing, or gives up.
    pub(super) fn heal(&mut self, id: &RoomId, now: Instant, out: &mut Out) -> Option<Job> {
        let hole = self.hole.as_mut()?;
        let Phase::Open(follow) = &mut self.phase else { return None };
        let patience = if hole.is_answered { HOLE_MAX } else { SILENCE_MAX };
        if hole.since + patience <= now && hole.again_at.is_some() {
            let mut deliveries = Vec::new();
            follow.give_up(&mut deliveries);
            self.hole = None;
            self.pass_on(id, deliveries, out);
            return None;
        }
        hole.again_at.take_if(|again_at| *again_at <= now)?;
        Some(Job::Fill { room: id.clone() })
    }

    /// What the stream holds after the last entry; whether its numbering is known to be the same.
    pub(super) fn filled(
        &mut self,
        id: &RoomId,
        found: Option<Vec<Stored>>,
        is_verified: bool,
        out: &mut Out,
    ) {
        let Phase::Open(follow) = &mut self.phase else { return };
        let found = found.filter(|_| is_verified || !follow.is_unlinked());
        let (is_answered, mut deliveries) = (found.is_some(), Vec::new());
        let is_filled =
            found.is_some_and(|found| follow.fetched(found, &mut deliveries) == Verdict::Done);
        self.pass_on(id, deliveries, out);
        if is_filled {
            self.hole = None;
        } else if let Some(hole) = &mut self.hole {
            hole.is_answered |= is_answered;
            hole.again_at = Some(Instant::now() + AGAIN_AFTER);
        }
    }

    /// Answers everybody who asked for what came after a cursor; returns whether the stream is to
    /// be asked again, since it has not answered, or is behind what was delivered here. If that
    /// goes on for too long, nobody is answered.
    pub(super) fn answer(
        &mut self,
        id: &RoomId,
        after: Seq,
        found: Option<&After>,
        out: &mut Out,
    ) -> bool {
        let mut is_behind = false;
        if let Some(After::Ahead(seq)) = found {
            self.learn(*seq);
        }
        for mut asked in std::mem::take(&mut self.asked) {
            if asked.after.seq != after {
                self.asked.push(asked);
                continue;
            }
            let entries = match found {
                Some(After::All(found)) if asked.reaches(found) => Some(asked.together(found)),
                Some(After::Gone | After::TooMuch) => None,
                Some(After::All(_) | After::Ahead(_)) | None if asked.tries < FETCH_TRIES => {
                    asked.tries += 1;
                    is_behind = true;
                    self.asked.push(asked);
                    continue;
                }
                // The end of what was delivered here is not there any more.
                Some(After::All(_)) => None,
                Some(After::Ahead(_)) | None => continue,
            };
            out.push((id.clone(), RoomDelivery::Fetched { after: asked.after, entries }));
        }
        is_behind
    }

    fn pass_on(&mut self, id: &RoomId, deliveries: Vec<RoomDelivery>, out: &mut Out) {
        for delivery in deliveries {
            if let RoomDelivery::Entry { entry, .. } = &delivery {
                self.asked.iter_mut().for_each(|asked| asked.note(entry));
            }
            if let RoomDelivery::Entry { .. } | RoomDelivery::Silent { .. } = &delivery {
                self.silent_since = Instant::now();
            }
            out.push((id.clone(), delivery));
        }
    }

    fn note_hole(&mut self, now: Instant) {
        let Phase::Open(follow) = &self.phase else { return };
        if !follow.has_hole() {
            self.hole = None;
        } else if self.hole.is_none() {
            self.hole = Some(Hole { since: now, again_at: Some(now), is_answered: false });
        }
    }
}

impl Asked {
    /// An entry was delivered meanwhile. One whose events came live before has to be fetched too.
    fn note(&mut self, entry: &Entry) {
        if entry.events.is_empty() {
            self.upto = entry.seq;
            self.since.clear();
        } else {
            self.since.push(entry.clone());
        }
    }

    /// Whether this is all up to the last entry when it was asked.
    fn reaches(&self, found: &[Stored]) -> bool {
        found.last().map_or(self.after.seq, |last| last.seq) >= self.upto
    }

    /// What the stream holds, up to the last entry when it was asked, and what was delivered
    /// since.
    fn together(&self, found: &[Stored]) -> Vec<Entry> {
        let before = found.iter().filter(|stored| stored.seq <= self.upto).cloned().collect();
        let mut entries = linked(self.after.seq, before);
        let since = self.since.iter().filter(|entry| entry.seq > self.after.seq).cloned();
        entries.extend(since);
        if let Some(first) = entries.first_mut() {
            first.prev = self.after.seq;
        }
        entries
    }
}

/// Batches as entries, each linked to the one before.
fn linked(after: Seq, batches: Vec<Stored>) -> Vec<Entry> {
    let mut prev = after;
    let link = |Stored { seq, batch, .. }: Stored| {
        let entry = Entry { seq, prev, origin_ms: batch.origin_ms, events: batch.events.into() };
        prev = seq;
        entry
    };
    batches.into_iter().map(link).collect()
}
