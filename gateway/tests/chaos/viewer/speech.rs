//! What a client says, and says again until it is answered.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::tally::Tally;

/// Commands carry the number of what they are about: a room's index plus one, or this.
pub(super) const SPEAK_ID: u64 = 10;
/// Between two danmaku of a client that speaks.
const SPEAK_EVERY: Duration = Duration::from_secs(1);
/// An unanswered danmaku is sent again after so long.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One danmaku after another, each under a key of its own.
#[derive(Debug)]
pub(super) struct Speech {
    /// Which life of which client; the beginning of its keys.
    speaker: String,
    said: u64,
    next_at: Instant,
    open: Option<Open>,
}

/// A danmaku that has no answer yet.
#[derive(Debug)]
struct Open {
    key: String,
    /// When to send it again.
    due: Instant,
    phase: usize,
}

impl Speech {
    pub(super) fn of(speaker: String) -> Self {
        Self { speaker, said: 0, next_at: Instant::now(), open: None }
    }

    /// When something is to be said.
    pub(super) fn due(&self) -> Instant {
        self.open.as_ref().map_or(self.next_at, |open| open.due)
    }

    /// Says something new, or the same again with the same key.
    pub(super) fn speak(&mut self, room: &str, tally: &Tally) -> Value {
        let open = self.open.get_or_insert_with(|| {
            self.said += 1;
            self.next_at = Instant::now() + SPEAK_EVERY;
            let phase = tally.now();
            tally.offer(phase, 1);
            tally.speak();
            Open { key: format!("{}-{}", self.speaker, self.said), due: Instant::now(), phase }
        });
        open.due = Instant::now() + ANSWER_MAX;
        json!({
            "type": "publish", "id": SPEAK_ID, "room": room, "key": open.key,
            "body": { "text": format!("第{}句", self.said) },
        })
    }

    /// The danmaku is answered; returns the phase in which it was first said.
    pub(super) fn answered(&mut self, tally: &Tally) -> Option<usize> {
        let open = self.open.take()?;
        tally.spoken();
        Some(open.phase)
    }

    /// The danmaku is refused; it is said again later. Returns the phase in which it was first
    /// said.
    pub(super) fn refused(&mut self, retry: Duration) -> Option<usize> {
        let open = self.open.as_mut()?;
        open.due = Instant::now() + retry;
        Some(open.phase)
    }

    /// The connection has ended: what is not answered is to be said again on the next one.
    pub(super) fn interrupted(&mut self) {
        if let Some(open) = &mut self.open {
            open.due = Instant::now();
        }
    }
}
