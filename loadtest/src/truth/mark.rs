//! The mark of an event: which run published it, as which of its events, and for when.
//!
//! It stands at the end of the event's text (or of its author's name, where the text is not
//! ours): `#b<run>-<number>-<intended>`, all in hexadecimal, the time in µs since 1970. So
//! whoever reads an event knows how late it is, in whatever process and on whatever machine.

use std::fmt;

/// What an event of a run carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which run.
    pub(crate) run: u32,
    /// Which event of the run.
    pub(crate) number: u32,
    /// When it was to be sent, in µs since 1970.
    pub(crate) intended_us: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#b{:08x}-{:x}-{:x}", self.run, self.number, self.intended_us)
    }
}

impl Mark {
    /// Finds the mark at the end of a text.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let mut parts = text[text.rfind("#b")? + 2..].split('-');
        let run = u32::from_str_radix(parts.next()?, 16).ok()?;
        let number = u32::from_str_radix(parts.next()?, 16).ok()?;
        let intended_us = u64::from_str_radix(parts.next()?, 16).ok()?;
        parts.next().is_none().then_some(Self { run, number, intended_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_at_the_end_of_any_text() {
        let mark = Mark { run: 7, number: 300, intended_us: 1_760_000_000_000_000 };
        assert_eq!(Mark::find(&format!("前方 #b高能 {mark}")), Some(mark));
        assert_eq!(Mark::find(&mark.to_string()), Some(mark));
    }

    #[test]
    fn other_texts_have_none() {
        for text in ["", "hello", "#b", "#b1-2", "#b1-2-3-4", "#bx-1-1", "#b1-2-3 and more"] {
            assert_eq!(Mark::find(text), None, "{text}");
        }
    }
}
