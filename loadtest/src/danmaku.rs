//! One danmaku of an archive: from its attribute and text to what the server API takes, or the
//! reason why it is not played.

use std::fmt;
use std::time::Duration;

use protocol::event::{Color, Mode, Size};
use protocol::ids::{UserId, is_invisible};
use protocol::limits::TEXT_CHARS_MAX;

/// A time past which an archive is not believed, in seconds: 11 days.
const SECONDS_MAX: f64 = 1_000_000.0;
/// The font size that archives call usual.
const SIZE_USUAL: i64 = 25;

/// A danmaku that can be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Danmaku {
    /// When it appears, from the beginning of the recording.
    pub(crate) at: Duration,
    /// 1 to 200 characters, none of them invisible.
    pub(crate) text: String,
    /// How it moves.
    pub(crate) mode: Mode,
    /// Its size.
    pub(crate) size: Size,
    /// Its colour.
    pub(crate) color: Color,
    /// Its author: `u-` and the hash that the archive gives.
    pub(crate) user: UserId,
    /// Its weight, if the archive gives one.
    pub(crate) weight: Option<u8>,
}

/// Why a danmaku of the archive is not played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NotPlayed {
    /// A field of `p` is missing or is not what it should be.
    Malformed,
    /// A mode that live rooms do not have.
    Mode(i64),
    /// Nothing left after trimming.
    Empty,
    /// Longer than a room takes.
    TooLong,
    /// Before `--from` or not before `--to`.
    OutsideWindow,
}

impl fmt::Display for NotPlayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed"),
            Self::Mode(7) => f.write_str("mode 7 (positioned)"),
            Self::Mode(8) => f.write_str("mode 8 (scripted)"),
            Self::Mode(mode) => write!(f, "mode {mode}"),
            Self::Empty => f.write_str("empty"),
            Self::TooLong => write!(f, "over {TEXT_CHARS_MAX} characters"),
            Self::OutsideWindow => f.write_str("outside the window"),
        }
    }
}

/// What the attribute `p` says.
///
/// | field | meaning | here |
/// | --- | --- | --- |
/// | 1 | seconds from the beginning | 0 to 1,000,000 |
/// | 2 | mode | 1, 2, 3 scroll; 4 bottom; 5 top; 6 reverse; others are not played |
/// | 3 | font size | below 25 small, 25 medium, above large |
/// | 4 | colour, decimal | the lower 24 bits |
/// | 5, 6 | unix time, pool | must be there, not used |
/// | 7 | hash of the author | becomes the user id |
/// | 8 | id | must be there, not used |
/// | 9 | weight | optional; limited to 0 to 255 |
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The mode as the archive numbers it.
    pub(crate) mode: i64,
    at: Duration,
    size: i64,
    color: i64,
    user: UserId,
    weight: Option<u8>,
}

impl Attributes {
    /// Reads the attribute; `None` if it is malformed.
    pub(crate) fn parse(p: &str) -> Option<Self> {
        let fields: Vec<&str> = p.split(',').map(str::trim).collect();
        let [seconds, mode, size, color, _unix, _pool, hash, _id, ..] = fields[..] else {
            return None;
        };
        let seconds: f64 = seconds.parse().ok()?;
        if !(0.0..=SECONDS_MAX).contains(&seconds) || hash.is_empty() {
            return None;
        }
        Some(Self {
            mode: mode.parse().ok()?,
            at: Duration::from_secs_f64(seconds),
            size: size.parse().ok()?,
            color: color.parse().ok()?,
            user: UserId::parse(&format!("u-{hash}")).ok()?,
            weight: fields.get(8).and_then(|field| weight(field)),
        })
    }

    /// Adds the text.
    ///
    /// # Errors
    /// [`NotPlayed`]: the mode or the text cannot be played.
    pub(crate) fn with_text(self, text: &str) -> Result<Danmaku, NotPlayed> {
        let mode = match self.mode {
            1..=3 => Mode::Scroll,
            4 => Mode::Bottom,
            5 => Mode::Top,
            6 => Mode::Reverse,
            other => return Err(NotPlayed::Mode(other)),
        };
        let text = visible(text);
        if text.is_empty() {
            return Err(NotPlayed::Empty);
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(NotPlayed::TooLong);
        }
        let size = match self.size.cmp(&SIZE_USUAL) {
            std::cmp::Ordering::Less => Size::Small,
            std::cmp::Ordering::Equal => Size::Medium,
            std::cmp::Ordering::Greater => Size::Large,
        };
        let [.., r, g, b] = self.color.to_be_bytes();
        let color = Color([r, g, b]);
        Ok(Danmaku { at: self.at, text, mode, size, color, user: self.user, weight: self.weight })
    }
}

fn weight(field: &str) -> Option<u8> {
    let weight: i64 = field.parse().ok()?;
    u8::try_from(weight.clamp(0, 255)).ok()
}

/// The text without invisible characters and surrounding space; line breaks become spaces.
fn visible(text: &str) -> String {
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    let kept: String = spaced.filter(|c| !is_invisible(*c)).collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(p: &str, text: &str) -> Result<Danmaku, NotPlayed> {
        Attributes::parse(p).ok_or(NotPlayed::Malformed)?.with_text(text)
    }

    #[test]
    fn nine_fields_and_a_text_are_a_danmaku() {
        let danmaku =
            parse("3.15900,4,18,41194,1625843057,0,84b94467,51747,10", " 好耶\u{200b}！\n");
        assert_eq!(
            danmaku,
            Ok(Danmaku {
                at: Duration::from_millis(3159),
                text: "好耶！".into(),
                mode: Mode::Bottom,
                size: Size::Small,
                color: Color([0x00, 0xa0, 0xea]),
                user: UserId::parse("u-84b94467").unwrap(),
                weight: Some(10),
            })
        );
    }

    #[test]
    fn eight_fields_have_no_weight_and_a_strange_weight_is_none() {
        assert_eq!(parse("1,1,25,0,0,0,a,1", "x").unwrap().weight, None);
        assert_eq!(parse("1,1,25,0,0,0,a,1,", "x").unwrap().weight, None);
        assert_eq!(parse("1,1,25,0,0,0,a,1,-3", "x").unwrap().weight, Some(0));
        assert_eq!(parse("1,1,25,0,0,0,a,1,999", "x").unwrap().weight, Some(255));
    }

    #[test]
    fn modes_are_played_or_named() {
        let played = |mode: i64| parse(&format!("0,{mode},25,0,0,0,a,1"), "x").map(|d| d.mode);
        assert_eq!([1, 2, 3].map(played), [Ok(Mode::Scroll); 3]);
        assert_eq!(played(4), Ok(Mode::Bottom));
        assert_eq!(played(5), Ok(Mode::Top));
        assert_eq!(played(6), Ok(Mode::Reverse));
        for mode in [7, 8, 9, 0, -1, 1000] {
            assert_eq!(played(mode), Err(NotPlayed::Mode(mode)));
        }
    }

    #[test]
    fn sizes_are_compared_with_25() {
        let size = |size: i64| parse(&format!("0,1,{size},0,0,0,a,1"), "x").unwrap().size;
        assert_eq!([18, 25, 36].map(size), [Size::Small, Size::Medium, Size::Large]);
    }

    #[test]
    fn a_missing_or_impossible_field_is_malformed() {
        for p in [
            "",
            ",,,,,,,",
            "1,1,25,0,0,0,a",
            "-1,1,25,0,0,0,a,1",
            "NaN,1,25,0,0,0,a,1",
            "inf,1,25,0,0,0,a,1",
            "1000001,1,25,0,0,0,a,1",
            "x,1,25,0,0,0,a,1",
            "1,x,25,0,0,0,a,1",
            "1,1,x,0,0,0,a,1",
            "1,1,25,#fff,0,0,a,1",
            "1,1,25,0,0,0,,1",
            "1,1,25,0,0,0,a\u{202e}b,1",
        ] {
            assert_eq!(parse(p, "x"), Err(NotPlayed::Malformed), "{p}");
        }
    }

    #[test]
    fn what_is_invisible_does_not_count() {
        let p = "0,1,25,0,0,0,a,1";
        assert_eq!(parse(p, " \u{feff}\n\u{200b}"), Err(NotPlayed::Empty));
        let padded = format!("\u{202e} {}\u{0}", "字".repeat(200));
        assert_eq!(parse(p, &padded).map(|d| d.text), Ok("字".repeat(200)));
        assert_eq!(parse(p, &"字".repeat(201)), Err(NotPlayed::TooLong));
        assert_eq!(parse(p, "a\nb").map(|d| d.text), Ok("a b".into()));
    }

    proptest! {
        #[test]
        fn anything_is_a_danmaku_or_a_reason(p: String, text: String) {
            let _ = parse(&p, &text);
        }

        #[test]
        fn what_is_played_fits_the_protocol(
            seconds in 0.0..2e6f64, mode in -1i64..10, size: i64, color: i64, text: String
        ) {
            if let Ok(danmaku) = parse(&format!("{seconds},{mode},{size},{color},0,0,a,1"), &text) {
                prop_assert!((1..=TEXT_CHARS_MAX).contains(&danmaku.text.chars().count()));
                prop_assert!(!danmaku.text.chars().any(is_invisible));
                prop_assert!(danmaku.at <= Duration::from_secs_f64(SECONDS_MAX));
            }
        }
    }
}
