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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Archive {
        Archive::read(text.as_bytes()).unwrap()
    }

    fn texts(archive: &Archive) -> Vec<&str> {
        archive.danmaku.iter().map(|danmaku| danmaku.text.as_str()).collect()
    }

    fn not_played(archive: &Archive) -> Vec<(NotPlayed, u64)> {
        archive.tally.not_played.iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    #[test]
    fn danmaku_are_sorted_by_time_and_stay_in_order_within_it() {
        let archive = read(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?><i><chatid>1</chatid>\
             <d p='2,1,25,0,0,0,a,1'>c</d><d p='1.5,1,25,0,0,0,a,1'>a</d>\n\
             <d p='1.5,1,25,0,0,0,a,1'>b</d></i>",
        );
        assert_eq!(texts(&archive), ["a", "b", "c"]);
        assert_eq!(archive.tally.elements, 3);
        assert_eq!(archive.tally.by_mode, BTreeMap::from([(1, 3)]));
        assert_eq!(not_played(&archive), []);
        assert_eq!(archive.tally.other_tags, BTreeMap::new());
    }

    #[test]
    fn entities_character_references_and_cdata_are_text() {
        let archive = read(
            "<d p='0,1,25,0,0,0,a,1'>&lt;3 &amp; &#x1F389;&#33;<![CDATA[<b>&amp;</b>]]></d>\
             <d p='1,1,25,0,0,0,a,1'>AT&T; R&D & &nbsp; &#0; fish &</d>",
        );
        assert_eq!(texts(&archive), ["<3 & 🎉!<b>&amp;</b>", "AT&T; R&D & &nbsp; &#0; fish &"]);
    }

    #[test]
    fn every_danmaku_is_played_or_counted_by_reason() {
        let archive = read(
            "<i><d p='0,7,25,0,0,0,a,1'>[\"0\"]</d><d p='0,8,25,0,0,0,a,1'>x</d>\
             <d p='0,1,25,0,0,0,a'>x</d><d>x</d><d p='0,1,25,0,0,0,a,1'/>\
             <d p='0,1,25,0,0,0,a,1'>&#8;</d><gift ts='1'/><gift ts='2'/><sc>hi</sc>\
             <d p='0,5,25,0,0,0,a,1'>top</d></i>",
        );
        assert_eq!(texts(&archive), ["top"]);
        assert_eq!(
            not_played(&archive),
            [
                (NotPlayed::Malformed, 2),
                (NotPlayed::Mode(7), 1),
                (NotPlayed::Mode(8), 1),
                (NotPlayed::Empty, 2),
            ]
        );
        assert_eq!(archive.tally.elements, 7);
        assert_eq!(archive.tally.by_mode, BTreeMap::from([(1, 2), (5, 1), (7, 1), (8, 1)]));
        assert_eq!(
            archive.tally.other_tags,
            BTreeMap::from([("gift".into(), 2), ("sc".into(), 1)])
        );
    }

    #[test]
    fn broken_places_are_skipped_and_the_rest_is_read() {
        let archive = read(
            "<i><d p='0,1,25,0,0,0,a,1'>a</x></d></nobody><!oops>\u{1}\
             <d p='1,1,25,0,0,0,a,1'>never closed<d p='2,1,25,0,0,0,a,1'>b\u{8}</d><d p=",
        );
        assert_eq!(texts(&archive), ["a", "b"]);
        assert_eq!(not_played(&archive), [(NotPlayed::Malformed, 1)]);
        assert_eq!(archive.tally.broken_markup, 2);
        assert_eq!(archive.tally.mended_characters, 2);
    }

    #[test]
    fn the_window_begins_with_from_and_ends_before_to() {
        let mut archive = read(
            "<d p='1,1,25,0,0,0,a,1'>a</d><d p='2,1,25,0,0,0,a,1'>b</d>\
             <d p='3,1,25,0,0,0,a,1'>c</d>",
        );
        archive.keep_window(Duration::from_secs(2), Some(Duration::from_secs(3)));
        assert_eq!(texts(&archive), ["b"]);
        assert_eq!(not_played(&archive), [(NotPlayed::OutsideWindow, 2)]);
    }

    #[test]
    fn an_unreadable_source_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let error = Archive::read(Broken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    fn is_accounted_for(archive: &Archive) -> bool {
        let not_played: u64 = archive.tally.not_played.values().sum();
        archive.tally.elements == archive.danmaku.len() as u64 + not_played
    }

    /// Pieces that an archive is made of, and pieces that break it.
    const PIECES: [&str; 24] = [
        "<i>",
        "</i>",
        "<d p='1,1,25,0,0,0,a,1'>",
        "<d p=\"2,7,25,0,0,0,a,1,3\">",
        "<d p=''>",
        "<d>",
        "</d>",
        "<d/>",
        "text",
        "前方",
        "&amp;",
        "&#x41;",
        "&#xffffffff;",
        "&",
        ";",
        "<",
        ">",
        "'",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "<!DOCTYPE",
    ];

    proptest! {
        #[test]
        fn any_bytes_are_read_and_accounted_for(bytes: Vec<u8>) {
            prop_assert!(is_accounted_for(&Archive::read(&bytes[..]).unwrap()));
        }

        #[test]
        fn any_pieces_are_read_and_accounted_for(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)
        ) {
            prop_assert!(is_accounted_for(&read(&pieces.concat())));
        }

        #[test]
        fn any_text_survives_escaping(text in "\\PC{1,50}") {
            let escaped = quick_xml::escape::escape(text.as_str());
            let archive = read(&format!("<i><d p='0,1,25,0,0,0,a,1'>{escaped}</d></i>"));
            let visible: String =
                text.chars().filter(|c| !protocol::ids::is_invisible(*c)).collect();
            let visible = visible.trim();
            if visible.is_empty() {
                prop_assert_eq!(not_played(&archive), [(NotPlayed::Empty, 1)]);
            } else {
                prop_assert_eq!(texts(&archive), [visible]);
            }
        }
    }
}
