//! One event of a room: who said what, rendered to its final JSON exactly once in its life.
//!
//! An event is rendered where it is accepted. From there on everybody passes the same bytes on:
//! the broker, the hub (which splices them into batches), the shards, the history.

mod chat;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use std::sync::Arc;

use crate::ids::{EventId, UserId};

pub use chat::{Chat, Color, Emote, Mode, Size};

/// How much an event matters when a room is over its budget; declared from high to low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Of the fabric or the application itself (`system`). Never left out.
    Control = 0,
    /// Tells what moderators did (`notice`). Never left out.
    Moderation = 1,
    /// Somebody paid for it (`gift`, `paid`). Never lost; at worst a few slots late.
    Paid = 2,
    /// Chat of owners and moderators.
    Staff = 3,
    /// Chat.
    Chat = 4,
    /// Nice to have (`enter`; `like` is only counted). Left out first.
    Ambient = 5,
}

impl Class {
    /// Every class, from high to low.
    pub const ALL: [Self; 6] =
        [Self::Control, Self::Moderation, Self::Paid, Self::Staff, Self::Chat, Self::Ambient];

    /// The name in `left_out` and in metrics.
    pub fn text(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Moderation => "moderation",
            Self::Paid => "paid",
            Self::Staff => "staff",
            Self::Chat => "chat",
            Self::Ambient => "ambient",
        }
    }
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A danmaku.
    Chat,
    /// A gift.
    Gift,
    /// A paid message.
    Paid,
    /// Likes: counted, never sent one by one.
    Like,
    /// Somebody came in.
    Enter,
    /// A message of the application (server API only).
    System,
    /// A message of the room to all: muted, settings, deleted, … (made by gateways only).
    Notice,
    /// `x-…`: opaque to us, the application's own.
    Extension(&'a str),
}

impl<'a> Kind<'a> {
    /// Reads the name of a kind; `None` if there is no such kind.
    pub fn parse(text: &'a str) -> Option<Self> {
        Some(match text {
            "chat" => Self::Chat,
            "gift" => Self::Gift,
            "paid" => Self::Paid,
            "like" => Self::Like,
            "enter" => Self::Enter,
            "system" => Self::System,
            "notice" => Self::Notice,
            x if is_extension(x) => Self::Extension(x),
            _ => return None,
        })
    }

    /// The name on the wire.
    pub fn text(self) -> &'a str {
        match self {
            Self::Chat => "chat",
            Self::Gift => "gift",
            Self::Paid => "paid",
            Self::Like => "like",
            Self::Enter => "enter",
            Self::System => "system",
            Self::Notice => "notice",
            Self::Extension(name) => name,
        }
    }

    /// The class of an event of this kind by this user.
    pub fn class(self, user: Option<&User>) -> Class {
        match self {
            Self::System => Class::Control,
            Self::Notice => Class::Moderation,
            Self::Gift | Self::Paid => Class::Paid,
            Self::Chat if user.is_some_and(User::is_staff) => Class::Staff,
            Self::Chat | Self::Extension(_) => Class::Chat,
            Self::Like | Self::Enter => Class::Ambient,
        }
    }
}

/// `x-` and 1 to 32 lower-case letters, digits, `-`, `_` or `.`.
fn is_extension(text: &str) -> bool {
    text.strip_prefix("x-").is_some_and(|name| {
        (1..=32).contains(&name.len())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
    })
}

/// The author of an event, as everybody sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The application's id, or `anon-…`.
    pub id: UserId,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// Roles in the application or the room, such as `owner` or `moderator`.
    #[serde(skip_serializing_if = "SmallVec::is_empty", serialize_with = "as_seq")]
    pub roles: SmallVec<[Arc<str>; 1]>,
    /// The user's level in the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
}

fn as_seq<S: Serializer>(roles: &[Arc<str>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(roles.iter().map(|r| &**r))
}

impl User {
    /// A user of whom nothing but the id is known.
    pub fn new(id: UserId) -> Self {
        Self { id, name: None, roles: SmallVec::new(), level: None }
    }

    /// Whether the user's chat counts as [`Class::Staff`].
    pub fn is_staff(&self) -> bool {
        self.roles.iter().any(|role| matches!(&**role, "owner" | "moderator"))
    }
}

/// The body of an event.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Body<'a> {
    /// Of `chat`: understood and normalised by us.
    Chat(Chat<'a>),
    /// Of every other kind: an object, passed on as it came.
    Opaque(&'a RawValue),
}

/// The weight of an event for which nothing else was said; the server API may set 0 to 255.
pub const WEIGHT_DEFAULT: u8 = 100;

/// An accepted event on its way: what the fabric needs to know, and the final JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id; events with an equal id are the same event.
    pub id: EventId,
    /// How much it matters.
    pub class: Class,
    /// Among equals of a class, the heavier one is shown when not all can be.
    pub weight: u8,
    /// When a gateway accepted it, in milliseconds since 1970.
    pub ts_ms: u64,
    /// `{"id":…,"kind":…,"ts":…,"user":{…},"body":{…}}`, never touched again.
    pub json: Bytes,
}

/// The final JSON, to be spliced into messages.
impl AsRef<[u8]> for Event {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// What is needed to make an [`Event`].
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its id.
    pub id: EventId,
    /// What it is.
    pub kind: Kind<'a>,
    /// When it was accepted, in milliseconds since 1970.
    pub ts_ms: u64,
    /// Who sent it; nobody in particular for most `system` events.
    pub user: Option<&'a User>,
    /// Its body.
    pub body: Body<'a>,
    /// Its weight; usually [`WEIGHT_DEFAULT`].
    pub weight: u8,
}

impl Draft<'_> {
    /// Renders the event to its final JSON: the one place where that happens.
    pub fn render(&self) -> Event {
        #[derive(Serialize)]
        struct Json<'a> {
            id: EventId,
            kind: &'a str,
            ts: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            user: Option<&'a User>,
            body: &'a Body<'a>,
        }
        let json = serde_json::to_vec(&Json {
            id: self.id,
            kind: self.kind.text(),
            ts: self.ts_ms,
            user: self.user,
            body: &self.body,
        })
        .expect("strings, numbers and checked JSON always serialise");
        Event {
            id: self.id,
            class: self.kind.class(self.user),
            weight: self.weight,
            ts_ms: self.ts_ms,
            json: json.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moderator() -> User {
        User {
            id: UserId::parse("42").unwrap(),
            name: Some("小明".into()),
            roles: SmallVec::from_iter([Arc::from("moderator")]),
            level: Some(12),
        }
    }

    #[test]
    fn a_danmaku_is_rendered_as_the_protocol_says() {
        let user = moderator();
        let event = Draft {
            id: EventId::random([1; 16]),
            kind: Kind::Chat,
            ts_ms: 1_760_000_000_327,
            user: Some(&user),
            body: Body::Chat(Chat {
                text: "前方高能".into(),
                mode: Mode::Scroll,
                color: Color([0xff, 0xcc, 0]),
                size: Size::Medium,
                emotes: Vec::new(),
            }),
            weight: WEIGHT_DEFAULT,
        }
        .render();
        assert_eq!(
            std::str::from_utf8(&event.json).unwrap(),
            r##"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","kind":"chat","ts":1760000000327,"user":{"id":"42","name":"小明","roles":["moderator"],"level":12},"body":{"text":"前方高能","mode":"scroll","color":"#ffcc00","size":"medium"}}"##
        );
        assert_eq!(event.class, Class::Staff);
    }

    #[test]
    fn an_opaque_body_keeps_its_bytes() {
        let body: Box<RawValue> = serde_json::from_str(r#"{"n":1.0e2 , "s":"\u00e9"}"#).unwrap();
        let event = Draft {
            id: EventId::random([1; 16]),
            kind: Kind::Extension("x-poll"),
            ts_ms: 1,
            user: None,
            body: Body::Opaque(&body),
            weight: 0,
        }
        .render();
        let json = std::str::from_utf8(&event.json).unwrap();
        assert!(json.ends_with(r#""body":{"n":1.0e2 , "s":"\u00e9"}}"#), "{json}");
        assert_eq!(event.class, Class::Chat);
    }

    #[test]
    fn kinds_have_the_classes_of_the_protocol() {
        assert_eq!(Kind::parse("paid").unwrap().class(None), Class::Paid);
        assert_eq!(Kind::parse("enter").unwrap().class(None), Class::Ambient);
        assert_eq!(Kind::parse("chat").unwrap().class(None), Class::Chat);
        assert_eq!(Kind::parse("chat").unwrap().class(Some(&moderator())), Class::Staff);
        assert_eq!(Kind::parse("x-"), None);
        assert_eq!(Kind::parse("x-A"), None);
        assert_eq!(Kind::parse("dance"), None);
    }
}
