//! A danmaku archive: the XML file that video sites and live recorders write.
//!
//! `<i> … <d p="seconds,mode,size,colour,…">text</d> … </i>`. Read as a stream and with patience:
//! what cannot be used is counted by reason, and nothing in a file makes the reader fail but an
//! I/O error.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::time::Duration;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::clean::Clean;
use crate::danmaku::{Attributes, Danmaku, NotPlayed};

/// Bytes of one text that are kept; more than any text that is played, and a bound on what a
/// scripted danmaku or a broken file can take.
const TEXT_BYTES_KEPT: usize = 16 * 1024;
/// Names of other tags that are told apart.
const OTHER_TAGS_MAX: usize = 32;
/// Tags that frame an archive and say nothing to be played.
const FRAME_TAGS: [&str; 9] = [
    "i",
    "chatserver",
    "chatid",
    "mission",
    "maxlimit",
    "max_count",
    "state",
    "real_name",
    "source",
];

/// An archive, ready to be played.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    /// What is played, by time; danmaku of the same time stay in the order of the file.
    pub(crate) danmaku: Vec<Danmaku>,
    /// What was found, and what is not played.
    pub(crate) tally: Tally,
}

/// What was found in a file. `elements` = danmaku that are played + Σ `not_played`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    /// `<d>` elements.
    pub(crate) elements: u64,
    /// The same by mode, as the archive numbers it; malformed ones have none.
    pub(crate) by_mode: BTreeMap<i64, u64>,
    /// Danmaku that are not played, by reason.
    pub(crate) not_played: BTreeMap<NotPlayed, u64>,
    /// Elements that are not danmaku (gifts and the like), by name.
    pub(crate) other_tags: BTreeMap<String, u64>,
    /// Characters that XML forbids, and broken bytes.
    pub(crate) mended_characters: u64,
    /// Places that are not XML and were skipped.
    pub(crate) broken_markup: u64,
}

impl Archive {
    /// Reads an archive to its end.
    ///
    /// # Errors
    /// The source cannot be read.
    pub(crate) fn read(source: impl Read) -> io::Result<Self> {
        let mut walk = Walk { archive: Self::default(), open: None };
        let mut rest = Clean::new(source);
        loop {
            let mut reader = patient(rest);
            let outcome = walk.until_broken(&mut reader);
            let progress = reader.buffer_position() > 0;
            rest = reader.into_inner();
            match outcome {
                Ok(()) => break,
                Err(quick_xml::Error::Io(error)) => return Err(io::Error::from(error.kind())),
                Err(_) => walk.archive.tally.broken_markup += 1,
            }
            if !progress {
                break;
            }
        }
        walk.close();
        let mut archive = walk.archive;
        archive.tally.mended_characters = rest.mended();
        archive.danmaku.sort_by_key(|danmaku| danmaku.at);
        Ok(archive)
    }

    /// Keeps what appears at or after `from` and before `to`; counts the rest as not played.
    pub(crate) fn keep_window(&mut self, from: Duration, to: Option<Duration>) {
        let before = self.danmaku.len();
        self.danmaku.retain(|danmaku| danmaku.at >= from && to.is_none_or(|to| danmaku.at < to));
        let outside = (before - self.danmaku.len()) as u64;
        if outside > 0 {
            *self.tally.not_played.entry(NotPlayed::OutsideWindow).or_default() += outside;
        }
    }
}

/// A reader that leaves the judgement about well-formedness to us.
fn patient<R: BufRead>(source: R) -> Reader<R> {
    let mut reader = Reader::from_reader(source);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    reader
}

/// A `<d>` whose end has not been met.
struct Open {
    p: Option<String>,
    text: String,
}

struct Walk {
    archive: Archive,
    open: Option<Open>,
}

impl Walk {
    /// Goes on to the end of the file, or to the next place that is not XML.
    fn until_broken<R: BufRead>(&mut self, reader: &mut Reader<R>) -> quick_xml::Result<()> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            match reader.read_event_into(&mut buffer)? {
                Event::Start(tag) => self.start(&tag),
                Event::Empty(tag) => {
                    self.start(&tag);
                    self.end(tag.name().as_ref());
                }
                Event::End(tag) => self.end(tag.name().as_ref()),
                Event::Text(text) => self.text(&text.xml10_content()),
                Event::CData(text) => self.text(&text.xml10_content()),
                Event::GeneralRef(reference) => self.reference(&reference),
                Event::Eof => return Ok(()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) {
        let name = tag.name();
        if name.as_ref() == "d" {
            self.close();
            self.open = Some(Open { p: attribute(tag, "p"), text: String::new() });
        } else if !FRAME_TAGS.contains(&name.as_ref()) {
            self.count_other(name.as_ref());
        }
    }

    fn count_other(&mut self, name: &str) {
        let others = &mut self.archive.tally.other_tags;
        let known = others.contains_key(name) || others.len() < OTHER_TAGS_MAX;
        let name = if known { name } else { "(more)" };
        *others.entry(name.chars().take(32).collect()).or_default() += 1;
    }

    fn end(&mut self, name: &str) {
        if name != "d" {
            return;
        }
        let Some(open) = self.open.take() else { return };
        let attributes = open.p.as_deref().and_then(Attributes::parse);
        let Some(attributes) = attributes else {
            self.count(None, Err(NotPlayed::Malformed));
            return;
        };
        self.count(Some(attributes.mode), attributes.with_text(&open.text));
    }

    /// Gives up a `<d>` that was not closed: its text is not to be trusted.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.count(None, Err(NotPlayed::Malformed));
        }
    }

    fn count(&mut self, mode: Option<i64>, danmaku: Result<Danmaku, NotPlayed>) {
        let tally = &mut self.archive.tally;
        tally.elements += 1;
        if let Some(mode) = mode {
            *tally.by_mode.entry(mode).or_default() += 1;
        }
        match danmaku {
            Ok(danmaku) => self.archive.danmaku.push(danmaku),
            Err(reason) => *tally.not_played.entry(reason).or_default() += 1,
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(open) = &mut self.open
            && open.text.len() < TEXT_BYTES_KEPT
        {
            open.text.push_str(text);
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        match (reference.resolve_char_ref(), resolve_predefined_entity(reference)) {
            (Ok(Some(c)), _) => self.text(c.encode_utf8(&mut [0; 4])),
            (_, Some(text)) => self.text(text),
            // Nobody defined it, so it is what somebody typed.
            (_, None) => self.text(&format!("&{};", &**reference)),
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

#[cfg(test)]
mod tests;
