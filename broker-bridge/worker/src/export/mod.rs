//! A room's danmaku in the formats that players of recordings read.
//!
//! A recording has a beginning, and its danmaku have a time from there. What is no danmaku
//! (gifts, notices and the like) is not exported; what came before the beginning neither.

mod danmaku;
mod json;
mod protobuf;
mod xml;

use std::collections::BTreeMap;
use std::io;

pub use self::danmaku::Danmaku;
pub use self::json::Json;
pub use self::protobuf::Protobuf;
pub use self::xml::Xml;
use crate::archive::Line;

/// A file format of danmaku.
pub trait Format {
    /// Begins the recording: milliseconds since 1970. Called once, before all else.
    ///
    /// # Errors
    /// The output takes nothing more.
    fn begin(&mut self, start_ms: u64) -> io::Result<()>;

    /// Adds a danmaku.
    ///
    /// # Errors
    /// The output takes nothing more.
    fn add(&mut self, danmaku: &Danmaku) -> io::Result<()>;

    /// Ends the recording and hands everything to the output.
    ///
    /// # Errors
    /// The output takes nothing more.
    fn end(&mut self) -> io::Result<()>;
}

/// What an export has seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Danmaku that were written.
    pub danmaku: u64,
    /// Danmaku from before the beginning.
    pub early: u64,
    /// Events that are no danmaku, by kind.
    pub others: BTreeMap<String, u64>,
}

/// Writes an archive's lines in a format.
pub struct Export<'a> {
    format: &'a mut dyn Format,
    start_ms: Option<u64>,
    begun: bool,
    exported: Exported,
}

impl<'a> Export<'a> {
    /// Writes in this format; the recording begins at `start_ms` (milliseconds since 1970), or
    /// with the first danmaku.
    pub fn new(format: &'a mut dyn Format, start_ms: Option<u64>) -> Self {
        Self { format, start_ms, begun: false, exported: Exported::default() }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The output takes nothing more.
    pub fn add(&mut self, line: &Line) -> io::Result<()> {
        let danmaku = match Danmaku::read(line) {
            Ok(danmaku) => danmaku,
            Err(kind) => {
                *self.exported.others.entry(kind).or_default() += 1;
                return Ok(());
            }
        };
        let start_ms = *self.start_ms.get_or_insert(danmaku.ts_ms);
        let Some(at_ms) = danmaku.ts_ms.checked_sub(start_ms) else {
            self.exported.early += 1;
            return Ok(());
        };
        self.begin(start_ms)?;
        self.exported.danmaku += 1;
        self.format.add(&Danmaku { at_ms, ..danmaku })
    }

    fn begin(&mut self, start_ms: u64) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) { Ok(()) } else { self.format.begin(start_ms) }
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// The output takes nothing more.
    pub fn end(mut self) -> io::Result<Exported> {
        self.begin(self.start_ms.unwrap_or_default())?;
        self.format.end()?;
        Ok(self.exported)
    }
}

#[cfg(test)]
mod tests;
