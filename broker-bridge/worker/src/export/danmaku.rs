//! A danmaku of a recording, with the numbers that players use.

use protocol::event::{Color, Kind, Mode, Size};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::archive::Line;

/// A danmaku of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Danmaku {
    /// When it appears, in milliseconds from the beginning of the recording.
    pub at_ms: u64,
    /// When it was sent, in milliseconds since 1970.
    pub ts_ms: u64,
    /// Its text.
    pub text: String,
    /// How it moves.
    pub mode: Mode,
    /// Its size.
    pub size: Size,
    /// Its colour.
    pub color: Color,
    /// Its author's id; empty if it has none.
    pub user: String,
    /// Its author's name.
    pub name: Option<String>,
    /// Its id.
    pub id: String,
    /// Its weight.
    pub weight: u8,
}

/// An event, as far as it is a danmaku.
#[derive(Deserialize)]
struct Event {
    id: String,
    kind: String,
    ts: u64,
    user: Option<User>,
    #[serde(default)]
    body: Body,
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize, Default)]
struct Body {
    text: Option<String>,
    mode: Option<String>,
    color: Option<String>,
    size: Option<String>,
}

impl Danmaku {
    /// The danmaku of a line, at time 0 of no recording.
    ///
    /// # Errors
    /// It is none; the name of its kind.
    pub(crate) fn read(line: &Line) -> Result<Self, String> {
        let event: Event =
            serde_json::from_str(line.event.get()).map_err(|_| "unreadable".to_owned())?;
        let text = match (Kind::parse(&event.kind), event.body.text) {
            (Some(Kind::Chat), Some(text)) => text,
            _ => return Err(event.kind),
        };
        let Body { mode, color, size, .. } = event.body;
        let user = event.user.unwrap_or(User { id: String::new(), name: None });
        Ok(Self {
            at_ms: 0,
            ts_ms: event.ts,
            text,
            mode: mode.as_deref().map_or(Mode::default(), parse_mode),
            size: size.as_deref().map_or(Size::default(), parse_size),
            color: color.as_deref().and_then(Color::parse).unwrap_or_default(),
            user: user.id,
            name: user.name,
            id: event.id,
            weight: line.weight,
        })
    }

    /// The mode's number in recordings.
    pub(crate) fn mode_number(&self) -> u8 {
        match self.mode {
            Mode::Scroll => 1,
            Mode::Bottom => 4,
            Mode::Top => 5,
            Mode::Reverse => 6,
        }
    }

    /// The size in points of a screen 682 wide, as recordings have it.
    pub(crate) fn font_size(&self) -> u8 {
        match self.size {
            Size::Small => 18,
            Size::Medium => 25,
            Size::Large => 36,
        }
    }

    /// The colour as one number.
    pub(crate) fn color_number(&self) -> u32 {
        let [r, g, b] = self.color.0;
        u32::from_be_bytes([0, r, g, b])
    }

    /// The CRC-32 of the author's id in hexadecimal: players block authors by it. It hides an id
    /// from a glance and no more.
    pub(crate) fn user_hash(&self) -> String {
        format!("{:08x}", crc32fast::hash(self.user.as_bytes()))
    }

    /// The id as a number that JavaScript can hold: 53 bits of its hash.
    pub(crate) fn number(&self) -> u64 {
        xxh3_64(self.id.as_bytes()) >> 11
    }
}

fn parse_mode(text: &str) -> Mode {
    match text {
        "top" => Mode::Top,
        "bottom" => Mode::Bottom,
        "reverse" => Mode::Reverse,
        _ => Mode::Scroll,
    }
}

fn parse_size(text: &str) -> Size {
    match text {
        "small" => Size::Small,
        "large" => Size::Large,
        _ => Size::Medium,
    }
}
