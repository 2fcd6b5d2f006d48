//! What a gateway says, as far as an account needs it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::cursor::{Bookmark, Cursor};
use protocol::ids::EventId;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// One message of a gateway.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// The client is in a room.
    Joined(Joined),
    /// What happened in a slot.
    Batch(Batch),
    /// What will not come.
    Gap(Gap),
    /// A command was carried out.
    Ack(Ack),
    /// A command was refused.
    Error(Refused),
    /// The gateway closes the connection.
    Goodbye(Goodbye),
    /// Anything else.
    #[serde(other)]
    Other,
}

/// The client is in a room.
#[derive(Debug, Deserialize)]
pub struct Joined {
    /// Which room.
    pub room: String,
    /// Everything up to here is told.
    #[serde(deserialize_with = "cursor")]
    pub cursor: Cursor,
    /// Whether everything since the asked cursor is told.
    pub recovered: Option<bool>,
    /// The events.
    #[serde(default)]
    pub events: Vec<Head>,
    /// How many were left out, by class.
    #[serde(default)]
    pub left_out: BTreeMap<String, u64>,
}

/// What happened in a slot.
#[derive(Debug, Deserialize)]
pub struct Batch {
    /// Which room.
    pub room: String,
    /// What it follows.
    #[serde(deserialize_with = "cursor")]
    pub prev: Cursor,
    /// Everything up to here is told.
    #[serde(deserialize_with = "cursor")]
    pub cursor: Cursor,
    /// The events.
    #[serde(default)]
    pub events: Vec<Head>,
    /// How many were left out, by class.
    #[serde(default)]
    pub left_out: BTreeMap<String, u64>,
}

/// What will not come.
#[derive(Debug, Deserialize)]
pub struct Gap {
    /// Which room.
    pub room: String,
    /// Before the first of them.
    #[serde(deserialize_with = "cursor")]
    pub from: Cursor,
    /// The last of them.
    #[serde(deserialize_with = "cursor")]
    pub to: Cursor,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// A command was carried out.
#[derive(Debug, Deserialize)]
pub struct Ack {
    /// The command.
    pub id: Option<u64>,
    /// The event as published.
    pub event: Option<Head>,
    /// Whether it is in the log.
    #[serde(default)]
    pub stored: bool,
}

/// A command was refused.
#[derive(Debug, Deserialize)]
pub struct Refused {
    /// The command.
    pub id: Option<u64>,
    /// Why, for programs.
    pub code: String,
    /// When trying again can succeed, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// The gateway closes the connection.
#[derive(Debug, Deserialize)]
pub struct Goodbye {
    /// When to come back, in milliseconds.
    #[serde(default)]
    pub reconnect_after_ms: u64,
}

impl Goodbye {
    /// After how long the client may come back.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.reconnect_after_ms)
    }
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
pub struct Head {
    /// Its id.
    #[serde(deserialize_with = "event_id")]
    pub id: EventId,
}

/// The result of one of many events of the server API.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was accepted.
    Published {
        /// As published.
        event: Head,
        /// Whether it is in the log.
        stored: bool,
    },
    /// It was not.
    Refused {
        /// Why.
        error: Refused,
    },
}

/// The answer of the server API to many events.
#[derive(Debug, Deserialize)]
pub struct Outcomes {
    /// One for each, in order.
    pub results: Vec<Outcome>,
}

/// A danmaku for the server API.
#[derive(Debug, Serialize)]
pub struct Draft<'a> {
    /// Which room.
    pub room: &'a str,
    /// What.
    pub body: Body,
}

/// The body of a chat.
#[derive(Debug, Serialize)]
pub struct Body {
    /// What is said.
    pub text: String,
}

fn cursor<'de, D: Deserializer<'de>>(from: D) -> Result<Cursor, D::Error> {
    let bookmark = <&str>::deserialize(from)?.parse::<Bookmark>();
    Ok(bookmark.map_err(|_| D::Error::custom("not a cursor"))?.at)
}

fn event_id<'de, D: Deserializer<'de>>(from: D) -> Result<EventId, D::Error> {
    let bytes = URL_SAFE_NO_PAD.decode(<&str>::deserialize(from)?).map_err(D::Error::custom)?;
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| D::Error::custom("not an event id"))?;
    Ok(EventId::from_bytes(bytes))
}
