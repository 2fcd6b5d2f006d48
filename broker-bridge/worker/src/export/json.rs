//! JSON: `{"start_ms":…,"danmaku":[{"time_ms":3159,"text":"…","mode":"scroll",…},…]}`.

use std::io::{self, Write};

use protocol::event::{Color, Mode, Size};
use serde::Serialize;

use super::{Danmaku, Format};

/// Writes one JSON object, one danmaku per line.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    any: bool,
}

impl<W: Write> Json<W> {
    /// Writes to `out`, in many small pieces.
    pub fn new(out: W) -> Self {
        Self { out, any: false }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    time_ms: u64,
    text: &'a str,
    mode: Mode,
    size: Size,
    color: Color,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    ts_ms: u64,
    id: &'a str,
    weight: u8,
}

impl<W: Write> Format for Json<W> {
    fn begin(&mut self, start_ms: u64) -> io::Result<()> {
        write!(self.out, "{{\"start_ms\":{start_ms},\"danmaku\":[")
    }

    fn add(&mut self, danmaku: &Danmaku) -> io::Result<()> {
        let comma = if std::mem::replace(&mut self.any, true) { "," } else { "" };
        writeln!(self.out, "{comma}")?;
        let Danmaku { at_ms, ts_ms, text, mode, size, color, user, name, id, weight } = danmaku;
        let written = Written {
            time_ms: *at_ms,
            text,
            mode: *mode,
            size: *size,
            color: *color,
            user,
            name: name.as_deref(),
            ts_ms: *ts_ms,
            id,
            weight: *weight,
        };
        serde_json::to_writer(&mut self.out, &written).map_err(io::Error::from)
    }

    fn end(&mut self) -> io::Result<()> {
        writeln!(self.out, "\n]}}")?;
        self.out.flush()
    }
}
