//! The XML of video sites: `<d p="time,mode,size,colour,ts,pool,userhash,id,weight">text</d>`.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{Danmaku, Format};

/// Tags that some readers look for, with what they say.
const FRAME: [(&str, &str); 3] = [("chatserver", "barrage"), ("chatid", "0"), ("source", "k-v")];

/// Writes XML. The file begins exactly with `<?xml version="1.0" encoding="UTF-8"?><i`, without a
/// line break: some readers know the format by that.
pub struct Xml<W> {
    writer: Writer<W>,
}

impl<W: Write> Xml<W> {
    /// Writes to `out`, in many small pieces.
    pub fn new(out: W) -> Self {
        Self { writer: Writer::new(out) }
    }

    fn element(&mut self, tag: BytesStart<'_>, text: &str) -> io::Result<()> {
        let end = tag.to_end().into_owned();
        self.writer.write_event(Event::Start(tag))?;
        self.writer.write_event(Event::Text(BytesText::new(text)))?;
        self.writer.write_event(Event::End(end))
    }

    fn line_break(&mut self) -> io::Result<()> {
        self.writer.get_mut().write_all(b"\n")
    }
}

impl<W: Write> Format for Xml<W> {
    fn begin(&mut self, _start_ms: u64) -> io::Result<()> {
        self.writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.writer.write_event(Event::Start(BytesStart::new("i")))?;
        for (tag, text) in FRAME {
            self.element(BytesStart::new(tag), text)?;
        }
        self.line_break()
    }

    fn add(&mut self, danmaku: &Danmaku) -> io::Result<()> {
        let p = format!(
            "{}.{:03}00,{},{},{},{},0,{},{},{}",
            danmaku.at_ms / 1_000,
            danmaku.at_ms % 1_000,
            danmaku.mode_number(),
            danmaku.font_size(),
            danmaku.color_number(),
            danmaku.ts_ms / 1_000,
            danmaku.user_hash(),
            danmaku.number(),
            danmaku.weight,
        );
        let tag = BytesStart::new("d").with_attributes([("p", p.as_str())]);
        self.element(tag, &allowed(&danmaku.text))?;
        self.line_break()
    }

    fn end(&mut self) -> io::Result<()> {
        self.writer.write_event(Event::End(BytesEnd::new("i")))?;
        self.line_break()?;
        self.writer.get_mut().flush()
    }
}

/// The text without what XML 1.0 forbids even as a reference (section 2.2).
fn allowed(text: &str) -> String {
    let is_forbidden = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.chars().filter(|c| !is_forbidden(*c)).collect()
}
