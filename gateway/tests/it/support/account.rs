//! What one viewer of one room was told, and whether it adds up.
//!
//! The rule: received + Σ `left_out` + Σ `gap.count` + the last `held` − the `held` of `joined`
//! = published since the join. What can be wrong in a single message (a link that does not fit,
//! an event that comes twice) fails at once.

use std::collections::{BTreeMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A position in a room's log, with what is owed there. The embedded log gives every event a
/// number of its own, so the distance of two positions is the number of events between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    text: String,
}

impl Position {
    pub(crate) fn parse(cursor: &Value) -> Self {
        let text = cursor.as_str().expect("a cursor is a text");
        let mut parts = text.split(':');
        let epoch = parts.next().expect("a cursor begins with its epoch").to_owned();
        let seq = parts.next().expect("a sequence comes next").parse().unwrap();
        Self { epoch, seq, text: text.to_owned() }
    }

    /// The cursor as it came.
    pub(crate) fn text(&self) -> String {
        self.text.clone()
    }

    /// The cursor of another entry of the same log.
    pub(crate) fn at(&self, seq: u64) -> String {
        format!("{}:{seq}", self.epoch)
    }
}

/// An event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) event: Value,
    /// How long after its acceptance by the gateway, in milliseconds.
    pub(crate) late_ms: u64,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.event["id"].as_str().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        self.event["body"]["text"].as_str().unwrap_or_default()
    }
}

/// One frame of a room: a batch, or the gap that stands for some.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The events of a batch; `None` for a gap.
    pub(crate) ids: Option<Vec<String>>,
}

/// The account of one viewer in one room, from a `joined` on.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) room: String,
    pub(crate) start: Position,
    pub(crate) cursor: Position,
    pub(crate) received: Vec<Received>,
    pub(crate) left_out: BTreeMap<String, u64>,
    pub(crate) gaps: Vec<u64>,
    pub(crate) held_at_start: u64,
    pub(crate) held: u64,
    pub(crate) steps: Vec<Step>,
    /// How often what was missed came with a later `joined`.
    pub(crate) recoveries: usize,
    pub(crate) online: u64,
    pub(crate) likes: u64,
    /// The room's settings as last told.
    pub(crate) settings: Value,
    seen: HashSet<String>,
}

impl Account {
    /// Opens an account with the `joined` that begins it.
    pub(crate) fn open(joined: &Value) -> Self {
        let cursor = Position::parse(&joined["cursor"]);
        // Older than the account.
        let history = joined["events"].as_array().unwrap();
        let seen = history.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        let held = joined["held"].as_u64().unwrap_or(0);
        let mut account = Self {
            room: joined["room"].as_str().unwrap().to_owned(),
            start: cursor.clone(),
            cursor,
            received: Vec::new(),
            left_out: BTreeMap::new(),
            gaps: Vec::new(),
            held_at_start: held,
            held,
            steps: Vec::new(),
            recoveries: 0,
            online: 0,
            likes: 0,
            settings: Value::Null,
            seen,
        };
        account.take_state(&joined["state"]);
        account
    }

    /// Goes on with a `joined` that tells what was missed.
    pub(crate) fn go_on(&mut self, joined: &Value) {
        assert_eq!(joined["recovered"], true, "only a recovery goes on: {joined}");
        let cursor = Position::parse(&joined["cursor"]);
        assert_eq!(cursor.epoch, self.cursor.epoch, "a recovery stays in its numbering");
        assert!(cursor.seq >= self.cursor.seq, "a recovery does not go back: {joined}");
        self.recoveries += 1;
        self.cursor = cursor;
        // A cursor cannot tell whether a slot of held events alone was seen: those may be
        // replayed, and clients drop what they have.
        let seen = &self.seen;
        let events = joined["events"].as_array().unwrap().iter();
        let new = events.filter(|event| !seen.contains(event["id"].as_str().unwrap())).cloned();
        let new: Vec<Value> = new.collect();
        self.take_events(&new);
        self.take_sums(joined);
        self.take_state(&joined["state"]);
    }

    /// Takes a batch.
    pub(crate) fn batch(&mut self, batch: &Value) {
        let (from, to) = (Position::parse(&batch["prev"]), Position::parse(&batch["cursor"]));
        self.follow(&from, &to, batch);
        let events = batch["events"].as_array().unwrap().clone();
        let ids = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        self.steps.push(Step { from: from.seq, to: to.seq, ids: Some(ids) });
        self.take_events(&events);
        self.take_sums(batch);
        self.take_state(&batch["state"]);
    }

    /// Takes a gap.
    pub(crate) fn gap(&mut self, gap: &Value) {
        let (from, to) = (Position::parse(&gap["from"]), Position::parse(&gap["to"]));
        self.follow(&from, &to, gap);
        let count = gap["count"].as_u64().unwrap();
        assert!(count > 0, "a gap of nothing: {gap}");
        self.steps.push(Step { from: from.seq, to: to.seq, ids: None });
        self.gaps.push(count);
    }

    fn follow(&mut self, from: &Position, to: &Position, message: &Value) {
        assert_eq!(*from, self.cursor, "does not begin where the last one ended: {message}");
        assert_eq!(to.epoch, from.epoch, "a batch stays in its numbering: {message}");
        assert!(to.seq >= from.seq, "goes back: {message}");
        self.cursor = to.clone();
    }

    fn take_events(&mut self, events: &[Value]) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        for event in events {
            let id = event["id"].as_str().expect("an event has an id").to_owned();
            let late_ms = now_ms.saturating_sub(event["ts"].as_u64().expect("an event has a time"));
            assert!(self.seen.insert(id), "came twice: {event}");
            assert_ne!(event["kind"], "like", "likes are counted, not sent: {event}");
            self.received.push(Received { event: event.clone(), late_ms });
        }
    }

    fn take_sums(&mut self, message: &Value) {
        for (class, count) in message["left_out"].as_object().into_iter().flatten() {
            let count = count.as_u64().unwrap();
            assert!(count > 0, "zeros are omitted: {message}");
            *self.left_out.entry(class.clone()).or_default() += count;
        }
        self.held = message["held"].as_u64().unwrap_or(0);
    }

    fn take_state(&mut self, state: &Value) {
        self.online = state["online"].as_u64().unwrap_or(self.online);
        self.likes = state["likes"].as_u64().unwrap_or(self.likes);
        if state["settings"].is_object() {
            self.settings = state["settings"].clone();
        }
    }

    /// What this viewer was told of, in events.
    pub(crate) fn told(&self) -> u64 {
        let missing: u64 = self.left_out.values().chain(&self.gaps).sum();
        (self.received.len() as u64 + missing + self.held)
            .checked_sub(self.held_at_start)
            .expect("what was held comes, or is still held")
    }

    /// Fails unless everything from the join to the last cursor is accounted for.
    pub(crate) fn assert_closes(&self) {
        self.assert_closes_with(0, 0);
    }

    /// The same for a log in which so many entries repeat an event that it had before.
    pub(crate) fn assert_closes_but_for(&self, repeats: u64) {
        self.assert_closes_with(repeats, 0);
    }

    /// The same for a viewer who was given so many events that it is not owed: they went out
    /// before it joined.
    pub(crate) fn assert_closes_with(&self, repeats: u64, extra: u64) {
        let published = self.cursor.seq - self.start.seq - repeats;
        assert_eq!(
            self.told(),
            published + extra,
            "the account of `{}` from {} to {}: received {}, left out {:?}, gaps {:?}, held {} (at the join {})",
            self.room,
            self.start.text(),
            self.cursor.text(),
            self.received.len(),
            self.left_out,
            self.gaps,
            self.held,
            self.held_at_start,
        );
    }

    /// Whether an event with this id was received.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// The ids received, in order.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.received.iter().map(Received::id).collect()
    }

    /// The texts received, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.received.iter().map(Received::text).collect()
    }

    /// The event whose text this is.
    pub(crate) fn find(&self, text: &str) -> Option<&Received> {
        self.received.iter().find(|received| received.text() == text)
    }
}
