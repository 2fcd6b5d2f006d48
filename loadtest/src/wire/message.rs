//! What a viewer hears from a gateway: the messages of `barrage.v1` that the accounting needs.
//!
//! Of an event only its head is read; everything else is ignored, as the protocol asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::event::{Class, Kind};
use serde::Deserialize;

use crate::truth::mark::Mark;

/// How many events were left out, by the name of their class.
pub(crate) type LeftOut = BTreeMap<String, u64>;

/// One message of a gateway.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// The first one.
    Welcome(Welcome),
    /// The answer to a join.
    Joined(Joined),
    /// What happened in a room in one slot.
    Batch(Batch),
    /// What the viewer was too slow for, or what is gone.
    Gap(Gap),
    /// A refusal.
    Error(Refused),
    /// The gateway closes this connection.
    Goodbye(Goodbye),
    /// Anything else.
    #[serde(other)]
    Other,
}

/// How the gateway keeps the connection alive.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Welcome {
    /// Between pings on a silent connection, in milliseconds.
    #[serde(default)]
    pub(crate) ping_interval_ms: Option<u64>,
    /// Until an unanswered ping ends the connection, in milliseconds.
    #[serde(default)]
    pub(crate) ping_timeout_ms: Option<u64>,
}

/// The viewer is in the room.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Joined {
    /// Which room.
    pub(crate) room: String,
    /// Everything up to here is told.
    pub(crate) cursor: String,
    /// Whether everything since the asked cursor is told; absent if none was asked.
    #[serde(default)]
    pub(crate) recovered: Option<bool>,
    /// With `recovered: true` what came since; otherwise history.
    #[serde(default)]
    pub(crate) events: Vec<EventHead>,
    /// With `recovered: true`: what was left out since.
    #[serde(default)]
    pub(crate) left_out: LeftOut,
    /// Paid events that are accepted and still to come.
    #[serde(default)]
    pub(crate) held: u64,
    /// The length of a slot, in milliseconds.
    #[serde(default)]
    pub(crate) tick_ms: Option<u64>,
}

/// What happened in a room in one slot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Batch {
    /// Which room.
    pub(crate) room: String,
    /// The cursor that this batch follows.
    pub(crate) prev: String,
    /// Everything up to here is told.
    pub(crate) cursor: String,
    /// What was selected.
    #[serde(default)]
    pub(crate) events: Vec<EventHead>,
    /// What was not.
    #[serde(default)]
    pub(crate) left_out: LeftOut,
    /// Paid events that are accepted and still to come.
    #[serde(default)]
    pub(crate) held: u64,
}

/// Events that this viewer will not get.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Gap {
    /// Which room.
    pub(crate) room: String,
    /// The cursor before the first of them.
    pub(crate) from: String,
    /// The cursor of the last of them.
    pub(crate) to: String,
    /// How many.
    pub(crate) count: u64,
    /// Why: slow, lost, expired.
    #[serde(default)]
    pub(crate) reason: String,
}

/// A command was refused.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Refused {
    /// The reason, for programs.
    pub(crate) code: String,
    /// The reason, for people.
    #[serde(default)]
    pub(crate) message: String,
    /// When trying again can succeed, in milliseconds.
    #[serde(default)]
    pub(crate) retry_after_ms: Option<u64>,
}

/// The gateway closes this connection.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Goodbye {
    /// Why.
    #[serde(default)]
    pub(crate) reason: String,
    /// Whether the client may come back.
    pub(crate) reconnect: bool,
    /// After how long, in milliseconds.
    #[serde(default)]
    pub(crate) reconnect_after_ms: u64,
}

/// What is read of an event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct EventHead {
    /// Its id, opaque.
    pub(crate) id: Arc<str>,
    kind: String,
    /// When a gateway accepted it, in milliseconds since 1970.
    pub(crate) ts: u64,
    #[serde(default)]
    user: Option<Author>,
    #[serde(default)]
    body: Option<Body>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Author {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Body {
    #[serde(default)]
    text: Option<String>,
}

impl EventHead {
    /// The mark that a run of this program gave it.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let text = self.body.as_ref().and_then(|body| body.text.as_deref());
        let name = self.user.as_ref().and_then(|user| user.name.as_deref());
        text.and_then(Mark::find).or_else(|| name.and_then(Mark::find))
    }

    /// The class that the fabric counts it in.
    pub(crate) fn class(&self) -> Class {
        let by_staff = self.user.as_ref().is_some_and(|user| {
            user.roles.iter().any(|role| matches!(role.as_str(), "owner" | "moderator"))
        });
        match Kind::parse(&self.kind).map(|kind| kind.class(None)) {
            Some(Class::Chat) if self.kind == "chat" && by_staff => Class::Staff,
            Some(class) => class,
            None => Class::Chat,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A chat event by nobody in particular.
    pub(crate) fn chat(id: &str) -> EventHead {
        EventHead { id: id.into(), kind: "chat".into(), ts: 1_000, user: None, body: None }
    }

    /// An event of this kind.
    pub(crate) fn event(id: &str, kind: &str) -> EventHead {
        EventHead { kind: kind.into(), ..chat(id) }
    }

    #[test]
    fn messages_are_read_as_the_protocol_writes_them() {
        let batch = r##"{"type":"batch","room":"demo","prev":"e:1","cursor":"e:3","events":[
            {"id":"a","kind":"chat","ts":5,"user":{"id":"42","roles":["moderator"]},
             "body":{"text":"hi","mode":"scroll","color":"#ffffff","size":"medium"}}],
            "left_out":{"chat":2},"held":1,"state":{"online":3},"new":null}"##;
        let Ok(Message::Batch(batch)) = serde_json::from_str(batch) else { panic!("a batch") };
        assert_eq!((batch.prev.as_str(), batch.cursor.as_str(), batch.held), ("e:1", "e:3", 1));
        assert_eq!(batch.left_out, LeftOut::from([("chat".into(), 2)]));
        assert_eq!(batch.events[0].class(), Class::Staff);

        let joined = r#"{"type":"joined","id":1,"room":"demo","cursor":"e:1","events":[]}"#;
        let Ok(Message::Joined(joined)) = serde_json::from_str(joined) else { panic!("joined") };
        assert_eq!((joined.recovered, joined.held), (None, 0));

        let later = r#"{"type":"weather","sun":true}"#;
        assert_eq!(serde_json::from_str::<Message>(later).unwrap(), Message::Other);
    }

    #[test]
    fn a_batch_without_its_cursors_is_not_a_message() {
        assert!(serde_json::from_str::<Message>(r#"{"type":"batch","room":"demo"}"#).is_err());
        assert!(serde_json::from_str::<Message>("[]").is_err());
    }

    #[test]
    fn classes_are_those_of_the_fabric() {
        assert_eq!(chat("a").class(), Class::Chat);
        assert_eq!(event("a", "gift").class(), Class::Paid);
        assert_eq!(event("a", "notice").class(), Class::Moderation);
        assert_eq!(event("a", "a kind of tomorrow").class(), Class::Chat);
    }
}
