//! What a danmaku says, and how it looks.

use serde::{Serialize, Serializer};

/// How a danmaku crosses the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From right to left.
    #[default]
    Scroll,
    /// Standing at the top.
    Top,
    /// Standing at the bottom.
    Bottom,
    /// From left to right.
    Reverse,
}

/// The size of a danmaku's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Smaller than usual.
    Small,
    /// Usual.
    #[default]
    Medium,
    /// Larger than usual.
    Large,
}

/// A colour: red, green, blue. On the wire `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Default for Color {
    fn default() -> Self {
        Self([0xff; 3])
    }
}

impl Color {
    /// Reads `#rrggbb`; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.is_ascii())?;
        let byte = |at: usize| {
            let pair = &digits[at..at + 2];
            pair.bytes()
                .all(|b| b.is_ascii_hexdigit())
                .then(|| u8::from_str_radix(pair, 16).ok())?
        };
        Some(Self([byte(0)?, byte(2)?, byte(4)?]))
    }
}

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [r, g, b] = self.0;
        serializer.collect_str(&format_args!("#{r:02x}{g:02x}{b:02x}"))
    }
}

/// A piece of the text that is shown as a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Emote<'a> {
    /// The text it stands for, as it occurs in `text`.
    pub code: &'a str,
    /// Where the picture is.
    pub url: &'a str,
}

/// The body of a `chat` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chat<'a> {
    /// 1 to 200 characters, nothing invisible.
    pub text: std::borrow::Cow<'a, str>,
    /// How it moves.
    pub mode: Mode,
    /// Its colour.
    pub color: Color,
    /// Its size.
    pub size: Size,
    /// Pictures in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emotes: Vec<Emote<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_six_hexadecimal_digits() {
        assert_eq!(Color::parse("#FFcc00"), Some(Color([0xff, 0xcc, 0])));
        for text in ["", "#", "ffcc00", "#ffcc0", "#ffcc000", "#ffcc0g", "#+fcc00", "#ééé"] {
            assert_eq!(Color::parse(text), None, "{text}");
        }
    }
}
